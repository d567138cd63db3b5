//! Words of a provider that may be shown: those that quote no secret.
//!
//! Some servers put into an error what they were asked or what they gave, as it was or encoded once more, whole or cut. So a
//! text is decoded in every usual way, and withheld as a whole if any reading of it has a long part in common with a
//! secret. What is not known to be a secret may be one all the same: of the rest, only words stay.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::domain::readable::readable;
use crate::domain::secret::Secret;

/// The text that is shown in place of one that quotes a secret.
pub(super) const WITHHELD: &str = "[not shown, as it quotes a secret]";

/// A part that a text and a secret have in common gives nothing away if it is shorter, in bytes; half of a short secret
/// does.
const LONGEST_COMMON: usize = 6;

/// The number of times that a text may be encoded, one encoding over another.
const DEEPEST: usize = 3;

/// A text that is of use only as it is, such as an address, is refused for a part in common of three quarters of a secret, but for
/// none that is shorter than this, in bytes: both may contain one, such as a name, without one quoting the other.
const LEAST_REPEATED: usize = 12;

/// A part in common of this length, in bytes, is no chance whatever the length of the secret.
const MOST_REPEATED: usize = 64;

/// As much of a text as is looked at, in characters; more than of any is shown.
const LONGEST_TEXT: usize = 1_024;

/// The longest text that is shown as it is, in bytes: no code, address, scope or claim is longer.
const LONGEST_REPEATED: usize = 4 * 1_024;

/// The most readings of one text that are looked at.
const MOST_READINGS: usize = 500;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// Secrets that no text may quote, made ready once for all texts of an answer: a secret may be as long as an answer, and an answer may
/// have as many texts as there is room for.
pub(super) struct KnownSecrets {
    parts: Vec<SecretParts>,
    state: RandomState,
}

/// All parts of one length of a form of a secret, by their hashes. Where hashes collide, a text is withheld without need.
struct SecretParts {
    length: usize,
    hashes: HashSet<u64>,
}

/// The beginning of `text`, fit for a log, or what stands in its place if it may quote one of the `secrets`.
pub(super) fn shown(text: &str, secrets: &[&Secret]) -> String {
    let text = text.char_indices().nth(LONGEST_TEXT).map_or(text, |(end, _)| &text[..end]);
    let secrets = KnownSecrets::with_parts(secrets.iter().copied(), most_in_words);
    if secrets.quoted_in(text) == Some(false) { readable(text) } else { WITHHELD.to_owned() }
}

/// The length of a part in common with a secret of so many bytes that is too long in a sentence.
fn most_in_words(secret: usize) -> usize {
    secret.div_ceil(2).min(LONGEST_COMMON)
}

/// The same for an address or a code. Of a secret of less than twelve bytes, only the whole; of one of less than six,
/// nothing.
fn most_in_address(secret: usize) -> usize {
    (secret * 3).div_ceil(4).clamp(LEAST_REPEATED.min(secret).max(LONGEST_COMMON), MOST_REPEATED)
}

impl KnownSecrets {
    /// These secrets, for texts that must be shown as they are, such as a code or an address.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::with_parts(secrets, most_in_address)
    }

    fn with_parts<'a>(secrets: impl IntoIterator<Item = &'a Secret>, most: fn(usize) -> usize) -> Self {
        let state = RandomState::new();
        let parts = secrets.into_iter().flat_map(forms_of).map(|form| (most(form.len()), form));
        let parts = parts.filter(|(length, _)| *length > 0).map(|(length, form)| {
            let hashes = form.windows(length).map(|part| state.hash_one(part)).collect();
            SecretParts { length, hashes }
        });
        Self { parts: parts.collect(), state }
    }

    /// Returns whether any reading of `text` has most of a secret in it, or may have for all that can be told.
    pub(super) fn are_in(&self, text: &str) -> bool {
        text.len() > LONGEST_REPEATED || self.quoted_in(text) != Some(false)
    }

    /// Returns whether any reading of `text` has a part in common with a secret that is too long; `None` if it has too many readings to
    /// tell.
    fn quoted_in(&self, text: &str) -> Option<bool> {
        // No reading is longer than the text.
        if self.parts.iter().all(|SecretParts { length, hashes }| hashes.is_empty() || *length > text.len()) {
            return Some(false);
        }
        let mut seen = HashSet::from([text.as_bytes().to_vec()]);
        let mut readings = vec![text.as_bytes().to_vec()];
        for depth in 0..=DEEPEST {
            if readings.iter().any(|reading| self.have_common(reading)) {
                return Some(true);
            }
            if depth == DEEPEST {
                break;
            }
            let mut deeper = Vec::new();
            for reading in readings.iter().flat_map(|reading| decoded(reading)) {
                if seen.insert(reading.clone()) {
                    deeper.push(reading);
                }
                if seen.len() > MOST_READINGS {
                    return None;
                }
            }
            readings = deeper;
        }
        Some(false)
    }

    /// Returns whether `reading` and a secret have a part in common that gives something away. Blanks and marks between letters do not
    /// hide it, nor does another case.
    fn have_common(&self, reading: &[u8]) -> bool {
        let reading = folded(reading);
        let letters = letters_of(&reading);
        let is_in = |SecretParts { length, hashes }: &SecretParts, reading: &[u8]| {
            reading.windows(*length).any(|part| hashes.contains(&self.state.hash_one(part)))
        };
        self.parts.iter().any(|parts| is_in(parts, &reading) || is_in(parts, &letters))
    }
}

