//! The session under test, with a clock that only the test moves, and a store and a provider that do as it says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::*;
use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
use crate::domain::clock::{Confidence, UnixTime};
use crate::domain::expiry::{Beginning, Expiry};
use crate::domain::fault::FaultCode;
use crate::domain::secret::Secret;
use crate::domain::token::{PollAnswer, SignInEnd, TokenAnswer};

/// A session with a clock that only the test moves, and a store and a provider that do as the test says.
pub(super) struct Harness {
    pub(super) session: Session,
    pub(super) now: Now,
    /// What was asked of the provider and not yet answered.
    pub(super) asked: Vec<(RequestId, ProviderRequest)>,
    /// What was sent to the store and not yet acknowledged.
    pub(super) unsaved: Vec<Revision>,
    /// What is on disk.
    pub(super) disk: Record,
    pub(super) published: Vec<Topic>,
    pub(super) replies: Vec<(Ticket, Result<(), CommandError>)>,
    /// Whether the store acknowledges at once.
    pub(super) saves: bool,
}

pub(super) const START: Now =
    Now { boot: BootTime::new(Duration::from_secs(1_000)), wall: UnixTime::new(1_800_000_000) };

pub(super) fn client() -> ClientBinding {
    ClientBinding::new(Fingerprint::of("issuer=https://id.example client_id=c"))
}

pub(super) fn rules() -> Rules {
    Rules {
        acquisition: Acquisition::User,
        offer: false,
        scope: Some("openid email".to_owned()),
        tokens: BTreeMap::new(),
        allow: AllowList::default(),
        tells_user: false,
    }
}

/// A session that takes up what the store kept: of an expiry, only its Unix times.
pub(super) fn restored(record: Record, now: Now) -> Session {
    restored_under(rules(), record, now)
}

pub(super) fn restored_under(rules: Rules, mut record: Record, now: Now) -> Session {
    let reread = |expiry: &mut Expiry| {
        let from = Beginning { boot: None, ..expiry.from() };
        *expiry = Expiry::restored(from, expiry.life(), now, Confidence::Vouched);
    };
    record.signed_in.iter_mut().flat_map(|signed_in| &mut signed_in.tokens.expiry).for_each(reread);
    let further = record.signed_in.iter_mut().flat_map(|signed_in| signed_in.further.values_mut());
    further.filter_map(|token| token.expiry.as_mut()).for_each(reread);
    record.pending.iter_mut().map(|code| &mut code.expiry).for_each(reread);
    Session::restore(client(), rules, 1, StoredRecord::Record(record), now, Jitter::new(0.5))
}

pub(super) fn code() -> Authorization {
    let device = DeviceAuthorization {
        device_code: Secret::new("device-code".to_owned()),
        user_code: "ABCD-EFGH".to_owned(),
        verification_uri: "https://id.example/device".to_owned(),
        verification_uri_complete: None,
        interval: Duration::from_secs(5),
        poll_parameters: BTreeMap::new(),
    };
    Authorization { approval: Approval::Device(device), expires_in: Some(Duration::from_secs(600)) }
}

pub(super) fn tokens(access: &str, refresh: Option<&str>, life: u64) -> TokenAnswer {
    TokenAnswer {
        access_token: Secret::new(access.to_owned()),
        refresh_token: refresh.map(|token| Secret::new(token.to_owned())),
        expires_in: Some(Duration::from_secs(life)),
        sign_in_end: SignInEnd::NotSaid,
        scope: None,
        extra: BTreeMap::new(),
    }
}

pub(super) fn granted(tokens: TokenAnswer) -> Granted {
    Granted { tokens, user: User::NotAsked }
}

pub(super) fn approved(access: &str, refresh: Option<&str>, life: u64) -> ProviderAnswer {
    ProviderAnswer::Poll(Ok(PollAnswer::Granted(granted(tokens(access, refresh, life)))))
}

pub(super) fn device_code() -> ProviderAnswer {
    ProviderAnswer::Authorization(Ok(code()))
}

