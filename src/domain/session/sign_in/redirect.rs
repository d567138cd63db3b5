//! The authorization code grant (RFC 6749 4.1): the user's browser comes back with a code for the tokens.

use super::{Next, SignIn};
use crate::domain::approval::{Approval, AuthorizationRequest};
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::readable::readable;
use crate::domain::redirection::{Denial, Redirection};
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
        let belongs = self.awaited_redirection().is_some_and(|request| {
            let from_another = match (&request.issuer, &redirection.issuer) {
                (Some(expected), Some(named)) => expected != named,
                (None, Some(_)) => false,
                // Who says in advance that it names itself, and then does not, is somebody else (RFC 9207 2.4); but for
                // an error, with which no code can be had, and in which some servers forget it.
                (_, None) => request.names_issuer && redirection.outcome.is_ok(),
            };
            request.state == redirection.state && !from_another && redirection.came_to(&request.redirect_uri)
        });
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
            Err(denial) => self.end_sign_in(denied(&denial), cx),
        }
    }
}

/// Says what an error of the authorization endpoint means (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6).
fn denied(denial: &Denial) -> Fault {
    let Denial { error, description } = denial;
    let described =
        description.as_ref().map_or_else(String::new, |text| format!(": {}", readable(text).trim_end_matches('.')));
    let message = format!("The provider sent the browser back with \"{}\"{described}.", readable(error));
    match error.as_str() {
        "access_denied" => Fault::ask_user(FaultCode::AccessDenied, message),
        "invalid_scope" => Fault::reconfigure(FaultCode::InvalidScope, message),
        "unauthorized_client" => Fault::reconfigure(FaultCode::UnauthorizedClient, message),
        "invalid_request" | "unsupported_response_type" => Fault::reconfigure(FaultCode::InvalidRequest, message),
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            Fault::ask_user(FaultCode::InteractionRequired, message)
        }
        "server_error" | "temporarily_unavailable" => Fault::ask_user(FaultCode::ProviderUnavailable, message),
        _ => Fault::ask_user(FaultCode::ProviderRefused, message),
    }
}
