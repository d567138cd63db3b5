//! What a user would pick instead, measured in the same way against the same broker and provider.

mod node_red;
mod oidc_agent;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;

use crate::figures::{Effort, number, plural};
use crate::reading::{self, Memory};
use crate::support::clock::{SOON, wait_until};
use crate::support::process::{run_tool, written_by};
use crate::table::{Table, Who};

pub(crate) fn peers(table: &mut Table, effort: Effort) {
    node_red::measure(table, effort);
    oidc_agent::measure(table, effort);
}

/// Where Node-RED and its OAuth node are, as the lockfile beside this file has them.
pub(crate) fn node_modules() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/node_modules");
    assert!(folder.is_dir(), "the peers are not installed; run tests/bench/run");
    folder
}

/// The program that runs Node-RED.
pub(crate) fn node() -> PathBuf {
    let path = run_tool(Command::new("node").args(["--print", "process.execPath"]));
    PathBuf::from(String::from_utf8(path).unwrap().trim())
}

/// Waits until a peer that has started does nothing more.
fn rest(pid: Pid) {
    let mut before = f64::NEG_INFINITY;
    wait_until("a peer that does nothing", 3 * SOON, || {
        std::thread::sleep(Duration::from_secs(2));
        let now = reading::cpu_of(pid);
        let rests = now - before < 0.02;
        before = now;
        rests
    });
}

/// What was measured of a peer at its starts.
#[derive(Default)]
struct Starts {
    /// From the start to the last token, in milliseconds.
    times: Vec<f64>,
    /// Processor time until then, in milliseconds.
    cpu: Vec<f64>,
    /// The most memory until then, in kilobytes.
    peak: Vec<f64>,
    at_rest: Vec<Memory>,
}

impl Starts {
    /// Takes down what a peer that began at `started_at` has taken for the tokens that are there since `ended_at`.
    fn take(&mut self, pid: Pid, started_at: f64, ended_at: f64) {
        self.times.push((ended_at - started_at) * 1_000.0);
        self.cpu.push(reading::cpu_of(pid) * 1_000.0);
        self.peak.push(number(reading::memory(pid).peak));
    }

    /// Adds them under the names that the agent's figures have.
    fn add_to(self, table: &mut Table, who: Who, accounts: usize) {
        let of = plural(accounts);
        let kib = |of: fn(&Memory) -> u64| self.at_rest.iter().map(|it| number(of(it))).collect();
        table.begin("Memory");
        table.add_of(who, format!("PSS at rest, {of}"), "KiB", kib(|it| it.pss));
        table.add_of(who, format!("RSS at rest, {of}"), "KiB", kib(|it| it.rss));
        table.add_of(who, format!("peak RSS at the start, {of}"), "KiB", self.peak.clone());
        table.begin("Start");
        table.add_of(who, format!("start to the last token, {of}"), "ms", self.times.clone());
        table.begin("All due at once");
        table.add_of(who, format!("start to the last new token, {of}"), "ms", self.times);
        table.add_of(who, format!("processor time, {of}"), "ms", self.cpu);
        table.add_of(who, format!("peak RSS, {of}"), "KiB", self.peak);
    }
}

/// What a peer and its children do while there is nothing to do, under the names that the agent's figures have.
fn idle(pid: Pid, table: &mut Table, who: Who, effort: Effort) {
    let minutes = effort.piece().as_secs_f64() / 60.0;
    let (mut wakeups, mut cpu, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs {
        let (before, written) = (reading::threads(pid), written_by(pid));
        std::thread::sleep(effort.piece());
        let done = reading::threads(pid).since(before).own;
        wakeups.push(number(done.wakeups) / minutes);
        cpu.push(done.cpu * 1_000.0 / minutes);
        bytes.push(number(written_by(pid) - written) * 60.0 / minutes);
    }
    table.begin("At rest");
    table.add_of(who, "threads of its own", "", vec![number(reading::threads(pid).own.threads)]);
    table.add_of(who, "wake-ups of its own", "per min", wakeups);
    table.add_of(who, "processor time of its own", "ms per min", cpu);
    table.add_of(who, "written to disk", "B per h", bytes);
}
