//! Bodies that a server compressed although nobody asked it to (RFC 9110 8.4.1).

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use zeroize::Zeroizing;

use super::body::is_object;

/// Why a compressed body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecompressionError {
    /// It is longer than it may be.
    #[error("its compressed body is too large")]
    TooLarge,
    /// It is not in the format that it claims.
    #[error("its compressed body is damaged")]
    Damaged,
}

/// Decompresses `body`, of which `encoding` is what the header says, to `limit` bytes at most. What is not compressed is
/// returned as it is: the content decides.
pub(super) fn decompressed(
    body: Zeroizing<Vec<u8>>,
    encoding: Option<&str>,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, DecompressionError> {
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    if body.starts_with(b"\x1f\x8b") {
        return all_of(GzDecoder::new(body.as_slice()), limit);
    }
    if encoding != "deflate" || body.is_empty() {
        return Ok(body);
    }
    // With the frame that the standard asks for, and without, as some have always sent it.
    match all_of(ZlibDecoder::new(body.as_slice()), limit) {
        Err(DecompressionError::Damaged) => match all_of(DeflateDecoder::new(body.as_slice()), limit) {
            Err(DecompressionError::Damaged) if is_object(&body) => Ok(body),
            result => result,
        },
        result => result,
    }
}

fn all_of(decoder: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>, DecompressionError> {
    // All at once, because growing would leave copies of what was read so far behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(limit + 1));
    let limit_and_one = u64::try_from(limit).map_or(u64::MAX, |limit| limit + 1);
    decoder.take(limit_and_one).read_to_end(&mut whole).map_err(|_| DecompressionError::Damaged)?;
    if whole.len() > limit { Err(DecompressionError::TooLarge) } else { Ok(whole) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn read(body: &[u8], encoding: Option<&str>) -> Result<Vec<u8>, DecompressionError> {
        decompressed(Zeroizing::new(body.to_vec()), encoding, 1_000).map(|body| body.to_vec())
    }

    #[test]
    fn a_front_server_that_compresses_unasked_is_read_within_the_limit() {
        let compressed = |text: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
            let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text).unwrap();
            zlib.write_all(text).unwrap();
            raw.write_all(text).unwrap();
            [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap()), ("deflate", raw.finish().unwrap())]
        };
        for (encoding, body) in compressed(b"{\"access_token\":\"a\"}") {
            assert_eq!(read(&body, Some(encoding)).unwrap(), b"{\"access_token\":\"a\"}");
        }
        for (encoding, body) in compressed(&vec![b'x'; 100_000]) {
            assert_eq!(read(&body, Some(encoding)), Err(DecompressionError::TooLarge), "{encoding}");
        }
        let (_, gzip) = &compressed(b"{}")[0];
        assert_eq!(read(gzip, None).unwrap(), b"{}", "without a word in the header");
        assert_eq!(read(&gzip[..gzip.len() - 9], Some("gzip")), Err(DecompressionError::Damaged));
        for encoding in ["gzip", "deflate"] {
            assert_eq!(read(b"{}", Some(encoding)).unwrap(), b"{}", "a header that is wrong");
        }
    }
}
