//! The further tokens of a sign-in: each has its own time, and all share one refresh token and one request under way.

use super::renewal::{paced, sign_in_end};
use super::{RefreshStep, Renewal, wait_after};
use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::policy;
use crate::domain::record::FurtherToken;
use crate::domain::session::context::Context;
use crate::domain::session::{ActiveFault, LogEvent, Moment, RequestId, Rules, Session};
use crate::domain::token::TokenAnswer;
use crate::domain::token_name::TokenName;

/// The way to the next token of one name. The present one is in the record.
#[derive(Debug)]
pub(in crate::domain::session) struct FurtherRenewal {
    pub(in crate::domain::session) name: TokenName,
    due: Moment,
    /// When the present token came, and with the answer to which request; neither if it is from before a restart.
    received: Option<BootTime>,
    generation: u64,
    failures: u32,
    active_fault: Option<Box<ActiveFault>>,
    /// True if the disk has the present token.
    is_safe: bool,
}

impl FurtherRenewal {
    fn new(name: TokenName, due: Moment) -> Self {
        Self { name, due, received: None, generation: 0, failures: 0, active_fault: None, is_safe: true }
    }

    pub(in crate::domain::session) fn active_fault(&self) -> Option<&ActiveFault> {
        self.active_fault.as_deref()
    }

    /// Tells the token of one answer from that of another.
    pub(in crate::domain::session) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns whether the disk has the token that memory has.
    pub(in crate::domain::session) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// Begins anew, as if nothing had failed.
    fn retry_now(&mut self, now: Now) {
        self.failures = 0;
        self.is_due(now);
    }

    /// Has the token asked for now, unless the provider asked for a wait.
    fn is_due(&mut self, now: Now) {
        let fault = self.active_fault.as_deref_mut();
        if fault.as_ref().is_some_and(|fault| fault.told_to_wait(now).is_some()) {
            return;
        }
        self.due = Moment::at(now.boot, now);
        if let Some(fault) = fault {
            fault.retry = Some(self.due);
        }
    }

    /// Returns whether what failed would have failed for any token: the provider could not be asked.
    fn waits_for_provider(&self) -> bool {
        self.active_fault().is_some_and(|fault| fault.out_until().is_some())
    }

    fn clock_was_set(&mut self, token: Option<&mut FurtherToken>, cx: &Context) {
        if let Some(active_fault) = &mut self.active_fault {
            active_fault.clock_was_set(cx);
        }
        let expiry = token.and_then(|token| token.expiry.as_mut());
        self.due = match expiry {
            Some(expiry) => {
                expiry.clock_was_set(cx.now);
                // What was counted in this process is due when it was.
                let is_counted = self.received.is_some() || self.failures > 0;
                Moment::at(if is_counted { self.due.at } else { resumes_at(Some(expiry), cx) }, cx.now)
            }
            None => Moment::at(self.due.at, cx.now),
        };
        self.follow_active_fault();
    }

    fn follow_active_fault(&mut self) {
        let retry = self.active_fault.as_ref().and_then(|fault| fault.retry);
        if let Some(retry) = retry.filter(|retry| retry.at < self.due.at) {
            self.due = retry;
        }
    }
}

/// When to refresh a token from before a restart.
fn resumes_at(expiry: Option<&Expiry>, cx: &Context) -> BootTime {
    let at = policy::refresh_at(expiry, cx.now.boot, cx.jitter);
    match expiry {
        Some(expiry) if at <= cx.now.boot => policy::overdue_at(expiry, cx.now.boot, cx.jitter),
        _ => at,
    }
}

