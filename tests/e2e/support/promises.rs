//! What holds in every test, whatever else it is about: no flow gets a lapsed token, and no secret is anywhere but
//! where it belongs.

use std::fs;

use super::broker::PASSWORD;
use super::hex;
use super::subscriber::Message;
use super::world::World;

/// Fails the test if a promise was broken in it.
#[track_caller]
pub(crate) fn check(world: &World) {
    for message in world.subscriber.messages() {
        if let Some(objection) = message.objection() {
            panic!("a flow got a token that it must not get: {objection}: {message:?}");
        }
    }
    let (secrets, access_tokens) = secrets(world);
    let written = world.written();
    for secret in secrets.iter().chain(&access_tokens) {
        assert!(!written.contains(secret.as_str()), "a secret was written: {}", around(&written, secret));
    }
    // What a test itself or the example of a relay has published is no deed of the agent's.
    let of_agent = |message: &Message| !message.topic.contains("/request/") && message.topic != "oauth2/redirect";
    for message in world.subscriber.messages().into_iter().filter(of_agent) {
        let may_have_token = message.topic.ends_with("/token") || message.json["data"]["access_token"].is_string();
        let tokens: &[String] = if may_have_token { &[] } else { &access_tokens };
        for secret in secrets.iter().chain(tokens) {
            assert!(!message.text.contains(secret.as_str()), "a secret was published: {message:?}");
        }
    }
}

/// Every secret that was used, and apart from them the access tokens, which have a topic.
pub(crate) fn secrets(world: &World) -> (Vec<String>, Vec<String>) {
    let mut secrets = vec![PASSWORD.to_owned()];
    let mut access_tokens = Vec::new();
    for of_provider in world.secrets() {
        secrets.extend(of_provider.client);
        secrets.extend(of_provider.device_code);
        secrets.extend(of_provider.refresh_token);
        secrets.extend(of_provider.id_token);
        secrets.extend(of_provider.code);
        secrets.extend(of_provider.code_verifier);
        secrets.extend(of_provider.client_assertion);
        access_tokens.extend(of_provider.access_token);
    }
    if let Ok(key) = fs::read(world.store().join("key")) {
        secrets.push(hex(&key));
        secrets.extend(String::from_utf8(key).ok().map(|key| key.trim().to_owned()));
    }
    secrets.retain(|secret| !secret.is_empty());
    (secrets, access_tokens)
}

fn around(text: &str, secret: &str) -> String {
    text.lines().find(|line| line.contains(secret)).unwrap_or_default().to_owned()
}
