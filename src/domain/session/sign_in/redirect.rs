//! The authorization code grant (RFC 6749 4.1): the user's browser comes back with a code for the tokens.

use super::{Next, SignIn};
use crate::domain::approval::{Approval, AuthorizationRequest};
use crate::domain::redirection::Redirection;
use crate::domain::session::context::Context;
use crate::domain::session::{CommandError, Session, Ticket};

impl Session {
    /// Where the user's browser is to come back to, while a sign-in waits for that.
    #[must_use]
    pub fn awaited_redirect_uri(&self) -> Option<&str> {
        self.awaited_redirection().map(|request| request.redirect_uri.as_str())
    }

    /// Returns whether a redirection with this state belongs to the sign-in that waits.
    #[must_use]
    pub fn awaits_state(&self, state: &str) -> bool {
        self.awaited_redirection().is_some_and(|request| request.state == state)
    }

    fn awaited_redirection(&self) -> Option<&AuthorizationRequest> {
        let SignIn::Waiting(waiting) = &self.sign_in else { return None };
        match &waiting.pending.approval {
            Approval::Redirect(request) if waiting.code.is_none() => Some(request),
            Approval::Redirect(_) | Approval::Device(_) => None,
        }
    }

    /// Takes what the user's browser brought back. What does not belong to the sign-in that waits changes nothing:
    /// anybody can send a browser to that address.
    pub(in crate::domain::session) fn complete(&mut self, redirection: Redirection, ticket: Ticket, cx: &mut Context) {
        let belongs = self.awaited_redirection().is_some_and(|request| request.is_answered_by(&redirection));
        let SignIn::Waiting(waiting) = &mut self.sign_in else {
            cx.reply(ticket, Err(CommandError::NothingPending));
            return;
        };
        if !belongs {
            cx.reply(ticket, Err(CommandError::NotOurRedirection));
            return;
        }
        waiting.tickets.push(ticket);
        match redirection.outcome {
            Ok(code) => {
                waiting.code = Some(code);
                waiting.next = Next::At(cx.now.boot);
            }
            Err(denial) => self.end_sign_in(denial.fault(), cx),
        }
    }
}
