//! Every message is to the letter what flows were promised.

use serde_json::{Value, json};

use crate::support::clock::unix_now;
use crate::support::subscriber::{Message, Subscriber};
use crate::support::world::{Setup, World};

/// The members of an object, in their order.
fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

const TOKEN: [&str; 8] =
    ["access_token", "account", "authorization", "expires_at", "extra", "scope", "token", "token_type"];
const STATUS: [&str; 18] = [
    "account",
    "declared",
    "error",
    "expires_at",
    "extra",
    "grant",
    "last_refresh_at",
    "needs_user",
    "next_refresh_at",
    "scope",
    "sign_in_ends_at",
    "sign_in_needed",
    "signed_in_at",
    "state",
    "tokens",
    "user",
    "user_changed_at",
    "warnings",
];
const SIGN_IN: [&str; 8] = [
    "account",
    "expires_at",
    "pending",
    "qr",
    "redirect_uri",
    "user_code",
    "verification_uri",
    "verification_uri_complete",
];

fn sorted(mut keys: Vec<&str>) -> Vec<&str> {
    keys.sort_unstable();
    keys
}

/// Whether a time is a whole Unix time near the present.
fn is_time(value: &Value) -> bool {
    value.is_i64() && value.as_f64().is_some_and(|seconds| (seconds - unix_now()).abs() < 86_400.0)
}

#[track_caller]
fn assert_is_json_message(message: &Message) {
    assert_eq!(message.content_type.as_deref(), Some("application/json"), "{message:?}");
    assert_eq!(message.qos, 1, "{message:?}");
    assert!(message.json.is_object(), "{message:?}");
}

/// A subscriber that comes late, so that it sees what the broker keeps.
fn late(world: &World) -> Subscriber {
    Subscriber::connect(world.broker.port())
}

#[test]
fn every_topic_of_a_signed_out_account_is_there_with_every_key() {
    let world = Setup::new().account("garden").start();
    world.wait_for_state("garden", "signed_out");
    let late = late(&world);
    let token = late.wait("oauth2mqtt/garden/token", |_| true);
    let status = late.wait("oauth2mqtt/garden/status", |_| true);
    let sign_in = late.wait("oauth2mqtt/garden/signin", |_| true);
    for message in [&token, &status, &sign_in] {
        assert!(message.retained, "{message:?}");
        assert_is_json_message(message);
    }
    assert_eq!(
        token.json,
        json!({ "account": "garden", "token": null, "access_token": null, "token_type": "Bearer", "authorization": null,
                "expires_at": null, "scope": null, "extra": {} })
    );
    // On a device whose temporary folder is in memory it has one.
    assert!(status.json["warnings"].is_array(), "{}", status.json);
    assert_eq!(
        status.json,
        json!({ "account": "garden", "state": "signed_out", "needs_user": true, "expires_at": null,
                "next_refresh_at": null, "last_refresh_at": null, "scope": null, "grant": "device_code",
                "signed_in_at": null, "sign_in_ends_at": null, "extra": [], "user": null, "user_changed_at": null, "declared": "file", "sign_in_needed": false, "tokens": [],
                "warnings": status.json["warnings"], "error": null })
    );
    assert_eq!(
        sign_in.json,
        json!({ "account": "garden", "pending": false, "verification_uri": null, "verification_uri_complete": null,
                "user_code": null, "redirect_uri": null, "expires_at": null, "qr": null })
    );
}

#[test]
fn a_pending_sign_in_has_everything_that_a_page_needs() {
    let world = Setup::new().account("garden").start();
    world.login("garden");
    let late = late(&world);
    let message = late.wait("oauth2mqtt/garden/signin", |sign_in| sign_in["pending"] == true);
    assert!(message.retained);
    assert_is_json_message(&message);
    let sign_in = &message.json;
    assert_eq!(sorted(keys(sign_in)), SIGN_IN);
    let issuer = world.oidc().issuer();
    let user_code = sign_in["user_code"].as_str().unwrap();
    assert_eq!(sign_in["verification_uri"], format!("{issuer}/device"));
    assert_eq!(sign_in["verification_uri_complete"], format!("{issuer}/device?user_code={user_code}"));
    assert!(is_time(&sign_in["expires_at"]));
    assert!(sign_in["qr"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));
    let status = late.wait("oauth2mqtt/garden/status", |status| status["state"] == "awaiting_user");
    assert_eq!(sorted(keys(&status.json)), STATUS);
}

