//! A sign-in, and the way to its next tokens.

use std::collections::BTreeMap;

use super::FurtherRenewal;
use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::policy;
use crate::domain::rate_limit::Throttle;
use crate::domain::record::{ClientBinding, Refusal, SignedIn};
use crate::domain::session::context::Context;
use crate::domain::session::{Acquisition, ActiveFault, Moment, RequestId, Rules, Ticket};
use crate::domain::token::{SignInEnd, TokenAnswer, Tokens};
use crate::domain::token_name::TokenName;

/// A sign-in and the way to its next tokens.
#[derive(Debug)]
pub(in crate::domain::session) struct Renewal {
    pub(in crate::domain::session) signed_in: SignedIn,
    pub(super) step: RefreshStep,
    /// When the newest tokens came, and with the answer to which request; neither if they are from before a restart.
    pub(super) received: Option<BootTime>,
    generation: u64,
    /// The rate of refreshes.
    pub(super) refreshes: Throttle,
    pub(super) failures: u32,
    pub(super) active_fault: Option<Box<ActiveFault>>,
    /// True if an answer to an earlier refresh with the same token may have been lost on its way.
    pub(super) in_doubt: bool,
    pub(super) waiting: Vec<Ticket>,
    /// The ways to further tokens.
    pub(in crate::domain::session) further: Vec<FurtherRenewal>,
}

/// The end of a sign-in, as an answer to a request that was made at `asked` says, or else as it was.
pub(super) fn sign_in_end(said: SignInEnd, before: Option<Expiry>, asked: Now) -> Option<Expiry> {
    match said {
        SignInEnd::NotSaid => before,
        SignInEnd::Never => None,
        SignInEnd::In(life) => Some(Expiry::counted(asked, life)),
    }
}

/// When to refresh next, after a refresh: at that moment, or later where there have been too many.
pub(super) fn paced(refreshes: &mut Throttle, at: BootTime, now: Now) -> BootTime {
    at.max(now.boot + refreshes.reserve(now.boot))
}

#[derive(Debug)]
pub(super) enum RefreshStep {
    /// There is nothing to get other tokens with, or the provider no longer accepts it.
    Never,
    Waits(Moment),
    /// Boxed, since it is large and seldom.
    Asking(Box<Asking>),
}

impl RefreshStep {
    /// When the account's own token is due, unless that is being asked for. The refresh for a further token changes nothing
    /// about it.
    pub(super) fn own_due(&self) -> Option<Moment> {
        match self {
            Self::Waits(due) => Some(*due),
            Self::Asking(asking) => asking.token.is_some().then_some(asking.due),
            Self::Never => None,
        }
    }

    /// Changes when the account's own token is due, unless that is being asked for.
    pub(super) fn own_is_due(&mut self, at: Moment) {
        match self {
            Self::Waits(due) => *due = at,
            Self::Asking(asking) if asking.token.is_some() => asking.due = at,
            Self::Asking(_) | Self::Never => {}
        }
    }
}

/// A refresh.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) id: RequestId,
    pub(super) asked: Now,
    /// When the account's own token is due, or was.
    pub(super) due: Moment,
    /// The further token that it is for, if for one.
    pub(super) token: Option<TokenName>,
}

