use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use url::form_urlencoded;

use super::*;

type Encoding = (&'static str, fn(&str) -> String);

/// The ways in which servers write down what they were sent.
fn encodings() -> Vec<Encoding> {
    vec![
        ("plain", str::to_owned),
        ("form", |text| form_urlencoded::byte_serialize(text.as_bytes()).collect()),
        ("percent, each byte", |text| each(text.as_bytes(), |out, byte| write!(out, "%{byte:02x}").unwrap())),
        ("JSON", |text| serde_json::to_string(text).unwrap()),
        ("JSON, each character", |text| {
            let mut out = String::new();
            text.encode_utf16().for_each(|unit| write!(out, "\\u{unit:04X}").unwrap());
            out
        }),
        ("JSON, slashes", |text| text.replace('/', "\\/")),
        ("HTML", |text| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('/', "&#x2F;")),
        ("HTML, each byte", |text| each(text.as_bytes(), |out, byte| write!(out, "&#{byte};").unwrap())),
        ("base64", |text| BASE64.encode(text)),
        ("base64url", |text| URL_SAFE_NO_PAD.encode(text)),
        ("base64 in lines", |text| {
            BASE64.encode(text).as_bytes().chunks(20).map(|line| String::from_utf8_lossy(line) + "\n").collect()
        }),
        ("hex", |text| each(text.as_bytes(), |out, byte| write!(out, "{byte:02x}").unwrap())),
        ("upper case", str::to_ascii_uppercase),
        ("spaced out", |text| text.chars().flat_map(|c| [c, ' ']).collect()),
    ]
}

fn each(bytes: &[u8], write: impl Fn(&mut String, u8)) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write(&mut out, *byte);
        out
    })
}

fn repeats(text: &str, secrets: &[&Secret]) -> bool {
    KnownSecrets::new(secrets.iter().copied()).are_in(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn no_secret_is_shown_however_it_is_encoded_wherever_it_stands_and_however_much_is_cut_off(
        secret in "[A-Za-z0-9/+=_.~&<\"%-]{16,48}",
        (before, after) in ("[a-z ]{0,12}", "[a-z ]{0,12}"),
        (cut_before, cut_after) in (0_usize..5, 0_usize..5),
        in_request in any::<bool>(),
    ) {
        let held = Secret::new(secret.clone());
        let cut = &secret[cut_before..secret.len() - cut_after];
        let said = if in_request { format!("grant_type=refresh_token&refresh_token={cut}&x=y") } else { cut.to_owned() };
        for (first, encode) in encodings() {
            // Whoever changes the case of base64 has made another text of it.
            let keeps_case = |(name, _): &Encoding| *name != "upper case";
            for (second, encode_again) in encodings().into_iter().filter(keeps_case) {
                let text = format!("{before}{}{after}", encode_again(&encode(&said)));
                // Of a longer one, the secret may stand where nothing is shown of it.
                if in_request && text.len() > LONGEST_TEXT {
                    continue;
                }
                prop_assert_eq!(shown(&text, &[&held]), WITHHELD, "{}, then {}: {}", first, second, text);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), secret in any::<String>()) {
        let _ = shown(&text, &[&Secret::new(secret)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_secret_that_nobody_knows_of_is_shown_either_and_in_no_encoding(
        secret in "(rt-|at_|GOCSPX-)?[A-Za-z0-9]{3}[A-Z][0-9][A-Za-z0-9]{12,40}",
    ) {
        let bytes = secret.as_bytes();
        let reversed: String = secret.chars().rev().collect();
        let other_letters: String = secret.chars().map(|c| if c == 'a' { 'n' } else { c }).collect();
        let wide: String = secret.chars().map(|c| char::from_u32(0xff00 + u32::from(c) - 0x20).unwrap()).collect();
        for text in [
            secret.clone(),
            reversed,
            other_letters,
            wide,
            format!("{bytes:?}"),
            each(bytes, |out, byte| write!(out, "={byte:02X}").unwrap()),
            each(bytes, |out, byte| write!(out, "{byte:02x}:").unwrap()),
            each(bytes, |out, byte| write!(out, "0x{byte:02x} ").unwrap()),
            each(bytes, |out, byte| write!(out, "\\{byte:03o}").unwrap()),
            each(bytes, |out, byte| write!(out, "\\u{{{byte:x}}}").unwrap()),
            each(bytes, |out, byte| write!(out, "&#{byte}").unwrap()),
            BASE64.encode(bytes).replace('=', "."),
        ] {
            let shown = shown(&format!("not good: {text} is over"), &[]);
            let left = shown.replace("not good", "").replace("is over", "");
            let left: String = left.chars().filter(char::is_ascii_alphanumeric).collect();
            // The beginning of a token says of what kind it is.
            let left = ["GOCSPX", "XPSCOG"].iter().fold(left, |left, kind| left.replace(kind, ""));
            prop_assert!(left.len() <= 4, "{}: {}", text, shown);
        }
    }
}

#[test]
fn what_providers_usually_say_is_shown() {
    let token = Secret::new("0.AXoAcH4K3Zt9dU2cqLk7Yw-6Mxv1zT8QbN5eRjGfVdSs".to_owned());
    let secret = Secret::new("GOCSPX-9hQ2vXb7LrTzKe".to_owned());
    for text in [
        "Token has been expired or revoked.",
        "AADSTS700082: The refresh token has expired due to inactivity. Trace ID: 0f3c9a51-6d0b-4a6e-9d63-2f1f9f5b1c00",
        "The provided authorization grant is invalid, expired, revoked, or was issued to another client.",
        "invalid device code",
    ] {
        assert_eq!(shown(text, &[&token, &secret]), text);
    }
}

#[test]
fn a_text_beside_a_secret_of_any_length_is_looked_at_in_no_time() {
    let token = Secret::new("0123456789abcdef".repeat(16 * 1024));
    let began = Instant::now();
    assert!(!repeats("https://graph.example/mail.read", &[&token]));
    assert!(repeats(&token.expose()[..token.expose().len() - 1], &[&token]));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_text_with_more_readings_than_are_looked_at_may_repeat_a_secret() {
    let token = Secret::new("at-SECRET-abcdef123456".to_owned());
    let runs: String = (0..200_u32).map(|number| format!("{number:08x}.")).collect();
    assert!(repeats(&format!("https://id.example/{runs}"), &[&token]));
    assert!(repeats(&"a.".repeat(LONGEST_REPEATED), &[&token]));
    assert!(!repeats("https://id.example/device?user_code=ABCD-EFGH&login_hint=ann@example.com", &[&token]));
}

#[test]
fn half_of_a_short_secret_is_too_much() {
    let secret = Secret::new("hunter2".to_owned());
    assert_eq!(shown("no user with unte here", &[&secret]), WITHHELD);
    assert_eq!(shown("nothing to see", &[&secret]), "nothing to see");
    assert!(!shown(&"x".repeat(5_000), &[&secret]).contains("xx"));
}
