//! One MQTT 5 connection over a stream that is there already.
//!
//! The packets and the state of the client are rumqttc's. Its event loop is not used: it makes the socket itself, takes short
//! packets for incomplete ones, a Server Keep Alive of 0 for an interval, and uses packet identifiers again that are not
//! acknowledged.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, Packet};
use rumqttc::v5::{Event, MqttState, Request, StateError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroize as _;

use super::frame::{BadFrame, Frame};
use super::reason::Reason;
use crate::domain::text::printable;

/// The silence after which each side asks whether the other is still there, and the time for the broker to answer that.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The highest packet identifier in use. The library makes room for all of them at once.
pub(super) const PACKET_IDS: u16 = 64;

/// The Receive Maximum of a broker that names none (MQTT 5, 3.2.2.3.3).
const DEFAULT_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// With more bytes than this on their way to the network, nothing more is handed over.
const ENOUGH_TO_WRITE: usize = 64 * 1024;

/// A stream that carries MQTT.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// The features and limits of a broker (MQTT 5, 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Its Maximum Packet Size, if it has one.
    pub(super) largest: Option<usize>,
    /// The most messages that may wait for its acknowledgement.
    pub(super) receive_maximum: u16,
    /// True if it keeps retained messages.
    pub(super) retains: bool,
    /// True if it acknowledges messages (`QoS` 1).
    pub(super) acknowledges: bool,
}

/// The reason why a connection ended, or was not made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The broker does not want this client (CONNACK).
    Refused(Reason),
    /// The broker ended the connection and said why (DISCONNECT).
    Disconnected(Reason),
    /// It closed the connection in place of an answer to CONNECT.
    ClosedAtConnect,
    /// It did not answer CONNECT in time.
    NoAnswer,
    /// It closed the connection without a reason.
    Closed,
    /// It speaks MQTT, but not version 5.
    OldVersion,
    /// The other end speaks something else.
    NotMqtt,
    /// One message takes up the only place that the broker has for messages without an acknowledgement.
    Blocked,
    /// The network or the library failed, in words.
    Broken(String),
}

/// Both directions of one connection.
pub(super) struct Connection {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    state: MqttState,
    received: BytesMut,
    outgoing: Outgoing,
    largest: u32,
    limits: Limits,
    pulse: Pulse,
    /// True if the broker has let this client in.
    is_open: bool,
}

/// Bytes on their way to the network. There are tokens in them, so they are wiped once they are sent.
#[derive(Default)]
struct Outgoing {
    bytes: BytesMut,
    written: usize,
    is_flushed: bool,
    /// True if the broker takes nothing any more. What it has said before that is still read.
    failed: bool,
}

/// The times at which the broker is asked for a sign of life.
struct Pulse {
    pause: Duration,
    next: Instant,
    /// The time of the oldest question without an answer.
    asked: Option<Instant>,
    /// Until when everything that was sent has been read by the broker.
    read_up_to: Instant,
}

impl Connection {
    /// Sends `connect`, and waits for the answer. The broker may send packets of up to `largest` bytes.
    ///
    /// # Errors
    /// When the broker refuses, closes the connection, or speaks something else.
    pub(super) async fn open(stream: Box<dyn Stream>, connect: Packet, largest: u32) -> Result<Self, End> {
        let (reader, writer) = tokio::io::split(stream);
        let now = Instant::now();
        let mut connection = Self {
            reader,
            writer,
            state: MqttState::new(PACKET_IDS, false),
            received: BytesMut::new(),
            outgoing: Outgoing::default(),
            largest,
            limits: limits(None),
            pulse: Pulse { pause: KEEP_ALIVE, next: now + KEEP_ALIVE, asked: None, read_up_to: now },
            is_open: false,
        };
        let written = connection.write(&connect);
        if let Packet::Connect(_, _, Some(mut login)) = connect {
            login.password.zeroize();
        }
        written?;
        let frame = connection.frame().await.map_err(|end| match end {
            End::Closed => End::ClosedAtConnect,
            other => other,
        })?;
        if !frame.is_connack() {
            return Err(if frame.is_disconnect() { disconnected(frame) } else { End::NotMqtt });
        }
        connection.take_connack(frame)?;
        Ok(connection)
    }

