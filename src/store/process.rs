//! The process of the database, and the agent's end of it.
//!
//! sled panics where a disk fails at the wrong moment, keeps its lock and its threads after a failed write, and a
//! release build aborts at a panic. So sled runs in a child process of the same program: whatever becomes of it, the agent
//! lives, the kernel takes back lock and threads, and a new process opens the database again. The child gets sealed
//! records alone, never a key or a token.

use std::env;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use super::database::{Database, Entries};
use super::error::DatabaseError;
use super::protocol::{self, DatabaseRequest, DatabaseResponse};
use super::sealed_record::{Changes, Records};

/// The first argument that makes this program the process of a database; the second one is the database's folder.
pub(crate) const COMMAND: &str = "store-database";

/// The program that runs, also after its file was replaced by an upgrade.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The variable that names another program to start in its place: under an emulator, the link leads to the emulator.
const PROGRAM_VARIABLE: &str = "OAUTH2MQTT_PROGRAM";

/// Starts a server for the database in a folder.
pub(super) type Start = fn(&Path) -> io::Result<DatabaseServer>;

/// The agent's end of an open database.
pub(super) struct DatabaseHandle {
    requests: BufWriter<UnixStream>,
    responses: BufReader<UnixStream>,
    /// `None` when it has ended.
    server: Option<Worker>,
}

/// A server that was started, with the stream to it.
pub(super) struct DatabaseServer {
    stream: UnixStream,
    worker: Worker,
}

enum Worker {
    Process(Child),
    /// For tests, whose program is not this one.
    Thread(JoinHandle<()>),
}

/// Starts the server in a process of its own.
pub(super) fn start_process(folder: &Path) -> io::Result<DatabaseServer> {
    let (stream, theirs) = UnixStream::pair()?;
    let program = env::var_os(PROGRAM_VARIABLE).unwrap_or_else(|| THIS_PROGRAM.into());
    let child = Command::new(program)
        .arg0("oauth2mqtt")
        .arg(COMMAND)
        .arg(folder)
        .env_clear()
        // A Ctrl-C at the terminal is for the agent, which then closes the database.
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()?;
    Ok(DatabaseServer { stream, worker: Worker::Process(child) })
}

/// Starts the server in a thread.
pub(super) fn start_thread(folder: &Path) -> io::Result<DatabaseServer> {
    let (stream, theirs) = UnixStream::pair()?;
    let folder = folder.to_owned();
    let thread = thread::Builder::new().spawn(move || {
        // A stream that breaks off is the end in a process as well.
        let _ = serve(&folder, &theirs);
    })?;
    Ok(DatabaseServer { stream, worker: Worker::Thread(thread) })
}

/// Runs as the process of a database: its standard input is the stream from and to the agent.
pub(crate) fn main(folder: &Path) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // Any thread of sled may panic; the process ends at the first, before another one waits for it for ever.
        let _ = writeln!(io::stderr(), "the database failed: {panic}");
        std::process::exit(70);
    }));
    // For `ps`; the name is cosmetic.
    let _ = rustix::thread::set_name(c"o2m-database");
    let stream = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    // Without an agent at the other end, whatever it had been told of is safe, and the rest is nobody's.
    if stream.and_then(|stream| serve(folder, &stream)).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Opens the database, and carries out what comes on the stream until it is told to close.
fn serve(folder: &Path, stream: &UnixStream) -> io::Result<()> {
    let (mut requests, mut responses) = (BufReader::new(stream), BufWriter::new(stream));
    let (found, database) = match Database::open(folder).and_then(|database| Ok((database.entries()?, database))) {
        Ok((entries, database)) => (Ok(entries), Some(database)),
        Err(error) => (Err(error), None),
    };
    protocol::send_response(&mut responses, &found)?;
    drop(found);
    let Some(database) = database else { return Ok(()) };
    while let DatabaseRequest::Write(changes) = DatabaseRequest::receive(&mut requests)? {
        let written = write(&database, &changes).and_then(|()| database.sync());
        protocol::send_response(&mut responses, &written.map(|()| Entries::new()))?;
    }
    drop(database);
    Ok(())
}

fn write(database: &Database, changes: &Changes) -> Result<(), DatabaseError> {
    changes.iter().try_for_each(|(name, record)| database.put(name, record.as_ref()))
}

impl DatabaseHandle {
    /// Starts a server, and returns its answer: what is in the database, or why it cannot be opened.
    pub(super) fn open(folder: &Path, start: Start) -> Result<(Self, Records), DatabaseError> {
        let DatabaseServer { stream, worker } = start(folder).map_err(DatabaseError::NotStarted)?;
        let requests = BufWriter::new(stream.try_clone().map_err(DatabaseError::NotStarted)?);
        let mut handle = Self { requests, responses: BufReader::new(stream), server: Some(worker) };
        let records = handle.receive()?;
        Ok((handle, records))
    }

    /// Puts or removes records; they are safe when this returns.
    pub(super) fn write(&mut self, changes: Changes) -> Result<(), DatabaseError> {
        if changes.is_empty() {
            return Ok(());
        }
        // Where nobody receives, nobody answers: the reason is found there.
        let _ = DatabaseRequest::Write(changes).send(&mut self.requests);
        self.receive().map(|_| ())
    }

    /// Receives an answer. After an error the database refuses everything, so it is given up, with its lock.
    fn receive(&mut self) -> Result<Records, DatabaseError> {
        let response: DatabaseResponse = protocol::receive_response(&mut self.responses).unwrap_or_else(|error| {
            Err(DatabaseError::Ended(format!("its process ended without an answer ({})", error.kind())))
        });
        response.map_err(|error| {
            let status = self.give_up();
            match (error, status) {
                (DatabaseError::Ended(_), Some(status)) => DatabaseError::Ended(format!("its process ended: {status}")),
                (error, _) => error,
            }
        })
    }

    /// Ends the server whatever it is doing, and waits until it has let go of the lock.
    fn give_up(&mut self) -> Option<ExitStatus> {
        // A server in a thread ends when nothing can come any more.
        let _ = self.requests.get_ref().shutdown(std::net::Shutdown::Both);
        match self.server.take()? {
            Worker::Process(mut child) => {
                let ended = child.try_wait().ok().flatten();
                // One that was about to end gives the better reason, but is not waited for: it may hang.
                let _ = child.kill();
                let status = child.wait().ok();
                ended.or(status).filter(|status| status.signal() != Some(9))
            }
            Worker::Thread(thread) => {
                let _ = thread.join();
                None
            }
        }
    }
}

impl Drop for DatabaseHandle {
    fn drop(&mut self) {
        let Some(worker) = self.server.take() else { return };
        let asked = DatabaseRequest::Close.send(&mut self.requests);
        match worker {
            Worker::Process(mut child) => {
                if asked.is_err() {
                    let _ = child.kill();
                }
                let _ = child.wait();
            }
            Worker::Thread(thread) => {
                let _ = thread.join();
            }
        }
    }
}
