//! The tokens that are held: refreshed ahead of their end, kept through every fault, given up on request.

use super::{Action, Due, Note, Question, Refused, RequestId, Rules, Session, Ticket, Trouble, Way, not_admitted};
use crate::clock::{BootTime, Now};
use crate::expiry::Expiry;
use crate::fault::{Fault, FaultCode, Remedy};
use crate::identity::{AllowList, Identity};
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
    /// Whether an answer to an earlier refresh with the same token may have been lost on its way.
    in_doubt: bool,
    waiting: Vec<Ticket>,
}

#[derive(Debug)]
enum Step {
    /// There is nothing to get other tokens with, or the provider no longer accepts it.
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
    pub(super) fn restore(
        signed_in: Option<SignedIn>,
        client: &ClientBinding,
        rules: &Rules,
        now: Now,
        chance: Chance,
    ) -> Self {
        let Some(signed_in) = signed_in else {
            return Self::None { trouble: None, former: None };
        };
        let kept = |signed_in, fault| {
            let trouble = Some(Trouble { fault, since: now.wall, retry: None });
            Self::None { trouble, former: Some(Box::new(signed_in)) }
        };
        if signed_in.client != *client {
            let fault = Fault::ask_user(
                FaultCode::ClientChanged,
                "The stored sign-in is for another provider, endpoint or client than the configuration names.",
            );
            return kept(signed_in, fault);
        }
        if !is_admitted(&signed_in, &rules.allow) {
            return kept(signed_in, not_admitted("The stored sign-in is of somebody whom allow does not name."));
        }
        Self::Held(Renewal::resume(signed_in, &rules.way, now, chance))
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
        self.kept().cloned()
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

    pub(super) fn awaits(&self, id: RequestId) -> bool {
        matches!(self, Self::Held(Renewal { step: Step::Asking { id: awaited, .. }, .. }) if *awaited == id)
    }

    /// Whether the list admits whose sign-in is kept; nobody's is nobody to keep out.
    pub(super) fn is_admitted_by(&self, allow: &AllowList) -> bool {
        self.kept().is_none_or(|signed_in| is_admitted(signed_in, allow))
    }

    /// Whether `user` is known to be somebody else than whoever's sign-in is kept.
    pub(super) fn is_of_another_user(&self, user: Option<&Identity>) -> bool {
        let former = self.kept().and_then(|signed_in| signed_in.user.as_ref());
        former.zip(user).is_some_and(|(former, user)| former.sub != user.sub)
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
            renewal.step = Step::Waits(Due::at(now.boot, now));
        }
    }

    pub(super) fn next_wake(&self, safe: bool) -> Option<BootTime> {
        match self {
            Self::Held(Renewal { step: Step::Waits(due), .. }) if safe => Some(due.at),
            _ => None,
        }
    }

    pub(super) fn clock_was_set(&mut self, way: &Way, now: Now, chance: Chance) {
        let Self::Held(renewal) = self else { return };
        if let Some(expiry) = &mut renewal.signed_in.tokens.expiry {
            expiry.clock_was_set(now);
        }
        renewal.step = match renewal.step {
            Step::Waits(_) if renewal.failures == 0 => renewal.next_step(way, now, chance),
            Step::Waits(due) => Step::Waits(Due::at(due.at, now)),
            Step::Never | Step::Asking { .. } => return,
        };
    }
}

fn is_admitted(signed_in: &SignedIn, allow: &AllowList) -> bool {
    allow.admits_everybody() || signed_in.user.as_ref().is_some_and(|user| allow.admits(user))
}

