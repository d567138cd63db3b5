//! The authorization code grant on a device without a browser: the user approves elsewhere, and the address that the
//! browser is sent back to finds its way to the device.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use serde_json::{Value, json};
use url::Url;

use crate::support::broker::{free_ports, listen_anywhere};
use crate::support::clock::{SOON, wait_for, wait_until};
use crate::support::keyboard::at_terminal;
use crate::support::process::Process;
use crate::support::server::Kind;
use crate::support::world::{Setup, World, binary};

/// An account whose browser is sent back to `redirect_uri`.
fn account(client: &str, redirect_uri: &str) -> String {
    format!(
        "issuer = \"{{issuer}}\"\ngrant = \"authorization_code\"\nclient_id = \"{client}\"\n\
         scopes = [\"openid\", \"offline_access\"]\nparams = {{ prompt = \"consent\" }}\nredirect_uri = \"{redirect_uri}\""
    )
}

/// The browser is sent back to a page that somebody else has.
const ELSEWHERE: &str = "https://flows.example.com/oauth2/redirect";

fn elsewhere() -> World {
    Setup::new().account_as("garden", &account("code-public", ELSEWHERE)).start()
}

/// The address that the user opens.
fn address(sign_in: &Value) -> String {
    sign_in["verification_uri"].as_str().unwrap().to_owned()
}

/// Passes on where the browser was sent back to, as a flow does.
fn complete(world: &World, redirected_to: &str) -> Value {
    let request = json!({ "account": "garden", "redirected_to": redirected_to, "transaction": 7 });
    world.subscriber.request("complete", &request.to_string())
}

/// Somebody's token is there, and is good.
#[track_caller]
fn signed_in_as(world: &World, login: &str) {
    let token = world.wait("garden", "token", |token| token["access_token"].is_string());
    assert_eq!(world.oidc().me(token.access_token().unwrap()).body["sub"], login);
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);
    assert_eq!(world.wait_for_state("garden", "active")["error"], json!(null));
}

#[test]
fn what_is_shown_is_one_address_to_open_and_where_the_browser_comes_back_to() {
    let world = elsewhere();
    let shown = world.login("garden");
    assert_eq!(shown["verification_uri"], shown["verification_uri_complete"]);
    assert_eq!((&shown["user_code"], &shown["redirect_uri"]), (&json!(null), &json!(ELSEWHERE)));
    assert!(shown["expires_at"].is_i64() && shown["qr"].is_string(), "{shown}");
    assert_eq!(world.wait_for_state("garden", "awaiting_user")["grant"], "authorization_code");
}

#[test]
fn a_request_to_authorize_is_as_the_standards_want_it_and_no_two_are_alike() {
    let world = elsewhere();
    let (mut states, mut challenges) = (HashSet::new(), HashSet::new());
    for _ in 0..2 {
        let address = Url::parse(&address(&world.login("garden"))).unwrap();
        assert!(address.as_str().starts_with(&format!("{}/auth?", world.oidc().issuer())));
        let query: std::collections::HashMap<_, _> = address.query_pairs().into_owned().collect();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "code-public"),
            ("redirect_uri", ELSEWHERE),
            ("scope", "openid offline_access"),
            ("code_challenge_method", "S256"),
            ("prompt", "consent"),
        ] {
            assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
        }
        // 256 bits, in base64 without padding (RFC 7636 4.2); the state is as hard to guess.
        assert_eq!(query["code_challenge"].len(), 43);
        assert!(query["state"].len() >= 22, "{}", query["state"]);
        assert!(!query.contains_key("client_secret") && !query.contains_key("code_verifier"));
        states.insert(query["state"].clone());
        challenges.insert(query["code_challenge"].clone());
        assert_eq!(world.cli(&["cancel", "garden"]).code(), 0);
    }
    assert_eq!((states.len(), challenges.len()), (2, 2));
}

