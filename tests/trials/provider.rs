//! A provider by script, for faults that no real server makes: at any stage of a connection, and on demand.
//!
//! It knows one refresh token, uses it up with each refresh, and remembers everything it was asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::broker::listen_anywhere;
use crate::support::clock::unix_now;

/// What the provider does in place of its duty.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nobody listens.
    Refuse,
    /// Connections are never completed.
    NoConnection,
    /// The connection is taken and reset.
    Reset,
    /// The connection is taken, and then nothing.
    Silence,
    /// This is sent before anything was asked.
    Greeting(Vec<u8>),
    /// The request is read, and then nothing.
    NoAnswer,
    /// The request is read, and the connection ends.
    Close,
    /// This is sent, and then nothing.
    Stall(Vec<u8>),
    /// This is sent, and the connection reset.
    CutAfter(Vec<u8>),
    /// This is sent, a byte at a time.
    Drip(Vec<u8>),
    /// This is sent, and then this again and again for as long as anybody reads.
    Endless(Vec<u8>, Vec<u8>),
    /// This is sent as it is.
    Answer(Vec<u8>),
    /// The refresh is done, and this comes in place of the answer.
    Lost,
    /// The refresh is done, and the answer held back until the fault is over.
    HeldBack,
}

/// One request to the token endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: f64,
    /// The refresh token that came with it, if it was a refresh that could be read.
    pub(crate) presented: Option<String>,
    /// Whether it was answered as it should be.
    pub(crate) granted: bool,
}

#[derive(Debug)]
struct State {
    fault: Option<Fault>,
    /// Whoever takes connections, while anybody does.
    acceptor: Option<JoinHandle<()>>,
    /// What fills the queue of a listener that completes no connection.
    in_the_way: Vec<TcpStream>,
    name: String,
    /// How often each account's refresh token was used up.
    serials: HashMap<String, u32>,
    life: u32,
    /// How long a refresh token that was used up is still taken.
    grace: f64,
    used_up_at: f64,
    asked: Vec<Asked>,
    tls: Option<Arc<ServerConfig>>,
}

