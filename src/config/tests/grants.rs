use std::fs;
use std::sync::Arc;

use super::{account, complaint, errors, github, load_text};
use crate::config::{Catalog, Environment, parse};
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::RequestKind;
use crate::domain::provider_file::KnownProvider;
use crate::domain::settings::{AccountSettings, GrantSettings};
use crate::testing::keys;

/// An account with an issuer, and these further lines; they start at line 4.
fn plant(lines: &str) -> String {
    format!("[accounts.plant]\nissuer = \"https://id.lan\"\nclient_id = \"x\"\n{lines}")
}

/// The account of a text beside which there are these files, and what is said about it.
fn beside(files: &[(&str, &str)], text: &str) -> Result<(AccountSettings, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let loaded = parse(text, &folder.path().join("config.toml"), &Environment::default());
    let loaded = loaded.map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), "/conf"))?;
    let warnings = loaded.warnings.into_iter().map(|warning| warning.message).collect();
    Ok((loaded.settings.accounts.into_values().next().unwrap(), warnings))
}

fn warnings(text: &str) -> Vec<(Option<usize>, String)> {
    load_text(text).unwrap().warnings.into_iter().map(|warning| (warning.line, warning.message)).collect()
}

#[test]
fn the_implicit_grant_is_refused_with_what_to_use_instead_and_why() {
    assert_eq!(
        errors(&plant("grant = \"implicit\"\n")),
        "/conf/config.toml:4: accounts.plant.grant: the implicit grant hands the token to a browser's address bar and \
         gives no refresh token, which is why nobody should use it any more (RFC 9700 2.1.2)\n  \
         help: write grant = \"authorization_code\", which every such provider has, or \"device_code\" where there is one"
    );
    assert_eq!(
        errors(&plant("grant = \"authorisation_code\"\n")),
        "/conf/config.toml:4: accounts.plant.grant: there is no value \"authorisation_code\"\n  \
         help: did you mean \"authorization_code\"? The values are: device_code, authorization_code, \
         client_credentials, jwt_bearer, refresh_token, password"
    );
}