pub(super) fn outage() -> Fault {
    Fault::passing(FaultCode::ProviderUnreachable, "No route.")
}

impl Harness {
    pub(super) fn new(session: Session, now: Now) -> Self {
        let mut harness = Self {
            session,
            now,
            asked: Vec::new(),
            unsaved: Vec::new(),
            disk: Record::default(),
            published: Vec::new(),
            replies: Vec::new(),
            saves: true,
        };
        harness.tell(Event::PublishAll);
        harness
    }

    pub(super) fn signed_out() -> Self {
        Self::new(restored(Record::default(), START), START)
    }

    pub(super) fn waiting_for_user() -> Self {
        let mut harness = Self::signed_out();
        harness.tell(Event::Command(Command::Login, Ticket(1)));
        harness.answer(device_code());
        harness
    }

    pub(super) fn signed_in(life: u64) -> Self {
        let mut harness = Self::waiting_for_user();
        harness.pass(5);
        harness.answer(approved("a1", Some("r1"), life));
        harness.replies.clear();
        harness.published.clear();
        harness
    }

    pub(super) fn tell(&mut self, event: Event) {
        for action in self.session.handle(event, self.now, Jitter::new(0.5)) {
            match action {
                Action::Ask(id, question) => self.asked.push((id, question)),
                Action::Save(revision, record) => {
                    self.disk = record;
                    self.unsaved.push(revision);
                }
                Action::Erase(revision) => {
                    self.disk = Record::default();
                    self.unsaved.push(revision);
                }
                Action::Publish(topic) => self.published.push(topic),
                Action::Reply(ticket, result) => self.replies.push((ticket, result)),
                Action::Log(_) => {}
            }
        }
        if self.saves {
            self.saved();
        }
    }

    pub(super) fn saved(&mut self) {
        for revision in std::mem::take(&mut self.unsaved) {
            self.tell(Event::Stored(revision, Ok(())));
        }
    }

    pub(super) fn answer(&mut self, answer: ProviderAnswer) {
        let (id, _) = self.asked.remove(0);
        self.tell(Event::Answered(id, answer));
    }

    /// Lets `seconds` pass, waking the session whenever it asked for it.
    pub(super) fn pass(&mut self, seconds: u64) {
        let until = self.now.boot + Duration::from_secs(seconds);
        let mut wakes = 0;
        while let Some(at) = self.session.next_wake().filter(|at| *at <= until) {
            let step = at.after(self.now.boot);
            self.now = Now { boot: self.now.boot + step, wall: self.now.wall_at(self.now.boot + step) };
            let before = self.session.next_wake();
            self.tell(Event::Woke);
            assert_ne!((self.session.next_wake(), step), (before, Duration::ZERO), "a busy loop");
            wakes += 1;
            assert!(wakes < 10_000, "too many wake-ups");
        }
        let rest = until.after(self.now.boot);
        self.now = Now { boot: until, wall: self.now.wall_at(self.now.boot + rest) };
        self.tell(Event::Woke);
    }

    pub(super) fn status(&self) -> StatusView {
        self.session.status(self.now)
    }

    pub(super) fn state(&self) -> SessionState {
        self.status().state
    }

    pub(super) fn error(&self) -> Option<FaultCode> {
        self.status().error.map(|error| error.code)
    }

    pub(super) fn token(&self) -> Option<String> {
        self.session.token(self.now).map(|token| token.access_token.expose().to_owned())
    }

    pub(super) fn refresh_token_on_disk(&self) -> Option<String> {
        self.disk.signed_in.as_ref()?.tokens.refresh_token.as_ref().map(|token| token.expose().to_owned())
    }

    pub(super) fn refreshes_with(&self) -> Option<String> {
        match &self.asked.first()?.1 {
            ProviderRequest::Refresh { refresh_token, .. } => Some(refresh_token.expose().to_owned()),
            _ => None,
        }
    }
}