/// A running one.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    address: SocketAddr,
    /// Bound to the address all the time, so that nobody else can have it while nobody listens.
    listener: Arc<TcpListener>,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// One that gives tokens of `life` seconds to the holder of [`Provider::refresh_token`], on an address of its own:
    /// the agent holds those of one host to be one provider.
    pub(crate) fn start(name: &str, life: u32) -> Self {
        static LAST: AtomicU8 = AtomicU8::new(1);
        let host = Ipv4Addr::new(127, 0, 7, LAST.fetch_add(1, Ordering::Relaxed));
        let listener = listen_anywhere(host);
        let address = listener.local_addr().unwrap();
        let state = State {
            fault: None,
            acceptor: None,
            in_the_way: Vec::new(),
            name: name.to_owned(),
            serials: HashMap::new(),
            life,
            grace: 0.0,
            used_up_at: 0.0,
            asked: Vec::new(),
            tls: None,
        };
        let provider = Self { address, listener: Arc::new(listener), state: Arc::new(Mutex::new(state)) };
        provider.take_connections();
        provider
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes a refresh token that was used up for so many seconds more.
    pub(crate) fn with_grace(self, seconds: f64) -> Self {
        self.state().grace = seconds;
        self
    }

    /// Speaks TLS from now on.
    pub(crate) fn encrypt(&self, tls: ServerConfig) {
        self.state().tls = Some(Arc::new(tls));
    }

    /// The refresh token that it takes now, of the account that has its own name.
    pub(crate) fn refresh_token(&self) -> String {
        let name = self.state().name.clone();
        self.refresh_token_of(&name)
    }

    pub(crate) fn refresh_token_of(&self, account: &str) -> String {
        refresh_token(account, self.serial_of(account))
    }

    /// How often the account has had a refresh.
    pub(crate) fn serial_of(&self, account: &str) -> u32 {
        self.state().serials.get(account).copied().unwrap_or(0)
    }

    /// Every request to the token endpoint so far, of connections that came to nothing the attempt.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Does this to everybody from now on.
    pub(crate) fn inflict(&self, fault: Fault) {
        match fault {
            Fault::Refuse => self.stop_listening(),
            Fault::NoConnection => {
                self.stop_listening();
                self.fill_the_queue();
            }
            _ => {}
        }
        self.state().fault = Some(fault);
    }

    /// Does its duty again.
    pub(crate) fn recover(&self) {
        let former = self.state().fault.take();
        self.state().in_the_way.clear();
        if let Some(Fault::NoConnection) = former {
            // Only what listens: a socket that is shut down twice hands that on to every later connection.
            self.stop_listening();
        }
        if let Some(Fault::Refuse | Fault::NoConnection) = former {
            rustix::net::listen(&self.listener, 128).unwrap();
            self.take_connections();
        }
    }

    fn stop_listening(&self) {
        // Whoever accepts is told, and the address stays bound.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Read);
        let acceptor = self.state().acceptor.take();
        if let Some(acceptor) = acceptor {
            acceptor.join().unwrap();
        }
    }

    /// A listener whose queue is full and that nobody empties: the kernel drops what else comes.
    fn fill_the_queue(&self) {
        rustix::net::listen(&self.listener, 0).unwrap();
        let mut state = self.state();
        while let Ok(stream) = TcpStream::connect_timeout(&self.address, Duration::from_millis(300)) {
            state.in_the_way.push(stream);
        }
    }

    fn take_connections(&self) {
        let provider = self.clone();
        let acceptor = std::thread::spawn(move || {
            // Until it listens no more.
            while let Ok((stream, _)) = provider.listener.accept() {
                let provider = provider.clone();
                std::thread::spawn(move || provider.serve(stream));
            }
        });
        self.state().acceptor = Some(acceptor);
    }

    /// Serves one connection; whatever ends it early is the agent's affair.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let tls = self.state().tls.clone();
        let connection = stream.try_clone().unwrap();
        match self.fault() {
            Some(Fault::Reset) => {
                self.note(None, false);
                // To close what was not read resets the connection.
                return stream.peek(&mut [0]).ok().map(|_| ());
            }
            Some(Fault::Silence) => {
                self.note(None, false);
                return self.wait_until_over(&connection);
            }
            Some(Fault::Greeting(bytes)) => {
                self.note(None, false);
                return (&connection).write_all(&bytes).ok();
            }
            _ => {}
        }
        match tls {
            None => self.exchange(stream, &connection),
            Some(config) => {
                let session = ServerConnection::new(config).unwrap();
                self.exchange(StreamOwned::new(session, stream), &connection)
            }
        }
    }

    fn exchange(&self, mut stream: impl Read + Write, connection: &TcpStream) -> Option<()> {
        let Some((path, body)) = read_request(&mut stream) else {
            self.note(None, false);
            return None;
        };
        if path != "/token" {
            return stream.write_all(&json(200, "{}")).ok();
        }
        let mut form = url::form_urlencoded::parse(&body);
        let presented = form.find(|(name, _)| name == "refresh_token").map(|(_, value)| value.into_owned());
        let fault = self.fault();
        let answer = match fault {
            None | Some(Fault::Lost | Fault::HeldBack) => self.grant(presented.as_deref()),
            Some(_) => Vec::new(),
        };
        self.note(presented, fault.is_none());
        let sent = match fault {
            None => stream.write_all(&answer),
            Some(Fault::Answer(bytes)) => stream.write_all(&bytes),
            Some(Fault::CutAfter(bytes)) => {
                stream.write_all(&bytes).and_then(|()| stream.flush()).ok()?;
                return reset(connection);
            }
            Some(Fault::Lost) => return reset(connection),
            Some(Fault::Stall(bytes)) => {
                stream.write_all(&bytes).and_then(|()| stream.flush()).ok()?;
                return self.wait_until_over(connection);
            }
            Some(Fault::NoAnswer) => return self.wait_until_over(connection),
            Some(Fault::HeldBack) => {
                self.wait_until_over(connection);
                stream.write_all(&answer)
            }
            Some(Fault::Endless(first, again)) => {
                stream.write_all(&first).ok()?;
                while stream.write_all(&again).is_ok() {}
                return None;
            }
            Some(Fault::Drip(bytes)) => {
                for byte in bytes {
                    stream.write_all(&[byte]).and_then(|()| stream.flush()).ok()?;
                    std::thread::sleep(Duration::from_millis(400));
                }
                return None;
            }
            Some(_) => Ok(()),
        };
        sent.and_then(|()| stream.flush()).ok()?;
        connection.shutdown(Shutdown::Write).ok()
    }

    /// The answer to a refresh: the token is used up, and the next ones take its place.
    fn grant(&self, presented: Option<&str>) -> Vec<u8> {
        let mut state = self.state();
        let account = presented.and_then(|token| token.strip_prefix("scripted-refresh-")?.rsplit_once('-'));
        let Some((account, presented)) = account else { return json(400, r#"{"error":"invalid_request"}"#) };
        let serial = state.serials.get(account).copied().unwrap_or(0);
        let presented: u32 = presented.parse().unwrap();
        let in_grace = presented + 1 == serial && unix_now() - state.used_up_at < state.grace;
        if presented != serial && !in_grace {
            return json(400, r#"{"error":"invalid_grant","error_description":"refresh token already used"}"#);
        }
        let serial = presented + 1;
        if !in_grace {
            state.serials.insert(account.to_owned(), serial);
            state.used_up_at = unix_now();
        }
        let life = state.life;
        json(
            200,
            &format!(
                r#"{{"access_token":"{}","token_type":"bearer","expires_in":{life},"refresh_token":"{}"}}"#,
                access_token(account, serial),
                refresh_token(account, serial)
            ),
        )
    }

    fn note(&self, presented: Option<String>, granted: bool) {
        self.state().asked.push(Asked { at: unix_now(), presented, granted });
    }

    fn fault(&self) -> Option<Fault> {
        self.state().fault.clone()
    }

    /// Waits until the fault is over, or the other side has gone.
    fn wait_until_over(&self, connection: &TcpStream) -> Option<()> {
        connection.set_read_timeout(Some(Duration::from_millis(50))).ok()?;
        while self.fault().is_some() {
            match (&*connection).read(&mut [0; 64]) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        Some(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// The access token that comes with a refresh, as the provider numbers them; nothing else has it in it.
pub(crate) fn access_token(name: &str, serial: u32) -> String {
    format!("scripted-access-{name}-{serial}")
}

fn refresh_token(name: &str, serial: u32) -> String {
    format!("scripted-refresh-{name}-{serial}")
}

/// A whole answer with this JSON.
pub(crate) fn json(status: u16, body: &str) -> Vec<u8> {
    answer(status, "Content-Type: application/json\r\nCache-Control: no-store\r\n", body)
}

/// A whole answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Of Sorts\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// Reads a request; `None` if there is none.
fn read_request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((head.split(' ').nth(1)?.to_owned(), body))
}

/// Has the connection end as a firewall ends it, once it is let go of.
fn reset(connection: &TcpStream) -> Option<()> {
    rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO)).ok()
}
