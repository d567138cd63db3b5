//! A sign-in, and the way to its next tokens.

use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::policy::{self, Chance};
use crate::domain::record::{ClientBinding, Refusal, SignedIn};
use crate::domain::session::{Moment, RequestId, Rules, Ticket, Trouble, Way};
use crate::domain::token::{TokenAnswer, Tokens};

/// A sign-in and the way to its next tokens.
#[derive(Debug)]
pub(in crate::domain::session) struct Renewal {
    pub(in crate::domain::session) signed_in: SignedIn,
    pub(super) step: Step,
    /// When the newest tokens came, and with the answer to which request; neither if they are from before a restart.
    pub(super) received: Option<BootTime>,
    generation: u64,
    pub(super) failures: u32,
    pub(super) trouble: Option<Box<Trouble>>,
    /// Whether an answer to an earlier refresh with the same token may have been lost on its way.
    pub(super) in_doubt: bool,
    pub(super) waiting: Vec<Ticket>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// There is nothing to get other tokens with, or the provider no longer accepts it.
    Never,
    Waits(Moment),
    /// Boxed, since it is large and seldom.
    Asking(Box<Asking>),
}

/// A refresh that was asked for because of `due`.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) id: RequestId,
    pub(super) asked: Now,
    pub(super) due: Moment,
}

impl Renewal {
    /// The tokens of a sign-in that has just succeeded, which came in answer to the request `id`.
    pub(in crate::domain::session) fn first(
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

    pub(super) fn resume(signed_in: SignedIn, way: &Way, now: Now, chance: Chance) -> Self {
        let mut renewal = Self::idle(signed_in);
        renewal.step = renewal.next_step(way, now, chance);
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
    pub(super) fn can_renew(&self, way: &Way) -> bool {
        let has_means = self.signed_in.tokens.refresh_token.is_some() || *way == Way::Unattended;
        has_means && self.signed_in.refused.is_none()
    }

    pub(super) fn next_step(&self, way: &Way, now: Now, chance: Chance) -> Step {
        if !self.can_renew(way) {
            return Step::Never;
        }
        let expiry = self.signed_in.tokens.expiry.as_ref();
        let Some(received) = self.received else {
            return Step::Waits(Moment::at(self.resumes_at(expiry, now, chance), now));
        };
        Step::Waits(Moment::at(policy::refresh_at(expiry, received, chance), now))
    }

    /// When to refresh a token from before a restart.
    fn resumes_at(&self, expiry: Option<&Expiry>, now: Now, chance: Chance) -> BootTime {
        let ago = self.signed_in.refreshing_since.map(|since| now.wall.since(since));
        if let Some(at) = ago.and_then(|ago| policy::interrupted_at(ago, now.boot, chance)) {
            return at;
        }
        let at = policy::refresh_at(expiry, now.boot, chance);
        match expiry {
            Some(expiry) if at <= now.boot || ago.is_some() => policy::overdue_at(expiry, now.boot, chance),
            _ => at,
        }
    }

    /// Until when a flow may have the access token; `None` for ever.
    pub(in crate::domain::session) fn usable_until(&self) -> Option<BootTime> {
        self.signed_in.tokens.expiry.as_ref().map(policy::usable_until)
    }

    pub(in crate::domain::session) fn is_usable(&self, now: Now) -> bool {
        self.signed_in.refused.is_none() && self.usable_until().is_none_or(|until| now.boot < until)
    }

    pub(in crate::domain::session) fn next_refresh(&self) -> Option<Moment> {
        match &self.step {
            Step::Waits(due) => Some(*due),
            Step::Asking(asking) => Some(asking.due),
            Step::Never => None,
        }
    }

    /// Tells the tokens of one answer from those of another.
    pub(in crate::domain::session) fn generation(&self) -> u64 {
        self.generation
    }

    pub(in crate::domain::session) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_deref()
    }

    /// The next refresh is no later than when its fault is to be tried again.
    pub(super) fn follow_trouble(&mut self) {
        let retry = self.trouble.as_ref().and_then(|trouble| trouble.retry);
        if let (Step::Waits(due), Some(retry)) = (&mut self.step, retry)
            && retry.at < due.at
        {
            *due = retry;
        }
    }

    /// Whether the provider wants something that only a user, or an administrator, can give, while nothing says that
    /// the grant has ended.
    pub(in crate::domain::session) fn is_stuck(&self) -> bool {
        let stuck = [FaultCode::InvalidRequest, FaultCode::InteractionRequired, FaultCode::ProviderRefused];
        self.trouble.as_ref().is_some_and(|trouble| stuck.contains(&trouble.fault.code))
    }

    /// Takes in the tokens of an answer to a refresh; what is absent stays as it was (RFC 6749 6).
    pub(super) fn renew(
        &mut self,
        answer: TokenAnswer,
        way: &Way,
        (id, asked): (RequestId, Now),
        now: Now,
        chance: Chance,
    ) {
        let tokens = &mut self.signed_in.tokens;
        tokens.access_token = answer.access_token;
        tokens.refresh_token = answer.refresh_token.or(tokens.refresh_token.take());
        tokens.expiry = answer.expires_in.map(|life| Expiry::counted(asked, life));
        tokens.scope = answer.scope.or(tokens.scope.take());
        self.signed_in.last_refresh = Some(now.wall);
        self.signed_in.refreshing_since = None;
        let may_be_in_step = self.received.is_none() || self.failures > 0;
        self.received = Some(now.boot);
        self.generation = id.serial;
        self.failures = 0;
        self.trouble = None;
        self.in_doubt = false;
        self.step = self.next_step(way, now, chance);
        if let (Step::Waits(due), true) = (&mut self.step, may_be_in_step) {
            *due = Moment::at(policy::first_refresh_at(self.signed_in.tokens.expiry.as_ref(), now.boot, chance), now);
        }
    }

    /// The provider has ended the grant. The tokens stay, as nothing that one answer says is beyond mistake.
    pub(super) fn refuse(&mut self, fault: Fault, now: Now) -> Fault {
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
        let refusal = Refusal { code: fault.code, message: fault.message.clone(), since: now.wall };
        self.signed_in.refused = Some(Box::new(refusal));
        fault
    }
}
