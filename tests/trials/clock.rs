//! Clocks that are wrong at the start, and clocks that are set.
//!
//! libfaketime stands between the C library and the kernel, for the agent alone; its boot time stays as it is. The agent
//! must be the build of these tests, which asks the C library for the time, as the release does not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use oauth2mqtt::testing::clock::UnixTime;
use serde_json::Value;

use crate::bench::Bench;
use crate::network::certificates::{Made, server};
use crate::provider::{Fault, Provider, access_token};
use crate::report::Row;
use crate::support::certificates::Authority;
use crate::support::clock::unix_now;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// An agent with one account, and a clock that the test sets.
struct Wrong {
    bench: Bench,
    provider: Provider,
}

impl Wrong {
    /// Starts the agent with its clock off by `off` seconds, which are not more than none: libfaketime cannot set the
    /// kernel's timers for a clock that is ahead. Its token is of an hour, and was got `since` seconds from now.
    fn start(off: i64, since: i64, prepare: impl FnOnce(&mut Bench, &Provider)) -> Self {
        let mut bench = Bench::new();
        bench.has_odd_clock = true;
        let provider = Provider::start("timed", 3_600);
        bench.account_at("timed", &provider);
        prepare(&mut bench, &provider);
        let signed_in = [("timed".to_owned(), provider.refresh_token())];
        bench.sign_in_at(UnixTime::new(now() + since), signed_in, 3_600);
        let mut wrong = Self { bench, provider };
        wrong.set(off);
        let faketime = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faketime");
        let mut command = wrong.bench.command_of(PathBuf::from(env!("CARGO_BIN_EXE_oauth2mqtt")), &[faketime]);
        command.env("FAKETIME_TIMESTAMP_FILE", wrong.bench.folder().join("clock"));
        command.envs([("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
        wrong.bench.start_by(&mut command);
        wrong
    }

    /// Sets the agent's clock off by this much.
    fn set(&mut self, off: i64) {
        fs::write(self.bench.folder().join("clock"), format!("{off:+}\n")).unwrap();
    }

    /// The same while it runs, as NTP does; the kernel would wake the agent, and here a request does.
    fn step(&mut self, off: i64) -> Value {
        self.set(off);
        self.bench.subscriber.request("status", "timed")["data"].clone()
    }

    /// Asks for a refresh, which at a start comes by itself within seconds: libfaketime gives the agent another boot time than
    /// the kernel's timers have, so none of those rings in time.
    fn ask_for_refresh(&self) {
        self.bench.subscriber.request("refresh", "timed");
    }

    fn wait_for_token(&self, serial: u32) {
        let token = access_token("timed", serial);
        self.bench.subscriber.wait("oauth2mqtt/timed/token", |it| it["access_token"] == token.as_str());
    }

    /// The agent is idle: it neither asks nor works.
    fn assert_idle(&self) {
        let (asked, worked) = (self.provider.asked().len(), self.processor_ticks());
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(self.provider.asked().len(), asked, "it asks in a loop");
        let worked = self.processor_ticks() - worked;
        assert!(worked < 30, "it worked for {worked} hundredths of a second in three");
        let withdrawn = self.bench.subscriber.latest("oauth2mqtt/timed/token").unwrap();
        assert!(withdrawn.access_token().is_some(), "{withdrawn:?}");
    }

    fn processor_ticks(&self) -> u64 {
        let pid = self.bench.agent.as_ref().unwrap().pid().as_raw_nonzero();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn users_asked(&self) -> usize {
        let statuses = self.bench.subscriber.on("oauth2mqtt/timed/status");
        statuses.iter().filter(|status| status.json["needs_user"] == true).count()
    }

    fn row(&self, fault: &str) -> Row {
        assert_eq!(self.users_asked(), 0);
        Row::new(fault, 1).remark(format!("{} refreshes", self.provider.asked().len()))
    }
}

fn in_1970() -> i64 {
    30 - now()
}

#[expect(clippy::cast_possible_truncation, reason = "whole seconds are wanted")]
fn now() -> i64 {
    unix_now() as i64
}

#[test]
fn a_boot_at_a_wrong_time_brings_a_fresh_token_and_the_right_time_changes_nothing() {
    let ago = -10 * YEAR;
    // What the clock is off at the boot, and what the right time is.
    let boots =
        [("boot in 1970", in_1970(), 0), ("boot at yesterday's time", -DAY, 0), ("boot ten years ahead", 0, ago)];
    for (name, off, right) in boots {
        let mut wrong = Wrong::start(off, right - 600, |_, _| ());
        wrong.ask_for_refresh();
        wrong.wait_for_token(1);
        wrong.assert_idle();
        let status = wrong.step(right);
        let left = status["expires_at"].as_i64().unwrap() - (now() + right);
        assert!((3_500..=3_600).contains(&left), "{name}: {status}");
        wrong.assert_idle();
        assert_eq!(wrong.provider.asked().len(), 1, "{name}");
        wrong.row(name).write();
    }
}

#[test]
fn a_clock_that_is_set_while_the_agent_runs_moves_no_expiry() {
    let right = -11 * YEAR;
    let mut wrong = Wrong::start(right, right - 3_500, |_, _| ());
    // A life that is counted from its start.
    wrong.ask_for_refresh();
    wrong.wait_for_token(1);
    let steps = [right + 10 * YEAR, right - 10 * YEAR, in_1970(), right + DAY, right];
    for off in steps {
        let status = wrong.step(off);
        assert_eq!(status["state"], "active", "{off}: {status}");
        let left = status["expires_at"].as_i64().unwrap() - (now() + off);
        assert!((3_500..=3_600).contains(&left), "{off}: {left} {status}");
        wrong.assert_idle();
    }
    assert_eq!(wrong.provider.asked().len(), 1);
    let mut row = wrong.row("clock set by ±10 years, to 1970, by a day, and back");
    row.tried = steps.len();
    row.write();
}

#[test]
fn a_token_from_the_store_is_found_good_again_when_the_time_comes_from_the_network() {
    let mut wrong = Wrong::start(in_1970(), -600, |_, provider| provider.inflict(Fault::Refuse));
    let status = wrong.bench.subscriber.wait("oauth2mqtt/timed/status", |status| status["state"] == "expired").json;
    assert_eq!(status["needs_user"], false);
    let over = unix_now();
    let status = wrong.step(0);
    assert_eq!(status["state"], "active", "{status}");
    let token = wrong.bench.subscriber.wait("oauth2mqtt/timed/token", |token| token["access_token"].is_string());
    assert_eq!(token.json["access_token"], "seeded-access-timed");
    wrong
        .row("boot in 1970 without a network; NTP comes later, the provider does not")
        .recovered_in(Duration::from_secs_f64(token.arrived_at - over))
        .write();
}

#[test]
fn a_certificate_that_is_not_valid_yet_because_of_the_clock_is_named_as_such() {
    let mut wrong = Wrong::start(in_1970() + 20 * YEAR, -3_500, |bench, provider| {
        let folder = bench.folder().join("authority");
        let authority = Authority::make(&folder);
        provider.encrypt(server(&authority, "timed", &format!("IP:{}", provider.address().ip()), Made::Now));
        let endpoint = format!("https://{}/token", provider.address());
        bench.account("timed", &endpoint, &format!("ca_file = \"{}\"", folder.join("ca.pem").display()));
    });
    let has_failed = |status: &Value| status["error"]["code"] == "tls_failed";
    wrong.ask_for_refresh();
    let status = wrong.bench.subscriber.wait("oauth2mqtt/timed/status", has_failed).json;
    let message = status["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("not valid yet by this device's clock, which reads") && message.contains("1989"),
        "{message}"
    );
    wrong.step(0);
    let over = unix_now();
    wrong.ask_for_refresh();
    wrong.wait_for_token(1);
    let recovery = Duration::from_secs_f64((unix_now() - over).max(0.0));
    wrong.row("certificate not valid yet because of the clock").recovered_in(recovery).write();
}
