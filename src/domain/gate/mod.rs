//! The gate: who may see a dashboard, and for how long.
//!
//! A proxy asks about every request, so a session is found by the digest of its cookie alone. The cookie itself is known only to the
//! browser.

pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod sign_ins;
pub(crate) mod way_back;

use sha2::{Digest as _, Sha256};

/// The way in which somebody has signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In this browser, by an authorization code (RFC 6749 4.1).
    Browser,
    /// On a phone, with a code that this screen shows (RFC 8628).
    Phone,
}

impl Way {
    /// Its name in messages and in the store.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Phone => "phone",
        }
    }

    /// The way of that name.
    #[must_use]
    pub(crate) fn find(name: &str) -> Option<Self> {
        [Self::Browser, Self::Phone].into_iter().find(|way| way.name() == name)
    }
}

/// The digest of the value of a cookie: enough to know the browser again, and of no use to anybody else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CookieDigest(pub(crate) [u8; 32]);

impl CookieDigest {
    /// That of a cookie with this value.
    #[must_use]
    pub(crate) fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }
}
