//! The way to a sign-in: a code or an address for the user, and questions until there are tokens.

mod answers;
mod begin;
mod redirect;

use std::time::Duration;

use super::{Acquisition, ActiveFault, Moment, RequestId, Ticket};
use crate::domain::approval::Approval;
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::policy;
use crate::domain::record::PendingSignIn;
use crate::domain::redirection::RedirectedCode;
use crate::domain::session::context::Context;

/// The progress of a sign-in.
#[derive(Debug)]
pub(super) enum SignIn {
    /// None has been begun since the start of the session, and none begins by itself before this.
    Starts(BootTime),
    /// None is under way.
    Idle {
        /// The fault by which the last one ended, if any.
        active_fault: Option<Box<ActiveFault>>,
        /// The number that have ended without tokens in a row, not counting codes that nobody used in time.
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
    /// The code that the user's browser brought back.
    pub(super) code: Option<RedirectedCode>,
    /// Who waits to hear how it ends.
    pub(super) tickets: Vec<Ticket>,
    /// The number of sign-ins before it that have ended without tokens in a row.
    before: u32,
    /// The number of requests in a row that have brought no answer.
    failures: u32,
    active_fault: Option<Box<ActiveFault>>,
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
        Self::Idle { active_fault: None, failures: 0 }
    }
}

impl SignIn {
    pub(super) fn start(cx: &Context) -> Self {
        Self::Starts(policy::start_at(cx.now.boot, cx.jitter))
    }

    /// Waits for the user, after `before` others in a row that have ended without tokens. An interval is waited for before the
    /// first poll, again after a restart.
    pub(super) fn waiting(pending: PendingSignIn, before: u32, now: Now) -> Self {
        let next = match &pending.approval {
            Approval::Device(device) => Next::At(now.boot + device.interval),
            Approval::Redirect(_) => Next::AtRedirection,
        };
        let tickets = Vec::new();
        Self::Waiting(Box::new(Waiting { pending, next, code: None, tickets, before, failures: 0, active_fault: None }))
    }

    /// Returns how many have ended without tokens in a row, if this one ends now because of `fault`.
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

    /// Returns whether the browser has brought a code back that is not exchanged yet.
    pub(super) fn has_code(&self) -> bool {
        matches!(self, Self::Waiting(waiting) if waiting.code.is_some())
    }

    pub(super) fn active_fault(&self) -> Option<&ActiveFault> {
        match self {
            Self::Idle { active_fault, .. } => active_fault.as_deref(),
            Self::Starts(_) | Self::Asking { .. } => None,
            Self::Waiting(waiting) => waiting.active_fault.as_deref(),
        }
    }

    /// Returns whether it goes on without anybody's help, if it is `wanted`.
    pub(super) fn goes_on_by_itself(&self, wanted: bool) -> bool {
        match self {
            Self::Starts(_) => wanted,
            Self::Idle { active_fault, .. } => {
                wanted && active_fault.as_ref().is_none_or(|fault| fault.retry.is_some())
            }
            Self::Asking { .. } => true,
            Self::Waiting(_) => false,
        }
    }

    pub(super) fn next_wake(&self, wanted: bool) -> Option<BootTime> {
        match self {
            Self::Idle { active_fault, .. } if wanted => active_fault.as_ref()?.retry.map(|retry| retry.at),
            Self::Starts(at) if wanted => Some(*at),
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => None,
            Self::Waiting(waiting) => match waiting.next {
                Next::At(at) => Some(at.min(waiting.pending.expiry.ends())),
                Next::AtRedirection => Some(waiting.pending.expiry.ends()),
                Next::Asking { .. } => None,
            },
        }
    }

    pub(super) fn clock_was_set(&mut self, cx: &Context) {
        match self {
            Self::Idle { active_fault: Some(active_fault), .. } => {
                active_fault.clock_was_set(cx);
            }
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => {}
            Self::Waiting(waiting) => {
                waiting.pending.expiry.clock_was_set(cx.now);
                if let Some(active_fault) = &mut waiting.active_fault {
                    active_fault.clock_was_set(cx);
                }
                waiting.follow_active_fault();
            }
        }
    }

    /// Retries soon if the fault is one of these, since its cause may be gone.
    pub(super) fn retry_soon(&mut self, codes: &[FaultCode], cx: &Context) {
        match self {
            Self::Idle { active_fault: Some(active_fault), .. } => active_fault.retry_soon(codes, cx),
            Self::Waiting(waiting) => {
                if let Some(active_fault) = &mut waiting.active_fault {
                    active_fault.retry_soon(codes, cx);
                }
                waiting.follow_active_fault();
            }
            Self::Starts(_) | Self::Idle { .. } | Self::Asking { .. } => {}
        }
    }

    /// Why no sign-in is to be begun before the next attempt, whoever wants it: because the provider said so.
    pub(super) fn told_to_wait(&self, now: Now) -> Option<&Fault> {
        match self {
            Self::Idle { active_fault: Some(active_fault), .. } => active_fault.told_to_wait(now),
            _ => None,
        }
    }

    /// Tries at once what only a change of the configuration could fix.
    pub(super) fn reconfigured(&mut self, acquisition: &Acquisition) {
        if let Self::Idle { active_fault: Some(active_fault), .. } = self
            && (active_fault.fault.remedy == Remedy::Reconfigure || *acquisition != Acquisition::User)
        {
            *self = Self::default();
        }
    }
}

impl Waiting {
    /// The next question comes no later than its fault is to be tried again.
    fn follow_active_fault(&mut self) {
        let retry = self.active_fault.as_ref().and_then(|fault| fault.retry);
        if let (Next::At(at), Some(retry)) = (&mut self.next, retry) {
            *at = retry.at.min(*at);
        }
    }

    /// Returns whether a user had time enough to approve.
    fn had_its_time(&self, now: Now) -> bool {
        let left = self.pending.expiry.ends().after(now.boot);
        self.pending.expiry.life().saturating_sub(left) >= policy::LEAST_CODE_LIFE
    }

    /// Returns whether the user can no longer approve.
    fn has_expired(&self, now: Now) -> bool {
        self.pending.expiry.ends() <= now.boot
    }

    /// The next question comes after the interval of a device code (RFC 8628 3.5), or later after a fault.
    fn ask_later(&mut self, asked_for: Option<Duration>, cx: &Context) -> Moment {
        let interval = match &self.pending.approval {
            Approval::Device(device) => device.interval,
            Approval::Redirect(_) => Duration::ZERO,
        };
        let next = Moment::within(policy::poll_wait(interval, self.failures, asked_for, cx.jitter), cx.now);
        self.next = Next::At(next.at);
        next
    }
}

impl SignIn {
    /// Returns what belongs to the request `id`, if that begins a sign-in: when it was made, how many before it have failed, and who
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
