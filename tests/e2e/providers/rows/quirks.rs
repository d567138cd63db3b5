//! Quirks: one odd answer each, of a provider that is plain otherwise.

use serde_json::{Value, json};

use super::{Group, Row, token};

pub(super) fn rows() -> Vec<Row> {
    [vec![audience()], of_codes(), of_tokens(), of_refusals()].concat()
}

/// A provider that refuses to begin without a parameter of its own.
fn audience() -> Row {
    let title = "needs a parameter of its own, such as `audience` (Auth0)";
    let mut row = quirk("audience", title, json!({})).with("params = { audience = \"https://api.example.com\" }");
    row.shape = json!({ "requires": { "device": ["audience"] } });
    row
}

/// A row for a quirk: what the scripted provider answers in place of the plain one.
fn quirk(name: &str, title: &str, answers: Value) -> Row {
    let mut row = Row::new(Group::Quirk, name, title).with(&format!(
        "device_authorization_endpoint = \"{{origin}}/{name}/device\"\ntoken_endpoint = \"{{origin}}/{name}/token\"\n\
         revocation_endpoint = \"{{origin}}/{name}/revoke\"\nclient_id = \"gateway\"\nscopes = [\"read\"]"
    ));
    row.shape = Value::from_iter([("answers", answers)]);
    row
}

fn error(status: u16, code: &str) -> Value {
    json!({ "status": status, "json": { "error": code } })
}

/// A good answer of the device endpoint, with these members.
fn device(change: &Value) -> Value {
    let mut answer = json!({ "device_code": "$", "user_code": "$", "expires_in": 600, "interval": 1 });
    answer.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    answer.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json!({ "status": 200, "json": answer })
}

/// The same odd answer to the first request for a token and to the next.
fn tokens(change: &Value) -> Value {
    json!({ "granted": [token(change)], "refresh": [token(change)] })
}

/// An answer to a request for the next token that brings none.
fn refused(answer: Value) -> Value {
    Value::from_iter([("refused", vec![answer])])
}

const PAGE: &str = "<html><body>Welcome to the hotel. Please sign in.</body></html>";

fn of_codes() -> Vec<Row> {
    vec![
        quirk(
            "url",
            "`verification_url` and no `verification_uri` (Google)",
            json!({ "device": [device(&json!({ "verification_url": "$issuer/activate" }))] }),
        ),
        quirk(
            "both-urls",
            "both spellings of the address together",
            json!({ "device": [device(&json!({ "verification_url": "$issuer/a", "verification_uri": "$issuer/b" }))] }),
        ),
        quirk(
            "no-interval",
            "no `interval` (oidc-provider)",
            json!({ "device": [device(&json!({ "verification_uri": "$issuer/activate", "interval": null }))] }),
        ),
        quirk(
            "device-429",
            "the device endpoint answers HTTP 429 once",
            json!({ "device": [{ "status": 429 }, device(&json!({ "verification_uri": "$issuer/activate" }))] }),
        ),
        quirk(
            "pending-428",
            "pending is HTTP 428 (Google)",
            json!({ "pending": [error(428, "authorization_pending")] }),
        ),
        quirk(
            "slow-down",
            "`slow_down` (Authlib, Keycloak)",
            json!({ "pending": [error(400, "slow_down"), error(400, "authorization_pending")] }),
        )
        .polls(2),
        quirk(
            "errors-in-200",
            "errors with HTTP 200 (GitHub)",
            json!({
                "pending": [error(200, "authorization_pending")], "denied": [error(200, "access_denied")],
                "refused": [error(200, "invalid_grant")],
            }),
        ),
        quirk(
            "portal",
            "a captive portal's page once while the code waits",
            json!({ "pending": [{ "status": 200, "html": PAGE }, error(400, "authorization_pending")] }),
        )
        .polls(2),
        quirk(
            "declined",
            "`authorization_declined` (Microsoft)",
            json!({ "denied": [error(400, "authorization_declined")] }),
        ),
        quirk(
            "expired-once",
            "`expired_token` once, then `invalid_grant` (Auth0)",
            json!({ "denied": [error(403, "expired_token"), error(403, "invalid_grant")] }),
        ),
        quirk(
            "unknown-code",
            "an unknown code is `invalid_request` (Authlib, Dex)",
            json!({ "denied": [error(400, "invalid_request")] }),
        ),
        quirk(
            "unknown-own",
            "an unknown code is `bad_verification_code` (Microsoft)",
            json!({ "denied": [error(400, "bad_verification_code")] }),
        ),
        quirk(
            "unknown-404",
            "an unknown code is HTTP 404 (django-oauth-toolkit)",
            json!({ "denied": [error(404, "device_not_found")] }),
        ),
    ]
}

