//! The pictures of the README and of the gate: `tests/pictures` puts them there.

use serde_json::json;

use crate::gate_dashboard::flow;
use crate::support::clock::{SOON, wait_until};
use crate::support::gate::Gate;
use crate::support::keyboard::{at_terminal, counts_down};
use crate::support::node_red::{NodeRed, example, set_env, together};
use crate::support::process::Process;
use crate::support::visitor::{play, play_in};
use crate::support::world::{Setup, free_port};

#[test]
fn the_pictures_of_the_readme_show_what_there_is() {
    // Addresses as people have them, in place of those of this machine.
    let world = Setup::new()
        .provider("shown_as", "https://www.google.com")
        .token_life(3_599)
        .page("")
        .account_like("google", "google")
        .start();
    let mut profile = example("google-profile.json", world.broker.port());
    set_env(&mut profile, "USERINFO", &format!("{}/me", world.oidc().issuer()));
    let flows = together(&[profile, example("dashboard-sign-in.json", world.broker.port())]);
    let node_red = NodeRed::start(&world.folder().join("node-red"), &flows);

    let login = Process::start("oauth2mqtt login", &mut at_terminal(&world, 72, "login google"));
    wait_until("the countdown", SOON, || counts_down(&login.stdout()));
    let at = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    play(
        &world,
        "pictures",
        &json!({
            "page": at(world.page_port(), "/"),
            "dashboard": at(node_red.port(), "/dashboard/sign-in"),
            "editor": at(node_red.port(), "/admin"),
            "account": "google",
            "provider": world.oidc().issuer(),
            "screens": [{
                "name": "picture-terminal", "columns": 72, "theme": "dark", "command": "oauth2mqtt login google",
                "written": login.stdout(),
            }],
        }),
    );
    let ended = world.finish(login, &["login", "google"]);
    assert!(ended.stdout.contains("Signed in"), "{}", ended.stdout);
}

#[test]
fn the_pictures_of_the_gate_show_what_there_is() {
    let port = free_port();
    let gate = Gate::start_for_pictures(port, "\"ann@example.com\"");
    let folder = gate.world.folder().join("node-red");
    let _node_red = NodeRed::start_behind_gate(port, &folder, &flow(gate.world.broker.port()), gate.port);
    let scene = json!({
        "panel": "https://panel.example.com", "hosts": { "panel.example.com": gate.proxy.port }, "provider": gate.world.oidc().issuer(),
        "trusted": gate.proxy.certificate(),
    });
    play_in(gate.world.folder(), "gate-pictures", &scene);
}
