//! The forms of the pages.

use bytes::Bytes;
use url::form_urlencoded;

use crate::domain::secret::Secret;

/// A form as it was sent.
pub(super) struct Form(pub(super) Bytes);

impl Form {
    /// One field, without blanks around it; `None` where it is absent or empty.
    pub(super) fn field(&self, name: &str) -> Option<Secret> {
        let (_, value) = form_urlencoded::parse(&self.0).find(|(key, _)| key == name)?;
        Some(Secret::new(value.trim().to_owned())).filter(|value| !value.is_empty())
    }
}