#[test]
fn a_browser_on_the_device_comes_back_by_itself_and_nobody_listens_before_or_after() {
    let (port, _) = free_ports();
    let redirect_uri = format!("http://127.0.0.1:{port}/oauth2/redirect");
    let world = Setup::new().account_as("garden", &account("code-public", &redirect_uri)).start();
    let is_open = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(!is_open(), "somebody listens although nobody signs in");
    let sign_in = world.login("garden");
    wait_until("the listener", SOON, is_open);
    let shown = world.oidc().authorize_here(&address(&sign_in), "ann");
    assert_eq!(shown.status, 200, "{}", shown.html);
    assert!(shown.headers["content-type"].as_str().unwrap().starts_with("text/html"), "{}", shown.headers);
    signed_in_as(&world, "ann");
    wait_until("the end of the listener", SOON, || !is_open());
    assert_eq!(world.refresh("garden")["status"], "ok");
}

#[test]
fn the_service_manager_keeps_the_port_for_a_browser_that_comes_back() {
    let (port, _) = free_ports();
    let redirect_uri = format!("http://127.0.0.1:{port}/oauth2/redirect");
    let mut world = Setup::new().account_as("garden", &account("code-public", &redirect_uri)).without_agent();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &format!("127.0.0.1:{port}")]).arg(binary()).arg("--config").arg(world.config());
    command.args(["--log", "trace", "run"]);
    // It starts the agent when somebody comes.
    let caller =
        std::thread::spawn(move || wait_for("the port", SOON, || TcpStream::connect(("127.0.0.1", port)).ok()));
    world.start_agent_by(command);
    drop(caller.join().unwrap());
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "the port is free for anybody");
    let sign_in = world.login("garden");
    let shown = world.oidc().authorize_here(&address(&sign_in), "ann");
    assert_eq!(shown.status, 200, "{}", shown.html);
    signed_in_as(&world, "ann");
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "the port is free for anybody");
    let log = world.log_up_to_now();
    assert!(!log.contains("cannot listen"), "{log}");
}

#[test]
fn a_redirect_port_that_somebody_holds_is_told_by_login_and_status_until_it_is_free() {
    let holder = listen_anywhere(Ipv4Addr::LOCALHOST);
    let place = holder.local_addr().unwrap().to_string();
    let world =
        Setup::new().account_as("garden", &account("code-public", &format!("http://{place}/oauth2/redirect"))).start();
    let told = |text: &str| {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.contains(&format!("cannot listen on {place} (a program of "))
            && line.contains("oauth2mqtt login garden")
            && line.contains("another port in redirect_uri")
            && line.contains("oauth2mqtt-redirect.socket")
    };
    let login = ["login", "garden"];
    let mut process = Process::start_with_input("oauth2mqtt login", &mut world.command(&login));
    wait_until("the warning of login", SOON, || told(&process.stdout()));
    let status = world.cli(&["status"]);
    assert!(told(&status.stdout), "{status:?}");
    let sign_in = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    // Whoever asks again after the port is free finds it listened on.
    drop(holder);
    let status = world.cli(&["status"]);
    assert!(!told(&status.stdout), "{status:?}");
    let status = world.wait("garden", "status", |status| {
        !status["warnings"].as_array().unwrap().iter().any(|text| told(text.as_str().unwrap()))
    });
    assert_eq!(status.json["state"], "awaiting_user");
    assert!(TcpStream::connect(&place).is_ok(), "nobody listens");
    process.write_line(&world.oidc().authorize(&address(&sign_in), "ann"));
    let ended = world.finish(process, &login);
    assert_eq!((ended.code(), ended.stdout.matches("cannot listen").count()), (0, 1), "{ended:?}");
    signed_in_as(&world, "ann");
}

