//! Each example flow, from import to result: the file as it is, in a real Node-RED.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_for, wait_until};
use crate::support::node_red::{NodeRed, example, set_env};
use crate::support::world::{Client, Setup, World};

/// An account that asks for what the examples need, beside further settings.
fn with_account(name: &str, more: &str) -> World {
    let scopes = "scopes = [\"openid\", \"email\", \"profile\", \"offline_access\"]";
    Setup::new().account_with(name, Client::Public, &format!("{scopes}\n{more}")).start()
}

/// Imports an example, with these properties of its tab set to paths of the provider.
#[track_caller]
fn import(world: &World, file: &str, paths: &[(&str, &str)]) -> NodeRed {
    let mut flows = example(file, world.broker.port());
    for (name, path) in paths {
        set_env(&mut flows, name, &format!("{}{path}", world.oidc().issuer()));
    }
    NodeRed::start(&world.folder().join("node-red"), &flows)
}

#[test]
fn the_google_profile_is_there_at_the_press_of_a_button() {
    let world = with_account("google", "");
    let node_red = import(&world, "google-profile.json", &[("USERINFO", "/me")]);
    node_red.press("get the profile");
    let told = node_red.wait_in_debug_pane("profile", 0, |_| true);
    assert_eq!(told, "Sign in first: oauth2mqtt login google");

    world.sign_in("google");
    // The token has reached the flow when it has reached a subscriber who came later.
    let profile = press_until(&node_red, "get the profile", "profile", Value::is_object);
    assert_eq!(
        profile,
        json!({ "name": "google", "email": "google@example.com", "picture": "https://people.example.com/google.png" })
    );
}

#[test]
fn the_drop_in_takes_the_place_of_the_oauth2_node() {
    let world = with_account("google", "");
    let node_red = import(&world, "oauth2-drop-in.json", &[("USERINFO", "/me")]);
    node_red.press("get the profile");
    let why = node_red.wait_in_debug_pane("why not", 0, |_| true);
    assert_eq!(why, "There is no token of google; sign in with: oauth2mqtt login google");

    world.sign_in("google");
    let profile = press_until(&node_red, "get the profile", "profile", |profile| profile["sub"] == "google");
    assert_eq!(profile["email"], "google@example.com");

    assert_eq!(world.subscriber.request("logout", "google")["status"], "ok");
    press_until(&node_red, "get the profile", "why not", Value::is_string);
}

#[test]
fn the_drop_in_shows_the_state_of_its_account_as_a_dot() {
    let mut world = with_account("plant", "");
    let mut flows = example("oauth2-drop-in.json", world.broker.port());
    let nodes = flows.as_array_mut().unwrap();
    let node = nodes.iter_mut().find(|node| node["type"].as_str().unwrap().starts_with("subflow:")).unwrap();
    // The one property, as a user sets it.
    node["env"] = json!([{ "name": "ACCOUNT", "value": "plant", "type": "str" }]);
    let (tab, instance) = (node["z"].clone(), node["id"].clone());
    nodes.extend([
        json!({ "id": "dot", "z": tab, "type": "status", "scope": [instance], "wires": [["dots"]] }),
        json!({ "id": "dots", "z": tab, "type": "debug", "name": "dot", "active": true, "tosidebar": true,
                "complete": "status.text", "targetType": "msg", "wires": [] }),
    ]);
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    node_red.wait_in_debug_pane("dot", 0, |text| text == "signed out");
    let code = world.login("plant");
    node_red.wait_in_debug_pane("dot", 0, |text| text == "waiting for approval");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    node_red.wait_in_debug_pane("dot", 0, |text| text == "signed in");
    // It may have shown that at its start, before it had heard of the agent.
    let before = node_red.shown_by("dot");
    world.stop_agent();
    node_red.wait_in_debug_pane("dot", before, |text| text == "no agent");
}

#[test]
fn what_an_api_says_when_it_refuses_is_shown() {
    let world = with_account("google", "");
    for (file, button, shown) in
        [("google-profile.json", "get the profile", "profile"), ("oauth2-drop-in.json", "get the profile", "profile")]
    {
        let mut flows = example(file, world.broker.port());
        set_env(&mut flows, "USERINFO", &format!("{}/me", world.oidc().issuer()));
        let node_red = NodeRed::start(&world.folder().join(file), &flows);
        world.sign_in("google");
        press_until(&node_red, button, shown, |profile| profile["email"].is_string());
        let body = json!({ "status": 403, "body": { "error": { "message": "The API is not enabled." } } });
        world.oidc().fault_at("userinfo", "json", 1, &body);
        let before = node_red.shown_by(shown);
        node_red.press(button);
        let told = node_red.wait_in_debug_pane(shown, before, Value::is_string);
        assert_eq!(told, "The API answered 403: {\"error\":{\"message\":\"The API is not enabled.\"}}");
    }
}

