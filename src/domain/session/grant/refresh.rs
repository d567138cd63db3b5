//! Refreshing: ahead of the end of the token, one at a time, and never before it is on disk that it goes out.

use std::time::Duration;

use super::{Asking, FurtherRenewal, Grant, RefreshStep, Renewal};
use crate::domain::clock::{BootTime, Now};
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, Remedy};
use crate::domain::policy::{self, Jitter};
use crate::domain::secret::Secret;
use crate::domain::session::context::Context;
use crate::domain::session::{
    Acquisition, ActiveFault, CommandError, LogEvent, Moment, ProviderRequest, RequestId, Session, Ticket,
};
use crate::domain::token::TokenAnswer;

impl Session {
    pub(in crate::domain::session) fn refresh(&mut self, ticket: Ticket, cx: &mut Context) {
        let Grant::Held(renewal) = &mut self.grant else {
            cx.reply(ticket, Err(CommandError::NotSignedIn));
            return;
        };
        if matches!(renewal.step, RefreshStep::Never) {
            let is_refused = renewal.signed_in.refused.is_some();
            let why = if is_refused { CommandError::NotSignedIn } else { CommandError::NoRefreshToken };
            cx.reply(ticket, Err(why));
            return;
        }
        if renewal.step.own_due().is_some() {
            if is_fresh(renewal.received, cx.now) {
                self.disk.reply_when_safe(ticket);
                return;
            }
            if let Some(fault) = renewal.told_to_wait(cx.now) {
                cx.reply(ticket, Err(CommandError::Failed(fault.clone())));
                return;
            }
            renewal.step.own_is_due(Moment::at(cx.now.boot, cx.now));
            renewal.retry_refused_further(cx.now);
        }
        renewal.waiting.push(ticket);
    }

    /// Returns whether a request to refresh would bring one about now, and not join one, find new tokens or be refused.
    #[must_use]
    pub fn would_refresh(&self, now: Now) -> bool {
        let Grant::Held(renewal) = &self.grant else { return false };
        let waits = renewal.step.own_due().is_some();
        waits && !is_fresh(renewal.received, now) && renewal.told_to_wait(now).is_none()
    }

    /// Asks for the next tokens when it is time, but never with a refresh token that is not yet on disk, nor before it
    /// is on disk that the request goes out.
    pub(in crate::domain::session) fn refresh_if_due(&mut self, cx: &mut Context) {
        if !self.disk.is_safe() {
            return;
        }
        let Grant::Held(renewal) = &mut self.grant else { return };
        let RefreshStep::Waits(due) = renewal.step else { return };
        let Some((at, token)) = renewal.next() else { return };
        if at > cx.now.boot {
            return;
        }
        let token = token.cloned();
        let request = match &renewal.signed_in.tokens.refresh_token {
            Some(_) if renewal.signed_in.refreshing_since.is_none() => {
                renewal.signed_in.refreshing_since = Some(cx.now.wall);
                self.disk.note();
                return;
            }
            Some(refresh_token) => ProviderRequest::Refresh {
                refresh_token: refresh_token.clone(),
                token: token.clone(),
                is_first: renewal.signed_in.last_refresh.is_none() && renewal.signed_in.further.is_empty(),
            },
            None => ProviderRequest::Obtain,
        };
        let id = self.request_ids.next();
        renewal.step = RefreshStep::Asking(Box::new(Asking { id, asked: cx.now, due, token }));
        cx.ask(id, request);
    }

    /// The provider has answered a refresh without an access token, and yet with the next refresh token: the one that was sent
    /// may be used up.
    pub(in crate::domain::session) fn rotated(
        &mut self,
        id: RequestId,
        refresh_token: Secret,
        fault: Fault,
        cx: &mut Context,
    ) {
        let awaited = self.grant.awaits(id);
        match &mut self.grant {
            Grant::Held(renewal) if awaited => {
                renewal.signed_in.tokens.refresh_token = Some(refresh_token);
                renewal.signed_in.refreshing_since = None;
                renewal.in_doubt = false;
                // The access token is as good as before, and stays seen.
                self.disk.note();
                self.refresh_answered(id, Err(fault), cx);
            }
            Grant::Held(_) => {}
            Grant::None { .. } | Grant::Revoking { .. } => {
                let revocation =
                    ProviderRequest::Revoke { refresh_token: Some(refresh_token), access_tokens: Vec::new() };
                self.nobody_waits_for(id, Some(revocation), cx);
            }
        }
    }

