//! Faults that last, and the moments that matter about them.

use std::time::Duration;

use crate::domain::clock::{BootTime, Now, UnixTime};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::policy;
use crate::domain::session::context::Context;

/// A moment, on the clock of timers and as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: BootTime,
    pub(super) wall: UnixTime,
}

impl Moment {
    pub(super) fn at(at: BootTime, now: Now) -> Self {
        Self { at, wall: now.wall_at(at) }
    }

    pub(super) fn within(wait: Duration, now: Now) -> Self {
        Self::at(now.boot + wait, now)
    }

    pub(super) fn clock_was_set(&mut self, now: Now) {
        self.wall = now.wall_at(self.at);
    }
}

/// A fault that lasts, since when, and when what failed is tried again. Seldom there, and so kept in a box of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ActiveFault {
    pub(super) fault: Fault,
    pub(super) since: Moment,
    pub(super) retry: Option<Moment>,
}

impl ActiveFault {
    /// `fault` takes the place of `former`, and inherits its beginning if it is the same fault going on.
    pub(super) fn continuing(former: Option<Box<Self>>, fault: Fault, retry: Option<Moment>, now: Now) -> Self {
        let former = former.filter(|former| former.fault.code == fault.code);
        let since = former.map_or(Moment::at(now.boot, now), |former| former.since);
        Self { fault, since, retry }
    }

    /// The clock was set: what may have failed only because it was wrong is due soon.
    pub(super) fn clock_was_set(&mut self, cx: &Context) {
        self.since.clock_was_set(cx.now);
        if let Some(retry) = &mut self.retry {
            retry.clock_was_set(cx.now);
        }
        self.retry_soon(BY_THE_CLOCK, cx);
    }

    /// The fault, if nothing is to be asked before the next attempt, because the provider said so.
    pub(super) fn told_to_wait(&self, now: Now) -> Option<&Fault> {
        self.told_to_wait_until().is_some_and(|until| now.boot < until).then_some(&self.fault)
    }

    /// The next attempt, if nothing is to be asked before it, because the provider said so.
    pub(super) fn told_to_wait_until(&self) -> Option<BootTime> {
        let said_so = self.fault.code == FaultCode::RateLimited
            || matches!(self.fault.remedy, Remedy::TryAgain { after: Some(_) });
        self.retry.filter(|_| said_so).map(|retry| retry.at)
    }

    /// The next attempt, if the provider as a whole cannot be asked before it, whatever for.
    pub(super) fn out_until(&self) -> Option<BootTime> {
        self.retry.filter(|_| OF_THE_WHOLE_PROVIDER.contains(&self.fault.code)).map(|retry| retry.at)
    }

    /// Retries soon if the fault is one of these, since its cause may be gone.
    pub(super) fn retry_soon(&mut self, codes: &[FaultCode], cx: &Context) {
        if let Some(retry) = self.retry.as_mut().filter(|_| codes.contains(&self.fault.code)) {
            let soon = cx.now.boot + policy::retry_wait(1, None, cx.jitter);
            *retry = Moment::at(retry.at.min(soon), cx.now);
        }
    }

    /// `fault` begins, and nothing is tried again.
    pub(super) fn lasting(fault: Fault, now: Now) -> Self {
        Self { fault, since: Moment::at(now.boot, now), retry: None }
    }
}

/// Faults that can come from a wrong clock: certificates, assertions and ID tokens are good for a time.
const BY_THE_CLOCK: &[FaultCode] =
    &[FaultCode::TlsFailed, FaultCode::InvalidClient, FaultCode::InvalidGrant, FaultCode::IdentityUnknown];

/// Faults that every request to the provider would meet.
const OF_THE_WHOLE_PROVIDER: &[FaultCode] = &[
    FaultCode::DiscoveryFailed,
    FaultCode::NotOauth,
    FaultCode::ProviderTimeout,
    FaultCode::ProviderUnavailable,
    FaultCode::ProviderUnreachable,
    FaultCode::RateLimited,
    FaultCode::TlsFailed,
];

/// Faults that can come from files that the configuration names, which may have changed although it has not.
pub(super) const BY_FILES: &[FaultCode] = &[FaultCode::TlsFailed];