#[test]
fn accounts_that_are_signed_in_are_warned_of_a_redirect_port_that_somebody_holds_while_they_sign_in_anew() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let redirect_uri = format!("http://{}/oauth2/redirect", holder.local_addr().unwrap());
    let accounts = ["garden", "house"];
    let world = accounts
        .iter()
        .fold(Setup::new(), |setup, name| setup.account_as(name, &account("code-public", &redirect_uri)))
        .start();
    let warnings = |name: &str, state: &str, number: usize| {
        world.wait(name, "status", |status| {
            status["state"] == state && status["warnings"].as_array().unwrap().len() == number
        });
    };
    for name in accounts {
        let redirected_to = world.oidc().authorize(&address(&world.login(name)), "ann");
        let request = json!({ "account": name, "redirected_to": redirected_to });
        assert_eq!(world.subscriber.request("complete", &request.to_string())["status"], "ok");
        warnings(name, "active", 0);
    }
    for name in accounts {
        world.login(name);
        warnings(name, "active", 1);
    }
    for name in accounts {
        assert_eq!(world.subscriber.request("cancel", name)["status"], "ok");
        warnings(name, "active", 0);
    }
}

#[test]
fn the_address_is_pasted_into_the_command_that_waits_for_it() {
    let world = elsewhere();
    let login = ["login", "garden"];
    let mut process = Process::start_with_input("oauth2mqtt login", &mut world.command(&login));
    let sign_in = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    wait_until("the addresses on the terminal", SOON, || {
        [&address(&sign_in), ELSEWHERE].iter().all(|address| process.stdout().contains(*address))
    });
    process.write_line("https://flows.example.com/oauth2/redirect?error=what&state=another");
    wait_until("a word about the wrong address", SOON, || process.stdout().contains("Not yet"));
    process.write_line(&world.oidc().authorize(&address(&sign_in), "ann"));
    let ended = world.finish(process, &login);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("Signed in"), "{}", ended.stdout);
    signed_in_as(&world, "ann");
}

#[test]
fn an_address_longer_than_a_terminal_edits_is_pasted_whole() {
    let world = elsewhere();
    let mut process = Process::start_with_input("login", &mut at_terminal(&world, 200, "login garden"));
    let sign_in = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    wait_until("the address on the terminal", SOON, || process.stdout().contains(ELSEWHERE));
    let redirected_to = world.oidc().authorize(&address(&sign_in), "ann");
    let (before, query) = redirected_to.split_once('?').unwrap();
    process.write_line(&format!("{before}?long={}&{query}", "x".repeat(5_000)));
    wait_until("the end of the sign-in", SOON, || process.stdout().contains("Signed in"));
    signed_in_as(&world, "ann");
}

#[test]
fn the_address_is_given_to_a_command_of_its_own() {
    let world = elsewhere();
    let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
    let arguments = ["complete", "garden"];
    let mut process = Process::start_with_input("oauth2mqtt complete", &mut world.command(&arguments));
    process.write_line(&redirected_to);
    let ended = world.finish(process, &arguments);
    assert_eq!(ended.code(), 0, "{ended:?}");
    signed_in_as(&world, "ann");
}

#[test]
fn a_flow_passes_the_address_on_by_a_request() {
    let world = elsewhere();
    let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
    let answer = complete(&world, &redirected_to);
    assert_eq!((&answer["status"], &answer["transaction"]), (&json!("ok"), &json!(7)), "{answer}");
    signed_in_as(&world, "ann");
    assert_eq!(world.refresh("garden")["status"], "ok");
}

#[test]
fn the_query_alone_is_enough_and_so_is_the_bare_address_without_the_name_of_the_account() {
    for bare in [false, true] {
        let world = elsewhere();
        let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
        let query = redirected_to.split_once('?').unwrap().1;
        let payload = if bare { redirected_to.clone() } else { json!({ "redirected_to": query }).to_string() };
        let answer = world.subscriber.request("complete", &payload);
        assert_eq!(answer["status"], "ok", "{answer}");
        signed_in_as(&world, "ann");
    }
}

#[test]
fn a_client_with_a_secret_shows_it_when_it_exchanges_the_code() {
    let settings = account("code-post", ELSEWHERE) + "\nclient_secret_file = \"code-post.secret\"";
    let world = Setup::new().account_as("garden", &settings).start();
    let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
    assert_eq!(complete(&world, &redirected_to)["status"], "ok");
    signed_in_as(&world, "ann");
    assert_eq!(world.oidc().log()[0].client_id.as_deref(), Some("code-post"));
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
}

