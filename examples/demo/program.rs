//! The real program in processes of its own.
//!
//! `cargo run --example` does not build the binary `oauth2mqtt`, so this program starts itself again under that name, which
//! makes it be nothing but that binary.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::stage::{Stage, Who};

/// The name of a process that is to be the program. The agent gives it to the process of its database too.
const NAME: &str = "oauth2mqtt";

/// What must not reach the program from whoever runs the demo: other folders and secrets, and proxies, which would be
/// asked for addresses on loopback.
const NOT_INHERITED: [&str; 12] = [
    "OAUTH2MQTT_CONFIG",
    "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

const TIME_TO_STOP: Duration = Duration::from_secs(5);

/// Runs the program, if this process was started to be it.
pub(crate) fn if_asked_for() -> Option<ExitCode> {
    env::args_os().next().filter(|name| name == NAME)?;
    // Even a demo that is killed leaves no agent behind.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    Some(oauth2mqtt::cli::main())
}

/// A process of the program; it is ended when this is dropped.
pub(crate) struct Program(Child);

impl Program {
    /// Starts `oauth2mqtt --config CONFIG run`. What it logs is shown line by line, and kept in `log`.
    pub(crate) fn agent(config: &Path, stage: &Stage, log: &Log) -> io::Result<Self> {
        let mut command = command(config, ["run"])?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(stderr) = child.stderr.take() {
            let (stage, log) = (stage.clone(), log.clone());
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    stage.say(Who::Agent, without_time(&line));
                    log.add(&line);
                }
            });
        }
        Ok(Self(child))
    }

    /// Starts another command of the program on the terminal of the demo.
    pub(crate) fn on_terminal<'a>(config: &Path, words: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        command(config, words)?.stdin(Stdio::null()).spawn().map(Self)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Asks the process to end, as systemd does, and waits until it has.
    pub(crate) async fn stop(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM);
        match tokio::time::timeout(TIME_TO_STOP, self.ended()).await {
            Ok(ended) => ended,
            Err(_) => Err(io::Error::other("it does not end when asked to (SIGTERM)")),
        }
    }

    /// Ends the process at once, as a power cut does.
    pub(crate) fn cut_off(mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// What the process needs of the machine's memory now.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        Ok(Memory { resident_kib: field("VmRSS:"), data_kib: field("RssAnon:") })
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.0), signal);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        self.signal(Signal::TERM);
        let until = Instant::now() + TIME_TO_STOP;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Resident memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it (RSS).
    pub(crate) resident_kib: u64,
    /// What is no part of a file, such as the program and its libraries are.
    pub(crate) data_kib: u64,
}

/// Everything that the agent logged. Clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, line: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(line);
        log.push('\n');
    }

    /// Whether `text` stands anywhere in the log.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(text)
    }
}

/// A line of the log as it stands in the journal, which has a time of its own.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) && time.ends_with('Z') => {
            rest.trim_start()
        }
        _ => line,
    }
}

fn command<'a>(config: &Path, words: impl IntoIterator<Item = &'a str>) -> io::Result<Command> {
    let this: PathBuf = env::current_exe()?;
    let mut command = Command::new(this);
    command.arg0(NAME).args([OsStr::new("--config"), config.as_os_str()]).args(words);
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    Ok(command)
}
