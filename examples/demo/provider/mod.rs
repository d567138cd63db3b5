//! A small authorization server: the endpoints of a provider, and the page on which the person approves.

mod grants;
mod page;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{Form, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::stage::{Stage, Who};
pub(crate) use grants::{ACCESS_TOKEN_LIFE, CODE_LIFE, Tally};
use grants::{Decision, Grants, Issued, Refusal};

/// The one client that is registered here; it has no secret.
pub(crate) const CLIENT_ID: &str = "oauth2mqtt-demo";

/// Who signs in here; there is no one else.
const USER: &str = "ada@example.com";

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The running server. Clones are the same server.
#[derive(Clone)]
pub(crate) struct Provider {
    address: SocketAddr,
    grants: Arc<Mutex<Grants>>,
    stage: Stage,
}

impl Provider {
    /// Starts the server on a free port of `address`; it runs as long as the process.
    pub(crate) async fn start(stage: &Stage, address: IpAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let provider = Self { address: listener.local_addr()?, grants: Arc::default(), stage: stage.clone() };
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/device_authorization", post(authorize_device))
            .route("/device", get(show_page).post(take_decision))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/userinfo", get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(provider)
    }

    /// The issuer (RFC 8414 2), which is what all its addresses start with.
    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether no other machine can reach it.
    pub(crate) fn is_on_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// The protected address: it answers only to a token that is good at that moment.
    pub(crate) fn userinfo(&self) -> String {
        format!("{}/userinfo", self.issuer())
    }

    /// What happened here so far.
    pub(crate) fn tally(&self) -> Tally {
        self.grants().tally()
    }

    /// Every secret that was ever given out, to look for where it must not be.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.grants().secrets()
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn says(&self, text: &str) {
        self.stage.say(Who::Provider, text);
    }
}

/// RFC 8414 3.
async fn metadata(State(provider): State<Provider>) -> Response {
    let issuer = provider.issuer();
    Json(json!({
        "issuer": issuer,
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "userinfo_endpoint": provider.userinfo(),
        "grant_types_supported": [DEVICE_GRANT, "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "scopes_supported": ["openid", "email", "offline_access"],
    }))
    .into_response()
}

// A parameter that is missing is the same as an empty one (RFC 6749 3.2), and no client or code is empty.

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeviceRequest {
    client_id: String,
    scope: String,
}

/// RFC 8628 3.1.
async fn authorize_device(State(provider): State<Provider>, Form(asked): Form<DeviceRequest>) -> Response {
    if asked.client_id != CLIENT_ID {
        return invalid_client();
    }
    let code = provider.grants().begin(&asked.scope, Instant::now());
    provider.says("a device asks to be signed in; it gets a code to show");
    let page = format!("{}/device", provider.issuer());
    no_store(json!({
        "device_code": code.device_code,
        "user_code": code.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", code.user_code),
        "expires_in": CODE_LIFE.as_secs(),
        "interval": code.interval.as_secs(),
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenRequest {
    grant_type: String,
    client_id: String,
    device_code: String,
    refresh_token: String,
}

/// RFC 6749 3.2.
async fn token(State(provider): State<Provider>, Form(asked): Form<TokenRequest>) -> Response {
    if asked.client_id != CLIENT_ID {
        return invalid_client();
    }
    let now = Instant::now();
    let answer = match asked.grant_type.as_str() {
        DEVICE_GRANT => provider.grants().poll(&asked.device_code, now),
        "refresh_token" => provider.grants().refresh(&asked.refresh_token, now),
        _ => return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    match (&answer, asked.grant_type.as_str()) {
        (Ok(_), DEVICE_GRANT) => provider.says("signed in: gives an access token and a refresh token"),
        (Ok(_), _) => provider.says("refresh: gives two new tokens; the refresh token shown is spent"),
        (Err(Refusal::AuthorizationPending), _) => {}
        (Err(refusal), _) => provider.says(&format!("answers {}", refusal.code())),
    }
    match answer {
        Ok(Issued { access_token, refresh_token, scope }) => no_store(json!({
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_LIFE.as_secs(),
            "scope": scope,
        })),
        Err(refusal) => refused(StatusCode::BAD_REQUEST, refusal.code()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Revocation {
    client_id: String,
    token: String,
}

/// RFC 7009 2: an unknown token is as good as revoked.
async fn revoke(State(provider): State<Provider>, Form(asked): Form<Revocation>) -> Response {
    if asked.client_id != CLIENT_ID {
        return invalid_client();
    }
    if provider.grants().revoke(&asked.token) {
        provider.says("revoked: none of the tokens of this sign-in is good any more");
    }
    StatusCode::OK.into_response()
}

/// What a flow would call: some API that wants a token (RFC 6750 2.1 and 3).
async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    if !provider.grants().accepts(token, Instant::now()) {
        let challenge = [(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    no_store(json!({ "sub": "1", "email": USER }))
}

#[derive(Deserialize)]
struct PageQuery {
    user_code: Option<String>,
}

/// The page behind `verification_uri`, with or without the code in the address.
async fn show_page(State(provider): State<Provider>, Query(query): Query<PageQuery>) -> Response {
    let Some(typed) = query.user_code else { return html(StatusCode::OK, page::enter_code(None)) };
    let scope = provider.grants().scope_asked(&typed, Instant::now()).map(str::to_owned);
    match scope {
        Some(scope) => html(StatusCode::OK, page::approve(&grants::canonical_user_code(&typed), CLIENT_ID, &scope)),
        None => html(StatusCode::NOT_FOUND, page::enter_code(Some(&typed))),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageForm {
    user_code: String,
    decision: String,
}

async fn take_decision(State(provider): State<Provider>, Form(form): Form<PageForm>) -> Response {
    let decision = if form.decision == "approve" { Decision::Approve } else { Decision::Deny };
    if !provider.grants().decide(&form.user_code, decision, Instant::now()) {
        return html(StatusCode::NOT_FOUND, page::enter_code(Some(&form.user_code)));
    }
    match decision {
        Decision::Approve => {
            provider.says("the person approved on the page");
            html(StatusCode::OK, page::done("Approved", "The device goes on by itself. You can close this page."))
        }
        Decision::Deny => {
            provider.says("the person refused on the page");
            html(StatusCode::OK, page::done("Refused", "The device gets nothing. You can close this page."))
        }
    }
}

fn html(status: StatusCode, body: String) -> Response {
    // No one may show this page inside another and have the button pressed unknowingly (RFC 8628 5.4).
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    (status, [(CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, "no-store")], Html(body)).into_response()
}

fn no_store(body: serde_json::Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn refused(status: StatusCode, code: &str) -> Response {
    (status, no_store(json!({ "error": code }))).into_response()
}

fn invalid_client() -> Response {
    refused(StatusCode::UNAUTHORIZED, "invalid_client")
}