#[test]
fn a_token_is_ready_for_a_header_and_the_broker_forgets_it_in_time() {
    let world = Setup::new().token_life(60).account("garden").start();
    let token = world.sign_in("garden");
    assert_is_json_message(&token);
    assert_eq!(sorted(keys(&token.json)), TOKEN);
    assert_eq!(token.json["account"], "garden");
    assert_eq!(token.json["token_type"], "Bearer");
    assert_eq!(token.json["authorization"], format!("Bearer {}", token.access_token().unwrap()));
    assert_eq!(token.json["scope"], "openid offline_access");
    let left = token.json["expires_at"].as_f64().unwrap() - token.arrived_at;
    assert!((50.0..=60.0).contains(&left), "{left}");
    // The margin is a tenth of the life: the broker keeps the token for 54 s, less what has passed.
    assert!((45..=54).contains(&token.expiry.unwrap()), "{token:?}");

    let status = world.wait_for_state("garden", "active");
    assert_eq!(sorted(keys(&status)), STATUS);
    assert_eq!(status["needs_user"], false);
    assert_eq!(status["expires_at"], token.json["expires_at"]);
    assert_eq!(status["scope"], token.json["scope"]);
    let next = status["next_refresh_at"].as_f64().unwrap() - token.arrived_at;
    assert!((40.0..=49.0).contains(&next), "refreshed after {next} s");
    assert_eq!(status["grant"], "device_code");
    assert!(is_time(&status["signed_in_at"]) && status["user_changed_at"].is_null());
    assert!(status["user"].is_null(), "who signed in is nobody's business unless the account says so");
    assert!(status["error"].is_null());
}

#[test]
fn a_refresh_shows_in_the_status() {
    let world = Setup::new().account("garden").start();
    world.sign_in("garden");
    assert!(world.wait_for_state("garden", "active")["last_refresh_at"].is_null());
    let answer = world.refresh("garden");
    assert_eq!(answer["status"], "ok", "{answer}");
    assert_eq!(sorted(keys(&answer["data"])), STATUS);
    let status = world.wait("garden", "status", |status| is_time(&status["last_refresh_at"])).json;
    assert_eq!(answer["data"], status);
}

#[test]
fn the_bridge_says_what_it_is_and_which_accounts_it_has() {
    let world = Setup::new().account("garden").account("house").start();
    let late = late(&world);
    let state = late.wait("oauth2mqtt/bridge/state", |_| true);
    assert_is_json_message(&state);
    assert!(state.retained);
    assert_eq!(state.json, json!({ "state": "online" }));
    let info = late.wait("oauth2mqtt/bridge/info", |_| true);
    assert_is_json_message(&info);
    assert!(info.retained);
    assert_eq!(sorted(keys(&info.json)), ["accounts", "started_at", "version"]);
    assert_eq!(info.json["version"], env!("CARGO_PKG_VERSION"));
    assert!(is_time(&info.json["started_at"]));
    let account = |name| json!({ "name": name, "provider": "127.0.0.1", "grant": "device_code", "scopes": ["openid", "offline_access"], "publish": "retained", "tokens": [] });
    assert_eq!(info.json["accounts"], json!([account("garden"), account("house")]));
}

#[test]
fn the_broker_says_that_the_agent_is_gone_whichever_way_it_went() {
    let mut world = Setup::new().account("garden").start();
    let offline = |message: &Value| *message == json!({ "state": "offline" });
    let mark = world.subscriber.mark();
    world.kill_agent();
    let will = world.subscriber.wait_after(mark, "oauth2mqtt/bridge/state", offline);
    assert_is_json_message(&will);

    world.start_agent();
    let mark = world.subscriber.mark();
    assert_eq!(world.stop_agent().code(), 0);
    let farewell = world.subscriber.wait_after(mark, "oauth2mqtt/bridge/state", offline);
    assert_is_json_message(&farewell);
    let kept = late(&world).wait("oauth2mqtt/bridge/state", |_| true);
    assert!(kept.retained && offline(&kept.json), "{kept:?}");
}
