//! What the commands write, as a picture of the terminal they write it to.

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::keyboard::{at_terminal, at_terminal_of, counts_down};
use crate::support::process::Process;
use crate::support::visitor::play;
use crate::support::world::{Setup, World, signs_in_by_browser};

/// What a command writes to a terminal so many columns wide.
#[track_caller]
fn written(world: &World, columns: u32, line: &str) -> String {
    let ended = Process::start(line, &mut at_terminal(world, columns, line)).wait(SOON);
    ended.stdout
}

/// What `login` writes before anybody has approved.
#[track_caller]
fn written_by_login(world: &World, columns: u32, account: &str) -> String {
    let line = format!("login {account}");
    let process = Process::start(&line, &mut at_terminal(world, columns, &line));
    wait_until("the countdown", SOON, || counts_down(&process.stdout()));
    process.stdout()
}

fn screen(name: &str, columns: u32, theme: &str, command: &str, written: &str) -> Value {
    json!({ "name": format!("terminal-{name}"), "columns": columns, "theme": theme, "command": command, "written": written })
}

#[test]
fn what_the_commands_write_looks_as_it_should() {
    let mut world = Setup::new()
        .account_like("google", "google")
        .account_like("office", "microsoft")
        .account("plant")
        .another_provider()
        .token_life(10)
        .account("press-shop")
        .start();
    world.sign_in("google");
    world.sign_in_at(1, "press-shop");
    world.kill_provider_at(1);
    world.wait("press-shop", "status", |status| status["error"].is_object());
    world.login("office");
    let status = written(&world, 90, "status");
    let narrow = written(&world, 44, "status");
    let one = written(&world, 90, "status nobody");
    let login = written_by_login(&world, 80, "plant");
    let small = written_by_login(&world, 44, "plant");
    std::fs::write(
        world.config(),
        format!("{}\n[accounts.x]\nprovider = \"gogle\"\nscops = []\n", world.config_text()),
    )
    .unwrap();
    let check = written(&world, 90, "check");
    let screens = [
        screen("login-dark", 80, "dark", "oauth2mqtt login plant", &login),
        screen("login-light", 80, "light", "oauth2mqtt login plant", &login),
        screen("login-narrow", 44, "dark", "oauth2mqtt login plant", &small),
        screen("status-dark", 90, "dark", "oauth2mqtt status", &status),
        screen("status-light", 90, "light", "oauth2mqtt status", &status),
        screen("status-narrow", 44, "dark", "oauth2mqtt status", &narrow),
        screen("error", 90, "dark", "oauth2mqtt status nobody", &one),
        screen("check", 90, "dark", "oauth2mqtt check", &check),
    ];
    play(&world, "terminal", &json!({ "screens": screens }));
}

#[test]
fn the_qr_codes_of_both_grants_are_read_off_the_screen_of_a_terminal_of_each_usual_size() {
    const PAGE: &str = "http://gateway.example.com:8628/";
    let world = Setup::new()
        .account("plant")
        .account_as("mail", &signs_in_by_browser("https://flows.example.com/oauth2/redirect"))
        .start();
    // For the command alone: a page that phones could open, whose short address the code of a long one leads to.
    std::fs::write(world.folder().join("page.code"), "correct horse battery\n").unwrap();
    let page =
        "[page]\nlisten = \"192.0.2.7:8628\"\naccess_code_file = \"page.code\"\nhosts = [\"gateway.example.com\"]";
    std::fs::write(world.config(), format!("{}\n{page}\n", world.config_text())).unwrap();
    let device = world.login("plant")["verification_uri_complete"].as_str().unwrap().to_owned();
    let mut screens = Vec::new();
    // What is written last by the grant that counts no seconds down: less where there is little room.
    let sizes = [((60, 20), "does the rest"), ((80, 24), "does the rest"), ((120, 40), "cancels it")];
    for (account, leads_to) in [("plant", device.as_str()), ("mail", PAGE)] {
        for (size, last) in sizes {
            let line = format!("login {account}");
            let process = Process::start(&line, &mut at_terminal_of(&world, size, &line));
            let is_whole = || {
                let written = process.stdout();
                if account == "plant" { counts_down(&written) } else { written.contains(last) }
            };
            wait_until("the code and its text on the terminal", SOON, is_whole);
            for theme in ["dark", "light"] {
                let (columns, rows) = size;
                let name = format!("terminal-qr-{account}-{columns}x{rows}-{theme}");
                screens.push(json!({
                    "name": name, "columns": columns, "rows": rows, "theme": theme, "command": format!("oauth2mqtt {line}"),
                    "written": process.stdout(), "leads_to": leads_to,
                }));
            }
        }
    }
    play(&world, "terminal", &json!({ "screens": screens }));
}
