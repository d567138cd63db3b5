//! Answers the proxy, Node-RED and the browsers of people.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use url::form_urlencoded;

use super::html::{self, Kiosk};
use super::shared::SharedGate;
use super::{Admitted, BegunSignIn, GateCall, NotAdmitted, PhoneAnswer, cookies};
use crate::domain::gate::Way;
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::way_back::{OWN_PATH, WayBack};
use crate::domain::rate_limit::Rate;
use crate::domain::secret::Secret;
use crate::page::client_rates::{ClientRates, Rates};
use crate::page::form::Form;
use crate::page::guard;
use crate::page::html::icon;
use crate::page::response::{empty, file, plain, see, whole, with_html};
use crate::platform::clock;
use crate::platform::http_server::{Peer, ResponseBody};
use crate::wire::VisitorMessage;

const SCRIPT: &str = include_str!("gate.js");
const CSS: &str = include_str!("gate.css");

/// The policy on every page. A form leads to the provider, and from there to others, so where forms lead is not restricted.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The time for which a browser that signs in is known, in seconds.
const SIGN_IN_COOKIE: u64 = 600;

/// The rates at which sign-ins may be begun.
const BEGINNINGS: Rates = Rates {
    address: Rate { at_once: 10, pause: Duration::from_secs(6) },
    network: Rate { at_once: 20, pause: Duration::from_secs(3) },
    all: Rate { at_once: 60, pause: Duration::from_secs(1) },
    spared: Rate { at_once: 3, pause: Duration::from_secs(60) },
};

/// The headers by which a proxy says what it was asked for.
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header by which Node-RED asks about a session.
const REMOTE_SESSION: HeaderName = HeaderName::from_static("remote-session");

/// Answers requests to the gate.
#[derive(Debug)]
pub(super) struct GateHandler<E> {
    shared: SharedGate,
    events: mpsc::Sender<E>,
    beginnings: Mutex<ClientRates>,
}

