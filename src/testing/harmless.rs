//! The property that each target of hostile input has to keep: what it shows is bounded, and shows no secret.

/// The text that a corpus has in the place of a token that came in; it must never be shown.
pub(crate) const TOKEN: &str = "tok-hidden-8Vq2mZ0xR5";

/// The texts that stand before a token, or before a secret that somebody wrote where its file should be named.
const BEFORE_SECRETS: [&str; 9] = [
    "&code=",
    "access_token\":\"",
    "refresh_token\":\"",
    "id_token\":\"",
    "device_code\":\"",
    "client_secret = \"",
    "client_secret_file = \"",
    "password = \"",
    "password_file = \"",
];

/// No text that is shown for any input is longer, in bytes.
const LONGEST_SHOWN: usize = 16 * 1024;

/// Panics if `shown`, which is all that anybody gets to see of `input`, shows a secret or is too long.
pub(crate) fn assert_harmless(input: &[u8], shown: &str) {
    let input = String::from_utf8_lossy(input);
    assert!(
        !shown.contains(TOKEN) || !is_a_secret_and_nothing_else(&input),
        "a token is shown: {shown:?} of {input:?}"
    );
    assert!(shown.len() <= LONGEST_SHOWN, "{} bytes are shown: {shown:?} of {input:?}", shown.len());
}

/// Returns whether the token stands in the input only where secrets stand: elsewhere, it is what the other side says in the open.
fn is_a_secret_and_nothing_else(input: &str) -> bool {
    let stands_right = |before: &str| BEFORE_SECRETS.iter().any(|end| before.ends_with(end));
    input.match_indices(TOKEN).all(|(at, _)| stands_right(&input[..at]))
}
