//! The content that the broker was last given.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;

use crate::domain::clock::{BootTime, Now, UnixTime};
use crate::domain::token_name::TokenName;

/// The content that was last published.
#[derive(Debug, Default)]
pub(in crate::domain::session) struct Shown {
    pub(super) token: Option<ShownToken>,
    pub(super) further: BTreeMap<TokenName, ShownToken>,
    pub(super) status: Option<Digest>,
    pub(super) sign_in: Option<Digest>,
    pub(super) identity: Option<Digest>,
}

/// Tells what was shown from anything else, in a few bytes instead of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(NonZeroU64);

impl Digest {
    pub(super) fn of(shown: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        shown.hash(&mut hasher);
        Self(NonZeroU64::MIN.saturating_add(hasher.finish()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ShownToken {
    None,
    Token { generation: u64, expires_at: Option<UnixTime>, usable_until: Option<BootTime> },
}

impl ShownToken {
    pub(super) fn is_good(&self, now: Now) -> bool {
        match self {
            Self::Token { usable_until, .. } => usable_until.is_none_or(|until| now.boot < until),
            Self::None => false,
        }
    }

    fn usable_until(&self) -> Option<BootTime> {
        match self {
            Self::Token { usable_until, .. } => *usable_until,
            Self::None => None,
        }
    }
}

impl Shown {
    /// When a token that the broker holds has to be taken back.
    pub(in crate::domain::session) fn next_wake(&self) -> Option<BootTime> {
        self.tokens().filter_map(ShownToken::usable_until).min()
    }

    pub(super) fn holds_expired_token(&self, now: Now) -> bool {
        self.tokens().any(|token| *token != ShownToken::None && !token.is_good(now))
    }

    pub(super) fn token_is_good(&self, now: Now) -> bool {
        self.token.as_ref().is_some_and(|token| token.is_good(now))
    }

    fn tokens(&self) -> impl Iterator<Item = &ShownToken> {
        self.token.iter().chain(self.further.values())
    }
}
