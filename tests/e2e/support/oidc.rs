//! `oidc-provider`, the provider of most tests.

pub(crate) use super::server::{TokenRequest, servers};
