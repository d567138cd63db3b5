//! The command line: what it prints, and the exit codes that scripts rely on.

use std::fs;

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_for, wait_until};
use crate::support::process::{Ended, Process};
use crate::support::world::{Client, Setup, World, free_port};

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const UNAVAILABLE: i32 = 69;
const NEEDS_SOMEBODY: i32 = 77;
const CONFIG: i32 = 78;

/// The first line that contains `needle`, counted from one.
fn line_of(world: &World, needle: &str) -> usize {
    world.config_text().lines().position(|line| line.contains(needle)).unwrap() + 1
}

/// Asks for the next token until that fails: right after a sign-in the agent finds the token fresh enough.
#[track_caller]
fn refresh_in_vain(world: &World) -> Ended {
    wait_for("a refresh that fails", SOON, || Some(world.cli(&["refresh", "garden"])).filter(|ended| ended.code() != 0))
}

#[test]
fn check_finds_a_good_configuration_good() {
    let world = Setup::new().account("garden").account_with("house", Client::SecretInBody, "").without_agent();
    let ended = world.cli(&["check"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    for expected in ["garden", "house", "2 accounts"] {
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    }
}

#[test]
fn check_names_file_line_key_and_the_nearest_right_one() {
    let world = Setup::new().account_with("garden", Client::Public, "sing_in = \"offer\"").without_agent();
    let ended = world.cli(&["check"]);
    assert_eq!(ended.code(), CONFIG, "{ended:?}");
    let place = format!("{}:{}: accounts.garden.sing_in:", world.config().display(), line_of(&world, "sing_in"));
    assert!(ended.stderr.contains(&place), "{}", ended.stderr);
    assert!(ended.stderr.contains("sign_in"), "{}", ended.stderr);
}

#[test]
fn check_finds_a_secret_that_is_not_there() {
    let world = Setup::new().account_with("garden", Client::SecretInBody, "").without_agent();
    fs::remove_file(world.folder().join("device-post.secret")).unwrap();
    let ended = world.cli(&["check"]);
    assert_eq!(ended.code(), CONFIG, "{ended:?}");
    let place = format!("{}:{}:", world.config().display(), line_of(&world, "client_secret_file"));
    assert!(ended.stderr.contains(&place) && ended.stderr.contains("device-post.secret"), "{}", ended.stderr);
}

#[test]
fn an_agent_with_a_bad_configuration_does_not_start() {
    let world = Setup::new().account_with("garden", Client::Public, "scope = \"openid\"").without_agent();
    let ended = world.cli(&["run"]);
    assert_eq!(ended.code(), CONFIG, "{ended:?}");
    assert!(ended.stderr.contains(&format!("config.toml:{}", line_of(&world, "scope = "))), "{}", ended.stderr);

    let ended = world.cli(&["--config", "/nowhere/config.toml", "run"]);
    assert_eq!(ended.code(), CONFIG, "{ended:?}");
    assert!(ended.stderr.contains("/nowhere/config.toml"), "{}", ended.stderr);
}

#[test]
fn without_an_agent_every_command_says_so_and_how_to_start_it() {
    let mut world = Setup::new().account("garden").without_agent();
    for command in ["login", "cancel", "status", "token", "refresh", "logout"] {
        let ended = world.cli(&[command, "garden"]);
        assert_eq!(ended.code(), UNAVAILABLE, "{command}: {ended:?}");
        assert!(ended.stderr.contains("oauth2mqtt run"), "{command}: {}", ended.stderr);
    }
    // An agent that has gone is no agent either.
    world.start_agent();
    world.stop_agent();
    assert_eq!(world.cli(&["status"]).code(), UNAVAILABLE);
}

#[test]
fn without_a_broker_a_command_says_where_it_looked() {
    let mut world = Setup::new().account("garden").without_agent();
    let port = world.broker.port();
    world.broker.stop();
    let ended = world.cli(&["status"]);
    assert_eq!(ended.code(), UNAVAILABLE, "{ended:?}");
    assert!(ended.stderr.contains(&format!("127.0.0.1:{port}")), "{}", ended.stderr);
}

#[test]
fn a_signed_in_account_is_looked_at_refreshed_and_signed_out() {
    let world = Setup::new().account("garden").account("house").start();
    let token = world.sign_in("garden");

    let status = world.cli(&["status"]);
    assert_eq!(status.code(), 0, "{status:?}");
    let line = |name: &str| status.stdout.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("garden").contains("active"), "{}", status.stdout);
    assert!(line("house").contains("signed out") && line("house").contains("oauth2mqtt login house"), "{status:?}");

    let printed = world.cli(&["token", "garden"]);
    assert_eq!((printed.code(), printed.stdout.trim()), (0, token.access_token().unwrap()), "{printed:?}");

    let before = world.oidc().refreshes().len();
    wait_until("a refresh", SOON, || {
        assert_eq!(world.cli(&["refresh", "garden"]).code(), 0);
        world.oidc().refreshes().len() > before
    });
    world.wait("garden", "token", |new| {
        new["access_token"].is_string() && new["access_token"] != token.json["access_token"]
    });

    assert_eq!(world.cli(&["logout", "garden"]).code(), 0);
    world.wait_for_state("garden", "signed_out");
    let none = world.cli(&["token", "garden"]);
    assert_eq!((none.code(), none.stdout.as_str()), (FAILED, ""), "{none:?}");
    assert_eq!(world.cli(&["refresh", "garden"]).code(), FAILED);
}

#[test]
fn a_health_check_fails_while_an_account_needs_somebody_and_without_an_agent() {
    let mut world = Setup::new().account("garden").account("house").start();
    let both = world.cli(&["status", "--check"]);
    assert_eq!((both.code(), both.stdout.as_str()), (NEEDS_SOMEBODY, ""), "{both:?}");
    assert!(both.stderr.contains("oauth2mqtt login garden") && both.stderr.contains("login house"), "{}", both.stderr);

    world.sign_in("garden");
    let one = world.cli(&["status", "--check", "garden"]);
    assert_eq!((one.code(), one.stdout.as_str(), one.stderr.as_str()), (0, "", ""), "{one:?}");
    let both = world.cli(&["status", "--check", "--json"]);
    assert_eq!(both.code(), NEEDS_SOMEBODY, "{both:?}");
    assert!(!both.stderr.contains("garden"), "{}", both.stderr);
    assert_eq!(serde_json::from_str::<Value>(&both.stdout).unwrap()[0]["account"], "garden");

    world.sign_in("house");
    assert_eq!(world.cli(&["status", "--check"]).code(), 0);
    // What passes by itself needs nobody.
    world.kill_provider();
    refresh_in_vain(&world);
    assert_eq!(world.cli(&["status", "--check"]).code(), 0);

    world.stop_agent();
    assert_eq!(world.cli(&["status", "--check"]).code(), UNAVAILABLE);
}

#[test]
fn the_status_is_there_for_programs_too() {
    let world = Setup::new().account("garden").account("house").start();
    world.sign_in("garden");
    let garden = world.wait_for_state("garden", "active");
    let all = world.cli(&["status", "--json"]);
    let all: Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(all[0], garden);
    assert_eq!(all[1]["account"], "house");
    let one = world.cli(&["status", "--json", "garden"]);
    assert_eq!(serde_json::from_str::<Value>(&one.stdout).unwrap(), garden);
}

#[test]
fn a_command_for_an_account_that_is_not_there_says_which_are() {
    let world = Setup::new().account("garden").start();
    let ended = world.cli(&["login", "orchard"]);
    assert_eq!(ended.code(), FAILED, "{ended:?}");
    assert!(ended.stderr.contains("garden"), "{}", ended.stderr);
    assert_eq!(world.cli(&["login", "No such name"]).code(), USAGE);
}

#[test]
fn the_doctor_passes_what_works_and_says_what_to_do_about_what_does_not() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    let well = world.cli(&["doctor"]);
    assert_eq!(well.code(), 0, "{well:?}");
    for line in [
        "pass  configuration:",
        "pass  store:",
        "pass  provider",
        "pass  broker and agent:",
        "pass  account garden: active",
    ] {
        assert!(well.stdout.contains(line), "{line} is not in\n{}", well.stdout);
    }
    assert!(!well.stdout.contains("name:"), "an address is no name: {}", well.stdout);
    world.kill_provider();
    world.stop_agent();
    let ill = world.cli(&["doctor"]);
    assert_eq!(ill.code(), FAILED, "{ill:?}");
    for text in [
        "FAIL  provider",
        "provider_unreachable: The provider cannot be reached: 127.0.0.1:",
        " refused the connection.",
        "FAIL  broker and agent",
        "next: see",
        "next: Nothing to do if it passes",
    ] {
        assert!(ill.stdout.contains(text), "{text} is not in\n{}", ill.stdout);
    }

    fs::remove_file(world.config()).unwrap();
    let first = world.cli(&["doctor"]);
    assert!(first.stdout.contains(": there is no such file\n"), "{}", first.stdout);
    assert!(first.stdout.contains("make it with `sudo oauth2mqtt add`"), "{}", first.stdout);
    fs::write(world.config(), "[mqtt\n").unwrap();
    let broken = world.cli(&["doctor"]);
    assert!(broken.code() == FAILED && broken.stdout.contains("FAIL  configuration:"), "{broken:?}");
}

