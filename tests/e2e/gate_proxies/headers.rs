//! What a client says of itself, and what becomes of it.

use std::io::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use super::{COOKIE, HEADERS, PROGRAMS, Panel, SOCKET, host, node_red, panels, read_until};
use crate::support::process::run_tool;
use crate::support::stub::{Stub, respond};

#[test]
fn node_red_gets_who_it_is_from_the_gate_alone() {
    for panel in panels() {
        for claims in [
            &[
                "Remote-User: mallory",
                "Remote-Email: mallory",
                "Remote-Name: mallory",
                "Remote-Groups: mallory",
                "Remote-Session: mallory",
            ][..],
            &[
                "remote-user: mallory",
                "REMOTE-EMAIL: mallory",
                "rEMOTE-nAME: mallory",
                "remote-groups: mallory",
                "remote-session: mallory",
            ],
            &[
                "Remote-User: mallory",
                "Remote-User: mallory",
                "remote-user: mallory",
                "Remote-Session: mallory",
                "Remote-Session: mallory",
            ],
            &["Connection: Remote-User, Remote-Session, remote-groups", "Remote-User: mallory"],
            &["Connection: Remote-Session", "Connection: X-Forwarded-For", "X-Forwarded-For: 192.0.2.66"],
            &["X-Forwarded-For: 192.0.2.66", "X-Forwarded-For: 192.0.2.67", "X-Forwarded-Host: evil.example"],
            &[
                "X-Forwarded-Proto: http",
                "X-Forwarded-Uri: /evil",
                "X-Forwarded-Method: DELETE",
                "X-Real-IP: 192.0.2.66",
            ],
            &["Forwarded: for=192.0.2.66;host=evil.example", "forwarded: for=192.0.2.66"],
            &["Remote-Role: admin", "Remote_User: mallory", "Remote-User2: mallory"],
        ] {
            let headers: Vec<_> = [COOKIE].iter().chain(claims).copied().collect();
            let answer = panel.client().send("GET /api/tank", &headers, "");
            assert_eq!(answer.status, 200, "{claims:?}: {answer:?}");
            let asked = panel.node_red.last();
            for (name, value) in HEADERS {
                assert_eq!(asked.header(name), Some(value), "{name} after {claims:?}");
            }
            assert_eq!(asked.header("X-Forwarded-For"), Some("127.0.0.1"), "{claims:?}");
            assert_eq!(asked.header("X-Forwarded-Proto"), Some("https"), "{claims:?}");
            let authority = panel.client().origin().replace("https://", "");
            assert_eq!(asked.header("X-Forwarded-Host"), Some(authority.as_str()), "{claims:?}");
            assert_eq!(asked.header("Host"), Some(authority.as_str()));
            let text = format!("{:?}", asked.headers);
            for claimed in ["192.0.2.6", "evil", "DELETE"] {
                assert!(!text.contains(claimed), "{claims:?}: {text}");
            }
            let mallory = asked
                .headers
                .iter()
                .filter(|(_, value)| value.contains("mallory"))
                .map(|(name, _)| name.to_lowercase());
            // A name of another kind is nobody's.
            assert!(mallory.clone().all(|name| name == "remote_user" || name == "remote-user2"), "{text}");
        }
    }
}

#[test]
fn the_gate_gets_the_clients_own_address_and_nothing_that_a_client_makes_up() {
    for panel in panels() {
        let claims = [
            "X-Forwarded-For: 192.0.2.66",
            "X-Forwarded-For: 192.0.2.67",
            "X-Forwarded-Uri: /evil",
            "X-Forwarded-Method: POST",
            "Remote-Session: mallory",
        ];
        for target in ["/dashboard", "/oauth2mqtt/sign-in?to=/dashboard"] {
            panel.client().open(target, &claims);
            for asked in panel.gate.seen() {
                let from = asked.all("X-Forwarded-For");
                assert!(from.iter().all(|address| *address == "127.0.0.1"), "{target}: {asked:?}");
                let is_made_up = |word: &str| asked.headers.iter().any(|(_, value)| value.contains(word));
                let is_question = asked.target == "/oauth2mqtt/check";
                // The pages do not look at these two.
                assert!(!is_question || !is_made_up("evil") && !is_made_up("POST"), "{target}: {asked:?}");
                assert!(!is_made_up("192.0.2") && !is_made_up("mallory"), "{target}: {asked:?}");
            }
        }
        let page = panel.gate.last();
        assert_eq!(page.header("X-Forwarded-For"), Some("127.0.0.1"));
        assert_eq!(page.header("Host"), Some(panel.client().origin().trim_start_matches("https://")));
    }
}

#[test]
fn the_cookie_of_the_gate_stays_with_the_gate_and_the_others_with_node_red() {
    for panel in panels() {
        let gate = "__Host-oauth2mqtt-gate=good";
        for (sent, left) in [
            (gate.to_owned(), ""),
            (format!("{gate}; theme=dark"), "theme=dark"),
            (format!("theme=dark; {gate}"), "theme=dark"),
            (format!("theme=dark;{gate};lang=de; x=1"), "theme=dark;lang=de;x=1"),
            (format!("__Host-oauth2mqtt-gate-sign-in=x; {gate}"), ""),
            (format!("a=1; {gate}; b=2; __Host-oauth2mqtt-gate-sign-in=x; c=3"), "a=1;b=2;c=3"),
            (format!("{gate}; {}", "a=b; ".repeat(1_000)), "a=b;".repeat(1_000).trim_end_matches(';')),
        ] {
            let cookie = format!("Cookie: {sent}");
            assert_eq!(panel.client().send("GET /api/tank", &[&cookie], "").status, 200, "{sent}");
            let asked = panel.node_red.last();
            let got = asked.header("Cookie").unwrap_or_default().replace(' ', "");
            assert_eq!(got.trim_matches(';'), left, "{sent}");
        }
    }
}

