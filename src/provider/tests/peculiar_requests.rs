//! What single providers want to be sent: each test is named after what one of them asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::domain::jwt_bearer::JwtBearer;
use crate::domain::token_target::TokenTarget;
use crate::provider::assertion;
use crate::provider::credential::credentials;
use crate::provider::request::{self, Requests, Revoke};
use crate::testing::keys;
use oauth2::HttpRequest;

const REDIRECT: &str = "HTTP://Flows.Example.com:443/cb";

fn sent(
    account: &AccountSettings,
    build: impl FnOnce(Requests<'_>) -> HttpRequest,
) -> (HttpRequest, BTreeMap<String, String>) {
    let endpoints = endpoints();
    let request = build(Requests { account, endpoints: &endpoints, credential: credentials(account, &endpoints)[0] });
    let members = url::form_urlencoded::parse(request.body()).into_owned().collect();
    (request, members)
}

/// The query of an authorization request.
fn authorization(account: &AccountSettings) -> BTreeMap<String, String> {
    let endpoints = endpoints();
    let requests = Requests { account, endpoints: &endpoints, credential: credentials(account, &endpoints)[0] };
    let request = requests.authorization(endpoints.authorization.as_ref().unwrap(), REDIRECT);
    let address: url::Url = request.address.parse().unwrap();
    address.query_pairs().into_owned().collect()
}

#[test]
fn tesla_wants_an_audience_at_the_code_exchange_alone() {
    let account = with(json!({ "request_params": { "code_exchange": { "audience": "https://fleet.example" } } }));
    let (_, exchange) = sent(&account, |it| it.code_exchange(REDIRECT, &secret("c"), &secret("v")).unwrap());
    assert_eq!(exchange["audience"], "https://fleet.example");
    let (_, refresh) = sent(&account, |it| it.refresh(&secret("r"), None).unwrap());
    assert!(!refresh.contains_key("audience") && !authorization(&account).contains_key("audience"));
}

#[test]
fn azure_ad_b2c_wants_the_scopes_and_logto_a_resource_at_each_refresh() {
    let account = with(
        json!({ "scope_at_refresh": true, "request_params": { "refresh": { "resource": "https://api.example" } } }),
    );
    let (_, refresh) = sent(&account, |it| it.refresh(&secret("r"), None).unwrap());
    assert_eq!((refresh["scope"].as_str(), refresh["resource"].as_str()), ("openid email", "https://api.example"));
    let b2c = with(json!({ "request_params": { "refresh": { "scope": "openid offline_access" } } }));
    let (_, refresh) = sent(&b2c, |it| it.refresh(&secret("r"), None).unwrap());
    assert_eq!(refresh["scope"], "openid offline_access");
}

/// An account with this further token.
fn for_mail(file: Value, target: TokenTarget) -> (AccountSettings, TokenTarget) {
    let tokens = [("mail".parse().unwrap(), target.clone())].into();
    (AccountSettings { tokens, ..with(file) }, target)
}

#[test]
fn entra_takes_the_scopes_of_another_resource_and_auth0_an_audience_at_the_refresh_for_a_further_token() {
    let scopes = vec!["https://outlook.office.com/SMTP.Send".to_owned()];
    let (entra, target) =
        for_mail(json!({ "scope_at_refresh": true }), TokenTarget { scopes, ..TokenTarget::default() });
    let (_, refresh) = sent(&entra, |it| it.refresh(&secret("r"), Some(&target)).unwrap());
    assert_eq!(refresh["scope"], "https://outlook.office.com/SMTP.Send");
    assert!(!refresh.contains_key("resource") && !authorization(&entra).contains_key("resource"));
    let (_, own) = sent(&entra, |it| it.refresh(&secret("r"), None).unwrap());
    assert_eq!(own["scope"], "openid email");
    let params = [("audience", "mail"), ("gone", ""), ("refresh_token", "x")];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let file = json!({ "request_params": { "refresh": { "audience": "own", "gone": "1", "scope": "own" } } });
    let (auth0, target) = for_mail(file, TokenTarget { params, ..TokenTarget::default() });
    let (_, refresh) = sent(&auth0, |it| it.refresh(&secret("r"), Some(&target)).unwrap());
    assert_eq!((refresh["audience"].as_str(), refresh["refresh_token"].as_str()), ("mail", "r"));
    assert_eq!((refresh.get("gone"), refresh["scope"].as_str()), (None, "own"));
}

#[test]
fn a_server_with_resource_indicators_is_asked_for_all_at_the_sign_in_and_for_one_at_each_refresh() {
    let resource = Some("https://mail.example/".to_owned());
    let file = json!({ "params": { "resource": "https://files.example/" } });
    let (account, target) = for_mail(file, TokenTarget { resource, ..TokenTarget::default() });
    let endpoints = endpoints();
    let credential = credentials(&account, &endpoints)[0];
    let requests = Requests { account: &account, endpoints: &endpoints, credential };
    let both = ["https://files.example/", "https://mail.example/"];
    let resources = |form: &[u8]| -> Vec<String> {
        let pairs = url::form_urlencoded::parse(form).into_owned();
        pairs.filter(|(name, _)| name == "resource").map(|(_, value)| value).collect()
    };
    let address = requests.authorization(endpoints.authorization.as_ref().unwrap(), REDIRECT).address;
    assert_eq!(resources(address.split_once('?').unwrap().1.as_bytes()), both);
    let device = requests.device_authorization(endpoints.device_authorization.as_ref().unwrap(), None).unwrap();
    assert_eq!(resources(device.body()), both);
    let refresh = requests.refresh(&secret("r"), Some(&target)).unwrap();
    assert_eq!(resources(refresh.body()), ["https://mail.example/"]);
    let (account, _) = for_mail(json!({ "request_format": "json", "params": { "resource": both[0] } }), target);
    let (device, _) = sent(&account, |it| it.device_authorization(&endpoints.token, None).unwrap());
    assert_eq!(serde_json::from_slice::<Value>(device.body()).unwrap()["resource"], json!(both));
}

#[test]
fn a_parameter_that_the_program_sends_cannot_be_set_by_a_file() {
    let account = with(json!({
        "params": { "state": "fixed", "code_challenge": "x", "client_secret": "x", "fine": "1" },
        "request_params": { "every": { "grant_type": "x", "client_id": "x" }, "refresh": { "refresh_token": "x" } },
    }));
    let query = authorization(&account);
    assert!(query["state"] != "fixed" && query["code_challenge"] != "x" && query["fine"] == "1");
    assert!(!query.contains_key("client_secret"));
    let (_, refresh) = sent(&account, |it| it.refresh(&secret("r"), None).unwrap());
    assert_eq!((refresh["grant_type"].as_str(), refresh["client_id"].as_str()), ("refresh_token", "the-client"));
    assert_eq!(refresh["refresh_token"], "r");
}

#[test]
fn tiktok_calls_the_client_client_key_and_separates_scopes_by_commas() {
    let account = with(json!({ "parameter_names": { "client_id": "client_key" }, "scope_separator": "," }));
    let query = authorization(&account);
    assert_eq!((query["client_key"].as_str(), query["scope"].as_str()), ("the-client", "openid,email"));
    let (_, refresh) = sent(&account, |it| it.refresh(&secret("r"), None).unwrap());
    assert_eq!((refresh["client_key"].as_str(), refresh.get("client_id")), ("the-client", None));
}

#[test]
fn zoom_has_another_grant_type_for_a_machine_and_amazon_and_salesforce_for_devices() {
    let zoom = with(json!({
        "grant_types": { "client_credentials": "account_credentials" },
        "request_params": { "client_credentials": { "account_id": "a1" } }, "client_auth": "client_secret_basic",
    }));
    let (request, body) = sent(&zoom, |it| it.client_credentials().unwrap());
    assert_eq!((body["grant_type"].as_str(), body["account_id"].as_str()), ("account_credentials", "a1"));
    assert!(request.headers()["authorization"].to_str().unwrap().starts_with("Basic "));
    let salesforce = with(json!({
        "grant_types": { "device_poll": "device" }, "parameter_names": { "device_code": "code" },
        "request_params": { "device_authorization": { "response_type": "device_code" } },
    }));
    let (_, poll) = sent(&salesforce, |it| it.device_access_token(&secret("d"), &BTreeMap::new()).unwrap());
    assert_eq!((poll["grant_type"].as_str(), poll["code"].as_str()), ("device", "d"));
    assert!(!poll.contains_key("device_code"));
    let url = endpoints().device_authorization.unwrap();
    let (_, codes) = sent(&salesforce, |it| it.device_authorization(&url, None).unwrap());
    assert_eq!(codes["response_type"], "device_code");
    let amazon = [("user_code".to_owned(), secret("ABCDE"))].into();
    let (_, poll) = sent(&salesforce, |it| it.device_access_token(&secret("d"), &amazon).unwrap());
    assert_eq!(poll["user_code"], "ABCDE");
}

#[test]
fn each_request_has_the_parameters_of_its_own_kind_and_those_of_every_kind() {
    let account = with(json!({
        "request_params": { "every": { "site": "1" }, "device_poll": { "resource": "https://api.example" } },
    }));
    let (_, poll) = sent(&account, |it| it.device_access_token(&secret("d"), &BTreeMap::new()).unwrap());
    assert_eq!((poll["site"].as_str(), poll["resource"].as_str()), ("1", "https://api.example"));
    let url = endpoints().device_authorization.unwrap();
    let token = secret("t");
    let others = [
        sent(&account, |it| it.device_authorization(&url, None).unwrap()).1,
        sent(&account, |it| it.code_exchange(REDIRECT, &token, &token).unwrap()).1,
        sent(&account, |it| it.refresh(&token, None).unwrap()).1,
        sent(&account, |it| it.revocation(&url, Revoke::Access(&token)).unwrap()).1,
        sent(&account, |it| it.client_credentials().unwrap()).1,
        sent(&account, |it| it.password("ann", &token).unwrap()).1,
        authorization(&account),
    ];
    for other in others {
        assert_eq!((other["site"].as_str(), other.get("resource")), ("1", None), "{other:?}");
    }
}

#[test]
fn a_server_that_wants_another_response_type_gets_it() {
    assert_eq!(authorization(&account())["response_type"], "code");
    let hybrid = with(json!({ "response_type": "code id_token" }));
    assert_eq!(authorization(&hybrid)["response_type"], "code id_token");
}

#[test]
fn a_template_of_an_issuer_is_compared_with_no_redirection() {
    let account = account();
    let issuer = |issuer: &str| {
        let endpoints = Endpoints { issuer: Some(issuer.to_owned()), ..endpoints() };
        let requests =
            Requests { account: &account, endpoints: &endpoints, credential: credentials(&account, &endpoints)[0] };
        requests.authorization(endpoints.authorization.as_ref().unwrap(), REDIRECT).issuer
    };
    assert_eq!(issuer("https://login.example/{tid}/v2.0"), None);
    assert_eq!(issuer("https://login.example/t1/v2.0").as_deref(), Some("https://login.example/t1/v2.0"));
}

#[test]
fn the_redirect_address_goes_out_letter_by_letter() {
    for address in
        ["http://127.0.0.1:8629", "https://flows.example.com:443/cb", "HTTPS://Flows.Example.com/Cb/", REDIRECT]
    {
        let account = account();
        let endpoints = endpoints();
        let requests =
            Requests { account: &account, endpoints: &endpoints, credential: credentials(&account, &endpoints)[0] };
        let request = requests.authorization(endpoints.authorization.as_ref().unwrap(), address);
        let query: BTreeMap<String, String> =
            url::Url::parse(&request.address).unwrap().query_pairs().into_owned().collect();
        assert_eq!((query["redirect_uri"].as_str(), request.redirect_uri.as_str()), (address, address));
        let (_, exchange) = sent(&account, |it| it.code_exchange(address, &secret("c"), &secret("v")).unwrap());
        assert_eq!(exchange["redirect_uri"], address);
    }
}

#[test]
fn a_server_that_refuses_unknown_parameters_gets_no_proof_key_and_another_a_plain_one() {
    let off = with(json!({ "pkce": "off" }));
    let query = authorization(&off);
    assert!(!query.contains_key("code_challenge") && !query.contains_key("code_challenge_method"));
    let (_, exchange) = sent(&off, |it| it.code_exchange(REDIRECT, &secret("c"), &secret("v")).unwrap());
    assert!(!exchange.contains_key("code_verifier"));
    let plain = with(json!({ "pkce": "plain" }));
    let endpoints = endpoints();
    let requests = Requests { account: &plain, endpoints: &endpoints, credential: credentials(&plain, &endpoints)[0] };
    let request = requests.authorization(endpoints.authorization.as_ref().unwrap(), REDIRECT);
    let address: url::Url = request.address.parse().unwrap();
    let query: BTreeMap<_, _> = address.query_pairs().into_owned().collect();
    assert_eq!((query["code_challenge_method"].as_str(), query["code_challenge"].len()), ("plain", 43));
    let (_, exchange) = sent(&plain, |it| it.code_exchange(REDIRECT, &secret("c"), &request.code_verifier).unwrap());
    assert_eq!(exchange["code_verifier"], query["code_challenge"], "the verifier is its own challenge");
}

#[test]
fn a_keycloak_client_with_a_required_method_gets_a_proof_key_in_the_device_grant() {
    let account = with(json!({ "device_pkce": "S256" }));
    let url = endpoints().device_authorization.unwrap();
    let verifier = request::new_code_verifier();
    let (_, codes) = sent(&account, |it| it.device_authorization(&url, Some(&verifier)).unwrap());
    assert!(codes["code_challenge_method"] == "S256" && codes["code_challenge"].len() == 43);
    let further = [("code_verifier".to_owned(), verifier.clone())].into();
    let (_, poll) = sent(&account, |it| it.device_access_token(&secret("d"), &further).unwrap());
    assert_eq!(poll["code_verifier"], verifier.expose());
}

#[test]
fn canaille_gets_a_nonce_and_a_server_that_wants_none_gets_none() {
    let account = account();
    let (first, second) = (authorization(&account), authorization(&account));
    assert!(first["nonce"].len() == 43 && first["nonce"] != second["nonce"]);
    assert!(!authorization(&with(json!({ "nonce": false }))).contains_key("nonce"));
    let plain = AccountSettings { scopes: vec!["read".to_owned()], ..account };
    assert!(!authorization(&plain).contains_key("nonce"), "only OpenID Connect has one");
}

#[test]
fn offline_access_asks_for_consent_unless_the_account_or_the_file_says_otherwise() {
    let offline = |file: Value| {
        authorization(&AccountSettings { scopes: vec!["openid".to_owned(), "offline_access".to_owned()], ..with(file) })
            .get("prompt")
            .cloned()
    };
    assert_eq!(offline(json!({})).as_deref(), Some("consent"));
    assert_eq!(offline(json!({ "prompt": "" })), None);
    assert_eq!(offline(json!({ "prompt": "select_account" })).as_deref(), Some("select_account"));
    assert_eq!(offline(json!({ "params": { "prompt": "login consent" } })).as_deref(), Some("login consent"));
    assert!(!authorization(&account()).contains_key("prompt"));
}

#[test]
fn trakt_wants_json_and_a_header_of_its_own_and_reddit_a_user_agent() {
    let account = with(json!({
        "request_format": "json", "parameter_names": { "device_code": "code", "grant_type": "" },
        "headers": { "trakt-api-version": "2", "user-agent": "linux:gateway:1 (by /u/ann)", "authorization": "x", "host": "x" },
    }));
    let (request, _) = sent(&account, |it| it.device_access_token(&secret("d\"1"), &BTreeMap::new()).unwrap());
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body, json!({ "code": "d\"1", "client_id": "the-client", "client_secret": "hunter2" }));
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["trakt-api-version"], "2");
    assert_eq!(request.headers()["user-agent"], "linux:gateway:1 (by /u/ann)");
    assert!(!request.headers().contains_key("authorization") && !request.headers().contains_key("host"));
}

