//! The agent that signs a device in to OAuth 2.0 providers and publishes the access tokens over MQTT.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod agent;
pub mod alarm;
pub mod broker;
pub mod cli;
pub mod client_key;
pub mod clock;
pub mod config;
pub mod declaration;
pub mod expiry;
pub mod fault;
#[cfg(test)]
mod hostile;
pub mod http_server;
pub mod identity;
pub mod loopback;
pub mod machine;
pub mod message;
pub mod page;
pub mod policy;
pub mod presets;
pub mod provider;
pub mod qr;
pub mod record;
pub mod redirection;
pub mod seal;
pub mod secret;
pub mod session;
pub mod settings;
pub mod store;
pub mod systemd;
pub mod text;
pub mod throttle;
pub mod tls;
pub mod token;
pub mod words;
