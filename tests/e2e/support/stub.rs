//! A server on loopback that answers as a test says, and keeps what it was asked. It ends with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::clock::SOON;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What had arrived with it beyond its end.
    pub(crate) beyond: Vec<u8>,
}

impl Request {
    /// All values of a header, whose name may be written in any way.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fits = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(fits).map(|(_, value)| value.as_str()).collect()
    }

    /// A header that may be there once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} stands there more than once: {self:?}");
        values.first().copied()
    }
}

/// The connection on which an answer is written; its end is the end of the answer.
pub(crate) type Connection = TcpStream;

/// See the module.
pub(crate) struct Stub {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Stub {
    /// Starts it. `answer` writes the whole answer to a request.
    #[track_caller]
    pub(crate) fn start(answer: impl Fn(&Request, &mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let stub = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default(), ended: Arc::default() };
        let (seen, ended, answer) = (Arc::clone(&stub.seen), Arc::clone(&stub.ended), Arc::new(answer));
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    if let Some(request) = read_request(&connection) {
                        seen.lock().unwrap().push(request.clone());
                        answer(&request, &mut connection);
                    }
                });
            }
        });
        stub
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The newest request.
    #[track_caller]
    pub(crate) fn last(&self) -> Request {
        self.seen().pop().unwrap_or_else(|| panic!("nothing was asked"))
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Writes a whole answer.
pub(crate) fn respond(connection: &mut Connection, status: u16, headers: &[(&str, &str)], body: &str) {
    let lines: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let length = body.len();
    // Whoever asked may have gone away.
    let _ = write!(
        connection,
        "HTTP/1.1 {status} As said\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}

/// Sends everything back until the other side has nothing more to say.
pub(crate) fn echo(connection: &mut Connection) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = connection.read(&mut piece) {
        if connection.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}

/// Reads a request with its body; `None` if there is none.
fn read_request(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(SOON)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = || {
        // A name may be in any character set.
        let mut bytes = Vec::new();
        reader.read_until(b'\n', &mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new(), beyond: Vec::new() };
    if request.header("Transfer-Encoding").is_some() {
        request.body = read_chunks(&mut reader)?;
    } else {
        let length = request.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
    }
    request.beyond = reader.buffer().to_vec();
    Some(request)
}

/// Reads a body in chunks (RFC 9112 7.1).
fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let end = body.len() + length;
        body.resize(end + 2, 0);
        reader.read_exact(&mut body[end - length..]).ok()?;
        body.truncate(end);
        if length == 0 {
            return Some(body);
        }
    }
}
