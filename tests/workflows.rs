//! What runs on GitHub takes no action that can be changed under it, and keeps its secrets from builds.
#![allow(clippy::unwrap_used)]

use std::fs;

/// A tag can be moved to other code. A build runs code of every dependency, which must find no key.
#[test]
fn no_workflow_takes_an_action_by_a_tag_or_shows_a_secret_to_a_build() {
    let mut found = 0;
    for file in fs::read_dir(".github/workflows").unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        let actions = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for action in actions {
            let commit = action.split_once('@').map_or("", |(_, version)| version.split(' ').next().unwrap());
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{file:?}: {action}");
            found += 1;
        }
        let (for_all, jobs) = text.split_once("\njobs:\n").unwrap();
        assert!(!for_all.contains("secrets"), "{file:?}: every job would have it");
        let is_name = |line: &&str| line.strip_prefix("  ").is_some_and(|name| !name.starts_with([' ', '#']));
        let lines: Vec<_> = jobs.lines().collect();
        for job in lines.chunk_by(|_, next| !is_name(next)) {
            let has = |part: &str| job.iter().any(|line| line.contains(part));
            let builds = ["cargo", "cross/build", "cross/release", ".ci/run", "npm"].into_iter().any(has);
            assert!(!(builds && has("secrets")), "{file:?}: {}", job[0]);
        }
    }
    assert!(found > 10, "{found}");
}

/// Two at once would add to the same copy of the apt repository, and the later upload would lack the packages of the other.
#[test]
fn a_release_waits_for_another_one_and_is_not_broken_off_by_it() {
    let text = fs::read_to_string(".github/workflows/release.yml").unwrap();
    let (for_all, _) = text.split_once("\njobs:\n").unwrap();
    assert!(for_all.contains("\nconcurrency:\n  group: release\n  cancel-in-progress: false\n"), "{for_all}");
}
