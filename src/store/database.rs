//! The database under the store. Only here is sled spoken to.
//!
//! What sled leaves to its user, measured with 0.34.7: its `flush` hands the log to the disk but never waits for the
//! disk's own cache (`fsync`), so [`Database::sync`] does; its blob files, snapshots and folder names are not synced
//! either; and after the first failed write a handle refuses everything, so it has to be opened again.

use std::fs::{self, File};
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::thread::{current_timer_slack, set_current_timer_slack};
use sled::IVec;

use super::error::{DatabaseError, reason};
use super::folder;
use super::sealed_record::SealedRecord;

/// The part of the store that sled keeps in memory, in bytes. It always keeps the first 256 pages, each of up to sixteen records, so
/// that only what is beyond some thousands of accounts is bounded by this.
const CACHE: u64 = 256 * 1024;

/// Attempts at a lock, and the pause between them: a process or thread that is just ending may still hold it.
const LOCK_TRIES: u32 = 25;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// The delay allowed to the timers of sled's threads, in nanoseconds: a minute.
const PATIENCE: NonZeroU64 = NonZeroU64::new(60_000_000_000).unwrap();

/// The part of the log that sled writes to as one, in bytes. It maps as much memory, and writes as much at each start. A quarter of
/// it must hold a page of sixteen records, or sled puts the page into a file of its own.
const SEGMENT: usize = 128 * 1024;

/// The number of times that the collector must look before what was just replaced is freed: twice to see that nobody can have it in hand any
/// more, and then to free it, eight bags at a time.
const COLLECTIONS: u32 = 4;

/// Names and values as sled has them.
pub(super) type Entries = Vec<(IVec, IVec)>;

/// An open database.
pub(super) struct Database {
    sled: sled::Db,
    /// The log once more, for `fsync`; opened before anything is written, so that it learns of every failed write.
    log: File,
    folder: PathBuf,
}

impl Database {
    /// Opens the database in `folder`, and makes it if there is no such folder.
    pub(super) fn open(folder: &Path) -> Result<Self, DatabaseError> {
        if !folder.try_exists()? {
            make(folder)?;
        }
        if snapshots(folder)?.is_empty() {
            // sled would take such a log for an empty one, and cut it.
            return Err(DatabaseError::Damaged("its snapshot is missing".to_owned()));
        }
        let sled = match open_sled(folder) {
            // A snapshot that a power cut tore is taken for the newest. One that is whole must not be removed: the
            // log may have been cut to fit it. As sled has had the lock by now, nobody is writing this one.
            Err(DatabaseError::Damaged(_)) if remove_torn_snapshots(folder)? => open_sled(folder),
            opened => opened,
        }?;
        let log = File::open(folder.join("db"))?;
        let database = Self { sled, log, folder: folder.to_owned() };
        folder::close_off(folder)?;
        File::open(folder.join("conf"))?.sync_all()?;
        database.sync()?;
        folder::sync(folder)?;
        Ok(database)
    }

    /// Reads all that is in it: names, and values that share sled's memory.
    pub(super) fn entries(&self) -> Result<Entries, DatabaseError> {
        let entries = self.sled.iter().map(|entry| entry.map_err(DatabaseError::from)).collect();
        let_go_of_garbage();
        entries
    }

    /// Puts a record in the place of an earlier one, or takes it out. It is safe after the next [`Database::sync`].
    pub(super) fn put(&self, name: &[u8], record: Option<&SealedRecord>) -> Result<(), DatabaseError> {
        match record {
            Some(record) => self.sled.insert(name, record.as_bytes())?,
            None => self.sled.remove(name)?,
        };
        Ok(())
    }

    /// Returns when everything that was put is safe from a power cut.
    pub(super) fn sync(&self) -> Result<(), DatabaseError> {
        self.sled.flush()?;
        // Only where a page of records is too long for a segment are there blobs.
        let blobs = self.folder.join("blobs");
        let mut any = false;
        for blob in fs::read_dir(&blobs)? {
            File::open(blob?.path())?.sync_all()?;
            any = true;
        }
        if any {
            folder::sync(&blobs)?;
        }
        self.log.sync_all()?;
        let_go_of_garbage();
        Ok(())
    }
}

