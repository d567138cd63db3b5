//! A program that a test started: what it writes is kept, and it never outlives the test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::clock::{SOON, wait_for};

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code; fails the test if a signal ended the program.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }
}

/// Returns a process and its children: the agent's database has a process of its own.
pub(crate) fn with_children(pid: Pid) -> Vec<Pid> {
    let is_child = |child: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
        // The name before it may have blanks and parentheses in it.
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(pid.as_raw_nonzero().get())
    };
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    [pid].into_iter().chain(entries.filter_map(Pid::from_raw).filter(is_child)).collect()
}

/// Returns the bytes that a process and its children had written to a disk, by the kernel's count.
#[track_caller]
pub(crate) fn written_by(pid: Pid) -> u64 {
    let written = |pid: Pid| keyed(&proc_file(pid, "io"))["write_bytes"];
    with_children(pid).into_iter().map(written).sum()
}

/// Reads a file of `/proc` about a process. Those of a process that keeps its memory to itself are for the superuser alone.
#[track_caller]
pub(crate) fn proc_file(pid: Pid, name: &str) -> String {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            String::from_utf8(run_tool(Command::new("sudo").args(["--non-interactive", "cat", &path]))).unwrap()
        }
        read => read.unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

/// Reads lines of a name, a colon and a number.
pub(crate) fn keyed(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.split_whitespace().next()?.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

impl Process {
    /// Starts it with nothing to read.
    #[track_caller]
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts it with somebody at its standard input.
    #[track_caller]
    pub(crate) fn start_with_input(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::piped()))
    }

    #[track_caller]
    fn spawn(name: &str, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{name} does not start: {error}. tests/run installs what the tests need ({command:?})")
        });
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&stdout)),
            collect(child.stderr.take().unwrap(), Arc::clone(&stderr)),
        ];
        Self { name: name.to_owned(), child, stdout, stderr, readers }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn write_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Types a line, once the program has asked for it.
    #[track_caller]
    pub(crate) fn answer(&mut self, question: &str, line: &str) {
        self.wait_for(question, SOON, |process| process.stdout().contains(question).then_some(()));
        self.write_line(line);
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until `find` finds something in what was written so far; fails if the program ends before.
    #[track_caller]
    pub(crate) fn wait_for<T>(&mut self, what: &str, limit: Duration, find: impl Fn(&Self) -> Option<T>) -> T {
        wait_for(&format!("{what} from {}", self.name), limit, || {
            if let Some(found) = find(self) {
                return Some(found);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                self.join_readers();
                let found = find(self);
                assert!(
                    found.is_some(),
                    "{} ended ({status}) before {what}:\n{}\n{}",
                    self.name,
                    self.stdout(),
                    self.stderr()
                );
                return found;
            }
            None
        })
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub(crate) fn wait(mut self, limit: Duration) -> Ended {
        let status = wait_for(&format!("the end of {}", self.name), limit, || self.child.try_wait().unwrap());
        self.join_readers();
        Ended { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(mut self) -> Ended {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        self.join_readers();
        Ended { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }
}

/// What each thread of a process is doing, by the kernel's word.
fn threads_of(pid: Pid) -> String {
    let folder = format!("/proc/{}/task", pid.as_raw_nonzero());
    let threads = fs::read_dir(folder).into_iter().flatten().flatten().map(|thread| {
        let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let state = read("status").lines().find_map(|line| line.strip_prefix("State:").map(str::to_owned));
        format!(
            "{}: {} in {}, ran and waited {} (ns, and slices), call {}",
            read("comm").trim(),
            state.unwrap_or_default().trim(),
            read("wchan"),
            read("schedstat").trim(),
            read("syscall").trim()
        )
    });
    threads.collect::<Vec<_>>().join("; ")
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() && self.is_running() {
            eprintln!("{} still runs: {}\n{}", self.name, threads_of(self.pid()), self.stderr());
        }
        // Whatever became of it: nothing is left running, and nothing left waiting to be reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut stream: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut piece = [0; 8 * 1024];
        loop {
            match stream.read(&mut piece) {
                Ok(length @ 1..) => into.lock().unwrap().extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A terminal that closes is an error, and an end like any other.
                Ok(0) | Err(_) => return,
            }
        }
    })
}

fn text(written: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&written.lock().unwrap()).into_owned()
}

/// Runs a tool to its end, and fails the test if it fails.
#[track_caller]
pub(crate) fn run_tool(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
