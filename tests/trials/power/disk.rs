//! A disk as harsh as POSIX allows: what was not synced may be there, or not, or in part.
//!
//! Of a file, what was written since its last sync may be there by sectors, in any choice of them, and its length may be
//! any it had meanwhile. Of a folder, each name that was made, changed or removed since the folder's last sync may be in
//! either state, in any choice of them: syncing a file does not make its name safe. `sync_file_range` counts for nothing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::trace::Step;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Names one file or folder, whatever it is called.
type Inode = usize;

#[derive(Clone, Debug)]
enum Node {
    File { synced: Vec<u8>, pending: Vec<Change>, now: Vec<u8> },
    Folder { synced: Names, pending: Vec<Naming>, now: Names },
}

type Names = BTreeMap<OsString, Inode>;

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A change of names in one folder, which happens as one.
#[derive(Clone, Debug)]
struct Naming {
    add: Option<(OsString, Inode)>,
    remove: Option<OsString>,
}

/// What becomes of everything that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// None of it was written.
    NothingMore,
    /// All of it was, as when only the process dies.
    Everything,
    /// A random choice, with writes torn.
    AnyChoice,
    /// The changes of names in their order up to a random one, as a journalling file system keeps them; of the data a
    /// random choice.
    NamesInOrder,
}

/// The disk below one folder.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
}

impl Disk {
    /// An empty folder `root`.
    pub(super) fn new(root: &Path) -> Self {
        let folder = Node::Folder { synced: Names::new(), pending: Vec::new(), now: Names::new() };
        Self { root: root.to_owned(), nodes: vec![folder] }
    }

    pub(super) fn take(&mut self, step: &Step) {
        match step {
            // It is where all this happens.
            Step::MakeFolder(path) if *path == self.root => {}
            Step::MakeFolder(path) => {
                let folder = Node::Folder { synced: Names::new(), pending: Vec::new(), now: Names::new() };
                self.make(path, folder);
            }
            Step::Open { path, cut } => match self.find(path) {
                None => self.make(path, Node::File { synced: Vec::new(), pending: Vec::new(), now: Vec::new() }),
                Some(inode) if *cut => self.change(inode, Change::Length(0)),
                Some(_) => {}
            },
            Step::Write { path, at, bytes } => {
                let inode = self.known(path);
                self.change(inode, Change::Write { at: *at, bytes: bytes.clone() });
            }
            Step::SetLength(path, length) => {
                let inode = self.known(path);
                self.change(inode, Change::Length(*length));
            }
            Step::Rename(from, to) => {
                let inode = self.known(from);
                assert_eq!(from.parent(), to.parent(), "a rename from one folder to another is not understood");
                let naming = Naming { add: Some((name(to), inode)), remove: Some(name(from)) };
                self.rename(to, naming);
            }
            Step::Unlink(path) => self.rename(path, Naming { add: None, remove: Some(name(path)) }),
            Step::Sync(path) => {
                // A file that has lost its name meanwhile can be synced, to no end.
                if let Some(inode) = self.find(path) {
                    self.sync(inode);
                }
            }
            Step::Told(_) => {}
        }
    }

    /// Writes to `target` what a power cut now would leave.
    pub(super) fn image(&self, cut: Cut, chance: &mut Rng, target: &Path) {
        self.write_folder(0, cut, chance, target);
    }

    fn write_folder(&self, inode: Inode, cut: Cut, chance: &mut Rng, target: &Path) {
        fs::create_dir_all(target).unwrap();
        let Node::Folder { synced, pending, now } = &self.nodes[inode] else { unreachable!() };
        let mut names = synced.clone();
        let last = chance.usize(0..=pending.len());
        for (index, naming) in pending.iter().enumerate() {
            let happened = match cut {
                Cut::NothingMore => false,
                Cut::Everything => true,
                Cut::AnyChoice => chance.bool(),
                Cut::NamesInOrder => index < last,
            };
            if happened {
                naming.apply(&mut names);
            }
        }
        debug_assert!(cut != Cut::Everything || names == *now);
        for (name, inode) in &names {
            let path = target.join(name);
            match &self.nodes[*inode] {
                Node::Folder { .. } => self.write_folder(*inode, cut, chance, &path),
                Node::File { synced, pending, .. } => {
                    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
                    file.write_all(&left(synced, pending, cut, chance)).unwrap();
                }
            }
        }
    }

    fn make(&mut self, path: &Path, node: Node) {
        self.nodes.push(node);
        let naming = Naming { add: Some((name(path), self.nodes.len() - 1)), remove: None };
        self.rename(path, naming);
    }

