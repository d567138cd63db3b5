//! Answers the proxy, Node-RED and the browsers of people.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{Semaphore, mpsc, oneshot};
use url::form_urlencoded;

use super::html::{self, Kiosk};
use super::shared::SharedGate;
use super::{Admitted, BegunSignIn, GateCall, NotAdmitted, PhoneAnswer, addresses, cookies, proxy_check};
use crate::domain::gate::Way;
use crate::domain::gate::sessions::GateSession;
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::way_back::{OWN_PATH, WayBack};
use crate::domain::rate_limit::Rate;
use crate::domain::secret::Secret;
use crate::page::CSS;
use crate::page::client_rates::{ClientRates, Rates};
use crate::page::form::Form;
use crate::page::guard;
use crate::page::html::icon;
use crate::page::response::{empty, file, plain, see, with_html};
use crate::platform::clock;
use crate::platform::http_server::{Peer, ResponseBody};

const SCRIPT: &str = include_str!("gate.js");
const GATE_CSS: &str = include_str!("gate.css");

/// The policy on every page. A form leads to the provider, and from there to others, so where forms lead is not restricted.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The time for which a browser that signs in is known, in seconds.
const SIGN_IN_COOKIE: u64 = 600;

/// The time for which a browser keeps its cookie beyond the session, in seconds: by a cookie that opens nothing any more it is known that
/// somebody has been here, and the provider asks who it is now.
const FORMER_SESSION: u64 = 30 * 86_400;

/// The value of the cookie after a sign-out.
const SIGNED_OUT: &str = "signed-out";

/// The rates at which sign-ins may be begun.
const BEGINNINGS: Rates = Rates {
    address: Rate { at_once: 10, pause: Duration::from_secs(6) },
    network: Rate { at_once: 20, pause: Duration::from_secs(3) },
    all: Rate { at_once: 60, pause: Duration::from_secs(1) },
    spared: Rate { at_once: 1, pause: Duration::from_secs(600) },
};

/// The rates at which the picture of a code may be asked for, which takes a moment to draw. A browser without scripts asks every five
/// seconds.
const CODES: Rates = Rates {
    address: Rate { at_once: 30, pause: Duration::from_secs(1) },
    network: Rate { at_once: 60, pause: Duration::from_millis(500) },
    all: Rate { at_once: 120, pause: Duration::from_millis(100) },
    spared: Rate { at_once: 5, pause: Duration::from_secs(60) },
};

/// The requests that wait for the provider at a time: all others always have the rest of the connections.
const PLACES: usize = 128;

/// The header with the addresses that a request came through.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const NOT_ON_DISK: &str = "You are signed out, but the device's disk fails: a restart would bring the session back. Tell whoever \
                           looks after this device.";

/// Answers requests to the gate.
#[derive(Debug)]
pub(super) struct GateHandler<E> {
    shared: SharedGate,
    events: mpsc::Sender<E>,
    /// The requests that wait for the provider at a time.
    places: Semaphore,
    beginnings: Mutex<ClientRates>,
    codes: Mutex<ClientRates>,
}