    pub(in crate::domain::session) fn refresh_answered(
        &mut self,
        id: RequestId,
        answer: Result<TokenAnswer, Fault>,
        cx: &mut Context,
    ) {
        let Grant::Held(renewal) = &mut self.grant else {
            return self.nobody_waits_for(id, answer.ok().map(ProviderRequest::revoke), cx);
        };
        let RefreshStep::Asking(asking) = &mut renewal.step else { return };
        if asking.id != id {
            return;
        }
        let Asking { asked, due, .. } = **asking;
        if let Some(token) = asking.token.take() {
            renewal.step = RefreshStep::Waits(due);
            return self.further_answered(&token, answer, (id, asked), cx);
        }
        let fault = match answer {
            Ok(tokens) => {
                renewal.renew(tokens, &self.rules.acquisition, (id, asked), cx);
                renewal.provider_answers(cx.now);
                self.disk.change();
                for ticket in renewal.waiting.drain(..) {
                    self.disk.reply_when_safe(ticket);
                }
                cx.log(LogEvent::Refreshed(None));
                return;
            }
            Err(fault) => fault,
        };
        renewal.in_doubt |= fault.in_doubt;
        let tokens = &mut renewal.signed_in.tokens;
        if fault.remedy == Remedy::AskUser
            && self.rules.acquisition == Acquisition::Unattended
            && tokens.refresh_token.is_some()
        {
            // No user is needed for another one.
            tokens.refresh_token = None;
            renewal.signed_in.refreshing_since = None;
            renewal.step = RefreshStep::Waits(due);
            renewal.retry_refused_further(cx.now);
            self.disk.change();
            return;
        }
        if fault.remedy == Remedy::AskUser {
            let fault = renewal.refuse(fault, cx.now);
            self.disk.change();
            cx.fail(renewal.waiting.drain(..), &fault);
            cx.log(LogEvent::GrantEnded(fault));
            return;
        }
        let wait = wait_after(&fault, renewal.failures, renewal.signed_in.tokens.expiry.as_ref(), cx.jitter);
        renewal.failures = renewal.failures.saturating_add(1);
        cx.fail(renewal.waiting.drain(..), &fault);
        let retry = Moment::within(wait, cx.now);
        renewal.step = RefreshStep::Waits(retry);
        cx.log(LogEvent::RefreshFailed(None, fault.clone(), wait));
        renewal.active_fault =
            Some(Box::new(ActiveFault::continuing(renewal.active_fault.take(), fault, Some(retry), cx.now)));
    }
}

impl Renewal {
    /// Why the provider is not to be asked before the next attempt, whoever wants it: because it said so.
    pub(super) fn told_to_wait(&self, now: Now) -> Option<&Fault> {
        let of_further = self.further.iter().filter_map(FurtherRenewal::active_fault);
        self.active_fault().into_iter().chain(of_further).find_map(|it| it.told_to_wait(now))
    }
}

/// The wait before a refresh is tried again that has failed so often before, for a token with this end.
pub(super) fn wait_after(fault: &Fault, failures: u32, expiry: Option<&Expiry>, jitter: Jitter) -> Duration {
    match fault.remedy {
        // The sooner, the more likely a provider with a grace period still takes the same refresh token.
        Remedy::TryAgain { after } if fault.in_doubt && failures == 0 => policy::retry_wait(1, after, jitter),
        Remedy::TryAgain { after } => {
            let life = expiry.map(Expiry::life);
            policy::refresh_retry_wait(failures.saturating_add(1), life, after, jitter)
        }
        Remedy::AskUser | Remedy::Reconfigure => policy::reconfigure_wait(jitter),
    }
}

fn is_fresh(received: Option<BootTime>, now: Now) -> bool {
    received.is_some_and(|received| now.boot < received + policy::FRESH_ENOUGH)
}
