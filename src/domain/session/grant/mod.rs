//! The tokens that are held: refreshed ahead of their end, kept through every fault, given up on request.

mod further;
mod logout;
mod refresh;
mod renewal;

use super::{Acquisition, Action, ActiveFault, Moment, RequestId, Rules, Ticket, not_admitted};
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::identity::{AllowList, Identity};
use crate::domain::record::{ClientBinding, SignedIn};
use crate::domain::session::context::Context;
pub(super) use further::FurtherRenewal;
use refresh::wait_after;
pub(super) use renewal::Renewal;
use renewal::{Asking, RefreshStep};

/// The tokens that are held for an account.
#[derive(Debug)]
pub(super) enum Grant {
    /// Nothing that can be used.
    None {
        /// Why not, if there is more to say than that nobody signed in.
        active_fault: Option<Box<ActiveFault>>,
        /// The sign-in of another provider or client, or of somebody who is not admitted any more, kept in case the
        /// configuration goes back to it.
        former: Option<Box<SignedIn>>,
    },
    /// A sign-in.
    Held(Renewal),
    /// A sign-in that is being revoked.
    Revoking {
        id: RequestId,
        /// Still the truth on disk, until the provider has answered.
        signed_in: Option<Box<SignedIn>>,
        waiting: Vec<Ticket>,
    },
}

impl Grant {
    pub(super) fn restore(signed_in: Option<SignedIn>, client: &ClientBinding, rules: &Rules, cx: &Context) -> Self {
        let Some(mut signed_in) = signed_in else {
            return Self::None { active_fault: None, former: None };
        };
        let kept = |signed_in, fault: Fault| {
            let active_fault = ActiveFault::lasting(fault.of_account(rules.acquisition.source()), cx.now);
            Self::None { active_fault: Some(Box::new(active_fault)), former: Some(Box::new(signed_in)) }
        };
        if !client.may_take_over(&signed_in.client) {
            let message = if client.is_same_client(&signed_in.client) {
                "The stored sign-in is that of an account of the configuration file, which no declared one takes over."
            } else {
                "The stored sign-in is for another provider, endpoint or client than the configuration names."
            };
            return kept(signed_in, Fault::ask_user(FaultCode::ClientChanged, message));
        }
        if !is_admitted(&signed_in, &rules.allow) {
            return kept(signed_in, not_admitted("The stored sign-in is of somebody whom allow does not name."));
        }
        signed_in.client = *client;
        Self::Held(Renewal::resume(signed_in, rules, cx))
    }

    pub(super) fn unreadable(fault: Fault, now: Now) -> Self {
        Self::None { active_fault: Some(Box::new(ActiveFault::lasting(fault, now))), former: None }
    }

    /// Why the record on disk could not be read, if so.
    pub(super) fn unreadable_because(&self) -> Option<&Fault> {
        match self {
            Self::None { active_fault: Some(active_fault), .. } if active_fault.fault.code.is_of_closed_record() => {
                Some(&active_fault.fault)
            }
            _ => None,
        }
    }

    /// `renewal` takes the place of what was there, whose waiting requests are done.
    pub(super) fn replace(&mut self, renewal: Renewal, cx: &mut Context) {
        let former = std::mem::replace(self, Self::Held(renewal));
        if let Self::Held(former) = former {
            cx.actions.extend(former.waiting.into_iter().map(|ticket| Action::Reply(ticket, Ok(()))));
        }
    }

    /// Returns whether what is held is of no use any more, and nothing but a user can bring other tokens.
    pub(super) fn is_over(&self, acquisition: &Acquisition, now: Now) -> bool {
        matches!(self, Self::Held(renewal) if !renewal.can_renew(acquisition) && !renewal.is_usable(now))
    }