impl Renewal {
    /// Goes on with the further tokens that the rules name, and drops those that were got for something else. A token that is
    /// not there is due at `start`. Returns whether one was dropped.
    pub(in crate::domain::session) fn follow_targets(&mut self, rules: &Rules, start: BootTime, cx: &Context) -> bool {
        let targets = &rules.tokens;
        let held = &mut self.signed_in.further;
        let before = held.len();
        held.retain(|name, token| targets.get(name).is_some_and(|target| target.fingerprint() == token.target));
        self.further.retain(|it| targets.contains_key(&it.name));
        for it in &mut self.further {
            if !it.waits_for_provider() && (it.active_fault.is_some() || !held.contains_key(&it.name)) {
                it.retry_now(cx.now);
            }
        }
        for name in targets.keys() {
            if !self.further.iter().any(|it| it.name == *name) {
                let at = held.get(name).map_or(start, |token| resumes_at(token.expiry.as_ref(), cx));
                self.further.push(FurtherRenewal::new(name.clone(), Moment::at(at, cx.now)));
            }
        }
        self.further.shrink_to_fit();
        self.signed_in.further.len() < before
    }

    /// The next request, when it is due, and which further token it is for, if for one.
    ///
    /// The account's own token waits for no further one, unless the provider asked for a wait. A further token waits while
    /// the provider cannot be asked for any other.
    pub(super) fn next(&self) -> Option<(BootTime, Option<&TokenName>)> {
        let RefreshStep::Waits(due) = self.step else { return None };
        let of_further = || self.further.iter().filter_map(FurtherRenewal::active_fault);
        let told = of_further().filter_map(ActiveFault::told_to_wait_until).max();
        let own = (told.map_or(due.at, |told| due.at.max(told)), None);
        if self.signed_in.tokens.refresh_token.is_none() {
            return Some(own);
        }
        let out = self.active_fault().into_iter().chain(of_further()).filter_map(ActiveFault::out_until).max();
        let further = self.further.iter().map(|it| (out.map_or(it.due.at, |out| it.due.at.max(out)), Some(&it.name)));
        std::iter::once(own).chain(further).min_by_key(|(at, _)| *at)
    }

    /// A further token of that name, if there is one, and the way to the next.
    pub(in crate::domain::session) fn further(
        &self,
        name: &TokenName,
    ) -> Option<(&FurtherRenewal, Option<&FurtherToken>)> {
        let way = self.further.iter().find(|it| it.name == *name)?;
        Some((way, self.signed_in.further.get(name)))
    }

    /// The disk has all that memory has.
    pub(in crate::domain::session) fn further_are_safe(&mut self) {
        self.further.iter_mut().for_each(|it| it.is_safe = true);
    }

    /// Returns whether a further token is not yet on disk.
    pub(in crate::domain::session) fn has_unsafe_further(&self) -> bool {
        self.further.iter().any(|it| !it.is_safe)
    }

    pub(super) fn further_clock_was_set(&mut self, cx: &Context) {
        for it in &mut self.further {
            it.clock_was_set(self.signed_in.further.get_mut(&it.name), cx);
        }
    }

    pub(super) fn retry_further_soon(&mut self, codes: &[FaultCode], cx: &Context) {
        for it in &mut self.further {
            if let Some(active_fault) = &mut it.active_fault {
                active_fault.retry_soon(codes, cx);
            }
            it.follow_active_fault();
        }
    }

    /// Tries again at once what was refused, of every further token.
    pub(super) fn retry_refused_further(&mut self, now: Now) {
        for it in self.further.iter_mut().filter(|it| it.active_fault.is_some()) {
            it.retry_now(now);
        }
    }

    /// The provider has answered, and so the further tokens that waited for it wait no longer.
    pub(super) fn provider_answers(&mut self, now: Now) {
        for it in self.further.iter_mut().filter(|it| it.waits_for_provider()) {
            it.is_due(now);
        }
    }

