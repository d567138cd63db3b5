//! The tokens that are held: refreshed ahead of their end, kept through every fault, given up on request.

mod leave;
mod refresh;
mod renewal;

use super::{Action, Moment, Refused, RequestId, Rules, Ticket, Trouble, Way, not_admitted};
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::identity::{AllowList, Identity};
use crate::domain::policy::Chance;
use crate::domain::record::{ClientBinding, SignedIn};
pub(super) use renewal::Renewal;
use renewal::{Asking, Step};

/// What is held for an account.
#[derive(Debug)]
pub(super) enum Grant {
    /// Nothing that can be used.
    None {
        /// Why not, if there is more to say than that nobody signed in.
        trouble: Option<Box<Trouble>>,
        /// The sign-in of another provider or client, or of somebody who is not admitted any more, kept in case the
        /// configuration goes back to it.
        former: Option<Box<SignedIn>>,
    },
    /// A sign-in.
    Held(Renewal),
    /// A sign-in that is being revoked.
    Leaving {
        id: RequestId,
        /// Still the truth on disk, until the provider has answered.
        signed_in: Option<Box<SignedIn>>,
        waiting: Vec<Ticket>,
    },
}

impl Grant {
    pub(super) fn restore(
        signed_in: Option<SignedIn>,
        client: &ClientBinding,
        rules: &Rules,
        now: Now,
        chance: Chance,
    ) -> Self {
        let Some(mut signed_in) = signed_in else {
            return Self::None { trouble: None, former: None };
        };
        let kept = |signed_in, fault| {
            let trouble = Some(Box::new(Trouble::lasting(fault, now)));
            Self::None { trouble, former: Some(Box::new(signed_in)) }
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
        Self::Held(Renewal::resume(signed_in, &rules.way, now, chance))
    }

    pub(super) fn unreadable(fault: Fault, now: Now) -> Self {
        Self::None { trouble: Some(Box::new(Trouble::lasting(fault, now))), former: None }
    }

    /// Why the record on disk could not be read, if so.
    pub(super) fn unreadable_because(&self) -> Option<&Fault> {
        match self {
            Self::None { trouble: Some(trouble), .. } if trouble.fault.code.is_of_closed_record() => {
                Some(&trouble.fault)
            }
            _ => None,
        }
    }

    pub(super) fn to_keep(&self) -> Option<SignedIn> {
        self.kept().cloned()
    }

    /// `renewal` takes the place of what was there, whose waiting requests are done.
    pub(super) fn replace(&mut self, renewal: Renewal, out: &mut Vec<Action>) {
        let former = std::mem::replace(self, Self::Held(renewal));
        if let Self::Held(former) = former {
            out.extend(former.waiting.into_iter().map(|ticket| Action::Reply(ticket, Ok(()))));
        }
    }

    /// Whether what is held is of no use any more, and nothing but a user can bring other tokens.
    pub(super) fn is_over(&self, way: &Way, now: Now) -> bool {
        matches!(self, Self::Held(renewal) if !renewal.can_renew(way) && !renewal.is_usable(now))
    }

    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::None { .. } => false,
            Self::Held(renewal) => matches!(renewal.step, Step::Asking(_)),
            Self::Leaving { .. } => true,
        }
    }

    /// A refresh is not asked for before the disk has it that it is: whoever waits for it hears why.
    pub(super) fn cannot_ask(&mut self, fault: &Fault, out: &mut Vec<Action>) {
        if let Self::Held(Renewal { step: Step::Waits(_), waiting, .. }) = self {
            let refused = Refused::Failed(fault.clone());
            out.extend(waiting.drain(..).map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
        }
    }

    pub(super) fn awaits(&self, id: RequestId) -> bool {
        matches!(self, Self::Held(Renewal { step: Step::Asking(asking), .. }) if asking.id == id)
    }

    /// Whether the list admits whose sign-in is kept; nobody's is nobody to keep out.
    pub(super) fn is_admitted_by(&self, allow: &AllowList) -> bool {
        self.kept().is_none_or(|signed_in| is_admitted(signed_in, allow))
    }

    /// Whether `user` is known to be somebody else than whoever's sign-in is kept.
    pub(super) fn is_of_another_user(&self, user: Option<&Identity>) -> bool {
        let former = self.kept().and_then(|signed_in| signed_in.user.as_deref());
        former.zip(user).is_some_and(|(former, user)| former.sub != user.sub)
    }

    /// Whether it is known whose sign-in is kept.
    pub(super) fn knows_user(&self) -> bool {
        self.kept().is_some_and(|signed_in| signed_in.user.is_some())
    }

    fn kept(&self) -> Option<&SignedIn> {
        match self {
            Self::None { former, .. } => former.as_deref(),
            Self::Held(renewal) => Some(&renewal.signed_in),
            Self::Leaving { signed_in, .. } => signed_in.as_deref(),
        }
    }

    /// What only a change of the configuration could mend is tried at once.
    pub(super) fn reconfigured(&mut self, way: &Way, now: Now) {
        let Self::Held(renewal) = self else { return };
        if *way == Way::Unattended {
            renewal.signed_in.refused = None;
        }
        let waits_for_it = renewal.trouble.as_ref().is_some_and(|it| it.fault.remedy == Remedy::Reconfigure);
        let stopped = matches!(renewal.step, Step::Never) && renewal.can_renew(way);
        if stopped || (waits_for_it && matches!(renewal.step, Step::Waits(_))) {
            renewal.failures = 0;
            renewal.step = Step::Waits(Moment::at(now.boot, now));
        }
    }

    /// Tokens for what is asked for by now are due, unless a refresh token would bring those of before.
    pub(super) fn asks_otherwise(&mut self, now: Now) {
        if let Self::Held(Renewal { step: Step::Waits(due), signed_in, .. }) = self
            && signed_in.tokens.refresh_token.is_none()
        {
            *due = Moment::at(now.boot, now);
        }
    }

    pub(super) fn next_wake(&self, safe: bool) -> Option<BootTime> {
        match self {
            Self::Held(Renewal { step: Step::Waits(due), .. }) if safe => Some(due.at),
            _ => None,
        }
    }

    pub(super) fn clock_was_set(&mut self, way: &Way, now: Now, chance: Chance) {
        let renewal = match self {
            Self::Held(renewal) => renewal,
            Self::None { trouble: Some(trouble), .. } => {
                trouble.clock_was_set(now, chance);
                return;
            }
            Self::None { .. } | Self::Leaving { .. } => return,
        };
        if let Some(expiry) = &mut renewal.signed_in.tokens.expiry {
            expiry.clock_was_set(now);
        }
        if let Some(trouble) = &mut renewal.trouble {
            trouble.clock_was_set(now, chance);
        }
        renewal.step = match renewal.step {
            // What was counted in this process is due when it was; otherwise the whole fleet would draw lots anew at once.
            Step::Waits(_) if renewal.failures == 0 && renewal.received.is_none() => {
                renewal.next_step(way, now, chance)
            }
            Step::Waits(due) => Step::Waits(Moment::at(due.at, now)),
            Step::Never | Step::Asking(_) => return,
        };
        renewal.follow_trouble();
    }

    /// What the fault came from may be mended, if it is one of these.
    pub(super) fn may_be_mended(&mut self, codes: &[FaultCode], now: Now, chance: Chance) {
        if let Self::Held(Renewal { trouble: Some(trouble), .. }) = self {
            trouble.may_be_mended(codes, now, chance);
        }
        if let Self::Held(renewal) = self {
            renewal.follow_trouble();
        }
    }
}

fn is_admitted(signed_in: &SignedIn, allow: &AllowList) -> bool {
    allow.admits_everybody() || signed_in.user.as_deref().is_some_and(|user| allow.admits(user))
}