    fn take_connack(&mut self, frame: Frame) -> Result<(), End> {
        let code = match *frame.content() {
            // The answer of MQTT 3.1.1 (3.2): no properties, and small return codes. An agent of version 5 must not go on
            // there even if it is let in.
            [_, 0..0x80] => return Err(End::OldVersion),
            [_, code, ..] => code,
            _ => return Err(End::NotMqtt),
        };
        let parsed = parsed(frame.completed(), self.largest);
        if code != 0 {
            let text = match parsed {
                Ok(Packet::ConnAck(ack)) => ack.properties.and_then(|properties| properties.reason_string),
                _ => None,
            };
            // Version 3.1.1 has return codes up to 5, and a broker that shows one in the form of version 5 means that.
            return Err(if code < 0x80 || code == 0x84 {
                End::OldVersion
            } else {
                End::Refused(Reason::new(code, text))
            });
        }
        let Packet::ConnAck(mut ack) = parsed? else { return Err(End::NotMqtt) };
        self.limits = limits(ack.properties.as_ref());
        if let Some(properties) = &mut ack.properties {
            self.pulse.follow(properties.server_keep_alive);
            // The library would use packet identifiers up to this one only, again and again.
            properties.receive_max = None;
        }
        self.state.handle_incoming_packet(Packet::ConnAck(ack)).map_err(|error| broken(&error))?;
        self.state.events.clear();
        self.is_open = true;
        Ok(())
    }

    /// Returns what this broker can do.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns whether there is room for more to send.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.bytes.len() - self.outgoing.written < ENOUGH_TO_WRITE
    }

    /// Returns a moment: whatever was sent before it has been read by the broker.
    pub(super) fn read_up_to(&self) -> Instant {
        self.pulse.read_up_to
    }

    /// Notes that the broker has read what was sent at `sent`.
    pub(super) fn was_read(&mut self, sent: Instant) {
        self.pulse.read_up_to = self.pulse.read_up_to.max(sent);
    }

    /// Asks the broker for a sign of life, unless it has been asked.
    pub(super) fn ask(&mut self) -> Result<(), End> {
        if self.pulse.asked.is_some() { Ok(()) } else { self.ping() }
    }

    /// Hands over a packet. It is sent while [`Connection::next`] is awaited.
    ///
    /// # Errors
    /// When the library refuses it.
    pub(super) fn send(&mut self, request: Request) -> Result<(), End> {
        if let Some(packet) = self.state.handle_outgoing_packet(request).map_err(|error| broken(&error))? {
            self.write(&packet)?;
        }
        Ok(())
    }

    /// Returns the next packet that concerns the caller. Nothing is lost where this is dropped and awaited anew.
    ///
    /// # Errors
    /// When the connection has ended, and why.
    pub(super) async fn next(&mut self) -> Result<Packet, End> {
        loop {
            while let Some(event) = self.state.events.pop_front() {
                match event {
                    Event::Incoming(Packet::PingResp(_)) => self.pulse.answered(),
                    Event::Incoming(packet) => return Ok(packet),
                    Event::Outgoing(_) => {}
                }
            }
            let frame = self.frame().await?;
            if frame.is_disconnect() {
                return Err(disconnected(frame));
            }
            let packet = parsed(frame.completed(), self.largest)?;
            if let Some(answer) = self.state.handle_incoming_packet(packet).map_err(|error| broken(&error))? {
                self.write(&answer)?;
            }
        }
    }

    /// Waits until everything that was handed over is with the network, and sends nothing more.
    pub(super) async fn flush(&mut self) {
        while !self.outgoing.is_done() && !self.outgoing.failed {
            self.outgoing.drain(&mut self.writer).await;
        }
        // A broker that has gone already needs no end.
        let _ = self.writer.shutdown().await;
    }

    /// Waits for a whole packet; sends meanwhile, and asks whether the broker is there.
    async fn frame(&mut self) -> Result<Frame, End> {
        loop {
            let most = usize::try_from(self.largest).unwrap_or(usize::MAX);
            match Frame::take(&mut self.received, most) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(BadFrame) if self.is_open => {
                    return Err(End::Broken("it sent a packet that is malformed, or larger than it may be".to_owned()));
                }
                Err(BadFrame) => return Err(End::NotMqtt),
            }
            // A server of another kind would otherwise be waited for, to send what looks like the rest of a packet.
            if !self.is_open && self.received.first().is_some_and(|&first| !matches!(first, 0x20 | 0xe0)) {
                return Err(End::NotMqtt);
            }
            let due = self.pulse.next;
            let has_to_write = !self.outgoing.is_done() && !self.outgoing.failed;
            tokio::select! {
                read = self.reader.read_buf(&mut self.received) => match read {
                    Ok(0) => return Err(End::Closed),
                    Ok(_) => {}
                    Err(error) if is_closed(&error) => return Err(End::Closed),
                    Err(error) => return Err(End::Broken(printable(&error.to_string()))),
                },
                () = self.outgoing.drain(&mut self.writer), if has_to_write => {}
                () = sleep_until(due) => self.ping()?,
            }
        }
    }

    fn ping(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.pulse.next = now + self.pulse.pause;
        if self.pulse.asked.is_some_and(|asked| now.duration_since(asked) >= KEEP_ALIVE) {
            return Err(End::Broken(format!("it has not answered for {} s", KEEP_ALIVE.as_secs())));
        }
        self.pulse.asked.get_or_insert(now);
        // With a short Server Keep Alive the next one is due before the answer to the last must be there.
        self.state.await_pingresp = false;
        self.send(Request::PingReq)
    }

    /// Hands over a packet as it is: what it has for an identifier is the caller's.
    ///
    /// # Errors
    /// When the library refuses it.
    pub(super) fn write(&mut self, packet: &Packet) -> Result<(), End> {
        self.outgoing.make_room(packet.size());
        packet.write(&mut self.outgoing.bytes, None).map_err(|error| broken(&error.into()))?;
        self.outgoing.is_flushed = false;
        Ok(())
    }
}

