//! The messages between the store and the process of its database.
//!
//! Both ends are the same program, so there is no version. Integers are big-endian, and texts and values are preceded
//! by their length.

use std::io::{self, Read, Write};

use super::error::DatabaseError;
use super::sealed_record::{Changes, Records, SealedRecord};

/// No name, value or text is longer; more means that the other end is not what it should be.
const LONGEST: usize = 64 * 1024 * 1024;
/// The length that stands for "no value".
const REMOVED: u32 = u32::MAX;

/// A command to the process.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DatabaseRequest {
    /// Put these records, or remove those without a value, and make that safe.
    Write(Changes),
    /// Close the database and end.
    Close,
}

/// The answer to a command; the first one, after the start, has all records.
pub(super) type DatabaseResponse = Result<Records, DatabaseError>;

impl DatabaseRequest {
    /// Sends the request.
    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Write(changes) => {
                send_count(to, b'W', changes.len())?;
                for (name, record) in changes {
                    send_entry(to, name, record.as_ref().map(SealedRecord::as_bytes))?;
                }
            }
            Self::Close => send_count(to, b'C', 0)?,
        }
        to.flush()
    }

    /// Receives a request; an end of the stream in front of it is an error of the kind `UnexpectedEof`.
    pub(super) fn receive(from: &mut impl Read) -> io::Result<Self> {
        let (kind, count) = receive_count(from)?;
        match kind {
            b'W' => (0..count).map(|_| receive_entry(from)).collect::<io::Result<_>>().map(Self::Write),
            b'C' => Ok(Self::Close),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Sends a response: records as names and values, or why there are none.
pub(super) fn send_response<T: AsRef<[u8]>>(
    to: &mut impl Write,
    response: &Result<Vec<(T, T)>, DatabaseError>,
) -> io::Result<()> {
    match response {
        Ok(records) => {
            send_count(to, b'K', records.len())?;
            for (name, record) in records {
                send_entry(to, name.as_ref(), Some(record.as_ref()))?;
            }
        }
        Err(DatabaseError::InUse) => send_count(to, b'U', 0)?,
        Err(DatabaseError::Damaged(why) | DatabaseError::Ended(why)) => {
            send_count(to, b'D', 0)?;
            send_bytes(to, why.as_bytes())?;
        }
        Err(DatabaseError::Files(error) | DatabaseError::NotStarted(error)) => {
            send_count(to, b'F', 0)?;
            to.write_all(&error.raw_os_error().unwrap_or(0).to_be_bytes())?;
            send_bytes(to, error.to_string().as_bytes())?;
        }
    }
    to.flush()
}

/// Receives a response.
pub(super) fn receive_response(from: &mut impl Read) -> io::Result<DatabaseResponse> {
    let (kind, count) = receive_count(from)?;
    let text = |from: &mut _| receive_bytes(from).map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(match kind {
        b'K' => Ok(receive_records(from, count)?),
        b'U' => Err(DatabaseError::InUse),
        b'D' => Err(DatabaseError::Damaged(text(from)?)),
        b'F' => {
            let mut code = [0; 4];
            from.read_exact(&mut code)?;
            let text = text(from)?;
            Err(DatabaseError::Files(match i32::from_be_bytes(code) {
                0 => io::Error::other(text),
                code => io::Error::from_raw_os_error(code),
            }))
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    })
}

fn send_count(to: &mut impl Write, kind: u8, count: usize) -> io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&length(count)?.to_be_bytes())
}

fn receive_count(from: &mut impl Read) -> io::Result<(u8, u32)> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    Ok((kind[0], receive_u32(from)?))
}

fn send_entry(to: &mut impl Write, name: &[u8], record: Option<&[u8]>) -> io::Result<()> {
    send_bytes(to, name)?;
    match record {
        Some(record) => send_bytes(to, record),
        None => to.write_all(&REMOVED.to_be_bytes()),
    }
}

fn receive_entry(from: &mut impl Read) -> io::Result<(Vec<u8>, Option<SealedRecord>)> {
    let name = receive_bytes(from)?;
    let record = match receive_u32(from)? {
        REMOVED => None,
        length => Some(SealedRecord::from_bytes(&receive_exactly(from, length)?)),
    };
    Ok((name, record))
}

fn receive_records(from: &mut impl Read, count: u32) -> io::Result<Records> {
    let entry =
        |entry: (_, Option<_>)| entry.1.map(|record| (entry.0, record)).ok_or(io::ErrorKind::InvalidData.into());
    (0..count).map(|_| receive_entry(from).and_then(entry)).collect()
}

fn send_bytes(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&length(bytes.len())?.to_be_bytes())?;
    to.write_all(bytes)
}

fn receive_bytes(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = receive_u32(from)?;
    receive_exactly(from, length)
}

fn receive_exactly(from: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
    let mut bytes = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn receive_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn length(of: usize) -> io::Result<u32> {
    u32::try_from(of).ok().filter(|_| of <= LONGEST).ok_or(io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        let record = SealedRecord::new(7, b"sealed");
        let sent = vec![(b"a".to_vec(), record.as_bytes().to_vec()), (b"b".to_vec(), record.as_bytes().to_vec())];
        let records = Records::from([(b"a".to_vec(), record.clone()), (b"b".to_vec(), record.clone())]);
        let changes = vec![(b"a".to_vec(), Some(record)), (b"b".to_vec(), None)];
        let requests = [DatabaseRequest::Write(changes), DatabaseRequest::Close];
        let mut bytes = Vec::new();
        for request in &requests {
            request.send(&mut bytes).unwrap();
        }
        let mut from = bytes.as_slice();
        for request in &requests {
            assert_eq!(DatabaseRequest::receive(&mut from).unwrap(), *request);
        }
        assert_eq!(DatabaseRequest::receive(&mut from).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

        let errors = [
            DatabaseError::InUse,
            DatabaseError::Damaged("cut".to_owned()),
            DatabaseError::Files(io::Error::from_raw_os_error(28)),
        ];
        let mut bytes = Vec::new();
        send_response(&mut bytes, &Ok(sent)).unwrap();
        let shown = errors.each_ref().map(|error| format!("{error:?}"));
        for error in errors {
            send_response::<Vec<u8>>(&mut bytes, &Err(error)).unwrap();
        }
        let mut from = bytes.as_slice();
        assert_eq!(receive_response(&mut from).unwrap().unwrap(), records);
        for error in shown {
            assert_eq!(format!("{:?}", receive_response(&mut from).unwrap().unwrap_err()), error);
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_memory_is_taken_for_it() {
        for bytes in [&b"W\0\0\0\x01\xff\xff\xff\xff"[..], b"D\0\0\0\0\xf0\0\0\0", b"?\0\0\0\0"] {
            assert!(DatabaseRequest::receive(&mut &bytes[..]).is_err());
            assert!(receive_response(&mut &bytes[..]).is_err());
        }
    }
}