#[test]
fn slack_calls_the_scopes_of_a_user_user_scope_and_withings_wants_an_action() {
    let slack = authorization(&with(json!({ "parameter_names": { "scope": "user_scope" } })));
    assert_eq!((slack["user_scope"].as_str(), slack.get("scope")), ("openid email", None));
    let withings = with(json!({ "request_params": {
        "code_exchange": { "action": "requesttoken" }, "refresh": { "action": "requesttoken" } } }));
    let (_, refresh) = sent(&withings, |it| it.refresh(&secret("r"), None).unwrap());
    assert_eq!(refresh["action"], "requesttoken");
}

#[test]
fn a_revocation_names_the_token_as_the_provider_calls_it() {
    let account = with(
        json!({ "parameter_names": { "token_type_hint": "" }, "request_params": { "revocation": { "reason": "1" } } }),
    );
    let url = "https://provider.example/revoke".parse().unwrap();
    let token = secret("r1");
    let (_, body) = sent(&account, |it| it.revocation(&url, Revoke::Refresh(&token)).unwrap());
    assert_eq!((body["token"].as_str(), body["reason"].as_str(), body.get("token_type_hint")), ("r1", "1", None));
}

fn service_account() -> (JwtBearer, url::Url) {
    let file = json!({
        "type": "service_account", "private_key_id": "k1", "private_key": keys::rsa(2048),
        "client_email": "meter@plant.example", "token_uri": "https://provider.example/token",
    });
    JwtBearer::from_service_account(&Secret::new(file.to_string()), None).unwrap()
}

#[test]
fn googles_service_account_sends_its_assertion_and_nothing_of_a_client() {
    let (bearer, _) = service_account();
    let grant = GrantSettings::JwtBearer(Arc::new(bearer.clone()));
    let client = ClientSettings { id: String::new(), secrets: Vec::new(), key: None };
    let account = AccountSettings { client, grant, ..account() };
    let assertion = assertion::of_grant(&bearer, &account.scopes, &endpoints(), &account.profile).unwrap();
    let (_, body) = sent(&account, |it| it.jwt_bearer(&bearer, &assertion).unwrap());
    assert_eq!(body.keys().collect::<Vec<_>>(), ["assertion", "grant_type"]);
    assert_eq!(body["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
}
