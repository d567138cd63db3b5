//! `Provider` itself, which asks a server on loopback: what the modules do together.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::directory::http;
use super::*;
use crate::domain::redirection::RedirectedCode;
use crate::domain::settings::EndpointSettings;
use crate::domain::token::{Granted, User};
use crate::provider::{Directory, EndpointQuery, Provider, request};

const REDIRECT: &str = "http://127.0.0.1:8629/oauth2/redirect";

/// A request that came.
#[derive(Clone, Debug)]
struct Seen {
    path: String,
    authorization: Option<String>,
    params: BTreeMap<String, String>,
}

/// An answer with this status and body.
struct Answer {
    status: u16,
    headers: &'static str,
    body: Vec<u8>,
}

fn says(status: u16, json: &Value) -> Answer {
    Answer { status, headers: "", body: json.to_string().into_bytes() }
}

fn good_token() -> Value {
    json!({ "access_token": "a", "refresh_token": "r2", "token_type": "Bearer", "expires_in": 3600 })
}

/// A provider that answers by a function, and what it was asked.
struct World {
    provider: Provider,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl World {
    /// The requests to an endpoint, first to last.
    fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }
}

fn read_request(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap().to_owned();
    let (mut authorization, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.split(' ').next().map(str::to_owned),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Seen { path, authorization, params: url::form_urlencoded::parse(&body).into_owned().collect() }
}

/// An account at an issuer on loopback, whose endpoints give these answers.
fn world(account: AccountSettings, answer: impl Fn(&Seen) -> Answer + Send + 'static) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({
        "issuer": issuer, "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "revocation_endpoint": format!("{issuer}/revoke"), "userinfo_endpoint": format!("{issuer}/userinfo"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    });
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let kept = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let asked = read_request(&stream);
            let Answer { status, headers, body } =
                if asked.path.starts_with("/.well-known/") { says(200, &metadata) } else { answer(&asked) };
            kept.lock().unwrap().push(asked);
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    let endpoints = EndpointSettings { issuer: Some(Arc::new(issuer.parse().unwrap())), ..EndpointSettings::default() };
    let account = Arc::new(AccountSettings { endpoints: Arc::new(endpoints), ..account });
    let directory = Arc::new(Directory::new(EndpointQuery::by(&account), http()));
    World { provider: Provider::new(account, directory, Arc::new(Semaphore::new(1))), seen }
}

#[tokio::test]
async fn the_proof_key_of_a_device_authorization_goes_with_each_poll() {
    let world = world(with(json!({ "device_pkce": "plain" })), |asked| match asked.path.as_str() {
        "/device" => says(
            200,
            &json!({ "device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://id.example/device" }),
        ),
        _ => says(400, &json!({ "error": "authorization_pending" })),
    });
    let Approval::Device(device) = world.provider.authorize().await.unwrap().approval else { panic!("a device code") };
    for _ in 0..2 {
        world.provider.poll(&device.device_code, &device.poll_parameters).await.unwrap();
    }
    let challenge = &world.seen("/device")[0].params["code_challenge"];
    let polls = world.seen("/token");
    assert_eq!(polls.len(), 2);
    assert!(polls.iter().all(|poll| poll.params["code_verifier"] == *challenge && challenge.len() >= 43), "{polls:?}");
}

#[tokio::test]
async fn an_answer_that_a_front_server_compressed_is_read_within_the_limit() {
    let gzip = |text: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    };
    let answers = [gzip(good_token().to_string().as_bytes()), gzip(&vec![b' '; 300 * 1024])];
    let world = world(account(), move |asked| {
        let body = answers[usize::from(asked.params["refresh_token"] == "large")].clone();
        Answer { status: 200, headers: "content-encoding: gzip\r\n", body }
    });
    let refreshed = world.provider.refresh(&secret("r"), None, false).await.unwrap();
    assert!(matches!(refreshed, Refreshed::Tokens(tokens) if tokens.access_token.expose() == "a"));
    let fault = world.provider.refresh(&secret("large"), None, false).await.unwrap_err();
    assert!(fault.code == FaultCode::NotOauth && fault.in_doubt, "{fault:?}");
}

/// Exchanges a code of an account with this profile, with `id_token` in the answer for a code verifier.
async fn exchanged(file: Value, id_token: impl Fn(&Secret) -> Option<String>) -> Result<Granted, Fault> {
    let verifier = request::new_code_verifier();
    let mut token = good_token();
    token["id_token"] = id_token(&verifier).into();
    let grant = GrantSettings::AuthorizationCode { redirect_uri: REDIRECT.into() };
    let account = AccountSettings { grant, ..with(file) };
    let world = world(account, move |asked| {
        let is_userinfo = asked.path == "/userinfo";
        says(200, &if is_userinfo { json!({ "sub": "ann" }) } else { token.clone() })
    });
    let further = [("realmId", "4620"), ("session", "1")];
    let further = further.map(|(name, value)| (name.to_owned(), secret(value))).into();
    world.provider.exchange(&RedirectedCode { code: secret("c"), further }, &verifier).await
}

