//! When a sign-in begins, goes on and is given up.

use super::answers::nobody_approved;
use super::{Next, SignIn};
use crate::domain::approval::Approval;
use crate::domain::clock::Now;
use crate::domain::policy::Chance;
use crate::domain::session::grant::Grant;
use crate::domain::session::{Action, Question, Refused, Session, Ticket, Way};

impl Session {
    pub(in crate::domain::session) fn login(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Action>) {
        if matches!(self.grant, Grant::Leaving { .. }) {
            out.push(Action::Reply(ticket, Err(Refused::SigningOut)));
            return;
        }
        let spent = matches!(&self.rules.way, Way::Import(fingerprint) if *fingerprint == self.imported || fingerprint.is_none());
        if let Some(fault) = self.sign_in.told_to_wait(now) {
            out.push(Action::Reply(ticket, Err(Refused::Failed(fault.clone()))));
            return;
        }
        match &mut self.sign_in {
            SignIn::Starts(_) | SignIn::Idle { .. } if spent => {
                out.push(Action::Reply(ticket, Err(Refused::AlreadyImported)));
            }
            SignIn::Starts(_) | SignIn::Idle { .. } => self.begin(0, vec![ticket], now, out),
            SignIn::Asking { waiting, .. } => waiting.push(ticket),
            SignIn::Waiting(_) => self.disk.reply_when_safe(ticket),
        }
    }

    pub(in crate::domain::session) fn cancel(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        if self.abandon_sign_in(out) {
            self.disk.reply_when_safe(ticket);
        } else {
            out.push(Action::Reply(ticket, Err(Refused::NothingPending)));
        }
    }

    /// Gives up the sign-in under way, and says whether there was one.
    pub(in crate::domain::session) fn abandon_sign_in(&mut self, out: &mut Vec<Action>) -> bool {
        let tickets = match std::mem::take(&mut self.sign_in) {
            starts @ SignIn::Starts(_) => {
                self.sign_in = starts;
                return false;
            }
            SignIn::Idle { .. } => return false,
            SignIn::Asking { waiting, .. } => waiting,
            SignIn::Waiting(waiting) => {
                self.disk.change();
                waiting.tickets
            }
        };
        out.extend(tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(Refused::Cancelled))));
        true
    }

    /// Whether a sign-in should be begun although nobody asked for one.
    pub(in crate::domain::session) fn wants_sign_in(&self) -> bool {
        let (has_grant, has_ended) = match &self.grant {
            Grant::None { .. } => (false, true),
            Grant::Held(renewal) => (true, self.held_is_over || renewal.is_stuck()),
            Grant::Leaving { .. } => (true, false),
        };
        match &self.rules.way {
            Way::User => self.rules.offer && has_ended,
            Way::Unattended => !has_grant && !self.stopped,
            // Another token in the file is meant to take the place of the one that is held.
            Way::Import(fingerprint) => {
                !matches!(self.grant, Grant::Leaving { .. }) && fingerprint.is_some() && *fingerprint != self.imported
            }
        }
    }

    /// Asks on, ends what has lapsed, or begins afresh, when it is time.
    pub(in crate::domain::session) fn sign_in_if_due(&mut self, now: Now, chance: Chance, out: &mut Vec<Action>) {
        if let SignIn::Waiting(waiting) = &self.sign_in
            && matches!(waiting.next, Next::At(_) | Next::AtRedirection)
            && waiting.has_lapsed(now)
        {
            self.end_sign_in(nobody_approved(), now, chance, out);
        }
        match &mut self.sign_in {
            SignIn::Starts(at) => {
                let due = *at <= now.boot;
                if due && self.wants_sign_in() {
                    self.begin(0, Vec::new(), now, out);
                }
            }
            SignIn::Idle { trouble, failures } => {
                let retry = trouble.as_ref().and_then(|trouble| trouble.retry);
                let due = trouble.is_none() || retry.is_some_and(|retry| retry.at <= now.boot);
                let failures = *failures;
                if due && self.wants_sign_in() {
                    self.begin(failures, Vec::new(), now, out);
                }
            }
            SignIn::Asking { .. } => {}
            SignIn::Waiting(waiting) => {
                if matches!(waiting.next, Next::At(at) if at <= now.boot) {
                    self.ask_on(now, out);
                }
            }
        }
    }

    fn begin(&mut self, failures: u32, waiting: Vec<Ticket>, now: Now, out: &mut Vec<Action>) {
        let id = self.new_request();
        self.sign_in = SignIn::Asking { id, asked: now, failures, waiting };
        let question = if self.rules.way == Way::User { Question::Authorize } else { Question::Obtain };
        out.push(Action::Ask(id, question));
    }

    fn ask_on(&mut self, now: Now, out: &mut Vec<Action>) {
        let id = self.new_request();
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        let question = match (&waiting.pending.approval, &waiting.code) {
            (Approval::Device(device), _) => Question::Poll { device_code: device.device_code.clone() },
            (Approval::Redirect(request), Some(code)) => {
                Question::Exchange { code: code.clone(), code_verifier: request.code_verifier.clone() }
            }
            (Approval::Redirect(_), None) => return,
        };
        waiting.next = Next::Asking { id, asked: now };
        out.push(Action::Ask(id, question));
    }
}
