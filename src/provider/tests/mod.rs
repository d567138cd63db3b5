//! What providers send, by the quirks they have.

mod assertions;
mod directory;
mod kinds;
mod peculiar_requests;
mod published;
mod requests;
mod unreachable;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::json;
use zeroize::Zeroizing;

use super::answer::{self, Polled, Refreshed};
use super::discovery::Endpoints;
use super::http::Exchange;
use super::refusal::RequestContext;
use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
use crate::domain::fault::{Fault, FaultCode, Remedy};
use crate::domain::identity::AllowList;
use crate::domain::profile::{ClientAuth, Profile, RequestKind};
use crate::domain::secret::Secret;
use crate::domain::settings::{AccountSettings, ClientSettings, Declared, GrantSettings, PublishMode, SignInMode};
use crate::domain::token::{PollAnswer, TokenAnswer};

pub(super) fn account() -> AccountSettings {
    AccountSettings {
        provider: "provider.example".to_owned(),
        endpoints: Arc::default(),
        client: ClientSettings {
            id: "the-client".to_owned(),
            secrets: vec![Secret::new("hunter2".to_owned())],
            key: None,
        },
        grant: GrantSettings::DeviceCode,
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        tokens: BTreeMap::new(),
        profile: Arc::default(),
        sign_in: SignInMode::OnRequest,
        publish: PublishMode::Retained,
        allow: AllowList::default(),
        identity: false,
        claims: Vec::new(),
        ca_file: None,
        allow_http: false,
        declared: Declared::File,
    }
}

/// What a provider's file says, in JSON.
fn profile(json: serde_json::Value) -> Profile {
    serde_json::from_value(json).unwrap()
}

