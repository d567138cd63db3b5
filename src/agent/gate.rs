//! The gate: opens it, takes up its settings, ends sessions, and tells what happened.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::accounts::{Clients, Turns};
use super::event::GateClientId;
use super::requests::ReplyTo;
use super::{Agent, SharedProvider};
use crate::broker::Publication;
use crate::domain::clock::BootTime;
use crate::domain::fault::Fault;
use crate::domain::gate::sessions::{EndedSession, GateSession, SessionEnd};
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::{CookieDigest, Way};
use crate::domain::profile::Profile;
use crate::domain::rate_limit::{Complaint, Rate};
use crate::domain::record::Fingerprint;
use crate::domain::settings::AccountSettings;
use crate::page::gate::{self, GateServer, SharedGate};
use crate::platform::clock;
use crate::store::GateChange;
use crate::wire::{
    EVERYBODY, ErrorCode, GateEventMessage, GateMessage, GateSessionMessage, Payload, RequestError, Transaction,
};

/// The rate at which the journal is told of sign-ins that fail: anybody can bring that about.
const FAILURES_TOLD: Rate = Rate { at_once: 20, pause: Duration::from_secs(60) };

/// The gate, as far as the loop needs it.
pub(super) struct Gate {
    pub(super) shared: SharedGate,
    server: Option<GateServer>,
    browser: Option<GateClient>,
    phone: Option<GateClient>,
    /// Those who are told when sessions are no longer on the disk.
    pub(super) signing_out: Vec<SigningOut>,
    pub(super) complaints: Complaint,
}

/// A client at the provider that says who comes.
pub(super) struct GateClient {
    pub(super) id: Fingerprint,
    pub(super) provider: SharedProvider,
    /// The same, where the provider has to ask who it is, whoever is signed in there (OpenID Connect Core 3.1.2.1).
    pub(super) asking_again: SharedProvider,
}

/// Sessions that have ended and are still on the disk, and who is told when they are not.
pub(super) struct SigningOut {
    cookies: Vec<CookieDigest>,
    is_written: Result<(), Fault>,
    asker: SignOutAsker,
}

/// Who has asked for a sign-out.
enum SignOutAsker {
    Browser(oneshot::Sender<bool>),
    Broker { reply_to: ReplyTo, transaction: Transaction, signed_out: usize },
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            shared: SharedGate::default(),
            server: None,
            browser: None,
            phone: None,
            signing_out: Vec::new(),
            complaints: Complaint::new(FAILURES_TOLD),
        }
    }
}

impl Gate {
    /// The client for this way, if it is open.
    pub(super) fn client(&self, way: Way) -> Option<&GateClient> {
        match way {
            Way::Browser => self.browser.as_ref(),
            Way::Phone => self.phone.as_ref(),
        }
    }

    /// Returns whether people still sign in by this client.
    pub(super) fn is_in_force(&self, (way, id): GateClientId) -> bool {
        self.client(way).is_some_and(|client| client.id == id)
    }
}

impl GateClient {
    fn new(clients: &mut Clients, settings: &AccountSettings) -> Result<Self, String> {
        let (_, provider) = clients.provider_for(settings.clone(), Turns::Gate)?;
        let profile = Profile::clone(&settings.profile).asking_who_it_is();
        let asking_again = AccountSettings { profile: Arc::new(profile), ..settings.clone() };
        let (_, asking_again) = clients.provider_for(asking_again, Turns::Gate)?;
        Ok(Self { id: settings.binding().client(), provider, asking_again })
    }
}

impl Agent {
    /// Opens the gate, if it is wanted, with the sessions of before. Without it everything else still works.
    pub(super) fn open_gate(&mut self, stored: Vec<(CookieDigest, GateSession)>) {
        let settings = self.settings.gate.clone();
        let displaced: Vec<_> = {
            let sessions = &mut self.gate.shared.lock().sessions;
            stored.into_iter().filter_map(|(cookie, session)| sessions.insert(cookie, session)).collect()
        };
        self.gate_sessions_ended(displaced, None);
        self.use_gate_settings(settings);
    }

