//! The gate: signs people in, ends their sessions, and tells what happened.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::accounts::Clients;
use super::event::{GateAnswer, LoopEvent, ReturningBrowser};
use super::requests::ReplyTo;
use super::{Agent, SharedProvider};
use crate::broker::Publication;
use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
use crate::domain::clock::BootTime;
use crate::domain::fault::{Fault, Remedy};
use crate::domain::gate::sessions::{EndedSession, GateSession, SessionEnd};
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::sign_ins::{Collected, WaitingSignIns, WaitingState};
use crate::domain::gate::way_back::WayBack;
use crate::domain::gate::{CookieDigest, Way};
use crate::domain::identity::Identity;
use crate::domain::policy;
use crate::domain::profile::Profile;
use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;
use crate::domain::settings::AccountSettings;
use crate::domain::token::{Granted, PollAnswer, User};
use crate::page::gate::{
    self, Admitted, BegunSignIn, GateCall, GateServer, GateState, NotAdmitted, PhoneAnswer, PhoneCode, SharedGate,
};
use crate::platform::clock;
use crate::wire::{ErrorCode, GateEventMessage, GateMessage, GateSessionMessage, Payload, RequestError, Transaction};

/// The text of a request that signs everybody out.
const EVERYBODY: &str = "*";

/// The gate, as far as the loop needs it.
#[derive(Default)]
pub(super) struct Gate {
    shared: SharedGate,
    server: Option<GateServer>,
    browser: Option<GateClient>,
    phone: Option<GateClient>,
    waiting: WaitingSignIns,
}

/// A client at the provider that says who comes.
struct GateClient {
    provider: SharedProvider,
    /// The same, where the provider has to ask who it is whoever is signed in there (OpenID Connect Core 3.1.2.1).
    asking_again: SharedProvider,
}

impl Agent {
    /// Opens the gate, if it is wanted, with the sessions of before. Without it everything else still works.
    pub(super) fn open_gate(&mut self, stored: Vec<(CookieDigest, GateSession)>) {
        let settings = self.settings.gate.clone();
        {
            let mut state = self.gate.shared.lock();
            for (cookie, session) in stored {
                // Only as many were written as there may be.
                state.sessions.insert(cookie, session);
            }
        }
        self.use_gate_settings(settings);
    }

    /// Takes up other settings. The sessions that they do not allow end at once.
    pub(super) fn use_gate_settings(&mut self, settings: Option<GateSettings>) {
        let former = self.gate.shared.lock().settings.clone();
        let settings = settings.map(|settings| match &former {
            Some(former) => settings.at_the_place_of(former),
            None => settings,
        });
        if settings.as_ref() == former.as_deref() && self.gate.server.is_some() == settings.is_some() {
            return self.end_gate_sessions();
        }
        let client = |clients: &mut Clients, settings: &GateSettings, way: Way| {
            let client = settings.client(way)?;
            GateClient::new(clients, client)
                .inspect_err(|error| {
                    tracing::error!(way = way.name(), error, "nobody can sign in at the gate by this way");
                })
                .ok()
        };
        let clients = &mut self.clients;
        self.gate.browser = settings.as_ref().and_then(|settings| client(clients, settings, Way::Browser));
        self.gate.phone = settings.as_ref().and_then(|settings| client(clients, settings, Way::Phone));
        self.gate.waiting.give_up(Way::Browser);
        self.gate.waiting.give_up(Way::Phone);
        self.gate.server = match (self.gate.server.take(), &settings) {
            (_, None) => None,
            (Some(server), Some(_)) => Some(server),
            (None, Some(settings)) => self.serve_gate(settings),
        };
        self.gate.shared.lock().settings = settings.map(Arc::new);
        self.end_gate_sessions();
    }

