//! What a user would pick instead, measured in the same way against the same broker and provider.

mod node_red;
mod oidc_agent;

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Pid;

use crate::figures::{Effort, number};
use crate::reading::{self, Memory, Threads};
use crate::support::process::run_tool;
use crate::table::Table;

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

/// A peer that consists of several processes is the sum of them.
struct Processes(Vec<Pid>);

impl Processes {
    /// A process and those that it started.
    fn of(pid: Pid) -> Self {
        let children = format!("/proc/{0}/task/{0}/children", pid.as_raw_nonzero());
        let children = std::fs::read_to_string(children).unwrap();
        let children = children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?));
        Self(children.chain([pid]).collect())
    }

    fn memory(&self) -> Memory {
        self.0.iter().map(|pid| reading::memory(*pid)).fold(Memory::default(), |sum, one| Memory {
            rss: sum.rss + one.rss,
            pss: sum.pss + one.pss,
            peak: sum.peak + one.peak,
        })
    }

    fn threads(&self) -> Threads {
        self.0.iter().map(|pid| reading::threads(*pid)).fold(Threads::default(), |mut sum, one| {
            sum.own.threads += one.own.threads;
            sum.own.wakeups += one.own.wakeups;
            sum.own.cpu += one.own.cpu;
            sum
        })
    }

    fn cpu(&self) -> f64 {
        self.threads().own.cpu
    }

    fn written(&self) -> u64 {
        self.0.iter().map(|pid| reading::written(*pid)).sum()
    }

    /// What they do while there is nothing to do, under the names that the agent's figures have.
    fn idle(&self, table: &mut Table, who: crate::table::Who, effort: Effort) {
        let minutes = effort.piece().as_secs_f64() / 60.0;
        let (mut wakeups, mut cpu, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.runs {
            let (before, written) = (self.threads(), self.written());
            std::thread::sleep(effort.piece());
            let done = self.threads().since(before).own;
            wakeups.push(number(done.wakeups) / minutes);
            cpu.push(done.cpu * 1_000.0 / minutes);
            bytes.push(number(self.written() - written) * 60.0 / minutes);
        }
        table.begin("At rest");
        table.add_of(who, "threads of its own", "", vec![number(self.threads().own.threads)]);
        table.add_of(who, "wake-ups of its own", "per min", wakeups);
        table.add_of(who, "processor time of its own", "ms per min", cpu);
        table.add_of(who, "written to disk", "B per h", bytes);
    }
}
