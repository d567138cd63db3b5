//! What a session needs while it handles one event.

use super::{Action, CommandError, LogEvent, ProviderRequest, RequestId, Ticket, Topic};
use crate::domain::clock::Now;
use crate::domain::fault::Fault;
use crate::domain::policy::Jitter;

/// The moment of an event, its share of randomness, and the actions that follow from it.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) now: Now,
    pub(super) jitter: Jitter,
    pub(super) actions: Vec<Action>,
}

impl Context {
    pub(super) fn new(now: Now, jitter: Jitter) -> Self {
        Self { now, jitter, actions: Vec::new() }
    }

    /// Sends a request to the provider.
    pub(super) fn ask(&mut self, id: RequestId, request: ProviderRequest) {
        self.actions.push(Action::Ask(id, request));
    }

    /// Asks for a topic to be published.
    pub(super) fn publish(&mut self, topic: Topic) {
        self.actions.push(Action::Publish(topic));
    }

    /// Answers a command.
    pub(super) fn reply(&mut self, ticket: Ticket, result: Result<(), CommandError>) {
        self.actions.push(Action::Reply(ticket, result));
    }

    /// Answers all of these commands with one error.
    pub(super) fn refuse(&mut self, tickets: impl IntoIterator<Item = Ticket>, error: &CommandError) {
        self.actions.extend(tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(error.clone()))));
    }

    /// Answers all of these commands with the fault by which they failed.
    pub(super) fn fail(&mut self, tickets: impl IntoIterator<Item = Ticket>, fault: &Fault) {
        let failed = |ticket| Action::Reply(ticket, Err(CommandError::Failed(fault.clone())));
        self.actions.extend(tickets.into_iter().map(failed));
    }

    /// Writes to the journal.
    pub(super) fn log(&mut self, event: LogEvent) {
        self.actions.push(Action::Log(event));
    }
}
