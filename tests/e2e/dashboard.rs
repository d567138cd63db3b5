//! Flows with a dashboard, in a real browser.

use serde_json::json;

use crate::support::node_red::{NodeRed, example, set_env, together};
use crate::support::visitor::play;
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
fn a_group_of_the_dashboard_is_there_only_while_an_allowed_person_has_signed_in() {
    let settings =
        "scopes = [\"openid\", \"email\", \"offline_access\"]\nidentity = true\nallow = [\"ann@example.com\"]";
    let world = Setup::new().page("").account_with("operator", Client::Public, settings).start();
    let flows = example("only-these-people.json", world.broker.port());
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    play(
        &world,
        "operators",
        &json!({
            "page": at(world.page_port(), "/"),
            "dashboard": at(node_red.port(), "/dashboard/operator"),
            "editor": at(node_red.port(), "/admin"),
            "inject": node_red.id_of("inject", "a reading"),
            "account": "operator",
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
