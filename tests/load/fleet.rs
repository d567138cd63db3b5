//! All devices, and the order of everything that happens to them.

use std::collections::BTreeMap;

use fastrand::Rng;
use oauth2mqtt::testing::policy::Jitter;
use oauth2mqtt::testing::{
    Action, Event, Granted, ProviderAnswer, ProviderRequest, Revision, Rules, Session, Topic, User,
};

use crate::device::{Device, Millis};
use crate::provider::Provider;
use crate::report::Span;

/// How long devices take to start after the power has come back: they are not all of one kind.
const START: std::ops::Range<Millis> = 20_000..60_000;

/// How long after its start a device without a clock of its own has asked the network for the time.
const CLOCK_IS_SET: std::ops::Range<Millis> = 5_000..60_000;

/// How far behind such a device's clock is until then: it goes on from the time that was last written down.
const CLOCK_IS_BEHIND: std::ops::Range<i64> = 0..3_600;

/// What happens to a device.
enum Incident {
    SignsIn,
    Wakes,
    Answered(u64, Box<Event>),
    Stored(u64, Revision),
    LosesPower,
    Starts,
    /// From now on its clock is off by so many seconds.
    ClockSet(i64),
}

pub(crate) struct Fleet {
    pub(crate) provider: Provider,
    pub(crate) devices: Vec<Option<Device>>,
    incidents: BTreeMap<(Millis, u64), (usize, Incident)>,
    count: u64,
    rng: Rng,
    /// Every time that ended without a good token: when, and how long it was, in seconds.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// How often a flow was given a token that had lapsed already.
    pub(crate) lapsed_tokens_given: u64,
    /// How many had a refresh under way when the power went.
    pub(crate) cut_off: usize,
}

impl Fleet {
    pub(crate) fn new(count: usize, provider: Provider) -> Self {
        Self {
            provider,
            devices: (0..count).map(|_| None).collect(),
            incidents: BTreeMap::new(),
            count: 0,
            rng: Rng::with_seed(8),
            gaps: Vec::new(),
            lapsed_tokens_given: 0,
            cut_off: 0,
        }
    }

    /// Every device is signed in once, at some time within the first `seconds`.
    pub(crate) fn sign_in_over(&mut self, seconds: u64) {
        for device in 0..self.devices.len() {
            let at = self.rng.u64(0..seconds * 1_000);
            self.plan(at, device, Incident::SignsIn);
        }
    }

    /// All devices are switched on for the first time, in the same moment.
    pub(crate) fn switch_on(&mut self, at: u64, rules: impl Fn(usize) -> Rules) {
        for device in 0..self.devices.len() {
            self.devices[device] = Some(Device::never_signed_in(rules(device)));
            self.plan(at * 1_000, device, Incident::Starts);
        }
    }

    pub(crate) fn cut_power(&mut self, span: Span) {
        for device in 0..self.devices.len() {
            self.plan(span.from * 1_000, device, Incident::LosesPower);
            let start = span.to * 1_000 + self.rng.u64(START);
            // Half of them have a clock that runs without power.
            if device % 2 == 0 {
                self.plan(span.from * 1_000, device, Incident::ClockSet(0));
            } else {
                let behind = i64::try_from(span.to - span.from).unwrap() + self.rng.i64(CLOCK_IS_BEHIND);
                self.plan(span.from * 1_000 + 1, device, Incident::ClockSet(-behind));
                let set = start + self.rng.u64(CLOCK_IS_SET);
                self.plan(set, device, Incident::ClockSet(0));
            }
            self.plan(start, device, Incident::Starts);
        }
    }

    /// All clocks are set at the same moment, and are then off by `error` seconds.
    pub(crate) fn set_clocks(&mut self, at: u64, error: i64) {
        for device in 0..self.devices.len() {
            self.plan(at * 1_000, device, Incident::ClockSet(error));
        }
    }

    /// Lets everything happen that happens before the second `end`.
    pub(crate) fn run(&mut self, end: u64) {
        while let Some((&(at, count), _)) = self.incidents.first_key_value() {
            if at >= end * 1_000 {
                return;
            }
            let (device, incident) = self.incidents.remove(&(at, count)).unwrap();
            self.happens(at, device, incident);
        }
    }