    /// Returns whether there is a sign-in that goes on, whatever becomes of an attempt to put another one in its place.
    pub(super) fn lives_on(&self, acquisition: &Acquisition, now: Now) -> bool {
        matches!(self, Self::Held(renewal) if renewal.signed_in.refused.is_none()) && !self.is_over(acquisition, now)
    }

    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::None { .. } => false,
            Self::Held(renewal) => matches!(renewal.step, RefreshStep::Asking(_)),
            Self::Revoking { .. } => true,
        }
    }

    /// Refuses the requests that wait for a refresh: it may not be sent before the disk has a note of it.
    pub(super) fn cannot_ask(&mut self, fault: &Fault, cx: &mut Context) {
        if let Self::Held(Renewal { step: RefreshStep::Waits(_), waiting, .. }) = self {
            cx.fail(waiting.drain(..), fault);
        }
    }

    pub(super) fn awaits(&self, id: RequestId) -> bool {
        matches!(self, Self::Held(Renewal { step: RefreshStep::Asking(asking), .. }) if asking.id == id)
    }

    /// Returns whether the list admits the user whose sign-in is kept, or no sign-in is kept.
    pub(super) fn is_admitted_by(&self, allow: &AllowList) -> bool {
        self.kept().is_none_or(|signed_in| is_admitted(signed_in, allow))
    }

    /// Returns whether `user` is known to be another than the one whose sign-in is kept.
    pub(super) fn is_of_another_user(&self, user: Option<&Identity>) -> bool {
        let former = self.kept().and_then(|signed_in| signed_in.user.as_deref());
        former.zip(user).is_some_and(|(former, user)| former.sub != user.sub)
    }

    /// Returns whether it is known whose sign-in is kept.
    pub(super) fn knows_user(&self) -> bool {
        self.kept().is_some_and(|signed_in| signed_in.user.is_some())
    }

    /// The sign-in that is kept, if there is one.
    pub(super) fn kept(&self) -> Option<&SignedIn> {
        match self {
            Self::None { former, .. } => former.as_deref(),
            Self::Held(renewal) => Some(&renewal.signed_in),
            Self::Revoking { signed_in, .. } => signed_in.as_deref(),
        }
    }

    /// Tries at once what only a change of the configuration could fix.
    pub(super) fn reconfigured(&mut self, acquisition: &Acquisition, now: Now) {
        let Self::Held(renewal) = self else { return };
        if *acquisition == Acquisition::Unattended {
            renewal.signed_in.refused = None;
        }
        let waits_for_it = renewal.active_fault.as_ref().is_some_and(|it| it.fault.remedy == Remedy::Reconfigure);
        let stopped = matches!(renewal.step, RefreshStep::Never) && renewal.can_renew(acquisition);
        if stopped || (waits_for_it && matches!(renewal.step, RefreshStep::Waits(_))) {
            renewal.failures = 0;
            renewal.step = RefreshStep::Waits(Moment::at(now.boot, now));
        }
    }

    /// Tokens for what is asked for by now are due, unless a refresh token would bring those of before.
    pub(super) fn requests_other_tokens(&mut self, now: Now) {
        if let Self::Held(Renewal { step: RefreshStep::Waits(due), signed_in, .. }) = self
            && signed_in.tokens.refresh_token.is_none()
        {
            *due = Moment::at(now.boot, now);
        }
    }

    pub(super) fn next_wake(&self, safe: bool) -> Option<BootTime> {
        match self {
            Self::Held(renewal) if safe => renewal.next().map(|(at, _)| at),
            _ => None,
        }
    }

    pub(super) fn clock_was_set(&mut self, cx: &Context) {
        let renewal = match self {
            Self::Held(renewal) => renewal,
            Self::None { active_fault: Some(active_fault), .. } => {
                active_fault.clock_was_set(cx);
                return;
            }
            Self::None { .. } | Self::Revoking { .. } => return,
        };
        let tokens = &mut renewal.signed_in.tokens;
        for expiry in [&mut tokens.expiry, &mut tokens.sign_in_end].into_iter().flatten() {
            expiry.clock_was_set(cx.now);
        }
        if let Some(active_fault) = &mut renewal.active_fault {
            active_fault.clock_was_set(cx);
        }
        renewal.further_clock_was_set(cx);
        let Some(due) = renewal.step.own_due() else { return };
        // What was counted in this process is due when it was; otherwise the whole fleet would draw lots anew at once.
        let is_counted = renewal.failures > 0 || renewal.received.is_some();
        renewal.step.own_is_due(if is_counted { Moment::at(due.at, cx.now) } else { renewal.next_due(cx) });
        renewal.follow_active_fault();
    }

    /// Retries soon if the fault is one of these, since its cause may be gone.
    pub(super) fn retry_soon(&mut self, codes: &[FaultCode], cx: &Context) {
        if let Self::Held(Renewal { active_fault: Some(active_fault), .. }) = self {
            active_fault.retry_soon(codes, cx);
        }
        if let Self::Held(renewal) = self {
            renewal.follow_active_fault();
            renewal.retry_further_soon(codes, cx);
        }
    }

    /// The disk has all that memory has.
    pub(super) fn is_safe_on_disk(&mut self) {
        if let Self::Held(renewal) = self {
            renewal.further_are_safe();
        }
    }
}

fn is_admitted(signed_in: &SignedIn, allow: &AllowList) -> bool {
    allow.admits_everybody() || signed_in.user.as_deref().is_some_and(|user| allow.admits(user))
}