#[test]
fn a_users_no_comes_back_by_the_browser_too() {
    let world = elsewhere();
    let redirected_to = world.oidc().decline(&address(&world.login("garden")));
    let answer = complete(&world, &redirected_to);
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("access_denied")), "{answer}");
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "access_denied").json;
    assert_eq!(status["state"], "signed_out");
    assert!(world.oidc().log().is_empty(), "the token endpoint was asked without a code");
}

/// The redirected address with another value for one of its parameters, or without it.
fn changed(address: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(address).unwrap();
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    pairs.retain(|(other, _)| other != name);
    pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

#[test]
fn an_address_that_belongs_to_another_sign_in_changes_nothing() {
    let world = elsewhere();
    let sign_in = world.login("garden");
    let redirected_to = world.oidc().authorize(&address(&sign_in), "ann");
    for foreign in [
        changed(&redirected_to, "state", Some("the-state-of-somebody-else")),
        changed(&redirected_to, "state", None),
        changed(&redirected_to, "code", None),
        // Another server's answer, which would have this one's code sent to it (RFC 9207 2.4).
        changed(&redirected_to, "iss", Some("https://evil.example")),
        changed(&redirected_to, "iss", None),
        "https://flows.example.com/oauth2/redirect".to_owned(),
        "no address at all".to_owned(),
    ] {
        let answer = complete(&world, &foreign);
        assert_eq!(answer["status"], "error", "{foreign}: {answer}");
    }
    assert!(world.oidc().log().is_empty(), "a code was sent although the address was not ours");
    assert_eq!(world.wait("garden", "signin", |_| true).json["verification_uri"], sign_in["verification_uri"]);
    assert_eq!(complete(&world, &redirected_to)["status"], "ok");
    signed_in_as(&world, "ann");
}

#[test]
fn an_address_is_good_once() {
    let world = elsewhere();
    let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
    assert_eq!(complete(&world, &redirected_to)["status"], "ok");
    signed_in_as(&world, "ann");
    assert_eq!(complete(&world, &redirected_to)["status"], "error");
    world.login("garden");
    assert_eq!(complete(&world, &redirected_to)["status"], "error");
    assert_eq!(world.oidc().log().len(), 1);
}

#[test]
fn a_sign_in_that_waits_for_the_browser_survives_a_power_cut() {
    let mut world = elsewhere();
    let sign_in = world.login("garden");
    world.kill_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    let again = world.subscriber.wait_after(mark, "oauth2mqtt/garden/signin", |_| true).json;
    assert_eq!(again, sign_in);
    let redirected_to = world.oidc().authorize(&address(&sign_in), "ann");
    assert_eq!(complete(&world, &redirected_to)["status"], "ok");
    signed_in_as(&world, "ann");
}

#[test]
fn the_code_is_exchanged_although_the_provider_is_away_for_a_moment() {
    let world = elsewhere();
    let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
    world.oidc().fault("status", 1, &json!({ "status": 503 }));
    assert_eq!(complete(&world, &redirected_to)["status"], "ok");
    signed_in_as(&world, "ann");
}

#[test]
fn what_the_code_is_exchanged_with_is_what_it_was_asked_for_with() {
    let world = Setup::on(Kind::Fake)
        .account_as(
            "garden",
            "issuer = \"{issuer}\"\ngrant = \"authorization_code\"\nclient_id = \"gateway\"\nscopes = [\"read\"]\n\
             redirect_uri = \"https://flows.example.com/oauth2/redirect\"",
        )
        .start();
    let redirected_to = world.oidc().authorize(&address(&world.login("garden")), "ann");
    assert_eq!(complete(&world, &redirected_to)["status"], "ok");
    world.wait_for_state("garden", "active");
    let asked = world.oidc().seen("plain", "token").remove(0);
    let mut names: Vec<_> = asked.params.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "code", "code_verifier", "grant_type", "redirect_uri"]);
    assert_eq!(asked.params["redirect_uri"], ELSEWHERE);
    assert_eq!((asked.method.as_str(), asked.query.as_str()), ("POST", ""));
}
