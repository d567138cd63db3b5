//! Nothing is used or published before it is safe on the disk, and only its owner can read it.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use serde_json::json;

use crate::client_credentials::ODD;
use crate::support::clock::{SOON, wait_until};
use crate::support::files_below;
use crate::support::process::with_children;
use crate::support::strace::{Call, Strace};
use crate::support::world::Setup;

/// The provider's answer with this access token was received, then written and synced, and only then published.
#[track_caller]
fn assert_safe_before_seen(calls: &[Call], token: &str, provider: u16, broker: u16, store: &Path) {
    let answered = calls.iter().find(|call| call.receives(token, provider)).expect("no answer with this token");
    let published = calls.iter().find(|call| call.sends(token, broker)).expect("the token was never published");
    let written = calls.iter().find(|call| call.writes_to(store) && call.began > answered.ended);
    let written = written.expect("nothing was written after the answer");
    let synced = calls.iter().find(|call| call.syncs(store) && call.began > written.ended);
    let synced = synced.expect("nothing was synced after the answer was written");
    let order =
        [answered, written, synced, published].map(|call| format!("{}-{} {}", call.began, call.ended, call.name));
    assert!(synced.ended < published.began, "published before it was synced: {order:?}");
    eprintln!("answer, write, sync, publish at lines {order:?} of the trace");
}

#[test]
fn tokens_are_on_the_disk_before_anybody_sees_them() {
    let mut world = Setup::new().account("garden").without_agent();
    let (strace, command) = Strace::of_agent(&world.config(), world.folder().join("trace"));
    world.start_agent_by(command);
    let first = world.sign_in("garden");
    assert_eq!(world.refresh("garden")["status"], "ok");
    let second = world.wait("garden", "token", |token| token["access_token"] != first.json["access_token"]);
    let secrets = world.oidc().secrets();
    let provider = world.oidc().port();
    world.stop_agent();

    let calls = strace.calls();
    let (broker, store) = (world.broker.port(), world.store());
    for token in [&first, &second] {
        assert_safe_before_seen(&calls, token.access_token().unwrap(), provider, broker, &store);
    }
    // The code that the user is shown can be redeemed after a power cut.
    let code = secrets.device_code[0].as_str();
    let answered = calls.iter().find(|call| call.receives(code, provider)).unwrap();
    let shown = calls.iter().find(|call| call.sends("\\\"pending\\\":true", broker)).unwrap();
    let synced = |call: &&Call| call.syncs(&store) && call.began > answered.ended && call.ended < shown.began;
    assert!(calls.iter().any(|call| synced(&call)), "the code was shown before it was synced");
}

#[test]
fn only_its_owner_can_read_the_store() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&world.store()), 0o700);
    assert_eq!(mode(&world.store().join("key")), 0o600);
}

#[test]
fn a_store_that_will_not_open_is_set_aside_and_the_agent_runs() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    world.stop_agent();
    let before = files_below(&world.store());
    // A card that lost the middle of everything.
    for path in before.iter().filter(|path| !path.ends_with("key")) {
        let length = fs::metadata(path).unwrap().len();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&vec![0xa5; usize::try_from(length).unwrap()], 0).unwrap();
    }
    world.start_agent();
    world.wait_for_state("garden", "signed_out");
    world.wait_for_log(&["set aside"]);
    // Nothing was thrown away.
    assert!(files_below(&world.store()).len() > before.len(), "{before:?} {:?}", files_below(&world.store()));
    world.sign_in("garden");
    world.kill_agent();
    world.start_agent();
    world.wait_for_state("garden", "active");
}

#[test]
fn a_store_whose_key_is_gone_asks_for_a_new_sign_in_and_keeps_the_old_one() {
    let mut world = Setup::new().account("garden").start();
    let token = world.sign_in("garden");
    world.stop_agent();
    let key = world.store().join("key");
    let right = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    world.start_agent();
    let status = world.wait_for_state("garden", "signed_out");
    assert_eq!((&status["error"]["code"], &status["needs_user"]), (&json!("record_unreadable"), &json!(true)));
    world.stop_agent();
    fs::write(&key, right).unwrap();
    let mark = world.subscriber.mark();
    world.start_agent();
    let again = world.subscriber.wait_after(mark, "oauth2mqtt/garden/token", |token| token["access_token"].is_string());
    assert_eq!(again.json["access_token"], token.json["access_token"]);
}

#[test]
fn two_agents_do_not_share_a_store() {
    let world = Setup::new().account("garden").start();
    let ended = world.cli(&["run"]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    world.sign_in("garden");
}

#[test]
fn a_store_in_memory_is_warned_of_by_journal_status_check_and_doctor() {
    let mut world = Setup::new().account("garden").account_as("machine", ODD).without_agent();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let text = world.config_text().replace(world.store().to_str().unwrap(), memory.path().to_str().unwrap());
    fs::write(world.config(), text).unwrap();
    let checked = world.cli(&["check"]);
    let warns = |text: &str| {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.contains("/dev/shm is in memory (tmpfs") && line.contains("forgotten at the next boot")
    };
    assert!(checked.code() == 0 && warns(&checked.stderr), "{checked:?}");
    world.start_agent();
    wait_until("the warning in the log", SOON, || warns(&world.agent_log()));
    let status = world.cli(&["status"]);
    assert!(status.code() == 0 && warns(&status.stdout) && status.stdout.contains("path in [store]"), "{status:?}");
    let status = world.wait_for_state("garden", "signed_out");
    assert!(status["warnings"].as_array().unwrap().iter().any(|text| warns(text.as_str().unwrap())), "{status}");
    let status = world.wait_for_state("machine", "active");
    assert_eq!(status["warnings"], json!([]), "it signs in by itself after a boot");
    let doctor = world.cli(&["doctor"]);
    assert!(warns(&doctor.stdout), "{doctor:?}");
}

#[test]
fn the_end_of_the_databases_process_costs_nothing() {
    let mut world = Setup::new().account("garden").start();
    world.sign_in("garden");
    for _ in 0..2 {
        let agent = world.agent().pid();
        let database = with_children(agent)[1];
        rustix::process::kill_process(database, rustix::process::Signal::KILL).unwrap();
        assert_eq!(world.refresh("garden")["status"], "ok");
        world.wait("garden", "status", |status| status["error"].is_null() && status["state"] == "active");
        assert!(world.agent().is_running());
    }
    let log = world.log_up_to_now();
    assert_eq!(log.matches("the database is opened again").count(), 2, "{log}");
    assert!(!log.contains("the store failed"), "{log}");
    world.kill_agent();
    world.start_agent();
    world.wait_for_state("garden", "active");
    assert_eq!(world.refresh("garden")["status"], "ok");
}