#[test]
fn the_drop_in_never_uses_the_token_of_the_account_that_it_had_before() {
    let settings = "scopes = [\"openid\", \"email\", \"profile\", \"offline_access\"]";
    let world = Setup::new()
        .account_with("google", Client::Public, settings)
        .account_with("plant", Client::Public, settings)
        .start();
    let mut flows = example("oauth2-drop-in.json", world.broker.port());
    set_env(&mut flows, "USERINFO", &format!("{}/me", world.oidc().issuer()));
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    world.sign_in("google");
    press_until(&node_red, "get the profile", "profile", |profile| profile["sub"] == "google");
    let nodes = flows.as_array_mut().unwrap();
    let node = nodes.iter_mut().find(|node| node["type"].as_str().unwrap().starts_with("subflow:")).unwrap();
    node["env"] = json!([{ "name": "ACCOUNT", "value": "plant", "type": "str" }]);
    let before = node_red.shown_by("profile");
    node_red.deploy(&flows);
    let told = press_until(&node_red, "get the profile", "why not", Value::is_string);
    assert_eq!(told, "There is no token of plant; sign in with: oauth2mqtt login plant");
    assert_eq!(node_red.shown_by("profile"), before);
}

#[test]
fn a_file_is_uploaded_as_drive_wants_it() {
    let world = with_account("google", "");
    let node_red = import(&world, "google-drive-upload.json", &[("UPLOAD", "/api/files?uploadType=multipart")]);
    node_red.press("write a file");
    node_red.wait_in_debug_pane("the file", 0, |told| told == "Sign in first: oauth2mqtt login google");
    world.sign_in("google");
    let answer = press_until(&node_red, "write a file", "the file", Value::is_object);
    assert_eq!(
        (&answer["sub"], &answer["content_type"]),
        (&json!("google"), &json!("multipart/related; boundary=part"))
    );
    let parts: Vec<_> = answer["body"].as_str().unwrap().split("--part").collect();
    assert_eq!(parts.len(), 4, "{answer}");
    assert_eq!(parts[1], "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\"name\":\"hello.txt\"}\r\n");
    assert!(parts[2].starts_with("\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nIt is 20"), "{answer}");
    assert_eq!(parts[3], "--\r\n");
}

#[test]
fn a_mail_is_sent_as_gmail_wants_it() {
    let world = with_account("gmail", "");
    let node_red = import(&world, "gmail-send.json", &[("SEND", "/api/messages/send")]);
    world.sign_in("gmail");
    let answer = press_until(&node_red, "send a mail", "what Gmail says", Value::is_object);
    assert_eq!((&answer["sub"], &answer["content_type"]), (&json!("gmail"), &json!("application/json")));
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let raw = base64url(body["raw"].as_str().unwrap());
    let (head, text) = raw.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("To: somebody@example.com\r\n"), "{raw}");
    assert!(head.contains("Subject: =?UTF-8?B?VGhlIHB1bXAgaXMgcnVubmluZw==?=\r\n"), "{raw}");
    assert_eq!(base64url(text), "It was started at 20 °C.");
}

#[test]
fn a_token_that_is_not_retained_is_had_on_demand() {
    let world = with_account("plant", "publish = \"on_request\"");
    let node_red = import(&world, "token-on-demand.json", &[("API", "/api/me")]);
    node_red.press("call the API");
    let why = node_red.wait_in_debug_pane("result", 0, Value::is_string);
    assert!(why.as_str().unwrap().starts_with("There is no valid token of plant"), "{why}");
    let code = world.login("plant");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "plant");
    world.wait_for_state("plant", "active");
    node_red.press("call the API");
    node_red.wait_in_debug_pane("result", 0, |result| result["sub"] == "plant");
    assert!(world.subscriber.on("oauth2mqtt/plant/token").iter().all(|message| message.access_token().is_none()));
}

#[test]
fn who_is_responsible_is_told_once_when_an_account_needs_somebody_or_cannot_refresh() {
    let mut world = Setup::new().token_life(6).account("garden").start();
    let mut flows = example("tell-me.json", world.broker.port());
    set_env(&mut flows, "PATIENCE", "3");
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    let told = |after, part: &str| {
        node_red.wait_in_debug_pane("tell me", after, |text| text.as_str().is_some_and(|text| text.contains(part)))
    };
    told(0, "garden needs somebody to sign in.");
    world.sign_in("garden");
    world.wait_for_state("garden", "active");
    let before = node_red.shown_by("tell me");
    world.kill_provider();
    let outage = world.wait("garden", "status", |status| status["error"].is_object()).json;
    let text = told(before, "garden cannot refresh its token.");
    assert!(text.as_str().unwrap().contains("network"), "{text}");
    // It goes on, and is told once: by the time of another try there is nothing new.
    let retried = |status: &Value| status["error"]["retry_at"].as_i64() > outage["error"]["retry_at"].as_i64();
    let again = world.wait_long("garden", "status", retried);
    world.wait_long("garden", "status", |status| status["error"]["retry_at"] != again["error"]["retry_at"]);
    assert_eq!((before, node_red.shown_by("tell me")), (1, 2), "{:?}", node_red.debug_pane());
}

