use super::super::Catalog;
use super::{account, complaint, errors, github, load_text};
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::{AssertionAudience, ClientAuth};
use crate::domain::settings::{PublishMode, SignInMode};

/// An account with these lines and a client; they start at line 3.
fn with_client(lines: &str) -> String {
    format!("[accounts.a]\nclient_id = \"x\"\n{lines}")
}

#[test]
fn an_account_has_the_usual_settings_where_it_says_nothing() {
    let account = account(&github(""));
    assert_eq!(account.provider, "github");
    assert_eq!(account.endpoints.token.as_ref().unwrap().as_str(), "https://github.com/login/oauth/access_token");
    assert_eq!(account.endpoints.revocation, None);
    assert_eq!(account.client.id, "abc");
    assert!(account.client.secrets.is_empty() && account.profile.client_auth.is_none());
    assert!(account.scopes.is_empty() && account.profile.params.is_empty() && account.ca_file.is_none());
    assert_eq!((account.sign_in, account.publish), (SignInMode::OnRequest, PublishMode::Retained));
    assert!(!account.allow_http);
}

#[test]
fn an_account_has_what_it_says() {
    let account = account(&github(
        "scopes = [\"repo\", \"read:org\"]\nsign_in = \"offer\"\npublish = \"on_request\"\nclient_auth = \"none\"\n\
         grant = \"device_code\"\nallow_http = true\n[accounts.hub.params]\naudience = \"api\"\n",
    ));
    assert_eq!(account.scopes, ["repo", "read:org"]);
    assert_eq!((account.sign_in, account.publish), (SignInMode::Offer, PublishMode::OnRequest));
    assert_eq!(account.profile.client_auth, Some(ClientAuth::None));
    assert_eq!(account.profile.params["audience"], "api");
    assert!(account.allow_http);
}

#[test]
fn two_accounts_may_have_one_client() {
    let two = github("[accounts.second]\nprovider = \"github\"\nclient_id = \"abc\"\n");
    assert_eq!(load_text(&two).unwrap().settings.accounts.len(), 2);
}

#[test]
fn a_name_that_is_no_topic_level_is_refused() {
    assert_eq!(
        errors("[accounts.\"My Google\"]\nprovider = \"github\"\nclient_id = \"x\"\n"),
        "/conf/config.toml:1: accounts.\"My Google\": an account name has 1 to 63 of the characters a-z, 0-9, _ and -, \
         and starts with a letter or digit\n  \
         help: choose another name; it stands in the topics of this account"
    );
    assert_eq!(
        complaint("[accounts.bridge]\nprovider = \"github\"\nclient_id = \"x\"\n"),
        "1: accounts.bridge: the name \"bridge\" is taken by the topics of the agent itself"
    );
}

#[test]
fn the_parameters_of_a_preset_are_filled_in() {
    let token = |lines: &str| account(&with_client(lines)).endpoints.token.as_ref().unwrap().to_string();
    assert_eq!(token("provider = \"gitlab\"\n"), "https://gitlab.com/oauth/token");
    assert_eq!(token("provider = \"gitlab\"\nhost = \"git.lan:8443\"\n"), "https://git.lan:8443/oauth/token");
    assert_eq!(
        token("provider = \"microsoft\"\ntenant = \"contoso.com\"\n"),
        "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
    );
    let keycloak =
        account(&with_client("provider = \"keycloak\"\nurl = \"https://id.lan/auth/\"\nrealm = \"my {url}\"\n"));
    assert_eq!(keycloak.endpoints.issuer.as_ref().unwrap().as_str(), "https://id.lan/auth/realms/my%20%7Burl%7D");
}

#[test]
fn oktas_file_has_the_requested_endpoint_as_the_audience_of_assertions() {
    let audience = |lines: &str| account(&with_client(lines)).profile.assertion_audience.clone();
    let okta = "provider = \"okta\"\ndomain = \"example.okta.com\"\n";
    assert_eq!(audience(okta), Some(AssertionAudience::RequestedEndpoint));
    assert_eq!(audience(&format!("{okta}assertion_audience = \"issuer\"\n")), Some(AssertionAudience::Issuer));
}