#[test]
fn a_retained_token_that_somebody_else_wrote_is_not_printed_if_it_is_none() {
    let world = Setup::new().account("garden").start();
    let real = world.sign_in("garden");
    for spoofed in ["ya29\u{1b}[2J", "ya29\nrm -rf", "ya29 x", "ya29\u{202e}"] {
        let payload = json!({
            "account": "garden", "access_token": spoofed, "token_type": "Bearer", "authorization": null,
            "expires_at": null, "scope": null,
        });
        world.subscriber.retain("oauth2mqtt/garden/token", &payload.to_string());
        world.wait("garden", "token", |token| *token == payload);
        let ended = world.cli(&["token", "garden"]);
        assert_eq!((ended.code(), ended.stdout.as_str()), (FAILED, ""), "{ended:?}");
        assert!(ended.stderr.contains("is no access token"), "{}", ended.stderr);
    }
    // The agent's next one takes its place.
    assert_eq!(world.refresh("garden")["status"], "ok");
    let next = world.subscriber.latest("oauth2mqtt/garden/token").unwrap();
    assert_ne!(next.access_token(), real.access_token());
    let printed = world.cli(&["token", "garden"]);
    assert_eq!((printed.code(), Some(printed.stdout.trim())), (0, next.access_token()), "{printed:?}");
}

