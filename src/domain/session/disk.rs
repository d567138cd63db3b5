//! Whether the disk has what memory has, and what waits for it.

use super::{Action, ActiveFault, LogEvent, Moment, Revision, Ticket};
use crate::domain::clock::{BootTime, Now};
use crate::domain::fault::{Fault, Remedy};
use crate::domain::policy;
use crate::domain::record::Record;
use crate::domain::session::context::Context;

/// Follows each change of a session to the disk.
#[derive(Debug)]
pub(super) struct Disk {
    /// The newest state that was sent to the store.
    sent: Revision,
    step: WriteStep,
    /// True if something changed since.
    changed: bool,
    /// True if what is not yet on disk must not be seen before it is.
    unseen: bool,
    /// True if what is on disk must stay there although this session could not read it.
    protected: bool,
    failures: u32,
    active_fault: Option<Box<ActiveFault>>,
    /// Requests that were carried out, to be answered once that is safe.
    done: Vec<Ticket>,
}

#[derive(Debug, PartialEq, Eq)]
enum WriteStep {
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
            step: WriteStep::Safe,
            changed: false,
            unseen: false,
            protected: false,
            failures: 0,
            active_fault: None,
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

    /// Returns whether the disk has all that memory has.
    pub(super) fn is_safe(&self) -> bool {
        self.step == WriteStep::Safe && !self.changed
    }

    /// Returns whether the disk has all that may be seen.
    pub(super) fn has_what_is_seen(&self) -> bool {
        !self.unseen
    }

    pub(super) fn clock_was_set(&mut self, cx: &Context) {
        if let Some(active_fault) = &mut self.active_fault {
            active_fault.clock_was_set(cx);
        }
    }

    /// Tries what could not be written again without waiting any longer.
    pub(super) fn try_now(&mut self, now: Now) {
        if let WriteStep::RetryAt(at) = &mut self.step {
            *at = now.boot;
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.step == WriteStep::Writing
    }

    pub(super) fn active_fault(&self) -> Option<&ActiveFault> {
        self.active_fault.as_deref()
    }

    pub(super) fn next_wake(&self) -> Option<BootTime> {
        match self.step {
            WriteStep::RetryAt(at) => Some(at),
            WriteStep::Safe | WriteStep::Writing => None,
        }
    }

    /// Answers `ticket` with success, once everything is safe.
    pub(super) fn reply_when_safe(&mut self, ticket: Ticket) {
        self.done.push(ticket);
    }

    /// The reason why a write that has failed is not tried again yet, while there is such a write.
    pub(super) fn waits_because(&self) -> Option<&Fault> {
        let waits = matches!(self.step, WriteStep::RetryAt(_));
        self.active_fault.as_deref().filter(|_| waits).map(|active_fault| &active_fault.fault)
    }

    /// Takes the store's word on one revision.
    pub(super) fn stored(&mut self, revision: Revision, result: Result<(), Fault>, cx: &mut Context) {
        if revision != self.sent {
            return;
        }
        let Err(fault) = result else {
            self.step = WriteStep::Safe;
            self.unseen = false;
            self.failures = 0;
            self.active_fault = None;
            return;
        };
        self.failures = self.failures.saturating_add(1);
        let asked_for = match fault.remedy {
            Remedy::TryAgain { after } => after,
            Remedy::AskUser | Remedy::Reconfigure => None,
        };
        let wait = policy::retry_wait(self.failures, asked_for, cx.jitter);
        let retry = Moment::within(wait, cx.now);
        self.step = WriteStep::RetryAt(retry.at);
        cx.log(LogEvent::StoreFailed(fault.clone(), wait));
        self.active_fault =
            Some(Box::new(ActiveFault::continuing(self.active_fault.take(), fault, Some(retry), cx.now)));
    }

    /// Returns whether there is something to send to the store now.
    pub(super) fn wants_record(&self, now: Now) -> bool {
        let retry = matches!(self.step, WriteStep::RetryAt(at) if at <= now.boot);
        (self.changed || retry) && !self.protected
    }

    /// Sends what there is to keep to the store.
    pub(super) fn send(&mut self, record: Record, cx: &mut Context) {
        self.changed = false;
        self.step = WriteStep::Writing;
        self.sent = Revision(self.sent.0 + 1);
        cx.actions.push(if record.is_empty() { Action::Erase(self.sent) } else { Action::Save(self.sent, record) });
    }

    /// Answers what has become safe, or is not about to: a request waits for one attempt to write, not for the next.
    pub(super) fn answer(&mut self, cx: &mut Context) {
        // Nothing is on its way to where nothing is written.
        if self.protected {
            self.changed = false;
            self.unseen = false;
        }
        if self.is_safe() {
            cx.actions.extend(self.done.drain(..).map(|ticket| Action::Reply(ticket, Ok(()))));
        }
        if !self.done.is_empty()
            && let Some(fault) = self.waits_because().cloned()
        {
            cx.fail(self.done.drain(..), &fault);
        }
    }
}