#[test]
fn every_provider_can_be_used_with_its_parameters_and_each_of_its_grants() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("the.secret"), "s").unwrap();
    let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let key = std::process::Command::new("openssl").args(curve).output().unwrap().stdout;
    std::fs::write(folder.path().join("client.key"), key).unwrap();
    for provider in Catalog::default().usable() {
        for grant in provider.file.grants.keys() {
            let mut lines = vec![
                format!("[accounts.a]\nclient_id = \"x\"\nprovider = \"{}\"", provider.name),
                format!("grant = \"{}\"", grant.name()),
            ];
            if *grant == GrantKind::JwtBearer {
                lines.push("private_key_file = \"client.key\"".to_owned());
            } else if provider.file.needs_secret || *grant == GrantKind::ClientCredentials {
                lines.push("client_secret_file = \"the.secret\"".to_owned());
            }
            for (name, parameter) in &provider.file.parameters {
                lines.push(format!("{name} = \"{}\"", parameter.example));
            }
            let path = folder.path().join("config.toml");
            let loaded = super::super::parse(&lines.join("\n"), &path, &super::super::Environment::default()).unwrap();
            assert_eq!(loaded.settings.accounts.into_values().next().unwrap().provider, provider.name);
        }
    }
}

#[test]
fn a_missing_parameter_is_named() {
    assert_eq!(
        errors(&with_client("provider = \"keycloak\"\n")),
        "/conf/config.toml:1: accounts.a.realm: this key is missing\n  \
         help: provider = \"keycloak\" needs it: write realm = \"master\", the realm\n\
         /conf/config.toml:1: accounts.a.url: this key is missing\n  \
         help: provider = \"keycloak\" needs it: write url = \"https://keycloak.example.com\", the address of your server"
    );
}

#[test]
fn a_parameter_cannot_change_the_rest_of_an_address() {
    for host in ["https://git.lan", "git.lan/x", "git.lan#", "me@git.lan", "git.lan?"] {
        assert_eq!(
            complaint(&with_client(&format!("provider = \"gitlab\"\nhost = \"{host}\"\n"))),
            "4: accounts.a.host: this is not a host with or without a port",
            "{host}"
        );
    }
    for tenant in ["..", "a/b", "a?b", "%2e%2e"] {
        assert_eq!(
            complaint(&with_client(&format!("provider = \"microsoft\"\ntenant = \"{tenant}\"\n"))),
            "4: accounts.a.tenant: this is not one part of a path",
            "{tenant}"
        );
    }
    assert_eq!(
        complaint(&with_client("provider = \"keycloak\"\nrealm = \"r\"\nurl = \"https://id.lan/?x\"\n")),
        "5: accounts.a.url: this address has a query"
    );
}

#[test]
fn a_parameter_of_another_preset_is_refused() {
    assert_eq!(
        errors(&github("domain = \"x.okta.com\"\ntenant = \"t\"\n")),
        "/conf/config.toml:4: accounts.hub.domain: this goes only with provider = \"auth0\" or \"okta\" or \
         \"salesforce\" or \"zitadel\"\n  \
         help: take it out, or name that provider\n\
         /conf/config.toml:5: accounts.hub.tenant: this goes only with provider = \"azure-ad-b2c\" or \"microsoft\"\n  \
         help: take it out, or name that provider"
    );
}

#[test]
fn an_issuer_or_the_endpoints_serve_in_place_of_a_preset() {
    let issuer = account(&with_client("issuer = \"https://id.lan/x\"\nrevocation_endpoint = \"https://id.lan/r\"\n"));
    assert_eq!(issuer.provider, "id.lan");
    assert_eq!(issuer.endpoints.issuer.as_ref().unwrap().as_str(), "https://id.lan/x");
    assert_eq!(issuer.endpoints.revocation.as_ref().unwrap().as_str(), "https://id.lan/r");

    let named = account(&with_client(
        "device_authorization_endpoint = \"https://d.lan/d\"\ntoken_endpoint = \"http://127.0.0.1:1/t?x=y\"\n",
    ));
    assert_eq!(named.provider, "127.0.0.1");
    assert_eq!(named.endpoints.token.as_ref().unwrap().as_str(), "http://127.0.0.1:1/t?x=y");
}

