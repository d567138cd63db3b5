//! The device authorization grant (RFC 8628): a code for the user, and polls until the user has decided.

use std::time::Duration;

use super::grant::Grant;
use super::{Action, Due, Note, Question, Refused, RequestId, Session, Ticket, Trouble};
use crate::clock::{BootTime, Now};
use crate::expiry::Expiry;
use crate::fault::{Fault, FaultCode, Remedy};
use crate::policy::{self, Chance};
use crate::record::PendingCode;
use crate::token::{DeviceAuthorization, PollAnswer};

/// How far a sign-in is.
#[derive(Debug)]
pub(super) enum SignIn {
    /// None is under way.
    Idle {
        /// How the last one ended, if not well.
        trouble: Option<Trouble>,
        /// How many requests for a code have failed in a row.
        failures: u32,
    },
    /// The provider is asked for a code.
    Asking { id: RequestId, asked: Now, failures: u32, waiting: Vec<Ticket> },
    /// A code waits for the user.
    Waiting(Waiting),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) code: PendingCode,
    poll: Poll,
    failures: u32,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
enum Poll {
    At(BootTime),
    Asking { id: RequestId, asked: Now },
}

impl Default for SignIn {
    fn default() -> Self {
        Self::Idle { trouble: None, failures: 0 }
    }
}

impl SignIn {
    /// Goes on with a code from before a restart; its interval is waited for again before the first poll.
    pub(super) fn resume(code: PendingCode, now: Now) -> Self {
        let poll = Poll::At(now.boot + code.interval);
        Self::Waiting(Waiting { code, poll, failures: 0, trouble: None })
    }

    pub(super) fn to_keep(&self) -> Option<PendingCode> {
        match self {
            Self::Waiting(waiting) => Some(waiting.code.clone()),
            Self::Idle { .. } | Self::Asking { .. } => None,
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::Idle { .. } => false,
            Self::Asking { .. } => true,
            Self::Waiting(waiting) => matches!(waiting.poll, Poll::Asking { .. }),
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Idle { trouble, .. } => trouble.as_ref(),
            Self::Asking { .. } => None,
            Self::Waiting(waiting) => waiting.trouble.as_ref(),
        }
    }

    pub(super) fn next_wake(&self, offer: bool) -> Option<BootTime> {
        match self {
            Self::Idle { trouble, .. } if offer => trouble.as_ref()?.retry.map(|retry| retry.at),
            Self::Idle { .. } | Self::Asking { .. } => None,
            Self::Waiting(waiting) => match waiting.poll {
                Poll::At(at) => Some(at.min(waiting.code.expiry.ends())),
                Poll::Asking { .. } => None,
            },
        }
    }

    pub(super) fn clock_was_set(&mut self, now: Now) {
        if let Self::Waiting(waiting) = self {
            waiting.code.expiry.clock_was_set(now);
        }
    }
}

impl Waiting {
    /// The next poll comes after the interval, or later after a fault (RFC 8628 3.5).
    fn poll_later(&mut self, asked_for: Option<Duration>, now: Now, chance: Chance) -> Due {
        let next = Due::within(policy::poll_wait(self.code.interval, self.failures, asked_for, chance), now);
        self.poll = Poll::At(next.at);
        next
    }
}

