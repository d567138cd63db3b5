//! The daemon: feeds every wake-up to the sessions as an event, and carries out what they want done.
//!
//! One loop, one channel. The broker, the providers, the store and the signals all write to it; nothing else waits.

mod accounts;
mod connection;
mod declarations;
mod event;
mod gate;
mod gate_sign_in;
mod opening;
mod page;
mod perform;
mod redirects;
mod refusals;
mod reload;
mod request_limits;
mod requests;
mod signals;
mod status;
mod stop;
mod summary;
mod tickets;
mod token_requests;
mod withdrawals;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::broker::{self, BrokerError, Connector, Link, Will};
use crate::config::Environment;
use crate::domain::account::AccountName;
use crate::domain::clock::{BootTime, Now};
use crate::domain::policy::{self, Jitter};
use crate::domain::rate_limit::Throttle;
use crate::domain::record::StoredRecord;
use crate::domain::session::{Event as SessionEvent, Revision};
use crate::domain::settings::Settings;
use crate::page::Page;
use crate::platform::clock;
use crate::platform::systemd::ServiceManager;
use crate::platform::timer::{Alarm, ClockWatch};
use crate::store::{self, Ack, OpenError, Opened, RecordKey, Store};
use crate::wire::{self, Topics};
use accounts::{Account, Clients};
use declarations::Declarations;
use event::LoopEvent;
use gate::Gate;
use redirects::Redirects;
use refusals::Refusals;
use request_limits::{Complaints, RequestLimits};
use requests::PendingRequest;
use signals::Signals;
use tickets::Tickets;

/// The largest packet that a request may be, in bytes.
const LARGEST_REQUEST: u32 = 16 * 1024;

/// The number of events that may wait for the loop.
const EVENTS: usize = 64;

/// Why the daemon could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The store is not to be had.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The settings for the broker or for an account's TLS cannot be used.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The certificate files of an account cannot be used.
    #[error("account {0}: {1}")]
    Account(AccountName, String),
    /// The kernel refuses a timer or a signal.
    #[error("the system refused a timer or a signal: {0}.")]
    System(#[from] io::Error),
}

/// Where the configuration came from, for reading it again.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The file.
    pub path: PathBuf,
    /// The environment that the service manager set.
    pub environment: Environment,
}

/// Runs until a signal ends it.
///
/// # Errors
/// When it cannot start: the store is not to be had, or the settings cannot be used.
pub(crate) async fn run(settings: Settings, origin: Origin) -> Result<(), RunError> {
    let (events, mut wakeups) = mpsc::channel(EVENTS);
    let mut signals = Signals::new()?;
    let mut alarm = Alarm::new()?;
    let clock_watch = ClockWatch::new()?;
    let mut manager = ServiceManager::from_process();
    // First of all, so that no other process inherits the sockets on which codes arrive.
    let redirects = Redirects::from_process();
    let Some(opened) = opening::open_store(&settings.store, &events, &mut signals, &mut manager).await? else {
        return Ok(());
    };
    let mut agent = Agent::start(settings, origin, opened, redirects, events)?;
    manager.ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), accounts = agent.accounts.len(), "started");
    loop {
        alarm.set(agent.next_wake())?;
        // One line for everything that happens at the same moment: it takes a look at every account.
        let nothing_waits = wakeups.is_empty() && agent.to_announce.is_empty();
        if agent.summary_is_old && nothing_waits && manager.is_there() {
            agent.summary_is_old = false;
            manager.status(&agent.summary());
        }
        let event = tokio::select! {
            Some(event) = wakeups.recv() => event,
            rang = alarm.rings() => rang.map(|()| LoopEvent::AlarmRang)?,
            set = clock_watch.clock_is_set() => set.map(|()| LoopEvent::ClockSet)?,
            event = signals.next() => event,
            () = agent.may_announce() => LoopEvent::MayAnnounce,
            () = manager.watchdog() => continue,
        };
        match event {
            LoopEvent::Stop => break,
            LoopEvent::Reload => {
                manager.reloading(clock::now().boot);
                agent.take(event);
                manager.ready();
            }
            event => agent.take(event),
        }
    }
    manager.stopping();
    agent.stop(&mut wakeups).await;
    Ok(())
}

/// Everything that the loop holds.
struct Agent {
    settings: Settings,
    origin: Origin,
    /// Boxed, because a node of the tree reserves space for several values.
    accounts: BTreeMap<AccountName, Box<Account>>,
    /// The records of accounts that the configuration does not name now.
    spare: HashMap<AccountName, StoredRecord>,
    clients: Clients,
    store: Store,
    /// Why the next boot forgets the store, if it does.
    store_forgets: Option<String>,
    link: Link,
    /// The accounts that went while there was no connection to say so on.
    removed_while_offline: BTreeSet<AccountName>,
    /// The accounts that have not yet published their state on the present connection, and those that are gone. One after
    /// the other, as the link takes it: the messages of a thousand at once would be megabytes.
    to_announce: VecDeque<AccountName>,
    topics: Topics,
    tickets: Tickets<PendingRequest>,
    redirects: Redirects,
    declarations: Declarations,
    page: Option<Page>,
    gate: Gate,
    events: mpsc::Sender<LoopEvent>,
    started: Now,
    last_seen: Now,
    epochs: u64,
    broker_is_there: bool,
    /// True if there is a broker as far as the journal goes, which is told of a change and not of every attempt.
    journal_has_broker: Option<bool>,
    losses: Throttle,
    refusals: Refusals,
    complaints: Complaints,
    limits: RequestLimits,
    /// True if the service manager has to be told anew how things stand.
    summary_is_old: bool,
}

