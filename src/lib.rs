//! The agent that signs a device in to OAuth 2.0 providers and publishes the access tokens over MQTT.
#![cfg_attr(any(test, fuzzing), allow(clippy::unwrap_used))]

mod agent;
mod broker;
pub mod cli;
mod config;
mod domain;
mod page;
mod platform;
mod provider;
mod store;
#[doc(hidden)]
pub mod testing;
mod ui;
mod wire;
