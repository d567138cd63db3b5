//! The way to a sign-in: a code or an address for the user, and questions until there are tokens.

mod answers;
mod begin;
mod redirect;

use std::time::Duration;

use super::{Moment, RequestId, Ticket, Trouble, Way};
use crate::domain::approval::Approval;
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::policy::{self, Chance};
use crate::domain::record::PendingSignIn;
use crate::domain::secret::Secret;

/// How far a sign-in is.
#[derive(Debug)]
pub(super) enum SignIn {
    /// None has been begun since the start of the session, and none begins by itself before this.
    Starts(BootTime),
    /// None is under way.
    Idle {
        /// How the last one ended, if not well.
        trouble: Option<Box<Trouble>>,
        /// How many have ended without tokens in a row, but for codes that nobody used in their time.
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
    /// How many sign-ins before it have ended without tokens in a row.
    before: u32,
    /// How many questions in a row have brought no answer.
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

    /// Waits for the user, after `before` others in a row that have ended without tokens. An interval is waited for before the
    /// first poll, again after a restart.
    pub(super) fn waiting(pending: PendingSignIn, before: u32, now: Now) -> Self {
        let next = match &pending.approval {
            Approval::Device(device) => Next::At(now.boot + device.interval),
            Approval::Redirect(_) => Next::AtRedirection,
        };
        let tickets = Vec::new();
        Self::Waiting(Box::new(Waiting { pending, next, code: None, tickets, before, failures: 0, trouble: None }))
    }

    /// How many have ended without tokens in a row, if this one ends now because of `fault`.
    pub(super) fn ended_in_a_row(&self, fault: &Fault, now: Now) -> u32 {
        match self {
            Self::Starts(_) => 0,
            Self::Idle { failures, .. } => *failures,
            Self::Asking { failures, .. } => failures.saturating_add(1),
            // That nobody came in time is how codes usually end.
            Self::Waiting(waiting) if fault.code == FaultCode::CodeExpired && waiting.had_its_time(now) => 0,
            Self::Waiting(waiting) => waiting.before.saturating_add(1),
        }
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

    pub(super) fn clock_was_set(&mut self, now: Now, chance: Chance) {
        match self {
            Self::Idle { trouble: Some(trouble), .. } => {
                trouble.clock_was_set(now, chance);
            }
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => {}
            Self::Waiting(waiting) => {
                waiting.pending.expiry.clock_was_set(now);
                if let Some(trouble) = &mut waiting.trouble {
                    trouble.clock_was_set(now, chance);
                }
                waiting.follow_trouble();
            }
        }
    }

    /// What the fault came from may be mended, if it is one of these.
    pub(super) fn may_be_mended(&mut self, codes: &[FaultCode], now: Now, chance: Chance) {
        match self {
            Self::Idle { trouble: Some(trouble), .. } => trouble.may_be_mended(codes, now, chance),
            Self::Waiting(waiting) => {
                if let Some(trouble) = &mut waiting.trouble {
                    trouble.may_be_mended(codes, now, chance);
                }
                waiting.follow_trouble();
            }
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => {}
        }
    }

    /// Why no sign-in is to be begun before the next attempt, whoever wants it: because the provider said so.
    pub(super) fn told_to_wait(&self, now: Now) -> Option<&Fault> {
        match self {
            Self::Idle { trouble: Some(trouble), .. } => trouble.told_to_wait(now),
            _ => None,
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
    /// The next question comes no later than its fault is to be tried again.
    fn follow_trouble(&mut self) {
        let retry = self.trouble.as_ref().and_then(|trouble| trouble.retry);
        if let (Next::At(at), Some(retry)) = (&mut self.next, retry) {
            *at = retry.at.min(*at);
        }
    }

    /// Whether a user had time enough to approve.
    fn had_its_time(&self, now: Now) -> bool {
        let left = self.pending.expiry.ends().after(now.boot);
        self.pending.expiry.life().saturating_sub(left) >= policy::LEAST_CODE_LIFE
    }

    /// Whether the user can no longer approve.
    fn has_lapsed(&self, now: Now) -> bool {
        self.pending.expiry.ends() <= now.boot
    }

    /// The next question comes after the interval of a device code (RFC 8628 3.5), or later after a fault.
    fn ask_later(&mut self, asked_for: Option<Duration>, now: Now, chance: Chance) -> Moment {
        let interval = match &self.pending.approval {
            Approval::Device(device) => device.interval,
            Approval::Redirect(_) => Duration::ZERO,
        };
        let next = Moment::within(policy::poll_wait(interval, self.failures, asked_for, chance), now);
        self.next = Next::At(next.at);
        next
    }
}

impl SignIn {
    /// What belongs to the request `id`, if that begins a sign-in: when it was made, how many before it have failed, and who
    /// waits.
    fn begun(&mut self, id: RequestId) -> Option<(Now, u32, Vec<Ticket>)> {
        match self {
            Self::Asking { id: awaited, asked, failures, waiting } if *awaited == id => {
                Some((*asked, *failures, std::mem::take(waiting)))
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
