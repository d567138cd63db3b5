//! The answers to programs: to the proxy, whether a request may pass, and to Node-RED, whose session it is.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::addresses;
use super::cookies;
use super::shared::SharedGate;
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::way_back::WayBack;
use crate::page::guard;
use crate::page::response::whole;
use crate::platform::clock;
use crate::platform::http_server::ResponseBody;
use crate::wire::VisitorMessage;

/// The headers by which a proxy says what it was asked for.
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");

/// The headers by which a browser says what it asks for (Fetch Metadata).
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The header by which Node-RED asks about a session.
const REMOTE_SESSION: HeaderName = HeaderName::from_static("remote-session");

/// Tells the proxy whether a request may pass, and who it is from.
///
/// The cookie comes with requests of every page of the same site, which may have other hosts. So what a page of another origin requests
/// does not pass: not its posts, and not the WebSocket that it opens, whose messages it could read.
pub(super) fn check(shared: &SharedGate, request: &Request<Bytes>) -> Response<ResponseBody> {
    let headers = request.headers();
    let cookie = cookies::digest(headers, cookies::SESSION);
    let now = clock::now().boot;
    let mut state = shared.lock();
    let Some(settings) = state.settings.clone() else { return bare(StatusCode::UNAUTHORIZED) };
    let is_of_another_page =
        headers.contains_key(header::ORIGIN) && guard::single(headers, &header::ORIGIN) != Some(&settings.address);
    if is_of_another_page || is_for_another_page(headers) {
        return bare(StatusCode::UNAUTHORIZED);
    }
    let Some(session) = cookie.and_then(|cookie| state.sessions.used(cookie, settings.idle, now)) else {
        return refused(headers, &settings);
    };
    let mut answer = bare(StatusCode::OK);
    let visitor = &*session.visitor;
    let groups = visitor.groups(&settings.groups).collect::<Vec<_>>().join(",");
    // All of them, so that none is left as the browser sent it.
    for (name, value) in [
        ("remote-user", &*visitor.user),
        ("remote-email", visitor.identity.verified_email().unwrap_or_default()),
        ("remote-name", visitor.identity.name.as_deref().unwrap_or_default()),
        ("remote-groups", &groups),
        ("remote-session", visitor.reference.expose()),
    ] {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""));
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
    answer
}

/// Tells Node-RED whose session a reference is.
pub(super) fn who(shared: &SharedGate, request: &Request<Bytes>) -> Response<ResponseBody> {
    let reference = guard::single(request.headers(), &REMOTE_SESSION).unwrap_or_default();
    let is_active = request.uri().query() == Some("active");
    let now = clock::now().boot;
    let mut state = shared.lock();
    let cookie = state.sessions.cookie_of(reference);
    let Some((settings, cookie)) = state.settings.clone().zip(cookie) else { return bare(StatusCode::UNAUTHORIZED) };
    let session = if is_active {
        state.sessions.used(cookie, settings.idle, now)
    } else {
        state.sessions.find(cookie, settings.idle, now)
    };
    match session.map(|session| serde_json::to_vec(&VisitorMessage::about(session, &settings.groups))) {
        Some(Ok(message)) => whole(StatusCode::OK, "application/json", message),
        Some(Err(_)) | None => bare(StatusCode::UNAUTHORIZED),
    }
}

/// Returns whether a page of another origin shows or loads this, by the browser's word. Its links may lead here; its frames, pictures and
/// scripts may not, since a frame can have people press what they do not see.
fn is_for_another_page(headers: &HeaderMap) -> bool {
    let is_link = guard::single(headers, &SEC_FETCH_MODE) == Some("navigate")
        && guard::single(headers, &SEC_FETCH_DEST) == Some("document")
        && guard::single(headers, &FORWARDED_METHOD).is_none_or(|method| method == "GET");
    guard::is_from_elsewhere(headers) && !is_link
}

/// Refuses a request that a proxy asks about: a person is shown the way to sign in.
fn refused(headers: &HeaderMap, settings: &GateSettings) -> Response<ResponseBody> {
    let is_of_person = guard::single(headers, &FORWARDED_METHOD).is_none_or(|method| method == "GET")
        && guard::single(headers, &header::ACCEPT).is_some_and(|accepted| accepted.contains("text/html"));
    let Some(wanted) = guard::single(headers, &FORWARDED_URI).filter(|_| is_of_person) else {
        return bare(StatusCode::UNAUTHORIZED);
    };
    let mut answer = bare(StatusCode::FOUND);
    let location = addresses::sign_in(settings, &WayBack::read(wanted), false);
    if let Ok(location) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// An answer to a program, which needs none of the headers for browsers.
fn bare(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Whole(Full::default()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
