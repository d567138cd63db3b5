//! Runs the agent.

use std::path::Path;

use rustix::fs::Mode;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::LogLevel;
use super::exit::{Exit, Failure};
use super::journal::Journal;
use super::terminal::Terminal;
use crate::agent::{self, Origin, RunError};
use crate::config::{self, Configuration, Environment};

pub(super) fn run(config: &Path, level: LogLevel) -> Result<(), Failure> {
    keep_to_itself();
    let journal = Journal::start(std::io::stderr())
        .map_err(|error| Failure::new(Exit::Failed, format!("the log cannot start: {error}.")))?;
    start_log(level, &journal);
    let result = run_agent(config);
    journal.flush();
    result
}

fn run_agent(config: &Path) -> Result<(), Failure> {
    let environment = Environment::from_process();
    let Configuration { settings, warnings } = config::load(config, &environment)?;
    // Consumed here: what is still held once the agent runs is held for months.
    for warning in warnings {
        tracing::warn!("{}", warning.in_file(config));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("the async runtime cannot start: {error}.")))?;
    let origin = Origin { path: config.to_owned(), environment };
    runtime.block_on(agent::run(settings, origin)).map_err(|error| {
        let exit = match error {
            RunError::Store(_) | RunError::System(_) => Exit::Failed,
            RunError::Broker(_) | RunError::Account(..) => Exit::Config,
        };
        Failure::new(exit, error.to_string())
    })
}

/// No core file has this process's memory in it, no other process of its user may read it, and files are its own.
fn keep_to_itself() {
    // A kernel that refuses this leaves things as they are for every other process too.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    umask(Mode::RWXG | Mode::RWXO);
    if memory_may_be_locked(&std::fs::read_to_string("/proc/self/limits").unwrap_or_default()) {
        // Pages are locked once they are used: more than that would take the memory of every stack as a whole.
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}

/// Returns whether this process may keep all its memory out of swap, by its limits (proc(5)). With a limit on locked memory, an
/// allocation beyond it would fail. They are read as text, because a filter of system calls may refuse prlimit(2), and rustix takes
/// that for impossible.
fn memory_may_be_locked(limits: &str) -> bool {
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    limit.and_then(|limit| limit.split_whitespace().next()) == Some("unlimited")
}

/// Logs to standard error: of this program alone, because only of it is it known that no secret is in what it writes.
fn start_log(level: LogLevel, journal: &Journal) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(journal.clone())
        .with_ansi(Terminal::stderr().obeys)
        .with_target(false);
    let registry = tracing_subscriber::registry().with(Targets::new().with_target("oauth2mqtt", level));
    // The journal has its own clock.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(lines.without_time()).init();
    } else {
        registry.with(lines).init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_locked_only_without_a_limit() {
        let limits = |soft: &str| {
            format!("Max open files  unlimited  unlimited  files\nMax locked memory         {soft}  unlimited  bytes\n")
        };
        assert!(memory_may_be_locked(&limits("unlimited")));
        assert!(!memory_may_be_locked(&limits("8388608")) && !memory_may_be_locked(""));
    }
}
