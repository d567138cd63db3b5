//! What a request gets: a page, the changes as they come, or a press of a button carried out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{interval, timeout};
use url::form_urlencoded;

use super::access::{Access, Entry};
use super::board::{Board, Revision};
use super::guard;
use super::{Press, Wish, html};
use crate::domain::account::AccountName;
use crate::domain::rate_limit::{Rate, Throttle};
use crate::domain::secret::Secret;
use crate::domain::settings::PageSettings;
use crate::platform::clock;
use crate::platform::http_server::ResponseBody;

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How many browsers are told of changes at a time.
const WATCHERS: usize = 16;

/// How large a form may be, in bytes, and how long it may take to arrive.
const LARGEST_FORM: usize = 8 * 1024;
const FORM_TIME: Duration = Duration::from_secs(10);

/// How often buttons may be pressed.
const PRESSES: Rate = Rate { at_once: 20, pause: Duration::from_secs(1) };

/// How often a browser that watches is told that the agent is still there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// On every answer: nothing but this page's own files runs or shows, nobody frames it, nobody keeps it.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not stricter: a browser that hides where it comes from hides it from this page's own buttons too.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (header::CACHE_CONTROL, "no-store"),
];

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Takes requests.
#[derive(Debug)]
pub(super) struct Desk<E> {
    hosts: Vec<String>,
    board: Board,
    events: mpsc::Sender<E>,
    access: Mutex<Access>,
    presses: Mutex<Throttle>,
    watchers: Arc<Semaphore>,
}

impl<E: From<Press> + Send + 'static> Desk<E> {
    pub(super) fn new(settings: &PageSettings, board: Board, events: mpsc::Sender<E>) -> Self {
        Self {
            hosts: settings.hosts.clone(),
            board,
            events,
            access: Mutex::new(Access::new(settings.access_code.as_ref())),
            presses: Mutex::new(Throttle::new(PRESSES)),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }
    }

    /// Answers one request.
    pub(super) async fn answer<B: Body<Data = Bytes, Error: Into<BoxError>>>(
        &self,
        request: Request<B>,
    ) -> Response<ResponseBody> {
        let headers = request.headers();
        if !guard::knows_host(headers, &self.hosts) {
            return plain(
                StatusCode::MISDIRECTED_REQUEST,
                "This page is not known by that name. Use the device's address, or add the name to hosts in [page].",
            );
        }
        let path = request.uri().path();
        match *request.method() {
            Method::GET | Method::HEAD => match path {
                "/" if self.lets_in(headers) => self.page(StatusCode::OK, None),
                "/" => with_html(StatusCode::FORBIDDEN, html::entry(None)),
                "/events" => self.changes(headers),
                "/page.css" => file("text/css; charset=utf-8", CSS),
                "/page.js" => file("text/javascript; charset=utf-8", SCRIPT),
                _ => plain(StatusCode::NOT_FOUND, "There is nothing here."),
            },
            Method::POST if !guard::is_same_origin(headers) => {
                plain(StatusCode::FORBIDDEN, "This button was not pressed on this page.")
            }
            Method::POST if path == "/enter" => self.enter(request).await,
            Method::POST if !self.lets_in(headers) => with_html(StatusCode::FORBIDDEN, html::entry(None)),
            Method::POST => self.press(request).await,
            _ => {
                let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "This page is read and pressed, no more.");
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                answer
            }
        }
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        // A browser sends one `Cookie` header.
        let cookies = guard::single(headers, &header::COOKIE);
        lock(&self.access).lets_in(cookies, clock::now().boot)
    }

    fn page(&self, status: StatusCode, said: Option<&str>) -> Response<ResponseBody> {
        let content = self.board.look();
        let page = html::page(&content.borrow(), said, clock::now().wall);
        with_html(status, page)
    }

    async fn enter<B: Body<Data = Bytes, Error: Into<BoxError>>>(&self, request: Request<B>) -> Response<ResponseBody> {
        let by_https = guard::is_by_https(request.headers());
        let Some(code) = field(request.into_body(), "code").await else {
            return with_html(StatusCode::BAD_REQUEST, html::entry(Some("Enter the access code.")));
        };
        let entry = lock(&self.access).enter(code.expose(), by_https, clock::now().boot);
        match entry {
            Entry::Granted(cookie) => {
                let mut answer = see_page();
                if let Ok(cookie) = HeaderValue::try_from(cookie) {
                    answer.headers_mut().insert(header::SET_COOKIE, cookie);
                }
                answer
            }
            Entry::Refused => {
                tracing::warn!("somebody entered a wrong access code on the page");
                with_html(StatusCode::FORBIDDEN, html::entry(Some("That is not the access code.")))
            }
            Entry::TooOften => {
                let said = "Too many tries. Wait a minute, then enter the code again.";
                with_html(StatusCode::TOO_MANY_REQUESTS, html::entry(Some(said)))
            }
        }
    }

    async fn press<B: Body<Data = Bytes, Error: Into<BoxError>>>(&self, request: Request<B>) -> Response<ResponseBody> {
        // The script of the page wants a sentence, a browser without it wants the page.
        let wants_text = guard::single(request.headers(), &header::ACCEPT) == Some("text/plain");
        let path = request.uri().path().to_owned();
        let refuse = |status, said: &str| if wants_text { plain(status, said) } else { self.page(status, Some(said)) };
        if lock(&self.presses).take(clock::now().boot).is_err() {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "That is too fast. Wait a moment, then press again.");
        }
        let Some((account, wish)) = wish(&path) else {
            return refuse(StatusCode::NOT_FOUND, "There is no such button.");
        };
        let wish = match wish {
            Some(wish) => wish,
            None => match field(request.into_body(), "address").await {
                Some(address) => Wish::Complete(address),
                None => return refuse(StatusCode::BAD_REQUEST, "Paste the whole address that the browser shows."),
            },
        };
        let (answer, answered) = oneshot::channel();
        // The loop is gone only when the process is about to be.
        let _ = self.events.send(Press { account, wish, answer }.into()).await;
        match answered.await {
            Ok(Ok(())) if wants_text => empty(StatusCode::NO_CONTENT),
            Ok(Ok(())) => see_page(),
            Ok(Err(said)) => refuse(StatusCode::CONFLICT, &said),
            Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "The agent is stopping."),
        }
    }

    fn changes(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        if guard::is_from_elsewhere(headers) || !self.lets_in(headers) {
            return plain(StatusCode::FORBIDDEN, "Open the page itself.");
        }
        let Ok(place) = Arc::clone(&self.watchers).try_acquire_owned() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "Too many browsers watch this page already.");
        };
        let (sender, changes) = mpsc::channel(1);
        tokio::spawn(tell_changes(self.board.clone(), sender, place));
        answer(StatusCode::OK, "text/event-stream", ResponseBody::Stream(changes))
    }
}

