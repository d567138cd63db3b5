//! Assertions, compared claim by claim with those that Google's and Microsoft's own libraries make.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::domain::client_key::{ClientKey, Thumbprints};
use crate::domain::jwt_bearer::JwtBearer;
use crate::provider::assertion;
use crate::provider::credential::credentials;
use crate::provider::request::{Requests, Revoke};
use crate::testing::keys;

/// The token endpoint.
const TOKEN: &str = "https://provider.example/token";

/// What `tests/assertions/make.py` made with google-auth and msal.
fn expected() -> Value {
    serde_json::from_str(include_str!("../../../tests/assertions/expected.json")).unwrap()
}

/// Header and claims; times as the lifetime, and an id that is used once as nothing.
fn parts(assertion: &Secret) -> Value {
    let part = |number: usize| -> Value {
        let part = assertion.expose().split('.').nth(number).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let mut claims = part(1);
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    let members = claims.as_object_mut().unwrap();
    members.insert("exp".to_owned(), life.into());
    members.remove("iat");
    if let Some(id) = members.get_mut("jti") {
        assert!(id.as_str().unwrap().len() >= 20);
        *id = Value::Null;
    }
    json!({ "header": part(0), "claims": claims })
}

fn at(token: &str) -> Endpoints {
    Endpoints { token: Arc::new(token.parse().unwrap()), issuer: None, ..endpoints() }
}

#[test]
fn the_assertion_of_a_service_account_is_the_one_that_google_auth_makes() {
    let expected = expected();
    let mut file = expected["service_account_file"].clone();
    file["private_key"] = keys::rsa(2048).into();
    let file = Secret::new(file.to_string());
    let scopes: Vec<String> = serde_json::from_value(expected["scopes"].clone()).unwrap();
    for (name, subject) in [("google", None), ("google_with_subject", Some("ann@plant.example".to_owned()))] {
        let (bearer, token_uri) = JwtBearer::from_service_account(&file, subject).unwrap();
        let made = assertion::of_grant(&bearer, &scopes, &at(token_uri.as_str()), &Profile::default()).unwrap();
        assert_eq!(parts(&made), expected[name], "{name}");
    }
}

#[test]
fn the_assertion_of_a_client_with_a_certificate_is_the_one_that_msal_makes_for_both_thumbprints() {
    let expected = expected();
    let (_, thumbprints) = Thumbprints::of(expected["certificate"].as_str().unwrap().as_bytes()).unwrap();
    let mut key = ClientKey::from_pem(&Secret::new(keys::rsa(2048)), None).unwrap();
    key.certificate = Some(thumbprints);
    for (thumbprint, algorithm) in [("x5t", "RS256"), ("x5t#S256", "PS256")] {
        let profile = profile(json!({
            "assertion_thumbprint": thumbprint, "assertion_algorithm": algorithm, "assertion_lifetime": 600,
            "assertion_audience": "token_endpoint",
        }));
        let made = assertion::of_client(&key, "the-client", TOKEN, &at(TOKEN), &profile).unwrap();
        let mut expected = expected["microsoft"][thumbprint].clone();
        // The standard has no padding there (RFC 7515 4.1.8); Microsoft takes both.
        expected["header"][thumbprint] = expected["header"][thumbprint].as_str().unwrap().trim_end_matches('=').into();
        expected["claims"]["exp"] = 600.into();
        assert_eq!(parts(&made), expected, "{thumbprint}");
    }
}

#[test]
fn a_template_that_was_not_filled_in_is_never_signed() {
    let key = ClientKey::from_pem(&Secret::new(keys::ed25519()), None).unwrap();
    for issuer in ["https://login.example/{tenantid}/v2.0", "https://login.example/{tid}/v2.0"] {
        let endpoints = Endpoints { issuer: Some(issuer.to_owned()), ..endpoints() };
        let made = assertion::of_client(&key, "the-client", TOKEN, &endpoints, &Profile::default()).unwrap();
        assert_eq!(parts(&made)["claims"]["aud"], TOKEN);
    }
}

#[test]
fn an_assertion_has_the_audience_that_the_provider_wants() {
    let key = ClientKey::from_pem(&Secret::new(keys::ed25519()), None).unwrap();
    let audience = |file: Value| {
        let made = assertion::of_client(&key, "the-client", TOKEN, &endpoints(), &profile(file)).unwrap();
        parts(&made)["claims"]["aud"].clone()
    };
    assert_eq!(audience(json!({})), "https://provider.example");
    assert_eq!(audience(json!({ "assertion_audience": "token_endpoint" })), TOKEN);
    assert_eq!(
        audience(json!({ "assertion_audience": "https://login.salesforce.com" })),
        "https://login.salesforce.com"
    );
}

#[test]
fn docusign_and_salesforce_want_a_subject_and_an_audience_of_their_own() {
    let claims = |subject: Option<&str>, file: Value| {
        let key = ClientKey::from_pem(&Secret::new(keys::ed25519()), None).unwrap();
        let (issuer, subject) = ("the-client".to_owned(), subject.map(str::to_owned));
        let bearer = JwtBearer { key, issuer, subject, is_service_account: false };
        let made = assertion::of_grant(&bearer, &["api".to_owned()], &endpoints(), &profile(file)).unwrap();
        parts(&made)["claims"].clone()
    };
    let docusign = json!({ "assertion_audience": "account-d.docusign.com", "assertion_scopes": "claim" });
    assert_eq!(
        claims(Some("ann@plant.example"), docusign),
        json!({ "iss": "the-client", "sub": "ann@plant.example", "aud": "account-d.docusign.com", "scope": "api",
                "exp": 3_600, "jti": null })
    );
    assert_eq!(
        claims(None, json!({})),
        json!({ "iss": "the-client", "sub": "the-client", "aud": "https://provider.example", "exp": 3_600,
                "jti": null })
    );
}

#[test]
fn okta_wants_the_endpoint_that_is_asked_as_the_audience_at_every_endpoint() {
    let key = ClientKey::from_pem(&Secret::new(keys::ed25519()), None).unwrap();
    let client = ClientSettings { id: "the-client".to_owned(), secrets: Vec::new(), key: Some(key) };
    let okta = Arc::new(profile(json!({ "assertion_audience": "requested_endpoint" })));
    let account = AccountSettings { client, profile: okta, ..account() };
    let endpoints = endpoints();
    let requests =
        Requests { account: &account, endpoints: &endpoints, credential: credentials(&account, &endpoints)[0] };
    let token = Secret::new("r".to_owned());
    let url = |path: &str| format!("https://provider.example/{path}").parse().unwrap();
    for (request, asked) in [
        (requests.device_authorization(&url("device"), None), "https://provider.example/device"),
        (requests.refresh(&token, None), TOKEN),
        (requests.revocation(&url("revoke"), Revoke::Refresh(&token)), "https://provider.example/revoke"),
    ] {
        let request = request.unwrap();
        let mut form = url::form_urlencoded::parse(request.body()).into_owned();
        let (_, assertion) = form.find(|(name, _)| name == "client_assertion").unwrap();
        assert_eq!(parts(&Secret::new(assertion))["claims"]["aud"], asked);
    }
}
