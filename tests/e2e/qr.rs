//! The QR code is what a phone reads as the address: on a page, and on every terminal.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::clock::{SOON, wait_until};
use crate::support::keyboard::{at_terminal, at_terminal_of, counts_down};
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
    wait_until("the code on the terminal", SOON, || {
        let written = process.stdout();
        if on_terminal { counts_down(&written) } else { written.contains("cancels it") }
    });
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
    let (output, address) = written_by_login(&world, &mut at_terminal(&world, 24, "login garden"));
    assert_eq!(code_columns(&output), 0, "{output}");
    assert!(output.contains(&address) && output.contains("--qr"), "{output}");
}

/// The rows that were written last to a terminal of that size: what is on its screen.
fn on_screen(output: &str, rows: usize) -> String {
    let lines: Vec<_> = output.split('\n').collect();
    lines[lines.len().saturating_sub(rows)..].join("\n")
}

#[test]
fn the_code_and_its_text_are_on_the_screen_together_at_usual_sizes() {
    let world = Setup::new().account("garden").start();
    for (columns, rows) in [(60, 20), (80, 24), (120, 40)] {
        let mut command = at_terminal_of(&world, (columns, rows), "login garden");
        let (output, address) = written_by_login(&world, &mut command);
        let screen = on_screen(&output, rows as usize);
        for terminal in [Terminal::LightOnDark, Terminal::DarkOnLight] {
            let decoded = decode_terminal(&screen, terminal, world.folder());
            assert_eq!(decoded.as_deref(), Some(address.as_str()), "{columns}x{rows} {terminal:?}:\n{output}");
        }
        let (short, code) = address.split_once("?user_code=").unwrap();
        for text in [short, code, "expires in"] {
            assert!(screen.contains(text), "{columns}x{rows}: {text} is not on\n{screen}");
        }
    }
}

#[test]
fn a_terminal_without_half_blocks_or_colours_gets_what_it_can_show() {
    let world = Setup::new().account("garden").start();
    let written = |variables: &[(&str, &str)], line: &str| {
        let mut command = at_terminal(&world, 120, line);
        command.envs(variables.iter().copied());
        let process = Process::start("oauth2mqtt login", &mut command);
        wait_until("the end of the text", SOON, || process.stdout().contains("cancels it"));
        process.stdout()
    };
    let dumb = written(&[("TERM", "dumb"), ("LANG", "C")], "login garden");
    assert!(dumb.is_ascii() && !dumb.contains('\u{1b}'), "{dumb:?}");
    assert!(dumb.contains("####") && dumb.contains("To sign in garden"), "{dumb}");
    let console = written(&[("TERM", "vt220"), ("LC_ALL", "POSIX")], "login garden");
    assert!(console.is_ascii() && console.contains("\u{1b}[48;5;231m"), "{console:?}");
    let plain = written(&[("NO_COLOR", "1"), ("LANG", "C.UTF-8")], "login garden");
    assert!(!plain.contains('\u{1b}') && plain.contains('█'), "{plain:?}");
}
