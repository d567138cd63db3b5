//! The sign-in page in a real browser, and what it says to those who are no browser.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::support::clock::SOON;
use crate::support::visitor::play;
use crate::support::world::{Client, Setup, World, signs_in_by_browser};

fn address(world: &World) -> String {
    format!("http://127.0.0.1:{}/", world.page_port())
}

/// Sends these lines and returns everything that comes back before the end of the connection.
#[track_caller]
fn say(world: &World, lines: &[&str]) -> String {
    send(world, &format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")))
}

/// Sends a request and returns everything that comes back before the end of the connection.
#[track_caller]
fn send(world: &World, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", world.page_port())).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn somebody_signs_in_and_out_on_the_page_on_a_phone_and_a_desk_in_light_and_dark() {
    let world = Setup::new().page("").account("garden").start();
    play(&world, "page", &json!({ "page": address(&world), "account": "garden" }));
}

#[test]
fn the_page_can_be_used_by_everybody_on_every_screen_in_every_state_of_an_account() {
    let mut world = Setup::new()
        .page("")
        .account("attic")
        .account("cellar")
        .account("garden")
        .account_with("house", Client::Public, "scopes = [\"openid\"]")
        .account("orchard")
        .account_as("shed", "issuer = \"{issuer}\"\nclient_id = \"nobody\"")
        .account("yard")
        .another_provider()
        .token_life(10)
        .account("press-shop")
        .start();
    world.sign_in_at(1, "press-shop");
    world.kill_provider_at(1);
    for signed_in in ["cellar", "garden", "house", "yard"] {
        world.sign_in(signed_in);
    }
    let deny = |account: &str| {
        let code = world.login(account);
        world.oidc().deny(code["user_code"].as_str().unwrap());
        world.wait(account, "status", |status| status["error"]["code"] == "access_denied");
    };
    deny("yard");
    deny("orchard");
    world.login("garden");
    assert_eq!(world.subscriber.request("login", "shed")["code"], "invalid_client");
    world.wait("shed", "status", |status| status["error"]["code"] == "invalid_client");
    world.wait_for_state("press-shop", "expired");
    let shows = [
        "Signed out",
        "Somebody is signing in again",
        "only a new sign-in renews it",
        "A new sign-in failed, and the former one is kept",
        "need an administrator",
        "but the provider gives no token now",
    ];
    play(&world, "states", &json!({ "page": address(&world), "name": "states", "shows": shows, "opens": true }));

    world.broker.stop();
    let shows = ["There is no connection to the MQTT broker"];
    play(&world, "states", &json!({ "page": address(&world), "name": "states-without-broker", "shows": shows }));
}

#[test]
fn a_page_without_accounts_says_how_to_add_one() {
    let world = Setup::new().page("").start();
    let shows = ["There is no account yet"];
    play(&world, "states", &json!({ "page": address(&world), "name": "states-empty", "shows": shows }));
}

#[test]
fn an_address_that_the_browser_cannot_reach_is_pasted_into_the_page() {
    let settings = signs_in_by_browser("https://flows.example.com/oauth2/redirect");
    let world = Setup::new().page("").account_as("garden", &settings).start();
    play(&world, "redirect", &json!({ "page": address(&world), "account": "garden" }));
}

#[test]
fn behind_an_access_code_the_page_shows_nothing_until_it_is_entered() {
    let mut world = Setup::new().page("access_code_file = \"page.code\"").account("garden").without_agent();
    let code = "correct horse battery";
    std::fs::write(world.folder().join("page.code"), format!("{code}\n")).unwrap();
    world.start_agent();
    play(&world, "enter", &json!({ "page": address(&world), "account": "garden", "code": code }));
    assert!(!world.log_up_to_now().contains(code));
}

#[test]
fn the_page_is_only_there_when_it_is_wanted() {
    let world = Setup::new().account("garden").start();
    assert!(!world.log_up_to_now().contains("sign-in page"));
}

#[test]
fn a_page_that_cannot_listen_ends_nothing() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let lines = format!("listen = \"{}\"", taken.local_addr().unwrap());
    let world = Setup::new().page(&lines).account("garden").start();
    world.wait_for_log(&["the sign-in page cannot listen"]);
    world.sign_in("garden");
}

#[test]
fn a_site_that_pretends_to_be_the_device_gets_nothing() {
    let world = Setup::new().page("").account("garden").start();
    let host = format!("Host: 127.0.0.1:{}", world.page_port());
    let good = say(&world, &["GET / HTTP/1.1", &host]);
    assert!(good.starts_with("HTTP/1.1 200 ") && good.contains("account-garden"), "{good}");
    let rebound = say(&world, &["GET / HTTP/1.1", "Host: rebound.example"]);
    assert!(rebound.starts_with("HTTP/1.1 421 ") && !rebound.contains("garden"), "{rebound}");
    let press = "POST /accounts/garden/login HTTP/1.1";
    let forged = say(&world, &[press, &host, "Origin: http://evil.example", "Content-Length: 0"]);
    assert!(forged.starts_with("HTTP/1.1 403 "), "{forged}");
    assert!(world.subscriber.on("oauth2mqtt/garden/signin").iter().all(|sign_in| sign_in.json["pending"] == false));
}

#[test]
fn a_visitor_cannot_wear_the_agent_out() {
    let world = Setup::new().page("").account("garden").start();
    let host = format!("Host: 127.0.0.1:{}", world.page_port());
    let mut lines = vec!["GET / HTTP/1.1", &host];
    lines.extend(["X-Padding: x"; 100]);
    let large = say(&world, &lines);
    assert!(large.starts_with("HTTP/1.1 431 "), "{large}");
    // More connections that say nothing than the page has room for.
    let idle: Vec<_> = (0..64).map(|_| TcpStream::connect(("127.0.0.1", world.page_port())).unwrap()).collect();
    let good = say(&world, &["GET / HTTP/1.1", &host]);
    assert!(good.starts_with("HTTP/1.1 200 "), "{good}");
    world.sign_in("garden");
    assert_eq!(world.subscriber.request("status", "garden")["data"]["state"], "active");
    drop(idle);
}

#[test]
fn half_sent_forms_keep_nobody_out() {
    let mut world = Setup::new().page("access_code_file = \"page.code\"").account("garden").without_agent();
    std::fs::write(world.folder().join("page.code"), "correct horse battery\n").unwrap();
    world.start_agent();
    let host = format!("Host: 127.0.0.1:{}", world.page_port());
    let origin = format!("Origin: http://127.0.0.1:{}", world.page_port());
    let half = format!("POST /enter HTTP/1.1\r\n{host}\r\n{origin}\r\nContent-Length: 100\r\n\r\nc");
    // More than the page has room for. When the first request of each is answered, the half one after it has been read.
    let half_sent = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", world.page_port())).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET /page.css HTTP/1.1\r\n{host}\r\n\r\n{half}").unwrap();
        // Nothing comes back where there is no place.
        let _ = stream.read(&mut [0; 16]);
        stream
    };
    let connections: Vec<_> = (0..40).map(half_sent).collect();
    let entry = say(&world, &["GET / HTTP/1.1", &host]);
    assert!(entry.starts_with("HTTP/1.1 403 ") && entry.contains("name=\"code\""), "{entry}");
    let form = "code=correct+horse+battery";
    let head =
        format!("POST /enter HTTP/1.1\r\n{host}\r\n{origin}\r\nConnection: close\r\nContent-Length: {}", form.len());
    let entered = send(&world, &format!("{head}\r\n\r\n{form}"));
    assert!(entered.starts_with("HTTP/1.1 303 "), "{entered}");
    drop(connections);
}
