//! oidc-agent of the distribution: two processes, which keep account configurations encrypted and tokens in memory.
//!
//! It publishes nothing; an account counts as there once `oidc-add` has loaded it, for which it asks the provider.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::{Starts, idle, rest};
use crate::device::Device;
use crate::figures::{Effort, number};
use crate::reading;
use crate::support::clock::unix_now;
use crate::support::process::{run_tool, written_by};
use crate::table::{Table, Who};

const WHO: Who = Who::OidcAgent;

/// An agent with its home, where its configurations are.
struct OidcAgent {
    home: PathBuf,
    pid: Pid,
    socket: String,
}

pub(super) fn measure(table: &mut Table, effort: Effort) {
    for accounts in [1, 100] {
        let device = Device::new(accounts, "");
        let home = device.folder().join("home");
        fs::create_dir_all(home.join(".oidc-agent")).unwrap();
        let first = OidcAgent::start(home.clone());
        for number in 1..=accounts {
            first.register(&device, number);
        }
        drop(first);
        let (mut starts, mut written) = (Starts::default(), Vec::new());
        let runs = effort.runs;
        for run in 0..runs {
            let started_at = unix_now();
            let agent = OidcAgent::start(home.clone());
            for number in 1..=accounts {
                agent.load(number);
            }
            let pid = agent.pid;
            starts.take(pid, started_at, unix_now());
            written.push(number(written_by(pid)) / number(u64::try_from(accounts).unwrap()));
            rest(pid);
            starts.at_rest.push(reading::memory(pid));
            if run + 1 == runs && accounts == 1 {
                idle(pid, table, WHO, effort);
            }
        }
        if accounts == 1 {
            table.begin("Refresh");
            table.add_of(WHO, "written per refresh, as the kernel counts", "B", written);
        }
        starts.add_to(table, WHO, accounts);
    }
}

impl OidcAgent {
    fn start(home: PathBuf) -> Self {
        // It goes into the background, and says where it is.
        let said = run_tool(Command::new("oidc-agent").env("HOME", &home));
        let said = String::from_utf8(said).unwrap();
        let variable = |name: &str| said.split_once(name).unwrap().1.split_once(';').unwrap().0.to_owned();
        let pid = Pid::from_raw(variable("OIDCD_PID=").parse().unwrap()).unwrap();
        let socket = variable("OIDC_SOCK=");
        Self { home, pid, socket }
    }

    fn register(&self, device: &Device, number: usize) {
        let mut command = self.client("oidc-gen");
        command.args([&format!("a{number}"), "--manual", "--issuer", &device.provider.issuer()]);
        command.args(["--client-id", "gateway", "--client-secret", "secret", "--scope", "openid offline_access"]);
        command.args(["--rt", &format!("first-{number}"), "--prompt", "none"]);
        run_tool(&mut command);
    }

    fn load(&self, number: usize) {
        run_tool(self.client("oidc-add").arg(format!("a{number}")));
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", &self.home).env("OIDC_SOCK", &self.socket).env("OIDC_ENCRYPTION_PW", "password");
        command.arg("--pw-env").stdin(std::process::Stdio::null());
        command
    }
}

impl Drop for OidcAgent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(self.pid, Signal::TERM);
    }
}
