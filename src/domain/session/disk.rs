//! Whether the disk has what memory has, and what waits for it.

use super::{Action, Moment, Note, Refused, Revision, Ticket, Trouble};
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, Remedy};
use crate::domain::policy::{self, Chance};
use crate::domain::record::Record;

/// Follows each change of a session to the disk.
#[derive(Debug)]
pub(super) struct Disk {
    /// The newest state that was sent to the store.
    sent: Revision,
    step: Step,
    /// Whether something changed since.
    changed: bool,
    /// Whether what is not yet on disk must not be seen before it is.
    unseen: bool,
    /// Whether what is on disk must stay there although this session could not read it.
    protected: bool,
    failures: u32,
    trouble: Option<Box<Trouble>>,
    /// Requests that were carried out, to be answered once that is safe.
    done: Vec<Ticket>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Safe,
    Writing,
    RetryAt(BootTime),
}

impl Disk {
    pub(super) fn new(epoch: u64) -> Self {
        // Each session counts in a range of its own, so that word of a former one's writes is told apart.
        let sent = Revision(epoch << 32);
        Self {
            sent,
            step: Step::Safe,
            changed: false,
            unseen: false,
            protected: false,
            failures: 0,
            trouble: None,
            done: Vec::new(),
        }
    }

    /// From now on nothing is written.
    pub(super) fn protect(&mut self) {
        self.protected = true;
    }

    /// There is something that is worth more than what could not be read.
    pub(super) fn unprotect(&mut self) {
        self.protected = false;
    }

    /// Something changed that must survive the process, and be seen only then.
    pub(super) fn change(&mut self) {
        self.changed = true;
        self.unseen = true;
    }

    /// Something changed that must survive the process, and that nobody sees.
    pub(super) fn note(&mut self) {
        self.changed = true;
    }

    /// Whether the disk has all that memory has.
    pub(super) fn is_safe(&self) -> bool {
        self.step == Step::Safe && !self.changed
    }

    /// Whether the disk has all that may be seen.
    pub(super) fn has_what_is_seen(&self) -> bool {
        !self.unseen
    }

    pub(super) fn clock_was_set(&mut self, now: Now, chance: Chance) {
        if let Some(trouble) = &mut self.trouble {
            trouble.clock_was_set(now, chance);
        }
    }

    /// What could not be written is tried again without waiting any longer.
    pub(super) fn try_now(&mut self, now: Now) {
        if let Step::RetryAt(at) = &mut self.step {
            *at = now.boot;
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.step == Step::Writing
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_deref()
    }

    pub(super) fn next_wake(&self) -> Option<BootTime> {
        match self.step {
            Step::RetryAt(at) => Some(at),
            Step::Safe | Step::Writing => None,
        }
    }

    /// Answers `ticket` with success, once everything is safe.
    pub(super) fn reply_when_safe(&mut self, ticket: Ticket) {
        self.done.push(ticket);
    }

    /// Takes the store's word on one revision, and says why what is newest could not be written.
    pub(super) fn stored(
        &mut self,
        revision: Revision,
        result: Result<(), Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) -> Option<Fault> {
        if revision != self.sent {
            return None;
        }
        let Err(fault) = result else {
            self.step = Step::Safe;
            self.unseen = false;
            self.failures = 0;
            self.trouble = None;
            return None;
        };
        self.failures = self.failures.saturating_add(1);
        let asked_for = match fault.remedy {
            Remedy::TryAgain { after } => after,
            Remedy::AskUser | Remedy::Reconfigure => None,
        };
        let wait = policy::retry_wait(self.failures, asked_for, chance);
        let retry = Moment::within(wait, now);
        self.step = Step::RetryAt(retry.at);
        for ticket in self.done.drain(..) {
            out.push(Action::Reply(ticket, Err(Refused::Failed(fault.clone()))));
        }
        out.push(Action::Note(Note::StoreFailed(fault.clone(), wait)));
        self.trouble = Some(Box::new(Trouble::continuing(self.trouble.take(), fault.clone(), Some(retry), now)));
        Some(fault)
    }

    /// Whether there is something to send to the store now.
    pub(super) fn wants_record(&self, now: Now) -> bool {
        let retry = matches!(self.step, Step::RetryAt(at) if at <= now.boot);
        (self.changed || retry) && !self.protected
    }

    /// Sends what there is to keep to the store.
    pub(super) fn send(&mut self, record: Record, out: &mut Vec<Action>) {
        self.changed = false;
        self.step = Step::Writing;
        self.sent = Revision(self.sent.0 + 1);
        out.push(if record.is_empty() { Action::Erase(self.sent) } else { Action::Save(self.sent, record) });
    }

    /// Answers what has become safe.
    pub(super) fn answer(&mut self, out: &mut Vec<Action>) {
        // Nothing is on its way to where nothing is written.
        if self.protected {
            self.changed = false;
            self.unseen = false;
        }
        if self.is_safe() {
            out.extend(self.done.drain(..).map(|ticket| Action::Reply(ticket, Ok(()))));
        }
    }
}
