//! What is closed without a session, and without a gate.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use super::{COOKIE, HEADERS, PROGRAMS, Panel, SOCKET, host, node_red, panels, read_until};
use crate::support::proxy::Program;
use crate::support::stub::{Connection, Stub, respond};

#[test]
fn without_a_session_nothing_reaches_node_red_on_any_way() {
    for panel in panels() {
        let client = panel.client();
        for target in ["/", "/dashboard/page1?x=1", "/oauth2mqtt", "/oauth2mqtt-check", "//dashboard", "/%64ashboard"] {
            panel.stayed_closed(target, &client.send(&format!("GET {target}"), &[], ""));
            panel.stayed_closed(target, &client.open(target, &[]));
        }
        for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
            let body = if method == "POST" { "a=1" } else { "" };
            panel.stayed_closed(method, &client.send(&format!("{method} /api/tank"), &[], body));
        }
        for target in ["/dashboard/socket.io/?EIO=4&transport=websocket", "/ws/tank", "/comms"] {
            panel.stayed_closed(target, &client.send(&format!("GET {target}"), &SOCKET, ""));
        }
        let polling = "/dashboard/socket.io/?EIO=4&transport=polling";
        panel.stayed_closed("polling", &client.send(&format!("GET {polling}"), &["Accept: */*"], ""));
        panel.stayed_closed("polling", &client.send(&format!("POST {polling}"), &[], "40"));
        for cookie in [
            "Cookie: __Host-oauth2mqtt-gate=",
            "Cookie: __Host-oauth2mqtt-gate=bad",
            "Cookie: oauth2mqtt-gate=good",
            "Cookie: a=__Host-oauth2mqtt-gate",
            "Remote-Session: reference-7",
            "Remote-User: ann@example.com",
            "Authorization: Bearer good",
            "X-Original-URI: /oauth2mqtt/sign-in",
            "X-Forwarded-Uri: /oauth2mqtt/sign-in",
            "X-Original-Method: OPTIONS",
            "X-HTTP-Method-Override: OPTIONS",
            "Upgrade: h2c",
        ] {
            panel.stayed_closed(cookie, &client.open("/dashboard", &[cookie]));
        }
    }
}

#[test]
fn no_way_of_writing_an_address_leads_around_the_gate() {
    for panel in panels() {
        for target in [
            "/oauth2mqtt/../dashboard",
            "/oauth2mqtt/%2e%2e/dashboard",
            "/oauth2mqtt/..%2fdashboard",
            "/oauth2mqtt/sign-in/../../dashboard",
            "/oauth2mqtt/sign-in/..;/dashboard",
            "/oauth2mqtt%2f../dashboard",
            "/oauth2mqtt\\..\\dashboard",
            "/OAUTH2MQTT/../dashboard",
            "/./oauth2mqtt/.././dashboard",
            "https://localhost/oauth2mqtt/../dashboard",
            "http://127.0.0.1:1880/dashboard",
            "/dashboard#/oauth2mqtt/",
            "/dashboard?/oauth2mqtt/",
            "/dashboard;/oauth2mqtt/sign-in",
        ] {
            let answer = panel.client().open(target, &[]);
            // What is below /oauth2mqtt/ may come to the gate, and nowhere else. Caddy has nothing to say to other hosts.
            assert!(
                answer.status != 200 || ["the sign-in page", ""].contains(&answer.body.as_str()),
                "{target}: {answer:?}"
            );
            assert!(panel.node_red.seen().is_empty(), "{target}: {:?}", panel.node_red.seen());
        }
    }
}

