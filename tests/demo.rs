//! The demo reaches its end, and says what a newcomer needs to know.
#![allow(clippy::disallowed_methods, reason = "it is watched from outside, as a person watches it")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The demo, beside this test: `cargo test` builds the examples too.
fn demo(arguments: &[&str]) -> Command {
    let this = std::env::current_exe().expect("this test has a path");
    let folder: PathBuf = this.ancestors().nth(2).expect("it is in target/PROFILE/deps").join("examples");
    let program = folder.join("demo");
    assert!(program.is_file(), "build it first: cargo build --example demo");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn it_reaches_its_end_without_a_person_at_the_address_that_is_named() {
    let ended = demo(&["--approve", "--lan", "127.0.0.2"]).output().unwrap();
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{shown}\n{}", String::from_utf8_lossy(&ended.stderr));
    assert!(shown.contains("http://127.0.0.2:") && shown.contains("all went well"), "{shown}");
    assert!(shown.contains("0 spent refresh tokens shown again"), "{shown}");
}

#[test]
fn it_says_why_a_phone_cannot_scan_its_code_and_leaves_nothing_when_it_is_interrupted() {
    let mut demo = demo(&[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let hint = lines.find(|line| line.contains("your part"));
    let hint = hint.expect("it should ask for its approval");
    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    assert!(hint.contains("127.0.0.1 is the phone itself") && hint.contains("--lan"), "{hint}");
    assert!(lines.any(|line| line.contains("everything has been stopped and removed")));
}