    fn rename(&mut self, path: &Path, naming: Naming) {
        let folder = self.known(path.parent().unwrap());
        let Node::Folder { pending, now, .. } = &mut self.nodes[folder] else { unreachable!() };
        naming.apply(now);
        pending.push(naming);
    }

    fn change(&mut self, inode: Inode, change: Change) {
        let Node::File { pending, now, .. } = &mut self.nodes[inode] else { panic!("a folder is written to") };
        change.apply(now);
        pending.push(change);
    }

    fn sync(&mut self, inode: Inode) {
        match &mut self.nodes[inode] {
            Node::File { synced, pending, now } => {
                pending.clear();
                synced.clone_from(now);
            }
            Node::Folder { synced, pending, now } => {
                pending.clear();
                synced.clone_from(now);
            }
        }
    }

    fn known(&self, path: &Path) -> Inode {
        self.find(path).unwrap_or_else(|| panic!("{} is not there", path.display()))
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        path.strip_prefix(&self.root).unwrap().iter().try_fold(0, |inode, name| match &self.nodes[inode] {
            Node::Folder { now, .. } => now.get(name).copied(),
            Node::File { .. } => None,
        })
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        if let Some(name) = &self.remove {
            names.remove(name);
        }
        if let Some((name, inode)) = &self.add {
            names.insert(name.clone(), *inode);
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Length(length) => file.resize(*length, 0),
            Self::Write { at, bytes } => write_at(file, *at, bytes),
        }
    }

    /// A part of it: a write up to some sector, or any choice of its sectors.
    fn apply_in_part(&self, file: &mut Vec<u8>, chance: &mut Rng) {
        let Self::Write { at, bytes } = self else { return };
        let mut sectors = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let to = bytes.len().min((*at + from) / SECTOR * SECTOR + SECTOR - at);
            sectors.push((at + from, &bytes[from..to]));
            from = to;
        }
        let up_to = chance.bool().then(|| chance.usize(0..=sectors.len()));
        if chance.u8(0..4) == 0 {
            // The length was written, and what was to fill it was not.
            let length = file.len().max(at + bytes.len());
            file.resize(length, 0);
        }
        for (index, (at, bytes)) in sectors.into_iter().enumerate() {
            if up_to.map_or_else(|| chance.bool(), |end| index < end) {
                write_at(file, at, bytes);
            }
        }
    }
}

fn write_at(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn left(synced: &[u8], pending: &[Change], cut: Cut, chance: &mut Rng) -> Vec<u8> {
    let mut file = synced.to_vec();
    for change in pending {
        match cut {
            Cut::NothingMore => {}
            Cut::Everything => change.apply(&mut file),
            Cut::AnyChoice | Cut::NamesInOrder => match chance.u8(0..3) {
                0 => {}
                1 => change.apply(&mut file),
                _ => change.apply_in_part(&mut file, chance),
            },
        }
    }
    file
}

fn name(path: &Path) -> OsString {
    path.file_name().map(OsStr::to_owned).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(disk: &Disk, cut: Cut) -> Vec<(String, Vec<u8>)> {
        let target = tempfile::tempdir().unwrap();
        disk.image(cut, &mut Rng::with_seed(1), target.path());
        let mut files: Vec<_> = crate::support::files_below(target.path())
            .into_iter()
            .map(|path| {
                let name = path.strip_prefix(target.path()).unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_is_safe_when_it_and_its_name_were_synced() {
        let root = PathBuf::from("/s");
        let (file, other) = (root.join("a"), root.join("b"));
        let mut disk = Disk::new(&root);
        disk.take(&Step::Open { path: file.clone(), cut: true });
        disk.take(&Step::Write { path: file.clone(), at: 0, bytes: b"one".to_vec() });
        disk.take(&Step::Sync(file.clone()));
        assert_eq!(image(&disk, Cut::NothingMore), []);
        disk.take(&Step::Sync(root.clone()));
        assert_eq!(image(&disk, Cut::NothingMore), [("a".to_owned(), b"one".to_vec())]);
        disk.take(&Step::Write { path: file.clone(), at: 3, bytes: b"two".to_vec() });
        disk.take(&Step::Rename(file, other));
        assert_eq!(image(&disk, Cut::NothingMore), [("a".to_owned(), b"one".to_vec())]);
        assert_eq!(image(&disk, Cut::Everything), [("b".to_owned(), b"onetwo".to_vec())]);
        disk.take(&Step::Sync(root));
        assert_eq!(image(&disk, Cut::NothingMore), [("b".to_owned(), b"one".to_vec())]);
    }
}
