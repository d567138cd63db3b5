//! Text of others, without what is not words.
//!
//! A server may quote in a sentence what nobody should read, in any encoding there is. So of a text that comes from outside
//! only what people write to each other stays: words, short numbers, and the codes by which errors are looked up. Whatever
//! looks like a token, a key or an encoding of one becomes an ellipsis.

use crate::domain::text::printable;

/// The mark in the place of something unreadable.
const LEFT_OUT: &str = "…";

/// The most short numbers in a row: more of them are bytes.
const MOST_NUMBERS: usize = 6;

/// The most parts of one chunk that have a digit: a date, a time and an address have fewer.
const MOST_WITH_DIGITS: usize = 5;

/// The most unusual marks in one chunk: more of them are an encoding.
const MOST_MARKS: usize = 2;

const LONGEST_WORD: usize = 20;
const LONGEST_CAPITALS: usize = 16;
const LONGEST_CAMEL_CASE: usize = 20;
const LONGEST_NUMBER: usize = 8;
const LONGEST_CODE: usize = 14;

/// `text` on one line and fit to be shown, with an ellipsis for each part that is neither a word nor a short number.
#[must_use]
pub(crate) fn readable(text: &str) -> String {
    let text = printable(text);
    let chunks: Vec<&str> = text.split(' ').filter(|chunk| !chunk.is_empty()).collect();
    let mut shown: Vec<String> = chunks.iter().map(|chunk| chunk_of(chunk)).collect();
    for run in runs_of_numbers(&chunks) {
        shown[run].fill(LEFT_OUT.to_owned());
    }
    shown.dedup_by(|this, before| this == LEFT_OUT && before == LEFT_OUT);
    shown.join(" ")
}

/// Where more short numbers stand in a row than people write.
fn runs_of_numbers(chunks: &[&str]) -> Vec<std::ops::Range<usize>> {
    let is_number = |chunk: &&str| {
        let core = chunk.trim_matches(|c: char| !c.is_alphanumeric());
        core.len() <= 4 && core.bytes().any(|byte| byte.is_ascii_digit())
    };
    let mut runs = Vec::new();
    let mut start = 0;
    for run in chunks.chunk_by(|a, b| is_number(a) == is_number(b)) {
        let range = start..start + run.len();
        start = range.end;
        if run.len() > MOST_NUMBERS && run.first().is_some_and(is_number) {
            runs.push(range);
        }
    }
    runs
}

/// The letters between two blanks, as far as they are shown.
fn chunk_of(chunk: &str) -> String {
    let core = chunk.trim_matches(|c: char| c.is_ascii_punctuation());
    let is_usual = |c: char| c.is_alphanumeric() || "-_./:'@’".contains(c);
    let marks = core.chars().filter(|c| c.is_ascii() && !is_usual(*c)).count();
    let parts = parts_of(core);
    let with_digits = parts.iter().filter(|part| part.bytes().any(|byte| byte.is_ascii_digit())).count();
    let (words, strange): (Vec<&str>, Vec<&str>) = parts.into_iter().partition(|part| is_readable(part));
    let odd = words.into_iter().filter(|part| is_odd(part)).count();
    if marks > MOST_MARKS || core.contains('\\') || with_digits > MOST_WITH_DIGITS || strange.len() + odd > 1 {
        return LEFT_OUT.to_owned();
    }
    // The others say what it is, as in `client_id=…`.
    strange.into_iter().fold(chunk.to_owned(), |shown, part| shown.replace(part, LEFT_OUT))
}

/// The words, numbers and UUIDs of a chunk, in no order. Where ASCII meets other letters, one ends: languages without blanks
/// write a name or a number beside their words.
fn parts_of(core: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for segment in core.split('/') {
        if is_uuid(segment) {
            parts.push(segment);
            continue;
        }
        let ascii = segment.split(|c: char| !c.is_ascii_alphanumeric());
        let others = segment.split(|c: char| c.is_ascii() || !c.is_alphanumeric());
        parts.extend(ascii.chain(others).filter(|part| !part.is_empty()));
    }
    parts
}