impl Renewal {
    /// The tokens of a sign-in that has just succeeded, which came in answer to the request `id`.
    pub(super) fn first(
        client: ClientBinding,
        answer: TokenAnswer,
        rules: &Rules,
        (id, asked): (RequestId, Now),
        now: Now,
        chance: Chance,
    ) -> Self {
        let tokens = Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            expiry: answer.expires_in.map(|life| Expiry::counted(asked, life)),
            // Not named means as asked for (RFC 6749 5.1).
            scope: answer.scope.or_else(|| rules.scope.clone()),
        };
        let signed_in = SignedIn {
            client,
            tokens,
            since: now.wall,
            last_refresh: None,
            refused: None,
            refreshing_since: None,
            user: None,
            user_changed_at: None,
        };
        let mut renewal = Self::idle(signed_in);
        renewal.received = Some(now.boot);
        renewal.generation = id.serial;
        renewal.step = renewal.next_step(&rules.way, now, chance);
        renewal
    }

    fn resume(signed_in: SignedIn, way: &Way, now: Now, chance: Chance) -> Self {
        let mut renewal = Self::idle(signed_in);
        renewal.step = renewal.next_step(way, now, chance);
        if renewal.in_doubt && matches!(renewal.step, Step::Waits(_)) {
            // The sooner it is asked again, the more likely a provider with a grace period still answers.
            renewal.step = Step::Waits(Due::at(now.boot, now));
        }
        renewal
    }

    fn idle(signed_in: SignedIn) -> Self {
        let in_doubt = signed_in.refreshing_since.is_some();
        Self {
            signed_in,
            step: Step::Never,
            received: None,
            generation: 0,
            failures: 0,
            trouble: None,
            in_doubt,
            waiting: Vec::new(),
        }
    }

    /// Whether there is a way to other tokens without a user.
    fn can_renew(&self, way: &Way) -> bool {
        let has_means = self.signed_in.tokens.refresh_token.is_some() || *way == Way::Unattended;
        has_means && self.signed_in.refused.is_none()
    }

    fn next_step(&self, way: &Way, now: Now, chance: Chance) -> Step {
        if !self.can_renew(way) {
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

    /// Whether the provider wants something that only a user, or an administrator, can give, while nothing says that
    /// the grant has ended.
    pub(super) fn is_stuck(&self) -> bool {
        let stuck = [FaultCode::InvalidRequest, FaultCode::InteractionRequired];
        self.trouble.as_ref().is_some_and(|trouble| stuck.contains(&trouble.fault.code))
    }

    /// Takes in the tokens of an answer to a refresh; what is absent stays as it was (RFC 6749 6).
    fn renew(&mut self, answer: TokenAnswer, way: &Way, (id, asked): (RequestId, Now), now: Now, chance: Chance) {
        let tokens = &mut self.signed_in.tokens;
        tokens.access_token = answer.access_token;
        tokens.refresh_token = answer.refresh_token.or(tokens.refresh_token.take());
        tokens.expiry = answer.expires_in.map(|life| Expiry::counted(asked, life));
        tokens.scope = answer.scope.or(tokens.scope.take());
        self.signed_in.last_refresh = Some(now.wall);
        self.signed_in.refreshing_since = None;
        self.received = Some(now.boot);
        self.generation = id.serial;
        self.failures = 0;
        self.trouble = None;
        self.in_doubt = false;
        self.step = self.next_step(way, now, chance);
    }

    /// The provider has ended the grant. The tokens stay, as nothing that one answer says is beyond mistake.
    fn refuse(&mut self, fault: Fault, now: Now) -> Fault {
        let since = self.signed_in.refreshing_since.take();
        let fault = match since.filter(|_| self.in_doubt && fault.code == FaultCode::InvalidGrant) {
            Some(since) => {
                let ago = now.wall.since(since).as_secs();
                let message = format!(
                    "A refresh that was begun {ago} s ago was cut off before its answer arrived, and the provider takes \
                     its refresh token only once. {}",
                    fault.message
                );
                Fault::ask_user(FaultCode::RefreshInterrupted, message)
            }
            None => fault,
        };
        self.step = Step::Never;
        self.trouble = None;
        self.in_doubt = false;
        self.signed_in.refused = Some(Refusal { code: fault.code, message: fault.message.clone(), since: now.wall });
        fault
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

    /// Asks for the next tokens when it is time, but never with a refresh token that is not yet on disk, nor before it
    /// is on disk that the request goes out.
    pub(super) fn refresh_if_due(&mut self, now: Now, out: &mut Vec<Action>) {
        if !self.disk.is_safe() {
            return;
        }
        let id = self.new_request();
        let Grant::Held(renewal) = &mut self.grant else { return };
        let Step::Waits(due) = renewal.step else { return };
        if due.at > now.boot {
            return;
        }
        let question = match &renewal.signed_in.tokens.refresh_token {
            Some(_) if renewal.signed_in.refreshing_since.is_none() => {
                renewal.signed_in.refreshing_since = Some(now.wall);
                self.disk.note();
                return;
            }
            Some(token) => Question::Refresh { refresh_token: token.clone() },
            None => Question::Obtain,
        };
        renewal.step = Step::Asking { id, asked: now, due };
        out.push(Action::Ask(id, question));
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
        let Step::Asking { id: awaited, asked, due } = renewal.step else { return };
        if awaited != id {
            return;
        }
        let fault = match answer {
            Ok(tokens) => {
                renewal.renew(tokens, &self.rules.way, (id, asked), now, chance);
                self.disk.change();
                for ticket in renewal.waiting.drain(..) {
                    self.disk.reply_when_safe(ticket);
                }
                out.push(Action::Note(Note::Refreshed));
                return;
            }
            Err(fault) => fault,
        };
        renewal.in_doubt |= fault.in_doubt;
        let tokens = &mut renewal.signed_in.tokens;
        if fault.remedy == Remedy::AskUser && self.rules.way == Way::Unattended && tokens.refresh_token.is_some() {
            // No user is needed for another one.
            tokens.refresh_token = None;
            renewal.signed_in.refreshing_since = None;
            renewal.step = Step::Waits(due);
            self.disk.change();
            return;
        }
        let wait = match fault.remedy {
            Remedy::AskUser => {
                let fault = renewal.refuse(fault, now);
                self.disk.change();
                let refused = Refused::Failed(fault.clone());
                out.extend(renewal.waiting.drain(..).map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
                out.push(Action::Note(Note::GrantEnded(fault)));
                return;
            }
            Remedy::TryAgain { after } => policy::retry_wait(renewal.failures.saturating_add(1), after, chance),
            Remedy::Reconfigure => policy::reconfigure_wait(chance),
        };
        renewal.failures = renewal.failures.saturating_add(1);
        let refused = Refused::Failed(fault.clone());
        out.extend(renewal.waiting.drain(..).map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
        let retry = Due::within(wait, now);
        renewal.step = Step::Waits(retry);
        out.push(Action::Note(Note::RefreshFailed(fault.clone(), wait)));
        renewal.trouble = Some(Trouble::continuing(renewal.trouble.take(), fault, Some(retry), now));
    }

    pub(super) fn logout(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        self.abandon_sign_in(out);
        // Otherwise it would sign in again by itself at once.
        self.stopped = self.rules.way == Way::Unattended;
        self.mark_imported();
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
        let waiting = match &mut self.grant {
            Grant::Leaving { id: awaited, waiting, .. } if *awaited == id => waiting,
            _ => {
                out.extend(answer.err().map(|fault| Action::Note(Note::NotRevoked(fault))));
                return;
            }
        };
        for ticket in waiting.drain(..) {
            self.disk.reply_when_safe(ticket);
        }
        self.grant = Grant::None { trouble: None, former: None };
        self.disk.change();
        out.push(Action::Note(Note::SignedOut(answer)));
    }
}
