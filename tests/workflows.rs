//! What runs on GitHub takes no code that can be changed under it, and keeps its secrets from builds.
#![allow(clippy::unwrap_used)]

use std::fs;

/// A tag can be moved to other code. A build runs code of every dependency, which must find no key.
#[test]
fn no_workflow_takes_an_action_by_a_tag_or_shows_a_secret_to_a_build() {
    for file in fs::read_dir(".github/workflows").unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        let actions = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for action in actions {
            let commit = action.split_once('@').map_or("", |(_, version)| version.split(' ').next().unwrap());
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{file:?}: {action}");
        }
        let jobs = text.split_once("\njobs:\n").unwrap().1;
        let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        let lines: Vec<_> = jobs.lines().collect();
        for job in lines.chunk_by(|_, next| !is_name(next)) {
            let has = |part: &str| job.iter().any(|line| line.contains(part));
            let builds = ["cargo", "cross/build", "cross/release", ".ci/run", "npm"].into_iter().any(has);
            assert!(!(builds && has("secrets.")), "{file:?}: {}", job[0]);
        }
    }
}
