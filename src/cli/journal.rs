//! The log of the agent: written by a thread of its own, so that a reader that does not read never stops the agent.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The lines that may wait. Beyond them, lines are left out and counted.
const MOST_WAITING: usize = 512;

/// The longest wait at the end for the lines that are left.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where log lines go.
#[derive(Clone)]
pub(super) struct Journal {
    lines: SyncSender<Line>,
    left_out: Arc<AtomicU64>,
}

enum Line {
    Text(Vec<u8>),
    /// Asks to be told when everything before it has been written.
    Flush(SyncSender<()>),
}

impl Journal {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MOST_WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left_out);
        thread::Builder::new().name("journal".to_owned()).spawn(move || write_all(&waiting, &counted, out))?;
        Ok(Self { lines, left_out })
    }

    /// Waits until everything is written, for a second at most.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        // With a full queue nobody reads, and nothing is to be waited for.
        if self.lines.try_send(Line::Flush(done)).is_ok() {
            match written.recv_timeout(LAST_LINES) {
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

fn write_all(waiting: &Receiver<Line>, left_out: &AtomicU64, mut out: impl Write) {
    for line in waiting {
        match line {
            // With nobody left to read it, there is no better place for it.
            Line::Text(text) => drop(out.write_all(&text)),
            Line::Flush(done) => drop(done.try_send(())),
        }
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            drop(writeln!(out, "{count} lines were left out here: nobody read the log"));
        }
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine { journal: self, text: Vec::new() }
    }
}

/// One line, handed over when it is whole.
pub(super) struct LogLine<'a> {
    journal: &'a Journal,
    text: Vec<u8>,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if let Err(TrySendError::Full(_)) = self.journal.lines.try_send(Line::Text(text)) {
            self.journal.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A pipe whose reader can be kept from reading.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nobody_and_is_told_what_was_left_out() {
        let pipe = Pipe::default();
        let journal = Journal::start(pipe.clone()).unwrap();
        let full = pipe.0.lock().unwrap();
        for number in 0..2_000 {
            writeln!(journal.make_writer(), "line {number}").unwrap();
        }
        drop(full);
        let text = || String::from_utf8(pipe.0.lock().unwrap().clone()).unwrap();
        while !text().contains("left out") {
            journal.flush();
        }
        writeln!(journal.make_writer(), "the last").unwrap();
        while !text().ends_with("the last\n") {
            journal.flush();
        }
        let written = text();
        assert!(written.starts_with("line 0\n"), "{written}");
        let whole = written.lines().filter(|line| line.starts_with("line ")).count();
        let left_out: usize =
            written.lines().find_map(|line| line.split_once(" lines were left out")).unwrap().0.parse().unwrap();
        assert_eq!(whole + left_out, 2_000);
    }
}
