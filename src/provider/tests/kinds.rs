//! What single providers ask and answer: each test is named after what one of them does.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::domain::clock::UnixTime;
use crate::domain::token::SignInEnd;
use crate::provider::answer::NewTokens;

/// The answer to a request of this kind, as read by a provider's file.
fn at(kind: RequestKind, file: &Value, exchange: &Exchange) -> Result<TokenAnswer, Fault> {
    let profile = profile(file.clone());
    let asked = RequestContext { kind, profile: &profile, sent: &[] };
    match kind {
        RequestKind::Refresh => tokens_of(exchange, asked),
        _ => answer::token(exchange, asked).map(|NewTokens { tokens, .. }| tokens),
    }
}

fn refresh_at(file: &Value, status: u16, body: &str) -> Result<TokenAnswer, Fault> {
    at(RequestKind::Refresh, file, &exchange(status, body))
}

fn poll_at(file: &Value, exchange: &Exchange) -> Result<PollAnswer, Fault> {
    let profile = profile(file.clone());
    let asked = RequestContext { kind: RequestKind::DevicePoll, profile: &profile, sent: &[] };
    answer::poll(exchange, asked).map(|polled| match polled {
        Polled::NotYet(answer) => answer,
        Polled::Granted(_) => panic!("nobody has approved"),
    })
}

fn is_passing(fault: &Fault) -> bool {
    matches!(fault.remedy, Remedy::TryAgain { .. })
}

#[test]
fn home_connects_429_is_passing_whatever_code_it_names_and_waits_as_long_as_it_says() {
    let body =
        r#"{"error":"429","error_description":"The rate limit \"10 token refreshes in 1 minute\" was reached."}"#;
    for code in ["429", "invalid_grant", "invalid_client", "rate_limit_exceeded"] {
        let busy = Exchange {
            retry_after: Some(Duration::from_secs(60)),
            ..exchange(429, &body.replace("429\"", &format!("{code}\"")))
        };
        let fault = at(RequestKind::Refresh, &json!({}), &busy).unwrap_err();
        assert_eq!(fault.code, FaultCode::RateLimited);
        assert_eq!(fault.remedy, Remedy::TryAgain { after: Some(Duration::from_secs(60)) });
        let fault = poll_at(&json!({}), &busy).unwrap_err();
        assert_eq!(fault.code, FaultCode::RateLimited, "a poll with {code}");
    }
}

#[test]
fn discord_names_the_wait_in_the_body() {
    let body = r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#;
    let fault = refresh_at(&json!({}), 429, body).unwrap_err();
    assert_eq!(fault.remedy, Remedy::TryAgain { after: Some(Duration::from_millis(1_500)) });
}

