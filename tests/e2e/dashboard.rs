//! Flows with a dashboard, in a real browser.

use serde_json::json;

use crate::support::node_red::{NodeRed, example, set_env, together};
use crate::support::visitor::play;
use crate::support::world::{Client, Setup};

#[test]
fn the_dashboard_the_page_and_the_flow_come_alive_together_and_go_together() {
    let scopes = "scopes = [\"openid\", \"email\", \"profile\", \"offline_access\"]";
    let world = Setup::new().page("").account_with("google", Client::Public, scopes).start();
    let mut profile = example("google-profile.json", world.broker.port());
    set_env(&mut profile, "USERINFO", &format!("{}/me", world.oidc().issuer()));
    let flows = together(&[profile, example("dashboard-sign-in.json", world.broker.port())]);
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);
    let at = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
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
