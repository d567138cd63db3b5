//! Markdown, as far as the tests read it.

use std::fs;
use std::path::{Path, PathBuf};

/// One page of the documentation.
pub(crate) struct Page {
    /// Relative to the top of the tree.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A code block.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

/// The top of the tree.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source below `folder`.
pub(crate) fn sources(folder: &Path) -> String {
    let mut paths = Vec::new();
    find(folder, "rs", true, &mut paths);
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Every page that people read.
pub(crate) fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    for folder in ["", "docs", "examples", ".github"] {
        find(&root().join(folder), "md", !folder.is_empty(), &mut paths);
    }
    let pages: Vec<_> =
        paths.iter().map(|path| Page::read(path.strip_prefix(root()).unwrap().to_str().unwrap())).collect();
    assert!(pages.len() > 20, "{}", pages.len());
    pages
}

fn find(folder: &Path, extension: &str, deep: bool, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if deep {
                find(&path, extension, deep, found);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

impl Page {
    /// The page at `path`, which is relative to the top of the tree.
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// The code blocks, without the indentation of a list around them, and the lines outside.
    pub(crate) fn parts(&self) -> (Vec<Block>, Vec<&str>) {
        let (mut blocks, mut prose) = (Vec::new(), Vec::new());
        let mut open: Option<(usize, Block)> = None;
        for line in self.text.lines() {
            let indent = line.len() - line.trim_start().len();
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    open = Some((indent, Block { language: language.to_owned(), text: String::new() }));
                }
                (None, None) => prose.push(line),
                (Some(_), Some("")) => blocks.extend(open.take().map(|(_, block)| block)),
                (Some((indent, block)), _) => {
                    block.text.push_str(line.get(*indent..).unwrap_or_default());
                    block.text.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{}: a code block has no end", self.path);
        (blocks, prose)
    }

    /// The code blocks in one language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<Block> {
        self.parts().0.into_iter().filter(|block| block.language == language).collect()
    }

    /// The code in running text.
    pub(crate) fn inline_code(&self) -> Vec<String> {
        let prose = self.parts().1.join("\n");
        prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    }

    /// The anchors of the headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for line in self.parts().1.into_iter().filter(|line| line.starts_with('#')) {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            assert!(!anchors.contains(&anchor), "{}: two headings have the anchor #{anchor}", self.path);
            anchors.push(anchor);
        }
        anchors
    }
}
