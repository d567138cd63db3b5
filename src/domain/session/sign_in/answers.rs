//! What the provider's answers do to a sign-in.

use std::time::Duration;

use super::SignIn;
use crate::domain::approval::{Approval, Authorization};
use crate::domain::clock::Now;
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::policy;
use crate::domain::record::PendingSignIn;
use crate::domain::session::context::Context;
use crate::domain::session::{Acquisition, ActiveFault, LogEvent, Moment, ProviderRequest, RequestId, Session, Ticket};
use crate::domain::token::{Granted, PollAnswer};

/// The number of requests without an answer after which whoever brought the browser's code hears why.
const PATIENCE: u32 = 2;

impl Session {
    /// The provider has said how the user can approve, or why not.
    pub(in crate::domain::session) fn authorization_answered(
        &mut self,
        id: RequestId,
        answer: Result<Authorization, Fault>,
        cx: &mut Context,
    ) {
        let Some((asked, failures, tickets)) = self.sign_in.begun(id) else { return };
        let authorization = match answer {
            Ok(authorization) => authorization,
            Err(fault) => return self.could_not_begin(fault, tickets, cx),
        };
        let Authorization { approval, expires_in } = authorization;
        let expiry = Expiry::counted(asked, expires_in.unwrap_or(policy::REDIRECTION_WAIT));
        let pending = PendingSignIn { client: self.client, expiry, approval };
        cx.log(LogEvent::CodeOffered(pending.expiry.at()));
        self.sign_in = SignIn::waiting(pending, failures, cx.now);
        self.disk.change();
        for ticket in tickets {
            self.disk.reply_when_safe(ticket);
        }
    }

    /// The provider has answered for tokens that no user has to approve, or for those of a code.
    pub(in crate::domain::session) fn granted_answered(
        &mut self,
        id: RequestId,
        answer: Result<Granted, Fault>,
        cx: &mut Context,
    ) {
        if let Some((asked, _, tickets)) = self.sign_in.begun(id) {
            let fault = match answer {
                Ok(granted) => match self.approved(granted, (id, asked), cx) {
                    Ok(()) => {
                        self.sign_in = SignIn::default();
                        for ticket in tickets {
                            self.disk.reply_when_safe(ticket);
                        }
                        return;
                    }
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            if fault.remedy == Remedy::AskUser && matches!(self.rules.acquisition, Acquisition::Import(_)) {
                self.mark_imported();
                self.disk.change();
            }
            return self.could_not_begin(fault, tickets, cx);
        }
        let Some(asked) = self.sign_in.asked_on(id) else {
            return self.nobody_waits_for(id, answer.ok().map(|granted| ProviderRequest::revoke(granted.tokens)), cx);
        };
        match answer {
            Ok(granted) => self.settle(granted, (id, asked), cx),
            Err(fault) => self.no_answer_yet(fault, cx),
        }
    }

    pub(in crate::domain::session) fn poll_answered(
        &mut self,
        id: RequestId,
        answer: Result<PollAnswer, Fault>,
        cx: &mut Context,
    ) {
        let Some(asked) = self.sign_in.asked_on(id) else {
            if let Ok(PollAnswer::Granted(granted)) = answer {
                self.nobody_waits_for(id, Some(ProviderRequest::revoke(granted.tokens)), cx);
            }
            return;
        };
        let answer = match answer {
            Ok(PollAnswer::Granted(granted)) => return self.settle(granted, (id, asked), cx),
            Ok(answer) => answer,
            Err(fault) => return self.no_answer_yet(fault, cx),
        };
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        waiting.failures = 0;
        waiting.active_fault = None;
        if let (PollAnswer::SlowDown { interval }, Approval::Device(device)) = (answer, &mut waiting.pending.approval) {
            device.interval = policy::slowed(device.interval, interval);
            self.disk.change();
        }
        waiting.ask_later(None, cx);
    }

    /// The user has approved what was waited for.
    fn settle(&mut self, granted: Granted, request: (RequestId, Now), cx: &mut Context) {
        if let Err(fault) = self.approved(granted, request, cx) {
            return self.end_sign_in(fault, cx);
        }
        if let SignIn::Waiting(waiting) = std::mem::take(&mut self.sign_in) {
            for ticket in waiting.tickets {
                self.disk.reply_when_safe(ticket);
            }
        }
    }

    /// A question about what waits for the user brought no answer; a passing fault lets it wait on.
    fn no_answer_yet(&mut self, fault: Fault, cx: &mut Context) {
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        match fault.remedy {
            Remedy::TryAgain { after } => {
                waiting.failures = waiting.failures.saturating_add(1);
                let retry = waiting.ask_later(after, cx);
                if waiting.failures >= PATIENCE {
                    // The sign-in goes on, and whoever brought the code need not wait for that.
                    cx.fail(waiting.tickets.drain(..), &fault);
                }
                waiting.active_fault =
                    Some(Box::new(ActiveFault::continuing(waiting.active_fault.take(), fault, Some(retry), cx.now)));
            }
            Remedy::AskUser | Remedy::Reconfigure => {
                // Asked before a suspend and answered after it: what the provider no longer knows has expired meanwhile.
                let has_expired = fault.code == FaultCode::InvalidGrant && waiting.has_expired(cx.now);
                let fault = if has_expired { nobody_approved() } else { fault };
                self.end_sign_in(fault, cx);
            }
        }
    }

    fn could_not_begin(&mut self, fault: Fault, tickets: Vec<Ticket>, cx: &mut Context) {
        cx.fail(tickets, &fault);
        self.end_sign_in(fault, cx);
    }

    /// The sign-in is over without tokens. Where one is wanted all the time, the next is begun after a while.
    pub(in crate::domain::session) fn end_sign_in(&mut self, fault: Fault, cx: &mut Context) {
        let failures = self.sign_in.ended_in_a_row(&fault, cx.now);
        let wait = match fault.remedy {
            Remedy::AskUser if fault.code == FaultCode::CodeExpired && failures == 0 => Some(Duration::ZERO),
            // A password that is wrong does not become right by being tried again, and may get the user locked out.
            Remedy::AskUser if self.rules.acquisition != Acquisition::User => None,
            Remedy::AskUser => Some(policy::retry_wait(failures.max(1), None, cx.jitter)),
            Remedy::TryAgain { after } => Some(policy::retry_wait(failures, after, cx.jitter)),
            Remedy::Reconfigure => Some(policy::reconfigure_wait(cx.jitter)),
        };
        let by_itself = self.rules.offer || self.rules.acquisition != Acquisition::User;
        let retry = wait.filter(|_| by_itself).map(|wait| Moment::within(wait, cx.now));
        let keeps_former = self.grant.lives_on(&self.rules.acquisition, cx.now);
        cx.log(LogEvent::SignInFailed { fault: fault.clone(), keeps_former });
        if let SignIn::Waiting(waiting) = std::mem::take(&mut self.sign_in) {
            cx.fail(waiting.tickets, &fault);
            self.disk.change();
        }
        let active_fault = Some(Box::new(ActiveFault { fault, since: Moment::at(cx.now.boot, cx.now), retry }));
        self.sign_in = SignIn::Idle { active_fault, failures };
    }
}

/// Why a sign-in ends that has expired.
pub(super) fn nobody_approved() -> Fault {
    Fault::ask_user(FaultCode::CodeExpired, "Nobody approved the sign-in before it expired.")
}
