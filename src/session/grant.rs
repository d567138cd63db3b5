//! The tokens that are held: refreshed ahead of their end, kept through every fault, given up on request.

use super::{Action, Due, Note, Question, Refused, RequestId, Session, Ticket, Trouble};
use crate::clock::{BootTime, Now};
use crate::expiry::Expiry;
use crate::fault::{Fault, FaultCode, Remedy};
use crate::policy::{self, Chance};
use crate::record::{ClientBinding, Refusal, SignedIn};
use crate::token::{TokenAnswer, Tokens};

/// What is held for an account.
#[derive(Debug)]
pub(super) enum Grant {
    /// Nothing that can be used.
    None {
        /// Why not, if there is more to say than that nobody signed in.
        trouble: Option<Trouble>,
        /// The sign-in of another provider or client, kept in case the configuration goes back to it.
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

/// A sign-in and the way to its next tokens.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) signed_in: SignedIn,
    step: Step,
    /// When the newest tokens came, and with the answer to which request; neither if they are from before a restart.
    received: Option<BootTime>,
    generation: u64,
    failures: u32,
    trouble: Option<Trouble>,
    waiting: Vec<Ticket>,
}

#[derive(Debug)]
enum Step {
    /// There is nothing to refresh with, or the provider no longer accepts it.
    Never,
    Waits(Due),
    /// Asked because of `due`.
    Asking {
        id: RequestId,
        asked: Now,
        due: Due,
    },
}

impl Grant {
    pub(super) fn restore(signed_in: Option<SignedIn>, client: &ClientBinding, now: Now, chance: Chance) -> Self {
        let Some(signed_in) = signed_in else {
            return Self::None { trouble: None, former: None };
        };
        if signed_in.client != *client {
            let fault = Fault::ask_user(
                FaultCode::ClientChanged,
                "The stored sign-in is for another provider, endpoint or client than the configuration names.",
            );
            let trouble = Some(Trouble { fault, since: now.wall, retry: None });
            return Self::None { trouble, former: Some(Box::new(signed_in)) };
        }
        Self::Held(Renewal::resume(signed_in, now, chance))
    }

    pub(super) fn unreadable(fault: Fault, now: Now) -> Self {
        Self::None { trouble: Some(Trouble { fault, since: now.wall, retry: None }), former: None }
    }

    /// Why the record on disk could not be read, if so.
    pub(super) fn unreadable_because(&self) -> Option<&Fault> {
        match self {
            Self::None { trouble: Some(trouble), .. } if trouble.fault.code == FaultCode::RecordUnreadable => {
                Some(&trouble.fault)
            }
            _ => None,
        }
    }

    pub(super) fn to_keep(&self) -> Option<SignedIn> {
        match self {
            Self::None { former, .. } => former.as_deref().cloned(),
            Self::Held(renewal) => Some(renewal.signed_in.clone()),
            Self::Leaving { signed_in, .. } => signed_in.as_deref().cloned(),
        }
    }

    /// `renewal` takes the place of what was there, whose waiting requests are done.
    pub(super) fn replace(&mut self, renewal: Renewal, out: &mut Vec<Action>) {
        let former = std::mem::replace(self, Self::Held(renewal));
        if let Self::Held(former) = former {
            out.extend(former.waiting.into_iter().map(|ticket| Action::Reply(ticket, Ok(()))));
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::None { .. } => false,
            Self::Held(renewal) => matches!(renewal.step, Step::Asking { .. }),
            Self::Leaving { .. } => true,
        }
    }

    pub(super) fn next_wake(&self, safe: bool) -> Option<BootTime> {
        match self {
            Self::Held(Renewal { step: Step::Waits(due), .. }) if safe => Some(due.at),
            _ => None,
        }
    }