    fn serve_gate(&self, settings: &GateSettings) -> Option<GateServer> {
        let GateSettings { listen, address, .. } = settings;
        match self.redirects.inherited.listen(*listen) {
            Ok(listener) => {
                tracing::info!(%listen, address, "the gate is open for the people whom it admits");
                Some(gate::serve(listener, self.gate.shared.clone(), self.events.clone()))
            }
            Err(error) => {
                tracing::error!(%error, %listen, "the gate cannot listen, so nobody comes in; going on without it");
                None
            }
        }
    }

    /// Ends the sessions that are over or not allowed.
    pub(super) fn end_gate_sessions(&mut self) {
        let now = clock::now();
        let ended = {
            let GateState { settings, sessions } = &mut *self.gate.shared.lock();
            match settings {
                Some(settings) => {
                    let mut ended = sessions.end_what_is_over(settings.idle, now);
                    ended.extend(sessions.end_what_is_not_allowed(settings));
                    ended
                }
                None => sessions.sign_out(None),
            }
        };
        self.gate_sessions_ended(ended, None);
    }

    /// Accounts for a clock that was set.
    pub(super) fn set_clock_of_gate(&mut self) {
        self.gate.shared.lock().sessions.clock_was_set(clock::now());
        self.end_gate_sessions();
    }

    /// When the next session ends, if nothing happens.
    pub(super) fn next_end_at_gate(&self) -> Option<BootTime> {
        let state = self.gate.shared.lock();
        state.sessions.next_end(state.settings.as_ref()?.idle, clock::now().boot)
    }

    /// Carries out what somebody at the gate wants.
    pub(super) fn gate_called(&mut self, call: GateCall) {
        // Whoever has closed the page meanwhile needs no answer.
        match call {
            GateCall::Begin { way, again, former, from, back, answer } => {
                if let Some(former) = former {
                    self.gate.waiting.forget(former);
                }
                self.begin_at_gate(way, again, from, back, answer);
            }
            GateCall::Return { browser, query, from, former, answer } => {
                self.returned_to_gate(browser, &query, ReturningBrowser { from, former }, answer);
            }
            GateCall::Collect { browser, from, former, answer } => {
                drop(answer.send(self.collect_at_gate(browser, ReturningBrowser { from, former })));
            }
            GateCall::Waits { browser, answer } => {
                let waits = self.gate.waiting.waits_for_phone(browser, clock::now().boot);
                let _ = answer.send(waits);
            }
            GateCall::SignOut { cookie, from, answer } => {
                let ended = self.gate.shared.lock().sessions.end(cookie, SessionEnd::SignedOut);
                self.gate_sessions_ended(ended, Some(from));
                let _ = answer.send(());
            }
        }
    }

