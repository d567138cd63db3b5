//! Answers requests: with the page, with changes as they come, or by carrying out the press of a button.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::interval;

use super::access::{Access, CodeEntry};
use super::form::Form;
use super::html::{self, Notice};
use super::live_content::{ContentRevision, LiveContent};
use super::response::{answer, empty, file, plain, see, with_html};
use super::{ButtonPress, CSS, PageCommand, guard};
use crate::domain::account::AccountName;
use crate::domain::settings::PageSettings;
use crate::platform::clock;
use crate::platform::http_server::{Peer, ResponseBody};

const SCRIPT: &str = include_str!("page.js");

/// The number of browsers that are told of changes at a time.
const WATCHERS: usize = 16;

/// The interval at which a browser that watches is told that the agent is still there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// The policy on every answer, but for who may frame the page: nothing but this page's own files runs or shows.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors";

/// Answers the requests of browsers.
#[derive(Debug)]
pub(super) struct Handler<E> {
    hosts: Vec<String>,
    policy: HeaderValue,
    content: LiveContent,
    events: mpsc::Sender<E>,
    access: Mutex<Access>,
    watchers: Arc<Semaphore>,
}

impl<E: From<ButtonPress> + Send + 'static> Handler<E> {
    pub(super) fn new(settings: &PageSettings, content: LiveContent, events: mpsc::Sender<E>) -> Self {
        let framed_by = if settings.embed_in.is_empty() { "'none'".to_owned() } else { settings.embed_in.join(" ") };
        let policy = HeaderValue::try_from(format!("{POLICY} {framed_by}"));
        Self {
            hosts: settings.hosts.clone(),
            // An origin that fits in no header was refused when the configuration was read.
            policy: policy.unwrap_or_else(|_| HeaderValue::from_static("frame-ancestors 'none'")),
            content,
            events,
            access: Mutex::new(Access::new(settings.access_code.as_ref(), settings.listen.port())),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        let mut answer = self.handle(request).await;
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        answer
    }

    async fn handle(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        let visitor = Visitor::of(&request);
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
                "/" if self.lets_in(&visitor) => self.page(StatusCode::OK, &visitor, None),
                "/" => with_html(StatusCode::FORBIDDEN, html::entry(None)),
                "/events" => self.changes(headers, &visitor),
                "/page.css" => file("text/css; charset=utf-8", CSS),
                "/page.js" => file("text/javascript; charset=utf-8", SCRIPT),
                "/icon-good.svg" => file("image/svg+xml", html::icon(false)),
                "/icon-attention.svg" => file("image/svg+xml", html::icon(true)),
                _ => plain(StatusCode::NOT_FOUND, "There is nothing here."),
            },
            Method::POST if !guard::is_same_origin(headers) => {
                plain(StatusCode::FORBIDDEN, "This button was not pressed on this page.")
            }
            Method::POST if path == "/enter" => self.enter(request, &visitor),
            Method::POST if !self.lets_in(&visitor) => with_html(StatusCode::FORBIDDEN, html::entry(None)),
            Method::POST => self.press(request, &visitor).await,
            _ => {
                let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "This page is read and pressed, no more.");
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                answer
            }
        }
    }

    fn lets_in(&self, visitor: &Visitor) -> bool {
        lock(&self.access).lets_in(visitor.cookies.as_deref(), visitor.address, clock::now().boot)
    }

    fn form_token(&self, visitor: &Visitor) -> String {
        lock(&self.access).form_token(visitor.cookies.as_deref())
    }

    fn page(&self, status: StatusCode, visitor: &Visitor, notice: Option<Notice<'_>>) -> Response<ResponseBody> {
        let content = self.content.subscribe();
        let page = html::page(&content.borrow(), &self.form_token(visitor), notice, clock::now().wall);
        with_html(status, page)
    }

    fn enter(&self, request: Request<Bytes>, visitor: &Visitor) -> Response<ResponseBody> {
        let by_https = guard::is_by_https(request.headers());
        let Some(code) = Form(request.into_body()).field("code") else {
            return with_html(StatusCode::BAD_REQUEST, html::entry(Some("Enter the access code.")));
        };
        let entry = lock(&self.access).enter(code.expose(), by_https, visitor.address, clock::now().boot);
        match entry {
            CodeEntry::Granted(cookie) => {
                let mut answer = see("/");
                if let Ok(cookie) = HeaderValue::try_from(cookie) {
                    answer.headers_mut().insert(header::SET_COOKIE, cookie);
                }
                answer
            }
            CodeEntry::Wrong => {
                tracing::warn!(from = %visitor.address, "somebody entered a wrong access code on the page");
                with_html(StatusCode::FORBIDDEN, html::entry(Some("That is not the access code.")))
            }
            CodeEntry::TooOften => {
                let said = "Too many tries. Wait a minute, then enter the code again.";
                with_html(StatusCode::TOO_MANY_REQUESTS, html::entry(Some(said)))
            }
        }
    }

    async fn press(&self, request: Request<Bytes>, visitor: &Visitor) -> Response<ResponseBody> {
        // The script of the page wants a sentence, a browser without it wants the page.
        let wants_text = guard::single(request.headers(), &header::ACCEPT) == Some("text/plain");
        let pressed = command(request.uri().path());
        let account = pressed.as_ref().map(|(account, _)| account.clone());
        let refuse = |status, text: &str| {
            if wants_text {
                return plain(status, text);
            }
            self.page(status, visitor, Some(Notice { account: account.as_ref(), text }))
        };
        // Nobody's haste keeps anybody from signing out.
        let is_logout = matches!(pressed, Some((_, Some(PageCommand::Logout))));
        if !is_logout && lock(&self.access).press(visitor.address, clock::now().boot).is_err() {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "That is too fast. Wait a moment, then press again.");
        }
        let Some((account, command)) = pressed else {
            return refuse(StatusCode::NOT_FOUND, "There is no such button.");
        };
        let form = Form(request.into_body());
        let token = form.field("token");
        let has_token =
            token.is_some_and(|token| lock(&self.access).is_form_token(token.expose(), visitor.cookies.as_deref()));
        if !has_token {
            return refuse(StatusCode::FORBIDDEN, "This page was open for too long. Press the button again.");
        }
        let command = match command {
            Some(command) => command,
            None => match form.field("address") {
                Some(address) => PageCommand::Complete(address),
                None => return refuse(StatusCode::BAD_REQUEST, "Paste the whole address that the browser shows."),
            },
        };
        let (answer, answered) = oneshot::channel();
        // The loop is gone only when the process is about to be.
        let _ = self.events.send(ButtonPress { account, command, answer }.into()).await;
        match answered.await {
            Ok(Ok(())) if wants_text => empty(StatusCode::NO_CONTENT),
            Ok(Ok(())) => see("/"),
            Ok(Err(said)) => refuse(StatusCode::CONFLICT, &said),
            Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "The agent is stopping."),
        }
    }

    fn changes(&self, headers: &HeaderMap, visitor: &Visitor) -> Response<ResponseBody> {
        if guard::is_from_elsewhere(headers) || !self.lets_in(visitor) {
            return plain(StatusCode::FORBIDDEN, "Open the page itself.");
        }
        let Ok(place) = Arc::clone(&self.watchers).try_acquire_owned() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "Too many browsers watch this page already.");
        };
        let (sender, changes) = mpsc::channel(1);
        tokio::spawn(tell_changes(self.content.clone(), self.form_token(visitor), sender, place));
        answer(StatusCode::OK, "text/event-stream", ResponseBody::Stream(changes))
    }
}

