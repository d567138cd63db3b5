//! A broker that does by script what mosquitto does not: refuses in odd ways, leaves messages without an acknowledgement, hangs
//! up at a topic.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The answer to CONNECT.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Greeting {
    /// These bytes, such as a CONNACK.
    Bytes(&'static [u8]),
    /// Nothing, to MQTT 5; a CONNACK to MQTT 3.1.1.
    SilentToVersion5,
    /// The end of the connection, to MQTT 5; a CONNACK to MQTT 3.1.1.
    ClosesAtVersion5,
    /// The end of the connection, to whichever version.
    Closes,
}

/// A CONNACK that lets everybody in.
pub(crate) const WELCOME: Greeting = Greeting::Bytes(&[0x20, 3, 0, 0, 0]);

/// The answer to a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Acknowledges,
    Nothing,
    /// The end of the connection, after these bytes.
    HangsUp(&'static [u8]),
    /// A PUBACK with this reason code.
    Refuses(u8),
}

type Script = dyn Fn(&str) -> Reply + Send + Sync;

/// One message that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
    pub(crate) topic: String,
    pub(crate) id: u16,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    arrived: Vec<Arrived>,
    pings: usize,
}

/// See the module. It ends with the test.
pub(crate) struct ScriptedBroker {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
}

impl ScriptedBroker {
    pub(crate) fn start(greeting: Greeting, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Seen>>::default();
        let ended = Arc::<AtomicBool>::default();
        let script: Arc<Script> = Arc::new(reply);
        let (all, end) = (Arc::clone(&seen), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (script, seen) = (Arc::clone(&script), Arc::clone(&all));
                std::thread::spawn(move || serve(stream, greeting, &script, &seen));
            }
        });
        Self { port, seen, ended }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Every message that has arrived so far.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.seen.lock().unwrap().arrived.clone()
    }

    /// How many connections of MQTT 5 there have been.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// How often a client has asked whether this broker is there.
    pub(crate) fn pings(&self) -> usize {
        self.seen.lock().unwrap().pings
    }
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // It looks only when somebody comes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Serves one client until it goes, or is sent away.
fn serve(mut stream: TcpStream, greeting: Greeting, script: &Arc<Script>, seen: &Mutex<Seen>) -> Option<()> {
    let (_, connect) = packet(&mut stream)?;
    let is_version_5 = connect.get(6) == Some(&5);
    match greeting {
        Greeting::Closes => return None,
        Greeting::ClosesAtVersion5 if is_version_5 => return None,
        Greeting::SilentToVersion5 if is_version_5 => {}
        Greeting::SilentToVersion5 | Greeting::ClosesAtVersion5 => stream.write_all(&[0x20, 2, 0, 0]).ok()?,
        Greeting::Bytes(bytes) => stream.write_all(bytes).ok()?,
    }
    let connection = {
        let mut seen = seen.lock().unwrap();
        seen.connections += usize::from(is_version_5);
        seen.connections.saturating_sub(1)
    };
    loop {
        let (kind, content) = packet(&mut stream)?;
        match kind & 0xf0 {
            0x30 => {
                let length = usize::from(u16::from_be_bytes([content[0], content[1]]));
                let topic = String::from_utf8(content[2..2 + length].to_vec()).unwrap();
                let id = [content[2 + length], content[3 + length]];
                let arrived = Arrived { connection, topic: topic.clone(), id: u16::from_be_bytes(id) };
                seen.lock().unwrap().arrived.push(arrived);
                match script(&topic) {
                    Reply::Acknowledges => stream.write_all(&[0x40, 2, id[0], id[1]]).ok()?,
                    Reply::Refuses(code) => stream.write_all(&[0x40, 3, id[0], id[1], code]).ok()?,
                    Reply::Nothing => {}
                    Reply::HangsUp(bytes) => {
                        let _ = stream.write_all(bytes);
                        return None;
                    }
                }
            }
            0x80 => stream.write_all(&[0x90, 4, content[0], content[1], 0, 1]).ok()?,
            0xc0 => {
                seen.lock().unwrap().pings += 1;
                stream.write_all(&[0xd0, 0]).ok()?;
            }
            _ => {}
        }
    }
}

/// The next packet: its first byte, and what comes behind the fixed header.
fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let kind = byte[0];
    let mut length = 0;
    for place in 0..4 {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).ok()?;
    Some((kind, content))
}