    /// Takes up other settings. The sessions that they do not allow end at once.
    pub(super) fn use_gate_settings(&mut self, settings: Option<GateSettings>) {
        let former = self.gate.shared.lock().settings.clone();
        let settings = settings.map(|settings| match &former {
            Some(former) => settings.at_the_place_of(former),
            None => settings,
        });
        // Anew at each reload: the files that they name may have changed.
        for way in [Way::Browser, Way::Phone] {
            let wanted = settings.as_ref().and_then(|settings| settings.client(way));
            if wanted != former.as_ref().and_then(|former| former.client(way)) {
                self.gate.shared.lock().sign_ins.give_up(way);
            }
            let client = wanted.and_then(|settings| {
                GateClient::new(&mut self.clients, settings)
                    .inspect_err(|error| {
                        tracing::error!(way = way.name(), error, "nobody can sign in at the gate by this way");
                    })
                    .ok()
            });
            match way {
                Way::Browser => self.gate.browser = client,
                Way::Phone => self.gate.phone = client,
            }
        }
        let not_allowed = {
            let state = &mut *self.gate.shared.lock();
            state.settings = settings.clone().map(Arc::new);
            match &settings {
                Some(settings) => state.sessions.end_what_is_not_allowed(settings),
                None => state.sessions.sign_out(None),
            }
        };
        self.gate_sessions_ended(not_allowed, None);
        self.end_gate_sessions();
        self.gate.server = match (self.gate.server.take(), &settings) {
            (_, None) => None,
            (Some(server), Some(_)) => Some(server),
            (None, Some(settings)) => self.serve_gate(settings),
        };
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

    /// Ends the sessions that are over.
    pub(super) fn end_gate_sessions(&mut self) {
        let ended = {
            let state = &mut *self.gate.shared.lock();
            let Some(settings) = &state.settings else { return };
            state.sessions.end_what_is_over(settings.idle, clock::now())
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
        state.sessions.next_end(state.settings.as_ref()?.idle, clock::now())
    }

    pub(super) fn gate_sessions_ended(&mut self, ended: impl IntoIterator<Item = EndedSession>, from: Option<IpAddr>) {
        for EndedSession { cookie, session, why } in ended {
            self.store.erase_gate_session(cookie);
            let (event, reason) = match why {
                SessionEnd::SignedOut => ("signed_out", None),
                SessionEnd::Expired => ("expired", None),
                SessionEnd::Idle => ("expired", Some("idle")),
                SessionEnd::NotAllowed => ("signed_out", Some("not_allowed")),
                SessionEnd::SignedInAgain => ("signed_out", Some("signed_in_again")),
                SessionEnd::Displaced => ("signed_out", Some("too_many_sessions")),
            };
            let user = &*session.visitor.user;
            tracing::info!(user, event, reason, "a session at the gate has ended");
            self.tell_of_gate(event, Some(user), Some(session.visitor.way), from, reason);
        }
    }

    /// The store has finished with a session.
    pub(super) fn gate_session_stored(&mut self, cookie: CookieDigest, change: GateChange, result: &Result<(), Fault>) {
        if change == GateChange::Save {
            // The store itself says that it fails. The session goes on, and a restart would end it.
            return;
        }
        if let Err(fault) = result {
            tracing::error!(%fault, "a session at the gate has ended, but is still on the disk: a restart would bring it back");
        }
        for waiting in &mut self.gate.signing_out {
            if let Some(at) = waiting.cookies.iter().position(|of| *of == cookie) {
                waiting.cookies.swap_remove(at);
                waiting.is_written = waiting.is_written.clone().and(result.clone());
            }
        }
        self.answer_sign_outs();
    }

    /// Publishes what happened. It is not retained, since it is about people.
    pub(super) fn tell_of_gate(
        &self,
        event: &'static str,
        user: Option<&str>,
        way: Option<Way>,
        from: Option<IpAddr>,
        reason: Option<&'static str>,
    ) {
        let message =
            GateEventMessage { event, user, way: way.map(Way::name), from, reason, at: clock::now().wall.seconds() };
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
        let ended = sign_out.map(|_| {
            let state = &mut *self.gate.shared.lock();
            state.sign_ins.sign_out(user);
            state.sessions.sign_out(user)
        });
        let ended = ended.unwrap_or_default();
        let signed_out = ended.len();
        let (reply_to, transaction) = (reply_to.clone(), transaction.clone());
        self.sign_out_of_gate(ended, None, SignOutAsker::Broker { reply_to, transaction, signed_out });
        Ok(())
    }

    /// Ends the session of a browser, which is told when that is written down.
    pub(super) fn sign_browser_out(&mut self, cookie: CookieDigest, from: IpAddr, answer: oneshot::Sender<bool>) {
        let ended = self.gate.shared.lock().sessions.end(cookie, SessionEnd::SignedOut);
        self.sign_out_of_gate(ended.into_iter().collect(), Some(from), SignOutAsker::Browser(answer));
    }

    fn sign_out_of_gate(&mut self, ended: Vec<EndedSession>, from: Option<IpAddr>, asker: SignOutAsker) {
        let cookies = ended.iter().map(|ended| ended.cookie).collect();
        self.gate.signing_out.push(SigningOut { cookies, is_written: Ok(()), asker });
        self.gate_sessions_ended(ended, from);
        self.answer_sign_outs();
    }

    /// Answers those whose sessions are no longer on the disk, or stay there.
    fn answer_sign_outs(&mut self) {
        let done: Vec<_> = self.gate.signing_out.extract_if(.., |waiting| waiting.cookies.is_empty()).collect();
        for SigningOut { is_written, asker, .. } in done {
            match asker {
                // Whoever has closed the page meanwhile needs no answer.
                SignOutAsker::Browser(browser) => drop(browser.send(is_written.is_ok()).ok()),
                SignOutAsker::Broker { reply_to, transaction, signed_out } => {
                    let message = is_written.map(|()| self.gate_message(signed_out));
                    let message = message.map_err(|fault| {
                        let text =
                            "The sessions have ended, but are still on the disk, and a restart would bring them back.";
                        RequestError::new(fault.code, format!("{text} {}", fault.message))
                    });
                    self.respond(&reply_to, message, &transaction);
                }
            }
        }
    }

    fn gate_message(&self, signed_out: usize) -> GateMessage {
        let mut sessions: Vec<_> = self.gate.shared.lock().sessions.all().map(GateSessionMessage::from).collect();
        sessions.sort_by(|one, other| one.user.cmp(&other.user).then(one.expires_at.cmp(&other.expires_at)));
        GateMessage { signed_out, sessions }
    }
}