/// A script of any page can add a second cookie of the name, which browsers keep apart from the first.
#[test]
fn of_two_cookies_of_the_gate_node_red_gets_neither() {
    for program in PROGRAMS {
        // One that lets everybody in.
        let gate = Stub::start(|_, connection| respond(connection, 200, &HEADERS, ""));
        let panel = Panel::with(program, gate, Stub::start(node_red));
        for sent in [
            "__Host-oauth2mqtt-gate=good; __Host-oauth2mqtt-gate=x",
            "__Host-oauth2mqtt-gate=x; a=1; __Host-oauth2mqtt-gate=good",
            "__Host-oauth2mqtt-gate-sign-in=x; a=1; __Host-oauth2mqtt-gate-sign-in=y",
        ] {
            assert_eq!(panel.client().send("GET /api/tank", &[&format!("Cookie: {sent}")], "").status, 200, "{sent}");
            let asked = panel.node_red.last();
            let got = asked.header("Cookie").unwrap_or_default();
            assert!(!got.contains("oauth2mqtt-gate"), "{sent}: {got}");
        }
    }
}

#[test]
fn a_gate_that_forgets_a_header_lets_no_client_fill_it_in() {
    for program in PROGRAMS {
        let forgetful =
            Stub::start(|_, connection| respond(connection, 200, &[("Remote-User", "ann@example.com")], ""));
        let panel = Panel::with(program, forgetful, Stub::start(node_red));
        let claims = ["Remote-Groups: admins", "remote-session: mallory", "Remote-Name: mallory"];
        assert_eq!(panel.client().send("GET /api/tank", &claims, "").status, 200);
        let text = format!("{:?}", panel.node_red.last());
        assert!(!text.contains("admins") && !text.contains("mallory"), "{text}");
    }
}

#[test]
fn a_page_of_another_host_opens_no_socket_and_changes_nothing() {
    for panel in panels() {
        let client = panel.client();
        let own = format!("Origin: {}", client.origin());
        let origins = ["Origin: https://nas.localhost", "Origin: http://localhost", "Origin: null", &own];
        for origin in origins {
            let is_own = origin == own;
            let expected = |good: u16| if is_own { good } else { 403 };
            for method in ["POST", "PUT", "DELETE"] {
                let answer = client.send(&format!("{method} /api/valve"), &[COOKIE, origin], "");
                assert_eq!(answer.status, expected(200), "{method} {origin}: {answer:?}");
            }
            let mut socket = client.connect();
            let headers = SOCKET.join("\r\n");
            write!(socket, "GET /ws HTTP/1.1\r\n{}\r\n{COOKIE}\r\n{origin}\r\n{headers}\r\n\r\n", host(client))
                .unwrap();
            let head = read_until(&mut socket, "\r\n\r\n");
            assert!(head.starts_with(&format!("HTTP/1.1 {}", expected(101))), "{origin}: {head}");
            // What it can ask for anyway, by an image for example, it cannot read.
            assert_eq!(client.send("GET /api/tank", &[COOKIE, origin], "").status, 200, "{origin}");
        }
        let changes = panel.node_red.seen().into_iter().filter(|request| request.method != "GET");
        assert_eq!(changes.count(), 3);
    }
}

/// Asks by HTTP/2, as browsers do, and prints the status: `node -e … ORIGIN AUTHORITY HEADERS`.
const HTTP_2: &str = "
    const [origin, authority, headers] = process.argv.slice(1);
    const ca = require('fs').readFileSync(authority);
    const session = require('http2').connect(origin, { ca });
    const request = session.request({ ':path': '/api/tank?x=1', ...JSON.parse(headers) });
    request.on('response', (answer) => { console.log(answer[':status']); session.destroy(); });
    request.end();
";

#[test]
fn by_http_2_a_client_is_taken_for_nobody_else_either() {
    for panel in panels() {
        let ask = |headers: &Value| {
            let mut node = Command::new("node");
            node.args(["-e", HTTP_2, "--"]).arg(panel.client().origin()).arg(panel.proxy.authority());
            let status = run_tool(node.arg(headers.to_string()));
            String::from_utf8(status).unwrap().trim().parse::<u16>().unwrap()
        };
        let claims = json!({ "remote-user": ["mallory", "mallory"], "remote-session": "mallory", "x-forwarded-for": "192.0.2.66" });
        assert_eq!(ask(&claims), 401);
        assert!(panel.node_red.seen().is_empty());

        // Each cookie may have a line of its own (RFC 9113 8.2.3).
        let mut claims = claims;
        claims["cookie"] = json!(["a=1", "__Host-oauth2mqtt-gate=good", "__Host-oauth2mqtt-gate-sign-in=x", "b=2"]);
        assert_eq!(ask(&claims), 200);
        let asked = panel.node_red.last();
        for (name, value) in HEADERS {
            assert_eq!(asked.header(name), Some(value), "{name}");
        }
        assert_eq!(asked.header("X-Forwarded-For"), Some("127.0.0.1"));
        assert_eq!(asked.header("Cookie"), Some("a=1; b=2"));
        assert_eq!(asked.target, "/api/tank?x=1");
    }
}
