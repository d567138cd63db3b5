//! What a process asked of the kernel, in its order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::{binary, in_this_world};

/// A trace in the making.
pub(crate) struct Strace(PathBuf);

/// One call of the kernel. It began and ended at these lines of the trace: between them, other threads had their turn.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) began: usize,
    pub(crate) ended: usize,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Strace {
    /// The agent under strace, which is its child and not its parent, so that signals reach the agent itself.
    pub(crate) fn of_agent(config: &Path, output: PathBuf) -> (Self, Command) {
        let mut command = Command::new("strace");
        in_this_world(&mut command, config);
        command.args(["-D", "-f", "-qq", "-yy", "-s", "100000", "-e", "signal=none", "-o"]).arg(&output);
        command.args(["-e", "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync"]);
        command.arg(binary()).args(["--log", "trace", "run"]);
        (Self(output), command)
    }

    /// Every call, by when it began. To be asked when the agent has ended.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let trace = String::from_utf8_lossy(&fs::read(&self.0).unwrap()).into_owned();
        let mut calls: Vec<Call> = Vec::new();
        // By process id: the call that another thread's line has cut in two.
        let mut unfinished = std::collections::HashMap::new();
        for (number, line) in trace.lines().enumerate() {
            let Some((pid, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            if let Some(resumed) = rest.strip_prefix("<... ") {
                let Some(index) = unfinished.remove(pid) else { continue };
                let call: &mut Call = &mut calls[index];
                call.ended = number;
                call.text.push_str(resumed);
                continue;
            }
            let Some((name, _)) = rest.split_once('(') else { continue };
            if rest.ends_with("<unfinished ...>") {
                unfinished.insert(pid.to_owned(), calls.len());
            }
            calls.push(Call { began: number, ended: number, name: name.to_owned(), text: rest.to_owned() });
        }
        calls
    }
}

impl Call {
    /// Whether it took something in from the port, with `needle` in it.
    pub(crate) fn receives(&self, needle: &str, port: u16) -> bool {
        matches!(self.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg") && self.concerns(needle, port)
    }

    /// Whether it sent something to the port, with `needle` in it.
    pub(crate) fn sends(&self, needle: &str, port: u16) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg") && self.concerns(needle, port)
    }

    /// Whether it wrote to a file below `folder`.
    pub(crate) fn writes_to(&self, folder: &Path) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "pwrite64") && self.is_below(folder)
    }

    /// Whether it made a file below `folder` safe on the disk.
    pub(crate) fn syncs(&self, folder: &Path) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.is_below(folder) && self.text.ends_with("= 0")
    }

    fn concerns(&self, needle: &str, port: u16) -> bool {
        self.text.contains(&format!(":{port}]>")) && self.text.contains(needle)
    }

    fn is_below(&self, folder: &Path) -> bool {
        self.text.contains(&format!("<{}/", folder.display()))
    }
}
