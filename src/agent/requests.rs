//! What others ask of the agent over MQTT, and its responses.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

use super::Agent;
use super::accounts::Account;
use crate::broker::{Correlation, Publication, Unsent};
use crate::domain::account::AccountName;
use crate::domain::clock::BootTime;
use crate::domain::fault::FaultCode;
use crate::domain::policy;
use crate::domain::rate_limit::{Complaint, Throttle};
use crate::domain::secret::Secret;
use crate::domain::session::{Command, CommandError, Event, Ticket};
use crate::domain::settings::PublishMode;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::wire::{self, Outcome, Payload, Request, Transaction, Verb, response};

/// The most requests that wait for an answer at a time.
pub(super) const MOST_WAITING: usize = 256;

/// The longest correlation data that is kept for a response, in bytes.
const LONGEST_CORRELATION: usize = 1024;

/// What is left of the requests that make the agent write.
pub(super) struct Writes {
    of_all: Throttle,
    /// For accounts of which not all is left.
    of_account: HashMap<AccountName, Throttle>,
}

impl Default for Writes {
    fn default() -> Self {
        Self { of_all: Throttle::new(policy::ALL_WRITING_REQUESTS), of_account: HashMap::new() }
    }
}

impl Writes {
    fn take(&mut self, account: &AccountName, now: BootTime) -> Result<(), Duration> {
        self.of_account.retain(|_, throttle| !throttle.is_whole(now));
        let unused = || Throttle::new(policy::WRITING_REQUESTS);
        self.of_account.entry(account.clone()).or_insert_with(unused).take(now)?;
        self.of_all.take(now)
    }
}

/// Requests that wait for a session.
#[derive(Default)]
pub(super) struct Tickets {
    last: u64,
    waiting: HashMap<Ticket, Asked>,
}