    fn plan(&mut self, at: Millis, device: usize, incident: Incident) {
        self.count += 1;
        self.incidents.insert((at, self.count), (device, incident));
    }

    fn happens(&mut self, at: Millis, number: usize, incident: Incident) {
        let jitter = Jitter::new(self.rng.f64());
        if let Incident::SignsIn = incident {
            let answer = self.provider.sign_in(number, at / 1_000);
            self.devices[number] = Some(Device::signed_in(answer, at));
            return self.happens(at, number, Incident::Starts);
        }
        let device = self.devices[number].as_mut().unwrap();
        let event = match incident {
            Incident::Wakes if device.wakes_at == Some(at) => {
                device.wakes_at = None;
                Event::Woke
            }
            Incident::Answered(epoch, event) if epoch == device.epoch && device.session.is_some() => *event,
            Incident::Stored(epoch, revision) if epoch == device.epoch && device.session.is_some() => {
                Event::Stored(revision, Ok(()))
            }
            // Timers, answers and disks of a life that is over.
            Incident::SignsIn | Incident::Wakes | Incident::Answered(..) | Incident::Stored(..) => return,
            Incident::LosesPower => {
                self.cut_off += usize::from(device.session.as_ref().is_some_and(Session::is_busy));
                return device.lose_power();
            }
            Incident::Starts => {
                device.start(at, jitter);
                Event::PublishAll
            }
            Incident::ClockSet(error) => {
                device.clock_error = error;
                Event::ClockSet
            }
        };
        self.tell(at, number, event, jitter);
    }

    fn tell(&mut self, at: Millis, number: usize, event: Event, jitter: Jitter) {
        let device = self.devices[number].as_mut().unwrap();
        let epoch = device.epoch;
        for action in device.tell(event, at, jitter) {
            self.perform(at, number, epoch, action);
        }
        let device = self.devices[number].as_mut().unwrap();
        let wake = device.next_wake(at);
        if wake != device.wakes_at {
            device.wakes_at = wake;
            if let Some(wake) = wake {
                self.plan(wake, number, Incident::Wakes);
            }
        }
    }

    fn perform(&mut self, at: Millis, number: usize, epoch: u64, action: Action) {
        match action {
            Action::Ask(id, ProviderRequest::Refresh { refresh_token, .. }) => {
                let device = self.devices[number].as_mut().unwrap();
                let answer = self.provider.refresh(number, &refresh_token, at / 1_000);
                if answer.is_ok() {
                    device.refreshed.push(at / 1_000);
                }
                let event = Event::Answered(id, ProviderAnswer::Refresh(answer));
                let latency = self.rng.u64(50..350);
                self.plan(at + latency, number, Incident::Answered(epoch, Box::new(event)));
            }
            Action::Ask(id, question @ (ProviderRequest::Obtain | ProviderRequest::Authorize)) => {
                let event = match question {
                    ProviderRequest::Obtain => ProviderAnswer::Granted(Ok(Granted {
                        tokens: self.provider.obtain(number, at / 1_000),
                        user: User::NotAsked,
                    })),
                    _ => ProviderAnswer::Authorization(Ok(self.provider.authorize(at / 1_000))),
                };
                let latency = self.rng.u64(50..350);
                self.plan(at + latency, number, Incident::Answered(epoch, Box::new(Event::Answered(id, event))));
            }
            Action::Save(revision, record) => {
                self.devices[number].as_mut().unwrap().save(record);
                let sync = self.rng.u64(5..60);
                self.plan(at + sync, number, Incident::Stored(epoch, revision));
            }
            Action::Publish(Topic::Token) => self.token_published(at, number),
            _ => {}
        }
    }

    fn token_published(&mut self, at: Millis, number: usize) {
        let device = self.devices[number].as_mut().unwrap();
        let Some(ends) = device.given_token_ends(at) else { return };
        // A clock that is behind makes a lapsed token look good; nothing on the device knows better.
        self.lapsed_tokens_given += u64::from(ends * 1_000 <= at && device.clock_error >= 0);
        if let Some(seconds) = device.gap_closed(ends, at) {
            self.gaps.push((at / 1_000, seconds));
        }
    }
}