impl Agent {
    fn start(
        mut settings: Settings,
        origin: Origin,
        opened: Opened,
        redirects: Redirects,
        events: mpsc::Sender<LoopEvent>,
    ) -> Result<Self, RunError> {
        let now = clock::now();
        let store_forgets = store::forgets(&settings.store.path);
        let clients = Clients::default();
        let topics = Topics::new(&settings.mqtt.base_topic, settings.mqtt.local_tokens);
        let will = Will { topic: topics.state(), payload: wire::state(false) };
        let connector =
            Connector::new(&settings.mqtt, &settings.mqtt.client_id, LARGEST_REQUEST, clients.tls())?.with_will(will);
        if let Some(set_aside) = &opened.set_aside {
            tracing::error!(
                reason = %set_aside.reason,
                kept = %set_aside.path.display(),
                "the store would not open; it was set aside, and an empty one took its place"
            );
        }
        for (account, loaded) in &opened.records {
            if let StoredRecord::Unreadable(fault) = loaded {
                tracing::error!(account = account.as_str(), %fault, "a stored sign-in stays closed; it is kept as it is");
            }
        }
        let spare = opened.records.into_iter().collect();
        let link = broker::connect(connector, topics.requests(), events.clone());
        let accounts = std::mem::take(&mut settings.accounts);
        let mut agent = Self {
            settings,
            origin,
            accounts: BTreeMap::new(),
            spare,
            clients,
            store: opened.store,
            store_forgets,
            link,
            removed_while_offline: BTreeSet::new(),
            to_announce: VecDeque::new(),
            topics,
            tickets: Tickets::default(),
            redirects,
            declarations: Declarations::from_store(opened.declarations),
            page: None,
            gate: Gate::default(),
            events,
            started: now,
            last_seen: now,
            epochs: 0,
            broker_is_there: false,
            journal_has_broker: None,
            losses: Throttle::new(policy::LOSSES_TOLD),
            refusals: Refusals::default(),
            complaints: Complaints::default(),
            limits: RequestLimits::default(),
            summary_is_old: true,
        };
        agent.page = agent.open_page(agent.settings.page.as_ref());
        agent.open_gate(opened.gate_sessions);
        for (name, account) in agent.with_declared(accounts) {
            agent.add(&name, account)?;
        }
        agent.spare.shrink_to_fit();
        agent.listen_for_browsers();
        Ok(agent)
    }

    fn take(&mut self, event: LoopEvent) {
        self.look_at_the_clock();
        match event {
            LoopEvent::Link(event) => self.link_event(event),
            LoopEvent::Answered(name, id, answer) => self.tell(&name, SessionEvent::Answered(id, answer)),
            LoopEvent::Stored(ack) => self.stored(ack),
            LoopEvent::Browser(arrival) => self.browser_arrived(arrival),
            LoopEvent::Pressed(press) => self.pressed(press),
            LoopEvent::GateCalled(call) => self.gate_called(call),
            LoopEvent::GateAnswered(answer) => self.gate_answered(answer),
            LoopEvent::AlarmRang => self.wake_sessions(),
            LoopEvent::MayAnnounce => self.announce_next(),
            // What there is to do was done by the look at the clock.
            LoopEvent::ClockSet | LoopEvent::Stop => {}
            // What is wrong with the configuration is in the journal.
            LoopEvent::Reload => drop(self.reload()),
        }
        self.apply_waiting_changes();
        self.listen_for_browsers();
    }

    /// The store has finished with a change.
    fn stored(&mut self, Ack { key, revision, result }: Ack) {
        match key {
            RecordKey::SignIn(name) => self.tell(&name, SessionEvent::Stored(Revision(revision), result)),
            RecordKey::Declaration(name) => self.declaration_stored(&name, revision, result),
            RecordKey::GateSession(cookie, change) => self.gate_session_stored(cookie, change, &result),
        }
    }

    /// Tells every session if the clock was set since the last look.
    fn look_at_the_clock(&mut self) {
        let now = clock::now();
        let step = now.step_since(self.last_seen);
        self.last_seen = now;
        if let Some(step) = step {
            tracing::warn!(by_seconds = step.as_secs(), "the clock was set");
            for name in self.names() {
                self.tell(&name, SessionEvent::ClockSet);
            }
            self.set_clock_of_gate();
        }
    }

    fn wake_sessions(&mut self) {
        let now = clock::now().boot;
        let due = |account: &Account| account.session.next_wake().is_some_and(|at| at <= now);
        let names: Vec<_> =
            self.accounts.iter().filter(|(_, account)| due(account)).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.tell(&name, SessionEvent::Woke);
        }
        self.end_gate_sessions();
    }

    fn next_wake(&self) -> Option<BootTime> {
        let accounts = self.accounts.values().filter_map(|account| account.session.next_wake());
        accounts.chain(self.next_end_at_gate()).min()
    }

    fn names(&self) -> Vec<AccountName> {
        self.accounts.keys().cloned().collect()
    }

    /// Tells one session of one event, and does what it wants done.
    fn tell(&mut self, name: &AccountName, event: SessionEvent) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        let actions = account.session.handle(event, clock::now(), Jitter::new(fastrand::f64()));
        for action in actions {
            self.perform(name, action);
        }
    }
}

/// The provider, shared with the task that asks it.
type SharedProvider = Arc<crate::provider::Provider>;
