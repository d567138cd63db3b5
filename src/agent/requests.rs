//! Requests over MQTT, and the responses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

use super::Agent;
use super::request_limits::{LimitedRequest, RequestClient};
use crate::broker::{Correlation, Publication, Unsent};
use crate::domain::account::AccountName;
use crate::domain::fault::FaultCode;
use crate::domain::secret::Secret;
use crate::domain::session::{Command, CommandError, Event, Ticket};
use crate::domain::text::printable;
use crate::platform::clock;
use crate::wire::{
    self, ErrorCode, Payload, ReloadMessage, Request, RequestError, Response, ResponseSubject, Transaction, Verb,
};

/// The longest correlation data that is kept for a response, in bytes.
const LONGEST_CORRELATION: usize = 1024;

/// A request, as far as its response needs it.
pub(super) struct PendingRequest {
    pub(super) verb: Verb,
    pub(super) asker: Asker,
}

/// Who has asked.
pub(super) enum Asker {
    /// Somebody at the broker.
    Broker { reply_to: ReplyTo, transaction: Transaction },
    /// A browser on this device.
    Browser(oneshot::Sender<Result<(), String>>),
}

/// Where a response goes, and what it answers.
#[derive(Clone)]
pub(super) struct ReplyTo {
    pub(super) topic: String,
    correlation: Option<Correlation>,
    pub(super) subject: ResponseSubject,
}

impl ReplyTo {
    fn publication(&self, payload: Payload) -> Publication {
        let Self { topic, correlation, .. } = self.clone();
        Publication { topic, payload, retain: false, good_until: None, correlation }
    }
}

impl Agent {
    /// Carries out a request, and answers it now or later.
    pub(super) fn request(
        &mut self,
        topic: &str,
        payload: &[u8],
        response_topic: Option<String>,
        correlation: Option<Correlation>,
    ) {
        let Some(name) = self.topics.verb(topic) else { return };
        let topic = response_topic.unwrap_or_else(|| self.topics.response(name));
        if !self.topics.may_respond_to(&topic) {
            if let Some(withheld) = self.complaints.response_topic.is_due(clock::now().boot) {
                let topic = printable(&topic);
                tracing::warn!(topic, withheld, "ignored a request whose response topic is not allowed");
            }
            return;
        }
        let subject = ResponseSubject::new(Verb::find(name), None);
        let mut reply_to = ReplyTo { topic, correlation, subject };
        if reply_to.correlation.as_ref().is_some_and(|data| data.len() > LONGEST_CORRELATION) {
            let error = format!("The correlation data is longer than {LONGEST_CORRELATION} bytes.");
            let reply_to = ReplyTo { correlation: None, ..reply_to };
            self.refuse(&reply_to, RequestError::invalid(error), &Transaction::default());
            return;
        }
        let Some(verb) = Verb::find(name) else {
            let transaction = Request::read(Verb::Status, payload).map_or_else(|(_, it)| it, |it| it.transaction);
            self.refuse(&reply_to, unknown_verb(name), &transaction);
            return;
        };
        let request = match Request::read(verb, payload) {
            Ok(request) => request,
            Err((error, transaction)) => {
                self.refuse(&reply_to, RequestError::invalid(error), &transaction);
                return;
            }
        };
        let Request { account, token, redirected_to, settings, sign_out, transaction } = request;
        reply_to.subject.account.clone_from(&account);
        let outcome = match verb {
            Verb::Declare => self.declare(account, settings, &transaction, &reply_to),
            Verb::Forget => self.forget(account, &transaction, &reply_to),
            Verb::Gate => self.respond_gate(sign_out.as_deref(), &transaction, &reply_to),
            Verb::Token => self.respond_token(account.as_ref(), token.as_ref(), &transaction, &reply_to),
            _ => self.carry_out(verb, account, redirected_to, &transaction, &reply_to),
        };
        if let Err(error) = outcome {
            self.refuse(&reply_to, error, &transaction);
        }
    }

    /// Answers at once, or leaves a ticket with the session that will.
    fn carry_out(
        &mut self,
        verb: Verb,
        account: Option<AccountName>,
        redirected_to: Option<Secret>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), RequestError> {
        if matches!(verb, Verb::Login | Verb::Status) {
            self.listen_again();
        }
        let (name, command) = match verb {
            Verb::Status => return self.respond_status(account.as_ref(), transaction, reply_to),
            Verb::Reload => return self.respond_reload(transaction, reply_to),
            Verb::Complete => self.completion(account, redirected_to)?,
            Verb::Login => (self.known(account.as_ref())?, Command::Login),
            Verb::Cancel => (self.known(account.as_ref())?, Command::Cancel),
            Verb::Refresh => (self.known(account.as_ref())?, Command::Refresh),
            Verb::Logout => (self.known(account.as_ref())?, Command::Logout),
            Verb::Declare | Verb::Forget | Verb::Token | Verb::Gate => return Ok(()),
        };
        self.admit(&name, &command, RequestClient::ResponseTopic(&reply_to.topic))?;
        let asker = Asker::Broker { reply_to: reply_to.clone(), transaction: transaction.clone() };
        let ticket = self.tickets.issue(&name, PendingRequest { verb, asker });
        tracing::debug!(account = name.as_str(), verb = verb.name(), "requested");
        self.tell(&name, Event::Command(command, ticket));
        Ok(())
    }