/// Returns whether it is a word, a short number, a code of an error, or a UUID.
fn is_readable(part: &str) -> bool {
    if !part.is_ascii() {
        return !part.chars().any(is_look_alike);
    }
    let length = part.len();
    let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
    if letters == length {
        let lower_case = part.bytes().skip(1).all(|byte| byte.is_ascii_lowercase());
        let upper_case = part.bytes().all(|byte| byte.is_ascii_uppercase());
        return length <= 8
            || (lower_case && length <= LONGEST_WORD)
            || (upper_case && length <= LONGEST_CAPITALS)
            || (!lower_case && !upper_case && length <= LONGEST_CAMEL_CASE && humps(part) <= length / 4);
    }
    if letters == 0 {
        return length <= LONGEST_NUMBER;
    }
    length <= 5 || is_error_code(part) || is_versioned_word(part) || is_uuid(part)
}

/// Returns whether it is short, and yet no word: many of them side by side are not text.
fn is_odd(part: &str) -> bool {
    let has = |of: fn(&u8) -> bool| part.bytes().any(|byte| of(&byte));
    let is_usual = is_error_code(part) || is_versioned_word(part) || is_uuid(part);
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && !is_usual;
    let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
    mixed || (letters && part.len() <= 8 && humps(part) > 1)
}

/// Counts the capitals after small letters.
fn humps(part: &str) -> usize {
    part.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count()
}

/// Returns whether it is of the form of `AADSTS700082` and `AADB2C90080`.
fn is_error_code(part: &str) -> bool {
    let bytes = part.as_bytes();
    let capitals = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let all = bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    all && capitals >= 2
        && digits >= 2
        && part.len() <= LONGEST_CODE
        && (digits >= 4 || capitals + digits == part.len())
}

/// Returns whether it is of the form of `OAuth2` and `sha256`.
fn is_versioned_word(part: &str) -> bool {
    let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = part.len() - word.len();
    (1..=3).contains(&digits)
        && (2..=8).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        && humps(word) <= 1
}

/// Returns whether the character is a variant of a Latin letter or a digit, in which ASCII can be written again.
fn is_look_alike(c: char) -> bool {
    matches!(c, '\u{2460}'..='\u{24ff}' | '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{1f100}'..='\u{1f1ff}')
}

/// Returns whether it is a UUID (RFC 9562 4), by which providers find a request again.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_stays() {
        for text in [
            "Token has been expired or revoked.",
            "AADSTS700082: The refresh token has expired due to inactivity. Trace ID: 0f3c9a51-6d0b-4a6e-9d63-2f1f9f5b1c00",
            "AADB2C90080: The provided grant has expired. Timestamp: 2026-11-27 18:06:00Z",
            "The scope 'https://www.googleapis.com/auth/drive.file' is not allowed for OAuth2 clients (see RFC 6749, 5.2).",
            "invalid_grant: user_code=expired",
            "invalidClientSecret, OpenID, HttpRequestException",
            "Ungültiger Schlüssel für gérant@example.com",
            "認証コードの有効期限が切れています",
            "エラー700082がhttps://id.example/で発生しました",
            "https://login.microsoftonline.com/0f3c9a51-6d0b-4a6e-9d63-2f1f9f5b1c00/oauth2/v2.0/token",
            "http://192.168.178.20:8080/login",
        ] {
            assert_eq!(readable(text), text);
        }
    }

    #[test]
    fn what_may_be_a_secret_is_left_out_and_its_name_stays() {
        for (text, shown) in [
            ("the access token at-s3cr3t-1795802340 has not expired yet", "the access token … has not expired yet"),
            ("issued rt-NEWNEWNEWNEWNEW77 and at-BRANDNEW-8877665544.", "issued rt-… and at-BRANDNEW-…."),
            ("client_id=0oa2b3c4d5e6f7g8h9 is unknown", "client_id=… is unknown"),
            ("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl is expired", "… is expired"),
            ("令牌AbCdEfGhIjKlMnOpQrStUv无效", "令牌…无效"),
            ("gültig:AbCdEfGhIjKlMnOpQrStUvü", "gültig:…ü"),
            ("0f3c9a51-6d0b-4a6e-9d63-2f1f9f5b1c00/".repeat(6).as_str(), "…"),
            ("[114, 116, 45, 83, 69, 67, 82, 69, 84]", "…"),
            ("0x72 0x74 0x2d 0x53 0x45 0x43 0x52", "…"),
        ] {
            assert_eq!(readable(text), shown, "{text}");
        }
    }
}