    /// Takes in the answer to a refresh for a further token; the refresh token in it is the sign-in's.
    fn renew_further(
        &mut self,
        name: &TokenName,
        answer: TokenAnswer,
        rules: &Rules,
        (id, asked): (RequestId, Now),
        cx: &Context,
    ) {
        let signed_in = &mut self.signed_in;
        let tokens = &mut signed_in.tokens;
        tokens.refresh_token = answer.refresh_token.or(tokens.refresh_token.take());
        tokens.sign_in_end = sign_in_end(answer.sign_in_end, tokens.sign_in_end, asked);
        signed_in.refreshing_since = None;
        self.in_doubt = false;
        let way = self.further.iter_mut().find(|it| it.name == *name);
        let (Some(way), Some(target)) = (way, rules.tokens.get(name)) else { return };
        let former = signed_in.further.remove(name);
        let is_same_token = former.as_ref().is_some_and(|former| former.access_token == answer.access_token);
        let (scope_before, mut extra) = former.map(|former| (former.scope, former.extra)).unwrap_or_default();
        extra.extend(answer.extra);
        let expiry = answer.expires_in.map(|life| Expiry::counted(asked, life));
        let token = FurtherToken {
            access_token: answer.access_token,
            expiry,
            // Not named means as asked for (RFC 6749 5.1), and as before if nothing was asked for (RFC 6749 6).
            scope: answer.scope.or_else(|| target.scope()).or(scope_before),
            extra,
            target: target.fingerprint(),
        };
        signed_in.further.insert(name.clone(), token);
        let may_be_in_step = way.received.is_none() || way.failures > 0;
        let at = match &expiry {
            Some(expiry) if is_same_token => policy::when_ended(expiry, cx.now.boot),
            expiry if may_be_in_step => policy::first_refresh_at(expiry.as_ref(), cx.now.boot, cx.jitter),
            expiry => policy::refresh_at(expiry.as_ref(), cx.now.boot, cx.jitter),
        };
        *way = FurtherRenewal {
            name: name.clone(),
            due: Moment::at(paced(&mut self.refreshes, at, cx.now), cx.now),
            received: Some(cx.now.boot),
            generation: id.serial,
            failures: 0,
            active_fault: None,
            is_safe: false,
        };
    }

    /// A further token could not be had: that is a fault of this token alone.
    fn further_failed(&mut self, name: &TokenName, fault: Fault, cx: &mut Context) {
        if fault.code == FaultCode::InvalidGrant
            && let RefreshStep::Waits(due) = &mut self.step
        {
            // Some say so of a token that this sign-in is not to have. Whether it has ended, its own refresh tells.
            *due = Moment::at(cx.now.boot, cx.now);
        }
        let expiry = self.signed_in.further.get(name).and_then(|token| token.expiry.as_ref());
        let Some(way) = self.further.iter_mut().find(|it| it.name == *name) else { return };
        let wait = wait_after(&fault, way.failures, expiry, cx.jitter);
        way.failures = way.failures.saturating_add(1);
        way.due = Moment::within(wait, cx.now);
        cx.log(LogEvent::RefreshFailed(Some(name.clone()), fault.clone(), wait));
        way.active_fault =
            Some(Box::new(ActiveFault::continuing(way.active_fault.take(), fault, Some(way.due), cx.now)));
    }
}

impl Session {
    /// The provider has answered a refresh for a further token.
    pub(super) fn further_answered(
        &mut self,
        name: &TokenName,
        answer: Result<TokenAnswer, Fault>,
        request: (RequestId, Now),
        cx: &mut Context,
    ) {
        let super::Grant::Held(renewal) = &mut self.grant else { return };
        match answer {
            Ok(tokens) => {
                renewal.renew_further(name, tokens, &self.rules, request, cx);
                renewal.provider_answers(cx.now);
                // The account's own token is as good as before, and stays seen.
                self.disk.note();
                cx.log(LogEvent::Refreshed(Some(name.clone())));
            }
            Err(fault) => {
                renewal.in_doubt |= fault.in_doubt;
                renewal.further_failed(name, fault, cx);
                if let Some(fault) = renewal.told_to_wait(cx.now).cloned() {
                    cx.fail(renewal.waiting.drain(..), &fault);
                }
            }
        }
    }
}