#[tokio::test]
async fn quickbooks_company_goes_from_the_redirection_to_the_token_and_nothing_else_does() {
    let quickbooks = json!({ "redirect_extra": { "realm_id": "realmId" } });
    let granted = exchanged(quickbooks, |_| None).await.unwrap();
    let extra: Vec<_> = granted.tokens.extra.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(extra, [("realm_id", "\"4620\"")]);
}

/// An ID token with this nonce, in which nothing else counts.
fn with_nonce(nonce: &str) -> Option<String> {
    use base64::Engine as _;
    let claims = json!({ "sub": "ann", "nonce": nonce }).to_string();
    Some(format!("e30.{}.e30", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims)))
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_ends_this_one() {
    let fault = exchanged(json!({}), |_| with_nonce("another")).await.unwrap_err();
    assert_eq!((fault.code, fault.remedy), (FaultCode::RedirectInvalid, Remedy::AskUser));
    assert!(fault.message.contains("another sign-in"), "{fault}");
    assert!(exchanged(json!({}), |verifier| with_nonce(&request::nonce(verifier))).await.is_ok());
    assert!(exchanged(json!({ "nonce": false }), |_| with_nonce("another")).await.is_ok(), "none was sent");
}

#[tokio::test]
async fn the_next_way_to_authenticate_is_tried_once_after_either_refusal_and_then_remembered() {
    for (status, code) in [(401, "invalid_client"), (400, "unauthorized_client")] {
        let world = world(account(), move |asked| {
            if asked.authorization.is_some() {
                says(200, &good_token())
            } else {
                says(status, &json!({ "error": code }))
            }
        });
        for _ in 0..2 {
            world.provider.refresh(&secret("r"), None, false).await.unwrap();
        }
        let seen = world.seen("/token");
        let ways: Vec<_> = seen.iter().map(|asked| asked.authorization.as_deref()).collect();
        assert_eq!(ways, [None, Some("Basic"), Some("Basic")], "{code}");
        assert!(seen[0].params.contains_key("client_secret"), "{code}");
        assert!(seen[1..].iter().all(|asked| !asked.params.contains_key("client_secret")), "never in two ways: {code}");
    }
    let world = world(account(), |_| says(401, &json!({ "error": "invalid_client" })));
    let fault = world.provider.refresh(&secret("r"), None, false).await.unwrap_err();
    assert_eq!((fault.code, world.seen("/token").len()), (FaultCode::InvalidClient, 2), "each way once");
}

/// Signs out at a server that answers with these statuses, and with the error `invalid_request`.
async fn revoked(file: Value, statuses: [u16; 2]) -> (Result<(), Fault>, Vec<String>) {
    let statuses = Mutex::new(statuses.into_iter());
    let world = world(with(file), move |_| {
        says(statuses.lock().unwrap().next().unwrap(), &json!({ "error": "invalid_request" }))
    });
    let outcome = world.provider.revoke(Some(&secret("r")), &[secret("a")]).await;
    (outcome, world.seen("/revoke").iter().map(|asked| asked.params["token"].clone()).collect())
}

#[tokio::test]
async fn what_a_good_server_says_of_a_token_that_went_with_the_grant_is_no_failure() {
    let (outcome, asked) = revoked(json!({}), [200, 400]).await;
    assert!(outcome.is_ok() && asked == ["r", "a"], "{outcome:?}, {asked:?}");
    let (outcome, _) = revoked(json!({}), [200, 503]).await;
    assert_eq!(outcome.unwrap_err().code, FaultCode::ProviderUnavailable, "it may live on");
    let (outcome, asked) = revoked(json!({}), [400, 200]).await;
    assert!(outcome.is_err() && asked == ["r", "a"], "the grant has not ended: {asked:?}");
}

#[tokio::test]
async fn the_access_token_is_revoked_first_where_the_profile_says_so() {
    let first = json!({ "revoke": ["access_token", "refresh_token"] });
    let (outcome, asked) = revoked(first.clone(), [200, 200]).await;
    assert!(outcome.is_ok() && asked == ["a", "r"], "{asked:?}");
    let (outcome, _) = revoked(first, [200, 400]).await;
    assert!(outcome.is_err(), "the refresh token does not end with the access token");
    let (_, asked) = revoked(json!({ "revoke": ["access_token"] }), [200, 200]).await;
    assert_eq!(asked, ["a"]);
}

#[tokio::test]
async fn userinfo_is_asked_where_the_id_token_is_encrypted() {
    let granted = exchanged(json!({}), |_| Some("e30.e30.e30.e30.e30".to_owned())).await.unwrap();
    let User::Known(user) = granted.user else { panic!("{:?}", granted.user) };
    assert_eq!(user.sub, "ann");
}
