//! The way to a sign-in: a code or an address for the user, and questions until there are tokens.

use std::time::Duration;

use super::grant::Grant;
use super::{Action, Due, Note, Question, Refused, RequestId, Session, Ticket, Trouble, Way};
use crate::clock::{BootTime, Now};
use crate::expiry::Expiry;
use crate::fault::{Fault, FaultCode, Remedy};
use crate::policy::{self, Chance};
use crate::record::{Approval, CodeRequest, DeviceCode, PendingSignIn};
use crate::secret::Secret;
use crate::token::{Authorization, Granted, PollAnswer};

/// How far a sign-in is.
#[derive(Debug)]
pub(super) enum SignIn {
    /// None is under way.
    Idle {
        /// How the last one ended, if not well.
        trouble: Option<Trouble>,
        /// How many requests that begin one have failed in a row.
        failures: u32,
    },
    /// The provider is asked for a way to the user's approval, or for tokens where none is needed.
    Asking { id: RequestId, asked: Now, failures: u32, waiting: Vec<Ticket> },
    /// It waits for the user.
    Waiting(Waiting),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) pending: PendingSignIn,
    pub(super) next: Next,
    /// What the user's browser brought back.
    pub(super) code: Option<Secret>,
    /// Who waits to hear how it ends.
    pub(super) tickets: Vec<Ticket>,
    failures: u32,
    trouble: Option<Trouble>,
}

/// When the provider is asked next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// When the user's browser has brought something back.
    AtRedirection,
    At(BootTime),
    Asking {
        id: RequestId,
        asked: Now,
    },
}

impl Default for SignIn {
    fn default() -> Self {
        Self::Idle { trouble: None, failures: 0 }
    }
}

impl SignIn {
    /// Goes on with what was begun before a restart; an interval is waited for again before the first poll.
    pub(super) fn resume(pending: PendingSignIn, now: Now) -> Self {
        let next = match &pending.approval {
            Approval::Device(device) => Next::At(now.boot + device.interval),
            Approval::Redirect(_) => Next::AtRedirection,
        };
        Self::Waiting(Waiting { pending, next, code: None, tickets: Vec::new(), failures: 0, trouble: None })
    }

    pub(super) fn to_keep(&self) -> Option<PendingSignIn> {
        match self {
            Self::Waiting(waiting) => Some(waiting.pending.clone()),
            Self::Idle { .. } | Self::Asking { .. } => None,
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::Idle { .. } => false,
            Self::Asking { .. } => true,
            Self::Waiting(waiting) => matches!(waiting.next, Next::Asking { .. }),
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Idle { trouble, .. } => trouble.as_ref(),
            Self::Asking { .. } => None,
            Self::Waiting(waiting) => waiting.trouble.as_ref(),
        }
    }

    /// Whether it goes on without anybody's help, if it is `wanted`.
    pub(super) fn goes_on_by_itself(&self, wanted: bool) -> bool {
        match self {
            Self::Idle { trouble, .. } => wanted && trouble.as_ref().is_none_or(|trouble| trouble.retry.is_some()),
            Self::Asking { .. } => true,
            Self::Waiting(_) => false,
        }
    }

    pub(super) fn next_wake(&self, wanted: bool) -> Option<BootTime> {
        match self {
            Self::Idle { trouble, .. } if wanted => trouble.as_ref()?.retry.map(|retry| retry.at),
            Self::Idle { .. } | Self::Asking { .. } => None,
            Self::Waiting(waiting) => match waiting.next {
                Next::At(at) => Some(at.min(waiting.pending.expiry.ends())),
                Next::AtRedirection => Some(waiting.pending.expiry.ends()),
                Next::Asking { .. } => None,
            },
        }
    }

    pub(super) fn clock_was_set(&mut self, now: Now) {
        if let Self::Waiting(waiting) = self {
            waiting.pending.expiry.clock_was_set(now);
        }
    }

    /// What only a change of the configuration could mend is tried at once.
    pub(super) fn reconfigured(&mut self, way: &Way) {
        if let Self::Idle { trouble: Some(trouble), .. } = self
            && (trouble.fault.remedy == Remedy::Reconfigure || *way != Way::User)
        {
            *self = Self::default();
        }
    }
}