impl Renewal {
    /// The tokens of a sign-in that has just succeeded, which came in answer to the request `id`.
    pub(in crate::domain::session) fn first(
        client: ClientBinding,
        answer: TokenAnswer,
        rules: &Rules,
        (id, asked): (RequestId, Now),
        cx: &Context,
    ) -> Self {
        let tokens = Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            expiry: answer.expires_in.map(|life| Expiry::counted(asked, life)),
            sign_in_end: sign_in_end(answer.sign_in_end, None, asked),
            // Not named means as asked for (RFC 6749 5.1).
            scope: answer.scope.or_else(|| rules.scope.clone()),
            extra: answer.extra,
        };
        let signed_in = SignedIn {
            client,
            tokens,
            further: BTreeMap::new(),
            since: cx.now.wall,
            last_refresh: None,
            refused: None,
            refreshing_since: None,
            user: None,
            user_changed_at: None,
        };
        let mut renewal = Self::idle(signed_in);
        renewal.received = Some(cx.now.boot);
        renewal.generation = id.serial;
        renewal.step = renewal.next_step(&rules.acquisition, cx);
        renewal.follow_targets(rules, cx.now.boot, cx);
        renewal
    }

    pub(super) fn resume(signed_in: SignedIn, rules: &Rules, cx: &Context) -> Self {
        let mut renewal = Self::idle(signed_in);
        renewal.step = renewal.next_step(&rules.acquisition, cx);
        renewal.follow_targets(rules, policy::start_at(cx.now.boot, cx.jitter), cx);
        renewal
    }

    fn idle(signed_in: SignedIn) -> Self {
        let in_doubt = signed_in.refreshing_since.is_some();
        Self {
            signed_in,
            step: RefreshStep::Never,
            received: None,
            generation: 0,
            refreshes: Throttle::new(policy::REFRESHES),
            failures: 0,
            active_fault: None,
            in_doubt,
            waiting: Vec::new(),
            further: Vec::new(),
        }
    }

    /// Returns whether there is a way to other tokens without a user.
    pub(in crate::domain::session) fn can_renew(&self, acquisition: &Acquisition) -> bool {
        let has_means = self.signed_in.tokens.refresh_token.is_some() || *acquisition == Acquisition::Unattended;
        has_means && self.signed_in.refused.is_none()
    }

    pub(super) fn next_step(&self, acquisition: &Acquisition, cx: &Context) -> RefreshStep {
        if self.can_renew(acquisition) { RefreshStep::Waits(self.next_due(cx)) } else { RefreshStep::Never }
    }

    /// When the account's own token is due, as its end and that of the sign-in have it.
    pub(super) fn next_due(&self, cx: &Context) -> Moment {
        let expiry = self.signed_in.tokens.expiry.as_ref();
        let at = match self.received {
            Some(received) => {
                let at = policy::refresh_at(expiry, received, cx.jitter);
                self.before_sign_in_ends(at, received, cx)
            }
            None => self.resumes_at(expiry, cx),
        };
        Moment::at(at, cx.now)
    }

    /// The same moment, or an earlier one if the sign-in itself would end before it.
    fn before_sign_in_ends(&self, at: BootTime, received: BootTime, cx: &Context) -> BootTime {
        policy::before_sign_in_ends(at, self.signed_in.tokens.sign_in_end.as_ref(), received, cx.jitter)
    }

    /// When to refresh a token from before a restart.
    fn resumes_at(&self, expiry: Option<&Expiry>, cx: &Context) -> BootTime {
        // One that was begun in this process is not in doubt before it has failed.
        let interrupted = self.signed_in.refreshing_since.filter(|_| self.in_doubt);
        let ago = interrupted.map(|since| cx.now.wall.since(since));
        if let Some(at) = ago.and_then(|ago| policy::interrupted_at(ago, cx.now.boot, cx.jitter)) {
            return at;
        }
        let at = policy::refresh_at(expiry, cx.now.boot, cx.jitter);
        let at = self.before_sign_in_ends(at, cx.now.boot, cx);
        match expiry {
            Some(expiry) if at <= cx.now.boot || ago.is_some() => policy::overdue_at(expiry, cx.now.boot, cx.jitter),
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
            RefreshStep::Waits(due) => Some(*due),
            RefreshStep::Asking(asking) => Some(asking.due),
            RefreshStep::Never => None,
        }
    }

    /// Tells the tokens of one answer from those of another.
    pub(in crate::domain::session) fn generation(&self) -> u64 {
        self.generation
    }

    pub(in crate::domain::session) fn active_fault(&self) -> Option<&ActiveFault> {
        self.active_fault.as_deref()
    }

    /// The next refresh is no later than when its fault is to be tried again.
    pub(super) fn follow_active_fault(&mut self) {
        let retry = self.active_fault.as_ref().and_then(|fault| fault.retry);
        if let Some((due, retry)) = self.step.own_due().zip(retry)
            && retry.at < due.at
        {
            self.step.own_is_due(retry);
        }
    }

    /// Returns whether the provider wants something that only a user, or an administrator, can give, while nothing says that
    /// the grant has ended.
    pub(in crate::domain::session) fn is_stuck(&self) -> bool {
        let stuck = [FaultCode::InvalidRequest, FaultCode::InteractionRequired, FaultCode::ProviderRefused];
        self.active_fault.as_ref().is_some_and(|fault| stuck.contains(&fault.fault.code))
    }

    /// Takes in the tokens of an answer to a refresh; what is absent stays as it was (RFC 6749 6).
    pub(super) fn renew(
        &mut self,
        answer: TokenAnswer,
        acquisition: &Acquisition,
        (id, asked): (RequestId, Now),
        cx: &Context,
    ) {
        let tokens = &mut self.signed_in.tokens;
        let is_same_token = tokens.access_token == answer.access_token;
        tokens.access_token = answer.access_token;
        tokens.refresh_token = answer.refresh_token.or(tokens.refresh_token.take());
        tokens.expiry = answer.expires_in.map(|life| Expiry::counted(asked, life));
        tokens.sign_in_end = sign_in_end(answer.sign_in_end, tokens.sign_in_end, asked);
        tokens.scope = answer.scope.or(tokens.scope.take());
        tokens.extra.extend(answer.extra);
        self.signed_in.last_refresh = Some(cx.now.wall);
        self.signed_in.refreshing_since = None;
        let may_be_in_step = self.received.is_none() || self.failures > 0;
        self.received = Some(cx.now.boot);
        self.generation = id.serial;
        self.failures = 0;
        self.active_fault = None;
        self.in_doubt = false;
        self.step = self.next_step(acquisition, cx);
        let expiry = self.signed_in.tokens.expiry;
        let at = match &expiry {
            // Some give the same token until it has ended, and only then another.
            Some(expiry) if is_same_token => policy::when_ended(expiry, cx.now.boot),
            _ if may_be_in_step => {
                let at = policy::first_refresh_at(expiry.as_ref(), cx.now.boot, cx.jitter);
                self.before_sign_in_ends(at, cx.now.boot, cx)
            }
            _ => self.next_due(cx).at,
        };
        if let RefreshStep::Waits(due) = &mut self.step {
            *due = Moment::at(paced(&mut self.refreshes, at, cx.now), cx.now);
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
                Fault { code: FaultCode::RefreshInterrupted, message, ..fault }
            }
            None => fault,
        };
        self.step = RefreshStep::Never;
        self.active_fault = None;
        self.in_doubt = false;
        let refusal = Refusal { code: fault.code, message: fault.message.clone(), since: now.wall };
        self.signed_in.refused = Some(Box::new(refusal));
        fault
    }
}
