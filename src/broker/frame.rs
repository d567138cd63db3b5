//! The broker's bytes, cut into packets.
//!
//! Brokers may leave out what is empty at the end of a packet: `e0 01 8e` is a whole DISCONNECT (MQTT 5, 3.14.2.2.1). The
//! library wants the length of the properties in every case, so short packets are completed before it reads them.

use bytes::{BufMut, BytesMut};

/// The types of packets that are looked at before the library reads them (MQTT 5, 2.1.2), in the upper half of the first byte.
const CONNACK: u8 = 0x20;
const DISCONNECT: u8 = 0xe0;

/// One whole packet, its fixed header included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    bytes: BytesMut,
    header: usize,
}

/// Bytes that are no packet of MQTT, or one larger than was agreed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadFrame;

impl Frame {
    /// Takes the first packet from what was received; `None` while it is incomplete.
    ///
    /// # Errors
    /// When it is no packet, or its content is larger than `most` bytes.
    pub(super) fn take(received: &mut BytesMut, most: usize) -> Result<Option<Self>, BadFrame> {
        let Some((header, content)) = lengths(received)? else { return Ok(None) };
        if content > most {
            return Err(BadFrame);
        }
        let whole = header + content;
        if received.len() < whole {
            // All at once, in place of growing piece by piece.
            received.reserve(whole - received.len());
            return Ok(None);
        }
        Ok(Some(Self { bytes: received.split_to(whole), header }))
    }

    /// Returns what stands behind the fixed header.
    pub(super) fn content(&self) -> &[u8] {
        self.bytes.get(self.header..).unwrap_or_default()
    }

    pub(super) fn is_connack(&self) -> bool {
        self.kind() == CONNACK
    }

    pub(super) fn is_disconnect(&self) -> bool {
        self.kind() == DISCONNECT
    }

    fn kind(&self) -> u8 {
        self.bytes.first().map_or(0, |first| first & 0xf0)
    }

    /// Returns the packet with everything that may be left out.
    pub(super) fn completed(self) -> BytesMut {
        let whole: &[u8] = match (self.kind(), self.content()) {
            (DISCONNECT, []) => &[0, 0],
            (DISCONNECT, &[code]) => &[code, 0],
            (CONNACK, &[flags, code]) => &[flags, code, 0],
            _ => return self.bytes,
        };
        let mut bytes = BytesMut::with_capacity(2 + whole.len());
        bytes.put_u8(self.bytes.first().copied().unwrap_or_default());
        bytes.put_u8(u8::try_from(whole.len()).unwrap_or_default());
        bytes.put_slice(whole);
        bytes
    }
}

/// The length of the fixed header, and of what comes behind it (MQTT 5, 2.1.4).
fn lengths(received: &[u8]) -> Result<Option<(usize, usize)>, BadFrame> {
    let mut content = 0;
    for (place, byte) in received.iter().skip(1).enumerate() {
        if place == 4 {
            return Err(BadFrame);
        }
        content |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((2 + place, content)));
        }
    }
    if received.len() > 4 { Err(BadFrame) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8]) -> Frame {
        Frame::take(&mut BytesMut::from(bytes), 1024).unwrap().unwrap()
    }

    #[test]
    fn short_packets_are_completed_and_others_left_as_they_are() {
        for (short, whole) in [
            (&[0xe0, 0][..], &[0xe0, 2, 0, 0][..]),
            (&[0xe0, 1, 0x8e], &[0xe0, 2, 0x8e, 0]),
            (&[0x20, 2, 0, 0x87], &[0x20, 3, 0, 0x87, 0]),
            (&[0xe0, 2, 0x8b, 0], &[0xe0, 2, 0x8b, 0]),
            (&[0x40, 2, 0, 1], &[0x40, 2, 0, 1]),
        ] {
            assert_eq!(&frame(short).completed()[..], whole);
        }
    }

    #[test]
    fn packets_are_cut_out_wherever_the_network_has_cut() {
        let sent = [0xe0, 1, 0x8e, 0x40, 2, 0, 1, 0xd0, 0];
        for cut in 0..sent.len() {
            let mut received = BytesMut::new();
            let mut found = Vec::new();
            for part in [&sent[..cut], &sent[cut..]] {
                received.extend_from_slice(part);
                while let Some(frame) = Frame::take(&mut received, 1024).unwrap() {
                    found.push(frame.bytes[0]);
                }
            }
            assert_eq!(found, [0xe0, 0x40, 0xd0], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_too_large_or_no_packet_is_refused_before_it_has_arrived() {
        let take = |bytes: &[u8]| Frame::take(&mut BytesMut::from(bytes), 1024);
        assert_eq!(take(&[0x30, 0x81, 0x08]), Err(BadFrame), "1,025 bytes");
        assert_eq!(take(&[0x30, 0x80, 0x08]), Ok(None), "1,024 bytes, of which none has come");
        assert_eq!(take(&[0x30, 0x80, 0x80, 0x80, 0x80]), Err(BadFrame));
        assert_eq!(take(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01]), Err(BadFrame));
        assert_eq!(take(&[0x30]), Ok(None));
    }
}
