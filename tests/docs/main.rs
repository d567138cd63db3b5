//! The README and every page of the documentation say what is so.
//!
//! With `OAUTH2MQTT_WRITE_DOCS=1` the tables that the program knows itself are written into their pages.
#![allow(clippy::unwrap_used)]

mod commands;
mod configurations;
#[path = "../example_files/mod.rs"]
mod example_files;
#[path = "../known_keys/mod.rs"]
mod known_keys;
mod links;
mod page;
mod tables;

#[test]
fn the_readme_is_short() {
    let lines = page::Page::read("README.md").text.lines().count();
    assert!(lines <= 150, "{lines} lines");
}
