//! nginx and Caddy as `examples/gate` sets them up, between a gate and a Node-RED that write down what they are asked.

mod closed;
mod headers;
mod passing;

use std::io::Write as _;

use crate::support::https::{Answer, Https};
use crate::support::proxy::{Program, Proxy};
use crate::support::stub::{Connection, Request, Stub, echo, respond};

const PROGRAMS: [Program; 2] = [Program::Nginx, Program::Caddy];

/// Whoever has this has a session.
const COOKIE: &str = "Cookie: __Host-oauth2mqtt-gate=good";

/// What nobody may see without one.
const PAGE: &str = "the level of the tank";

const SOCKET: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// The five headers, and what the gate says in them.
const HEADERS: [(&str, &str); 5] = [
    ("Remote-User", "ann@example.com"),
    ("Remote-Email", "ann@example.com"),
    ("Remote-Name", "Änn of the plant"),
    ("Remote-Groups", "operators,night shift"),
    ("Remote-Session", "reference-7"),
];

/// The answers of a gate.
fn gate(request: &Request, connection: &mut Connection) {
    if request.target != "/oauth2mqtt/check" {
        return respond(connection, 200, &[("Content-Type", "text/html")], "the sign-in page");
    }
    if (request.method.as_str(), request.body.len()) != ("GET", 0) {
        return respond(connection, 405, &[], "");
    }
    let has_session = request.header("Cookie").is_some_and(|cookies| cookies.contains("__Host-oauth2mqtt-gate=good"));
    if has_session {
        return respond(connection, 200, &HEADERS, "");
    }
    let is_page = request.header("Accept").is_some_and(|types| types.contains("text/html"))
        && request.header("X-Forwarded-Method").is_none_or(|method| method == "GET");
    match request.header("X-Forwarded-Uri").filter(|_| is_page) {
        Some(uri) => {
            let to: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
            let location = format!("https://localhost/oauth2mqtt/sign-in?to={to}");
            respond(connection, 302, &[("Location", &location), ("Set-Cookie", "way=back")], "");
        }
        None => respond(connection, 401, &[], ""),
    }
}

/// A Node-RED with a page and a socket.
fn node_red(request: &Request, connection: &mut Connection) {
    if request.header("Upgrade").is_none() {
        return respond(connection, 200, &[], PAGE);
    }
    assert!(request.header("Connection").is_some_and(|options| options.eq_ignore_ascii_case("upgrade")), "{request:?}");
    let _ = connection.write_all(b"HTTP/1.1 101 Go on\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    echo(connection);
}

struct Panel {
    gate: Stub,
    node_red: Stub,
    proxy: Proxy,
}

impl Panel {
    #[track_caller]
    fn new(program: Program) -> Self {
        Self::with(program, Stub::start(gate), Stub::start(node_red))
    }

    #[track_caller]
    fn with(program: Program, gate: Stub, node_red: Stub) -> Self {
        let proxy = Proxy::start(program, "localhost", gate.port(), node_red.port());
        Self { gate, node_red, proxy }
    }

    fn client(&self) -> &Https {
        &self.proxy.client
    }

    /// Nobody got anything, and Node-RED heard of nothing.
    #[track_caller]
    fn stayed_closed(&self, what: &str, answer: &Answer) {
        assert!(answer.status >= 300, "{what}: {answer:?}\n{}", self.proxy.log());
        let text = format!("{answer:?}");
        assert!(!text.contains(PAGE) && !text.contains("reference-7"), "{what}: {answer:?}");
        assert!(self.node_red.seen().is_empty(), "{what}: Node-RED got {:?}", self.node_red.seen());
    }
}

/// Each of the proxies.
fn panels() -> impl Iterator<Item = Panel> {
    PROGRAMS.into_iter().map(Panel::new)
}

fn host(client: &Https) -> String {
    client.origin().replace("https://", "Host: ")
}

/// Reads up to these words.
#[track_caller]
fn read_until(stream: &mut impl std::io::Read, end: &str) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 1];
    while !bytes.ends_with(end.as_bytes()) {
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "the end before {end:?}: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(bytes).unwrap()
}
