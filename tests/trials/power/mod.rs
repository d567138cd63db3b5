//! Power cuts at every step of the store: nothing that was acknowledged is ever lost, and every store opens.
//!
//! The system calls of the agent, and of the store alone at a pace that rolls its log over, are recorded. At each step
//! the disk is then as `disk` says that it may be after a cut, the store is opened from it, and what was told to anybody
//! before the cut has to be in it.

mod disk;
mod driver;
mod images;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use oauth2mqtt::testing::StoreSettings;
use oauth2mqtt::testing::config::{self, Environment};

use crate::report::{Row, scaled};
use crate::support::clock::{SOON, wait_until};
use crate::support::process::{Process, run_tool};
use crate::support::world::{Setup, World};
use images::{Image, Tally, Told, Trial};
use trace::{Step, read, traced};

/// How many images are made of the agent's life, and of the store's at full pace.
fn image_counts() -> (usize, usize) {
    scaled((240, 240), (1_500, 3_000))
}

/// The settings of the store in `folder`, as the program reads them.
fn store_settings(folder: &Path) -> StoreSettings {
    let text = format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[store]\npath = \"{}\"\n\
         [accounts.a]\nissuer = \"https://127.0.0.1\"\nclient_id = \"c\"\n",
        folder.display()
    );
    let loaded = config::parse(&text, &folder.join("config.toml"), &Environment::default());
    loaded.unwrap_or_else(|error| panic!("{error}")).settings.store
}

#[test]
fn a_power_cut_at_any_step_of_the_agents_life_loses_nothing() {
    let accounts = ["garden", "house", "orchard"];
    let setup = Setup::new().token_life(4);
    let mut world = accounts.iter().fold(setup, |setup, name| setup.account(name)).without_agent();
    let mut traces = Vec::new();
    let start = |world: &mut World, traces: &mut Vec<PathBuf>| {
        let trace = world.folder().join(format!("trace-{}", traces.len()));
        let command = traced(&world.command(&["run"]), &trace);
        traces.push(trace);
        world.start_agent_by(command);
    };
    start(&mut world, &mut traces);
    for account in accounts {
        world.sign_in(account);
    }
    refresh_until(&world, scaled(20, 60));
    world.kill_agent();
    start(&mut world, &mut traces);
    refresh_until(&world, scaled(30, 90));
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    world.login("garden");
    refresh_until(&world, scaled(36, 108));
    world.stop_agent();
    start(&mut world, &mut traces);
    world.stop_agent();

    let trace: String = traces.iter().map(|trace| fs::read_to_string(trace).unwrap()).collect();
    let trial = Trial::new(read(&trace, &world.store()), &world.store(), told_by_the_agent);
    world.kill_provider();
    let looks = scaled(8, 60);
    let tally = trial.run(image_counts().0, looks, |image| opens_with_the_agent(&world, image));
    assert!(tally.sign_ins == 3 && tally.rotations >= 20 && tally.looked_at + 1 >= looks, "{tally:?}");
    let Tally { steps, rotations, .. } = tally;
    Row::new("power cut at any step: sign-in, refresh, restart, sign-out", tally.images)
        .remark(format!("{steps} steps, {rotations} rotations; all opened, {looks} of them by the agent itself"))
        .write();
}

#[test]
fn a_power_cut_at_any_step_of_the_store_at_full_pace_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, trace) = (folder.path().join("store"), folder.path().join("trace"));
    let (accounts, saves) = scaled((6, 900), (12, 6_000));
    let mut traced_text = String::new();
    // A life of several starts; the log rolls over after some hundred records.
    for life in 0..3 {
        run_tool(&mut traced(&driver::command(&store, life, accounts, saves / 3), &trace));
        wait_until("the end of the trace", SOON, || {
            fs::read_to_string(&trace).is_ok_and(|text| driver::is_whole(&text))
        });
        traced_text.push_str(&fs::read_to_string(&trace).unwrap());
    }
    let steps = read(&traced_text, &store);
    let rolled = times_rolled_over(&steps, &store.join("sled/db"));
    let trial = Trial::new(steps, &store, driver::told);
    let tally = trial.run(image_counts().1, 0, |_| ());
    assert!(tally.sign_ins == accounts && tally.rotations >= saves / 2 && rolled > 0, "{rolled} {tally:?}");
    let Tally { steps, rotations, .. } = tally;
    Row::new("power cut at any step of the store at full pace", tally.images)
        .remark(format!("{steps} steps, {rotations} rotations, the log rolled over {rolled} times; all opened"))
        .write();
}

/// How often the log went back to a place that it had left.
fn times_rolled_over(steps: &[Step], log: &Path) -> usize {
    let segment = |step: &Step| match step {
        Step::Write { path, at, bytes } if path == log && !bytes.is_empty() => Some(at / (512 * 1024)),
        _ => None,
    };
    let segments: Vec<_> = steps.iter().filter_map(segment).collect();
    segments.windows(2).filter(|pair| pair[1] < pair[0]).count()
}

/// Starts the agent on the image, without its provider: every account that must be signed in is.
fn opens_with_the_agent(world: &World, image: &Image<'_>) {
    let config = image.folder.with_extension("toml");
    let base = format!("image-{}", fastrand::u64(..));
    let text = world.config_text().replace(world.store().to_str().unwrap(), image.folder.to_str().unwrap());
    let text = text.replace("[mqtt]\n", &format!("[mqtt]\nbase_topic = \"{base}\"\nclient_id = \"{base}\"\n"));
    fs::write(&config, text).unwrap();
    let agent = Process::start("the agent", world.command(&["run"]).env("OAUTH2MQTT_CONFIG", &config));
    for (account, expected) in &image.expected {
        let status = world.subscriber.wait(&format!("{base}/{account}/status"), |_| true).json;
        let is_signed_in = status["state"] == "active" || status["state"] == "expired";
        // A refresh that the cut fell upon while the life was recorded has ended the grant at the provider, not here.
        let was_interrupted = status["error"]["code"] == "refresh_interrupted";
        assert!(is_signed_in || was_interrupted || !expected.is_signed_in(), "{account}: {status}");
    }
    let log = agent.kill().stderr;
    assert!(!log.contains("set aside"), "{log}");
}

/// What the agent published or answered.
fn told_by_the_agent(bytes: &[u8]) -> Vec<(String, Told)> {
    let text = String::from_utf8_lossy(bytes);
    let between = |text: &str, end: &str| text.split_once(end).map(|(value, _)| value.to_owned());
    let tokens = text.split("{\"account\":\"").skip(1).filter_map(|message| {
        let (account, rest) = message.split_once("\",\"token\":null,\"access_token\":\"")?;
        (account.len() < 64).then_some(())?;
        Some((account.to_owned(), Told::Token(between(rest, "\"")?)))
    });
    let gone = text.split("\"status\":\"ok\",\"data\":{\"account\":\"").skip(1).filter_map(|message| {
        let (account, rest) = message.split_once('"')?;
        let (data, _) = rest.split_once('}')?;
        data.contains("\"state\":\"signed_out\"").then(|| (account.to_owned(), Told::Gone))
    });
    tokens.chain(gone).collect()
}

fn refresh_until(world: &World, count: usize) {
    let refreshed = || world.oidc().refreshes().iter().filter(|refresh| refresh.rotated).count();
    wait_until("refreshes", 6 * SOON, || refreshed() >= count);
}
