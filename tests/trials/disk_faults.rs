//! A disk that fails: at each system call of the agent's life, with each error that a disk has.
//!
//! The calls of a start, a refresh, a sign-out and the rewriting of the database are counted first. Then the same life is
//! lived again and again, and strace makes one of the calls fail, or all from one on. When the disk works again, the agent
//! must still be the same process, everything must be written, and a restart must find it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::report::{Row, scaled, seed};
use crate::support::clock::{Deadline, SOON, wait_for, wait_until};
use crate::support::world::{Setup, World};

/// The calls by which a store is written. Of the first ones, only those on the store's own files count.
const CALLS: [&str; 8] =
    ["openat", "mkdir", "pwrite64", "fsync", "fdatasync", "sync_file_range", "rename", "ftruncate"];
const ERRORS: [&str; 5] = ["EIO", "ENOSPC", "EROFS", "EDQUOT", "ENODEV"];

/// The longest pause before the disk is tried again, and the time to write everything.
const RECOVERY: Duration = Duration::from_secs(90);

/// One way in which the disk fails.
#[derive(Debug)]
struct DiskFault {
    call: &'static str,
    error: &'static str,
    /// Which of a thread's calls fails, from one.
    number: usize,
    /// Whether all later ones fail too.
    stays: bool,
}

impl DiskFault {
    fn injection(&self) -> String {
        let Self { call, error, number, stays } = self;
        format!("inject={call}:error={error}:when={number}{}", if *stays { "+" } else { "" })
    }
}

/// Returns the command of the agent under strace, which writes to `trace` the calls named on the store's files.
fn traced(world: &World, trace: &Path, calls: &str, fault: Option<&DiskFault>) -> Command {
    let agent = world.command(&["--log", "debug", "run"]);
    let mut strace = Command::new("strace");
    strace.args(["-D", "-I2", "-f", "-qq", "-y", "-s", "0", "-e", "signal=none", "-o"]).arg(trace);
    strace.args(["-e", &format!("trace={calls}")]);
    if calls.contains("openat") {
        let store = world.store();
        strace.arg("-P").arg(&store);
        for name in ["copies", "copies.new", "sled", "sled/db", "sled/conf", "sled/blobs", "sled.new", "sled.old"] {
            strace.arg("-P").arg(store.join(name));
        }
    }
    if let Some(fault) = fault {
        strace.args(["-e", &fault.injection()]);
    }
    strace.arg(agent.get_program()).args(agent.get_args()).env_clear();
    strace.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}

/// Returns the agent's status of an account.
fn status(world: &World, account: &str) -> Value {
    world.subscriber.latest(&format!("oauth2mqtt/{account}/status")).map(|message| message.json).unwrap_or_default()
}

/// Starts the agent by `command`, refreshes one account and signs another one out, as far as the disk lets it.
///
/// Returns the point in time from which its messages are its own.
fn live(world: &mut World, command: Command) -> usize {
    let mark = world.subscriber.mark();
    world.start_agent_without_waiting(command);
    let told = |world: &World, text: &str| world.agent_log().contains(text);
    wait_until("the start", SOON, || is_online(world, mark) || told(world, "the store cannot be opened"));
    if !is_online(world, mark) {
        return mark;
    }
    for (verb, account) in [("refresh", "stays"), ("logout", "leaves")] {
        let pending = world.subscriber.send_request(verb, account);
        wait_until("the answer to a request", SOON, || world.subscriber.latest(&pending.topic).is_some());
    }
    mark
}

/// Returns whether an agent has come online since `mark`.
fn is_online(world: &World, mark: usize) -> bool {
    let states = world.subscriber.since(mark);
    states.iter().any(|m| m.topic == "oauth2mqtt/bridge/state" && m.json["state"] == "online")
}

/// Ends the fault: strace lets go of the agent, which goes on.
fn repair(world: &mut World) {
    let agent = world.agent().pid();
    let tracer = || {
        let status = fs::read_to_string(format!("/proc/{}/status", agent.as_raw_nonzero())).unwrap();
        status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok()).unwrap_or(0)
    };
    if let Some(pid) = Pid::from_raw(tracer()) {
        // It may end by itself in this moment.
        let _ = kill_process(pid, Signal::TERM);
    }
    wait_until("the end of strace", SOON, || tracer() == 0);
}