    pub(super) fn clock_was_set(&mut self, now: Now, chance: Chance) {
        let Self::Held(renewal) = self else { return };
        if let Some(expiry) = &mut renewal.signed_in.tokens.expiry {
            expiry.clock_was_set(now);
        }
        renewal.step = match renewal.step {
            Step::Waits(_) if renewal.failures == 0 => renewal.next_step(now, chance),
            Step::Waits(due) => Step::Waits(Due::at(due.at, now)),
            Step::Never | Step::Asking { .. } => return,
        };
    }
}

impl Renewal {
    /// The tokens of a sign-in that the user has just approved, which came in answer to the request `id`.
    pub(super) fn first(
        client: ClientBinding,
        answer: TokenAnswer,
        scope: Option<String>,
        (id, asked): (RequestId, Now),
        now: Now,
        chance: Chance,
    ) -> Self {
        let tokens = Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            expiry: answer.expires_in.map(|life| Expiry::counted(asked, life)),
            // Not named means as asked for (RFC 6749 5.1).
            scope: answer.scope.or(scope),
        };
        let signed_in = SignedIn { client, tokens, since: now.wall, last_refresh: None, refused: None };
        let mut renewal = Self::idle(signed_in);
        renewal.received = Some(now.boot);
        renewal.generation = id.serial;
        renewal.step = renewal.next_step(now, chance);
        renewal
    }

    fn resume(signed_in: SignedIn, now: Now, chance: Chance) -> Self {
        let mut renewal = Self::idle(signed_in);
        renewal.step = renewal.next_step(now, chance);
        renewal
    }

    fn idle(signed_in: SignedIn) -> Self {
        Self {
            signed_in,
            step: Step::Never,
            received: None,
            generation: 0,
            failures: 0,
            trouble: None,
            waiting: Vec::new(),
        }
    }

    fn next_step(&self, now: Now, chance: Chance) -> Step {
        if self.signed_in.refused.is_some() || self.signed_in.tokens.refresh_token.is_none() {
            return Step::Never;
        }
        let received = self.received.unwrap_or(now.boot);
        Step::Waits(Due::at(policy::refresh_at(self.signed_in.tokens.expiry.as_ref(), received, chance), now))
    }

    /// Until when a flow may have the access token; `None` for ever.
    pub(super) fn usable_until(&self) -> Option<BootTime> {
        self.signed_in.tokens.expiry.as_ref().map(policy::usable_until)
    }

    pub(super) fn is_usable(&self, now: Now) -> bool {
        self.signed_in.refused.is_none() && self.usable_until().is_none_or(|until| now.boot < until)
    }

    pub(super) fn next_refresh(&self) -> Option<Due> {
        match self.step {
            Step::Waits(due) | Step::Asking { due, .. } => Some(due),
            Step::Never => None,
        }
    }

    /// Tells the tokens of one answer from those of another.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Takes in the tokens of an answer to a refresh; what is absent stays as it was (RFC 6749 6).
    fn renew(&mut self, answer: TokenAnswer, (id, asked): (RequestId, Now), now: Now, chance: Chance) {
        let tokens = &mut self.signed_in.tokens;
        tokens.access_token = answer.access_token;
        tokens.refresh_token = answer.refresh_token.or(tokens.refresh_token.take());
        tokens.expiry = answer.expires_in.map(|life| Expiry::counted(asked, life));
        tokens.scope = answer.scope.or(tokens.scope.take());
        self.signed_in.last_refresh = Some(now.wall);
        self.received = Some(now.boot);
        self.generation = id.serial;
        self.failures = 0;
        self.trouble = None;
        self.step = self.next_step(now, chance);
    }

    /// The provider has ended the grant. The tokens stay, as nothing that one answer says is beyond mistake.
    fn refuse(&mut self, fault: &Fault, now: Now) {
        self.step = Step::Never;
        self.trouble = None;
        self.signed_in.refused = Some(Refusal { code: fault.code, message: fault.message.clone(), since: now.wall });
    }
}

impl Session {
    pub(super) fn refresh(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Action>) {
        let Grant::Held(renewal) = &mut self.grant else {
            out.push(Action::Reply(ticket, Err(Refused::NotSignedIn)));
            return;
        };
        let refused = match &mut renewal.step {
            Step::Never if renewal.signed_in.refused.is_some() => Some(Refused::NotSignedIn),
            Step::Never => Some(Refused::NoRefreshToken),
            Step::Asking { .. } => None,
            Step::Waits(due) => {
                let fresh_until = renewal.received.map(|received| received + policy::FRESH_ENOUGH);
                if fresh_until.is_some_and(|until| now.boot < until) {
                    self.disk.reply_when_safe(ticket);
                    return;
                }
                *due = Due::at(now.boot, now);
                None
            }
        };
        match refused {
            Some(refused) => out.push(Action::Reply(ticket, Err(refused))),
            None => renewal.waiting.push(ticket),
        }
    }

