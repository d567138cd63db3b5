//! Random texts that nobody can guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::secret::Secret;

/// So many random bytes as a text, in Base64url (RFC 4648 5).
///
/// # Errors
/// When the kernel gives no random numbers.
pub(crate) fn text<const BYTES: usize>() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}
