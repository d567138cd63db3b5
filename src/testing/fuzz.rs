//! The targets of `fuzz/`, for libFuzzer: those of the `hostile` modules, with input that grows towards new code.
//!
//! The first byte of an input is the seed of what a target chooses at random, such as the status of an answer.

use fastrand::Rng;

use super::harmless::assert_harmless;
use crate::{config, provider, store, wire};

fn run(target: impl FnOnce(&[u8], &mut Rng) -> String, input: &[u8]) {
    let Some((seed, input)) = input.split_first() else { return };
    assert_harmless(input, &target(input, &mut Rng::with_seed(u64::from(*seed))));
}

/// A configuration file.
pub fn configurations(input: &[u8]) {
    run(config::hostile::configurations, input);
}

/// The claims of an ID token, or of userinfo (OpenID Connect Core 2 and 5.3).
pub fn id_tokens(input: &[u8]) {
    run(provider::hostile::id_tokens, input);
}

/// The metadata of an authorization server (RFC 8414).
pub fn metadata(input: &[u8]) {
    run(provider::hostile::metadata, input);
}

/// The answer to a request for tokens, a device code or a revocation (RFC 6749 5, RFC 8628 3.2, RFC 7009 2.2).
pub fn provider_answers(input: &[u8]) {
    run(provider::hostile::answers, input);
}

/// The file of a provider, and an account that uses it.
pub fn provider_files(input: &[u8]) {
    run(config::hostile::provider_files, input);
}

/// A record of the store.
pub fn records(input: &[u8]) {
    run(store::hostile::records, input);
}

/// The address to which a provider redirects a browser (RFC 6749 4.1.2).
pub fn redirections(input: &[u8]) {
    run(provider::hostile::redirections, input);
}

/// A request over MQTT.
pub fn requests(input: &[u8]) {
    run(wire::hostile::requests, input);
}

/// The `Retry-After` and `Date` of an answer (RFC 9110 10.2.3).
pub fn retry_after(input: &[u8]) {
    run(provider::hostile::retry_after, input);
}
