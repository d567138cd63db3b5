//! What the provider's answers do to a sign-in.

use std::time::Duration;

use super::SignIn;
use crate::domain::approval::{Approval, Authorization};
use crate::domain::clock::Now;
use crate::domain::expiry::Expiry;
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::policy::{self, Chance};
use crate::domain::record::PendingSignIn;
use crate::domain::session::{Action, Moment, Note, Refused, RequestId, Session, Ticket, Trouble, Way};
use crate::domain::token::{Granted, PollAnswer};

impl Session {
    /// The provider has said how the user can approve, or why not.
    pub(in crate::domain::session) fn authorization_answered(
        &mut self,
        id: RequestId,
        answer: Result<Authorization, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let Some((asked, failures, tickets)) = self.sign_in.begun(id) else { return };
        let authorization = match answer {
            Ok(authorization) => authorization,
            Err(fault) => return self.could_not_begin(fault, tickets, now, chance, out),
        };
        let Authorization { approval, expires_in } = authorization;
        let expiry = Expiry::counted(asked, expires_in.unwrap_or(policy::REDIRECTION_WAIT));
        let pending = PendingSignIn { client: self.client, expiry, approval };
        out.push(Action::Note(Note::CodeOffered(pending.expiry.at())));
        self.sign_in = SignIn::waiting(pending, failures, now);
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
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        if let Some((asked, _, tickets)) = self.sign_in.begun(id) {
            let fault = match answer {
                Ok(granted) => match self.approved(granted, (id, asked), now, chance, out) {
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
            if fault.remedy == Remedy::AskUser && matches!(self.rules.way, Way::Import(_)) {
                self.mark_imported();
                self.disk.change();
            }
            return self.could_not_begin(fault, tickets, now, chance, out);
        }
        let Some(asked) = self.sign_in.asked_on(id) else {
            return self.nobody_waits_for(id, answer.ok().map(|granted| granted.tokens), out);
        };
        match answer {
            Ok(granted) => self.settle(granted, (id, asked), now, chance, out),
            Err(fault) => self.no_answer_yet(fault, now, chance, out),
        }
    }

    pub(in crate::domain::session) fn poll_answered(
        &mut self,
        id: RequestId,
        answer: Result<PollAnswer, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let Some(asked) = self.sign_in.asked_on(id) else {
            if let Ok(PollAnswer::Granted(granted)) = answer {
                self.nobody_waits_for(id, Some(granted.tokens), out);
            }
            return;
        };
        let answer = match answer {
            Ok(PollAnswer::Granted(granted)) => return self.settle(granted, (id, asked), now, chance, out),
            Ok(answer) => answer,
            Err(fault) => return self.no_answer_yet(fault, now, chance, out),
        };
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        waiting.failures = 0;
        waiting.trouble = None;
        if let (PollAnswer::SlowDown { interval }, Approval::Device(device)) = (answer, &mut waiting.pending.approval) {
            device.interval = policy::slowed(device.interval, interval);
            self.disk.change();
        }
        waiting.ask_later(None, now, chance);
    }

    /// The user has approved what was waited for.
    fn settle(&mut self, granted: Granted, request: (RequestId, Now), now: Now, chance: Chance, out: &mut Vec<Action>) {
        if let Err(fault) = self.approved(granted, request, now, chance, out) {
            return self.end_sign_in(fault, now, chance, out);
        }
        if let SignIn::Waiting(waiting) = std::mem::take(&mut self.sign_in) {
            for ticket in waiting.tickets {
                self.disk.reply_when_safe(ticket);
            }
        }
    }

    /// A question about what waits for the user brought no answer; a passing fault lets it wait on.
    fn no_answer_yet(&mut self, fault: Fault, now: Now, chance: Chance, out: &mut Vec<Action>) {
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        match fault.remedy {
            Remedy::TryAgain { after } => {
                waiting.failures = waiting.failures.saturating_add(1);
                let retry = waiting.ask_later(after, now, chance);
                waiting.trouble = Some(Box::new(Trouble::continuing(waiting.trouble.take(), fault, Some(retry), now)));
            }
            Remedy::AskUser | Remedy::Reconfigure => {
                // Asked before a suspend and answered after it: what the provider no longer knows has lapsed meanwhile.
                let has_lapsed = fault.code == FaultCode::InvalidGrant && waiting.has_lapsed(now);
                let fault = if has_lapsed { nobody_approved() } else { fault };
                self.end_sign_in(fault, now, chance, out);
            }
        }
    }

    fn could_not_begin(&mut self, fault: Fault, tickets: Vec<Ticket>, now: Now, chance: Chance, out: &mut Vec<Action>) {
        let refused = Refused::Failed(fault.clone());
        out.extend(tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
        self.end_sign_in(fault, now, chance, out);
    }

    /// The sign-in is over without tokens. Where one is wanted all the time, the next is begun after a while.
    pub(in crate::domain::session) fn end_sign_in(
        &mut self,
        fault: Fault,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let failures = self.sign_in.ended_in_a_row(&fault, now);
        let wait = match fault.remedy {
            Remedy::AskUser if fault.code == FaultCode::CodeExpired && failures == 0 => Some(Duration::ZERO),
            // A password that is wrong does not become right by being tried again, and may get the user locked out.
            Remedy::AskUser if self.rules.way != Way::User => None,
            Remedy::AskUser => Some(policy::retry_wait(failures.max(1), None, chance)),
            Remedy::TryAgain { after } => Some(policy::retry_wait(failures, after, chance)),
            Remedy::Reconfigure => Some(policy::reconfigure_wait(chance)),
        };
        let by_itself = self.rules.offer || self.rules.way != Way::User;
        let retry = wait.filter(|_| by_itself).map(|wait| Moment::within(wait, now));
        out.push(Action::Note(Note::SignInFailed(fault.clone())));
        let refused = Refused::Failed(fault.clone());
        let trouble = Some(Box::new(Trouble { fault, since: Moment::at(now.boot, now), retry }));
        if let SignIn::Waiting(waiting) = std::mem::replace(&mut self.sign_in, SignIn::Idle { trouble, failures }) {
            out.extend(waiting.tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
            self.disk.change();
        }
    }
}

/// Why a sign-in ends that has lapsed.
pub(super) fn nobody_approved() -> Fault {
    Fault::ask_user(FaultCode::CodeExpired, "Nobody approved the sign-in before it lapsed.")
}
