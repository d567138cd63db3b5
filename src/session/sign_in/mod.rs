//! The way to a sign-in: a code or an address for the user, and questions until there are tokens.

mod answers;
mod begin;
mod redirect;

use std::time::Duration;

use super::{Due, RequestId, Ticket, Trouble, Way};
use crate::clock::{BootTime, Now};
use crate::fault::Remedy;
use crate::policy::{self, Chance};
use crate::record::{Approval, PendingSignIn};
use crate::secret::Secret;

/// How far a sign-in is.
#[derive(Debug)]
pub(super) enum SignIn {
    /// None has been begun since the start of the session, and none begins by itself before this.
    Starts(BootTime),
    /// None is under way.
    Idle {
        /// How the last one ended, if not well.
        trouble: Option<Box<Trouble>>,
        /// How many requests that begin one have failed in a row.
        failures: u32,
    },
    /// The provider is asked for a way to the user's approval, or for tokens where none is needed.
    Asking { id: RequestId, asked: Now, failures: u32, waiting: Vec<Ticket> },
    /// It waits for the user. Boxed, since it is large and seldom there.
    Waiting(Box<Waiting>),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) pending: PendingSignIn,
    pub(super) next: Next,
    /// What the user's browser brought back.
    pub(super) code: Option<Secret>,
    /// Who waits to hear how it ends.
    pub(super) tickets: Vec<Ticket>,
    failures: u32,
    trouble: Option<Box<Trouble>>,
}

/// When the provider is asked next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// When the user's browser has brought something back.
    AtRedirection,
    At(BootTime),
    Asking {
        id: RequestId,
        asked: Now,
    },
}

impl Default for SignIn {
    fn default() -> Self {
        Self::Idle { trouble: None, failures: 0 }
    }
}

impl SignIn {
    pub(super) fn start(now: Now, chance: Chance) -> Self {
        Self::Starts(policy::start_at(now.boot, chance))
    }

    /// Goes on with what was begun before a restart; an interval is waited for again before the first poll.
    pub(super) fn resume(pending: PendingSignIn, now: Now) -> Self {
        let next = match &pending.approval {
            Approval::Device(device) => Next::At(now.boot + device.interval),
            Approval::Redirect(_) => Next::AtRedirection,
        };
        Self::Waiting(Box::new(Waiting { pending, next, code: None, tickets: Vec::new(), failures: 0, trouble: None }))
    }

    pub(super) fn to_keep(&self) -> Option<PendingSignIn> {
        match self {
            Self::Waiting(waiting) => Some(waiting.pending.clone()),
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => None,
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::Starts(_) | Self::Idle { .. } => false,
            Self::Asking { .. } => true,
            Self::Waiting(waiting) => matches!(waiting.next, Next::Asking { .. }),
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Idle { trouble, .. } => trouble.as_deref(),
            Self::Starts(_) | Self::Asking { .. } => None,
            Self::Waiting(waiting) => waiting.trouble.as_deref(),
        }
    }

    /// Whether it goes on without anybody's help, if it is `wanted`.
    pub(super) fn goes_on_by_itself(&self, wanted: bool) -> bool {
        match self {
            Self::Starts(_) => wanted,
            Self::Idle { trouble, .. } => wanted && trouble.as_ref().is_none_or(|trouble| trouble.retry.is_some()),
            Self::Asking { .. } => true,
            Self::Waiting(_) => false,
        }
    }

    pub(super) fn next_wake(&self, wanted: bool) -> Option<BootTime> {
        match self {
            Self::Idle { trouble, .. } if wanted => trouble.as_ref()?.retry.map(|retry| retry.at),
            Self::Starts(at) if wanted => Some(*at),
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => None,
            Self::Waiting(waiting) => match waiting.next {
                Next::At(at) => Some(at.min(waiting.pending.expiry.ends())),
                Next::AtRedirection => Some(waiting.pending.expiry.ends()),
                Next::Asking { .. } => None,
            },
        }
    }

    pub(super) fn clock_was_set(&mut self, now: Now) {
        if let Self::Waiting(waiting) = self {
            waiting.pending.expiry.clock_was_set(now);
        }
    }

    /// What only a change of the configuration could mend is tried at once.
    pub(super) fn reconfigured(&mut self, way: &Way) {
        if let Self::Idle { trouble: Some(trouble), .. } = self
            && (trouble.fault.remedy == Remedy::Reconfigure || *way != Way::User)
        {
            *self = Self::default();
        }
    }
}

impl Waiting {
    /// The next question comes after the interval of a device code (RFC 8628 3.5), or later after a fault.
    fn ask_later(&mut self, asked_for: Option<Duration>, now: Now, chance: Chance) -> Due {
        let interval = match &self.pending.approval {
            Approval::Device(device) => device.interval,
            Approval::Redirect(_) => Duration::ZERO,
        };
        let next = Due::within(policy::poll_wait(interval, self.failures, asked_for, chance), now);
        self.next = Next::At(next.at);
        next
    }
}

impl SignIn {
    /// What belongs to the request `id`, if that begins a sign-in: when it was made, how many have failed with it if
    /// it fails, and who waits.
    fn begun(&mut self, id: RequestId) -> Option<(Now, u32, Vec<Ticket>)> {
        match self {
            Self::Asking { id: awaited, asked, failures, waiting } if *awaited == id => {
                Some((*asked, failures.saturating_add(1), std::mem::take(waiting)))
            }
            _ => None,
        }
    }

    /// When the request `id` was made, if it is about what waits for the user.
    fn asked_on(&self, id: RequestId) -> Option<Now> {
        match self {
            Self::Waiting(waiting) => match waiting.next {
                Next::Asking { id: awaited, asked } if awaited == id => Some(asked),
                _ => None,
            },
            _ => None,
        }
    }
}
