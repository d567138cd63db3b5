//! The contract with flows, scripts and configurations: nothing of it is lost unintentionally.
//!
//! `tests/contract.txt` lists the contract of the last release, with a line for each command, option, exit code, setting, provider
//! and member of a message. Removing one breaks users, so the test fails until the list is recorded again:
//! `OAUTH2MQTT_CONTRACT=record tests/run contract::`. `cross/version` does that for a release, after it has determined with
//! `compare` which step of the version the changes need.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::known_keys::known_keys;
use crate::support::world::{Client, Setup, World};

type Lines = BTreeSet<String>;

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract.txt")
}

/// The commands with their options, and the exit codes, as the help lists them.
fn commands(world: &World) -> Lines {
    let help = |arguments: &[&str]| world.cli(&[arguments, &["--help"]].concat()).stdout;
    let indented = |text: &str, heading: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != heading).skip(1);
        lines.take_while(|line| line.is_empty() || line.starts_with(' ')).map(str::to_owned).collect()
    };
    let mut lines = Lines::new();
    let all = help(&[]);
    for line in indented(&all, "Exit codes:") {
        lines.extend(line.split_whitespace().next().map(|code| format!("exit {code}")));
    }
    // A line of continued text is indented further.
    let names = indented(&all, "Commands:").into_iter().filter(|line| !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).filter(|name| name != "help")
    {
        lines.insert(format!("command {name}"));
        for line in indented(&help(&[&name]), "Options:") {
            let option = line.split_whitespace().find(|word| word.starts_with("--"));
            let is_listed = line.trim_start().starts_with('-');
            lines.extend(option.filter(|_| is_listed).map(|option| format!("command {name} {option}")));
        }
    }
    lines
}

/// The keys of each section, as the error about one that does not exist lists them.
fn settings(world: &World) -> Lines {
    let before = world.config_text();
    let keys = known_keys(None, |text| {
        fs::write(world.config(), text).unwrap();
        world.cli(&["check"]).stderr
    });
    fs::write(world.config(), before).unwrap();
    keys.iter().map(|(section, key)| format!("setting {}.{key}", section.replace(".a", ".<account>"))).collect()
}

/// Each provider that the list of them names: a line that what it needs comes below.
fn providers(world: &World) -> Lines {
    let list = world.cli(&["providers"]).stdout;
    let lines: Vec<_> = list.lines().collect();
    let named = lines.windows(2).filter(|pair| pair[1].starts_with("  needs "));
    named.filter_map(|pair| pair[0].split_whitespace().next()).map(|name| format!("provider {name}")).collect()
}

/// The members of every message of an account that is signed in.
fn messages(world: &World) -> Lines {
    fn members(value: &Value, before: &str, lines: &mut Lines) {
        for (name, value) in value.as_object().into_iter().flatten() {
            lines.insert(format!("{before} {name}"));
            members(value, &format!("{before} {name}"), lines);
        }
        for value in value.as_array().into_iter().flatten() {
            members(value, before, lines);
        }
    }
    let mut lines = Lines::new();
    // Not the answers, which come on topics of the requester.
    for message in world.subscriber.messages().iter().filter(|message| message.topic.starts_with("oauth2mqtt/")) {
        let topic = message.topic.replace("/garden/", "/<account>/");
        members(&message.json, &format!("message {topic}"), &mut lines);
    }
    lines
}

fn found() -> Lines {
    let account = "identity = true\nscopes = [\"openid\", \"email\", \"offline_access\"]";
    let world = Setup::new().account_with("garden", Client::Public, account).start();
    let mut lines = commands(&world);
    lines.extend(settings(&world));
    lines.extend(providers(&world));
    world.sign_in_as("garden", "ann");
    world.wait_for_state("garden", "active");
    world.subscriber.request("status", "garden");
    lines.extend(messages(&world));
    lines
}

/// The smallest step of the version that the changes allow (Semantic Versioning, from 1.0 on).
fn least_step(before: &Lines, now: &Lines) -> &'static str {
    if before.difference(now).next().is_some() {
        "major"
    } else if now.difference(before).next().is_some() {
        "minor"
    } else {
        "patch"
    }
}

#[test]
fn nothing_that_others_rely_on_is_lost() {
    let now = found();
    for kind in ["exit 78", "command login --config", "setting mqtt.url", "provider google"] {
        assert!(now.contains(kind), "{kind} was not found, so that the list cannot be right");
    }
    for member in ["<account>/token authorization", "bridge/info accounts name"] {
        assert!(now.contains(&format!("message oauth2mqtt/{member}")), "{member}: {now:?}");
    }
    let how = std::env::var("OAUTH2MQTT_CONTRACT").unwrap_or_default();
    if how == "record" {
        let text: Vec<_> = now.iter().map(String::as_str).collect();
        fs::write(recorded(), text.join("\n") + "\n").unwrap();
        return;
    }
    let before: Lines = fs::read_to_string(recorded()).unwrap().lines().map(str::to_owned).collect();
    if how == "compare" {
        eprintln!("least step: {}", least_step(&before, &now));
        return;
    }
    let lost: Vec<_> = before.difference(&now).collect();
    assert!(
        lost.is_empty(),
        "this was in the last release, and is gone: {lost:#?}\n\
         If that is meant, say so in CHANGELOG.md, and run OAUTH2MQTT_CONTRACT=record tests/run contract::"
    );
}

#[test]
fn a_loss_takes_a_larger_step_than_an_addition() {
    let lines = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Lines>();
    let before = lines(&["exit 1", "exit 2"]);
    assert_eq!(least_step(&before, &before), "patch");
    assert_eq!(least_step(&before, &lines(&["exit 1", "exit 2", "exit 3"])), "minor");
    assert_eq!(least_step(&before, &lines(&["exit 1", "exit 3"])), "major");
}