impl Session {
    pub(super) fn login(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Action>) {
        if matches!(self.grant, Grant::Leaving { .. }) {
            out.push(Action::Reply(ticket, Err(Refused::SigningOut)));
            return;
        }
        match &mut self.sign_in {
            SignIn::Idle { .. } => self.ask_for_code(0, vec![ticket], now, out),
            SignIn::Asking { waiting, .. } => waiting.push(ticket),
            SignIn::Waiting(_) => self.disk.reply_when_safe(ticket),
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        if self.abandon_sign_in(out) {
            self.disk.reply_when_safe(ticket);
        } else {
            out.push(Action::Reply(ticket, Err(Refused::NothingPending)));
        }
    }

    /// Gives up the sign-in under way, and says whether there was one.
    pub(super) fn abandon_sign_in(&mut self, out: &mut Vec<Action>) -> bool {
        match std::mem::take(&mut self.sign_in) {
            SignIn::Idle { .. } => return false,
            SignIn::Asking { waiting, .. } => {
                out.extend(waiting.into_iter().map(|ticket| Action::Reply(ticket, Err(Refused::Cancelled))));
            }
            SignIn::Waiting(_) => self.disk.change(),
        }
        true
    }

    /// Whether a code should be on offer although nobody asked for one.
    pub(super) fn wants_offer(&self) -> bool {
        let signed_out = match &self.grant {
            Grant::None { .. } => true,
            Grant::Held(renewal) => renewal.signed_in.refused.is_some(),
            Grant::Leaving { .. } => false,
        };
        self.rules.offer && signed_out
    }

    /// Polls, ends a lapsed code, or offers a fresh one, when it is time.
    pub(super) fn sign_in_if_due(&mut self, now: Now, chance: Chance, out: &mut Vec<Action>) {
        if let SignIn::Waiting(Waiting { code, poll: Poll::At(_), .. }) = &self.sign_in
            && code.expiry.ends() <= now.boot
        {
            let fault = Fault::ask_user(FaultCode::CodeExpired, "Nobody approved the code before it lapsed.");
            self.end_sign_in(fault, 0, now, chance, out);
        }
        match &mut self.sign_in {
            SignIn::Idle { trouble, failures } => {
                let retry = trouble.as_ref().and_then(|trouble| trouble.retry);
                let due = trouble.is_none() || retry.is_some_and(|retry| retry.at <= now.boot);
                let failures = *failures;
                if due && self.wants_offer() {
                    self.ask_for_code(failures, Vec::new(), now, out);
                }
            }
            SignIn::Asking { .. } => {}
            SignIn::Waiting(waiting) => {
                if matches!(waiting.poll, Poll::At(at) if at <= now.boot) {
                    self.poll(now, out);
                }
            }
        }
    }

    fn ask_for_code(&mut self, failures: u32, waiting: Vec<Ticket>, now: Now, out: &mut Vec<Action>) {
        let id = self.new_request();
        self.sign_in = SignIn::Asking { id, asked: now, failures, waiting };
        out.push(Action::Ask(id, Question::AuthorizeDevice));
    }

    fn poll(&mut self, now: Now, out: &mut Vec<Action>) {
        let id = self.new_request();
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        waiting.poll = Poll::Asking { id, asked: now };
        out.push(Action::Ask(id, Question::Poll { device_code: waiting.code.device_code.clone() }));
    }

    pub(super) fn device_answered(
        &mut self,
        id: RequestId,
        answer: Result<DeviceAuthorization, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let SignIn::Asking { id: awaited, asked, failures, waiting } = &mut self.sign_in else { return };
        if *awaited != id {
            return;
        }
        let (asked, failures, tickets) = (*asked, failures.saturating_add(1), std::mem::take(waiting));
        let authorization = match answer {
            Ok(authorization) => authorization,
            Err(fault) => {
                let refused = Refused::Failed(fault.clone());
                out.extend(tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
                self.end_sign_in(fault, failures, now, chance, out);
                return;
            }
        };
        let code = PendingCode {
            client: self.client.clone(),
            device_code: authorization.device_code,
            user_code: authorization.user_code,
            verification_uri: authorization.verification_uri,
            verification_uri_complete: authorization.verification_uri_complete,
            expiry: Expiry::counted(asked, authorization.expires_in),
            interval: authorization.interval,
        };
        out.push(Action::Note(Note::CodeOffered(code.expiry.at())));
        self.sign_in = SignIn::resume(code, now);
        self.disk.change();
        for ticket in tickets {
            self.disk.reply_when_safe(ticket);
        }
    }

    pub(super) fn poll_answered(
        &mut self,
        id: RequestId,
        answer: Result<PollAnswer, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        let Poll::Asking { id: awaited, asked } = waiting.poll else { return };
        if awaited != id {
            return;
        }
        match answer {
            Ok(PollAnswer::Granted(tokens)) => {
                self.sign_in = SignIn::default();
                self.approved(tokens, (id, asked), now, chance, out);
            }
            Ok(answer) => {
                waiting.failures = 0;
                waiting.trouble = None;
                if let PollAnswer::SlowDown { interval } = answer {
                    waiting.code.interval = policy::slowed(waiting.code.interval, interval);
                    self.disk.change();
                }
                waiting.poll_later(None, now, chance);
            }
            Err(fault) => match fault.remedy {
                Remedy::TryAgain { after } => {
                    waiting.failures = waiting.failures.saturating_add(1);
                    let retry = waiting.poll_later(after, now, chance);
                    waiting.trouble = Some(Trouble::continuing(waiting.trouble.take(), fault, Some(retry), now));
                }
                Remedy::AskUser | Remedy::Reconfigure => self.end_sign_in(fault, 0, now, chance, out),
            },
        }
    }

    /// The sign-in is over without tokens. Where a code is to be on offer, the next one is asked for after a while.
    fn end_sign_in(&mut self, fault: Fault, failures: u32, now: Now, chance: Chance, out: &mut Vec<Action>) {
        let had_code = matches!(self.sign_in, SignIn::Waiting(_));
        let wait = match fault.remedy {
            Remedy::AskUser if fault.code == FaultCode::CodeExpired => Duration::ZERO,
            Remedy::AskUser => policy::retry_wait(failures.max(1), None, chance),
            Remedy::TryAgain { after } => policy::retry_wait(failures, after, chance),
            Remedy::Reconfigure => policy::reconfigure_wait(chance),
        };
        let retry = self.rules.offer.then(|| Due::within(wait, now));
        out.push(Action::Note(Note::SignInFailed(fault.clone())));
        let trouble = Some(Trouble { fault, since: now.wall, retry });
        self.sign_in = SignIn::Idle { trouble, failures };
        if had_code {
            self.disk.change();
        }
    }
}