    /// Admits a command of a client, unless too many wait, or there have been too many that make the agent write: a card wears out.
    ///
    /// Whoever is signed in can always be signed out: that takes a sign-in first, and those are limited.
    pub(super) fn admit(
        &mut self,
        name: &AccountName,
        command: &Command,
        client: RequestClient<'_>,
    ) -> Result<(), RequestError> {
        let now = clock::now();
        if matches!(command, Command::Login) {
            self.is_not_forgotten(name)?;
        }
        self.may_wait(name, command)?;
        let Some(account) = self.accounts.get(name) else { return Ok(()) };
        let session = &account.session;
        let writes = match command {
            Command::Login => session.pending().is_none(),
            Command::Cancel => session.pending().is_some(),
            Command::Refresh => session.would_refresh(now),
            Command::Logout => !session.has_sign_in(),
            // Without a sign-in that was begun before it is refused.
            Command::Complete(_) => false,
        };
        match LimitedRequest::of(command).filter(|_| writes) {
            Some(kind) => self.limits.take(kind, name, client, now.boot).map_err(too_many_requests),
            None => Ok(()),
        }
    }

    /// Lets a command wait for its answer, unless too many do. One that ends or completes a sign-in always may: each sign-in ends
    /// once, so there are no more of these than sign-ins.
    pub(super) fn may_wait(&self, name: &AccountName, command: &Command) -> Result<(), RequestError> {
        let ends_sign_in = self.accounts.get(name).is_some_and(|account| match command {
            Command::Logout => account.session.has_sign_in(),
            Command::Cancel => account.session.pending().is_some(),
            Command::Complete(redirection) => account.session.awaits_state(&redirection.state),
            Command::Login | Command::Refresh => false,
        });
        if ends_sign_in || self.tickets.has_room_for(name) { Ok(()) } else { Err(busy()) }
    }

    fn completion(
        &self,
        account: Option<AccountName>,
        redirected_to: Option<Secret>,
    ) -> Result<(AccountName, Command), RequestError> {
        let Some(address) = redirected_to else {
            let error = "The request has no \"redirected_to\": the address that the browser was sent to.";
            return Err(RequestError::invalid(error));
        };
        if account.is_some() {
            self.known(account.as_ref())?;
        }
        let (name, redirection) = self
            .find_redirection(account, &address)
            .map_err(|reason| RequestError::new(FaultCode::RedirectInvalid, sentence(&reason)))?;
        Ok((name, Command::Complete(redirection)))
    }

    /// A session has done what a ticket was for, or not.
    pub(super) fn reply(&mut self, name: &AccountName, ticket: Ticket, result: Result<(), CommandError>) {
        let Some(PendingRequest { verb, asker }) = self.tickets.redeem(ticket) else { return };
        let Some(account) = self.accounts.get(name) else { return };
        match asker {
            Asker::Broker { reply_to, transaction } => {
                let outcome = match (result, verb) {
                    (Err(refused), _) => Err(RequestError::new(code(&refused), sentence(&refused.to_string()))),
                    (Ok(()), Verb::Login) => Ok(data(&wire::sign_in(name, account.session.pending().as_ref()))),
                    (Ok(()), Verb::Forget) => return self.forgotten(name, &transaction, &reply_to),
                    (Ok(()), _) => Ok(data(&self.status_message(name, account))),
                };
                if verb == Verb::Forget {
                    self.not_forgotten(name);
                }
                self.respond(&reply_to, outcome, &transaction);
            }
            // A browser that has gone away needs no answer.
            Asker::Browser(browser) => drop(browser.send(result.map_err(|refused| sentence(&refused.to_string())))),
        }
    }

    fn respond_status(
        &mut self,
        account: Option<&AccountName>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), RequestError> {
        if account.is_some() {
            let name = self.known(account)?;
            let status = self.accounts.get(&name).map(|account| self.status_message(&name, account));
            self.respond(reply_to, Ok(status), transaction);
        } else {
            let all = self.accounts.iter().map(|(name, account)| self.status_message(name, account));
            let all: Vec<_> = all.collect();
            self.respond(reply_to, Ok(all), transaction);
        }
        Ok(())
    }

