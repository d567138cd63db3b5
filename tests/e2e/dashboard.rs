//! Flows with a dashboard, in a real browser.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::fleet::dashboard_flow;
use crate::support::broker::{Broker, Door};
use crate::support::clock::{SOON, wait_until};
use crate::support::node_red::{NodeRed, example, set_env, together};
use crate::support::subscriber::Subscriber;
use crate::support::visitor::{play, play_and_tell};
use crate::support::world::{Client, Setup, free_port, signs_in_by_browser};

fn at(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

#[test]
fn the_dashboard_the_page_and_the_flow_come_alive_together_and_go_together() {
    let scopes = "scopes = [\"openid\", \"email\", \"profile\", \"offline_access\"]";
    let world = Setup::new().page("").account_with("google", Client::Public, scopes).start();
    let mut profile = example("google-profile.json", world.broker.port());
    set_env(&mut profile, "USERINFO", &format!("{}/me", world.oidc().issuer()));
    let flows = together(&[profile, example("dashboard-sign-in.json", world.broker.port())]);
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    play(
        &world,
        "dashboard",
        &json!({
            "page": at(world.page_port(), "/"),
            "dashboard": at(node_red.port(), "/dashboard/sign-in"),
            "editor": at(node_red.port(), "/admin"),
            "account": "google",
        }),
    );
}

#[test]
fn a_browser_that_comes_back_to_the_instance_signs_the_device_in() {
    let node_red_port = free_port();
    let settings = signs_in_by_browser(&at(node_red_port, "/oauth2/redirect"));
    let world = Setup::new().page("").account_as("garden", &settings).start();
    let flows = example("redirect-relay.json", world.broker.port());
    let node_red = NodeRed::start_at(node_red_port, &world.folder().join("node-red"), &flows).unwrap();
    play(&world, "relay", &json!({ "page": at(world.page_port(), "/"), "account": "garden" }));
    drop(node_red);
}

/// What the bridge of the device of that number leaves at the centre.
fn left_at_the_centre(number: usize) -> Vec<(String, Value)> {
    let topic = |rest: &str| format!("fleet/device-{number:04}/{rest}");
    let state = state_of(number);
    let pending = state == "awaiting_user";
    let active = state == "active";
    // As long as a real one.
    let qr = format!("data:image/svg+xml;base64,{}", "PHN2Zy8+".repeat(1_000));
    vec![
        (topic("connected"), json!(u8::from(state != "offline"))),
        (topic("bridge/state"), json!({ "state": "online" })),
        (
            topic("plant/status"),
            json!({
                "account": "plant", "state": if state == "offline" { "active" } else { state }, "needs_user": !active,
                "declared": "mqtt", "sign_in_needed": false, "expires_at": 1_800_003_600, "next_refresh_at": 1_800_002_700,
                "last_refresh_at": 1_800_000_000, "signed_in_at": 1_790_000_000, "scope": "openid offline_access",
                "user": active.then_some("ann@example.com"), "error": null,
            }),
        ),
        (
            topic("plant/signin"),
            json!({
                "account": "plant", "pending": pending, "verification_uri": "https://id.example.com/device",
                "verification_uri_complete": "https://id.example.com/device?user_code=ABCD-EFGH",
                "user_code": pending.then_some("ABCD-EFGH"), "expires_at": 1_800_000_900, "qr": pending.then_some(qr),
            }),
        ),
    ]
}

fn state_of(number: usize) -> &'static str {
    [
        "active",
        "active",
        "active",
        "active",
        "active",
        "signed_out",
        "signed_out",
        "signed_out",
        "awaiting_user",
        "offline",
    ][number % 10]
}

#[test]
fn a_thousand_devices_are_found_and_signed_in_on_a_page_that_never_freezes() {
    let root = tempfile::tempdir().unwrap();
    let centre = Broker::start(&root.path().join("centre"), Door::Open);
    let operator = Subscriber::connect(centre.port());
    for (topic, payload) in (0..1_000).flat_map(left_at_the_centre) {
        operator.retain(&topic, &payload.to_string());
    }
    operator.wait("fleet/device-0999/plant/signin", |signin| signin["account"] == "plant");

    let node_red = NodeRed::start(&root.path().join("node-red"), &dashboard_flow(centre.port()));
    let mut counts = serde_json::Map::new();
    for state in (0..1_000).map(state_of) {
        let count = counts.get(state).and_then(Value::as_u64).unwrap_or_default();
        counts.insert(state.to_owned(), json!(count + 1));
    }
    let scene = json!({ "dashboard": at(node_red.port(), "/dashboard/fleet"), "states": counts });
    let logins = || {
        let messages = operator.messages().into_iter();
        messages.filter(|message| message.topic.ends_with("/bridge/request/login")).map(|message| message.topic)
    };
    let told = std::thread::scope(|scope| {
        let scene = scope.spawn(|| play_and_tell(root.path(), "thousand", &scene).1);
        wait_until("the press of a button", 5 * SOON, || scene.is_finished() || logins().count() > 0);
        for number in 0..1_000 {
            operator.retain(&format!("fleet/device-{number:04}/connected"), "1");
        }
        for (number, state) in ["active", "awaiting_user", "expired"]
            .into_iter()
            .flat_map(|state| (0..1_000).map(move |number| (number, state)))
        {
            let status = json!({ "account": "plant", "state": state, "next_refresh_at": 1_800_000_000 + number });
            operator.retain(&format!("fleet/device-{number:04}/plant/status"), &status.to_string());
        }
        scene.join().unwrap()
    });

    // One press, one request to each device that is signed out.
    wait_until("all requests", SOON, || logins().count() >= 300);
    assert_eq!(logins().count(), 300);
    assert_eq!(logins().collect::<HashSet<_>>().len(), 300);
    let memory = node_red.most_memory();
    eprintln!("{told}Node-RED: {memory} kB");
    assert!(memory < 250_000, "{memory}");
}