    fn begin_at_gate(
        &mut self,
        way: Way,
        again: bool,
        from: IpAddr,
        back: WayBack,
        answer: oneshot::Sender<Result<BegunSignIn, String>>,
    ) {
        let client = match way {
            Way::Browser => &self.gate.browser,
            Way::Phone => &self.gate.phone,
        };
        let Some(client) = client else {
            drop(answer.send(Err("This way to sign in is not open. Choose another.".to_owned())));
            return;
        };
        let provider = Arc::clone(if again { &client.asking_again } else { &client.provider });
        let events = self.events.clone();
        tokio::spawn(async move {
            let _turn = provider.turn().await;
            let result = provider.authorize().await;
            let begun = GateAnswer::Begun { way, from, back, result, answer };
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::GateAnswered(begun)).await;
        });
    }

    fn returned_to_gate(
        &mut self,
        browser: CookieDigest,
        query: &Secret,
        arrival: ReturningBrowser,
        answer: oneshot::Sender<Result<Admitted, NotAdmitted>>,
    ) {
        let now = clock::now().boot;
        let redirection = Redirection::read(query.expose()).ok();
        let taken = redirection.and_then(|it| self.gate.waiting.take_redirection(browser, it, now));
        let client = self.gate.browser.as_ref().map(|client| Arc::clone(&client.provider));
        let Some(((request, outcome, back), provider)) = taken.zip(client) else {
            // Without a reason: the sign-in is of another browser, or too old.
            let unknown = NotAdmitted { why: String::new(), back: WayBack::read("/") };
            drop(answer.send(Err(unknown)));
            return;
        };
        let code = match outcome {
            Ok(code) => code,
            Err(denial) => {
                let why = self.refuse_at_gate(&denial.fault(), Way::Browser, Some(arrival.from));
                drop(answer.send(Err(NotAdmitted { why, back })));
                return;
            }
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let _turn = provider.turn().await;
            let result = provider.exchange(&code, &request.code_verifier).await;
            let exchanged = GateAnswer::Exchanged { arrival, back, result, answer };
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::GateAnswered(exchanged)).await;
        });
    }

    fn collect_at_gate(&mut self, browser: CookieDigest, arrival: ReturningBrowser) -> Option<PhoneAnswer> {
        Some(match self.gate.waiting.collect(browser, clock::now().boot)? {
            Collected::Waits(device, left) => PhoneAnswer::Waits(PhoneCode {
                user_code: device.user_code,
                address: device.verification_uri,
                whole_address: device.verification_uri_complete,
                left,
            }),
            Collected::Answered(Ok(identity), back) => {
                PhoneAnswer::Over(self.admit_to_gate(*identity, Way::Phone, arrival, back))
            }
            Collected::Answered(Err(why), back) => PhoneAnswer::Over(Err(NotAdmitted { why, back })),
        })
    }

    /// Takes a provider's answer.
    pub(super) fn gate_answered(&mut self, answer: GateAnswer) {
        match answer {
            GateAnswer::Begun { way, from, back, result, answer } => {
                let begun = result.map_err(|fault| fault_for_visitor(&fault, way)).and_then(|authorization| {
                    self.authorized_at_gate(authorization, from, back)
                        .ok_or_else(|| "This device has no randomness.".to_owned())
                });
                // Whoever has closed the page meanwhile needs no answer.
                drop(answer.send(begun));
            }
            GateAnswer::Exchanged { arrival, back, result, answer } => {
                let who = result.map_err(|fault| self.refuse_at_gate(&fault, Way::Browser, Some(arrival.from)));
                let admitted = match who.and_then(|granted| self.person(granted, Way::Browser, Some(arrival.from))) {
                    Ok(identity) => self.admit_to_gate(identity, Way::Browser, arrival, back),
                    Err(why) => Err(NotAdmitted { why, back }),
                };
                drop(answer.send(admitted));
            }
            GateAnswer::Polled { browser, device, result } => self.polled_at_gate(browser, device, result),
        }
    }

    /// Keeps a sign-in that waits for approval.
    fn authorized_at_gate(&mut self, authorization: Authorization, from: IpAddr, back: WayBack) -> Option<BegunSignIn> {
        let browser = random::<32>()?;
        let digest = CookieDigest::of(browser.expose().as_bytes());
        let Authorization { approval, expires_in } = authorization;
        let provider = match &approval {
            Approval::Redirect(request) => Some(request.address.clone()),
            Approval::Device(device) => {
                self.poll_for_gate(digest, Box::new(device.clone()), device.interval);
                None
            }
        };
        let state = match approval {
            Approval::Redirect(request) => WaitingState::Browser(request),
            Approval::Device(device) => WaitingState::Phone(device),
        };
        self.gate.waiting.insert((digest, from), state, back, expires_in, clock::now().boot);
        Some(BegunSignIn { browser, provider })
    }

    /// Asks after a pause whether somebody has approved on a phone.
    fn poll_for_gate(&self, browser: CookieDigest, device: Box<DeviceAuthorization>, pause: Duration) {
        let Some(client) = &self.gate.phone else { return };
        let (provider, events) = (Arc::clone(&client.provider), self.events.clone());
        tokio::spawn(async move {
            sleep(pause).await;
            let _turn = provider.turn().await;
            let result = provider.poll(&device.device_code, &device.poll_parameters).await;
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::GateAnswered(GateAnswer::Polled { browser, device, result })).await;
        });
    }

    fn polled_at_gate(
        &mut self,
        browser: CookieDigest,
        mut device: Box<DeviceAuthorization>,
        result: Result<PollAnswer, Fault>,
    ) {
        let now = clock::now().boot;
        if !self.gate.waiting.waits_for_phone(browser, now) {
            return;
        }
        let outcome = match result {
            Ok(PollAnswer::Granted(granted)) => self.person(granted, Way::Phone, None),
            Ok(PollAnswer::Pending) => {
                let pause = device.interval;
                return self.poll_for_gate(browser, device, pause);
            }
            Ok(PollAnswer::SlowDown { interval }) => {
                device.interval = policy::slowed(device.interval, interval);
                let pause = device.interval;
                return self.poll_for_gate(browser, device, pause);
            }
            Err(Fault { remedy: Remedy::TryAgain { after }, .. }) => {
                let pause = (device.interval * 2).max(after.unwrap_or_default());
                return self.poll_for_gate(browser, device, pause);
            }
            Err(fault) => Err(self.refuse_at_gate(&fault, Way::Phone, None)),
        };
        self.gate.waiting.phone_answered(browser, outcome, now);
    }

    /// The person who approved, if they may come in. Their tokens were only to tell who it is, and are forgotten here. They are not
    /// revoked: at some providers that would end every other sign-in of the person with this client.
    fn person(&mut self, granted: Granted, way: Way, from: Option<IpAddr>) -> Result<Identity, String> {
        let identity = match granted.user {
            User::Known(identity) => identity,
            User::Unknown(fault) => return Err(self.refuse_at_gate(&fault, way, from)),
            User::NotAsked => return Err("The provider does not say who you are.".to_owned()),
        };
        let is_allowed = |settings: &Arc<GateSettings>| settings.allow.admits(&identity);
        if self.gate.shared.lock().settings.as_ref().is_some_and(is_allowed) {
            return Ok(identity);
        }
        let user = identity.user().to_owned();
        tracing::warn!(user, way = way.name(), "somebody who is not admitted wanted to pass the gate");
        self.tell_of_gate("refused", Some(&user), Some(way), from, Some("not_allowed"));
        Err(format!("{user} may not see this page. Ask the person who set it up, or sign in as somebody else."))
    }

    /// Begins a session of a person who may come in.
    fn admit_to_gate(
        &mut self,
        identity: Identity,
        way: Way,
        ReturningBrowser { from, former }: ReturningBrowser,
        back: WayBack,
    ) -> Result<Admitted, NotAdmitted> {
        let settings = self.gate.shared.lock().settings.clone();
        let Some(((cookie, reference), settings)) = random::<32>().zip(random::<16>()).zip(settings) else {
            return Err(NotAdmitted { why: "The gate is closed.".to_owned(), back });
        };
        let now = clock::now();
        let claims = identity.claims.clone();
        let session = GateSession::new(reference.expose().into(), identity, way, &settings, now);
        let digest = CookieDigest::of(cookie.expose().as_bytes());
        let user = session.identity.user().to_owned();
        if session.has_less_than(&claims) {
            tracing::info!(
                user,
                "not all groups of this person are kept: of the claims, those that allow names come first"
            );
        }
        self.store.save_gate_session(digest, session.clone());
        let ended = {
            let sessions = &mut self.gate.shared.lock().sessions;
            let replaced = former.and_then(|former| sessions.end(former, SessionEnd::Replaced));
            replaced.into_iter().chain(sessions.insert(digest, session)).collect::<Vec<_>>()
        };
        tracing::info!(user, way = way.name(), %from, "passed the gate");
        self.tell_of_gate("signed_in", Some(&user), Some(way), Some(from), None);
        self.gate_sessions_ended(ended, None);
        Ok(Admitted { cookie, back })
    }

    /// Tells of a sign-in that failed, and returns the sentence for whoever tried.
    fn refuse_at_gate(&mut self, fault: &Fault, way: Way, from: Option<IpAddr>) -> String {
        self.tell_of_gate("refused", None, Some(way), from, Some(fault.code.name()));
        fault_for_visitor(fault, way)
    }

    fn gate_sessions_ended(&mut self, ended: impl IntoIterator<Item = EndedSession>, from: Option<IpAddr>) {
        for EndedSession { cookie, session, why } in ended {
            self.store.erase_gate_session(cookie);
            let (event, reason) = match why {
                SessionEnd::SignedOut => ("signed_out", None),
                SessionEnd::Expired => ("expired", None),
                SessionEnd::Idle => ("expired", Some("idle")),
                SessionEnd::NotAllowed => ("signed_out", Some("not_allowed")),
                SessionEnd::Replaced => ("signed_out", Some("signed_in_again")),
                SessionEnd::Displaced => ("signed_out", Some("too_many_sessions")),
            };
            let user = session.identity.user();
            tracing::info!(user, event, reason, "a session at the gate has ended");
            self.tell_of_gate(event, Some(user), Some(session.way), from, reason);
        }
    }

    /// Publishes what happened. It is not retained, since it is about people.
    fn tell_of_gate(
        &mut self,
        event: &str,
        user: Option<&str>,
        way: Option<Way>,
        from: Option<IpAddr>,
        reason: Option<&str>,
    ) {
        let message = GateEventMessage {
            user: user.map(str::to_owned),
            way: way.map(|way| way.name().to_owned()),
            from,
            reason: reason.map(str::to_owned),
            ..GateEventMessage::new(event, clock::now().wall)
        };
        let payload = Payload::json(&message);
        let topic = self.topics.gate();
        let publication = Publication { topic, payload, retain: false, good_until: None, correlation: None };
        // Where too much waits for the broker, the journal has it.
        let _ = self.link.respond(publication);
    }

    /// Tells who is signed in at the gate, after somebody was signed out if the request says so.
    pub(super) fn respond_gate(
        &mut self,
        sign_out: Option<&str>,
        transaction: &Transaction,
        reply_to: &ReplyTo,
    ) -> Result<(), RequestError> {
        if self.gate.shared.lock().settings.is_none() {
            let error = "This device has no gate: its configuration has no [gate].";
            return Err(RequestError::new(ErrorCode::GateDisabled, error));
        }
        let user = sign_out.filter(|user| *user != EVERYBODY);
        let ended = sign_out.map(|_| self.gate.shared.lock().sessions.sign_out(user)).unwrap_or_default();
        let signed_out = ended.len();
        self.gate_sessions_ended(ended, None);
        let mut sessions: Vec<_> = self.gate.shared.lock().sessions.all().map(GateSessionMessage::from).collect();
        sessions.sort_by(|one, other| one.user.cmp(&other.user).then(one.expires_at.cmp(&other.expires_at)));
        self.respond(reply_to, Ok(GateMessage { signed_out, sessions }), transaction);
        Ok(())
    }
}

impl GateClient {
    fn new(clients: &mut Clients, settings: &AccountSettings) -> Result<Self, String> {
        let (_, provider) = clients.provider(settings.clone())?;
        let profile = Profile::clone(&settings.profile).asking_who_it_is();
        let asking_again = AccountSettings { profile: Arc::new(profile), ..settings.clone() };
        let (_, asking_again) = clients.provider(asking_again)?;
        Ok(Self { provider, asking_again })
    }
}

/// A fault in words for whoever stands before the gate. What only an administrator can use is in the journal.
fn fault_for_visitor(fault: &Fault, way: Way) -> String {
    tracing::warn!(%fault, way = way.name(), "a sign-in at the gate failed");
    match fault.remedy {
        Remedy::AskUser => format!("{} Try again.", fault.message),
        Remedy::TryAgain { .. } => "The provider cannot be reached now. Try again in a minute.".to_owned(),
        Remedy::Reconfigure => {
            "The gate is not set up right for this provider. Its administrator finds the reason in the journal."
                .to_owned()
        }
    }
}

/// A random text of so many bytes, in Base64url (RFC 4648 5); `None` if the kernel has no randomness.
fn random<const BYTES: usize>() -> Option<Secret> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}
