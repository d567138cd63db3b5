//! Every fault that stands between the agent and its provider, one account each, all at once in one agent.
//!
//! Each is met by the first refresh. Then the refresh token must still be there, `status` must name the fault by its
//! code, no more must be asked than the pauses allow, and the first try after the fault is over must bring a token.
//! One account has a provider without faults, and must not notice those of the others.

pub(crate) mod certificates;

use std::fs;
use std::time::Duration;

use oauth2mqtt::testing::policy;
use serde_json::Value;

use crate::bench::Bench;
use crate::provider::{Asked, Fault, Provider, access_token, answer, json};
use crate::report::Row;
use crate::support::certificates::Authority;
use crate::support::clock::{Deadline, unix_now, wait_for};
use certificates::{Made, server};

/// The name of a host that is known, or not, as a file says.
const HOST: &str = "provider.test";

const PORTAL: &str = "<html><body>Welcome to the hotel. Please sign in.</body></html>";

enum Link {
    Plain,
    /// With this certificate; the host it is for, and when it was made.
    Tls(&'static str, Made),
    /// With one by an authority that is not trusted.
    Stranger,
    /// At a name rather than an address, which is not known for the time of the fault.
    Named,
}

struct Case {
    name: &'static str,
    link: Link,
    fault: Option<Fault>,
    code: &'static str,
    /// What the message must name.
    says: &'static str,
    /// How many requests meet the fault before it is over.
    meet: usize,
}

fn case(name: &'static str, fault: Fault, code: &'static str, meet: usize) -> Case {
    Case { name, link: Link::Plain, fault: Some(fault), code, says: "", meet }
}

fn page(name: &'static str, status: u16, headers: &str, body: &str, code: &'static str) -> Case {
    case(name, Fault::Answer(answer(status, headers, body)), code, 2)
}

fn tls(name: &'static str, link: Link, says: &'static str) -> Case {
    Case { name, link, fault: None, code: "tls_failed", says, meet: 2 }
}

fn cases() -> Vec<Case> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    let whole = json(200, r#"{"access_token":"torn-access-token","token_type":"Bearer","expires_in":60}"#);
    let long = |length: &str| [&head[..], length.as_bytes(), b"\r\n\r\n"].concat();
    let unreachable = "provider_unreachable";
    let no_oauth = "not_an_oauth_answer";
    vec![
        Case { says: "refused the connection", ..case("connection refused", Fault::Refuse, unreachable, 0) },
        case("connection reset at once", Fault::Reset, unreachable, 2),
        case("connection closed without an answer", Fault::Close, unreachable, 2),
        case("reset within the header", Fault::CutAfter(head.clone()), unreachable, 2),
        case("reset within the body", Fault::CutAfter(whole[..whole.len() - 20].to_vec()), unreachable, 2),
        Case {
            link: Link::Named,
            says: "has no address",
            ..case("name resolution fails", Fault::Refuse, unreachable, 0)
        },
        Case {
            says: "it did not answer",
            ..case("hang before the connection", Fault::NoConnection, "provider_timeout", 0)
        },
        Case {
            link: Link::Tls("", Made::Now),
            ..case("hang within the TLS handshake", Fault::Silence, "provider_timeout", 1)
        },
        case("hang before the answer", Fault::NoAnswer, "provider_timeout", 1),
        case("hang within the header", Fault::Stall(head.clone()), "provider_timeout", 1),
        case("hang within the body", Fault::Stall(whole[..whole.len() - 20].to_vec()), "provider_timeout", 1),
        case("slow drip", Fault::Drip(whole.repeat(9)), "provider_timeout", 1),
        case("body of 10 GB", Fault::Endless(long("Content-Length: 10737418240"), vec![b'x'; 65_536]), no_oauth, 2),
        case(
            "endless chunks",
            Fault::Endless(long("Transfer-Encoding: chunked"), b"4\r\nxxxx\r\n".repeat(4_096)),
            no_oauth,
            2,
        ),
        case(
            "endless header",
            Fault::Endless(head, b"X-More: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(512)),
            unreachable,
            2,
        ),
        case("noise in place of HTTP", Fault::Answer(vec![0xa5; 300]), unreachable, 2),
        page("302 to a portal", 302, "Location: http://portal.test/login\r\n", "", no_oauth),
        page("302 to an address that would answer", 307, "Location: /token\r\n", "", no_oauth),
        page("a page with HTTP 200", 200, "Content-Type: text/html\r\n", PORTAL, no_oauth),
        page("empty HTTP 200", 200, "", "", no_oauth),
        page(
            "JSON of something else",
            200,
            "Content-Type: application/json\r\n",
            r#"{"status":"ok"}"#,
            "answer_malformed",
        ),
        page("torn JSON", 200, "Content-Type: application/json\r\n", r#"{"access_token":"torn-acc"#, no_oauth),
        page("HTTP 403", 403, "Content-Type: text/html\r\n", "<h1>Forbidden</h1>", no_oauth),
        page("HTTP 407", 407, "Proxy-Authenticate: Basic\r\n", "", no_oauth),
        page("HTTP 421", 421, "", "Misdirected", no_oauth),
        page("HTTP 429", 429, "", "", "rate_limited"),
        page("HTTP 429 with Retry-After", 429, "Retry-After: 4\r\n", "", "rate_limited"),
        page("HTTP 500", 500, "", "oops", "provider_unavailable"),
        page("HTTP 503", 503, "Retry-After: 3\r\n", "", "provider_unavailable"),
        page("HTTP 511", 511, "Content-Type: text/html\r\n", PORTAL, no_oauth),
        tls("certificate of a stranger", Link::Stranger, "certificate"),
        tls("certificate that has expired", Link::Tls("", Made::LongAgo), "expired"),
        tls("certificate that is not valid yet", Link::Tls("", Made::InTheFuture), "clock"),
        tls("certificate for another host", Link::Tls("DNS:elsewhere.test", Made::Now), "is not for the name"),
        Case { fault: Some(Fault::Greeting(json(400, "{}"))), ..tls("no TLS where there should be", Link::Plain, "") },
    ]
}

/// One case under way.
struct Trial<'a> {
    case: Case,
    account: String,
    provider: Provider,
    bench: &'a Bench,
}

#[test]
fn no_fault_of_the_network_costs_a_sign_in_or_holds_up_another_account() {
    let mut bench = Bench::new();
    let (trusted, strange) = (bench.folder().join("trusted"), bench.folder().join("strange"));
    let (trusted, strange) = (Authority::make(&trusted), Authority::make(&strange));
    let steady = Provider::start("steady", 10);
    bench.account_at("steady", &steady);
    let mut under_way = Vec::new();
    for (number, case) in cases().into_iter().enumerate() {
        let account = format!("case-{number}");
        let provider = Provider::start(&account, 600);
        let (host, port) = (provider.address().ip().to_string(), provider.address().port());
        let own = format!("IP:{host}");
        let authority = format!("ca_file = \"{}\"", trusted.folder().join("ca.pem").display());
        match &case.link {
            Link::Plain if case.code != "tls_failed" => bench.account_at(&account, &provider),
            Link::Named => {
                bench.account(&account, &format!("http://{HOST}:{port}/token"), "allow_http = true");
                fs::write(bench.folder().join("hosts"), "127.0.0.1 localhost\n").unwrap();
            }
            _ => bench.account(&account, &format!("https://{}/token", provider.address()), &authority),
        }
        match &case.link {
            Link::Plain | Link::Named => {}
            Link::Stranger => provider.encrypt(server(&strange, &account, &own, Made::Now)),
            Link::Tls(for_host, made) => {
                let for_host = if for_host.is_empty() { &own } else { *for_host };
                provider.encrypt(server(&trusted, &account, for_host, *made));
            }
        }
        if let Some(fault) = case.fault.clone() {
            provider.inflict(fault);
        }
        under_way.push((case, account, provider));
    }
    let everybody = under_way.iter().map(|(_, account, provider)| (account.clone(), provider.refresh_token()));
    bench.sign_in(everybody.chain([("steady".to_owned(), steady.refresh_token())]), 600, 100);
    start_with_own_hosts(&mut bench);
    bench.subscriber.publish("oauth2mqtt/bridge/request/refresh", "steady");

    let rows: Vec<Row> = std::thread::scope(|scope| {
        let bench = &bench;
        let trusted = &trusted;
        let start =
            |(case, account, provider)| scope.spawn(move || Trial { case, account, provider, bench }.run(trusted));
        let threads: Vec<_> = under_way.into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for row in &rows {
        row.write();
    }
    let refreshes = steady.asked().len();
    let lapses = bench
        .subscriber
        .on("oauth2mqtt/steady/token")
        .iter()
        .filter(|token| token.json["access_token"].is_null())
        .count();
    assert_eq!(lapses, 0, "the account without faults was held up");
    assert!(refreshes >= 4, "{refreshes}");
    let peak = bench.memory("VmHWM") / 1024;
    Row::new("none, beside all of these in the same agent", refreshes)
        .remark(format!("no token lapsed; peak memory {peak} MiB"))
        .write();
}

/// The agent with a file of hosts that the test can change.
fn start_with_own_hosts(bench: &mut Bench) {
    let folder = bench.folder().display().to_string();
    fs::write(bench.folder().join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
    let script = format!(
        "mount --bind {folder}/hosts /etc/hosts && mount --bind {folder}/resolv.conf /etc/resolv.conf && exec \"$@\""
    );
    let mut command = bench.command(&["unshare", "--mount", "--map-root-user", "sh", "-c", &script, "sh"]);
    bench.start_by(&mut command);
}

impl Trial<'_> {
    fn run(self, trusted: &Authority<'_>) -> Row {
        let Self { case, account, provider, bench } = &self;
        let refresh_token = provider.refresh_token();
        // At a start it comes by itself, but spread over what the token is good for.
        bench.subscriber.publish("oauth2mqtt/bridge/request/refresh", account);
        let status = self.wait_for_status(|status| status["error"]["code"].is_string());
        assert_eq!(status["error"]["code"], case.code, "{}: {status}", case.name);
        let message = status["error"]["message"].as_str().unwrap();
        assert!(message.to_lowercase().contains(case.says), "{}: {message}", case.name);
        assert!(status["error"]["retry_at"].is_i64() && status["needs_user"] == false, "{}: {status}", case.name);
        wait_for(case.name, Duration::from_secs(60), || (provider.asked().len() >= case.meet).then_some(()));
        let met = provider.asked();

        self.end_of_fault(trusted);
        let over = unix_now();
        let good = access_token(account, 1);
        let token =
            bench.subscriber.wait_long(&format!("oauth2mqtt/{account}/token"), Duration::from_secs(60), |token| {
                token["access_token"] == good.as_str()
            });
        self.wait_for_status(|status| status["state"] == "active" && status["error"].is_null());
        let asked = provider.asked();
        let granted: Vec<_> = asked.iter().filter(|asked| asked.granted).collect();
        assert_eq!(granted.len(), 1, "{}: {asked:?}", case.name);
        assert_eq!(granted[0].presented.as_ref(), Some(&refresh_token), "{}", case.name);
        assert!(asked.len() <= met.len() + 2, "{}: more than one retry after the fault: {asked:?}", case.name);
        self.assert_pauses(&asked);
        let statuses = bench.subscriber.on(&format!("oauth2mqtt/{account}/status"));
        let users_asked = statuses.iter().filter(|status| status.json["needs_user"] == true).count();
        assert_eq!(users_asked, 0, "{}", case.name);
        Row::new(case.name, asked.len() - 1)
            .recovered_in(Duration::from_secs_f64((token.arrived_at - over).max(0.0)))
            .remark(format!("`{}`", case.code))
    }

    /// Between two requests there is at least the shortest pause, and no pause is twice the longest that there may be.
    fn assert_pauses(&self, asked: &[Asked]) {
        let times: Vec<_> = asked.iter().map(|asked| asked.at).collect();
        for (failures, pair) in (1..).zip(times.windows(2)) {
            let pause = pair[1] - pair[0];
            let least = policy::retry_wait(failures, None, policy::Jitter::new(0.0)).as_secs_f64();
            assert!(pause > least - 0.2, "{}: asked again after {pause} s: {times:?}", self.case.name);
        }
    }

    fn end_of_fault(&self, trusted: &Authority<'_>) {
        let host = self.provider.address().ip();
        match self.case.link {
            Link::Plain if self.case.code != "tls_failed" => {}
            Link::Named => {
                let hosts = self.bench.folder().join("hosts");
                fs::write(hosts, format!("127.0.0.1 localhost\n{host} {HOST}\n")).unwrap();
            }
            _ => self.provider.encrypt(server(
                trusted,
                &format!("{}-good", self.account),
                &format!("IP:{host}"),
                Made::Now,
            )),
        }
        self.provider.recover();
    }

    fn wait_for_status(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let topic = format!("oauth2mqtt/{}/status", self.account);
        let deadline = Deadline::within(Duration::from_secs(60));
        wait_for(&format!("a status of {}", self.case.name), Duration::from_secs(61), || {
            let latest = self.bench.subscriber.latest(&topic);
            let found = latest.as_ref().filter(|status| fits(&status.json)).map(|status| status.json.clone());
            assert!(found.is_some() || !deadline.has_passed(), "{}: {latest:?}", self.case.name);
            found
        })
    }
}
