//! What the provider is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{account, endpoints};
use crate::domain::client_key::ClientKey;
use crate::domain::profile::ClientAuth;
use crate::domain::secret::Secret;
use crate::domain::settings::AccountSettings;
use crate::provider::assertion;
use crate::provider::credential::credentials;
use crate::provider::discovery::Endpoints;
use crate::provider::request::{Requests, Revoke};
use oauth2::HttpRequest;
use url::Url;

fn requests<'a>(account: &'a AccountSettings, endpoints: &'a Endpoints) -> Requests<'a> {
    Requests { account, endpoints, credential: credentials(account, endpoints)[0] }
}

fn body(request: &HttpRequest) -> String {
    String::from_utf8(request.body().clone()).unwrap()
}

#[test]
fn a_device_request_names_the_client_the_scopes_and_the_further_parameters() {
    let mut account = account();
    Arc::make_mut(&mut account.profile).params.insert("audience".to_owned(), "https://api.example.com".to_owned());
    let endpoints = endpoints();
    let url = endpoints.device_authorization.clone().unwrap();
    let request = requests(&account, &endpoints).device_authorization(&url, None).unwrap();
    assert_eq!(request.uri(), "https://provider.example/device");
    assert_eq!(
        body(&request),
        "scope=openid+email&client_id=the-client&client_secret=hunter2&audience=https%3A%2F%2Fapi.example.com"
    );
    assert_eq!(request.headers()["accept"], "application/json");
}

#[test]
fn scopes_are_separated_as_the_provider_wants() {
    let mut account = account();
    Arc::make_mut(&mut account.profile).scope_separator = Some(",".to_owned());
    let endpoints = endpoints();
    let url = endpoints.device_authorization.clone().unwrap();
    let request = requests(&account, &endpoints).device_authorization(&url, None).unwrap();
    assert!(body(&request).contains("scope=openid%2Cemail&"));
}

#[test]
fn a_poll_carries_the_grant_type_and_the_device_code() {
    let request = requests(&account(), &endpoints())
        .device_access_token(&Secret::new("d\"c".to_owned()), &BTreeMap::new())
        .unwrap();
    assert_eq!(
        body(&request),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d%22c\
         &client_id=the-client&client_secret=hunter2"
    );
}

#[test]
fn basic_authentication_keeps_the_secret_out_of_the_body() {
    let mut account = account();
    Arc::make_mut(&mut account.profile).client_auth = Some(ClientAuth::Basic);
    let request = requests(&account, &endpoints()).refresh(&Secret::new("r1".to_owned()), None).unwrap();
    assert_eq!(body(&request), "grant_type=refresh_token&refresh_token=r1");
    assert!(request.headers().contains_key("authorization"));
}

#[test]
fn an_authorization_request_has_a_proof_key_a_fresh_state_and_the_registered_redirect_address() {
    let mut account = account();
    Arc::make_mut(&mut account.profile).params.insert("access_type".to_owned(), "offline".to_owned());
    let endpoints = endpoints();
    let url = endpoints.authorization.clone().unwrap();
    let redirect_uri = "http://127.0.0.1:8629/oauth2/redirect";
    let make = || requests(&account, &endpoints).authorization(&url, redirect_uri);
    let request = make();
    let address: Url = request.address.parse().unwrap();
    let query: BTreeMap<_, _> = address.query_pairs().into_owned().collect();
    assert!(request.address.starts_with("https://provider.example/authorize?tenant=7&"), "{}", request.address);
    assert_eq!((query["response_type"].as_str(), query["client_id"].as_str()), ("code", "the-client"));
    assert_eq!((query["scope"].as_str(), query["access_type"].as_str()), ("openid email", "offline"));
    assert_eq!((query["redirect_uri"].as_str(), &query["state"]), (redirect_uri, &request.state));
    assert_eq!(query["code_challenge_method"], "S256");
    let verifier = request.code_verifier.expose();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    assert_eq!(query["code_challenge"], challenge);
    assert!(verifier.len() >= 43 && request.state.len() >= 22);
    assert!(!request.address.contains(verifier) && !request.address.contains("hunter2"));
    let another = make();
    assert!(another.state != request.state && another.code_verifier.expose() != verifier);
    assert_eq!(request.issuer.as_deref(), Some("https://provider.example"));
}

#[test]
fn a_code_is_exchanged_with_its_proof_and_redirect_address() {
    let redirect_uri = "http://127.0.0.1:8629/oauth2/redirect";
    let secret = |text: &str| Secret::new(text.to_owned());
    let verifier = "v".repeat(43);
    let request =
        requests(&account(), &endpoints()).code_exchange(redirect_uri, &secret("c1"), &secret(&verifier)).unwrap();
    assert_eq!(
        body(&request),
        format!(
            "grant_type=authorization_code&code=c1&code_verifier={verifier}&client_id=the-client&\
             client_secret=hunter2&redirect_uri=http%3A%2F%2F127.0.0.1%3A8629%2Foauth2%2Fredirect"
        )
    );
}

#[test]
fn the_clients_own_right_and_a_password_are_asked_with_scopes_and_parameters() {
    let mut account = account();
    Arc::make_mut(&mut account.profile).params.insert("audience".to_owned(), "api".to_owned());
    let endpoints = endpoints();
    let requests = requests(&account, &endpoints);
    assert_eq!(
        body(&requests.client_credentials().unwrap()),
        "grant_type=client_credentials&scope=openid+email&client_id=the-client&client_secret=hunter2&audience=api"
    );
    assert_eq!(
        body(&requests.password("ann", &Secret::new("pass word".to_owned())).unwrap()),
        "grant_type=password&username=ann&password=pass+word&scope=openid+email&client_id=the-client&\
         client_secret=hunter2&audience=api"
    );
}

#[test]
fn a_client_with_a_key_signs_an_assertion_in_place_of_a_secret() {
    let pem = Secret::new(crate::testing::keys::ed25519());
    let mut account = account();
    account.client.secrets.clear();
    account.client.key = Some(ClientKey::from_pem(&pem, Some("k1".to_owned())).unwrap());
    Arc::make_mut(&mut account.profile).client_auth = Some(ClientAuth::PrivateKeyJwt);
    let request = requests(&account, &endpoints()).refresh(&Secret::new("r1".to_owned()), None).unwrap();
    let body = body(&request);
    let members: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!((members["client_id"].as_str(), members.get("client_secret")), ("the-client", None));
    assert_eq!(members["client_assertion_type"], assertion::TYPE);
    let part = |number: usize| -> serde_json::Value {
        let part = members["client_assertion"].split('.').nth(number).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!((part(0)["alg"].as_str(), part(0)["kid"].as_str()), (Some("EdDSA"), Some("k1")));
    let claims = part(1);
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("the-client"), Some("the-client")));
    assert_eq!(claims["aud"], "https://provider.example");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    assert!(claims["jti"].as_str().unwrap().len() >= 20);
}

#[test]
fn a_revocation_goes_to_the_endpoint_even_on_loopback() {
    let url: Url = "http://127.0.0.1:9/revoke".parse().unwrap();
    let token = Secret::new("r1".to_owned());
    let request = requests(&account(), &endpoints()).revocation(&url, Revoke::Refresh(&token)).unwrap();
    assert_eq!(request.uri(), "http://127.0.0.1:9/revoke");
    assert!(body(&request).starts_with("token=r1&token_type_hint=refresh_token"));
}
