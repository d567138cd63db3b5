//! What a device meets in the field: power cuts, bad networks, wrong clocks, hostile input, load.
//!
//! `tests/faults` runs these tests and prints what they found as one table. They come in a short form and, with
//! `OAUTH2MQTT_FAULTS=long`, in a long one.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "here a panic is a failed test, and output its report")]

mod bench;
mod broker;
mod clock;
mod disk_faults;
mod interrupted;
mod load;
mod memory;
mod network;
mod power;
mod provider;
mod report;
#[allow(dead_code, unused_imports, reason = "it is that of the end-to-end tests, of which these use a part")]
#[path = "../e2e/support/mod.rs"]
mod support;
mod wear;