#[test]
fn a_request_within_a_request_is_no_way_around_the_gate() {
    let inner = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for program in PROGRAMS {
        let panel = Panel::new(program);
        let host = host(panel.client());
        let end = format!("GET /end HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
        let both = format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n{inner}", inner.len() + 5);
        for rest in [
            format!("Content-Length: {}\r\nContent-Length: 0\r\n\r\n{inner}", inner.len()),
            format!("Transfer-Encoding: xchunked\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()),
            format!("Transfer-Encoding : chunked\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()),
            format!("Content-Length: {}\r\n\r\n{inner}", inner.len()),
            format!("X: y\r\n Remote-User: mallory\r\n\r\n{inner}"),
            both.clone(),
        ] {
            let request = format!("POST /oauth2mqtt/browser HTTP/1.1\r\n{host}\r\n{rest}{end}");
            panel.client().send_raw(&request);
            assert!(panel.node_red.seen().is_empty(), "{request}: {:?}", panel.node_red.seen());
        }
        // With a session the first of the two is let in, or none; the second is asked for by itself.
        let answer = panel.client().send_raw(&format!("POST /first HTTP/1.1\r\n{host}\r\n{COOKIE}\r\n{both}{end}"));
        let let_in: Vec<_> = panel.node_red.seen().into_iter().map(|request| request.target).collect();
        let expected = match program {
            Program::Nginx => (400, vec![]),
            Program::Caddy => (200, vec!["/first".to_owned()]),
        };
        assert_eq!((answer.status, let_in), expected, "{program:?}");
        for request in panel.gate.seen().into_iter().chain(panel.node_red.seen()) {
            assert_eq!(String::from_utf8_lossy(&request.beyond), "", "{program:?} sent more on: {request:?}");
        }
    }
}

#[test]
fn a_browser_that_opens_a_page_is_sent_to_sign_in_and_back_and_all_others_are_told_so() {
    for panel in panels() {
        let client = panel.client();
        let answer = client.open("/dashboard/page%20one?tank=7&x=%2F", &[]);
        let to = "%2Fdashboard%2Fpage%2520one%3Ftank%3D7%26x%3D%252F";
        assert_eq!(
            (answer.status, answer.header("Location")),
            (302, Some(format!("https://localhost/oauth2mqtt/sign-in?to={to}").as_str()))
        );
        assert_eq!(answer.header("Set-Cookie"), Some("way=back"));
        assert_eq!(panel.gate.last().header("X-Forwarded-Uri"), Some("/dashboard/page%20one?tank=7&x=%2F"));
        for (line, headers) in [
            ("GET /api/tank", &["Accept: application/json"][..]),
            ("GET /api/tank", &[]),
            ("POST /dashboard", &["Accept: text/html"]),
            ("DELETE /dashboard", &["Accept: text/html"]),
        ] {
            let answer = client.send(line, headers, "");
            assert_eq!((answer.status, answer.header("Location")), (401, None), "{line} {headers:?}: {answer:?}");
        }
        // The address alone says where somebody wanted to go, whatever a client claims.
        client.open("/dashboard", &["X-Forwarded-Uri: /evil", "x-forwarded-uri: /evil", "X-Forwarded-Method: POST"]);
        let asked = panel.gate.last();
        assert_eq!(asked.header("X-Forwarded-Uri"), Some("/dashboard"));
        assert_ne!(asked.header("X-Forwarded-Method"), Some("POST"));
        assert!(panel.node_red.seen().is_empty());
    }
}

#[test]
fn nobody_without_a_session_uploads_anything_to_the_proxy_either() {
    // The rest never comes; whoever waited for it would have to keep it somewhere. Caddy takes a quarter of a mebibyte to no end.
    let piece = format!("{:x}\r\n{}\r\n", 300_000, "x".repeat(300_000));
    for panel in panels() {
        let client = panel.client();
        for method in ["POST", "GET"] {
            for length in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
                let mut stream = client.connect();
                let head =
                    format!("{method} /upload HTTP/1.1\r\n{}\r\nAccept: text/html\r\n{length}\r\n\r\n", host(client));
                stream.write_all(head.as_bytes()).unwrap();
                // It may have been refused already.
                let _ = stream.write_all(piece.as_bytes());
                let answer = read_until(&mut stream, "\r\n\r\n");
                let status = answer.split(' ').nth(1).unwrap();
                assert!(["302", "401"].contains(&status), "{method} {length}: {answer}");
            }
        }
        assert!(panel.node_red.seen().is_empty());
    }
}

#[test]
fn what_only_node_red_and_the_proxy_ask_is_not_there_for_a_client() {
    for panel in panels() {
        for target in ["/oauth2mqtt/check", "/oauth2mqtt/who", "/oauth2mqtt/who?active", "/oauth2mqtt/check?x"] {
            for method in ["GET", "POST"] {
                let headers = [COOKIE, "Remote-Session: reference-7"];
                let answer = panel.client().send(&format!("{method} {target}"), &headers, "");
                assert_eq!(answer.status, 404, "{method} {target}: {answer:?}");
                assert!(panel.gate.seen().is_empty(), "{target}: {:?}", panel.gate.seen());
            }
        }
        for target in ["/oauth2mqtt//who", "/oauth2mqtt/./who", "/oauth2mqtt/%77ho", "/oauth2mqtt/x/../check"] {
            panel.client().send(&format!("GET {target}"), &["Remote-Session: reference-7"], "");
            for asked in panel.gate.seen() {
                let is_inside = ["/oauth2mqtt/who", "/oauth2mqtt/check"].contains(&asked.target.as_str());
                assert!(!is_inside && asked.header("Remote-Session").is_none(), "{target}: {asked:?}");
            }
        }
        assert!(panel.node_red.seen().is_empty());
    }
}

#[test]
fn without_tls_there_is_only_the_way_to_tls() {
    let panel = Panel::new(Program::Nginx);
    let mut stream = UnixStream::connect(panel.proxy.plain()).unwrap();
    write!(stream, "GET /dashboard?x=1 HTTP/1.0\r\nHost: evil.example\r\n{COOKIE}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    assert!(answer.contains("\r\nLocation: https://localhost/dashboard?x=1\r\n"), "{answer}");
    assert!(panel.gate.seen().is_empty() && panel.node_red.seen().is_empty());
}

#[test]
fn a_gate_that_takes_the_question_and_is_silent_lets_nobody_in_and_nobody_wait() {
    for program in PROGRAMS {
        // Until the proxy gives up.
        let silent = Stub::start(|_, connection| while let Ok(1..) = connection.read(&mut [0; 64]) {});
        let panel = Panel::with(program, silent, Stub::start(node_red));
        panel.stayed_closed("silent", &panel.client().open("/dashboard", &[COOKIE]));
    }
}

#[test]
fn without_a_gate_that_answers_nobody_gets_in() {
    type Fault = fn(&mut Connection);
    let faults: [(&str, Fault); 8] = [
        ("hangs up", |_| ()),
        ("503", |connection| respond(connection, 503, &[], "")),
        ("500 with headers", |connection| respond(connection, 500, &HEADERS, "")),
        ("404", |connection| respond(connection, 404, &[], "")),
        ("403", |connection| respond(connection, 403, &[], "")),
        ("a redirection", |connection| respond(connection, 302, &[("Location", "/elsewhere")], "")),
        ("no HTTP", |connection| {
            let _ = connection.write_all(b"220 mail.example.com ESMTP\r\n");
        }),
        ("half a head", |connection| {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nRemote-User: ann@exam");
        }),
    ];
    for program in PROGRAMS {
        let fault: Arc<Mutex<Fault>> = Arc::new(Mutex::new(faults[0].1));
        let now = Arc::clone(&fault);
        let broken = Stub::start(move |_, connection| {
            let fault = *now.lock().unwrap();
            fault(connection);
        });
        let panel = Panel::with(program, broken, Stub::start(node_red));
        for (name, of_gate) in faults {
            *fault.lock().unwrap() = of_gate;
            panel.stayed_closed(name, &panel.client().open("/dashboard", &[COOKIE]));
            panel.stayed_closed(name, &panel.client().send("GET /ws/tank", &[&SOCKET[..], &[COOKIE]].concat(), ""));
        }
        // Nobody listens at all.
        let Panel { gate, node_red, proxy } = panel;
        drop(gate);
        for headers in [&[COOKIE][..], &[]] {
            let answer = proxy.client.open("/dashboard", headers);
            assert!(answer.status >= 500, "{answer:?}");
        }
        assert!(node_red.seen().is_empty());
    }
}