#[test]
fn endpoints_of_two_providers_are_not_mixed() {
    assert_eq!(
        complaint(&github("token_endpoint = \"https://proxy.lan/t\"\n")),
        "4: accounts.hub.token_endpoint: the provider's file says where its endpoints are, and an account cannot change that"
    );
    assert_eq!(
        complaint(&with_client("issuer = \"https://id.lan/x\"\nrevocation_endpoint = \"https://other.lan/r\"\n")),
        "4: accounts.a.revocation_endpoint: this is another server than that of the issuer"
    );
    for port in ["http://127.0.0.1:1/x", "https://id.lan:444/x"] {
        let text = with_client(&format!("issuer = \"https://id.lan/x\"\nuserinfo_endpoint = \"{port}\"\n"));
        assert!(complaint(&text).contains("another server"), "{port}");
    }
}

#[test]
fn a_sign_in_is_bound_to_every_endpoint_that_gets_a_token_or_secret() {
    let named = "token_endpoint = \"https://a.lan/t\"\ndevice_authorization_endpoint = \"https://a.lan/d\"\n";
    let binding = |more: &str| account(&with_client(&format!("{named}{more}"))).binding();
    for more in ["revocation_endpoint = \"https://a.lan/r\"\n", "userinfo_endpoint = \"https://a.lan/u\"\n"] {
        assert_ne!(binding(""), binding(more), "{more}");
        assert_eq!(binding(more), binding(more));
    }
    let other = with_client(&named.replace("a.lan/d", "b.lan/d"));
    assert_ne!(binding(""), account(&other).binding());
    // A browser gets no token at the authorization endpoint.
    assert_eq!(binding(""), binding("authorization_endpoint = \"https://a.lan/a\"\n"));
}

#[test]
fn an_account_without_a_provider_is_told_the_three_ways() {
    assert_eq!(
        errors(&with_client("")),
        "/conf/config.toml:1: accounts.a: nothing here says who the provider is\n  \
         help: write provider = \"google\" (`oauth2mqtt providers` lists the others), or issuer = \"https://…\", or \
         both device_authorization_endpoint = \"https://…\" and token_endpoint = \"https://…\""
    );
    assert_eq!(
        errors(&with_client("token_endpoint = \"https://a.lan/t\"\n")),
        "/conf/config.toml:1: accounts.a.device_authorization_endpoint: this key is missing\n  \
         help: write device_authorization_endpoint = \"https://…\" beside the other endpoint, or issuer = \"https://…\" \
         in place of both"
    );
    assert_eq!(
        complaint(&github("issuer = \"https://a.lan\"\n")),
        "4: accounts.hub.issuer: an account has a provider or an issuer, not both"
    );
}

