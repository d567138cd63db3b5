//! Signing out: the provider revokes the tokens, and they are forgotten all the same if it does not.

use super::Grant;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::session::context::Context;
use crate::domain::session::{
    Acquisition, Action, ActiveFault, CommandError, LogEvent, ProviderRequest, RequestId, Session, Ticket,
};

impl Session {
    pub(in crate::domain::session) fn logout(&mut self, ticket: Ticket, cx: &mut Context) {
        self.abandon_sign_in(cx);
        // Otherwise it would sign in again by itself at once.
        self.stopped = self.rules.acquisition == Acquisition::Unattended;
        self.mark_imported();
        let grant = std::mem::replace(&mut self.grant, Grant::None { active_fault: None, former: None });
        match grant {
            Grant::Revoking { id, signed_in, mut waiting } => {
                waiting.push(ticket);
                self.grant = Grant::Revoking { id, signed_in, waiting };
            }
            Grant::None { .. } => {
                // Tokens of another provider or client cannot be revoked at this one; they are only erased.
                self.disk.unprotect();
                self.disk.change();
                self.disk.reply_when_safe(ticket);
                cx.log(LogEvent::SignedOut(Ok(())));
            }
            Grant::Held(renewal) => {
                cx.refuse(renewal.waiting, &CommandError::SigningOut);
                let id = self.request_ids.next();
                let tokens = &renewal.signed_in.tokens;
                let further = renewal.signed_in.further.values().map(|token| &token.access_token);
                let access_tokens = [&tokens.access_token].into_iter().chain(further).cloned().collect();
                let refresh_token = tokens.refresh_token.clone();
                cx.ask(id, ProviderRequest::Revoke { refresh_token, access_tokens });
                let signed_in = Some(Box::new(renewal.signed_in));
                self.grant = Grant::Revoking { id, signed_in, waiting: vec![ticket] };
            }
        }
    }

    /// An answer came to a request that was under way when somebody signed out, or gave the sign-in up. Whoever signed out
    /// expects no token to be left, so those that it brought are revoked.
    pub(in crate::domain::session) fn nobody_waits_for(
        &mut self,
        id: RequestId,
        revocation: Option<ProviderRequest>,
        cx: &mut Context,
    ) {
        // Those of a former client are not this one's to revoke; and while a sign-in is held, a provider may take the end of
        // another one of the same user for the end of all.
        let is_ours = id.epoch == self.request_ids.epoch && !matches!(self.grant, Grant::Held(_));
        if let Some(revocation) = revocation.filter(|_| is_ours) {
            cx.ask(self.request_ids.next(), revocation);
        }
    }

    /// The provider has revoked the tokens, or not: they are given up all the same.
    pub(in crate::domain::session) fn revoke_answered(
        &mut self,
        id: RequestId,
        answer: Result<(), Fault>,
        cx: &mut Context,
    ) {
        let answer = answer.map_err(|fault| not_revoked(&fault));
        let waiting = match &mut self.grant {
            Grant::Revoking { id: awaited, waiting, .. } if *awaited == id => waiting,
            _ => {
                cx.actions.extend(answer.err().map(|fault| Action::Log(LogEvent::NotRevoked(fault))));
                return;
            }
        };
        for ticket in waiting.drain(..) {
            self.disk.reply_when_safe(ticket);
        }
        let active_fault = answer.clone().err().map(|fault| Box::new(ActiveFault::lasting(fault, cx.now)));
        self.grant = Grant::None { active_fault, former: None };
        self.disk.change();
        cx.log(LogEvent::SignedOut(answer));
    }
}

/// Nothing more is done here about tokens that may still be good, so whoever cares must hear of it.
fn not_revoked(fault: &Fault) -> Fault {
    let message = format!("The tokens are forgotten here, and may still be good at the provider. {}", fault.message);
    Fault::ask_user(FaultCode::NotRevoked, message)
}