/// Counts the calls of the life that `live` lives: of each, those of the thread that makes the most.
fn counted(world: &mut World) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for calls in [&CALLS[..2], &CALLS[2..]] {
        let trace = world.folder().join("counted");
        let command = traced(world, &trace, &calls.join(","), None);
        let mark = live(world, command);
        repair(world);
        settle(world, mark);
        world.stop_agent();
        let trace = fs::read_to_string(&trace).unwrap();
        for call in calls {
            // strace counts the calls of each thread by itself.
            let mut threads = BTreeMap::<_, usize>::new();
            for (thread, called) in trace.lines().filter_map(|line| line.split_once(' ')) {
                if called.trim_start().starts_with(&format!("{call}(")) {
                    *threads.entry(thread).or_default() += 1;
                }
            }
            counts.insert(*call, threads.into_values().max().unwrap_or(0));
        }
    }
    counts
}

/// Waits until everything is written and as it should be, then signs the account in again that was signed out.
fn settle(world: &mut World, mark: usize) {
    wait_until("an agent that is online", RECOVERY, || is_online(world, mark));
    let is_good = |status: &Value, state: &str| status["state"] == state && status["error"].is_null();
    let deadline = Deadline::within(RECOVERY);
    wait_for("a store that works again", RECOVERY + SOON, || {
        assert!(world.agent().is_running(), "the agent died: {}", world.agent_log());
        let stays = status(world, "stays");
        assert!(stays["needs_user"] != true, "the sign-in is lost: {stays}\n{}", world.agent_log());
        assert!(!deadline.has_passed(), "{stays} {}\n{}", status(world, "leaves"), world.agent_log());
        is_good(&stays, "active").then_some(())
    });
    // A sign-out that the disk refused was answered with its failure, and is asked for again.
    if status(world, "leaves")["state"] != "signed_out" {
        assert_eq!(world.subscriber.request("logout", "leaves")["status"], "ok");
    }
    wait_for("the end of the sign-out", SOON, || is_good(&status(world, "leaves"), "signed_out").then_some(()));
    world.sign_in("leaves");
}

/// Lives once with a fault; returns whether the agent came as far as the call that fails.
fn survives(world: &mut World, fault: &DiskFault) -> bool {
    eprintln!("{}", fault.injection());
    let trace = world.folder().join("trace");
    let command = traced(world, &trace, fault.call, Some(fault));
    let mark = live(world, command);
    repair(world);
    settle(world, mark);
    assert_eq!(world.refresh("stays")["status"], "ok");
    let log = world.agent_log();
    assert!(log.matches("the store failed").count() <= 3, "told again and again: {log}");
    world.kill_agent();
    // What was safe is there after the end.
    world.start_agent();
    for account in ["stays", "leaves"] {
        world.wait_for_state(account, "active");
    }
    assert_eq!(world.refresh("stays")["status"], "ok");
    world.stop_agent();
    fs::read_to_string(&trace).unwrap().contains("(INJECTED)")
}

#[test]
fn no_failing_call_of_the_disk_ends_the_agent_or_a_sign_in() {
    let mut world = Setup::new().account("stays").account("leaves").start();
    for account in ["stays", "leaves"] {
        world.sign_in(account);
    }
    world.stop_agent();
    let counts = counted(&mut world);
    let mut faults = Vec::new();
    for (call, count) in &counts {
        for number in 1..=*count {
            for error in ERRORS {
                faults.extend([false, true].map(|stays| DiskFault { call, error, number, stays }));
            }
        }
    }
    // sled shortens its file only when the last segments of it are free, which this life seldom comes to.
    let is_counted = |call: &&str| counts[call] > 0 || *call == "ftruncate";
    assert!(CALLS.iter().all(is_counted) && counts.values().sum::<usize>() >= 30, "too few calls: {counts:?}");
    let all = faults.len();
    let mut chance = Rng::with_seed(seed());
    chance.shuffle(&mut faults);
    faults.truncate(scaled(12, all));
    // Whatever the sample is, this one is in it: sled panics.
    faults.push(DiskFault { call: "fsync", error: "EIO", number: 1, stays: true });
    let tried = faults.iter().filter(|fault| survives(&mut world, fault)).count();
    assert!(tried * 2 > faults.len(), "{tried} of {} faults were reached", faults.len());
    Row::new("a call of the disk fails: start, refresh, sign-out, rewrite", tried)
        .remark(format!("{counts:?}, {} errors: {all} faults; died 0", ERRORS.len()))
        .write();
}
