//! Requests to the test servers: plain HTTP on loopback, one connection each.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::clock::SOON;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Sends one request and reads the JSON that comes back.
#[track_caller]
pub(crate) fn exchange(port: u16, method: &str, path: &str, bearer: Option<&str>, body: &str) -> Answer {
    let authorization = bearer.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    send(port, method, path, &authorization, body)
}

/// Posts a form, as a client of OAuth does.
#[track_caller]
pub(crate) fn post_form(port: u16, path: &str, form: &str) -> Answer {
    send(port, "POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", form)
}

#[track_caller]
fn send(port: u16, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let (status, body) = ask(port, method, path, headers, body);
    Answer { status, body: serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")) }
}

/// Sends one request with these lines in its head, and reads the status and the text that come back. HTTP/1.0, so that the end of
/// the connection ends the body.
#[track_caller]
pub(crate) fn ask(port: u16, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: no answer: {text}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