    /// Asks for the next tokens when it is time, but never with a refresh token that is not yet on disk.
    pub(super) fn refresh_if_due(&mut self, now: Now, out: &mut Vec<Action>) {
        if !self.disk.is_safe() {
            return;
        }
        let id = self.new_request();
        let Grant::Held(renewal) = &mut self.grant else { return };
        let Step::Waits(due) = renewal.step else { return };
        let Some(refresh_token) = renewal.signed_in.tokens.refresh_token.clone() else { return };
        if due.at <= now.boot {
            renewal.step = Step::Asking { id, asked: now, due };
            out.push(Action::Ask(id, Question::Refresh { refresh_token }));
        }
    }

    pub(super) fn refresh_answered(
        &mut self,
        id: RequestId,
        answer: Result<TokenAnswer, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let Grant::Held(renewal) = &mut self.grant else { return };
        let Step::Asking { id: awaited, asked, .. } = renewal.step else { return };
        if awaited != id {
            return;
        }
        let fault = match answer {
            Ok(tokens) => {
                renewal.renew(tokens, (id, asked), now, chance);
                self.disk.change();
                for ticket in renewal.waiting.drain(..) {
                    self.disk.reply_when_safe(ticket);
                }
                out.push(Action::Note(Note::Refreshed));
                return;
            }
            Err(fault) => fault,
        };
        for ticket in renewal.waiting.drain(..) {
            out.push(Action::Reply(ticket, Err(Refused::Failed(fault.clone()))));
        }
        renewal.failures = renewal.failures.saturating_add(1);
        let wait = match fault.remedy {
            Remedy::AskUser => {
                renewal.refuse(&fault, now);
                self.disk.change();
                out.push(Action::Note(Note::GrantEnded(fault)));
                return;
            }
            Remedy::TryAgain { after } => policy::retry_wait(renewal.failures, after, chance),
            Remedy::Reconfigure => policy::reconfigure_wait(chance),
        };
        let retry = Due::within(wait, now);
        renewal.step = Step::Waits(retry);
        out.push(Action::Note(Note::RefreshFailed(fault.clone(), wait)));
        renewal.trouble = Some(Trouble::continuing(renewal.trouble.take(), fault, Some(retry), now));
    }

    pub(super) fn logout(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        self.abandon_sign_in(out);
        let grant = std::mem::replace(&mut self.grant, Grant::None { trouble: None, former: None });
        match grant {
            Grant::Leaving { id, signed_in, mut waiting } => {
                waiting.push(ticket);
                self.grant = Grant::Leaving { id, signed_in, waiting };
            }
            Grant::None { .. } => {
                // Tokens of another provider or client cannot be revoked at this one; they are only erased.
                self.disk.unprotect();
                self.disk.change();
                self.disk.reply_when_safe(ticket);
                out.push(Action::Note(Note::SignedOut(Ok(()))));
            }
            Grant::Held(renewal) => {
                for waiting in renewal.waiting {
                    out.push(Action::Reply(waiting, Err(Refused::SigningOut)));
                }
                let id = self.new_request();
                let tokens = &renewal.signed_in.tokens;
                let question = Question::Revoke {
                    refresh_token: tokens.refresh_token.clone(),
                    access_token: tokens.access_token.clone(),
                };
                out.push(Action::Ask(id, question));
                let signed_in = Some(Box::new(renewal.signed_in));
                self.grant = Grant::Leaving { id, signed_in, waiting: vec![ticket] };
            }
        }
    }

    /// The provider has revoked the tokens, or not: they are given up all the same.
    pub(super) fn revoke_answered(&mut self, id: RequestId, answer: Result<(), Fault>, out: &mut Vec<Action>) {
        let Grant::Leaving { id: awaited, waiting, .. } = &mut self.grant else { return };
        if *awaited != id {
            return;
        }
        for ticket in waiting.drain(..) {
            self.disk.reply_when_safe(ticket);
        }
        self.grant = Grant::None { trouble: None, former: None };
        self.disk.change();
        out.push(Action::Note(Note::SignedOut(answer)));
    }
}
