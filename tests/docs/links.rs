//! Links, and the files that the text names.

use std::path::{Component, Path, PathBuf};

use crate::page::{self, Page, root};

#[test]
fn every_link_leads_somewhere() {
    let mut found = 0;
    for page in page::all() {
        for link in links(&page) {
            found += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { PathBuf::from(&page.path) } else { beside(&page.path, file) };
            let named = path.to_str().unwrap();
            assert!(root().join(&path).exists(), "{}: there is no {link}", page.path);
            if let Some(anchor) = anchor {
                let anchors = Page::read(named).anchors();
                assert!(anchors.iter().any(|known| known == anchor), "{}: {link}: {anchors:?}", page.path);
            }
        }
    }
    assert!(found >= 150, "{found}");
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = Page::read("README.md");
    let linked = links(&readme);
    let pages = page::all();
    let documentation: Vec<_> = pages.iter().filter(|page| page.path.starts_with("docs/")).collect();
    assert!(documentation.len() >= 15, "{}", documentation.len());
    for page in documentation {
        assert!(linked.contains(&page.path), "the README does not link to {}", page.path);
    }
}

#[test]
fn every_file_that_the_text_names_is_there() {
    let folders = [".ci/", ".config/", ".github/", "cross/", "docs/", "examples/", "src/", "systemd/", "tests/"];
    let mut named = 0;
    for page in page::all() {
        let blocks: Vec<_> = page.blocks("sh").into_iter().flat_map(|block| words(&block.text)).collect();
        let inline = page.inline_code().into_iter().flat_map(|code| words(&code));
        for word in inline.chain(blocks) {
            let is_in_tree = folders.iter().any(|folder| word.starts_with(folder));
            if is_in_tree && !word.contains(['*', '<', '{']) && !word.starts_with("tests/output") {
                assert!(root().join(&word).exists(), "{}: there is no {word}", page.path);
                named += 1;
            }
        }
    }
    assert!(named >= 20, "{named}");
}

/// The targets of links and pictures that are files of the tree, or anchors.
fn links(page: &Page) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    // A link stands in running text; what only looks like one, in code, is none.
    let prose: String = page
        .parts()
        .1
        .join("\n")
        .chars()
        .map(|c| {
            in_code ^= c == '`';
            if in_code && matches!(c, '(' | ')') { ' ' } else { c }
        })
        .collect();
    for (before, after) in [("](", ")"), ("src=\"", "\""), ("href=\"", "\"")] {
        links.extend(
            prose.split(before).skip(1).filter_map(|rest| rest.split_once(after)).map(|(link, _)| link.to_owned()),
        );
    }
    links.retain(|link| !link.contains("://"));
    links
}

/// The path of a link in the page at `page`, relative to the top of the tree.
fn beside(page: &str, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(page).parent().unwrap().join(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{page}: {link} leads out of the tree"),
            part => path.push(part),
        }
    }
    path
}

fn words(code: &str) -> Vec<String> {
    code.split([' ', '\n', '=', '"', ',', ':', ';']).map(|word| word.trim_end_matches(['.', ')']).to_owned()).collect()
}
