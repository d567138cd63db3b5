//! What of an answer is published: nothing that quotes a secret, however much there is.

use std::time::Duration;

use serde_json::json;

use super::*;

#[test]
fn a_further_member_that_quotes_a_secret_is_not_published_with_the_token() {
    let file = json!({ "extra": { "server": "server", "hosts": "hosts", "plan": "plan" } });
    let sent = secret("the-client-secret-4711");
    let body = json!({ "access_token": "the-access-token", "refresh_token": "the-refresh-token-0815",
        "server": "https://api.example/?then=the-refresh-token-0815", "plan": "gold",
        "hosts": ["eu.example", { "secret": "dGhlLWNsaWVudC1zZWNyZXQtNDcxMQ==" }] });
    let with_extra = profile(file);
    let asked = RequestContext { kind: RequestKind::Refresh, profile: &with_extra, sent: &[&sent] };
    let extra = tokens_of(&exchange(200, &body.to_string()), asked).unwrap().extra;
    assert_eq!(extra.keys().collect::<Vec<_>>(), ["plan"]);
    let profile = profile(json!({ "redirect_extra": { "realm": "realmId", "echo": "echo" } }));
    let parameters = [("realmId", "123"), ("echo", "the-client-secret-4711")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), secret(value))).into();
    let extra = answer::redirect_extra(&parameters, &profile, &[&sent]);
    assert_eq!(extra.keys().collect::<Vec<_>>(), ["realm"]);
}

#[test]
fn an_access_token_that_is_a_secret_which_was_sent_is_refused() {
    let sent = secret("the-client-secret-4711");
    let body = r#"{"access_token":"the-client-secret-4711"}"#;
    let fault = tokens_of(&exchange(200, body), asked(RequestKind::Refresh, &[&sent])).unwrap_err();
    assert_eq!(fault.code, FaultCode::AnswerMalformed);
}

/// As many scopes and as long a token as an answer has room for. Where the token was made ready for each scope anew, this took minutes.
#[test]
fn an_answer_of_the_greatest_size_is_read_in_a_moment() {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut letters = |length: usize| (0..length).map(|_| chance.alphanumeric()).collect::<String>();
    let scopes: Vec<_> = (0..250).map(|_| letters(64)).collect();
    let body = json!({ "access_token": letters(225_000), "scope": scopes.join(" ") }).to_string();
    let began = std::time::Instant::now();
    let answer = token(200, &body).unwrap();
    let took = began.elapsed();
    assert_eq!(answer.scope, Some(scopes.join(" ")));
    assert!(took < Duration::from_secs(20), "{took:?}");
}
