//! What a flow can ask for besides a sign-in, and what it is told when it asks in vain.

use std::time::Duration;

use serde_json::json;

use crate::support::broker::Door;
use crate::support::clock::{SOON, unix_now, wait_until};
use crate::support::http::ask;
use crate::support::process::written_by;
use crate::support::world::{Client, Setup, World, signs_in_by_browser};

#[test]
fn the_token_of_a_shy_account_is_given_to_who_asks_and_to_nobody_else() {
    let world = Setup::new().account_with("garden", Client::Public, "publish = \"on_request\"").start();
    let before = world.subscriber.request("token", "garden");
    assert_eq!(before["status"], "error", "{before}");

    let code = world.login("garden");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("garden", "active");
    let answer = world.subscriber.request("token", r#"{"account":"garden","transaction":1}"#);
    assert_eq!((&answer["status"], &answer["transaction"]), (&json!("ok"), &json!(1)), "{answer}");
    let token = answer["data"]["access_token"].as_str().unwrap();
    assert_eq!(world.oidc().me(token).status, 200);
    assert_eq!(answer["data"]["authorization"], format!("Bearer {token}"));
    assert_eq!(answer["data"]["account"], "garden");
    assert!(answer["data"]["expires_at"].is_i64());
    assert!(world.subscriber.on("oauth2mqtt/garden/token").iter().all(|message| message.access_token().is_none()));

    let ended = world.cli(&["token", "garden"]);
    assert_eq!((ended.code(), ended.stdout.trim()), (0, token));
}

#[test]
fn a_token_that_is_published_anyway_is_not_given_on_request() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    let answer = world.subscriber.request("token", "garden");
    assert_eq!(answer["status"], "error", "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("oauth2mqtt/garden/token"), "{answer}");
}

#[test]
fn the_status_of_one_account_or_of_all_is_given_on_request() {
    let world = Setup::new().account("garden").account("house").start();
    world.sign_in("garden");
    let garden = world.wait_for_state("garden", "active");
    assert_eq!(world.subscriber.request("status", "garden")["data"], garden);
    let all = world.subscriber.request("status", "{}")["data"].clone();
    assert_eq!(all[0], garden);
    assert_eq!((&all[1]["account"], &all[1]["state"]), (&json!("house"), &json!("signed_out")));
}

#[test]
fn a_request_that_makes_no_sense_is_told_so() {
    let world = Setup::new().account("garden").start();
    let refused = |verb: &str, payload: &str| {
        let answer = world.subscriber.request(verb, payload);
        assert_eq!(answer["status"], "error", "{verb} {payload}: {answer}");
        assert!(answer.get("transaction").is_some(), "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    };
    assert!(refused("login", "orchard").contains("garden"));
    assert!(refused("refresh", "garden").contains("ogin"));
    refused("login", "{");
    refused("login", "");
    refused("login", r#"{"account":7}"#);
    refused("login", r#"{"account":"../garden"}"#);
    let answer = world.subscriber.request("logout", r#"{"account":"orchard","transaction":"t-1"}"#);
    assert_eq!(answer["transaction"], "t-1");
}

#[test]
fn many_requests_to_refresh_are_one_refresh() {
    let world = Setup::new().provider("latency_ms", json!([300, 300])).account("garden").start();
    world.sign_in("garden");
    world.refresh("garden");
    let before = world.oidc().refreshes().len();
    let pending: Vec<_> = (0..10).map(|_| world.subscriber.send_request("refresh", "garden")).collect();
    for request in &pending {
        assert_eq!(world.subscriber.response(request, SOON)["status"], "ok");
    }
    assert!(world.oidc().refreshes().len() <= before + 1);
}

#[test]
fn a_response_never_goes_to_the_agents_own_topics() {
    let world = Setup::new().account("garden").start();
    // The last of what the agent itself publishes at the beginning.
    world.wait("garden", "signin", |_| true);
    let mark = world.subscriber.mark();
    world.subscriber.send_request_to("oauth2mqtt/garden/token", "status", "garden");
    // The next request is answered after this one would have been.
    world.subscriber.request("status", "garden");
    let tokens = world.subscriber.since(mark);
    assert!(tokens.iter().all(|message| message.topic != "oauth2mqtt/garden/token"), "{tokens:?}");
}

#[test]
fn the_rights_of_the_agent_at_the_broker_say_where_a_response_may_go() {
    // Without a limit mosquitto 2.0 takes a refusal for one message too many, and ends the connection.
    let setup = Setup::new().door(Door::Password).broker("max_queued_messages 100000");
    let world = setup.account("garden").start();
    world.subscriber.send_request_to("factory/valve/set", "status", "garden");
    // The next request is answered after this one would have been.
    world.subscriber.request("status", "garden");
    assert!(world.subscriber.on("factory/valve/set").is_empty());
    let refused = |line: &str| line.contains("a response does not reach anybody") && line.contains("factory/valve/set");
    wait_until("word in the journal", SOON, || world.agent_log().lines().any(refused));
}

#[test]
fn signing_out_and_in_in_a_loop_does_not_wear_the_card_out() {
    let settings = "issuer = \"{issuer}\"\ngrant = \"client_credentials\"\nclient_id = \"machine +/:%41&=?\"\n\
                    client_secret_file = \"machine.secret\"\nclient_auth = \"client_secret_basic\"\nscopes = [\"measure\"]";
    let mut world = Setup::new().account_as("machine", settings).account("garden").start();
    world.wait_for_state("machine", "active");
    let agent = world.agent().pid();
    let written = || written_by(agent);
    let cycle = || {
        ["logout", "login"].map(|verb| {
            let answer = world.subscriber.request(verb, "machine");
            answer["code"].as_str().map(str::to_owned).unwrap_or_default()
        })
    };
    let started = unix_now();
    // The limit of `WRITING_REQUESTS`: sixty sign-ins of an account at once, and one more each minute.
    let minutes = || Duration::from_secs_f64(unix_now() - started).as_secs() / 60;
    let taken = (0..100).take_while(|_| cycle().iter().all(|code| code != "too_many_requests")).count() as u64;
    assert!((60..=60 + minutes()).contains(&taken), "{taken} cycles were taken");
    let before = written();
    let refused = (0..50).flat_map(|_| cycle()).filter(|code| code == "too_many_requests").count() as u64;
    let (written, minutes) = (written() - before, minutes());
    // Of the hundred, the ten sign-outs that `IDLE_SIGN_OUTS` allows are taken, and each minute one more of those and a
    // sign-in with the sign-out after it.
    assert!(refused >= 90 - 3 * minutes, "{refused} were refused in {minutes} minutes");
    // The ten write 80 kB, and room for twice as much. The sign-in of a minute and the sign-out after it write up to 1 MB.
    assert!(written < 240_000 + 1_000_000 * minutes, "{written} bytes were written in {minutes} minutes");
    let answer = world.subscriber.request("login", "machine");
    assert!(answer["error"].as_str().unwrap().contains(" is taken in "), "{answer}");
    // Other accounts do not suffer from it.
    assert_eq!(world.subscriber.request("login", "garden")["status"], "ok");
}

#[test]
fn a_verb_that_does_not_exist_is_answered_with_those_that_do() {
    let world = Setup::new().account("garden").start();
    let answer = world.subscriber.request("lgoin", r#"{"account":"garden","transaction":7}"#);
    assert_eq!((&answer["status"], &answer["code"]), (&json!("error"), &json!("unknown_verb")), "{answer}");
    assert_eq!(answer["transaction"], 7);
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains("lgoin") && error.contains("login, cancel"), "{error}");

    // Without a response topic the answer is where that of a verb would be.
    let mark = world.subscriber.mark();
    world.subscriber.publish("oauth2mqtt/bridge/request/lgoin", "garden");
    let answer = world.subscriber.wait_after(mark, "oauth2mqtt/bridge/response/lgoin", |_| true);
    assert_eq!(answer.json["code"], "unknown_verb", "{answer:?}");
}

#[test]
fn requests_that_make_no_sense_do_not_fill_the_journal() {
    let world = Setup::new().account("garden").start();
    let before = world.log_up_to_now().lines().count();
    for number in 0..1_000 {
        world.subscriber.publish(&format!("oauth2mqtt/bridge/request/verb-{number}"), "garden");
        if number % 50 == 0 {
            world.subscriber.request("status", "garden");
        }
    }
    let log = world.log_up_to_now();
    let lines = log.lines().skip(before).filter(|line| line.contains("verb") && !line.contains(" DEBUG ")).count();
    // Each is answered, which is enough.
    assert_eq!(lines, 0, "{log}");
}

#[test]
fn requests_to_reload_in_a_loop_are_refused_and_leave_sign_outs_alone() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    let before = world.log_up_to_now().lines().count();
    let started = unix_now();
    let answers: Vec<_> = (0..200).map(|_| world.subscriber.request("reload", "")).collect();
    let taken = answers.iter().filter(|answer| answer["status"] == "ok").count() as u64;
    // The limit of `RELOADS`: ten at once, and one more each ten seconds.
    let further = Duration::from_secs_f64(unix_now() - started).as_secs() / 10;
    assert!((10..=10 + further).contains(&taken), "{taken} were taken");
    assert_eq!(answers.last().unwrap()["code"], "too_many_requests");
    let written =
        world.log_up_to_now().lines().skip(before).filter(|line| line.contains("configuration")).count() as u64;
    assert!(written <= taken, "{written} lines about {taken} that were taken");
    let ended = world.cli(&["reload"]);
    assert_eq!(ended.code(), 75, "{ended:?}");
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
}

#[test]
fn a_client_that_cancels_in_a_loop_does_not_keep_others_from_signing_out_or_in() {
    let world = Setup::new().account("garden").account("house").start();
    world.sign_in("garden");
    let answers = "oauth2mqtt/bridge/response/flow";
    let mut codes = Vec::new();
    for verb in ["login", "cancel"].repeat(80) {
        let mark = world.subscriber.mark();
        world.subscriber.send_request_to(answers, verb, "garden");
        codes.push(world.subscriber.wait_after(mark, answers, |_| true).json["code"].clone());
    }
    let taken = codes.iter().filter(|code| code.is_null()).count();
    assert_eq!((taken, &codes[20]), (20, &json!("too_many_requests")), "{codes:?}");
    assert_eq!(world.login("garden")["pending"], true, "another client has its own part");
    let ended = world.cli(&["logout", "garden"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    world.wait_for_state("garden", "signed_out");
}

/// The topic of answers to requests to refresh that name none.
const REFRESHED: &str = "oauth2mqtt/bridge/response/refresh";

/// Sends so many requests to refresh an account whose provider does not answer. After the first, each joins the refresh that is
/// under way, for half a minute.
fn flood_with_refreshes(world: &World, account: &str, count: usize) {
    let hanging = || world.oidc().log().iter().filter(|request| request.fault.is_some()).count();
    let before = hanging();
    world.oidc().fault("hang", 1, &json!({}));
    for number in 0..count {
        world.subscriber.publish("oauth2mqtt/bridge/request/refresh", account);
        if number == 0 {
            wait_until("the refresh at the provider", SOON, || hanging() > before);
        } else if number % 50 == 0 {
            world.subscriber.request("status", account);
        }
    }
}

#[test]
fn requests_to_refresh_at_a_slow_provider_keep_nobody_from_signing_out() {
    let mut world = Setup::new().page("").account("garden").account("house").start();
    world.sign_in("garden");
    world.sign_in("house");
    // A request to refresh is not answered with a token that has just come.
    world.stop_agent();
    world.start_agent();
    world.wait_for_state("garden", "active");
    let mark = world.subscriber.mark();
    flood_with_refreshes(&world, "garden", 300);
    assert_eq!(world.subscriber.request("logout", "house")["status"], "ok");
    let (_, page) = ask(world.page_port(), "GET", "/", "", "");
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let head = format!("Origin: http://127.0.0.1:{}\r\nAccept: text/plain\r\n", world.page_port());
    let (status, said) = ask(world.page_port(), "POST", "/accounts/garden/logout", &head, &format!("token={token}"));
    assert_eq!((status, said.as_str()), (204, ""));
    world.wait_for_state("garden", "signed_out");

    let answers = || world.subscriber.since(mark).into_iter().filter(|answer| answer.topic == REFRESHED);
    wait_until("all answers", SOON, || answers().count() == 300);
    let with = |code: &str| answers().filter(|answer| answer.json["code"] == code).count();
    assert_eq!((with("signing_out"), with("busy")), (32, 300 - 32));
}

#[test]
fn requests_to_refresh_at_a_slow_provider_keep_nobody_from_completing_or_cancelling_a_sign_in() {
    let settings = signs_in_by_browser("https://flows.example.com/oauth2/redirect");
    let mut world = Setup::new().account_as("garden", &settings).account_as("house", &settings).start();
    let approved = |world: &World, account: &str| {
        let sign_in = world.login(account);
        let redirected_to = world.oidc().authorize(sign_in["verification_uri"].as_str().unwrap(), account);
        json!({ "account": account, "redirected_to": redirected_to }).to_string()
    };
    for account in ["garden", "house"] {
        assert_eq!(world.subscriber.request("complete", &approved(&world, account))["status"], "ok");
    }
    // A request to refresh is not answered with a token that has just come.
    world.stop_agent();
    world.start_agent();
    world.login("house");
    let approved = approved(&world, "garden");
    for account in ["garden", "house"] {
        let mark = world.subscriber.mark();
        flood_with_refreshes(&world, account, 40);
        world.subscriber.wait_after(mark, REFRESHED, |answer| answer["code"] == "busy");
    }
    assert_eq!(world.subscriber.request("cancel", "house")["status"], "ok");
    assert_eq!(world.subscriber.request("complete", &approved)["status"], "ok");
}
