//! An agent at any broker, with accounts that nobody signs in to.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::clock::SOON;
use super::process::{Ended, Process};
use super::world::{binary, in_this_world};

/// See the module.
pub(crate) struct Device {
    folder: TempDir,
}

impl Device {
    pub(crate) fn new(mqtt: &str, accounts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("[mqtt]\n{mqtt}\n[store]\npath = \"{}/store\"\n", folder.path().display());
        for number in 0..accounts {
            write!(
                text,
                "[accounts.a{number:02}]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"x\"\nscopes = [\"openid\"]\n"
            )
            .unwrap();
        }
        fs::write(folder.path().join("config.toml"), text).unwrap();
        Self { folder }
    }

    pub(crate) fn at(port: u16, accounts: usize) -> Self {
        Self::new(&format!("url = \"mqtt://127.0.0.1:{port}\"\n"), accounts)
    }

    pub(crate) fn command(&self, argument: &str) -> Command {
        let mut command = Command::new(binary());
        in_this_world(&mut command, &self.folder.path().join("config.toml"));
        command.arg(argument);
        command
    }

    pub(crate) fn agent(&self) -> Process {
        Process::start("the agent", &mut self.command("run"))
    }

    pub(crate) fn status(&self) -> Ended {
        Process::start("the command", &mut self.command("status")).wait(SOON * 2)
    }

    /// Both the journal and the command line say this, and nothing of these.
    #[track_caller]
    pub(crate) fn both_say(&self, what: &str, not: &[&str]) {
        let mut agent = self.agent();
        agent.wait_for(what, SOON * 2, |agent| agent.stderr().contains(what).then_some(()));
        let ended = self.status();
        assert_eq!(ended.code(), 69, "{ended:?}");
        let log = agent.kill().stderr;
        for told in [&ended.stderr, &log] {
            assert!(told.contains(what), "{told}");
            for not in not {
                assert!(!told.contains(not), "{told}");
            }
        }
    }
}
