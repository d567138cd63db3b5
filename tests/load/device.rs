//! One device: a real session, a disk that survives the power, and a clock that may be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use oauth2mqtt::testing::clock::{BootTime, Confidence, Now, UnixTime};
use oauth2mqtt::testing::policy::Jitter;
use oauth2mqtt::testing::{
    Acquisition, Action, AllowList, Beginning, ClientBinding, Event, Expiry, Fingerprint, Record, Rules, Secret,
    Session, SignedIn, StoredRecord, TokenAnswer, Tokens,
};

/// The Unix time at which the simulation begins.
const BEGINNING: i64 = 1_800_000_000;

/// Simulated time: milliseconds since the beginning.
pub(crate) type Millis = u64;

pub(crate) struct Device {
    rules: Rules,
    /// `None` while there is no power.
    pub(crate) session: Option<Session>,
    /// When the power came.
    started: Millis,
    /// How far its clock is off, in seconds.
    pub(crate) clock_error: i64,
    /// Counts the starts: what was asked before a power cut is never answered.
    pub(crate) epoch: u64,
    disk: Record,
    /// When it is woken next.
    pub(crate) wakes_at: Option<Millis>,
    /// When the token ends that its flow was last given, in seconds, by the provider's clock.
    token_ends: u64,
    /// The seconds in which it was given new tokens.
    pub(crate) refreshed: Vec<u64>,
}

impl Device {
    /// A device as it is delivered.
    pub(crate) fn never_signed_in(rules: Rules) -> Self {
        Self {
            rules,
            session: None,
            started: 0,
            clock_error: 0,
            epoch: 0,
            disk: Record::default(),
            wakes_at: None,
            token_ends: 0,
            refreshed: Vec::new(),
        }
    }

    /// A device that has just signed in.
    pub(crate) fn signed_in(answer: TokenAnswer, at: Millis) -> Self {
        let life = answer.expires_in.unwrap();
        let mut device = Self::never_signed_in(rules(Acquisition::User, false));
        device.token_ends = end_of(&answer.access_token);
        let now = device.now(at);
        device.disk.signed_in = Some(SignedIn {
            client: client(),
            tokens: Tokens {
                access_token: answer.access_token,
                refresh_token: answer.refresh_token,
                expiry: Some(Expiry::counted(now, life)),
                sign_in_end: None,
                scope: None,
                extra: answer.extra,
            },
            further: BTreeMap::new(),
            since: now.wall,
            last_refresh: None,
            refused: None,
            refreshing_since: None,
            user: None,
            user_changed_at: None,
        });
        device
    }

    pub(crate) fn start(&mut self, at: Millis, jitter: Jitter) {
        self.started = at;
        self.epoch += 1;
        let now = self.now(at);
        let mut record = self.disk.clone();
        // Of an expiry, the disk has only its Unix times.
        let reread = |expiry: &mut Expiry| {
            let from = Beginning { boot: None, ..expiry.from() };
            *expiry = Expiry::restored(from, expiry.life(), now, Confidence::Vouched);
        };
        record.signed_in.iter_mut().flat_map(|signed_in| &mut signed_in.tokens.expiry).for_each(reread);
        self.session =
            Some(Session::restore(client(), self.rules.clone(), self.epoch, StoredRecord::Record(record), now, jitter));
    }

    pub(crate) fn lose_power(&mut self) {
        self.session = None;
        self.wakes_at = None;
    }

    /// Tells the session, and returns what it wants done. What it saves is on disk from then on.
    pub(crate) fn tell(&mut self, event: Event, at: Millis, jitter: Jitter) -> Vec<Action> {
        let now = self.now(at);
        let Some(session) = &mut self.session else { return Vec::new() };
        session.handle(event, now, jitter)
    }

    pub(crate) fn save(&mut self, record: Record) {
        self.disk = record;
    }

    /// The moment at which the session next has something to do.
    pub(crate) fn next_wake(&self, at: Millis) -> Option<Millis> {
        let due = self.session.as_ref()?.next_wake()?.after(self.now(at).boot);
        // Timers ring late rather than early.
        Some(at + u64::try_from(due.as_nanos().div_ceil(1_000_000)).unwrap())
    }

    /// The end of the token that a flow is given now, in seconds.
    pub(crate) fn given_token_ends(&self, at: Millis) -> Option<u64> {
        let token = self.session.as_ref()?.token(self.now(at))?.access_token;
        Some(end_of(&token))
    }

    /// Takes note of the token that a flow is given, and says how long it had none that was good, in seconds.
    pub(crate) fn gap_closed(&mut self, ends: u64, at: Millis) -> Option<u64> {
        let former = std::mem::replace(&mut self.token_ends, ends);
        (at / 1_000).checked_sub(former).filter(|_| ends != former)
    }

    /// Whether it has tokens, or a code to show.
    pub(crate) fn has_been_answered(&self) -> bool {
        self.disk.signed_in.is_some() || self.disk.pending.is_some()
    }

    pub(crate) fn is_signed_in(&self) -> bool {
        self.disk.signed_in.as_ref().is_some_and(|signed_in| signed_in.refused.is_none())
    }

    fn now(&self, at: Millis) -> Now {
        let seconds = i64::try_from(at / 1_000).unwrap();
        Now {
            boot: BootTime::new(Duration::from_millis(at - self.started)),
            wall: UnixTime::new(BEGINNING + seconds + self.clock_error),
        }
    }
}

fn end_of(access_token: &Secret) -> u64 {
    access_token.expose().parse().unwrap()
}

fn client() -> ClientBinding {
    ClientBinding::new(Fingerprint::of(""))
}

pub(crate) fn rules(acquisition: Acquisition, offer: bool) -> Rules {
    Rules { acquisition, offer, scope: None, tokens: BTreeMap::new(), allow: AllowList::default(), tells_user: false }
}
