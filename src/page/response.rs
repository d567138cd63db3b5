//! The answers to browsers, with the headers that each of them has.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::platform::http_server::ResponseBody;

/// Further headers of every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not stricter: a browser that hides where it comes from hides it from this page's own buttons too.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (header::CACHE_CONTROL, "no-store"),
];

pub(super) fn answer(status: StatusCode, kind: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

pub(super) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    answer(status, kind, ResponseBody::Whole(Full::new(body.into())))
}

pub(super) fn with_html(status: StatusCode, page: String) -> Response<ResponseBody> {
    whole(status, "text/html; charset=utf-8", page)
}

pub(super) fn plain(status: StatusCode, said: &str) -> Response<ResponseBody> {
    whole(status, "text/plain; charset=utf-8", said.to_owned())
}

pub(super) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = plain(status, "");
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

/// Sends the browser on, so that reloading what it then shows presses nothing again.
pub(super) fn see(location: &str) -> Response<ResponseBody> {
    let mut answer = empty(StatusCode::SEE_OTHER);
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// A file of the page; its address names the version, so it may be kept.
pub(super) fn file(kind: &'static str, text: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut answer = whole(StatusCode::OK, kind, text);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    answer
}