fn of_tokens() -> Vec<Row> {
    let json_of = |answer: &Value| answer["json"].clone();
    vec![
        quirk(
            "form",
            "form-encoded answers (GitHub, unless JSON is requested)",
            json!({ "granted": [{ "status": 200, "form": true, "json": json_of(&token(&json!({}))) }] }),
        ),
        quirk(
            "text-plain",
            "JSON with the content type `text/plain`",
            json!({ "granted": [{ "status": 200, "type": "text/plain", "json": json_of(&token(&json!({}))) }] }),
        ),
        quirk(
            "created",
            "HTTP 201 for a token",
            json!({ "granted": [{ "status": 201, "json": json_of(&token(&json!({}))) }] }),
        ),
        quirk("expires-text", "`expires_in` is a string", tokens(&json!({ "expires_in": "3600" }))),
        quirk(
            "expires-missing",
            "`expires_in` is missing (GitHub, Salesforce)",
            tokens(&json!({ "expires_in": null })),
        ),
        quirk("type-missing", "`token_type` is missing (Netatmo)", tokens(&json!({ "token_type": null }))),
        quirk("type-case", "`token_type` is `bearer` or `BEARER` (Dex, Hydra)", {
            json!({ "granted": [token(&json!({ "token_type": "bearer" }))], "refresh": [token(&json!({ "token_type": "BEARER" }))] })
        }),
        quirk("type-mac", "`token_type` is `mac`", tokens(&json!({ "token_type": "mac" }))),
        quirk("scope-changed", "other scopes than asked for", tokens(&json!({ "scope": "read-only" }))),
        quirk("scope-list", "the scopes are a list (Netatmo)", tokens(&json!({ "scope": ["read"] }))),
        quirk(
            "no-refresh-token",
            "no refresh token at all (GitHub)",
            json!({ "granted": [token(&json!({ "refresh_token": null }))] }),
        ),
        quirk(
            "refresh-token-kept",
            "a refresh brings no refresh token (authentik, Google)",
            json!({ "refresh": [token(&json!({ "refresh_token": null }))] }),
        ),
        quirk(
            "empty-token",
            "an empty `access_token` once",
            json!({ "granted": [token(&json!({ "access_token": "" })), token(&json!({}))] }),
        ),
    ]
}

fn of_refusals() -> Vec<Row> {
    vec![
        quirk(
            "error-and-token",
            "`error` and `access_token` together",
            refused(json!({ "status": 200, "json": { "error": "invalid_grant", "access_token": "$" } })),
        ),
        quirk("grant-403", "`invalid_grant` is HTTP 403 (Auth0)", refused(error(403, "invalid_grant"))),
        quirk(
            "grant-request",
            "a bad refresh token is `invalid_request` (FlowFuse)",
            refused(
                json!({ "status": 400, "json": { "error": "invalid_request", "error_description": "Invalid refresh token" } }),
            ),
        ),
        quirk(
            "own-form",
            "an error in its own format (Fitbit, Strava)",
            refused(json!({ "status": 400, "json": { "errors": [{ "errorType": "invalid_grant" }] } })),
        ),
        quirk("grant-500", "`invalid_grant` is HTTP 500", refused(error(500, "invalid_grant"))),
        quirk("client", "`invalid_client`", refused(error(401, "invalid_client"))),
        quirk("interaction", "`interaction_required` (Microsoft)", refused(error(400, "interaction_required"))),
        quirk("later", "`temporarily_unavailable`", refused(error(400, "temporarily_unavailable"))),
        quirk("unheard-of", "an error code that no standard defines", refused(error(400, "quota_of_the_moon"))),
        quirk(
            "error-object",
            "`error` is an object",
            refused(json!({ "status": 400, "json": { "error": { "code": 400, "message": "Bad" } } })),
        ),
        quirk("http-403", "HTTP 403 with a page", refused(json!({ "status": 403, "html": PAGE }))),
        quirk("http-407", "HTTP 407", refused(json!({ "status": 407 }))),
        quirk("http-421", "HTTP 421", refused(json!({ "status": 421 }))),
        quirk(
            "http-429",
            "HTTP 429 with `Retry-After`",
            refused(json!({ "status": 429, "headers": { "retry-after": "90" } })),
        ),
        quirk("http-500", "HTTP 500", refused(json!({ "status": 500 }))),
        quirk("http-503", "HTTP 503", refused(json!({ "status": 503 }))),
        quirk("http-511", "HTTP 511", refused(json!({ "status": 511, "html": PAGE }))),
        quirk("html", "a captive portal's page with HTTP 200", refused(json!({ "status": 200, "html": PAGE }))),
        quirk(
            "redirect",
            "a captive portal's HTTP 302",
            refused(json!({ "status": 302, "headers": { "location": "http://portal.invalid/" } })),
        ),
        quirk("empty", "an empty body with HTTP 200", refused(json!({ "status": 200 }))),
        quirk("reset", "a connection that breaks off", refused(json!({ "wire": "reset" }))),
        quirk("hang", "a connection that hangs", refused(json!({ "wire": "hang" }))),
        quirk("revoke-fails", "the revocation fails", json!({ "revoke": [error(503, "temporarily_unavailable")] })),
    ]
}