#[test]
fn each_request_to_the_provider_and_each_publication_is_in_the_log_at_debug() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.wait_for_log(&["request answered", "method=POST", "host=127.0.0.1:", "path=\"/token\"", "status=200", "ms="]);
    world.wait_for_log(&["publish", "topic=\"oauth2mqtt/garden/token\"", "retain=true"]);
    let log = world.agent_log();
    let waits = log.lines().find(|line| line.contains("a sign-in waits for the user")).unwrap();
    let (_, until) = waits.split_once("expires_at=").unwrap();
    assert!(until.starts_with("20") && until.trim_end().ends_with('Z'), "not a time that a person reads: {waits}");
}

#[test]
fn the_doctor_looks_at_each_account_whose_provider_has_the_same_name_and_other_endpoints() {
    let at = |origin: &str| {
        format!(
            "client_id = \"x\"\ndevice_authorization_endpoint = \"{origin}/device/auth\"\n\
             token_endpoint = \"{origin}/token\""
        )
    };
    let closed = at(&format!("http://127.0.0.1:{}", free_port()));
    let world = Setup::new().account_as("house", &closed).account_as("orchard", &at("{origin}")).without_agent();
    let ended = world.cli(&["doctor"]);
    assert_eq!(ended.code(), FAILED, "{ended:?}");
    let line = |account: &str| ended.stdout.lines().find(|line| line.contains(&format!("of account {account}:")));
    assert!(line("house").is_some_and(|line| line.starts_with("FAIL")), "{}", ended.stdout);
    assert!(line("orchard").is_some_and(|line| line.starts_with("pass")), "{}", ended.stdout);
}