impl Outgoing {
    fn is_done(&self) -> bool {
        self.written == self.bytes.len() && self.is_flushed
    }

    /// Writes a piece, and notes that; so it can be dropped at any moment.
    async fn drain(&mut self, writer: &mut WriteHalf<Box<dyn Stream>>) {
        let rest = self.bytes.get(self.written..).unwrap_or_default();
        let done = if rest.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(rest).await };
        match done {
            Ok(0) if self.written == self.bytes.len() => {
                self.is_flushed = true;
                self.wipe();
            }
            Ok(0) | Err(_) => self.failed = true,
            Ok(bytes) => self.written += bytes,
        }
    }

    /// Makes room for a packet. By itself the buffer would grow into another block, and leave its bytes behind in this one.
    fn make_room(&mut self, bytes: usize) {
        if self.bytes.capacity() - self.bytes.len() < bytes {
            let rest = self.bytes.get(self.written..).unwrap_or_default();
            let mut larger = BytesMut::with_capacity(2 * (rest.len() + bytes));
            larger.extend_from_slice(rest);
            self.wipe();
            self.bytes = larger;
        }
    }

    fn wipe(&mut self) {
        self.bytes.as_mut().zeroize();
        self.bytes.clear();
        self.written = 0;
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Pulse {
    /// Keeps to the broker's Server Keep Alive, where it has one (MQTT 5, 3.2.2.3.14). Zero means that it needs no sign of
    /// life; the agent still does.
    fn follow(&mut self, server_keep_alive: Option<u16>) {
        let asked_for =
            server_keep_alive.filter(|&seconds| seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
        // Before it is due, since the network takes its time.
        self.pause = asked_for.map_or(KEEP_ALIVE, |time| KEEP_ALIVE.min(time * 3 / 4));
        self.next = Instant::now() + self.pause;
    }

    fn answered(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.read_up_to = self.read_up_to.max(asked);
        }
    }
}

fn limits(properties: Option<&ConnAckProperties>) -> Limits {
    let of = |value: fn(&ConnAckProperties) -> Option<u8>| properties.and_then(value);
    Limits {
        largest: properties.and_then(|all| all.max_packet_size).and_then(|bytes| usize::try_from(bytes).ok()),
        receive_maximum: properties.and_then(|all| all.receive_max).unwrap_or(DEFAULT_RECEIVE_MAXIMUM).max(1),
        retains: of(|all| all.retain_available) != Some(0),
        acknowledges: of(|all| all.max_qos) != Some(0),
    }
}

fn parsed(mut bytes: BytesMut, largest: u32) -> Result<Packet, End> {
    Packet::read(&mut bytes, Some(largest)).map_err(|error| broken(&error.into()))
}

fn disconnected(frame: Frame) -> End {
    let code = frame.content().first().copied().unwrap_or_default();
    let largest = u32::MAX;
    let text = match parsed(frame.completed(), largest) {
        Ok(Packet::Disconnect(packet)) => packet.properties.and_then(|properties| properties.reason_string),
        // A code or property that the library does not know; the code says enough.
        _ => None,
    };
    if code == 0 { End::Closed } else { End::Disconnected(Reason::new(code, text)) }
}

fn broken(error: &StateError) -> End {
    End::Broken(printable(&error.to_string()))
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
