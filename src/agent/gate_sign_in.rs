//! Sign-ins at the gate: asks the provider who somebody is, and begins their session.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Agent;
use super::event::{GateAnswer, GateClientId, LoopEvent, ReturningBrowser};
use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
use crate::domain::fault::{Fault, Remedy};
use crate::domain::gate::sessions::{GateSession, GateVisitor, SessionEnd};
use crate::domain::gate::sign_ins::{Collected, Polling, WaitingState};
use crate::domain::gate::way_back::WayBack;
use crate::domain::gate::{CookieDigest, Way};
use crate::domain::identity::Identity;
use crate::domain::policy;
use crate::domain::redirection::Redirection;
use crate::domain::secret::Secret;
use crate::domain::token::{Granted, PollAnswer, User};
use crate::page::gate::{Admitted, BegunSignIn, GateCall, NotAdmitted, PhoneAnswer, PhoneCode};
use crate::platform::{clock, random};

/// The sentence for somebody who cannot be given a secret.
const NO_RANDOM_NUMBERS: &str = "The kernel of this device gives no random numbers.";

/// The sentence for somebody whom the provider cannot sign in as the gate is set up.
const NOT_SET_UP: &str =
    "The gate is not set up right for this provider. Its administrator finds the reason in the journal.";

/// The sentence for somebody whose sign-in a change of the settings has ended.
const ANOTHER_CLIENT: &str = "The settings of the gate have changed meanwhile. Begin again.";

type BeginAnswer = oneshot::Sender<Result<BegunSignIn, String>>;
type ReturnAnswer = oneshot::Sender<Result<Admitted, NotAdmitted>>;

impl Agent {
    /// Carries out what somebody at the gate wants.
    pub(super) fn gate_called(&mut self, call: GateCall) {
        match call {
            GateCall::Begin { way, again, former, from, back, answer } => {
                if let Some(former) = former {
                    self.gate.shared.lock().sign_ins.forget(former);
                }
                self.begin_at_gate((way, again), from, back, answer);
            }
            GateCall::Return { browser, query, from, former, answer } => {
                self.returned_to_gate(browser, &query, ReturningBrowser { from, former }, answer);
            }
            GateCall::Collect { browser, from, former, answer } => {
                // Whoever has closed the page meanwhile comes back to it, or not at all.
                if !answer.is_closed() {
                    drop(answer.send(self.collect_at_gate(browser, ReturningBrowser { from, former })));
                }
            }
            GateCall::SignOut { cookie, from, answer } => self.sign_browser_out(cookie, from, answer),
        }
    }