#[test]
fn the_browser_comes_back_to_this_device_unless_the_configuration_says_otherwise() {
    let redirect = |lines: &str| match account(&plant(&format!("grant = \"authorization_code\"\n{lines}"))).grant {
        GrantSettings::AuthorizationCode { redirect_uri } => redirect_uri.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(redirect(""), "http://127.0.0.1:8629/oauth2/redirect");
    for address in ["http://[::1]:9000/cb", "https://flows.example.com/oauth2/redirect", "http://127.0.0.1:1/"] {
        assert_eq!(redirect(&format!("redirect_uri = \"{address}\"\n")), address);
    }
}

#[test]
fn check_says_what_it_costs_to_switch_the_proof_key_off() {
    let with = |pkce: &str| plant(&format!("grant = \"authorization_code\"\npkce = \"{pkce}\"\n"));
    let warning = &warnings(&with("off"))[0];
    assert!(warning.1.contains("anyone who intercepts the redirection can use the code"), "{warning:?}");
    assert_eq!(warnings(&with("S256")), []);
}

#[test]
fn a_redirect_address_that_others_could_receive_or_no_browser_can_open_is_refused() {
    let refused =
        |address: &str| complaint(&plant(&format!("grant = \"authorization_code\"\nredirect_uri = \"{address}\"\n")));
    let place = "5: accounts.plant.redirect_uri:";
    assert_eq!(
        refused("http://flows.example.com/cb"),
        format!("{place} plain http:// would send the code readable through the network")
    );
    for address in ["urn:ietf:wg:oauth:2.0:oob", "com.example.app:/cb", "javascript:alert(1)", "cb", ""] {
        assert_eq!(refused(address), format!("{place} this is no address that a browser can be sent to"), "{address}");
    }
    for address in ["https://a.example/#x", "https://me@a.example/"] {
        assert!(refused(address).contains("neither a fragment nor a user name"), "{address}");
    }
    let local = plant("grant = \"authorization_code\"\nredirect_uri = \"http://localhost:8629/\"\n");
    assert!(warnings(&local)[0].1.starts_with("\"localhost\" may lead elsewhere"));
}

#[test]
fn keys_of_one_grant_are_refused_with_another() {
    assert_eq!(
        complaint(&plant("redirect_uri = \"http://127.0.0.1:1/\"\nusername = \"u\"\nrefresh_token_file = \"f\"\n")),
        "4: accounts.plant.redirect_uri: this goes only with grant = \"authorization_code\"\n\
         5: accounts.plant.username: this goes only with grant = \"password\"\n\
         6: accounts.plant.refresh_token_file: this goes only with grant = \"refresh_token\""
    );
    assert_eq!(
        complaint(&github("grant = \"refresh_token\"\nrefresh_token_file = \"f\"\nsign_in = \"offer\"\n")),
        "6: accounts.hub.sign_in: with this grant no user approves anything"
    );
}

#[test]
fn a_client_in_its_own_right_has_to_show_who_it_is() {
    assert_eq!(
        complaint(&plant("grant = \"client_credentials\"\n")),
        "1: accounts.plant.client_secret_file: with grant = \"client_credentials\" the client has to show who it is \
         (RFC 6749 4.4)"
    );
    let (account, _) =
        beside(&[("s", "hunter2\n")], &plant("grant = \"client_credentials\"\nclient_secret_file = \"s\"\n")).unwrap();
    assert_eq!(account.grant.name(), "client_credentials");
    let of_a_user = AccountSettings { grant: GrantSettings::DeviceCode, ..account.clone() };
    assert!(
        !account.binding().is_same_client(&of_a_user.binding()),
        "tokens of a user are never taken for the client's own"
    );
}

#[test]
fn the_password_grant_is_usable_and_warned_of() {
    let text = plant("grant = \"password\"\nusername = \"ann\"\npassword_file = \"p\"\n");
    let (account, warnings) = beside(&[("p", "hunter2\n")], &text).unwrap();
    let GrantSettings::Password { username, password } = &account.grant else { panic!("{:?}", account.grant) };
    assert_eq!((username.as_str(), password.expose()), ("ann", "hunter2"));
    assert!(warnings[0].contains("RFC 9700 2.4"), "{warnings:?}");
    assert_eq!(
        complaint(&plant("grant = \"password\"\n")),
        "1: accounts.plant.username: this key is missing\n1: accounts.plant.password_file: this key is missing"
    );
}

#[test]
fn a_refresh_token_is_read_from_its_file_which_may_be_gone_later() {
    let text = plant("grant = \"refresh_token\"\nrefresh_token_file = \"t\"\n");
    let token = |files| match beside(files, &text).unwrap().0.grant {
        GrantSettings::RefreshToken { token } => token.map(|token| token.expose().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(token(&[("t", "r1\n")]).as_deref(), Some("r1"));
    assert_eq!(token(&[]), None);
}

#[test]
fn a_key_in_place_of_a_secret_must_be_one() {
    let text = plant("client_auth = \"private_key_jwt\"\nprivate_key_file = \"k\"\nprivate_key_id = \"k1\"\n");
    for (pem, name) in [(keys::p256(), "ES256"), (keys::ed25519(), "EdDSA"), (keys::rsa(2048), "RS256")] {
        let (account, _) = beside(&[("k", &pem)], &text).unwrap();
        let key = account.client.key.unwrap();
        assert_eq!((key.usual_algorithm().name(), key.id.as_deref()), (name, Some("k1")));
        assert!(key.sign(key.usual_algorithm(), b"message").is_ok());
    }
    let weak = beside(&[("k", &keys::rsa(1024))], &text).unwrap_err();
    assert!(weak.contains("its key is none of RSA (2048 bits or more), P-256, P-384 and Ed25519"), "{weak}");
    let none = beside(&[("k", "hunter2")], &text).unwrap_err();
    assert!(none.contains("it is no PEM file") && !none.contains("hunter2"), "{none}");
    assert_eq!(
        complaint(&plant("client_auth = \"private_key_jwt\"\nprivate_key_id = \"k1\"\n")),
        "4: accounts.plant.client_auth: this way of signing in needs a private key\n\
         5: accounts.plant.private_key_id: there is no key of that name"
    );
}

#[test]
fn who_may_approve_is_a_list_of_people_that_the_provider_can_name() {
    let good = plant("scopes = [\"openid\", \"email\"]\nallow = [\"Ann@Example.com\", \"*@example.org\", \"sub:1\"]\n");
    let account = account(&good);
    assert!(!account.allow.admits_everybody() && account.asks_for_user());
    let place = "4: accounts.plant.allow:";
    assert_eq!(
        complaint(&plant("allow = []\n")),
        format!(
            "{place} this list admits nobody\n{place} without the scope \"openid\" the provider does not say who has approved"
        )
    );
    assert_eq!(
        complaint(&plant("allow = [\"ann\"]\nscopes = [\"openid\"]\n")),
        format!("{place} \"ann\": this is neither an e-mail address, nor *@ and a domain, nor sub: and a subject")
    );
    assert_eq!(
        complaint(&github("identity = true\n")),
        "4: accounts.hub.identity: without the scope \"openid\" the provider does not say who has approved"
    );
    assert!(warnings(&plant("allow = [\"a@b.c\"]\nscopes = [\"openid\"]\n"))[0].1.contains("scope \"email\""));
    assert!(load_text(&plant("identity = true\nuserinfo_endpoint = \"https://id.lan/me\"\n")).is_ok());
}

#[test]
fn a_scope_that_google_refuses_to_devices_is_said_with_the_grant_that_works() {
    let google = |scope: &str, grant: &str| {
        let text = format!(
            "[accounts.g]\nprovider = \"google\"\nclient_id = \"x\"\nclient_secret_file = \"s\"\nscopes = [\"{scope}\"]\n{grant}"
        );
        beside(&[("s", "hunter2")], &text).unwrap()
    };
    let gmail = "https://www.googleapis.com/auth/gmail.send";
    assert_eq!(google(gmail, "").1, [format!("Google does not give the scope \"{gmail}\" to devices")]);
    let (account, warnings) = google(gmail, "grant = \"authorization_code\"\n");
    assert!(warnings.is_empty());
    let sent = account.profile.params_of(RequestKind::Authorization);
    assert_eq!((sent["access_type"], sent["prompt"]), ("offline", "consent"));
    let (account, _) =
        google(gmail, "grant = \"authorization_code\"\nrequest_params = { authorization = { prompt = \"none\" } }\n");
    assert_eq!(account.profile.params_of(RequestKind::Authorization)["prompt"], "none", "what the account says wins");
    let (account, _) = google(gmail, "grant = \"authorization_code\"\nparams = { prompt = \"none\" }\n");
    assert_eq!(account.profile.params_of(RequestKind::Authorization)["prompt"], "none", "in params too");
    assert!(google("https://www.googleapis.com/auth/drive.file", "").1.is_empty());
}

#[test]
fn a_provider_without_the_grant_says_which_it_has() {
    let without = |provider: &Arc<KnownProvider>| {
        provider.grant(GrantKind::DeviceCode).is_none() && provider.file.parameters.is_empty()
    };
    for preset in Catalog::default().usable().into_iter().filter(without) {
        let text =
            format!("[accounts.a]\nprovider = \"{}\"\nclient_id = \"x\"\nclient_secret_file = \"s\"\n", preset.name);
        let error = beside(&[("s", "hunter2")], &text).unwrap_err();
        assert!(error.contains(&format!("{} has no device grant", preset.file.title)), "{error}");
        assert!(
            beside(&[("s", "hunter2")], &format!("{text}grant = \"authorization_code\"\n")).is_ok(),
            "{}",
            preset.name
        );
    }
}

#[test]
fn a_grant_that_is_unknown_is_the_only_complaint() {
    let text = "[accounts.a]\ngrant = \"device\"\nissuer = \"https://id.example\"\nclient_id = \"c\"\n";
    assert_eq!(complaint(text), "2: accounts.a.grant: there is no value \"device\"");
    let text = "[accounts.a]\ngrant = \"device\"\ntoken_endpoint = \"https://id.example/t\"\nclient_id = \"c\"\n";
    assert_eq!(complaint(text), "2: accounts.a.grant: there is no value \"device\"");
}

#[test]
fn a_machine_signs_for_itself_with_a_service_account_or_its_own_key() {
    let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let pem = std::process::Command::new("openssl").args(curve).output().unwrap().stdout;
    let pem = String::from_utf8(pem).unwrap();
    let json = |token_uri: &str| {
        serde_json::json!({
            "type": "service_account", "private_key_id": "k1", "private_key": pem,
            "client_email": "meter@plant.example", "token_uri": token_uri,
        })
        .to_string()
    };
    let google = "https://oauth2.googleapis.com/token";
    let alone =
        "[accounts.g]\ngrant = \"jwt_bearer\"\nservice_account_file = \"a.json\"\nsubject = \"ann@plant.example\"\n";
    for text in [alone.to_owned(), format!("{alone}provider = \"google\"\n")] {
        let (account, warnings) = beside(&[("a.json", &json(google))], &text).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(account.endpoints.token.as_ref().unwrap().as_str(), google);
        assert_eq!(account.client.id, "meter@plant.example");
        let GrantSettings::JwtBearer(bearer) = &account.grant else { panic!("{:?}", account.grant) };
        assert!(bearer.is_service_account && bearer.subject.as_deref() == Some("ann@plant.example"));
    }
    let other = beside(&[("a.json", &json("https://evil.example/t"))], &format!("{alone}provider = \"google\"\n"));
    assert!(other.unwrap_err().contains("another token endpoint than the account's provider"));
    let plain = beside(&[("a.json", &json("http://evil.example/t"))], alone).unwrap_err();
    assert!(plain.contains("plain http://"), "{plain}");

    let own = plant("grant = \"jwt_bearer\"\nprivate_key_file = \"k\"\n");
    let (account, _) = beside(&[("k", &pem)], &own).unwrap();
    let GrantSettings::JwtBearer(bearer) = &account.grant else { panic!("{:?}", account.grant) };
    assert!(!bearer.is_service_account && bearer.issuer == "x" && account.client.key.is_none());
    assert!(complaint(&plant("grant = \"jwt_bearer\"\n")).contains("the account signs with a key"));
    assert!(complaint(&plant("subject = \"x\"\n")).contains("this goes only with grant = \"jwt_bearer\""));
}

#[test]
fn a_key_takes_the_certificate_that_was_registered_for_it_from_a_file() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let certificate = fs::read_to_string(format!("{folder}/rsa-2048-certificate.pem")).unwrap();
    let text = plant("client_auth = \"private_key_jwt\"\nprivate_key_file = \"k\"\ncertificate_file = \"c\"\n");
    let with = |key: &str| beside(&[("k", key), ("c", &certificate)], &text);
    let (account, _) = with(&keys::rsa(2048)).unwrap();
    assert!(account.client.key.unwrap().certificate.is_some());
    let other = with(&keys::p256()).unwrap_err();
    assert!(other.contains("its certificate is for another key"), "{other}");
    let alone = complaint(&plant("certificate_file = \"c\"\n"));
    assert!(alone.contains("there is no key to this certificate"), "{alone}");
}
