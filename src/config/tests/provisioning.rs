//! What may be declared over MQTT.

use super::{complaint, load_text};
use crate::config::DEFAULT_REDIRECT_URI;
use crate::config::declared;
use crate::domain::declaration::Declaration;
use crate::domain::profile::ClientAuth;
use crate::domain::secret::Secret;
use crate::domain::settings::{AccountSettings, Declared, ProvisioningSettings};

const SECTION: &str = "[provisioning]\nenabled = true\nissuers = [\"https://id.example.com/realms/plant\"]\n\
                       presets = [\"google\", \"keycloak\"]\n";

fn provisioning() -> ProvisioningSettings {
    load_text(SECTION).unwrap().settings.provisioning.unwrap()
}

fn declare(settings: &str) -> Result<AccountSettings, String> {
    let declaration: Declaration = serde_json::from_str(settings).unwrap();
    declared(&"plant".parse().unwrap(), &declaration, &provisioning())
}

/// A declaration at the allowed issuer, with these further keys.
fn plant(more: &str) -> Result<AccountSettings, String> {
    declare(&format!(r#"{{"issuer":"https://id.example.com/realms/plant","client_id":"gateway"{more}}}"#))
}

#[test]
fn nothing_may_be_declared_unless_the_configuration_says_so() {
    assert!(load_text("").unwrap().settings.provisioning.is_none());
    assert!(load_text(&SECTION.replace("true", "false")).unwrap().settings.provisioning.is_none());
    assert_eq!(
        complaint("[provisioning]\npresets = [\"gogle\"]\n"),
        "2: provisioning.presets: no provider \"gogle\" is known"
    );
    let loaded = load_text("[provisioning]\nenabled = true\n").unwrap();
    assert_eq!(loaded.warnings[0].message, "accounts may be declared, but of no provider");
}

#[test]
fn an_account_is_read_as_from_the_file_with_its_secret_in_it() {
    let account = plant(
        r#","client_secret":"s","client_auth":"client_secret_basic","scopes":["openid","offline_access"],
           "params":{"audience":"a\"b\\c\n"},"sign_in":"offer","identity":true,"allow":["*@example.com"],"tenant":null"#,
    );
    let account = account.unwrap();
    assert_eq!((account.client.secrets[0].expose(), account.profile.client_auth), ("s", Some(ClientAuth::Basic)));
    assert_eq!((account.profile.params["audience"].as_str(), account.declared), ("a\"b\\c\n", Declared::Mqtt));
    assert_eq!(account.scopes, ["openid", "offline_access"]);
    let further =
        plant(r#","tokens":{"mail":{"resource":"https://mail.example/","params":{"audience":"m"}}}"#).unwrap();
    assert_eq!(further.tokens.into_keys().map(|name| name.to_string()).collect::<Vec<_>>(), ["mail"]);
    let two = plant(r#","client_secret":["new","old"]"#).unwrap();
    assert_eq!(two.client.secrets.iter().map(Secret::expose).collect::<Vec<_>>(), ["new", "old"]);
    declare(r#"{"provider":"google","client_id":"c","client_secret":"s","scopes":["openid"]}"#).unwrap();
}

#[test]
fn a_refusal_names_key_and_reason_and_never_the_secret() {
    for (more, reason) in [
        (r#","scope":["a"]"#, "scope: there is no such key in a declaration; did you mean scopes?"),
        (r#","scopes":"openid""#, "scopes: this takes a list of texts, and a text stands here; "),
        (r#","scopes":[7]"#, "scopes: this takes a text in quotes, and a number stands here"),
        (r#","client_auth":"none""#, "client_auth: a client with a secret or a key does not sign in without it; "),
        (r#","tokens":{"token":{"scopes":["a"]}}"#, "tokens.token: this name is taken"),
        (r#","tokens":{"mail":{"client_secret_file":"/etc/shadow"}}"#, "tokens.mail: nothing here says what"),
        (r#","allow_http":true"#, "allow_http: only the configuration file"),
        (r#","grant":"password""#, "grant: this grant needs a file"),
        (r#","client_secret_file":"/etc/shadow""#, "client_secret_file: only the configuration file"),
        (r#","private_key_file":"/etc/shadow""#, "private_key_file: only the configuration file"),
        (r#","ca_file":"/etc/shadow""#, "ca_file: only the configuration file"),
        (r#","token_endpoint":"http://id.example.com/realms/plant/t""#, "token_endpoint: plain http://"),
    ] {
        let refusal = plant(&format!(r#","client_secret":"hunter2"{more}"#)).unwrap_err();
        assert!(refusal.starts_with(reason), "{refusal}");
        assert!(!refusal.contains("hunter2") && !refusal.contains("_file = "), "{refusal}");
    }
    for secret in [r#""""#, r#"["a","b","c"]"#, r#""two\nlines""#, r#"["a"," "]"#] {
        let refusal = plant(&format!(r#","client_secret":{secret}"#)).unwrap_err();
        assert!(refusal.starts_with("client_secret: "), "{refusal}");
    }
    let long = "x".repeat(3_000);
    assert_eq!(plant(&format!(r#","scopes":["{long}"]"#)).unwrap_err(), "scopes: this is too long.");
}

#[test]
fn tokens_and_secrets_go_only_where_the_administrator_allows() {
    let home = "https://id.example.com/realms/plant";
    for (settings, key) in [
        (r#"{"issuer":"https://evil.example","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant2","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant/../evil","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant/%2e%2e/evil","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant/..%2fevil","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant/..;/evil","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant/a;x=1/evil","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant//evil","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com//realms/plant","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com/realms/plant//","client_id":"c"}"#, "issuer"),
        (r#"{"issuer":"https://id.example.com:444/realms/plant","client_id":"c"}"#, "issuer"),
        (r#"{"provider":"github","client_id":"c"}"#, "provider"),
        (r#"{"provider":"keycloak","url":"https://evil.example","realm":"plant","client_id":"c"}"#, "issuer"),
        (
            r#"{"token_endpoint":"HOME/t","device_authorization_endpoint":"https://evil.example/","client_id":"c"}"#,
            "device_authorization_endpoint",
        ),
        (
            r#"{"grant":"client_credentials","token_endpoint":"HOME/../evil","client_id":"c","client_secret":"s"}"#,
            "token_endpoint",
        ),
    ] {
        let refusal = declare(&settings.replace("HOME", home)).unwrap_err();
        assert!(refusal.starts_with(&format!("{key}: [provisioning] ")), "{settings}: {refusal}");
    }
    declare(r#"{"provider":"keycloak","url":"https://id.example.com","realm":"plant","client_id":"c"}"#).unwrap();
    declare(&r#"{"issuer":"HOME/","client_id":"c"}"#.replace("HOME", home)).unwrap();
    let all = r#"{"device_authorization_endpoint":"HOME/d","token_endpoint":"HOME/t","client_id":"c"}"#;
    declare(&all.replace("HOME", home)).unwrap();
}

#[test]
fn a_declaration_overrides_no_endpoint() {
    let home = "https://id.example.com/realms/plant";
    for (settings, key) in [
        (r#"{"issuer":"HOME","token_endpoint":"https://evil.example/t","client_id":"c"}"#, "token_endpoint"),
        (r#"{"issuer":"HOME","token_endpoint":"HOME/t","client_id":"c"}"#, "token_endpoint"),
        (r#"{"issuer":"HOME","userinfo_endpoint":"HOME/u","client_id":"c"}"#, "userinfo_endpoint"),
        (r#"{"issuer":"HOME","revocation_endpoint":"HOME/r","client_id":"c"}"#, "revocation_endpoint"),
        (r#"{"provider":"google","client_id":"c","client_secret":"s","token_endpoint":"HOME/t"}"#, "token_endpoint"),
    ] {
        let refusal = declare(&settings.replace("HOME", home)).unwrap_err();
        assert!(refusal.starts_with(&format!("{key}: ")), "{settings}: {refusal}");
    }
    for peculiar in [r#""pkce":"off""#, r#""headers":{"a":"b"}"#, r#""members":{"access_token":"a"}"#] {
        let refusal = plant(&format!(",{peculiar}")).unwrap_err();
        assert!(refusal.contains("how a provider works is said in its file"), "{refusal}");
    }
    plant(r#","request_params":{"refresh":{"resource":"api"}},"scope_at_refresh":true"#).unwrap();
}

#[test]
fn all_endpoints_that_are_spelled_out_are_of_one_issuer() {
    let two = "[provisioning]\nenabled = true\nissuers = [\"https://id.example.com\", \"https://other.example.com\"]\n";
    let provisioning = load_text(two).unwrap().settings.provisioning.unwrap();
    let declaration = r#"{"device_authorization_endpoint":"https://id.example.com/d","client_id":"c",
        "token_endpoint":"https://id.example.com/t","revocation_endpoint":"https://other.example.com/r"}"#;
    let declaration: Declaration = serde_json::from_str(declaration).unwrap();
    let refusal = declared(&"plant".parse().unwrap(), &declaration, &provisioning).unwrap_err();
    assert!(refusal.starts_with("revocation_endpoint: [provisioning] issuers"), "{refusal}");
}

#[test]
fn no_port_of_the_device_is_opened_but_the_one_for_browsers() {
    let browser =
        |redirect_uri: &str| plant(&format!(r#","grant":"authorization_code","redirect_uri":"{redirect_uri}""#));
    for address in ["http://127.0.0.1:1883/", "http://[::1]:8629/oauth2/redirect", "http://localhost:18880/"] {
        let refusal = browser(address).unwrap_err();
        assert!(refusal.starts_with("redirect_uri: on the device itself"), "{address}: {refusal}");
    }
    for address in [DEFAULT_REDIRECT_URI, "https://flows.example.com/oauth2/redirect"] {
        browser(address).unwrap();
    }
    plant(r#","grant":"authorization_code""#).unwrap();
}