/// Whoever sent a request.
struct Visitor {
    address: IpAddr,
    /// A browser sends one `Cookie` header.
    cookies: Option<String>,
}

impl Visitor {
    fn of<B>(request: &Request<B>) -> Self {
        let address = request.extensions().get::<Peer>().map_or(IpAddr::from([0; 4]), |peer| peer.0);
        Self { address, cookies: guard::single(request.headers(), &header::COOKIE).map(str::to_owned) }
    }
}

/// Tells one browser of everything, and then of each change (server-sent events), until it has gone.
async fn tell_changes(live: LiveContent, token: String, browser: mpsc::Sender<Bytes>, _place: OwnedSemaphorePermit) {
    let mut content = live.subscribe();
    let mut sign_of_life = interval(SIGN_OF_LIFE);
    let mut seen = ContentRevision::default();
    loop {
        let (text, newest) = {
            let content = content.borrow_and_update();
            (html::changes(&content, &token, seen, clock::now().wall), content.newest())
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

/// The account and the command in `/accounts/<name>/<command>`; no command yet if it also needs what is in the form.
fn command(path: &str) -> Option<(AccountName, Option<PageCommand>)> {
    let (name, command) = path.strip_prefix("/accounts/")?.split_once('/')?;
    let command = match command {
        "login" => Some(PageCommand::Login),
        "new-code" => Some(PageCommand::NewCode),
        "complete" => None,
        "cancel" => Some(PageCommand::Cancel),
        "logout" => Some(PageCommand::Logout),
        _ => return None,
    };
    Some((name.parse().ok()?, command))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held; and what is in it stays usable whatever happened.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