/// The forms in which a secret is looked for: the whole of it, and its letters and digits alone.
fn forms_of(secret: &Secret) -> [Zeroizing<Vec<u8>>; 2] {
    let whole = folded(secret.expose().as_bytes());
    let letters = letters_of(&whole);
    [Zeroizing::new(whole), Zeroizing::new(letters)]
}

fn letters_of(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(u8::is_ascii_alphanumeric).collect()
}

fn folded(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}

/// Every reading of `text` with one encoding taken off.
fn decoded(text: &[u8]) -> Vec<Vec<u8>> {
    let compact: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut readings = vec![percent(text), escaped(text), entities(text), compact.clone()];
    for whole in [text, compact.as_slice()] {
        for run in runs(whole, |byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)) {
            let run: Vec<u8> = run
                .iter()
                .map(|byte| match byte {
                    b'-' => b'+',
                    b'_' => b'/',
                    other => *other,
                })
                .collect();
            // Where a part was cut off in front, the groups of four begin elsewhere.
            for start in 0..run.len().min(4) {
                let rest = &run[start..];
                let rest = &rest[..rest.len() - usize::from(rest.len() % 4 == 1)];
                readings.extend(STANDARD.decode(rest));
            }
        }
        for run in runs(whole, |byte| byte.is_ascii_hexdigit()) {
            readings.extend((0..2).map(|start| hexadecimal(&run[start.min(run.len())..])));
        }
    }
    readings
}

/// The parts of at least eight bytes that are of these alone.
fn runs(text: &[u8], of: impl Fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    text.split(move |byte| !of(*byte)).filter(|run| run.len() >= 8)
}

fn hexadecimal(digits: &[u8]) -> Vec<u8> {
    digits.chunks_exact(2).filter_map(|pair| u8::try_from(number(pair, 16)?).ok()).collect()
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// Percent-encoding, and the plus sign of a form.
fn percent(text: &[u8]) -> Vec<u8> {
    let mut reading = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let byte = (first == b'%').then(|| after.get(..2).and_then(|digits| number(digits, 16))).flatten();
        if let Some(byte) = byte.and_then(|byte| u8::try_from(byte).ok()) {
            reading.push(byte);
            rest = &after[2..];
        } else {
            reading.push(if first == b'+' { b' ' } else { first });
            rest = after;
        }
    }
    reading
}

/// The escapes of JSON, of C and of Python: `\u0041`, `\x41`, `\/`.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut reading = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let (b'\\', Some((&kind, digits))) = (first, after.split_first()) else {
            reading.push(first);
            continue;
        };
        let length = match kind {
            b'u' => 4,
            b'U' => 8,
            b'x' => 2,
            _ => 0,
        };
        let character = digits.get(..length).filter(|_| length > 0).and_then(|digits| number(digits, 16));
        if let Some(character) = character.and_then(char::from_u32) {
            push(&mut reading, character);
            rest = &digits[length..];
        } else {
            reading.push(kind);
            rest = digits;
        }
    }
    reading
}

/// The entities of HTML and XML: `&amp;`, `&#47;`, `&#x2f;`.
fn entities(text: &[u8]) -> Vec<u8> {
    let mut reading = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let end = (first == b'&').then(|| after.iter().take(12).position(|byte| *byte == b';')).flatten();
        let name = end.map(|end| &after[..end]);
        let character = match name {
            Some(b"amp") => Some('&'),
            Some(b"lt") => Some('<'),
            Some(b"gt") => Some('>'),
            Some(b"quot") => Some('"'),
            Some(b"apos") => Some('\''),
            Some(b"sol") => Some('/'),
            Some(b"plus") => Some('+'),
            Some(b"equals") => Some('='),
            Some([b'#', b'x' | b'X', digits @ ..]) => number(digits, 16).and_then(char::from_u32),
            Some([b'#', digits @ ..]) => number(digits, 10).and_then(char::from_u32),
            _ => None,
        };
        match (character, end) {
            (Some(character), Some(end)) => {
                push(&mut reading, character);
                rest = &after[end + 1..];
            }
            _ => reading.push(first),
        }
    }
    reading
}

fn push(reading: &mut Vec<u8>, character: char) {
    reading.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests;