/// Frees what sled has replaced: nodes with former versions of records, and whole segments of its log.
///
/// sled leaves that to a collector which looks when there is traffic, so that after a start, or with few accounts, former
/// sign-ins and some hundred kilobytes would stay in memory for hours.
fn let_go_of_garbage() {
    for _ in 0..COLLECTIONS {
        crossbeam_epoch::pin().flush();
    }
}

/// Writes the log over itself, as it reads now.
///
/// After a failed `fsync` the kernel counts the pages that never reached the disk as clean, and the next `fsync`
/// succeeds without them: what sled appends from then on would lie behind a gap.
pub(super) fn write_again(folder: &Path) -> io::Result<()> {
    let log = folder.join("db");
    let bytes = fs::read(&log)?;
    let file = File::options().write(true).open(&log)?;
    io::Write::write_all(&mut &file, &bytes)?;
    file.sync_all()
}

/// Makes an empty database; the folder appears whole or not at all.
///
/// sled writes a snapshot when it opens what it wrote before, and without one takes a damaged log for an empty one. So
/// that every database has a snapshot, a new one is opened twice.
fn make(folder: &Path) -> Result<(), DatabaseError> {
    let unfinished = folder.with_extension("new");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => folder::make_private(&unfinished)?,
    }
    for _ in 0..2 {
        open_sled(&unfinished)?.flush()?;
    }
    for file in ["conf", "db", "blobs", "."] {
        folder::sync(&unfinished.join(file))?;
    }
    fs::rename(&unfinished, folder)?;
    folder::sync(folder.parent().unwrap_or(Path::new("/")))?;
    Ok(())
}

fn open_sled(folder: &Path) -> Result<sled::Db, DatabaseError> {
    let config = sled::Config::new()
        .path(folder)
        .mode(sled::Mode::LowSpace)
        .cache_capacity(CACHE)
        .segment_size(SEGMENT)
        .flush_every_ms(None)
        .use_compression(false);
    for _ in 1..LOCK_TRIES {
        match with_patience(|| config.open()).map_err(DatabaseError::from) {
            Err(DatabaseError::InUse) => thread::sleep(LOCK_WAIT),
            opened => return opened,
        }
    }
    with_patience(|| config.open()).map_err(DatabaseError::from)
}

/// Opens with timers that may be late in the threads that are started meanwhile.
///
/// sled keeps seven of them, which look for work once a second, each at a moment of its own, although they are told when
/// there is some. So late, they look when the processor is awake for something else, all at the same moment.
fn with_patience<T>(open: impl FnOnce() -> T) -> T {
    let usual = current_timer_slack().ok().and_then(NonZeroU64::new);
    // A kernel that refuses only sleeps less well.
    let _ = set_current_timer_slack(Some(PATIENCE));
    let opened = open();
    let _ = set_current_timer_slack(usual);
    opened
}

fn snapshots(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes the snapshots that were being written when the power went; says whether there were any.
fn remove_torn_snapshots(folder: &Path) -> io::Result<bool> {
    let mut any = false;
    for snapshot in snapshots(folder)?.iter().filter(|path| path.extension().is_some_and(|it| it == "generating")) {
        fs::remove_file(snapshot)?;
        any = true;
    }
    // Without any snapshot there is nothing to open.
    Ok(any && !snapshots(folder)?.is_empty())
}

impl From<sled::Error> for DatabaseError {
    fn from(error: sled::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
        match error {
            // The lock has no kind of its own.
            sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => Self::InUse,
            sled::Error::Io(error) if matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof) => {
                Self::Damaged(reason(&error))
            }
            sled::Error::Io(error) => Self::Files(error),
            sled::Error::ReportableBug(text) => Self::Files(io::Error::other(text)),
            sled::Error::Unsupported(text) => Self::Damaged(text),
            other => Self::Damaged(other.to_string()),
        }
    }
}
