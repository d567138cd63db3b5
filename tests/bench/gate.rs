//! What is measured of the gate: how many questions of a proxy it answers, how soon, and what a session takes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::{Effort, number};
use crate::reading;
use crate::support::gate::{Gate, SESSION};
use crate::support::process::with_children;
use crate::support::proxy::Program;
use crate::support::world::free_port;

/// How many connections a proxy has open, and for how long it asks on them as fast as it can.
const CONNECTIONS: usize = 8;
const TIME: Duration = Duration::from_secs(3);

/// The name of the cookie of a browser that signs in.
const SIGN_IN: &str = "__Host-oauth2mqtt-gate-sign-in";

/// How many people sign in, to see what each takes.
const PEOPLE: u32 = 250;

pub(crate) fn gate(table: &mut crate::table::Table, effort: Effort) {
    table.begin("The gate");
    let mut gate = Gate::start(Program::Nginx, free_port(), "\"*@example.com\"", "");
    let cookie = gate.signed_in("ann").cookie(SESSION).unwrap();
    let question = format!(
        "GET /oauth2mqtt/check HTTP/1.1\r\nHost: gate\r\nCookie: {SESSION}={cookie}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    );
    let pid = gate.world.agent().pid();
    let (mut rate, mut latency, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs {
        let mut waits = asks(gate.port, &question, Duration::from_secs(1));
        waits.sort_unstable();
        latency.push(waits[waits.len() / 2].as_secs_f64() * 1_000.0);
        let used = reading::cpu_of(pid);
        let askers = (0..CONNECTIONS).map(|_| {
            let (port, question) = (gate.port, question.clone());
            thread::spawn(move || asks(port, &question, TIME).len())
        });
        let askers: Vec<_> = askers.collect();
        let answers: usize = askers.into_iter().map(|asker| asker.join().unwrap()).sum();
        let answers = f64::from(u32::try_from(answers).unwrap());
        rate.push(answers / TIME.as_secs_f64());
        cpu.push((reading::cpu_of(pid) - used) * 1_000_000.0 / answers);
    }
    table.add("question to answer, at the median", "ms", latency);
    table.add(format!("answers on {CONNECTIONS} connections"), "per s", rate);
    table.add("processor time of an answer", "µs", cpu);

    for person in 0..PEOPLE {
        sign_in(&gate, person);
    }
    let (agent, database) = memory_after_restart(&mut gate);
    assert_eq!(gate.world.cli(&["gate", "sign-out", "--all"]).code(), 0);
    let (agent_without, database_without) = memory_after_restart(&mut gate);
    for (process, with, without) in [("agent", agent, agent_without), ("database", database, database_without)] {
        // "ann" is signed in as well.
        let of_one = number(with.saturating_sub(without) * 1_024) / f64::from(PEOPLE + 1);
        table.add(format!("memory of a session in the process of the {process}"), "bytes", vec![of_one]);
    }
}

/// The memory of the agent and of its database after another start, in kilobytes: what was needed to sign people in is not of a
/// session.
fn memory_after_restart(gate: &mut Gate) -> (u64, u64) {
    gate.world.stop_agent();
    gate.world.start_agent();
    let agent = gate.world.agent().pid();
    reading::settle(agent);
    let pss = |pid| reading::memory_of(pid).pss;
    let database = with_children(agent).into_iter().filter(|pid| *pid != agent);
    (pss(agent), database.map(pss).sum())
}

/// Signs somebody in, each from an address of their own, since one address may not begin so many sign-ins.
fn sign_in(gate: &Gate, person: u32) {
    let (origin, from) = (gate.origin(), format!("10.0.{}.{}", person / 250, person % 250));
    let host = origin.strip_prefix("https://").unwrap();
    let head = format!("Host: {host}\r\nOrigin: {origin}\r\nX-Forwarded-For: {from}\r\nConnection: close\r\n");
    let exchange = |request: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let header = |answer: &str, name: &str| {
        let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
        let (_, value) =
            lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("{answer}"));
        value.to_owned()
    };
    // The cookie that an answer gives; it also takes away one of the same name.
    let cookie = |answer: &str, name: &str| {
        let given = answer.lines().filter_map(|line| line.split_once(&format!("{name}=")));
        let mut values = given.filter_map(|(_, value)| value.split(';').next()).filter(|value| !value.is_empty());
        values.next().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let begun = exchange(format!("POST /oauth2mqtt/browser HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n"));
    let browser = cookie(&begun, SIGN_IN);
    let login = format!("person-{person}");
    let back = gate.world.oidc().authorize(&header(&begun, "location"), &login);
    let path = back.strip_prefix(&origin).unwrap();
    let admitted = exchange(format!("GET {path} HTTP/1.1\r\n{head}Cookie: {SIGN_IN}={browser}\r\n\r\n"));
    cookie(&admitted, SESSION);
}

/// Asks again and again on one connection, and returns how long each answer took.
#[expect(clippy::disallowed_methods, reason = "what is measured is shorter than the other clocks tell")]
fn asks(port: u16, question: &str, time: Duration) -> Vec<Duration> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut questions = stream;
    let until = Instant::now() + time;
    let mut waits = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        questions.write_all(question.as_bytes()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        let mut body = 0;
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line).unwrap();
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse().unwrap();
            }
        }
        answers.by_ref().take(body).read_to_end(&mut Vec::new()).unwrap();
        waits.push(asked.elapsed());
    }
    waits
}