#[test]
fn an_address_without_tls_leaves_the_device_only_when_the_account_says_so() {
    assert_eq!(
        errors(&with_client("issuer = \"http://id.lan\"\n")),
        "/conf/config.toml:3: accounts.a.issuer: plain http:// would send tokens readable through the network\n  \
         help: write https://, or allow_http = true in this account if everybody on that network may read them"
    );
    assert!(account(&with_client("issuer = \"http://id.lan\"\nallow_http = true\n")).allow_http);
    let errors = errors(&with_client("issuer = \"https://me:hunter2@id.lan\"\n"));
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn a_client_needs_an_id() {
    assert_eq!(
        errors("[accounts.hub]\nprovider = \"github\"\n"),
        "/conf/config.toml:1: accounts.hub.client_id: this key is missing\n  \
         help: register the application at https://github.com/settings/developers, \
         then write client_id = \"…\""
    );
    let id = |id: &str| complaint(&github("").replace("\"abc\"", id));
    assert_eq!(id("\" \""), "3: accounts.hub.client_id: this is empty");
    assert_eq!(id("\"a\\u001b\""), "3: accounts.hub.client_id: an unprintable character is in this client id");
    assert_eq!(id("7"), "3: accounts.hub.client_id: this takes a text in quotes, and a number stands here");
}

#[test]
fn a_secret_stands_in_a_file_of_its_own() {
    assert_eq!(
        errors("[accounts.g]\nprovider = \"google\"\nclient_id = \"x\"\n"),
        "/conf/config.toml:1: accounts.g.client_secret_file: this key is missing\n  \
         help: Google signs in no device without the client's secret: put it in a file and name it, such as \
         client_secret_file = \"google.secret\""
    );
    assert_eq!(
        errors("[accounts.g]\nprovider = \"google\"\nclient_id = \"x\"\nclient_secret = \"hunter2\"\n"),
        "/conf/config.toml:4: accounts.g.client_secret: a secret must not stand in this file\n  \
         help: put it in a file of its own, and name that file with client_secret_file"
    );
    assert_eq!(
        complaint(&github("password = \"hunter2\"\n")),
        "4: accounts.hub.password: a password must not stand in this file"
    );
}

#[test]
fn the_way_of_authenticating_fits_the_secret() {
    for method in ["client_secret_post", "client_secret_basic"] {
        assert_eq!(
            complaint(&github(&format!("client_auth = \"{method}\"\n"))),
            "4: accounts.hub.client_auth: this way of signing in needs a secret"
        );
    }
    let with_secret = complaint(&github("client_auth = \"none\"\nclient_secret_file = \"s\"\n"));
    assert!(
        with_secret
            .starts_with("4: accounts.hub.client_auth: a client with a secret or a key does not sign in without it\n"),
        "{with_secret}"
    );
    assert_eq!(
        errors(&github("client_auth = \"post\"\n")),
        "/conf/config.toml:4: accounts.hub.client_auth: there is no value \"post\"\n  \
         help: write one of: none, client_secret_post, client_secret_basic, private_key_jwt"
    );
}

#[test]
fn scopes_are_tokens_and_stand_once() {
    let warned = load_text(&github("scopes = [\n  \"repo\",\n  \"repo\",\n]\n")).unwrap();
    assert_eq!(warned.settings.accounts.into_values().next().unwrap().scopes, ["repo"]);
    let [warning] = warned.warnings.try_into().unwrap();
    assert_eq!((warning.line, warning.message.as_str()), (Some(6), "the scope \"repo\" stands here twice"));

    assert_eq!(
        errors(&github("scopes = [\"openid email\"]\n")),
        "/conf/config.toml:4: accounts.hub.scopes: \"openid email\" is not a scope\n  \
         help: write each scope in quotes of its own: scopes = [\"openid\", \"email\"]"
    );
    for scope in ["", "a\\\"b", "a\\\\b", "ä", "a\\u0007"] {
        let complaint = complaint(&github(&format!("scopes = [\"{scope}\"]\n")));
        assert!(complaint.ends_with(" is not a scope"), "{complaint}");
    }
    assert_eq!(
        complaint(&github("scopes = [\"a\", 1]\n")),
        "4: accounts.hub.scopes: this takes a text in quotes, and a number stands here"
    );
}

#[test]
fn parameters_of_the_grant_itself_are_refused() {
    for name in ["client_id", "client_secret", "scope", "grant_type", "device_code", "state", "response_type"] {
        let text = github(&format!("[accounts.hub.params]\n{name} = \"hunter2\"\n"));
        assert_eq!(complaint(&text), format!("5: accounts.hub.params.{name}: the program itself sends this parameter"));
    }
    assert_eq!(
        complaint(&github("params = { \"\" = \"x\", max_age = 5 }\n")),
        "4: accounts.hub.params.\"\": this is no name of a parameter\n\
         4: accounts.hub.params.max_age: this takes a text in quotes, and a number stands here"
    );
}