impl<E: From<GateCall> + Send + 'static> GateHandler<E> {
    pub(super) fn new(shared: SharedGate, events: mpsc::Sender<E>) -> Self {
        Self { shared, events, beginnings: Mutex::new(ClientRates::new(BEGINNINGS)) }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        let path = request.uri().path().strip_prefix(OWN_PATH);
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            Some("check") if is_reading => return self.check(&request),
            Some("who") if is_reading => return self.who(&request),
            _ => {}
        }
        let settings = self.shared.lock().settings.clone();
        let mut answer = match (settings, path) {
            (None, _) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "The gate is closed: the agent's configuration has no [gate].")
            }
            (_, None) => plain(StatusCode::NOT_FOUND, "There is nothing here."),
            (Some(settings), Some(path)) => self.page(&request, path, &settings).await,
        };
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        answer
    }

    /// Tells the proxy whether a request may pass, and who it is from.
    fn check(&self, request: &Request<Bytes>) -> Response<ResponseBody> {
        let headers = request.headers();
        let cookie = cookies::digest(headers, cookies::SESSION);
        let now = clock::now().boot;
        let mut state = self.shared.lock();
        let Some(settings) = state.settings.clone() else { return bare(StatusCode::UNAUTHORIZED) };
        let Some(session) = cookie.and_then(|cookie| state.sessions.used(cookie, settings.idle, now)) else {
            return refused(headers, &settings);
        };
        let mut answer = bare(StatusCode::OK);
        let groups = session.groups(&settings.groups).collect::<Vec<_>>().join(",");
        // All of them, so that none is left as the browser sent it.
        for (name, value) in [
            ("remote-user", session.identity.user()),
            ("remote-email", session.identity.verified_email().unwrap_or_default()),
            ("remote-name", session.identity.name.as_deref().unwrap_or_default()),
            ("remote-groups", &groups),
            ("remote-session", &session.reference),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""));
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
        answer
    }

    /// Tells Node-RED whose session a reference is.
    fn who(&self, request: &Request<Bytes>) -> Response<ResponseBody> {
        let reference = guard::single(request.headers(), &REMOTE_SESSION).unwrap_or_default();
        let is_active = request.uri().query() == Some("active");
        let now = clock::now().boot;
        let mut state = self.shared.lock();
        let cookie = state.sessions.cookie_of(reference);
        let Some((settings, cookie)) = state.settings.clone().zip(cookie) else {
            return bare(StatusCode::UNAUTHORIZED);
        };
        let session = if is_active {
            state.sessions.used(cookie, settings.idle, now)
        } else {
            state.sessions.find(cookie, settings.idle, now)
        };
        match session {
            Some(session) => json(&VisitorMessage::about(session, &settings.groups)),
            None => bare(StatusCode::UNAUTHORIZED),
        }
    }

    async fn page(&self, request: &Request<Bytes>, path: &str, settings: &GateSettings) -> Response<ResponseBody> {
        let headers = request.headers();
        let is_ours =
            guard::single(headers, &header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(settings.authority()));
        if !is_ours {
            let said = "The gate is not known by that name. Use the address in [gate].";
            return plain(StatusCode::MISDIRECTED_REQUEST, said);
        }
        let query = Query::of(request);
        match (request.method(), path) {
            (&Method::GET | &Method::HEAD, path) => match path {
                "" => self.account(headers, settings),
                "sign-in" => self.sign_in(headers, &query, settings),
                "callback" => self.came_back(request, settings).await,
                "phone" => self.phone(request, &query, settings).await,
                "phone/waits" => self.phone_waits(headers).await,
                "kiosk" => self.kiosk(headers, &query, settings),
                "state" => self.state(headers, &query, settings),
                "page.css" => file("text/css; charset=utf-8", super::super::CSS),
                "gate.css" => file("text/css; charset=utf-8", CSS),
                "icon.svg" => file("image/svg+xml", icon(false)),
                "gate.js" => file("text/javascript; charset=utf-8", SCRIPT),
                _ => plain(StatusCode::NOT_FOUND, "There is nothing here."),
            },
            (&Method::POST, _) if !guard::is_same_origin(headers) => {
                plain(StatusCode::FORBIDDEN, "This button was not pressed on this page.")
            }
            (&Method::POST, "browser") => self.begin(Way::Browser, request, settings).await,
            (&Method::POST, "phone") => self.begin(Way::Phone, request, settings).await,
            (&Method::POST, "sign-out") => {
                self.sign_out(request, settings).await;
                without_session(see(&start_address(settings, &form_back(request))))
            }
            (&Method::POST, "switch") => {
                self.sign_out(request, settings).await;
                without_session(see(&format!("{}&again", sign_in_address(settings, &form_back(request)))))
            }
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "There is no such button."),
        }
    }

    /// The page that offers the ways to sign in.
    fn sign_in(&self, headers: &HeaderMap, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let again = query.has("again");
        if !again && self.has_session(headers, settings) {
            return see(&address(settings, query.back().as_str()));
        }
        with_html(StatusCode::OK, html::sign_in(settings, &query.back(), again, None))
    }

    /// The page that says who is signed in.
    fn account(&self, headers: &HeaderMap, settings: &GateSettings) -> Response<ResponseBody> {
        let cookie = cookies::digest(headers, cookies::SESSION);
        let state = self.shared.lock();
        let now = clock::now();
        match cookie.and_then(|cookie| state.sessions.find(cookie, settings.idle, now.boot)) {
            Some(session) => with_html(StatusCode::OK, html::account(settings, session, now.boot)),
            None => see(&sign_in_address(settings, &WayBack::read("/"))),
        }
    }

    /// A screen on a wall: the dashboard in a frame, or the code in its place.
    fn kiosk(&self, headers: &HeaderMap, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let shown = query.back();
        // Its own frame has no frame again.
        let shown = if shown.as_str().starts_with(OWN_PATH) { WayBack::read("/") } else { shown };
        let kiosk = Kiosk { shown: &shown, idle: settings.idle };
        let cookie = cookies::digest(headers, cookies::SESSION);
        let state = self.shared.lock();
        let session = cookie.and_then(|cookie| state.sessions.find(cookie, settings.idle, clock::now().boot));
        with_html(StatusCode::OK, html::kiosk(settings, kiosk, session.map(|session| &session.identity)))
    }

    /// Tells the script of the kiosk whether the session goes on.
    fn state(&self, headers: &HeaderMap, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let cookie = cookies::digest(headers, cookies::SESSION);
        let now = clock::now().boot;
        let mut state = self.shared.lock();
        let is_active = query.has("active") && !guard::is_from_elsewhere(headers);
        let is_good = cookie.is_some_and(|cookie| {
            let session = state.sessions.find(cookie, settings.idle, now).is_some();
            session && (!is_active || state.sessions.used(cookie, settings.idle, now).is_some())
        });
        empty(if is_good { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED })
    }

    async fn begin(&self, way: Way, request: &Request<Bytes>, settings: &GateSettings) -> Response<ResponseBody> {
        let form = Form(request.body().clone());
        let (back, again) = (form_back(request), form.field("again").is_some());
        let refuse = |status, why: &str| with_html(status, html::sign_in(settings, &back, again, Some(why)));
        let from = client(request);
        let rates = self.beginnings.lock().unwrap_or_else(PoisonError::into_inner).take(from, clock::now().boot);
        if rates.is_err() {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "That is too fast. Wait a minute, then press again.");
        }
        let former = cookies::digest(request.headers(), cookies::SIGN_IN);
        let begun = self.ask(|answer| GateCall::Begin { way, again, former, from, back: back.clone(), answer }).await;
        let BegunSignIn { browser, provider } = match begun {
            Some(Ok(begun)) => begun,
            Some(Err(why)) => return refuse(StatusCode::BAD_GATEWAY, &why),
            None => return stopping(),
        };
        let mut answer = see(&provider.unwrap_or_else(|| phone_address(settings, &back)));
        if let Some(cookie) = cookies::given(cookies::SIGN_IN, &browser, SIGN_IN_COOKIE) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
    }

    /// The provider has sent the browser back (RFC 6749 4.1.2).
    async fn came_back(&self, request: &Request<Bytes>, settings: &GateSettings) -> Response<ResponseBody> {
        const UNKNOWN: &str = "This sign-in was not begun in this browser, or too long ago. Begin it here.";
        let start = WayBack::read("/");
        let unknown = || with_html(StatusCode::FORBIDDEN, html::sign_in(settings, &start, false, Some(UNKNOWN)));
        let Some(browser) = cookies::digest(request.headers(), cookies::SIGN_IN) else { return unknown() };
        let query = Secret::new(request.uri().query().unwrap_or_default().to_owned());
        let (from, former) = (client(request), cookies::digest(request.headers(), cookies::SESSION));
        match self.ask(|answer| GateCall::Return { browser, query, from, former, answer }).await {
            Some(Ok(admitted)) => come_in(settings, &admitted),
            Some(Err(NotAdmitted { why, .. })) if why.is_empty() => unknown(),
            Some(Err(not_admitted)) => turn_away(settings, &not_admitted),
            None => stopping(),
        }
    }

    /// The code for a phone, or what became of it.
    async fn phone(&self, request: &Request<Bytes>, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let back = query.back();
        let start = || start_address(settings, &back);
        let Some(browser) = cookies::digest(request.headers(), cookies::SIGN_IN) else { return see(&start()) };
        let (from, former) = (client(request), cookies::digest(request.headers(), cookies::SESSION));
        match self.ask(|answer| GateCall::Collect { browser, from, former, answer }).await {
            Some(Some(PhoneAnswer::Waits(code))) => {
                with_html(StatusCode::OK, html::phone(settings, &code, &back, from))
            }
            Some(Some(PhoneAnswer::Over(Ok(admitted)))) => come_in(settings, &admitted),
            Some(Some(PhoneAnswer::Over(Err(not_admitted)))) => turn_away(settings, &not_admitted),
            Some(None) => see(&start()),
            None => stopping(),
        }
    }

    async fn phone_waits(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        let Some(browser) = cookies::digest(headers, cookies::SIGN_IN) else { return empty(StatusCode::NO_CONTENT) };
        let waits = self.ask(|answer| GateCall::Waits { browser, answer }).await;
        // Whatever else is so, the page shows it.
        plain(StatusCode::OK, if waits == Some(true) { "waits" } else { "over" })
    }

    async fn sign_out(&self, request: &Request<Bytes>, settings: &GateSettings) {
        let Some(cookie) = cookies::digest(request.headers(), cookies::SESSION) else { return };
        if self.shared.lock().sessions.find(cookie, settings.idle, clock::now().boot).is_some() {
            let from = client(request);
            self.ask(|answer| GateCall::SignOut { cookie, from, answer }).await;
        }
    }

    fn has_session(&self, headers: &HeaderMap, settings: &GateSettings) -> bool {
        let cookie = cookies::digest(headers, cookies::SESSION);
        let state = self.shared.lock();
        cookie.is_some_and(|cookie| state.sessions.find(cookie, settings.idle, clock::now().boot).is_some())
    }

    /// Asks the agent; `None` while it is stopping.
    async fn ask<T>(&self, call: impl FnOnce(oneshot::Sender<T>) -> GateCall) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        // The loop is gone only when the process is about to be.
        self.events.send(call(answer).into()).await.ok()?;
        answered.await.ok()
    }
}

