//! Tokens and secrets are in the sealed store and on the account's token topic, and nowhere else.
//!
//! `support::promises` searches all output at the end of every test. Here every kind of secret is used on purpose, and
//! the search is shown to find something where there is something to be found.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::broker::{Door, PASSWORD};
use crate::support::world::{Client, Setup, World};
use crate::support::{files_below, promises};

#[test]
fn no_secret_is_in_any_output_at_the_fullest_log_level() {
    let mut world = Setup::new()
        .door(Door::Password)
        .account("public")
        .account_with("body", Client::SecretInBody, "")
        .account_with("header", Client::SecretInHeader, "publish = \"on_request\"")
        .start();
    for account in ["public", "body"] {
        world.sign_in(account);
    }
    let code = world.login("header");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("header", "active");
    for account in ["public", "body", "header"] {
        assert_eq!(world.refresh(account)["status"], "ok");
    }
    // Answers that cannot be read are what a careless program logs whole.
    let secretive = json!({ "status": 200, "body": { "access_token": 7, "refresh_token": "not-so-secret" } });
    world.oidc().fault("json", 1, &secretive);
    world.refresh("public");
    let odd = json!({ "status": 400, "body": { "error": "odd", "error_description": "\u{1b}[2Jodd" } });
    world.oidc().fault("json", 1, &odd);
    world.refresh("body");
    for arguments in [&["status"][..], &["status", "--json"], &["refresh", "public"], &["check"]] {
        world.cli(arguments);
    }
    let pid = world.agent().pid().as_raw_nonzero();
    for file in ["cmdline", "environ"] {
        let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{file}")).unwrap()).into_owned();
        assert!(!text.contains(PASSWORD), "{file}");
    }
    world.subscriber.request("token", "header");
    world.cli(&["token", "header"]);
    world.cli(&["logout", "header"]);

    let (secrets, access_tokens) = promises::secrets(&world);
    // Two client secrets, the broker's password, the store's key, three device codes, refresh and ID tokens.
    assert!(secrets.len() >= 2 + 1 + 1 + 3 + 6 + 6, "{}", secrets.len());
    assert!(access_tokens.len() >= 6, "{}", access_tokens.len());
    promises::check(&world);

    let written = world.written();
    assert!(written.contains("TRACE") || written.contains("DEBUG"), "the log is not at its fullest");
    assert!(!written.contains("not-so-secret") && !written.contains("\u{1b}[2J"));

    // Nothing in the store is in clear either.
    world.stop_agent();
    for file in files_below(&world.store()) {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in secrets.iter().chain(&access_tokens) {
            assert!(file.ends_with("key") || !text.contains(secret.as_str()), "a secret is in clear in {file:?}");
        }
    }
}

/// The memory that a process has locked, in KiB (proc(5)).
fn locked_memory(world: &mut World) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", world.agent().pid().as_raw_nonzero())).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    locked.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Takes the limit on locked memory away, or at least out of the agent's sight where not even root may do that.
const WITHOUT_LIMIT: &str = "
prlimit --pid $$ --memlock=unlimited:unlimited 2>/dev/null || {
    echo 'Max locked memory  unlimited  unlimited  bytes' >\"$1\"
    mount --bind \"$1\" /proc/$$/limits
}
shift; exec \"$@\"";

#[test]
fn the_agent_keeps_its_memory_out_of_swap_where_no_limit_forbids_it() {
    let mut world = Setup::new().account("garden").without_agent();
    let mut lives_under = |arguments: &[&str], is_locked: bool| {
        let agent = world.command(&["--log", "trace", "run"]);
        let mut command = Command::new(arguments[0]);
        command.args(&arguments[1..]).arg(agent.get_program()).args(agent.get_args()).env_clear();
        command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
        world.start_agent_by(command);
        world.sign_in("garden");
        assert_eq!(world.refresh("garden")["status"], "ok");
        let locked = locked_memory(&mut world);
        assert_eq!(locked > 0, is_locked, "{locked} KiB are locked");
        world.stop_agent();
    };
    lives_under(&["prlimit", "--memlock=65536:65536"], false);
    // Anybody may lower the limit; only root may raise it.
    if rustix::process::geteuid().is_root() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = file.path().to_str().unwrap();
        lives_under(&["unshare", "--mount", "sh", "-euc", WITHOUT_LIMIT, "sh", file], true);
    }
}