    fn respond_reload(&mut self, transaction: &Transaction, reply_to: &ReplyTo) -> Result<(), RequestError> {
        self.limits.take_reload(clock::now().boot).map_err(too_many_requests)?;
        let before: BTreeMap<_, _> =
            self.accounts.iter().map(|(name, account)| (name.clone(), Arc::clone(&account.settings))).collect();
        let at_next_start = self.reload().map_err(|error| RequestError::new(ErrorCode::BadConfiguration, error))?;
        let names = |names: Vec<&AccountName>| names.into_iter().map(AccountName::to_string).collect();
        let after: BTreeMap<_, _> =
            self.accounts.iter().filter_map(|(name, account)| Some((name, account.coming_settings()?))).collect();
        let message = ReloadMessage {
            accounts: self.accounts.len(),
            added: names(after.keys().copied().filter(|name| !before.contains_key(*name)).collect()),
            changed: names(
                before
                    .iter()
                    .filter(|(name, old)| after.get(name).is_some_and(|new| **new != ***old))
                    .map(|(name, _)| name)
                    .collect(),
            ),
            removed: names(before.keys().filter(|name| !after.contains_key(name)).collect()),
            at_next_start: at_next_start.into_iter().map(str::to_owned).collect(),
        };
        self.respond(reply_to, Ok(message), transaction);
        Ok(())
    }

    pub(super) fn known(&self, account: Option<&AccountName>) -> Result<AccountName, RequestError> {
        let Some(name) = account else {
            return Err(RequestError::invalid("The request names no account."));
        };
        if self.accounts.contains_key(name) {
            return Ok(name.clone());
        }
        let known: Vec<_> = self.accounts.keys().map(AccountName::as_str).collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there is: {}", known.join(", ")) };
        Err(RequestError::new(ErrorCode::UnknownAccount, format!("There is no account {name}; {known}.")))
    }

    /// Responds to a request as it ended.
    pub(super) fn respond<T: Serialize>(
        &mut self,
        reply_to: &ReplyTo,
        result: Result<T, RequestError>,
        transaction: &Transaction,
    ) {
        self.send(reply_to, Payload::json(&Response::new(result, &reply_to.subject, transaction)), transaction);
    }

    fn refuse(&mut self, reply_to: &ReplyTo, error: RequestError, transaction: &Transaction) {
        self.respond::<()>(reply_to, Err(error), transaction);
    }

    pub(super) fn send(&mut self, reply_to: &ReplyTo, payload: Payload, transaction: &Transaction) {
        let sent = match self.link.respond(reply_to.publication(payload)) {
            Err(Unsent::TooLarge(refusal)) => {
                let error = format!("The response is too large: {refusal}.");
                let error = RequestError::new(ErrorCode::ResponseTooLarge, error);
                let response = Response::<()>::new(Err(error), &reply_to.subject, transaction);
                self.link.respond(reply_to.publication(Payload::json(&response)))
            }
            other => other,
        };
        if sent.is_ok() {
            return;
        }
        if let Some(withheld) = self.complaints.dropped.is_due(clock::now().boot) {
            tracing::warn!(withheld, "dropped a response: requests come faster than the broker takes the answers");
        }
    }
}

/// A payload without secrets as a value.
pub(super) fn data(message: &impl Serialize) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}

fn too_many_requests(wait: Duration) -> RequestError {
    let error = format!(
        "Too many requests of this kind in a short time: the next is taken in {} s. Check whether a flow sends them in a loop.",
        wait.as_secs() + 1
    );
    RequestError::new(ErrorCode::TooManyRequests, error)
}

pub(super) fn busy() -> RequestError {
    RequestError::new(ErrorCode::Busy, "Too many requests wait for an answer. Try again in a moment.")
}

fn unknown_verb(name: &str) -> RequestError {
    let known = Verb::ALL.map(Verb::name).join(", ");
    RequestError::new(ErrorCode::UnknownVerb, format!("There is no verb \"{}\"; there are: {known}.", printable(name)))
}

fn code(refused: &CommandError) -> ErrorCode {
    match refused {
        CommandError::NotSignedIn => ErrorCode::NotSignedIn,
        CommandError::NoRefreshToken => FaultCode::NoRefreshToken.into(),
        CommandError::NothingPending => ErrorCode::NothingPending,
        CommandError::Cancelled => ErrorCode::Cancelled,
        CommandError::NotOurRedirection => FaultCode::RedirectInvalid.into(),
        CommandError::AlreadyImported => ErrorCode::AlreadyImported,
        CommandError::SigningOut => ErrorCode::SigningOut,
        CommandError::Failed(fault) => fault.code.into(),
    }
}

pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
