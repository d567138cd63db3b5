use std::fs;
use std::path::Path;

use super::super::catalog::{built_in, read_text};
use super::super::{Catalog, Environment, PROVIDERS_FOLDER, load};
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::RequestKind;
use crate::domain::provider_file::EndpointTemplates;

const PLANT: &str = "\
title = \"The plant's server\"
register_at = \"https://id.plant.example/clients\"
scope_separator = \",\"
[endpoints]
device_authorization = \"https://id.plant.example/{site}/device\"
token = \"https://id.plant.example/{site}/token\"
[parameters.site]
kind = \"segment\"
example = \"north\"
[grants.device_code]
register = \"any client\"
[request_params.refresh]
resource = \"api\"
";

/// A folder with a configuration and these files of providers.
fn folder(config: &str, providers: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    fs::create_dir(folder.path().join("providers.d")).unwrap();
    for (name, text) in providers {
        fs::write(folder.path().join("providers.d").join(name), text).unwrap();
    }
    folder
}

fn errors(folder: &Path) -> String {
    let errors = load(&folder.join("config.toml"), &Environment::default()).unwrap_err().to_string();
    errors.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_built_in_file_is_whole() {
    for (name, text) in built_in() {
        let provider = read_text(name, text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let parameters = provider.file.parameters.keys();
        assert!(parameters.into_iter().all(|key| text.contains(&format!("\n[parameters.{key}]\n"))), "{name}");
        if provider.file.retired.is_some() {
            continue;
        }
        assert!(provider.file.grants.values().all(|grant| !grant.register.is_empty()), "{name}");
        let EndpointTemplates { issuer, device_authorization, authorization, .. } = &provider.file.endpoints;
        if issuer.is_none() {
            let has = |grant| provider.grant(grant).is_some();
            assert_eq!(device_authorization.is_some(), has(GrantKind::DeviceCode), "{name}");
            assert_eq!(authorization.is_some(), has(GrantKind::AuthorizationCode), "{name}");
        }
    }
    assert!(built_in().is_sorted());
}

#[test]
fn a_file_beside_the_configuration_adds_a_provider() {
    let account = "[accounts.a]\nprovider = \"plant\"\nsite = \"south\"\nclient_id = \"c\"\nscopes = [\"a\", \"b\"]\n";
    let folder = folder(account, &[("plant.toml", PLANT), ("README", "not a provider")]);
    let settings = load(&folder.path().join("config.toml"), &Environment::default()).unwrap().settings;
    let account = settings.accounts.into_values().next().unwrap();
    assert_eq!(account.provider, "plant");
    assert_eq!(account.endpoints.token.as_ref().unwrap().as_str(), "https://id.plant.example/south/token");
    assert_eq!(account.profile.scope_separator(), ",");
    assert_eq!(account.profile.params_of(RequestKind::Refresh)["resource"], "api");
}

#[test]
fn a_file_replaces_a_built_in_provider_or_extends_one() {
    let account = "[accounts.a]\nprovider = \"github\"\nclient_id = \"c\"\n";
    let token = |folder: &Path| {
        let settings = load(&folder.join("config.toml"), &Environment::default()).unwrap().settings;
        let account = settings.accounts.into_values().next().unwrap();
        (account.endpoints.token.as_ref().unwrap().to_string(), account.endpoints.device_authorization.is_some())
    };
    let enterprise = "extends = \"github\"\ntitle = \"Ours\"\n[endpoints]\n\
                      token = \"https://git.plant.example/login/oauth/access_token\"\n\
                      device_authorization = \"https://git.plant.example/login/device/code\"\n";
    let replaced = folder(
        account,
        &[(
            "github.toml",
            &PLANT.replace("/{site}", "").replace("[parameters.site]\nkind = \"segment\"\nexample = \"north\"\n", ""),
        )],
    );
    assert_eq!(token(replaced.path()), ("https://id.plant.example/token".to_owned(), true));
    // Nothing is sent to an endpoint of the one that it extends.
    let extended = folder(account, &[("github.toml", enterprise)]);
    assert_eq!(token(extended.path()), ("https://git.plant.example/login/oauth/access_token".to_owned(), true));
    let settings = load(&extended.path().join("config.toml"), &Environment::default()).unwrap().settings;
    assert!(settings.accounts.into_values().next().unwrap().endpoints.authorization.is_none());
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once_with_file_line_and_key() {
    let wrong = PLANT
        .replace("scope_separator = \",\"", "scope_seperator = \",\"")
        .replace("/{site}/token", "/{side}/token")
        .replace("kind = \"segment\"", "kind = \"part\"")
        .replace("resource = \"api\"", "refresh_token = \"api\"\n[errors]\nbad = \"invalid_grants\"");
    let folder =
        folder("[mqtt]\nurl = 7\n", &[("plant.toml", &wrong), ("Bad Name.toml", ""), ("torn.toml", "title = \n")]);
    let errors = errors(folder.path());
    for expected in [
        "config.toml:2: mqtt.url: this takes a text in quotes",
        "providers.d/plant.toml:3: scope_seperator: there is no such key\n  help: did you mean `scope_separator`?",
        "providers.d/plant.toml:8: parameters.site.kind: there is no value \"part\"\n  help: write one of: host, url, label, segment, text",
        "providers.d/plant.toml:13: request_params.refresh.refresh_token: the program itself sends this parameter",
        "providers.d/plant.toml:15: errors.bad: there is no value \"invalid_grants\"\n  help: did you mean \"invalid_grant\"?",
        "providers.d/Bad Name.toml: this file has no name that an account can use",
        "providers.d/torn.toml:1: this is not TOML",
    ] {
        assert!(errors.contains(expected), "{expected}\n---\n{errors}");
    }
}

#[test]
fn a_template_needs_its_parameters_and_tls() {
    for (change, key) in [
        (("/{site}/token", "/{side}/token"), "endpoints.token: there is no parameter \"side\""),
        (
            ("https://id.plant.example/{site}/token", "http://id.plant.example/{site}/token"),
            "endpoints.token: this is no https:// address",
        ),
        (("/{site}/", "/"), "parameters.site: nothing has this parameter"),
        (("parameters.site", "parameters.scopes"), "parameters.scopes: an account has a key of this name already"),
        (("title = \"The plant's server\"\n", ""), "title: this key is missing"),
        (("[grants.device_code]\nregister = \"any client\"\n", ""), "grants: this provider has no grant"),
    ] {
        let folder = folder("", &[("plant.toml", &PLANT.replace(change.0, change.1))]);
        let errors = errors(folder.path());
        assert!(errors.contains(key), "{key}\n---\n{errors}");
    }
}

#[test]
fn a_provider_that_has_gone_says_what_to_use() {
    let error = super::errors("[accounts.a]\nprovider = \"fitbit\"\nclient_id = \"c\"\n");
    assert!(
        error.contains("its API has moved to the Google Health API") && error.contains("provider = \"google\""),
        "{error}"
    );
    assert!(!Catalog::default().usable().iter().any(|provider| provider.name == "fitbit"));
    assert_eq!(PROVIDERS_FOLDER, "providers.d");
}

#[test]
fn lifetimes_that_only_the_documentation_names_stand_in_the_files() {
    for (name, days) in [("microsoft", 90), ("smartthings", 30), ("twitch", 30), ("withings", 365)] {
        let profile = &Catalog::default().find(name).unwrap().profile;
        assert_eq!(profile.idle_lifetime, Some(days * 86_400), "{name}");
    }
}

#[test]
fn what_an_api_needs_beside_the_token_stands_in_the_files() {
    let profile = |name: &str| Catalog::default().find(name).unwrap().profile.clone();
    for (name, extra) in [
        ("salesforce", "instance_url"),
        ("smartthings", "installed_app_id"),
        ("tiktok", "open_id"),
        ("withings", "userid"),
        ("zoho", "api_domain"),
    ] {
        assert!(profile(name).extra.contains_key(extra), "{name}");
    }
    assert_eq!(profile("quickbooks").redirect_extra["realm_id"], "realmId");
}
