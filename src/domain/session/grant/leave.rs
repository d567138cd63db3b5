//! Signing out: the provider revokes the tokens, and they are forgotten all the same if it does not.

use super::Grant;
use crate::domain::clock::Now;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::session::{Action, Note, Question, Refused, RequestId, Session, Ticket, Trouble, Way};
use crate::domain::token::TokenAnswer;

impl Session {
    pub(in crate::domain::session) fn logout(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        self.abandon_sign_in(out);
        // Otherwise it would sign in again by itself at once.
        self.stopped = self.rules.way == Way::Unattended;
        self.mark_imported();
        let grant = std::mem::replace(&mut self.grant, Grant::None { trouble: None, former: None });
        match grant {
            Grant::Leaving { id, signed_in, mut waiting } => {
                waiting.push(ticket);
                self.grant = Grant::Leaving { id, signed_in, waiting };
            }
            Grant::None { .. } => {
                // Tokens of another provider or client cannot be revoked at this one; they are only erased.
                self.disk.unprotect();
                self.disk.change();
                self.disk.reply_when_safe(ticket);
                out.push(Action::Note(Note::SignedOut(Ok(()))));
            }
            Grant::Held(renewal) => {
                for waiting in renewal.waiting {
                    out.push(Action::Reply(waiting, Err(Refused::SigningOut)));
                }
                let id = self.new_request();
                let tokens = &renewal.signed_in.tokens;
                let question = Question::Revoke {
                    refresh_token: tokens.refresh_token.clone(),
                    access_token: tokens.access_token.clone(),
                };
                out.push(Action::Ask(id, question));
                let signed_in = Some(Box::new(renewal.signed_in));
                self.grant = Grant::Leaving { id, signed_in, waiting: vec![ticket] };
            }
        }
    }

    /// An answer came to a request that was under way when somebody signed out, or gave the sign-in up. Whoever signed out
    /// expects no token to be left.
    pub(in crate::domain::session) fn nobody_waits_for(
        &mut self,
        id: RequestId,
        tokens: Option<TokenAnswer>,
        out: &mut Vec<Action>,
    ) {
        // Those of a former client are not this one's to revoke; and while a sign-in is held, a provider may take the end of
        // another one of the same user for the end of all.
        let is_ours = id.epoch == self.epoch && !matches!(self.grant, Grant::Held(_));
        if let Some(tokens) = tokens.filter(|_| is_ours) {
            out.push(Action::Ask(self.new_request(), Question::revoke(tokens)));
        }
    }

    /// The provider has revoked the tokens, or not: they are given up all the same.
    pub(in crate::domain::session) fn revoke_answered(
        &mut self,
        id: RequestId,
        answer: Result<(), Fault>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let answer = answer.map_err(|fault| not_revoked(&fault));
        let waiting = match &mut self.grant {
            Grant::Leaving { id: awaited, waiting, .. } if *awaited == id => waiting,
            _ => {
                out.extend(answer.err().map(|fault| Action::Note(Note::NotRevoked(fault))));
                return;
            }
        };
        for ticket in waiting.drain(..) {
            self.disk.reply_when_safe(ticket);
        }
        let trouble = answer.clone().err().map(|fault| Box::new(Trouble::lasting(fault, now)));
        self.grant = Grant::None { trouble, former: None };
        self.disk.change();
        out.push(Action::Note(Note::SignedOut(answer)));
    }
}

/// Nothing more is done here about tokens that may still be good, so whoever cares must hear of it.
fn not_revoked(fault: &Fault) -> Fault {
    let message = format!("The tokens are forgotten here, and may still be good at the provider. {}", fault.message);
    Fault::ask_user(FaultCode::NotRevoked, message)
}