#[test]
fn who_is_responsible_is_told_three_times_before_a_sign_in_ends_as_googles_in_testing_do() {
    let world = Setup::new().account_with("garden", Client::Public, "sign_in_lifetime = 30").start();
    let mut flows = example("tell-me.json", world.broker.port());
    let tab = flows.as_array().unwrap().iter().find(|node| node["type"] == "tab").unwrap();
    let ahead = tab["env"].as_array().unwrap().iter().find(|property| property["name"] == "AHEAD").unwrap();
    assert_eq!(ahead["value"], "[604800, 86400, 3600]", "a week, a day and an hour");
    set_env(&mut flows, "AHEAD", "[20, 12, 5]");
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    let told = || {
        let shown = node_red.debug_pane();
        let texts = shown.iter().filter_map(|shown| shown.value.as_str().map(str::to_owned));
        texts.filter(|text| text.starts_with("The sign-in of garden ends in ")).collect::<Vec<_>>()
    };
    world.sign_in("garden");
    let status = world.wait_for_state("garden", "active");
    assert!(status["sign_in_ends_at"].is_i64(), "{status}");
    let shown = world.cli(&["status"]).stdout;
    assert!(shown.contains("sign-in ends"), "{shown}");
    wait_until("the last warning", 2 * SOON, || told().len() == 3);
    let told = told();
    // Each within its own part of the time that is left, however busy the machine is.
    let left = |text: &str| text.split(' ').find_map(|word| word.parse::<u32>().ok());
    let parts = [13..=20, 6..=12, 0..=5];
    assert!(told.iter().zip(parts).all(|(text, part)| left(text).is_some_and(|left| part.contains(&left))), "{told:?}");
    assert!(
        told.iter().all(|text| text.ends_with("UTC. Sign in again before then: oauth2mqtt login garden")),
        "{told:?}"
    );
}

#[test]
fn every_example_is_whole_and_has_nothing_of_one_device_in_it() {
    let mut in_other_files: Vec<String> = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-red");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for file in files.filter(|file| file != "README.md") {
        assert!(list.contains(&format!("]({file})")), "the README does not list {file}");
        let flows = example(&file, 1883);
        let nodes = flows.as_array().unwrap();
        let ids: Vec<_> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
        assert!(nodes.iter().any(|node| node["type"] == "comment"), "{file} has no comment");
        let comment = nodes.iter().find(|node| node["type"] == "comment").unwrap()["name"].as_str().unwrap();
        let has_dashboard = nodes.iter().any(|node| node["type"] == "ui-base");
        assert_eq!(has_dashboard, comment.contains("@flowfuse/node-red-dashboard"), "{file}: {comment}");
        // What is there already is asked about at the import of a second file.
        let again = ids.iter().find(|id| in_other_files.iter().any(|other| other == *id));
        assert_eq!(again, None, "{file} shares a node with another file");
        in_other_files.extend(ids.iter().map(|id| (*id).to_owned()));
        for node in nodes {
            let wired = node["wires"].as_array().into_iter().flatten().flat_map(|wire| wire.as_array().unwrap());
            for id in wired.filter_map(Value::as_str).chain(node["z"].as_str()) {
                assert!(ids.contains(&id), "{file}: nothing has the id {id}");
            }
            assert!(node.get("credentials").is_none(), "{file}");
            let name = node["name"].as_str().unwrap_or_default();
            let is_http_call = node["type"] == "http request";
            assert!(!is_http_call || node["url"].as_str().unwrap().starts_with("${"), "{file}: {name}");
        }
        let text = flows.to_string();
        for secret in ["ya29.", "GOCSPX", "Bearer "] {
            assert!(!text.contains(secret), "{file}: {secret}");
        }
    }
}

/// Presses until the debug pane shows what is waited for: the flow gets its token when the broker gets to it.
#[track_caller]
fn press_until(node_red: &NodeRed, button: &str, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("what {button:?} shows"), 2 * SOON, || {
        let before = node_red.debug_pane().len();
        node_red.press(button);
        let shown = node_red.wait_for_next(before);
        (shown.name == name && fits(&shown.value)).then_some(shown.value)
    })
}

fn base64url(text: &str) -> String {
    use base64::Engine as _;
    use base64::alphabet::{STANDARD, URL_SAFE};
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let either = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['+', '/']) { STANDARD } else { URL_SAFE };
    let text: String = text.split_whitespace().collect();
    String::from_utf8(GeneralPurpose::new(&alphabet, either).decode(text).unwrap()).unwrap()
}
