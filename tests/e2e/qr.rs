//! The QR code is what a phone reads as the address: on a page, and on every terminal.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::clock::{SOON, wait_until};
use crate::support::keyboard::at_terminal;
use crate::support::picture::{Terminal, code_columns, decode_svg, decode_terminal};
use crate::support::process::Process;
use crate::support::world::{Setup, World};

/// What `login` has written when the code is there.
#[track_caller]
fn written_by_login(world: &World, command: &mut Command) -> (String, String) {
    let on_terminal = command.get_program() == "script";
    let process = Process::start("oauth2mqtt login", command);
    let sign_in = world.wait("garden", "signin", |sign_in| sign_in["pending"] == true).json;
    // On a terminal it also counts down.
    let last = if on_terminal { "9:5" } else { "gives it up" };
    wait_until("the code on the terminal", SOON, || process.stdout().contains(last));
    let address = sign_in["verification_uri_complete"].as_str().unwrap().to_owned();
    (process.stdout(), address)
}

#[test]
fn the_picture_for_pages_leads_to_the_address_with_the_code() {
    let world = Setup::new().account("garden").start();
    let sign_in = world.login("garden");
    let picture = sign_in["qr"].as_str().unwrap().strip_prefix("data:image/svg+xml;base64,").unwrap();
    let svg = STANDARD.decode(picture).unwrap();
    let address = sign_in["verification_uri_complete"].as_str();
    for background in ["white", "black"] {
        assert_eq!(decode_svg(&svg, background, world.folder()).as_deref(), address, "on {background}");
    }
}

#[test]
fn the_code_on_a_terminal_can_be_scanned_whatever_the_background() {
    let world = Setup::new().account("garden").start();
    let (output, address) = written_by_login(&world, &mut at_terminal(&world, 80, "login garden"));
    let columns = code_columns(&output);
    assert!((25..=80).contains(&columns), "{columns} columns:\n{output}");
    for terminal in [Terminal::LightOnDark, Terminal::DarkOnLight] {
        let decoded = decode_terminal(&output, terminal, world.folder());
        assert_eq!(decoded.as_deref(), Some(address.as_str()), "{terminal:?}:\n{output}");
    }
}

#[test]
fn without_colours_the_code_can_be_scanned_on_a_usual_terminal() {
    let world = Setup::new().account("garden").start();
    let (output, address) = written_by_login(&world, &mut world.command(&["login", "garden"]));
    assert!(!output.contains('\u{1b}'), "colours where there is no terminal:\n{output}");
    let decoded = decode_terminal(&output, Terminal::LightOnDark, world.folder());
    assert_eq!(decoded.as_deref(), Some(address.as_str()), "{output}");
}

#[test]
fn a_terminal_too_narrow_for_the_code_gets_the_address() {
    let world = Setup::new().account("garden").start();
    let (output, address) = written_by_login(&world, &mut at_terminal(&world, 30, "login garden"));
    assert_eq!(code_columns(&output), 0, "{output}");
    assert!(output.contains(&address), "{output}");
}