/// The query of an address.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request<Bytes>) -> Self {
        Self(form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    fn back(&self) -> WayBack {
        WayBack::read(self.0.iter().find(|(key, _)| key == "to").map_or("/", |(_, to)| to))
    }
}

/// Where the form of a request wants to come back to.
fn form_back(request: &Request<Bytes>) -> WayBack {
    let to = Form(request.body().clone()).field("to");
    WayBack::read(to.as_ref().map_or("/", Secret::expose))
}

/// The address of the browser, as the proxy saw it: the last one in the header, since a browser can send others before it.
fn client(request: &Request<Bytes>) -> IpAddr {
    let forwarded = guard::single(request.headers(), &FORWARDED_FOR);
    let last = forwarded.and_then(|addresses| addresses.rsplit(',').next()?.trim().parse().ok());
    let peer = || request.extensions().get::<Peer>().map_or(IpAddr::from([0; 4]), |peer| peer.0);
    last.unwrap_or_else(peer)
}

/// Refuses a request that a proxy asks about: a person is shown the way to sign in.
fn refused(headers: &HeaderMap, settings: &GateSettings) -> Response<ResponseBody> {
    let is_of_person = guard::single(headers, &FORWARDED_METHOD).is_none_or(|method| method == "GET")
        && guard::single(headers, &header::ACCEPT).is_some_and(|accepted| accepted.contains("text/html"));
    match guard::single(headers, &FORWARDED_URI).filter(|_| is_of_person) {
        Some(wanted) => {
            let mut answer = bare(StatusCode::FOUND);
            if let Ok(location) = HeaderValue::from_str(&sign_in_address(settings, &WayBack::read(wanted))) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
        None => bare(StatusCode::UNAUTHORIZED),
    }
}

fn come_in(settings: &GateSettings, admitted: &Admitted) -> Response<ResponseBody> {
    let mut answer = see(&address(settings, admitted.back.as_str()));
    let session = cookies::given(cookies::SESSION, &admitted.cookie, settings.session.as_secs());
    for cookie in [session, cookies::taken(cookies::SIGN_IN)].into_iter().flatten() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

fn turn_away(settings: &GateSettings, NotAdmitted { why, back }: &NotAdmitted) -> Response<ResponseBody> {
    with_html(StatusCode::FORBIDDEN, html::sign_in(settings, back, true, Some(why)))
}

fn without_session(mut answer: Response<ResponseBody>) -> Response<ResponseBody> {
    if let Some(cookie) = cookies::taken(cookies::SESSION) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

fn stopping() -> Response<ResponseBody> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "The agent is stopping. Try again in a moment.")
}

/// An address in full: a path alone could be taken for another host's.
fn address(settings: &GateSettings, path: &str) -> String {
    format!("{}{path}", settings.address)
}

fn sign_in_address(settings: &GateSettings, back: &WayBack) -> String {
    address(settings, &format!("{OWN_PATH}sign-in?{}", to(back)))
}

/// Where a sign-in begins. A kiosk begins it by itself.
fn start_address(settings: &GateSettings, back: &WayBack) -> String {
    let is_kiosk = back.as_str().starts_with(OWN_PATH);
    if is_kiosk { address(settings, back.as_str()) } else { sign_in_address(settings, back) }
}

fn phone_address(settings: &GateSettings, back: &WayBack) -> String {
    address(settings, &format!("{OWN_PATH}phone?{}", to(back)))
}

fn to(back: &WayBack) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("to", back.as_str()).finish()
}

/// An answer to a program, which needs none of the headers for browsers.
fn bare(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Whole(Full::default()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn json(message: &impl serde::Serialize) -> Response<ResponseBody> {
    whole(StatusCode::OK, "application/json", serde_json::to_vec(message).unwrap_or_default())
}