impl Waiting {
    /// The next question comes after the interval of a device code (RFC 8628 3.5), or later after a fault.
    fn ask_later(&mut self, asked_for: Option<Duration>, now: Now, chance: Chance) -> Due {
        let interval = match &self.pending.approval {
            Approval::Device(device) => device.interval,
            Approval::Redirect(_) => Duration::ZERO,
        };
        let next = Due::within(policy::poll_wait(interval, self.failures, asked_for, chance), now);
        self.next = Next::At(next.at);
        next
    }
}

impl Session {
    pub(super) fn login(&mut self, ticket: Ticket, now: Now, out: &mut Vec<Action>) {
        if matches!(self.grant, Grant::Leaving { .. }) {
            out.push(Action::Reply(ticket, Err(Refused::SigningOut)));
            return;
        }
        let spent = matches!(&self.rules.way, Way::Import(fingerprint) if *fingerprint == self.imported || fingerprint.is_none());
        match &mut self.sign_in {
            SignIn::Idle { .. } if spent => out.push(Action::Reply(ticket, Err(Refused::AlreadyImported))),
            SignIn::Idle { .. } => self.begin(0, vec![ticket], now, out),
            SignIn::Asking { waiting, .. } => waiting.push(ticket),
            SignIn::Waiting(_) => self.disk.reply_when_safe(ticket),
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        if self.abandon_sign_in(out) {
            self.disk.reply_when_safe(ticket);
        } else {
            out.push(Action::Reply(ticket, Err(Refused::NothingPending)));
        }
    }

    /// Gives up the sign-in under way, and says whether there was one.
    pub(super) fn abandon_sign_in(&mut self, out: &mut Vec<Action>) -> bool {
        let tickets = match std::mem::take(&mut self.sign_in) {
            SignIn::Idle { .. } => return false,
            SignIn::Asking { waiting, .. } => waiting,
            SignIn::Waiting(waiting) => {
                self.disk.change();
                waiting.tickets
            }
        };
        out.extend(tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(Refused::Cancelled))));
        true
    }

    /// Whether a sign-in should be begun although nobody asked for one.
    pub(super) fn wants_sign_in(&self) -> bool {
        let (has_grant, has_ended) = match &self.grant {
            Grant::None { .. } => (false, true),
            Grant::Held(renewal) => (true, renewal.signed_in.refused.is_some() || renewal.is_stuck()),
            Grant::Leaving { .. } => (true, false),
        };
        match &self.rules.way {
            Way::User => self.rules.offer && has_ended,
            Way::Unattended => !has_grant && !self.stopped,
            // Another token in the file is meant to take the place of the one that is held.
            Way::Import(fingerprint) => {
                !matches!(self.grant, Grant::Leaving { .. }) && fingerprint.is_some() && *fingerprint != self.imported
            }
        }
    }

    /// Asks on, ends what has lapsed, or begins afresh, when it is time.
    pub(super) fn sign_in_if_due(&mut self, now: Now, chance: Chance, out: &mut Vec<Action>) {
        if let SignIn::Waiting(Waiting { pending, next: Next::At(_) | Next::AtRedirection, .. }) = &self.sign_in
            && pending.expiry.ends() <= now.boot
        {
            let fault = Fault::ask_user(FaultCode::CodeExpired, "Nobody approved the sign-in before it lapsed.");
            self.end_sign_in(fault, 0, now, chance, out);
        }
        match &mut self.sign_in {
            SignIn::Idle { trouble, failures } => {
                let retry = trouble.as_ref().and_then(|trouble| trouble.retry);
                let due = trouble.is_none() || retry.is_some_and(|retry| retry.at <= now.boot);
                let failures = *failures;
                if due && self.wants_sign_in() {
                    self.begin(failures, Vec::new(), now, out);
                }
            }
            SignIn::Asking { .. } => {}
            SignIn::Waiting(waiting) => {
                if matches!(waiting.next, Next::At(at) if at <= now.boot) {
                    self.ask_on(now, out);
                }
            }
        }
    }

    fn begin(&mut self, failures: u32, waiting: Vec<Ticket>, now: Now, out: &mut Vec<Action>) {
        let id = self.new_request();
        self.sign_in = SignIn::Asking { id, asked: now, failures, waiting };
        let question = if self.rules.way == Way::User { Question::Authorize } else { Question::Obtain };
        out.push(Action::Ask(id, question));
    }

    fn ask_on(&mut self, now: Now, out: &mut Vec<Action>) {
        let id = self.new_request();
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        let question = match (&waiting.pending.approval, &waiting.code) {
            (Approval::Device(device), _) => Question::Poll { device_code: device.device_code.clone() },
            (Approval::Redirect(request), Some(code)) => {
                Question::Exchange { code: code.clone(), code_verifier: request.code_verifier.clone() }
            }
            (Approval::Redirect(_), None) => return,
        };
        waiting.next = Next::Asking { id, asked: now };
        out.push(Action::Ask(id, question));
    }

    /// The provider has said how the user can approve, or why not.
    pub(super) fn authorization_answered(
        &mut self,
        id: RequestId,
        answer: Result<Authorization, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let Some((asked, failures, tickets)) = self.sign_in.begun(id) else { return };
        let authorization = match answer {
            Ok(authorization) => authorization,
            Err(fault) => return self.could_not_begin(fault, failures, tickets, now, chance, out),
        };
        let pending = pending(authorization, self.client.clone(), asked);
        out.push(Action::Note(Note::CodeOffered(pending.expiry.at())));
        self.sign_in = SignIn::resume(pending, now);
        self.disk.change();
        for ticket in tickets {
            self.disk.reply_when_safe(ticket);
        }
    }

    /// The provider has answered for tokens that no user has to approve, or for those of a code.
    pub(super) fn granted_answered(
        &mut self,
        id: RequestId,
        answer: Result<Granted, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        if let Some((asked, failures, tickets)) = self.sign_in.begun(id) {
            let fault = match answer {
                Ok(granted) => match self.approved(granted, (id, asked), now, chance, out) {
                    Ok(()) => {
                        self.sign_in = SignIn::default();
                        for ticket in tickets {
                            self.disk.reply_when_safe(ticket);
                        }
                        return;
                    }
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            if fault.remedy == Remedy::AskUser && matches!(self.rules.way, Way::Import(_)) {
                self.mark_imported();
                self.disk.change();
            }
            return self.could_not_begin(fault, failures, tickets, now, chance, out);
        }
        let Some(asked) = self.sign_in.asked_on(id) else { return };
        match answer {
            Ok(granted) => self.settle(granted, (id, asked), now, chance, out),
            Err(fault) => self.no_answer_yet(fault, now, chance, out),
        }
    }

    pub(super) fn poll_answered(
        &mut self,
        id: RequestId,
        answer: Result<PollAnswer, Fault>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let Some(asked) = self.sign_in.asked_on(id) else { return };
        let answer = match answer {
            Ok(PollAnswer::Granted(granted)) => return self.settle(granted, (id, asked), now, chance, out),
            Ok(answer) => answer,
            Err(fault) => return self.no_answer_yet(fault, now, chance, out),
        };
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        waiting.failures = 0;
        waiting.trouble = None;
        if let (PollAnswer::SlowDown { interval }, Approval::Device(device)) = (answer, &mut waiting.pending.approval) {
            device.interval = policy::slowed(device.interval, interval);
            self.disk.change();
        }
        waiting.ask_later(None, now, chance);
    }

    /// The user has approved what was waited for.
    fn settle(&mut self, granted: Granted, request: (RequestId, Now), now: Now, chance: Chance, out: &mut Vec<Action>) {
        if let Err(fault) = self.approved(granted, request, now, chance, out) {
            return self.end_sign_in(fault, 0, now, chance, out);
        }
        if let SignIn::Waiting(waiting) = std::mem::take(&mut self.sign_in) {
            for ticket in waiting.tickets {
                self.disk.reply_when_safe(ticket);
            }
        }
    }

    /// A question about what waits for the user brought no answer; a passing fault lets it wait on.
    fn no_answer_yet(&mut self, fault: Fault, now: Now, chance: Chance, out: &mut Vec<Action>) {
        let SignIn::Waiting(waiting) = &mut self.sign_in else { return };
        match fault.remedy {
            Remedy::TryAgain { after } => {
                waiting.failures = waiting.failures.saturating_add(1);
                let retry = waiting.ask_later(after, now, chance);
                waiting.trouble = Some(Trouble::continuing(waiting.trouble.take(), fault, Some(retry), now));
            }
            Remedy::AskUser | Remedy::Reconfigure => self.end_sign_in(fault, 0, now, chance, out),
        }
    }

    fn could_not_begin(
        &mut self,
        fault: Fault,
        failures: u32,
        tickets: Vec<Ticket>,
        now: Now,
        chance: Chance,
        out: &mut Vec<Action>,
    ) {
        let refused = Refused::Failed(fault.clone());
        out.extend(tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
        self.end_sign_in(fault, failures, now, chance, out);
    }

    /// The sign-in is over without tokens. Where one is wanted all the time, the next is begun after a while.
    pub(super) fn end_sign_in(&mut self, fault: Fault, failures: u32, now: Now, chance: Chance, out: &mut Vec<Action>) {
        let wait = match fault.remedy {
            Remedy::AskUser if fault.code == FaultCode::CodeExpired => Some(Duration::ZERO),
            // A password that is wrong does not become right by being tried again, and may get the user locked out.
            Remedy::AskUser if self.rules.way != Way::User => None,
            Remedy::AskUser => Some(policy::retry_wait(failures.max(1), None, chance)),
            Remedy::TryAgain { after } => Some(policy::retry_wait(failures, after, chance)),
            Remedy::Reconfigure => Some(policy::reconfigure_wait(chance)),
        };
        let by_itself = self.rules.offer || self.rules.way != Way::User;
        let retry = wait.filter(|_| by_itself).map(|wait| Due::within(wait, now));
        out.push(Action::Note(Note::SignInFailed(fault.clone())));
        let refused = Refused::Failed(fault.clone());
        let trouble = Some(Trouble { fault, since: now.wall, retry });
        if let SignIn::Waiting(waiting) = std::mem::replace(&mut self.sign_in, SignIn::Idle { trouble, failures }) {
            out.extend(waiting.tickets.into_iter().map(|ticket| Action::Reply(ticket, Err(refused.clone()))));
            self.disk.change();
        }
    }
}

impl SignIn {
    /// What belongs to the request `id`, if that begins a sign-in: when it was made, how many have failed with it if
    /// it fails, and who waits.
    fn begun(&mut self, id: RequestId) -> Option<(Now, u32, Vec<Ticket>)> {
        match self {
            Self::Asking { id: awaited, asked, failures, waiting } if *awaited == id => {
                Some((*asked, failures.saturating_add(1), std::mem::take(waiting)))
            }
            _ => None,
        }
    }

    /// When the request `id` was made, if it is about what waits for the user.
    fn asked_on(&self, id: RequestId) -> Option<Now> {
        match self {
            Self::Waiting(Waiting { next: Next::Asking { id: awaited, asked }, .. }) if *awaited == id => Some(*asked),
            _ => None,
        }
    }
}

fn pending(authorization: Authorization, client: crate::record::ClientBinding, asked: Now) -> PendingSignIn {
    let (life, approval) = match authorization {
        Authorization::Device(device) => (
            device.expires_in,
            Approval::Device(DeviceCode {
                device_code: device.device_code,
                user_code: device.user_code,
                verification_uri: device.verification_uri,
                verification_uri_complete: device.verification_uri_complete,
                interval: device.interval,
            }),
        ),
        Authorization::Code(request) => (
            policy::REDIRECTION_WAIT,
            Approval::Redirect(CodeRequest {
                address: request.address,
                redirect_uri: request.redirect_uri,
                state: request.state,
                code_verifier: request.code_verifier,
                issuer: request.issuer,
            }),
        ),
    };
    PendingSignIn { client, expiry: Expiry::counted(asked, life), approval }
}