/// An account at a provider with such a file.
fn with(file: serde_json::Value) -> AccountSettings {
    AccountSettings { profile: Arc::new(profile(file)), ..account() }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(super) fn endpoints() -> Endpoints {
    let address = |text: &str| Arc::new(text.parse().unwrap());
    Endpoints {
        device_authorization: Some(address("https://provider.example/device")),
        authorization: Some(address("https://provider.example/authorize?tenant=7")),
        userinfo: None,
        issuer: Some("https://provider.example".to_owned()),
        names_issuer: true,
        token: address("https://provider.example/token"),
        revocation: None,
        auth_methods: vec![ClientAuth::Post, ClientAuth::Basic],
        token_binding: None,
    }
}

fn exchange(status: u16, body: &str) -> Exchange {
    Exchange { status, body: Zeroizing::new(body.as_bytes().to_vec()), ..Exchange::default() }
}

/// A question of this kind at a provider without peculiarities, in which this was sent.
fn asked<'a>(kind: RequestKind, sent: &'a [&'a Secret]) -> RequestContext<'a> {
    static PLAIN: LazyLock<Profile> = LazyLock::new(Profile::default);
    RequestContext { kind, profile: &PLAIN, sent }
}

fn tokens_of(exchange: &Exchange, asked: RequestContext<'_>) -> Result<TokenAnswer, Fault> {
    match answer::refresh(exchange, asked)? {
        Refreshed::Tokens(tokens) => Ok(tokens),
        Refreshed::Rotated(_, fault) => Err(fault),
    }
}

fn token(status: u16, body: &str) -> Result<TokenAnswer, Fault> {
    let sent = Secret::new("sent-token".to_owned());
    tokens_of(&exchange(status, body), asked(RequestKind::Refresh, &[&sent]))
}

fn poll(status: u16, body: &str) -> Result<PollAnswer, Fault> {
    answer::poll(&exchange(status, body), asked(RequestKind::DevicePoll, &[])).map(|polled| match polled {
        Polled::NotYet(answer) => answer,
        Polled::Granted(_) => panic!("nobody has approved"),
    })
}

fn device(status: u16, body: &str) -> Result<DeviceAuthorization, Fault> {
    answer::device_authorization(&exchange(status, body), asked(RequestKind::DeviceAuthorization, &[])).map(|answer| {
        match answer.approval {
            Approval::Device(device) => device,
            Approval::Redirect(_) => panic!("a device code"),
        }
    })
}

#[test]
fn a_code_or_address_that_repeats_a_secret_is_not_shown() {
    let secret = Secret::new("hunter2-client".to_owned());
    let read = |body: &str| {
        let asked = asked(RequestKind::DeviceAuthorization, &[]);
        answer::device_authorization(&exchange(200, body), RequestContext { sent: &[&secret], ..asked })
    };
    let answer = |code: &str, uri: &str, complete: &str| {
        serde_json::json!({ "device_code": "d", "user_code": code, "verification_uri": uri,
                            "verification_uri_complete": complete })
        .to_string()
    };
    let (code, uri) = ("WDJB-MJHT", "https://id.example/device");
    assert!(read(&answer(code, uri, uri)).is_ok());
    for body in [answer("hunter2-client", uri, uri), answer(code, "https://id.example/hunter2%2Dclient", uri)] {
        let fault = read(&body).unwrap_err().to_string();
        assert!(fault.contains("repeats a secret") && !fault.contains("hunter2"), "{fault}");
    }
    let Authorization { approval: Approval::Device(device), .. } =
        read(&answer(code, uri, "https://id.example/device?client_secret=hunter2-client")).unwrap()
    else {
        panic!("a device code")
    };
    assert_eq!(device.verification_uri_complete, None);
}

#[test]
fn a_secret_of_the_answer_itself_is_shown_no_more_than_one_that_was_sent() {
    let scope = |scope: &str| {
        let body = serde_json::json!({ "access_token": "at-1795802340-bearer", "refresh_token": "rt-SCOPE-SECRET-12345",
                                       "scope": scope });
        token(200, &body.to_string()).unwrap().scope
    };
    assert_eq!(scope("openid rt-SCOPE-SECRET-12345").as_deref(), Some("openid"));
    assert_eq!(scope("openid cnQtU0NPUEUtU0VDUkVULTEyMzQ1").as_deref(), Some("openid"), "in base64");
    let error = r#"{"error":"odd","error_description":"issued the-new-token and more","access_token":"the-new-token"}"#;
    let fault = token(200, error).unwrap_err().to_string();
    assert!(fault.contains("[not shown") && !fault.contains("the-new-token"), "{fault}");
    let device = |address: &str| {
        let body = serde_json::json!({ "device_code": "the-long-device-code", "user_code": "the-long",
                                       "verification_uri": address, "verification_uri_complete": address });
        answer::device_authorization(&exchange(200, &body.to_string()), asked(RequestKind::DeviceAuthorization, &[]))
    };
    assert!(device("https://id.example/?device_code=the-long-device-code").is_err());
    assert!(device("https://id.example/?user_code=the-long").is_ok());
}

fn ends_nothing(result: Result<TokenAnswer, Fault>) -> FaultCode {
    let fault = result.unwrap_err();
    assert!(matches!(fault.remedy, Remedy::TryAgain { .. }), "{fault}");
    fault.code
}

#[test]
fn a_complete_answer_is_taken_as_it_is() {
    let answer = token(
        200,
        r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"openid email"}"#,
    );
    let answer = answer.unwrap();
    assert_eq!(answer.access_token.expose(), "a");
    assert_eq!(answer.refresh_token.unwrap().expose(), "r");
    assert_eq!(answer.expires_in, Some(Duration::from_secs(3_600)));
    assert_eq!(answer.scope.as_deref(), Some("openid email"));
}

#[test]
fn expires_in_may_be_a_text_a_fraction_or_missing() {
    let life = |member: &str| token(200, &format!(r#"{{"access_token":"a"{member}}}"#)).unwrap().expires_in;
    assert_eq!(life(r#","expires_in":"3600""#), Some(Duration::from_secs(3_600)));
    assert_eq!(life(r#","expires_in":3599.5"#), Some(Duration::from_millis(3_599_500)));
    assert_eq!(life(r#","expires_in":-5"#), Some(Duration::ZERO));
    assert_eq!(life(r#","expires_in":1e300"#), Some(Duration::MAX));
    assert_eq!(life(r#","expires_in":null"#), None);
    assert_eq!(life(""), None);
}

#[test]
fn a_lower_case_or_missing_token_type_is_bearer_and_another_is_refused() {
    assert!(token(200, r#"{"access_token":"a","token_type":"bearer"}"#).is_ok());
    assert!(token(200, r#"{"access_token":"a"}"#).is_ok());
    let fault = token(200, r#"{"access_token":"a","token_type":"mac"}"#).unwrap_err();
    assert_eq!(fault.code, FaultCode::TokenTypeUnsupported);
}

#[test]
fn neither_a_token_type_nor_a_scope_nor_a_redirect_gives_away_what_was_sent_or_given() {
    let sent = Secret::new("hunter2".to_owned());
    for echoed in ["hunter2", "token-1"] {
        let body = format!(r#"{{"access_token":"token-1","token_type":"of {echoed}"}}"#);
        let fault = answer::token(&exchange(200, &body), asked(RequestKind::CodeExchange, &[&sent])).unwrap_err();
        assert!(fault.message.contains("[not shown") && !fault.message.contains(echoed), "{fault}");
    }
    let body = r#"{"access_token":"token-1","scope":"read hunter2"}"#;
    let scope = answer::token(&exchange(200, body), asked(RequestKind::CodeExchange, &[&sent])).unwrap().tokens.scope;
    assert_eq!(scope.as_deref(), Some("read"));
    let to = Some("https://portal.example/hunter2".to_owned());
    let fault =
        answer::token(&Exchange { redirected_to: to, ..exchange(302, "") }, asked(RequestKind::CodeExchange, &[&sent]))
            .unwrap_err();
    assert!(!fault.message.contains("hunter2"), "{fault}");
}

#[test]
fn http_201_is_success() {
    assert!(token(201, r#"{"access_token":"a"}"#).is_ok());
}

#[test]
fn a_list_of_scopes_that_fills_the_answer_is_not_published() {
    let scopes = |count: usize| "0a1b2c3d.4e5f6a7b. ".repeat(count);
    let of = |count| token(200, &format!(r#"{{"access_token":"a","scope":"{}"}}"#, scopes(count))).unwrap().scope;
    assert!(of(10).is_some() && of(13_000).is_none());
    let one = "0a1b2c3d.".repeat(1_500);
    assert!(token(200, &format!(r#"{{"access_token":"a","scope":"{one}"}}"#)).unwrap().scope.is_none());
}

#[test]
fn an_empty_refresh_token_is_none_and_an_empty_access_token_is_a_fault() {
    assert!(token(200, r#"{"access_token":"a","refresh_token":""}"#).unwrap().refresh_token.is_none());
    assert_eq!(ends_nothing(token(200, r#"{"access_token":""}"#)), FaultCode::AnswerMalformed);
}

#[test]
fn a_token_that_would_break_out_of_a_header_is_refused() {
    assert_eq!(ends_nothing(token(200, r#"{"access_token":"a\r\nX: y"}"#)), FaultCode::AnswerMalformed);
}

#[test]
fn only_an_oauth_error_code_ends_a_grant() {
    let portal = "<html><body>Sign in to the Wi-Fi</body></html>";
    assert_eq!(ends_nothing(token(200, portal)), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(200, "")), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(302, "")), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(403, portal)), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(407, "")), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(421, "")), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(429, "")), FaultCode::RateLimited);
    assert_eq!(ends_nothing(token(500, r#"{"error":"invalid_grant"}"#)), FaultCode::ProviderUnavailable);
    assert_eq!(ends_nothing(token(503, "")), FaultCode::ProviderUnavailable);
    assert_eq!(ends_nothing(token(511, portal)), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(400, r#"{"error":"temporarily_unavailable"}"#)), FaultCode::ProviderUnavailable);
    assert_eq!(ends_nothing(token(400, r#"{"error":"an_unheard_of_code"}"#)), FaultCode::ProviderRefused);
    assert_eq!(ends_nothing(token(400, r#"{"error":{"code":400}}"#)), FaultCode::ProviderRefused);
    assert_eq!(ends_nothing(token(400, r#"["no", "object"]"#)), FaultCode::NotOauth);
    assert_eq!(ends_nothing(token(403, r#"{"message":"Blocked by the firewall"}"#)), FaultCode::NotOauth);
    for status in [200, 400, 401, 403] {
        let fault = token(status, r#"{"error":"invalid_grant"}"#).unwrap_err();
        assert_eq!((fault.code, fault.remedy), (FaultCode::InvalidGrant, Remedy::AskUser));
    }
}

#[test]
fn an_answer_with_both_an_error_and_a_token_is_an_error() {
    assert!(token(200, r#"{"error":"invalid_grant","access_token":"a"}"#).is_err());
}

#[test]
fn a_wait_that_the_provider_asks_for_is_passed_on() {
    let mut exchange = exchange(429, "");
    exchange.retry_after = Some(Duration::from_secs(90));
    let fault = tokens_of(&exchange, asked(RequestKind::Refresh, &[])).unwrap_err();
    assert_eq!(fault.remedy, Remedy::TryAgain { after: Some(Duration::from_secs(90)) });
}

#[test]
fn an_error_that_quotes_the_token_is_shown_without_it() {
    let fault =
        token(400, r#"{"error":"invalid_grant","error_description":"no sent-token\u001b[2J here"}"#).unwrap_err();
    assert_eq!(
        fault.message,
        "The provider answered \"invalid_grant\": [not shown, as it quotes a secret] (HTTP 400)."
    );
}

#[test]
fn githubs_errors_come_with_http_200_and_a_new_interval() {
    assert!(matches!(poll(200, r#"{"error":"authorization_pending"}"#), Ok(PollAnswer::Pending)));
    let slow = poll(200, r#"{"error":"slow_down","interval":10}"#).unwrap();
    assert!(matches!(slow, PollAnswer::SlowDown { interval: Some(interval) } if interval.as_secs() == 10));
}

#[test]
fn githubs_form_encoded_answer_and_comma_separated_scopes_are_read() {
    let mut exchange = exchange(200, "access_token=gho_x&scope=repo%2Cgist&token_type=bearer");
    exchange.is_form = true;
    let github = profile(json!({"scope_separator": ","}));
    let answer = tokens_of(&exchange, RequestContext { profile: &github, ..asked(RequestKind::Refresh, &[]) }).unwrap();
    assert_eq!(answer.access_token.expose(), "gho_x");
    assert_eq!(answer.scope.as_deref(), Some("repo gist"));
}

#[test]
fn googles_pending_comes_with_http_428_and_authentiks_slow_down_with_429() {
    assert!(matches!(poll(428, r#"{"error":"authorization_pending"}"#), Ok(PollAnswer::Pending)));
    assert!(matches!(poll(429, r#"{"error":"slow_down"}"#), Ok(PollAnswer::SlowDown { interval: None })));
    assert_eq!(device(429, r#"{"error":"slow_down"}"#).unwrap_err().code, FaultCode::RateLimited);
}

#[test]
fn stravas_own_errors_are_a_refusal_that_ends_nothing_and_fitbits_have_the_standards_code() {
    let strava = r#"{"message":"Bad Request","errors":[{"resource":"RefreshToken","field":"code","code":"invalid"}]}"#;
    let fitbit = r#"{"errors":[{"errorType":"invalid_grant","message":"Refresh token invalid"}],"success":false}"#;
    assert_eq!(ends_nothing(token(400, strava)), FaultCode::ProviderRefused);
    assert_eq!(token(401, fitbit).unwrap_err().code, FaultCode::InvalidGrant);
}

#[test]
fn a_users_no_and_an_unknown_code_end_a_sign_in() {
    for (body, code) in [
        (r#"{"error":"access_denied"}"#, FaultCode::AccessDenied),
        (r#"{"error":"authorization_declined"}"#, FaultCode::AccessDenied),
        (r#"{"error":"expired_token"}"#, FaultCode::CodeExpired),
        (r#"{"error":"an_unheard_of_code"}"#, FaultCode::ProviderRefused),
    ] {
        let fault = poll(400, body).unwrap_err();
        assert_eq!((fault.code, fault.remedy), (code, Remedy::AskUser));
    }
}

#[test]
fn both_spellings_of_the_address_are_read() {
    let google = r#"{"device_code":"d","user_code":"ABCD","verification_url":"https://www.google.com/device","expires_in":1800,"interval":5}"#;
    assert_eq!(device(200, google).unwrap().verification_uri, "https://www.google.com/device");
    let both = r#"{"device_code":"d","user_code":"ABCD","verification_uri":"https://a.example/d","verification_url":"https://b.example/d"}"#;
    let answer = device(200, both).unwrap();
    assert_eq!(answer.verification_uri, "https://a.example/d");
    assert_eq!(answer.interval, Duration::from_secs(5));
}

#[test]
fn an_address_or_code_that_could_harm_a_terminal_or_mislead_is_refused() {
    let with = |uri: &str, code: &str| {
        device(200, &serde_json::json!({"device_code": "d", "user_code": code, "verification_uri": uri}).to_string())
    };
    for uri in ["javascript:alert(1)", "file:///etc/passwd", "https://www.google.com@evil.example/", "no address", ""] {
        assert_eq!(with(uri, "ABCD").unwrap_err().code, FaultCode::AnswerMalformed, "{uri}");
    }
    for code in ["\u{1b}[31mABCD", "AB\nCD", "", &"A".repeat(65), "AB\u{202e}CD"] {
        assert_eq!(with("https://a.example/", code).unwrap_err().code, FaultCode::AnswerMalformed, "{code:?}");
    }
    let harmless = with("https://a.example/\u{1b}[2J", "ABCD").unwrap().verification_uri;
    assert_eq!(harmless, "https://a.example/%1B[2J");
}

#[test]
fn no_answer_makes_the_reader_panic() {
    use proptest::prelude::*;
    proptest!(|(status in 100_u16..600, body in ".{0,200}", form in any::<bool>())| {
        let mut exchange = exchange(status, &body);
        exchange.is_form = form;
        let _ = (answer::token(&exchange, asked(RequestKind::CodeExchange, &[])).err(), answer::refresh(&exchange, asked(RequestKind::Refresh, &[])).err());
        let _ = answer::poll(&exchange, asked(RequestKind::DevicePoll, &[])).err();
        let _ = (answer::device_authorization(&exchange, asked(RequestKind::DeviceAuthorization, &[])), answer::revocation(&exchange, asked(RequestKind::Revocation, &[])));
    });
}