#[test]
fn an_agent_whose_log_nobody_reads_goes_on() {
    let world = Setup::new().account("garden").without_agent();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = world.command(&["--log", "trace", "run"]);
    command.stderr(writer);
    let mut agent = command.spawn().unwrap();
    drop(command);
    world.subscriber.wait("oauth2mqtt/bridge/state", |state| state["state"] == "online");
    // Each is logged twice, in more than a hundred bytes; a pipe holds 64 KiB.
    for _ in 0..1_500 {
        world.subscriber.request("status", "garden");
    }
    assert_eq!(world.subscriber.request("status", "garden")["status"], "ok");
    drop(reader);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn options_are_offered_by_the_commands_that_they_mean_something_for() {
    let world = Setup::new().without_agent();
    let help = |command: &str| world.cli(&[command, "--help"]).stdout;
    assert!(help("run").contains("--log") && !help("login").contains("--log"), "{}", help("login"));
    assert!(help("login").contains("--qr") && !help("status").contains("--qr"));
    for command in
        ["run", "check", "doctor", "login", "complete", "cancel", "status", "token", "refresh", "logout", "add"]
    {
        let help = help(command);
        assert!(help.contains("Exit codes:") && help.contains("Examples:"), "{command}: {help}");
    }
}

#[test]
fn the_address_of_the_page_is_printed() {
    let world = Setup::new().page("").without_agent();
    let ended = world.cli(&["open"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains(&format!("http://127.0.0.1:{}/", world.page_port())), "{}", ended.stdout);
    let world = Setup::new().without_agent();
    let ended = world.cli(&["open"]);
    assert_eq!(ended.code(), FAILED, "{ended:?}");
    assert!(ended.stderr.contains("[page]"), "{}", ended.stderr);
}

#[test]
fn a_reload_says_what_has_changed() {
    let world = Setup::new().account("garden").account("house").start();
    let none = world.cli(&["reload"]);
    assert!(none.code() == 0 && none.stdout.contains("No account has changed"), "{none:?}");
    world.set_account("house", None);
    world.set_account("orchard", Some((Client::Public, "")));
    world.set_account("garden", Some((Client::Public, "publish = \"on_request\"")));
    let some = world.cli(&["reload"]);
    assert_eq!(some.code(), 0, "{some:?}");
    for line in ["added    orchard", "changed  garden", "removed  house"] {
        assert!(some.stdout.contains(line), "{line} is not in\n{}", some.stdout);
    }
    assert!(!some.stderr.contains("next start"), "{some:?}");

    let text = fs::read_to_string(world.config()).unwrap();
    fs::write(world.config(), format!("{text}\n[page]\nlisten = \"127.0.0.1:8629\"\n")).unwrap();
    let page = world.cli(&["reload"]);
    assert!(page.stdout.contains("No account has changed"), "{page:?}");
    assert!(page.stderr.contains("[page] changed too") && page.stderr.contains("systemctl restart"), "{page:?}");
    fs::write(world.config(), "[mqtt\n").unwrap();
    let answer = world.subscriber.request("reload", "");
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("bad_configuration")), "{answer}");
    world.wait_for_state("orchard", "signed_out");
}

#[test]
fn a_reload_of_a_bad_configuration_says_where_it_is_bad_and_changes_nothing() {
    let world = Setup::new().account("garden").start();
    let good = world.config_text();
    fs::write(world.config(), format!("{good}isuer = \"https://id.example\"\n")).unwrap();
    let ended = world.cli(&["reload"]);
    assert_eq!(ended.code(), CONFIG, "{ended:?}");
    assert!(ended.stderr.contains("isuer"), "{}", ended.stderr);
    world.sign_in("garden");
}

#[test]
fn a_command_line_that_makes_no_sense_is_told_so() {
    let world = Setup::new().without_agent();
    for arguments in [&["frobnicate"][..], &["login"], &["--frobnicate"], &[]] {
        let ended = world.cli(arguments);
        assert_eq!(ended.code(), USAGE, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("Usage:"), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn help_and_the_list_of_providers_need_neither_agent_nor_configuration() {
    let world = Setup::new().without_agent();
    fs::remove_file(world.config()).unwrap();
    for (arguments, expected) in [
        (&["--help"][..], "Exit codes"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["login", "--help"], "QR code"),
        (&["providers"], "google"),
    ] {
        let ended = world.cli(arguments);
        assert_eq!(ended.code(), 0, "{arguments:?}: {ended:?}");
        assert!(ended.stdout.contains(expected), "{arguments:?}: {}", ended.stdout);
    }
}

#[test]
fn a_provider_that_the_commands_cannot_reach_through_the_agent_is_a_passing_fault() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.kill_provider();
    let ended = refresh_in_vain(&world);
    assert_eq!(ended.code(), 75, "{ended:?}");
    let status = world.wait_for_state("garden", "active");
    assert_eq!(status["error"]["code"], json!("provider_unreachable"));
}

#[test]
fn the_answer_to_the_request_of_another_client_is_never_shown_as_that_of_the_agent() {
    let world = Setup::new().provider("latency_ms", json!([1_500, 1_500])).account("garden").account("evil").start();
    let evil = world.login("evil");
    let mark = world.subscriber.mark();
    let login = Process::start("login garden", &mut world.command(&["login", "garden"]));
    let request = world.subscriber.wait_after(mark, "oauth2mqtt/bridge/request/login", |_| true);
    // The agent answers these at once, and that of the command once it has asked the provider.
    world.subscriber.send_request_like(&request, "login", "evil");
    world.subscriber.send_request_like(&request, "status", "garden");
    world.subscriber.send_request_like(&request, "sign-in-at-evil", "garden");
    world.subscriber.send_request_like(&request, "login", r#"{"account":"garden","evil":1}"#);
    let garden = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true);
    let code = garden.json["user_code"].as_str().unwrap();
    wait_until("the code", SOON, || login.stdout().contains(code));
    let shown = format!("{}{}", login.stdout(), login.stderr());
    assert!(!shown.contains(evil["user_code"].as_str().unwrap()) && !shown.contains("evil"), "{shown}");
    drop(login);
}
