//! Cuts the power at the steps of a recorded life, and looks at what is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use oauth2mqtt::testing::StoredRecord;
use oauth2mqtt::testing::clock::{self, Confidence};
use oauth2mqtt::testing::store::Machine;
use oauth2mqtt::testing::store::{self, Opened};

use super::disk::{Cut, Disk};
use super::store_settings;
use super::trace::Step;
use crate::report::seed;

/// What somebody was told of an account, which must hold from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It has this access token.
    Token(String),
    /// It is signed out.
    Gone,
}

/// Finds in what was sent what was told of which account.
pub(super) type Listener = fn(&[u8]) -> Vec<(String, Told)>;

/// A recorded life.
pub(super) struct Trial {
    steps: Vec<Step>,
    root: PathBuf,
    /// Everything that was told of an account, in its order, each with the step that told it.
    history: BTreeMap<String, Vec<(usize, Told)>>,
}

/// What a trial came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) steps: usize,
    pub(super) images: usize,
    pub(super) sign_ins: usize,
    pub(super) rotations: usize,
    pub(super) looked_at: usize,
}

/// An image, and what must be in it.
pub(super) struct Image<'a> {
    pub(super) folder: &'a Path,
    pub(super) expected: BTreeMap<&'a str, Expected<'a>>,
}

/// What was told last of an account when the power went, or anything later.
pub(super) struct Expected<'a> {
    history: &'a [(usize, Told)],
    last: usize,
}

impl Trial {
    pub(super) fn new(steps: Vec<Step>, root: &Path, listen: Listener) -> Self {
        let mut history: BTreeMap<_, Vec<(usize, Told)>> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            let Step::Told(bytes) = step else { continue };
            for (account, told) in listen(bytes) {
                let of_account = history.entry(account).or_default();
                if of_account.last().is_none_or(|(_, last)| *last != told) {
                    of_account.push((index, told));
                }
            }
        }
        Self { steps, root: root.to_owned(), history }
    }

    /// Makes about `count` images, and looks with `look` at about `looks` of them before the store is opened from each.
    #[track_caller]
    pub(super) fn run(&self, count: usize, looks: usize, mut look: impl FnMut(&Image<'_>)) -> Tally {
        let seed = seed();
        let mut chance = Rng::with_seed(seed);
        let mut disk = Disk::new(&self.root);
        let of_store = self.steps.iter().filter(|step| !matches!(step, Step::Told(_))).count();
        let tokens = |told: &&(usize, Told)| matches!(told.1, Told::Token(_));
        let told: usize = self.history.values().map(|history| history.iter().filter(tokens).count()).sum();
        let sign_ins = self.history.len();
        let mut tally = Tally { steps: of_store, sign_ins, rotations: told - sign_ins, ..Tally::default() };
        let mut due = 0;
        let mut troubles = Vec::new();
        // In memory where that is possible: the disk that is tested is not the one of this machine.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent).unwrap();
        for (index, step) in self.steps.iter().enumerate() {
            disk.take(step);
            let weight = match step {
                Step::Told(_) => continue,
                Step::Write { .. } | Step::SetLength(..) => 1,
                // Where the order of names and data matters most.
                _ => 2,
            };
            // About half of the steps weigh two.
            due += 2 * weight * count;
            while due >= 3 * of_store {
                due -= 3 * of_store;
                let cut = match tally.images % 8 {
                    0 => Cut::NothingMore,
                    1 => Cut::Everything,
                    2..=4 => Cut::NamesInOrder,
                    _ => Cut::AnyChoice,
                };
                let path = folder.path().join("store");
                let _ = fs::remove_dir_all(&path);
                disk.image(cut, &mut chance, &path);
                let image = Image { folder: &path, expected: self.expected(index) };
                tally.images += 1;
                if tally.looked_at < looks * tally.images / count {
                    tally.looked_at += 1;
                    look(&image);
                }
                if let Some(trouble) = image.trouble() {
                    troubles.push(format!("step {index} ({}), {cut:?}: {trouble}", shown(step)));
                }
            }
        }
        let first: Vec<_> = troubles.iter().take(12).collect();
        assert!(troubles.is_empty(), "seed {seed}: {} of {} images: {first:#?}", troubles.len(), tally.images);
        tally
    }

    fn expected(&self, at: usize) -> BTreeMap<&str, Expected<'_>> {
        let last = |history: &[(usize, Told)]| history.iter().rposition(|(step, _)| *step <= at);
        let of = |history| Some(Expected { history, last: last(history)? });
        self.history.iter().filter_map(|(name, history)| Some((name.as_str(), of(history)?))).collect()
    }
}

impl Image<'_> {
    /// Opens the store from the image, and says what is wrong with it.
    fn trouble(&self) -> Option<String> {
        let opened = match store::open(
            &store_settings(self.folder),
            Machine::this().as_ref(),
            (clock::now(), Confidence::Vouched),
            |_| (),
        ) {
            Err(error) => return Some(format!("it does not open: {error}")),
            Ok(opened) => opened,
        };
        if let Some(aside) = &opened.set_aside {
            return Some(format!("it was set aside: {}", aside.reason));
        }
        for (account, expected) in &self.expected {
            let found = match found(&opened, account) {
                Ok(found) => found,
                Err(trouble) => return Some(trouble),
            };
            if !expected.allows(&found) {
                return Some(format!("{account}: {}", expected.unlike(&found)));
            }
        }
        None
    }
}

impl Expected<'_> {
    /// A token that nobody was told of is newer than all that somebody was told.
    fn allows(&self, found: &Told) -> bool {
        let is_new = matches!(found, Told::Token(_)) && self.place(found).is_none();
        is_new || self.history[self.last..].iter().any(|(_, told)| told == found)
    }

    /// Whether the account must be signed in.
    pub(super) fn is_signed_in(&self) -> bool {
        self.history[self.last..].iter().all(|(_, told)| *told != Told::Gone)
    }

    fn place(&self, found: &Told) -> Option<usize> {
        self.history.iter().position(|(_, told)| told == found)
    }

    fn unlike(&self, found: &Told) -> String {
        let what =
            if *found == Told::Gone { "it is signed out".to_owned() } else { format!("{:?}", self.place(found)) };
        format!("{what}, and state {} of {} was told", self.last, self.history.len())
    }
}

fn found(opened: &Opened, account: &str) -> Result<Told, String> {
    match opened.records.iter().find(|(name, _)| name.as_str() == account) {
        None => Ok(Told::Gone),
        Some((_, StoredRecord::Unreadable(fault))) => Err(fault.to_string()),
        Some((_, StoredRecord::Record(record))) => Ok(match &record.signed_in {
            None => Told::Gone,
            Some(signed_in) => Told::Token(signed_in.tokens.access_token.expose().to_owned()),
        }),
    }
}

fn shown(step: &Step) -> String {
    match step {
        Step::Write { path, at, bytes } => format!("write {} at {at} to {}", bytes.len(), path.display()),
        other => format!("{other:?}"),
    }
}
