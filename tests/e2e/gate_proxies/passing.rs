//! What works with a session.

use std::io::Write as _;
use std::sync::{Mutex, mpsc};

use super::{COOKIE, PAGE, PROGRAMS, Panel, SOCKET, gate, host, node_red, panels, read_until};
use crate::support::clock::SOON;
use crate::support::stub::{Stub, respond};

#[test]
fn with_a_session_pages_endpoints_uploads_and_sockets_work() {
    for panel in panels() {
        let client = panel.client();
        let answer = client.open("/dashboard/page%20one?tank=7&x=%2F", &[COOKIE]);
        assert_eq!((answer.status, answer.body.as_str()), (200, PAGE), "{answer:?}\n{}", panel.proxy.log());
        assert_eq!(panel.node_red.last().target, "/dashboard/page%20one?tank=7&x=%2F");

        // More than nginx takes by itself.
        let upload = "x".repeat(3_000_000);
        assert_eq!(client.send("POST /upload", &[COOKIE], &upload).status, 200);
        let asked = panel.node_red.last();
        assert_eq!((asked.method.as_str(), asked.body.len()), ("POST", upload.len()));
        // The question to the gate has no body.
        let question = panel.gate.last();
        assert_eq!((question.method.as_str(), question.body.len()), ("GET", 0));
        assert_eq!(question.all("Transfer-Encoding"), [""; 0]);

        let mut socket = client.connect();
        let headers = SOCKET.join("\r\n");
        write!(socket, "GET /ws/tank HTTP/1.1\r\n{}\r\n{COOKIE}\r\n{headers}\r\n\r\n", host(client)).unwrap();
        let head = read_until(&mut socket, "\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let question = panel.gate.last();
        assert_eq!((question.header("Upgrade"), question.header("Sec-WebSocket-Key")), (None, None), "{question:?}");
        for word in ["one", "another"] {
            socket.write_all(word.as_bytes()).unwrap();
            read_until(&mut socket, word);
        }
    }
}

#[test]
fn with_a_session_answers_may_take_their_time_and_come_piece_by_piece() {
    for program in PROGRAMS {
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let slow = Stub::start(move |_, connection| {
            let next = || wait.lock().unwrap().recv_timeout(SOON);
            let mut piece = |text: &str| connection.write_all(text.as_bytes());
            if next().is_err() {
                return;
            }
            let _ = piece("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ndata: 1\n\n");
            // Whoever keeps the first piece until there is more waits in vain.
            if next().is_err() {
                return;
            }
            let _ = piece("data: 2\n\n");
        });
        let panel = Panel::with(program, Stub::start(gate), slow);
        let mut stream = panel.client().connect();
        let host = host(panel.client());
        write!(stream, "GET /events HTTP/1.0\r\n{host}\r\n{COOKIE}\r\n\r\n").unwrap();
        for number in 1..=2 {
            go_on.send(()).unwrap();
            read_until(&mut stream, &format!("data: {number}\n\n"));
        }
    }
}

#[test]
fn a_refusal_of_node_reds_own_stays_what_it_is() {
    for program in PROGRAMS {
        let refusing = Stub::start(|_, connection| {
            respond(connection, 401, &[("WWW-Authenticate", "Basic realm=\"editor\"")], "the editor's own sign-in");
        });
        let panel = Panel::with(program, Stub::start(gate), refusing);
        let answer = panel.client().open("/admin", &[COOKIE]);
        assert_eq!((answer.status, answer.body.as_str()), (401, "the editor's own sign-in"), "{answer:?}");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"editor\""));
    }
}

#[test]
fn many_groups_and_many_cookies_keep_nobody_out() {
    let groups = vec!["0f8fad5b-d9cb-469f-a165-70867728950e"; 200].join(",");
    for program in PROGRAMS {
        let said = groups.clone();
        let of_many = Stub::start(move |request, connection| {
            assert!(request.header("Cookie").unwrap().contains("__Host-oauth2mqtt-gate=good"));
            respond(connection, 200, &[("Remote-User", "ann"), ("Remote-Groups", &said)], "");
        });
        let panel = Panel::with(program, of_many, Stub::start(node_red));
        let cookies = format!("{COOKIE}; other={}", "x".repeat(6_000));
        let answer = panel.client().open("/dashboard", &[&cookies]);
        assert_eq!(answer.status, 200, "{answer:?}\n{}", panel.proxy.log());
        assert_eq!(panel.node_red.last().header("Remote-Groups"), Some(groups.as_str()));
    }
}