impl<E: From<GateCall> + Send + 'static> GateHandler<E> {
    pub(super) fn new(shared: SharedGate, events: mpsc::Sender<E>) -> Self {
        Self {
            shared,
            events,
            places: Semaphore::new(PLACES),
            beginnings: Mutex::new(ClientRates::new(BEGINNINGS)),
            codes: Mutex::new(ClientRates::new(CODES)),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        let path = request.uri().path().strip_prefix(OWN_PATH);
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            Some("check") if is_reading => return proxy_check::check(&self.shared, &request),
            Some("who") if is_reading => return proxy_check::who(&self.shared, &request),
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
            // To look at these is to use them up.
            (&Method::HEAD, "callback" | "phone") => plain(StatusCode::METHOD_NOT_ALLOWED, "Ask with GET."),
            (&Method::GET | &Method::HEAD, path) => match path {
                "" => self.account(headers, settings),
                "sign-in" => self.sign_in(headers, &query, settings),
                "callback" => self.came_back(request, settings).await,
                "phone" => self.phone(request, &query, settings).await,
                "phone/waits" => self.phone_waits(headers),
                "kiosk" => self.kiosk(headers, &query, settings),
                "state" => self.state(headers, &query, settings),
                "page.css" => file("text/css; charset=utf-8", CSS),
                "gate.css" => file("text/css; charset=utf-8", GATE_CSS),
                "icon.svg" => file("image/svg+xml", icon(false)),
                "gate.js" => file("text/javascript; charset=utf-8", SCRIPT),
                _ => plain(StatusCode::NOT_FOUND, "There is nothing here."),
            },
            (&Method::POST, _) if !is_pressed_here(headers, settings) => {
                plain(StatusCode::FORBIDDEN, "This button was not pressed on this page.")
            }
            (&Method::POST, "browser") => self.begin(Way::Browser, request, settings).await,
            (&Method::POST, "phone") => self.begin(Way::Phone, request, settings).await,
            (&Method::POST, "sign-out") => {
                let start = addresses::start(settings, &form_back(request), true);
                self.signed_out(request, &start).await
            }
            (&Method::POST, "switch") => {
                let sign_in = addresses::sign_in(settings, &form_back(request), true);
                self.signed_out(request, &sign_in).await
            }
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "There is no such button."),
        }
    }

    /// The page that offers the ways to sign in.
    fn sign_in(&self, headers: &HeaderMap, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let again = query.has("again") || self.had_session(headers, settings);
        if !again && self.has_session(headers, settings) {
            return see(&addresses::site(settings, &query.back()));
        }
        with_html(StatusCode::OK, html::sign_in(settings, &query.back(), again, None))
    }

    /// The page that says who is signed in.
    fn account(&self, headers: &HeaderMap, settings: &GateSettings) -> Response<ResponseBody> {
        match self.session(headers, settings) {
            Some(session) => with_html(StatusCode::OK, html::account(settings, &session, clock::now().boot)),
            None => see(&addresses::sign_in(settings, &WayBack::start(), false)),
        }
    }

    /// A screen on a wall: the dashboard in a frame, or the code in its place.
    fn kiosk(&self, headers: &HeaderMap, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let shown = query.back();
        // Its own frame has no frame again.
        let shown = if shown.is_kiosk() { WayBack::start() } else { shown };
        let kiosk = Kiosk { shown: &shown, idle: settings.idle };
        let session = self.session(headers, settings);
        let person = session.as_ref().map(|session| &session.visitor.identity);
        with_html(StatusCode::OK, html::kiosk(settings, kiosk, person))
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
        let again = form.field("again").is_some() || self.had_session(request.headers(), settings);
        let back = form_back(request);
        let refuse = |status, why: &str| with_html(status, html::sign_in(settings, &back, again, Some(why)));
        let from = client(request);
        if !keeps_to(&self.beginnings, from) {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "That is too fast. Wait a minute, then press again.");
        }
        let Ok(_place) = self.places.try_acquire() else {
            return refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many people sign in now. Wait a moment, then press again.",
            );
        };
        let former = cookies::digest(request.headers(), cookies::SIGN_IN);
        let begun = self.ask(|answer| GateCall::Begin { way, again, former, from, back: back.clone(), answer }).await;
        let BegunSignIn { browser, provider } = match begun {
            Some(Ok(begun)) => begun,
            Some(Err(why)) => return refuse(StatusCode::BAD_GATEWAY, &why),
            None => return stopping(),
        };
        let mut answer = see(&provider.unwrap_or_else(|| addresses::phone(settings, &back)));
        cookies::give(&mut answer, cookies::SIGN_IN, &browser, SIGN_IN_COOKIE);
        answer
    }

    /// The provider has sent the browser back (RFC 6749 4.1.2).
    async fn came_back(&self, request: &Request<Bytes>, settings: &GateSettings) -> Response<ResponseBody> {
        const UNKNOWN: &str = "This sign-in was not begun in this browser, or too long ago. Begin it here.";
        let start = WayBack::start();
        let unknown = || {
            if self.has_session(request.headers(), settings) {
                // In another tab, or by the browser's button for going back.
                return see(&addresses::site(settings, &start));
            }
            with_html(StatusCode::FORBIDDEN, html::sign_in(settings, &start, false, Some(UNKNOWN)))
        };
        let Some(browser) = cookies::digest(request.headers(), cookies::SIGN_IN) else { return unknown() };
        let Ok(_place) = self.places.try_acquire() else {
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many people sign in now. Load the page again in a moment.",
            );
        };
        let query = Secret::new(format!("?{}", request.uri().query().unwrap_or_default()));
        let (from, former) = (client(request), cookies::digest(request.headers(), cookies::SESSION));
        match self.ask(|answer| GateCall::Return { browser, query, from, former, answer }).await {
            Some(Ok(admitted)) => come_in(settings, &admitted),
            Some(Err(NotAdmitted::Unknown)) => unknown(),
            Some(Err(NotAdmitted::Refused { why, back })) => turn_away(settings, &why, &back),
            None => stopping(),
        }
    }

    /// The code for a phone, or what became of it.
    async fn phone(&self, request: &Request<Bytes>, query: &Query, settings: &GateSettings) -> Response<ResponseBody> {
        let back = query.back();
        let start = || see(&addresses::start(settings, &back, false));
        let Some(browser) = cookies::digest(request.headers(), cookies::SIGN_IN) else { return start() };
        if !keeps_to(&self.codes, client(request)) {
            return plain(StatusCode::TOO_MANY_REQUESTS, "That is too fast. Wait a moment, then load the page again.");
        }
        let (from, former) = (client(request), cookies::digest(request.headers(), cookies::SESSION));
        match self.ask(|answer| GateCall::Collect { browser, from, former, answer }).await {
            Some(Some(PhoneAnswer::Waits(code))) => {
                with_html(StatusCode::OK, html::phone(settings, &code, &back, from))
            }
            Some(Some(PhoneAnswer::Over(Ok(admitted)))) => come_in(settings, &admitted),
            Some(Some(PhoneAnswer::Over(Err(NotAdmitted::Refused { why, back })))) => turn_away(settings, &why, &back),
            Some(None | Some(PhoneAnswer::Over(Err(NotAdmitted::Unknown)))) => start(),
            None => stopping(),
        }
    }

    /// Tells a screen whether its code still waits; whatever else is so, the page shows it.
    fn phone_waits(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        let browser = cookies::digest(headers, cookies::SIGN_IN);
        let now = clock::now().boot;
        let waits = browser.is_some_and(|browser| self.shared.lock().sign_ins.waits_for_phone(browser, now));
        plain(StatusCode::OK, if waits { "waits" } else { "over" })
    }

    /// Ends the sessions of a browser, also one that is idle, since its record is to go, and sends the browser on.
    async fn signed_out(&self, request: &Request<Bytes>, to: &str) -> Response<ResponseBody> {
        let from = client(request);
        let mut is_written = true;
        // No browser has more.
        for cookie in cookies::digests(request.headers(), cookies::SESSION).take(4).collect::<Vec<_>>() {
            match self.ask(|answer| GateCall::SignOut { cookie, from, answer }).await {
                Some(written) => is_written &= written,
                None => return stopping(),
            }
        }
        let mut answer = if is_written { see(to) } else { plain(StatusCode::INTERNAL_SERVER_ERROR, NOT_ON_DISK) };
        cookies::give(&mut answer, cookies::SESSION, &Secret::new(SIGNED_OUT.to_owned()), FORMER_SESSION);
        answer
    }

    /// Returns whether the browser has a cookie that opens nothing any more: somebody else may sit there now.
    fn had_session(&self, headers: &HeaderMap, settings: &GateSettings) -> bool {
        cookies::digests(headers, cookies::SESSION).next().is_some() && !self.has_session(headers, settings)
    }

    fn has_session(&self, headers: &HeaderMap, settings: &GateSettings) -> bool {
        self.session(headers, settings).is_some()
    }

    /// The good session of a browser, which is not used by that.
    fn session(&self, headers: &HeaderMap, settings: &GateSettings) -> Option<GateSession> {
        let cookie = cookies::digest(headers, cookies::SESSION)?;
        self.shared.lock().sessions.find(cookie, settings.idle, clock::now().boot).cloned()
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

fn keeps_to(rates: &Mutex<ClientRates>, client: IpAddr) -> bool {
    rates.lock().unwrap_or_else(PoisonError::into_inner).take(client, clock::now().boot).is_ok()
}

/// Where the form of a request wants to come back to.
fn form_back(request: &Request<Bytes>) -> WayBack {
    let to = Form(request.body().clone()).field("to");
    WayBack::read(to.as_ref().map_or("/", Secret::expose))
}

/// The address of the browser, as the proxy saw it: the last one in the header, since a browser can send others before it.
fn client(request: &Request<Bytes>) -> IpAddr {
    let last = request.headers().get_all(&FORWARDED_FOR).iter().next_back();
    let last = last.and_then(|line| line.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    let peer = || request.extensions().get::<Peer>().map_or(IpAddr::from([0; 4]), |peer| peer.0);
    last.unwrap_or_else(peer)
}

/// Returns whether a button was pressed on a page of the gate itself.
fn is_pressed_here(headers: &HeaderMap, settings: &GateSettings) -> bool {
    let origin = guard::single(headers, &header::ORIGIN);
    guard::is_same_origin(headers) && origin.is_none_or(|origin| origin == settings.address)
}

fn come_in(settings: &GateSettings, admitted: &Admitted) -> Response<ResponseBody> {
    let mut answer = see(&addresses::site(settings, &admitted.back));
    let life = settings.session.as_secs().saturating_add(FORMER_SESSION);
    cookies::give(&mut answer, cookies::SESSION, &admitted.cookie, life);
    cookies::take(&mut answer, cookies::SIGN_IN);
    answer
}

fn turn_away(settings: &GateSettings, why: &str, back: &WayBack) -> Response<ResponseBody> {
    with_html(StatusCode::FORBIDDEN, html::sign_in(settings, back, true, Some(why)))
}

fn stopping() -> Response<ResponseBody> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "The agent is stopping. Try again in a moment.")
}