#[test]
fn a_5xx_is_passing_whatever_its_body_says_but_for_the_codes_of_a_poll() {
    for status in [500, 502, 503, 599] {
        let fault = refresh_at(&json!({}), status, r#"{"error":"invalid_grant"}"#).unwrap_err();
        assert_eq!((fault.code, is_passing(&fault)), (FaultCode::ProviderUnavailable, true));
        let pending = poll_at(&json!({}), &exchange(status, r#"{"error":"authorization_pending"}"#));
        assert!(matches!(pending, Ok(PollAnswer::Pending)));
        let unknown = poll_at(&json!({}), &exchange(status, r#"{"error":"bad_luck"}"#)).unwrap_err();
        assert_eq!(unknown.code, FaultCode::ProviderUnavailable);
    }
    let slow = Exchange { retry_after: Some(Duration::from_secs(30)), ..exchange(429, r#"{"error":"slow_down"}"#) };
    let thirty = Duration::from_secs(30);
    assert!(matches!(poll_at(&json!({}), &slow), Ok(PollAnswer::SlowDown { interval: Some(it) }) if it == thirty));
    let pending = Exchange { body: exchange(429, r#"{"error":"authorization_pending"}"#).body, ..slow };
    assert!(matches!(poll_at(&json!({}), &pending), Ok(PollAnswer::SlowDown { interval: Some(it) }) if it == thirty));
}

#[test]
fn twitchs_polling_codes_stand_in_the_message() {
    let twitch =
        json!({ "errors": { "invalid device code": "invalid_grant", "Invalid refresh token": "invalid_grant" } });
    let pending = r#"{"status":400,"message":"authorization_pending"}"#;
    assert!(matches!(poll_at(&json!({}), &exchange(400, pending)), Ok(PollAnswer::Pending)), "without a file");
    let ended = poll_at(&twitch, &exchange(400, r#"{"status":400,"message":"invalid device code"}"#)).unwrap_err();
    assert_eq!((ended.code, ended.remedy), (FaultCode::InvalidGrant, Remedy::AskUser));
    let refused = refresh_at(&twitch, 400, r#"{"error":"Bad Request","status":400,"message":"invalid refresh token"}"#);
    assert_eq!(refused.unwrap_err().code, FaultCode::InvalidGrant);
    let scopes = r#"{"access_token":"a","refresh_token":"r","expires_in":14124,"scope":["chat:read","user:read"],"token_type":"bearer"}"#;
    assert_eq!(refresh_at(&twitch, 200, scopes).unwrap().scope.as_deref(), Some("chat:read user:read"));
}

#[test]
fn codes_are_found_wherever_providers_put_them_if_they_are_known_ones() {
    for body in [
        r#"{"error":{"code":"authorization_pending","message":"Wait."}}"#,
        r#"{"error":{"type":"authorization_pending"}}"#,
        r#"{"error_code":"authorization_pending"}"#,
        r#"{"errorCode":"authorization_pending"}"#,
        r#"{"code":"authorization_pending","message":"Wait."}"#,
        r#"{"error":"Bad Request","message":"authorization_pending","statusCode":400}"#,
        r#"{"error":true,"reason":"authorization_pending"}"#,
        r#"{"errors":[{"code":"authorization_pending"}]}"#,
        "error=authorization_pending",
    ] {
        let answer = poll_at(&json!({}), &exchange(400, body));
        assert!(matches!(answer, Ok(PollAnswer::Pending)), "{body}: {:?}", answer.err());
        let fault = refresh_at(&json!({}), 400, &body.replace("authorization_pending", "invalid_grant")).unwrap_err();
        assert_eq!((fault.code, fault.remedy), (FaultCode::InvalidGrant, Remedy::AskUser), "{body}");
    }
}

#[test]
fn a_firewall_that_denies_access_ends_nothing() {
    for body in [r#"{"message":"access_denied"}"#, r#"{"code":"access_denied"}"#, r#"{"message":"Access Denied"}"#] {
        assert!(is_passing(&refresh_at(&json!({}), 403, body).unwrap_err()), "{body}");
    }
}

#[test]
fn trakt_answers_polls_by_status_alone() {
    let trakt = json!({ "statuses": { "device_poll": {
        "400": "authorization_pending", "404": "invalid_grant", "409": "invalid_grant", "410": "expired_token",
        "418": "access_denied", "429": "slow_down",
    } } });
    assert!(matches!(poll_at(&trakt, &exchange(400, "")), Ok(PollAnswer::Pending)));
    assert!(matches!(poll_at(&trakt, &exchange(400, "null")), Ok(PollAnswer::Pending)));
    assert!(matches!(poll_at(&trakt, &exchange(429, "")), Ok(PollAnswer::SlowDown { .. })));
    for (status, code) in
        [(404, FaultCode::InvalidGrant), (410, FaultCode::CodeExpired), (418, FaultCode::AccessDenied)]
    {
        let fault = poll_at(&trakt, &exchange(status, "")).unwrap_err();
        assert_eq!((fault.code, fault.remedy), (code, Remedy::AskUser));
    }
    assert_eq!(poll_at(&trakt, &exchange(400, "<html>Sign in</html>")).unwrap_err().code, FaultCode::NotOauth);
    assert_eq!(poll_at(&trakt, &exchange(503, "")).unwrap_err().code, FaultCode::ProviderUnavailable);
    assert!(is_passing(&refresh_at(&trakt, 404, "").unwrap_err()), "it is of polls alone");
}

#[test]
fn withings_tokens_lie_in_a_body_and_its_refusals_come_with_http_200() {
    let withings = json!({
        "members": {
            "access_token": "body.access_token", "refresh_token": "body.refresh_token", "expires_in": "body.expires_in",
            "scope": "body.scope", "token_type": "body.token_type",
        },
        "success": { "member": "status", "value": "0" },
        "errors": { "Invalid Params: invalid refresh_token": "invalid_grant" },
        "scope_separator": ",", "extra": { "userid": "body.userid" },
    });
    let good = r#"{"status":0,"body":{"userid":363,"access_token":"a","refresh_token":"r","expires_in":10800,
        "scope":"user.info,user.metrics","token_type":"Bearer"}}"#;
    let answer = refresh_at(&withings, 200, good).unwrap();
    assert_eq!((answer.access_token.expose(), answer.refresh_token.unwrap().expose()), ("a", "r"));
    assert_eq!(answer.expires_in, Some(Duration::from_secs(10_800)));
    assert_eq!(answer.scope.as_deref(), Some("user.info user.metrics"));
    assert_eq!(answer.extra["userid"].expose(), "363");
    let dead = r#"{"status":503,"body":{},"error":"Invalid Params: invalid refresh_token"}"#;
    assert_eq!(refresh_at(&withings, 200, dead).unwrap_err().code, FaultCode::InvalidGrant);
    for other in [
        r#"{"status":503,"body":{},"error":"Invalid Params: invalid client_id"}"#,
        r#"{"status":601,"body":{},"error":"Too Many Requests"}"#,
        r#"{"status":2555,"body":{}}"#,
    ] {
        let fault = refresh_at(&withings, 200, other).unwrap_err();
        assert_eq!((fault.code, is_passing(&fault)), (FaultCode::ProviderRefused, true), "{other}");
    }
}

#[test]
fn codes_that_are_numbers_are_found_where_the_file_says_and_nowhere_else() {
    let numbers = json!({
        "success": { "member": "status", "value": "0" }, "error_members": ["status"],
        "errors": { "401": "invalid_grant", "601": "temporarily_unavailable" },
    });
    let dead = refresh_at(&numbers, 200, r#"{"status":401,"error":"invalid_client"}"#).unwrap_err();
    assert_eq!(dead.code, FaultCode::InvalidGrant);
    let busy = refresh_at(&numbers, 200, r#"{"status":601,"body":{}}"#).unwrap_err();
    assert_eq!((busy.code, is_passing(&busy)), (FaultCode::ProviderUnavailable, true));
}

#[test]
fn slacks_user_token_is_nested_and_its_errors_are_its_own() {
    let slack = json!({
        "members": {
            "access_token": "authed_user.access_token", "refresh_token": "authed_user.refresh_token",
            "expires_in": "authed_user.expires_in", "scope": "authed_user.scope", "token_type": "authed_user.token_type",
        },
        "success": { "member": "ok", "value": "true" }, "scope_separator": ",", "token_types": ["user", "bot"],
        "errors": { "invalid_refresh_token": "invalid_grant", "ratelimited": "temporarily_unavailable" },
        "extra": { "team": "team.id" },
    });
    let good = r#"{"ok":true,"team":{"id":"T1"},"authed_user":{"id":"U1","scope":"chat:write,users:read",
        "access_token":"xoxe.xoxp-1","expires_in":43200,"refresh_token":"xoxe-1","token_type":"user"}}"#;
    let answer = at(RequestKind::CodeExchange, &slack, &exchange(200, good)).unwrap();
    assert_eq!((answer.access_token.expose(), answer.extra["team"].expose()), ("xoxe.xoxp-1", "\"T1\""));
    let refused = refresh_at(&slack, 200, r#"{"ok":false,"error":"invalid_refresh_token"}"#).unwrap_err();
    assert_eq!(refused.code, FaultCode::InvalidGrant);
    let unknown = refresh_at(&slack, 200, r#"{"ok":false}"#).unwrap_err();
    assert!(is_passing(&unknown) && unknown.code == FaultCode::ProviderRefused, "{unknown}");
}

#[test]
fn a_providers_own_word_for_invalid_grant_is_mapped_by_its_file_and_both_are_shown() {
    let file = json!({ "errors": { "bad_refresh_token": "invalid_grant" } });
    let body =
        r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired."}"#;
    let fault = refresh_at(&file, 400, body).unwrap_err();
    assert_eq!((fault.code, fault.remedy), (FaultCode::InvalidGrant, Remedy::AskUser));
    assert!(fault.message.contains("\"bad_refresh_token\", which means \"invalid_grant\": The refresh"), "{fault}");
    assert!(is_passing(&refresh_at(&json!({}), 400, body).unwrap_err()), "nobody knows it without the file");
}

#[test]
fn apigees_own_type_of_a_bearer_token_is_named_by_its_file() {
    let body = r#"{"access_token":"a","token_type":"BearerToken","expires_in":"1799"}"#;
    assert_eq!(refresh_at(&json!({}), 200, body).unwrap_err().code, FaultCode::TokenTypeUnsupported);
    let answer = refresh_at(&json!({ "token_types": ["BearerToken"] }), 200, body).unwrap();
    assert_eq!(answer.expires_in, Some(Duration::from_secs(1_799)));
}

#[test]
fn azure_ad_b2cs_refresh_token_without_an_access_token_is_not_thrown_away() {
    let body = r#"{"id_token":"i","refresh_token":"new","token_type":"Bearer","expires_in":3600}"#;
    match answer::refresh(&exchange(200, body), asked(RequestKind::Refresh, &[])) {
        Ok(Refreshed::Rotated(token, fault)) => {
            assert_eq!((token.expose(), fault.code), ("new", FaultCode::AnswerMalformed));
            assert!(!fault.in_doubt, "it was answered");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refresh_token_that_comes_with_a_token_of_another_type_is_not_thrown_away() {
    let body = r#"{"access_token":"a","refresh_token":"new","token_type":"mac"}"#;
    match answer::refresh(&exchange(200, body), asked(RequestKind::Refresh, &[])) {
        Ok(Refreshed::Rotated(token, fault)) => {
            assert_eq!((token.expose(), fault.code), ("new", FaultCode::TokenTypeUnsupported));
        }
        other => panic!("{other:?}"),
    }
    assert!(answer::refresh(&exchange(503, body), asked(RequestKind::Refresh, &[])).is_err());
    assert!(answer::refresh(&exchange(404, body), asked(RequestKind::Refresh, &[])).is_err());
}

#[test]
fn an_odd_optional_member_counts_as_absent() {
    for odd in ["null", "\"\"", "[]", "{}", "true", "\"soon\""] {
        let body = format!(
            r#"{{"access_token":"a","refresh_token":{odd},"expires_in":{odd},"refresh_expires_in":{odd},"id_token":{odd},
                "scope":{odd},"error_description":{odd}}}"#
        )
        .replace("\"refresh_token\":\"soon\"", "\"refresh_token\":null")
        .replace("\"scope\":\"soon\"", "\"scope\":null");
        let answer = refresh_at(&json!({}), 200, &body).unwrap();
        assert!(answer.refresh_token.is_none() && answer.expires_in.is_none() && answer.scope.is_none(), "{odd}");
        assert_eq!(answer.sign_in_end, SignInEnd::NotSaid, "{odd}");
        let device = format!(
            r#"{{"device_code":"d","user_code":"U","verification_uri":"https://id.example/","verification_uri_complete":{odd},
                "interval":{odd},"expires_in":{odd}}}"#
        );
        assert!(super::device(200, &device).is_ok(), "{odd}");
    }
}

#[test]
fn a_byte_order_mark_before_json_and_a_form_that_calls_itself_text_are_read() {
    assert!(refresh_at(&json!({}), 200, "\u{feff}{\"access_token\":\"a\"}").is_ok());
    assert!(refresh_at(&json!({}), 200, "access_token=a&token_type=bearer&expires_in=3600").is_ok());
    assert_eq!(refresh_at(&json!({}), 400, "error=invalid_grant").unwrap_err().code, FaultCode::InvalidGrant);
}

#[test]
fn an_expires_in_of_nothing_without_a_refresh_token_means_no_known_end() {
    for nothing in ["0", "-1", "\"0\"", "-0.5"] {
        let body = format!(r#"{{"access_token":"a","expires_in":{nothing}}}"#);
        assert_eq!(at(RequestKind::ClientCredentials, &json!({}), &exchange(200, &body)).unwrap().expires_in, None);
        let body = format!(r#"{{"access_token":"a","expires_in":{nothing},"refresh_token":"r"}}"#);
        let with_another = at(RequestKind::CodeExchange, &json!({}), &exchange(200, &body)).unwrap();
        assert_eq!(with_another.expires_in, Some(Duration::ZERO));
        assert_eq!(refresh_at(&json!({}), 200, &body).unwrap().expires_in, Some(Duration::ZERO));
    }
}

#[test]
fn the_end_of_a_jwt_is_known_without_expires_in_by_the_servers_clock() {
    let jwt = |claims: &Value| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let life = |token: &str, file: &Value| {
        let body = json!({ "access_token": token }).to_string();
        let exchange = Exchange { date: Some(UnixTime::new(1_800_000_000)), ..exchange(200, &body) };
        at(RequestKind::Refresh, file, &exchange).unwrap().expires_in
    };
    let plain = json!({});
    assert_eq!(life(&jwt(&json!({ "exp": 1_800_000_900 })), &plain), Some(Duration::from_secs(900)));
    assert_eq!(life(&jwt(&json!({ "exp": 1_700_000_000 })), &plain), Some(Duration::ZERO));
    for unknown in [jwt(&json!({ "exp": "soon" })), jwt(&json!({})), "a.b.c".to_owned(), "opaque".to_owned()] {
        assert_eq!(life(&unknown, &plain), None);
        let file = json!({ "access_token_lifetime": 7200 });
        assert_eq!(life(&unknown, &file), Some(Duration::from_secs(7_200)));
    }
}

#[test]
fn stravas_expires_at_tells_the_end_where_nothing_else_does() {
    let body = r#"{"access_token":"a","expires_at":1800021600}"#;
    let exchange = Exchange { date: Some(UnixTime::new(1_800_000_000)), ..exchange(200, body) };
    assert_eq!(at(RequestKind::Refresh, &json!({}), &exchange).unwrap().expires_in, Some(Duration::from_secs(21_600)));
}

#[test]
fn the_end_of_the_sign_in_is_read_under_each_of_its_names_and_0_is_for_ever() {
    let end = |file: &Value, kind, member: &str| {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":40{member}}}"#);
        at(kind, file, &exchange(200, &body)).unwrap().sign_in_end
    };
    let seconds = |seconds| SignInEnd::In(Duration::from_secs(seconds));
    let plain = json!({});
    for name in ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"] {
        assert_eq!(end(&plain, RequestKind::Refresh, &format!(r#","{name}":12"#)), seconds(12));
        assert_eq!(end(&plain, RequestKind::Refresh, &format!(r#","{name}":"604800""#)), seconds(604_800));
        assert_eq!(end(&plain, RequestKind::Refresh, &format!(r#","{name}":0"#)), SignInEnd::Never);
    }
    assert_eq!(end(&plain, RequestKind::Refresh, ""), SignInEnd::NotSaid);
    let testing = json!({ "sign_in_lifetime": 604_800 });
    assert_eq!(end(&testing, RequestKind::CodeExchange, ""), seconds(604_800), "Google in Testing");
    assert_eq!(end(&testing, RequestKind::Refresh, ""), SignInEnd::NotSaid, "a refresh makes it no longer");
    let idle = json!({ "idle_lifetime": 7_776_000 });
    assert_eq!(end(&idle, RequestKind::Refresh, ""), seconds(7_776_000), "Entra, from each refresh on");
}

#[test]
fn salesforces_instance_and_zohos_domain_come_with_the_token_and_quickbooks_company_with_the_redirection() {
    let file = json!({
        "extra": { "instance_url": "instance_url", "api_domain": "api_domain", "missing": "no.such", "off": "" },
        "redirect_extra": { "company": "realmId", "other": "none" },
    });
    let body = r#"{"access_token":"a","instance_url":"https://example.my.salesforce.com","api_domain":null}"#;
    let extra = refresh_at(&file, 200, body).unwrap().extra;
    assert_eq!(extra.len(), 1);
    assert_eq!(extra["instance_url"].expose(), r#""https://example.my.salesforce.com""#);
    let parameters = [("realmId".to_owned(), Secret::new("4620".to_owned()))].into();
    let profile = profile(file);
    let extra: Vec<_> = answer::redirect_extra(&parameters, &profile, &[]).into_iter().collect();
    assert_eq!((extra.len(), extra[0].0.as_str(), extra[0].1.expose()), (1, "company", "\"4620\""));
}

#[test]
fn a_code_is_matched_before_a_secret_is_taken_out_of_it() {
    let device_code = Secret::new("d".to_owned());
    let pending = exchange(400, r#"{"error":"authorization_pending"}"#);
    assert!(matches!(
        answer::poll(&pending, asked(RequestKind::DevicePoll, &[&device_code])),
        Ok(Polled::NotYet(PollAnswer::Pending))
    ));
}

#[test]
fn a_token_that_is_dead_already_counts_as_revoked() {
    let outcome = |status, body: &str| answer::revocation(&exchange(status, body), asked(RequestKind::Revocation, &[]));
    assert!(outcome(400, r#"{"error":"invalid_token"}"#).is_ok(), "Google");
    assert!(outcome(400, r#"{"error":"invalid_grant"}"#).is_ok());
    assert!(outcome(400, r#"{"error":"unsupported_token_type"}"#).is_err());
    let untold = outcome(404, "").unwrap_err();
    assert_eq!(untold.message, "The provider did not confirm the revocation (HTTP 404).");
}

#[test]
fn amazons_polls_send_the_user_code_again() {
    let amazon = json!({ "poll_members": { "user_code": "user_code" } });
    let body = r#"{"device_code":"d","user_code":"ABCDEF","verification_uri":"https://amazon.com/us/code","expires_in":600,
            "verification_uri_complete":"https://amazon.com/us/code?cbl-code=ABCDEF"}"#;
    let profile = profile(amazon);
    let kind = RequestKind::DeviceAuthorization;
    let answer =
        answer::device_authorization(&exchange(200, body), RequestContext { profile: &profile, ..asked(kind, &[]) });
    let Approval::Device(device) = answer.unwrap().approval else { panic!("it is of a device") };
    assert_eq!(device.poll_parameters["user_code"].expose(), "ABCDEF");
    assert_eq!(device.verification_uri_complete.as_deref(), Some("https://amazon.com/us/code?cbl-code=ABCDEF"));
}