/// Tells one browser of everything, and then of each change (server-sent events), until it has gone.
async fn tell_changes(board: Board, browser: mpsc::Sender<Bytes>, _place: OwnedSemaphorePermit) {
    let mut content = board.look();
    let mut sign_of_life = interval(SIGN_OF_LIFE);
    let mut seen = Revision::default();
    loop {
        let (text, newest) = {
            let content = content.borrow_and_update();
            (html::changes(&content, seen, clock::now().wall), content.newest())
        };
        seen = newest;
        // Even an empty one is a sign of life.
        if browser.send(text.into()).await.is_err() {
            return;
        }
        tokio::select! {
            changed = content.changed() => if changed.is_err() { return },
            _ = sign_of_life.tick() => {}
            () = browser.closed() => return,
        }
    }
}

/// The account and the wish in `/accounts/<name>/<wish>`; no wish yet if it also needs what is in the form.
fn wish(path: &str) -> Option<(AccountName, Option<Wish>)> {
    let (name, wish) = path.strip_prefix("/accounts/")?.split_once('/')?;
    let wish = match wish {
        "login" => Some(Wish::Login),
        "new-code" => Some(Wish::NewCode),
        "complete" => None,
        "cancel" => Some(Wish::Cancel),
        "logout" => Some(Wish::Logout),
        _ => return None,
    };
    Some((name.parse().ok()?, wish))
}

/// One field of a form.
async fn field<B: Body<Data = Bytes, Error: Into<BoxError>>>(body: B, name: &str) -> Option<Secret> {
    let body = timeout(FORM_TIME, Limited::new(body, LARGEST_FORM).collect()).await.ok()?.ok()?.to_bytes();
    let (_, value) = form_urlencoded::parse(&body).find(|(key, _)| key == name)?;
    Some(Secret::new(value.trim().to_owned())).filter(|value| !value.is_empty())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held; and what is in it stays usable whatever happened.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(status: StatusCode, kind: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    answer(status, kind, ResponseBody::Whole(Full::new(body.into())))
}

fn with_html(status: StatusCode, page: String) -> Response<ResponseBody> {
    whole(status, "text/html; charset=utf-8", page)
}

fn plain(status: StatusCode, said: &str) -> Response<ResponseBody> {
    whole(status, "text/plain; charset=utf-8", said.to_owned())
}

fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = plain(status, "");
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

/// Sends the browser on to the page, so that reloading it presses nothing again.
fn see_page() -> Response<ResponseBody> {
    let mut answer = empty(StatusCode::SEE_OTHER);
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
    answer
}

/// A file of the page; its address names the version, so it may be kept.
fn file(kind: &'static str, text: &'static str) -> Response<ResponseBody> {
    let mut answer = whole(StatusCode::OK, kind, text);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    answer
}