/// A request, as far as its response needs it.
pub(super) struct Asked {
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

/// Where a response goes.
#[derive(Clone)]
pub(super) struct ReplyTo {
    topic: String,
    correlation: Option<Correlation>,
}

impl ReplyTo {
    fn publication(&self, payload: Payload) -> Publication {
        let Self { topic, correlation } = self.clone();
        Publication { topic, payload, retain: false, good_until: None, correlation }
    }
}

/// What is written down of requests that nobody can be told of, within bounds: a flood of them must not fill the journal.
pub(super) struct Complaints {
    unknown_verb: Complaint,
    response_topic: Complaint,
    dropped: Complaint,
}

impl Default for Complaints {
    fn default() -> Self {
        let [unknown_verb, response_topic, dropped] = [(); 3].map(|()| Complaint::new(policy::COMPLAINTS));
        Self { unknown_verb, response_topic, dropped }
    }
}

/// The code and the sentence of a request that is refused.
pub(super) type Refusal = (&'static str, String);

impl Tickets {
    /// A ticket for a request, if there is room for it.
    pub(super) fn issue(&mut self, asked: Asked) -> Result<Ticket, Refusal> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(busy());
        }
        self.last += 1;
        let ticket = Ticket(self.last);
        self.waiting.insert(ticket, asked);
        Ok(ticket)
    }
}

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
            if let Some(withheld) = self.complaints.unknown_verb.is_due(clock::now().boot) {
                tracing::warn!(verb = printable(name), withheld, "ignored a request with an unknown verb");
            }
            return;
        };
        let reply_to = match response_topic {
            None => ReplyTo { topic: self.topics.response(verb.name()), correlation },
            Some(topic) if self.topics.may_respond_to(&topic) => ReplyTo { topic, correlation },
            Some(topic) => {
                if let Some(withheld) = self.complaints.response_topic.is_due(clock::now().boot) {
                    let topic = printable(&topic);
                    tracing::warn!(topic, withheld, "ignored a request whose answer would go where it must not");
                }
                return;
            }
        };
        if reply_to.correlation.as_ref().is_some_and(|data| data.len() > LONGEST_CORRELATION) {
            let error = format!("The correlation data is longer than {LONGEST_CORRELATION} bytes.");
            let reply_to = ReplyTo { correlation: None, ..reply_to };
            self.respond(&reply_to, &failed(("invalid_request", error)), &Transaction::default());
            return;
        }
        let request = match Request::read(verb, payload) {
            Ok(request) => request,
            Err((error, transaction)) => {
                self.respond(&reply_to, &failed(("invalid_request", error)), &transaction);
                return;
            }
        };
        let Request { account, redirected_to, settings, transaction } = request;
        let outcome = match verb {
            Verb::Declare => self.declare(account, settings, &transaction, &reply_to),
            Verb::Forget => self.forget(account, &transaction, &reply_to),
            _ => self.carry_out(verb, account, redirected_to, &transaction, &reply_to),
        };
        if let Err(refusal) = outcome {
            self.respond(&reply_to, &failed(refusal), &transaction);
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
    ) -> Result<(), Refusal> {
        let (name, command) = match verb {
            Verb::Status => return self.respond_status(account.as_ref(), transaction, reply_to),
            Verb::Token => return self.respond_token(account.as_ref(), transaction, reply_to),
            Verb::Reload => return self.respond_reload(transaction, reply_to),
            Verb::Complete => self.completion(account, redirected_to)?,
            Verb::Login => (self.known(account.as_ref())?, Command::Login),
            Verb::Cancel => (self.known(account.as_ref())?, Command::Cancel),
            Verb::Refresh => (self.known(account.as_ref())?, Command::Refresh),
            Verb::Logout => (self.known(account.as_ref())?, Command::Logout),
            Verb::Declare | Verb::Forget => return Ok(()),
        };
        self.admit(&name, &command)?;
        let asker = Asker::Broker { reply_to: reply_to.clone(), transaction: transaction.clone() };
        let ticket = self.tickets.issue(Asked { verb, asker })?;
        tracing::debug!(account = name.as_str(), verb = verb.name(), "requested");
        self.tell(&name, Event::Command(command, ticket));
        Ok(())
    }

    /// Whether a command may be given now: what makes the agent write is not taken without end, since a card bears only so
    /// much.
    pub(super) fn admit(&mut self, name: &AccountName, command: &Command) -> Result<(), Refusal> {
        let now = clock::now();
        if matches!(command, Command::Login) {
            self.is_not_forgotten(name)?;
        }
        let Some(account) = self.accounts.get(name) else { return Ok(()) };
        let session = &account.session;
        let writes = match command {
            Command::Login => session.pending().is_none(),
            Command::Cancel => session.pending().is_some(),
            Command::Refresh => session.would_refresh(now),
            Command::Logout => true,
            // Without a sign-in that was begun before it is refused.
            Command::Complete(_) => false,
        };
        if writes { self.writes.take(name, now.boot).map_err(too_many_requests) } else { Ok(()) }
    }

    fn completion(
        &self,
        account: Option<AccountName>,
        redirected_to: Option<Secret>,
    ) -> Result<(AccountName, Command), Refusal> {
        let Some(address) = redirected_to else {
            let error = "The request has no \"redirected_to\": the address that the browser was sent to.";
            return Err(("invalid_request", error.to_owned()));
        };
        if account.is_some() {
            self.known(account.as_ref())?;
        }
        let (name, redirection) =
            self.find_redirection(account, &address).map_err(|reason| ("redirect_invalid", sentence(&reason)))?;
        Ok((name, Command::Complete(redirection)))
    }

    /// A session has done what a ticket was for, or not.
    pub(super) fn reply(&mut self, name: &AccountName, ticket: Ticket, result: Result<(), CommandError>) {
        let Some(Asked { verb, asker }) = self.tickets.waiting.remove(&ticket) else { return };
        let Some(account) = self.accounts.get(name) else { return };
        match asker {
            Asker::Broker { reply_to, transaction } => {
                let outcome = match (result, verb) {
                    (Err(refused), _) => failed((code(&refused), sentence(&refused.to_string()))),
                    (Ok(()), Verb::Login) => {
                        Outcome::Done(data(&wire::sign_in(name, account.session.pending().as_ref())))
                    }
                    (Ok(()), Verb::Forget) => return self.forgotten(name, &transaction, &reply_to),
                    (Ok(()), _) => Outcome::Done(data(&self.status_of(name, account))),
                };
                if verb == Verb::Forget {
                    self.not_forgotten(name);
                }
                self.respond(&reply_to, &outcome, &transaction);
            }
            // A browser that has gone away needs no answer.
            Asker::Browser(browser) => drop(browser.send(result.map_err(|refused| sentence(&refused.to_string())))),
        }
    }

    fn status_of(&self, name: &AccountName, account: &Account) -> impl Serialize + use<> {
        account.status(name, self.declarations.needs_sign_in(name))
    }

    fn respond_status(
        &mut self,
        account: Option<&AccountName>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), Refusal> {
        if account.is_some() {
            let name = self.known(account)?;
            let status = self.accounts.get(&name).map(|account| self.status_of(&name, account));
            self.respond(reply_to, &Outcome::Done(data(&status)), transaction);
        } else {
            let all = self.accounts.iter().map(|(name, account)| self.status_of(name, account));
            let all = data(&all.collect::<Vec<_>>());
            self.respond(reply_to, &Outcome::Done(all), transaction);
        }
        Ok(())
    }

    fn respond_reload(&mut self, transaction: &Transaction, reply_to: &ReplyTo) -> Result<(), Refusal> {
        let accounts = self.reload().map_err(|error| ("bad_configuration", error))?;
        let data = serde_json::json!({ "accounts": accounts });
        self.respond(reply_to, &Outcome::Done(data), transaction);
        Ok(())
    }

    fn respond_token(
        &mut self,
        account: Option<&AccountName>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), Refusal> {
        let name = self.known(account)?;
        if !self.topics.may_carry_token(&reply_to.topic) {
            let error = "Tokens stay at the device's own broker: ask with a response topic below $local/.";
            return Err(("token_is_local", error.to_owned()));
        }
        let Some(account) = self.accounts.get(&name) else { return Ok(()) };
        if account.settings.publish == PublishMode::Retained {
            let topic = self.topics.account(&name, crate::domain::session::Topic::Token);
            return Err((
                "token_is_retained",
                format!("The token of {name} is retained on {topic}; subscribe to that."),
            ));
        }
        let Some(token) = account.session.token(clock::now()) else {
            return Err(("no_token", format!("There is no good token of {name} now. Request status to see why.")));
        };
        let payload = wire::token_response(&name, &token, transaction);
        self.send(reply_to, payload, transaction);
        Ok(())
    }

    pub(super) fn known(&self, account: Option<&AccountName>) -> Result<AccountName, Refusal> {
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

    pub(super) fn respond<T: Serialize>(
        &mut self,
        reply_to: &ReplyTo,
        outcome: &Outcome<T>,
        transaction: &Transaction,
    ) {
        self.send(reply_to, response(outcome, transaction), transaction);
    }

    fn send(&mut self, reply_to: &ReplyTo, payload: Payload, transaction: &Transaction) {
        let sent = match self.link.respond(reply_to.publication(payload)) {
            Err(Unsent::TooLarge(refusal)) => {
                let error = format!("The response is too large: {refusal}.");
                let failed = failed(("response_too_large", error));
                self.link.respond(reply_to.publication(response(&failed, transaction)))
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
fn data(message: &impl Serialize) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}

fn too_many_requests(wait: Duration) -> Refusal {
    let error = format!(
        "Too much has been asked for in a short time that the agent has to write down; the next is taken in {} s. See whether a \
         flow asks in a loop.",
        wait.as_secs() + 1
    );
    ("too_many_requests", error)
}

pub(super) fn busy() -> Refusal {
    ("busy", "Too many requests wait for an answer. Try again in a moment.".to_owned())
}

pub(super) fn failed((code, error): Refusal) -> Outcome<Value> {
    Outcome::Failed { code, error }
}

fn code(refused: &CommandError) -> &'static str {
    match refused {
        CommandError::NotSignedIn => "not_signed_in",
        CommandError::NoRefreshToken => "no_refresh_token",
        CommandError::NothingPending => "nothing_pending",
        CommandError::Cancelled => "cancelled",
        CommandError::NotOurRedirection => FaultCode::RedirectInvalid.name(),
        CommandError::AlreadyImported => "already_imported",
        CommandError::SigningOut => "signing_out",
        CommandError::Failed(fault) => fault.code.name(),
    }
}

pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
