//! What came of it: the files that were left, and the closing page.

use std::fmt::{self, Display};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::failure::{Attempted as _, Failure};
use crate::flow::Retained;
use crate::program::{Log, Memory};
use crate::provider::Tally;

/// Everything that lies in a folder.
pub(crate) struct Inventory {
    root: PathBuf,
    entries: Vec<Entry>,
    secrets: usize,
}

struct Entry {
    path: PathBuf,
    mode: u32,
    /// `None` for a folder.
    bytes: Option<u64>,
}

impl Inventory {
    /// Lists `root`, and looks for each of `secrets` in its files and in the agent's log.
    pub(crate) fn take(root: &Path, secrets: &[String], log: &Log) -> Result<Self, Failure> {
        let mut inventory = Self { root: root.to_owned(), entries: Vec::new(), secrets: secrets.len() };
        inventory.add(root, secrets)?;
        inventory.entries.sort_by(|a, b| a.path.cmp(&b.path));
        if secrets.iter().any(|secret| log.contains(secret)) {
            return Err(Failure::new("a token stands in the log of the agent"));
        }
        Ok(inventory)
    }

    fn add(&mut self, folder: &Path, secrets: &[String]) -> Result<(), Failure> {
        let listed: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
        for entry in listed.attempted("list the stored files")? {
            let path = entry.path();
            let metadata = entry.metadata().attempted("look at the stored files")?;
            let mode = metadata.permissions().mode() & 0o777;
            if metadata.is_dir() {
                self.entries.push(Entry { path: path.clone(), mode, bytes: None });
                self.add(&path, secrets)?;
                continue;
            }
            let content = fs::read(&path).attempted("read the stored files")?;
            let holds = |secret: &String| content.windows(secret.len()).any(|window| window == secret.as_bytes());
            if secrets.iter().any(holds) {
                return Err(Failure::new(format!("a token stands in clear text in {}", path.display())));
            }
            self.entries.push(Entry { path, mode, bytes: Some(metadata.len()) });
        }
        Ok(())
    }
}

/// What is told at the end.
pub(crate) struct Facts {
    pub(crate) total: Duration,
    pub(crate) signed_in_after: Duration,
    pub(crate) refreshes: [Duration; 2],
    pub(crate) away: Duration,
    pub(crate) calls: u32,
    pub(crate) provider: Tally,
    pub(crate) memory: Memory,
    pub(crate) retained: Vec<Retained>,
    pub(crate) inventory: Inventory,
}

impl Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f32());
        let [first, second] = self.refreshes.map(seconds);
        let tally = self.provider;
        writeln!(f, "\nSummary of {}", seconds(self.total))?;
        row(f, "signed in", &format!("once, {} after the agent was started", seconds(self.signed_in_after)))?;
        row(f, "refreshes", &format!("after {first} and {second}; each new token came before the old one expired"))?;
        row(
            f,
            "power cut",
            &format!("the flow had a token again after {} ms; nobody was asked", self.away.as_millis()),
        )?;
        row(f, "the flow", &format!("{} calls with a published token, all answered 200 OK", self.calls))?;
        row(
            f,
            "provider",
            &format!(
                "{} sign-in, {} refreshes, {} polls ({} too fast), {} spent refresh tokens shown again",
                tally.sign_ins, tally.refreshes, tally.polls, tally.polls_too_fast, tally.spent_tokens_seen
            ),
        )?;
        let (resident, data) = (self.memory.resident_kib, self.memory.data_kib);
        let text = format!(
            "the agent: {} resident, {} of data and {} of code, which here has the demo in it",
            mebibytes(resident),
            mebibytes(data),
            mebibytes(resident.saturating_sub(data))
        );
        row(f, "memory", &text)?;
        let scanned =
            format!("{}, with none of {} secrets in clear text", self.inventory.root.display(), self.inventory.secrets);
        row(f, "on disk", &scanned)?;
        for entry in &self.inventory.entries {
            writeln!(f, "    {}", entry.line(&self.inventory.root))?;
        }
        row(f, "at the broker", "what a flow that starts now gets at once, before the logout")?;
        for (topic, bytes) in &self.retained {
            writeln!(f, "    {topic:<28} {bytes:>8} B")?;
        }
        Ok(())
    }
}

impl Entry {
    fn line(&self, root: &Path) -> String {
        let name = self.path.strip_prefix(root).unwrap_or(&self.path).display().to_string();
        match self.bytes {
            Some(bytes) => format!("{name:<28} {bytes:>8} B   {:04o}", self.mode),
            None => format!("{:<28} {:>8}     {:04o}", name + "/", "", self.mode),
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<14} {text}")
}

fn mebibytes(kib: u64) -> String {
    format!("{}.{} MB", kib / 1024, kib % 1024 * 10 / 1024)
}