    /// Asks the provider for a way to approve, for as long as the browser waits for it.
    fn begin_at_gate(&self, (way, again): (Way, bool), from: IpAddr, back: WayBack, mut answer: BeginAnswer) {
        let Some(client) = self.gate.client(way) else {
            let _ = answer.send(Err("This way to sign in is not open. Choose another.".to_owned()));
            return;
        };
        let provider = Arc::clone(if again { &client.asking_again } else { &client.provider });
        let (client, events) = ((way, client.id), self.events.clone());
        tokio::spawn(async move {
            let result = tokio::select! {
                result = async { let _turn = provider.turn().await; provider.authorize().await } => result,
                () = answer.closed() => return,
            };
            let begun = GateAnswer::Begun { client, from, back, result, answer };
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::GateAnswered(begun)).await;
        });
    }

    fn returned_to_gate(
        &mut self,
        browser: CookieDigest,
        query: &Secret,
        arrival: ReturningBrowser,
        answer: ReturnAnswer,
    ) {
        let redirection = Redirection::read(query.expose()).ok();
        let taken = redirection
            .and_then(|it| self.gate.shared.lock().sign_ins.take_redirection(browser, it, clock::now().boot));
        let Some(((request, outcome, back), client)) = taken.zip(self.gate.client(Way::Browser)) else {
            let _ = answer.send(Err(NotAdmitted::Unknown));
            return;
        };
        let (provider, client) = (Arc::clone(&client.provider), (Way::Browser, client.id));
        let code = match outcome {
            Ok(code) => code,
            Err(denial) => {
                let why = self.refuse_at_gate(&denial.fault(), Way::Browser, Some(arrival.from));
                let _ = answer.send(Err(NotAdmitted::Refused { why, back }));
                return;
            }
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let _turn = provider.turn().await;
            let result = provider.exchange(&code, &request.code_verifier).await;
            let exchanged = GateAnswer::Exchanged { client, arrival, back, result, answer };
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::GateAnswered(exchanged)).await;
        });
    }

    fn collect_at_gate(&mut self, browser: CookieDigest, arrival: ReturningBrowser) -> Option<PhoneAnswer> {
        let collected = self.gate.shared.lock().sign_ins.collect(browser, clock::now().boot)?;
        Some(match collected {
            Collected::Waits(device, left) => PhoneAnswer::Waits(PhoneCode {
                user_code: device.user_code,
                address: device.verification_uri,
                whole_address: device.verification_uri_complete,
                left,
            }),
            Collected::Answered(outcome, back) => PhoneAnswer::Over(match outcome {
                Ok(session) => self.admit_to_gate(session, arrival, back),
                Err(why) => Err(NotAdmitted::Refused { why, back }),
            }),
        })
    }

    /// Takes a provider's answer. What another client brought than the one that is in force now, brings nobody in.
    pub(super) fn gate_answered(&mut self, answer: GateAnswer) {
        match answer {
            GateAnswer::Begun { client, from, back, result, answer } => {
                let begun = match result {
                    _ if !self.gate.is_in_force(client) => Err(ANOTHER_CLIENT.to_owned()),
                    Ok(authorization) => self.authorized_at_gate(client, authorization, from, back),
                    Err(fault) => Err(self.fault_for_visitor(&fault, client.0)),
                };
                // Whoever has closed the page meanwhile needs no answer.
                let _ = answer.send(begun);
            }
            GateAnswer::Exchanged { client, arrival, back, result, answer } => {
                // Nobody is signed in whose browser has gone.
                if answer.is_closed() {
                    return;
                }
                let session = match result {
                    Ok(granted) => self.session_of(granted, client, Some(arrival.from)),
                    Err(fault) => Err(self.refuse_at_gate(&fault, client.0, Some(arrival.from))),
                };
                let admitted = match session {
                    Ok(session) => self.admit_to_gate(session, arrival, back),
                    Err(why) => Err(NotAdmitted::Refused { why, back }),
                };
                let _ = answer.send(admitted);
            }
            GateAnswer::Polled { client, browser, device, result } => {
                self.polled_at_gate(client, browser, device, result);
            }
        }
    }

    /// Keeps a sign-in that waits for approval.
    fn authorized_at_gate(
        &mut self,
        client: GateClientId,
        authorization: Authorization,
        from: IpAddr,
        back: WayBack,
    ) -> Result<BegunSignIn, String> {
        let browser = random::text::<32>().map_err(|_| NO_RANDOM_NUMBERS)?;
        let digest = CookieDigest::of(browser.expose().as_bytes());
        let Authorization { approval, expires_in } = authorization;
        let (state, provider, device) = match approval {
            Approval::Redirect(request) => {
                let address = request.address.clone();
                (WaitingState::Browser(request), Some(address), None)
            }
            Approval::Device(device) => (WaitingState::Phone(device.clone()), None, Some(Box::new(device))),
        };
        self.gate.shared.lock().sign_ins.insert((digest, from), state, back, expires_in, clock::now().boot);
        if let Some(device) = device {
            let pause = device.interval;
            self.poll_for_gate(client, digest, device, pause);
        }
        Ok(BegunSignIn { browser, provider })
    }

    /// Asks after a pause whether somebody has approved on a phone, as long as that can still be.
    fn poll_for_gate(
        &mut self,
        client: GateClientId,
        browser: CookieDigest,
        device: Box<DeviceAuthorization>,
        pause: Duration,
    ) {
        let polling = self.gate.shared.lock().sign_ins.polling(browser, clock::now().boot);
        let (Polling::Ask(left) | Polling::Pause(left)) = polling else { return };
        let Some(provider) = self.gate.client(Way::Phone).map(|client| Arc::clone(&client.provider)) else { return };
        if pause >= left {
            return;
        }
        let events = self.events.clone();
        tokio::spawn(async move {
            sleep(pause).await;
            let result = if matches!(polling, Polling::Ask(_)) {
                let _turn = provider.turn().await;
                Some(provider.poll(&device.device_code, &device.poll_parameters).await)
            } else {
                None
            };
            // The loop is gone only when the process is about to be.
            let _ = events.send(LoopEvent::GateAnswered(GateAnswer::Polled { client, browser, device, result })).await;
        });
    }

    fn polled_at_gate(
        &mut self,
        client: GateClientId,
        browser: CookieDigest,
        mut device: Box<DeviceAuthorization>,
        result: Option<Result<PollAnswer, Fault>>,
    ) {
        let now = clock::now().boot;
        if !self.gate.is_in_force(client) || self.gate.shared.lock().sign_ins.polling(browser, now) == Polling::End {
            return;
        }
        let (outcome, pause) = match result {
            None | Some(Ok(PollAnswer::Pending)) => (None, device.interval),
            Some(Ok(PollAnswer::SlowDown { interval })) => {
                device.interval = policy::slowed(device.interval, interval);
                (None, device.interval)
            }
            Some(Err(Fault { remedy: Remedy::TryAgain { after }, .. })) => {
                (None, device.interval.saturating_mul(2).max(after.unwrap_or_default()))
            }
            Some(Ok(PollAnswer::Granted(granted))) => (Some(self.session_of(granted, client, None)), Duration::ZERO),
            Some(Err(fault)) => (Some(Err(self.refuse_at_gate(&fault, client.0, None))), Duration::ZERO),
        };
        match outcome {
            Some(outcome) => self.gate.shared.lock().sign_ins.phone_answered(browser, outcome, now),
            None => self.poll_for_gate(client, browser, device, pause),
        }
    }

    /// The session of whoever approved, if they may come in. Their tokens were only to tell who it is, and are forgotten here. They are
    /// not revoked: at some providers that would end every other sign-in of the person with this client.
    fn session_of(
        &mut self,
        granted: Granted,
        client: GateClientId,
        from: Option<IpAddr>,
    ) -> Result<GateSession, String> {
        let (way, _) = client;
        let identity = match granted.user {
            User::Known(identity) => identity,
            User::Unknown(fault) => return Err(self.refuse_at_gate(&fault, way, from)),
            User::NotAsked => return Err("The provider does not say who you are.".to_owned()),
        };
        let settings = self.gate.shared.lock().settings.clone().ok_or(ANOTHER_CLIENT)?;
        let reference = random::text::<16>().map_err(|_| NO_RANDOM_NUMBERS)?;
        let count = |identity: &Identity| identity.claims.iter().map(|claim| claim.values.len()).sum::<usize>();
        let told = count(&identity);
        let session = GateSession::new(reference, identity, client, &settings, clock::now());
        let user = &*session.visitor.user;
        if count(&session.visitor.identity) < told {
            tracing::info!(
                user,
                "not all groups of this person are kept: of the claims, those that allow names come first"
            );
        }
        if session.is_allowed(&settings) {
            return Ok(session);
        }
        if let Some(withheld) = self.gate.complaints.is_due(clock::now().boot) {
            tracing::warn!(user, way = way.name(), withheld, "somebody who is not admitted wanted to pass the gate");
        }
        self.tell_of_gate("refused", Some(user), Some(way), from, Some("not_allowed"));
        Err(format!("{user} may not see this page. Ask the person who set it up, or sign in as somebody else."))
    }

    /// Begins a session, if it is still allowed.
    fn admit_to_gate(
        &mut self,
        session: GateSession,
        ReturningBrowser { from, former }: ReturningBrowser,
        back: WayBack,
    ) -> Result<Admitted, NotAdmitted> {
        let settings = self.gate.shared.lock().settings.clone();
        let (Ok(cookie), true) = (random::text::<32>(), settings.is_some_and(|settings| session.is_allowed(&settings)))
        else {
            return Err(NotAdmitted::Refused { why: ANOTHER_CLIENT.to_owned(), back });
        };
        let session = GateSession { seen: clock::now().boot, ..session };
        let digest = CookieDigest::of(cookie.expose().as_bytes());
        let visitor = Arc::clone(&session.visitor);
        self.store.save_gate_session(digest, session.clone());
        let ended = {
            let sessions = &mut self.gate.shared.lock().sessions;
            let replaced = former.and_then(|former| sessions.end(former, SessionEnd::SignedInAgain));
            replaced.into_iter().chain(sessions.insert(digest, session)).collect::<Vec<_>>()
        };
        let GateVisitor { user, way, .. } = &*visitor;
        tracing::info!(user = &**user, way = way.name(), %from, "passed the gate");
        self.tell_of_gate("signed_in", Some(user), Some(*way), Some(from), None);
        self.gate_sessions_ended(ended, None);
        Ok(Admitted { cookie, back })
    }

    /// Tells of a sign-in that failed, and returns the sentence for whoever tried.
    fn refuse_at_gate(&mut self, fault: &Fault, way: Way, from: Option<IpAddr>) -> String {
        self.tell_of_gate("refused", None, Some(way), from, Some(fault.code.name()));
        self.fault_for_visitor(fault, way)
    }

    /// A fault in words for whoever stands before the gate. What only an administrator can use is in the journal.
    fn fault_for_visitor(&mut self, fault: &Fault, way: Way) -> String {
        if let Some(withheld) = self.gate.complaints.is_due(clock::now().boot) {
            tracing::warn!(%fault, way = way.name(), withheld, "a sign-in at the gate failed");
        }
        match fault.remedy {
            Remedy::AskUser => format!("{} Try again.", fault.message),
            Remedy::TryAgain { .. } => "The provider cannot be reached now. Try again in a minute.".to_owned(),
            Remedy::Reconfigure => NOT_SET_UP.to_owned(),
        }
    }
}
