//! When a sign-in begins, goes on and is given up.

use super::answers::nobody_approved;
use super::{Next, SignIn};
use crate::domain::approval::Approval;
use crate::domain::session::context::Context;
use crate::domain::session::grant::Grant;
use crate::domain::session::{Acquisition, CommandError, ProviderRequest, Session, Ticket};

impl Session {
    pub(in crate::domain::session) fn login(&mut self, ticket: Ticket, cx: &mut Context) {
        if matches!(self.grant, Grant::Revoking { .. }) {
            cx.reply(ticket, Err(CommandError::SigningOut));
            return;
        }
        let spent = matches!(self.rules.acquisition, Acquisition::Import(_)) && !self.has_new_import();
        if let Some(fault) = self.sign_in.told_to_wait(cx.now) {
            cx.reply(ticket, Err(CommandError::Failed(fault.clone())));
            return;
        }
        match &mut self.sign_in {
            SignIn::Starts(_) | SignIn::Idle { .. } if spent => {
                cx.reply(ticket, Err(CommandError::AlreadyImported));
            }
            SignIn::Starts(_) | SignIn::Idle { .. } => self.begin(0, vec![ticket], cx),
            SignIn::Asking { waiting, .. } => waiting.push(ticket),
            SignIn::Waiting(_) => self.disk.reply_when_safe(ticket),
        }
    }

    pub(in crate::domain::session) fn cancel(&mut self, ticket: Ticket, cx: &mut Context) {
        if self.abandon_sign_in(cx) {
            self.disk.reply_when_safe(ticket);
        } else {
            cx.reply(ticket, Err(CommandError::NothingPending));
        }
    }

    /// Gives up the sign-in under way, and says whether there was one.
    pub(in crate::domain::session) fn abandon_sign_in(&mut self, cx: &mut Context) -> bool {
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
        cx.refuse(tickets, &CommandError::Cancelled);
        true
    }

    /// Returns whether a sign-in should be begun although nobody asked for one.
    pub(in crate::domain::session) fn wants_sign_in(&self) -> bool {
        let (has_grant, has_ended) = match &self.grant {
            Grant::None { .. } => (false, true),
            Grant::Held(renewal) => (true, self.held_is_over || renewal.is_stuck()),
            Grant::Revoking { .. } => (true, false),
        };
        match &self.rules.acquisition {
            Acquisition::User => self.rules.offer && has_ended,
            Acquisition::Unattended => !has_grant && !self.stopped,
            // Another token in the file is meant to take the place of the one that is held.
            Acquisition::Import(_) => !matches!(self.grant, Grant::Revoking { .. }) && self.has_new_import(),
        }
    }

    /// Returns whether the file has a refresh token that was not taken in yet.
    fn has_new_import(&self) -> bool {
        matches!(&self.rules.acquisition, Acquisition::Import(token) if token.is_some() && *token != self.imported)
    }

    /// Asks on, ends what has expired, or begins afresh, when it is time.
    pub(in crate::domain::session) fn sign_in_if_due(&mut self, cx: &mut Context) {
        if let SignIn::Waiting(waiting) = &self.sign_in
            && matches!(waiting.next, Next::At(_) | Next::AtRedirection)
            && waiting.has_expired(cx.now)
        {
            self.end_sign_in(nobody_approved(), cx);
        }
        match &mut self.sign_in {
            SignIn::Starts(at) => {
                let due = *at <= cx.now.boot;
                if due && self.wants_sign_in() {
                    self.begin(0, Vec::new(), cx);
                }
            }
            SignIn::Idle { active_fault, failures } => {
                let retry = active_fault.as_ref().and_then(|fault| fault.retry);
                let due = active_fault.is_none() || retry.is_some_and(|retry| retry.at <= cx.now.boot);
                let failures = *failures;
                if due && self.wants_sign_in() {
                    self.begin(failures, Vec::new(), cx);
                }
            }
            SignIn::Asking { .. } => {}
            SignIn::Waiting(waiting) => {
                if matches!(waiting.next, Next::At(at) if at <= cx.now.boot) {
                    self.ask_on(cx);
                }
            }
        }
    }

    fn begin(&mut self, failures: u32, waiting: Vec<Ticket>, cx: &mut Context) {
        let id = self.request_ids.next();
        self.sign_in = SignIn::Asking { id, asked: cx.now, failures, waiting };
        let request = if self.rules.acquisition == Acquisition::User {
            ProviderRequest::Authorize
        } else {
            ProviderRequest::Obtain
        };
        cx.ask(id, request);
    }

    fn ask_on(&mut self, cx: &mut Context) {
        let id = self.request_ids.next();
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        let request = match (&waiting.pending.approval, &waiting.code) {
            (Approval::Device(device), _) => ProviderRequest::Poll {
                device_code: device.device_code.clone(),
                further: device.poll_parameters.clone(),
            },
            (Approval::Redirect(request), Some(code)) => {
                ProviderRequest::Exchange { code: code.clone(), code_verifier: request.code_verifier.clone() }
            }
            (Approval::Redirect(_), None) => return,
        };
        waiting.next = Next::Asking { id, asked: cx.now };
        cx.ask(id, request);
    }
}
