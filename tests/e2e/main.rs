//! End to end: the built agent against a real broker, a real provider and a real Node-RED.
//!
//! Each test has servers, ports and folders of its own, and waits for what happens instead of for time to pass. What
//! no flow may ever see, and where no secret may ever be, is checked at the end of every test (`support::promises`).
//! `tests/run` installs what they need; `OAUTH2MQTT_BIN` names another binary to test.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "here a panic is a failed test, and output its report")]

mod add;
mod any_provider;
mod authorization_code;
mod broker_faults;
mod broker_trust;
mod brokers;
mod client_auth;
mod client_credentials;
mod cluster;
mod commands;
mod contract;
mod dashboard;
mod endurance;
mod faults;
mod fleet;
mod flows;
mod gate;
mod gate_dashboard;
mod gate_proxies;
mod hostile_flows;
mod identity;
mod import;
#[path = "../known_keys/mod.rs"]
mod known_keys;
mod logout;
mod messages;
mod names;
mod node_red;
mod page;
mod password;
mod pictures;
mod provider_files;
mod providers;
mod provisioning;
mod qr;
mod refresh;
mod reload;
mod requests;
mod restart;
mod secrets;
mod sign_in;
mod standards;
mod store;
mod support;
mod terminal;
mod tokens;
mod upgrade;
