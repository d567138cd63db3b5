//! What the kernel knows of a process.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;

use crate::support::clock::wait_for;
use crate::support::process::{keyed, proc_file, with_children, written_by};

/// How long a thousand accounts may take.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Memory, in kilobytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    /// What it shares with others counted in part, as memory that would be free without it.
    pub(crate) pss: u64,
    /// The most that was resident since [`reset_peak`], or since the start.
    pub(crate) peak: u64,
}

/// What was done since the start of a process, by one thread or by all threads of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Doings {
    pub(crate) threads: u64,
    /// How often it went to sleep, and so was woken.
    pub(crate) wakeups: u64,
    /// Time on a processor, in seconds.
    pub(crate) cpu: f64,
}

/// The threads of a process by whose they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Threads {
    pub(crate) own: Doings,
    /// Those that the database keeps waiting.
    pub(crate) database: Doings,
}

/// Adds up the memory of a process and its children.
pub(crate) fn memory(pid: Pid) -> Memory {
    with_children(pid).into_iter().map(memory_of).fold(Memory::default(), |sum, one| Memory {
        rss: sum.rss + one.rss,
        pss: sum.pss + one.pss,
        peak: sum.peak + one.peak,
    })
}

/// The memory of one process.
pub(crate) fn memory_of(pid: Pid) -> Memory {
    let rollup = keyed(&proc_file(pid, "smaps_rollup"));
    let status = keyed(&proc_file(pid, "status"));
    Memory { rss: rollup["Rss"], pss: rollup["Pss"], peak: status["VmHWM"] }
}

/// Waits until an agent does nothing more for now: until it has slept for a while.
pub(crate) fn settle(pid: Pid) {
    let mut last = (u64::MAX, u64::MAX);
    wait_for("the agent to come to rest", LONG, || {
        std::thread::sleep(Duration::from_millis(500));
        let now = (threads(pid).own.wakeups, written_by(pid));
        let rests = now == last;
        last = now;
        rests.then_some(())
    });
}

/// From now on the peak is that from now on.
pub(crate) fn reset_peak(pid: Pid) {
    with_children(pid).into_iter().for_each(reset_peak_of);
}

fn reset_peak_of(pid: Pid) {
    let path = format!("/proc/{}/clear_refs", pid.as_raw_nonzero());
    match fs::write(&path, "5") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let status = Command::new("sudo").args(["sh", "-c", &format!("echo 5 >{path}")]).status().unwrap();
            assert!(status.success(), "{path} cannot be written");
        }
        written => written.unwrap(),
    }
}

pub(crate) fn threads(pid: Pid) -> Threads {
    let mut threads = Threads::default();
    let folder = |pid: Pid| fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    for entry in with_children(pid).into_iter().flat_map(folder) {
        let task = entry.unwrap().path();
        // One that ends meanwhile has nothing more to say.
        let Ok(status) = fs::read_to_string(task.join("status")) else { continue };
        let is_database = status.lines().next().is_some_and(|name| name.contains("sled-io"));
        let of = if is_database { &mut threads.database } else { &mut threads.own };
        of.threads += 1;
        of.wakeups += keyed(&status)["voluntary_ctxt_switches"];
        of.cpu += cpu(&task);
    }
    threads
}

/// The processor time of a process and of those below it that have ended, in seconds.
pub(crate) fn cpu_of(pid: Pid) -> f64 {
    let of_threads = threads(pid);
    of_threads.own.cpu + of_threads.database.cpu
}

impl Threads {
    /// What was done since `before`; the threads are those of now.
    pub(crate) fn since(self, before: Self) -> Self {
        let since = |now: Doings, before: Doings| Doings {
            threads: now.threads,
            wakeups: now.wakeups.saturating_sub(before.wakeups),
            cpu: now.cpu - before.cpu,
        };
        Self { own: since(self.own, before.own), database: since(self.database, before.database) }
    }
}

/// The kernel counts nanoseconds here, and in `stat` only ticks.
fn cpu(task: &Path) -> f64 {
    let Ok(schedstat) = fs::read_to_string(task.join("schedstat")) else { return 0.0 };
    let nanoseconds: u32 = 1_000_000_000;
    schedstat.split(' ').next().and_then(|time| time.parse::<f64>().ok()).unwrap_or(0.0) / f64::from(nanoseconds)
}
