//! What others ask of the agent over MQTT, and its responses.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::Agent;
use crate::account::AccountName;
use crate::broker::{Correlation, Publication};
use crate::clock;
use crate::message::{self, Outcome, Payload, Request, Verb, response};
use crate::session::{Command, Event, Refused, Ticket};
use crate::settings::PublishMode;
use crate::text::printable;

/// The most requests that wait for an answer at a time.
const MOST_WAITING: usize = 256;

/// Requests that wait for a session.
#[derive(Default)]
pub(super) struct Tickets {
    last: u64,
    waiting: HashMap<Ticket, Asked>,
}

/// A request, as far as its response needs it.
struct Asked {
    verb: Verb,
    transaction: Value,
    reply_to: ReplyTo,
}

/// Where a response goes.
#[derive(Clone)]
struct ReplyTo {
    topic: String,
    correlation: Option<Correlation>,
}

type Refusal = (&'static str, String);

impl Agent {
    pub(super) fn request(
        &mut self,
        topic: &str,
        payload: &[u8],
        response_topic: Option<String>,
        correlation: Option<Correlation>,
    ) {
        let Some(name) = self.topics.verb(topic) else { return };
        let Some(verb) = Verb::find(name) else {
            tracing::warn!(verb = printable(name), "ignored a request with an unknown verb");
            return;
        };
        let reply_to = match response_topic {
            None => ReplyTo { topic: self.topics.response(verb.name()), correlation },
            Some(topic) if self.topics.may_respond_to(&topic) => ReplyTo { topic, correlation },
            Some(topic) => {
                tracing::warn!(topic = printable(&topic), "ignored a request whose answer would go where it must not");
                return;
            }
        };
        let request = match Request::read(payload) {
            Ok(request) => request,
            Err((error, transaction)) => {
                self.respond(&reply_to, &failed(("invalid_request", error)), &transaction);
                return;
            }
        };
        let Request { account, transaction } = request;
        if let Err(refusal) = self.carry_out(verb, account.as_ref(), &transaction, &reply_to) {
            self.respond(&reply_to, &failed(refusal), &transaction);
        }
    }

    /// Answers at once, or leaves a ticket with the session that will.
    fn carry_out(
        &mut self,
        verb: Verb,
        account: Option<&AccountName>,
        transaction: &Value,
        reply_to: &ReplyTo,
    ) -> Result<(), Refusal> {
        let command = match verb {
            Verb::Status => return self.respond_status(account, transaction, reply_to),
            Verb::Token => return self.respond_token(account, transaction, reply_to),
            Verb::Login => Command::Login,
            Verb::Cancel => Command::Cancel,
            Verb::Refresh => Command::Refresh,
            Verb::Logout => Command::Logout,
        };
        let name = self.known(account)?;
        if self.tickets.waiting.len() >= MOST_WAITING {
            return Err(("busy", "Too many requests wait for an answer. Try again in a moment.".to_owned()));
        }
        self.tickets.last += 1;
        let ticket = Ticket(self.tickets.last);
        let asked = Asked { verb, transaction: transaction.clone(), reply_to: reply_to.clone() };
        self.tickets.waiting.insert(ticket, asked);
        tracing::debug!(account = name.as_str(), verb = verb.name(), "requested");
        self.tell(&name, Event::Command(command, ticket));
        Ok(())
    }

    /// A session has done what a ticket was for, or not.
    pub(super) fn reply(&mut self, name: &AccountName, ticket: Ticket, result: Result<(), Refused>) {
        let Some(asked) = self.tickets.waiting.remove(&ticket) else { return };
        let Some(account) = self.accounts.get(name) else { return };
        let data = match asked.verb {
            Verb::Login => data(&message::sign_in(name, account.session.pending().as_ref())),
            _ => data(&message::status(name, &account.session.status(clock::now()))),
        };
        let outcome = match result {
            Ok(()) => Outcome::Done(data),
            Err(refused) => failed((code(&refused), sentence(&refused.to_string()))),
        };
        self.respond(&asked.reply_to, &outcome, &asked.transaction);
    }

    fn respond_status(
        &self,
        account: Option<&AccountName>,
        transaction: &Value,
        reply_to: &ReplyTo,
    ) -> Result<(), Refusal> {
        let now = clock::now();
        if account.is_some() {
            let name = self.known(account)?;
            let status = self.accounts.get(&name).map(|account| message::status(&name, &account.session.status(now)));
            self.respond(reply_to, &Outcome::Done(data(&status)), transaction);
        } else {
            let all = self.accounts.iter().map(|(name, account)| message::status(name, &account.session.status(now)));
            self.respond(reply_to, &Outcome::Done(data(&all.collect::<Vec<_>>())), transaction);
        }
        Ok(())
    }

    fn respond_token(
        &self,
        account: Option<&AccountName>,
        transaction: &Value,
        reply_to: &ReplyTo,
    ) -> Result<(), Refusal> {
        let name = self.known(account)?;
        let Some(account) = self.accounts.get(&name) else { return Ok(()) };
        if account.settings.publish == PublishMode::Retained {
            let topic = self.topics.account(&name, crate::session::Topic::Token);
            return Err((
                "token_is_retained",
                format!("The token of {name} is retained on {topic}; subscribe to that."),
            ));
        }
        let Some(token) = account.session.token(clock::now()) else {
            return Err(("no_token", format!("There is no good token of {name} now. Request status to see why.")));
        };
        let payload = message::token_response(&name, &token, transaction);
        self.send(reply_to, payload);
        Ok(())
    }

    fn known(&self, account: Option<&AccountName>) -> Result<AccountName, Refusal> {
        let Some(name) = account else {
            return Err(("invalid_request", "The request names no account.".to_owned()));
        };
        if self.accounts.contains_key(name) {
            return Ok(name.clone());
        }
        let known: Vec<_> = self.accounts.keys().map(AccountName::as_str).collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there is: {}", known.join(", ")) };
        Err(("unknown_account", format!("There is no account {name}; {known}.")))
    }

    fn respond<T: Serialize>(&self, reply_to: &ReplyTo, outcome: &Outcome<T>, transaction: &Value) {
        self.send(reply_to, response(outcome, transaction));
    }

    fn send(&self, reply_to: &ReplyTo, payload: Payload) {
        let ReplyTo { topic, correlation } = reply_to.clone();
        self.link.publish(Publication { topic, payload, retain: false, good_until: None, correlation });
    }
}

/// A payload without secrets as a value.
fn data(message: &impl Serialize) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}

fn failed((code, error): Refusal) -> Outcome<Value> {
    Outcome::Failed { code, error }
}

fn code(refused: &Refused) -> &'static str {
    match refused {
        Refused::NotSignedIn => "not_signed_in",
        Refused::NoRefreshToken => "no_refresh_token",
        Refused::NothingPending => "nothing_pending",
        Refused::Cancelled => "cancelled",
        Refused::SigningOut => "signing_out",
        Refused::Failed(fault) => fault.code.name(),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
