//! Refreshing: ahead of the end of the token, one at a time, and never before it is on disk that it goes out.

use super::{Asking, Grant, Renewal, Step};
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, Remedy};
use crate::domain::policy::{self, Chance};
use crate::domain::session::{Action, Moment, Note, Question, Refused, RequestId, Session, Ticket, Trouble, Way};
use crate::domain::token::TokenAnswer;

impl Session {
    pub(in crate::domain::session) fn refresh(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Action>) {
        let Grant::Held(renewal) = &mut self.grant else {
            out.push(Action::Reply(ticket, Err(Refused::NotSignedIn)));
            return;
        };
        let told_to_wait = renewal.told_to_wait(now).cloned();
        let refused = match &mut renewal.step {
            Step::Never if renewal.signed_in.refused.is_some() => Some(Refused::NotSignedIn),
            Step::Never => Some(Refused::NoRefreshToken),
            Step::Asking(_) => None,
            Step::Waits(due) => {
                if is_fresh(renewal.received, now) {
                    self.disk.reply_when_safe(ticket);
                    return;
                }
                if told_to_wait.is_none() {
                    *due = Moment::at(now.boot, now);
                }
                told_to_wait.map(Refused::Failed)
            }
        };
        match refused {
            Some(refused) => out.push(Action::Reply(ticket, Err(refused))),
            None => renewal.waiting.push(ticket),
        }
    }

    /// Whether a request to refresh would bring one about now, and not join one, find new tokens or be refused.
    #[must_use]
    pub fn would_refresh(&self, now: Now) -> bool {
        let Grant::Held(renewal) = &self.grant else { return false };
        let waits = matches!(renewal.step, Step::Waits(_));
        waits && !is_fresh(renewal.received, now) && renewal.told_to_wait(now).is_none()
    }

    /// Asks for the next tokens when it is time, but never with a refresh token that is not yet on disk, nor before it
    /// is on disk that the request goes out.
    pub(in crate::domain::session) fn refresh_if_due(&mut self, now: Now, out: &mut Vec<Action>) {
        if !self.disk.is_safe() {
            return;
        }
        let id = self.new_request();
        let Grant::Held(renewal) = &mut self.grant else { return };
        let Step::Waits(due) = renewal.step else { return };
        if due.at > now.boot {
            return;
        }
        let question = match &renewal.signed_in.tokens.refresh_token {
            Some(_) if renewal.signed_in.refreshing_since.is_none() => {
                renewal.signed_in.refreshing_since = Some(now.wall);
                self.disk.note();
                return;
            }
            Some(token) => Question::Refresh { refresh_token: token.clone() },
            None => Question::Obtain,
        };
        renewal.step = Step::Asking(Box::new(Asking { id, asked: now, due }));
        out.push(Action::Ask(id, question));
    }

    pub(in crate::domain::session) fn refresh_answered(
        &mut self,
        id: RequestId,
        answer: Result<TokenAnswer, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let (renewal, asked, due) = match &mut self.grant {
            Grant::Held(renewal) => match &renewal.step {
                Step::Asking(asking) if asking.id == id => {
                    let Asking { asked, due, .. } = **asking;
                    (renewal, asked, due)
                }
                _ => return,
            },
            _ => return self.nobody_waits_for(id, answer.ok(), out),
        };
        let fault = match answer {
            Ok(tokens) => {
                renewal.renew(tokens, &self.rules.way, (id, asked), now, chance);
                self.disk.change();
                for ticket in renewal.waiting.drain(..) {
                    self.disk.reply_when_safe(ticket);
                }
                out.push(Action::Note(Note::Refreshed));
                return;
            }
            Err(fault) => fault,
        };
        renewal.in_doubt |= fault.in_doubt;
        let tokens = &mut renewal.signed_in.tokens;
        if fault.remedy == Remedy::AskUser && self.rules.way == Way::Unattended && tokens.refresh_token.is_some() {
            // No user is needed for another one.
            tokens.refresh_token = None;
            renewal.signed_in.refreshing_since = None;
            renewal.step = Step::Waits(due);
            self.disk.change();
            return;
        }
        let wait = match fault.remedy {
            Remedy::AskUser => {
                let fault = renewal.refuse(fault, now);
                self.disk.change();
                let refused = Refused::Failed(fault.clone());
                out.extend(renewal.waiting.drain(..).map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
                out.push(Action::Note(Note::GrantEnded(fault)));
                return;
            }
            // The sooner, the more likely a provider with a grace period still takes the same refresh token.
            Remedy::TryAgain { after } if fault.in_doubt && renewal.failures == 0 => {
                policy::retry_wait(1, after, chance)
            }
            Remedy::TryAgain { after } => {
                let life = renewal.signed_in.tokens.expiry.map(|expiry| expiry.life());
                policy::refresh_retry_wait(renewal.failures.saturating_add(1), life, after, chance)
            }
            Remedy::Reconfigure => policy::reconfigure_wait(chance),
        };
        renewal.failures = renewal.failures.saturating_add(1);
        let refused = Refused::Failed(fault.clone());
        out.extend(renewal.waiting.drain(..).map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
        let retry = Moment::within(wait, now);
        renewal.step = Step::Waits(retry);
        out.push(Action::Note(Note::RefreshFailed(fault.clone(), wait)));
        renewal.trouble = Some(Box::new(Trouble::continuing(renewal.trouble.take(), fault, Some(retry), now)));
    }
}

impl Renewal {
    /// Why the provider is not to be asked before the next attempt, whoever wants it: because it said so.
    fn told_to_wait(&self, now: Now) -> Option<&Fault> {
        let Step::Waits(_) = self.step else { return None };
        self.trouble.as_ref()?.told_to_wait(now)
    }
}

fn is_fresh(received: Option<BootTime>, now: Now) -> bool {
    received.is_some_and(|received| now.boot < received + policy::FRESH_ENOUGH)
}
