//! Presets: each at the addresses that its provider has, with the answers that it gives.

use serde_json::json;

use super::{Group, Row, User, token};

/// A row for a preset; its shape is in `shapes.mjs` under the name of the preset.
fn preset(name: &str, scopes: &str, more: &str) -> Row {
    let mut row = Row::new(Group::Preset, name, &format!("`{name}`"))
        .with(&format!("provider = \"{name}\"\nscopes = [{scopes}]\nca_file = \"{{ca}}\"\n{more}"));
    row.shape = json!({ "shape": name });
    row.with(&format!("client_id = \"{name}\""))
}

pub(super) fn rows() -> Vec<Row> {
    let by_browser = |name: &str, scopes: &str, more: &str| {
        let mut row = preset(name, scopes, more).browser();
        row.title = format!("`{name}`, `authorization_code`");
        row
    };
    let gmail = "https://www.googleapis.com/auth/gmail.readonly";
    let mut mail = by_browser("google", &format!("\"{gmail}\""), "").secret();
    "google-mail".clone_into(&mut mail.name);
    mail.settings = mail.settings.replace("client_id = \"google\"", "client_id = \"google-mail\"");
    let granted = token(&json!({ "scope": gmail, "expires_in": 3599 }));
    mail.shape = json!({ "shape": "google", "answers": { "granted": [granted], "refresh": [granted] } });
    let mut machine = preset("zoom", "", "account_id = \"a1\"").secret().with("grant = \"client_credentials\"");
    "`zoom`, `client_credentials`".clone_into(&mut machine.title);
    machine.user = User::Nobody;
    let b2c = "tenant = \"contoso\"\npolicy = \"b2c_1_sign_in\"";
    vec![
        preset("amazon", "\"profile\"", ""),
        preset("auth0", "\"offline_access\"", "domain = \"example.eu.auth0.com\""),
        preset("authentik", "\"offline_access\"", "url = \"https://authentik.example.com\"\napplication = \"gateway\""),
        by_browser("azure-ad-b2c", "\"openid\", \"offline_access\"", b2c),
        by_browser("discord", "\"identify\"", ""),
        by_browser("dropbox", "\"files.content.read\"", ""),
        preset("github", "\"repo\", \"gist\"", "").polls(3),
        preset("gitlab", "\"read_api\"", ""),
        preset("google", "\"https://www.googleapis.com/auth/drive.file\"", "").secret(),
        mail,
        preset("home-connect", "\"IdentifyAppliance\", \"Monitor\"", ""),
        preset("keycloak", "\"offline_access\"", "url = \"https://keycloak.example.com\"\nrealm = \"plant\""),
        preset("microsoft", "\"Files.Read\", \"offline_access\"", ""),
        by_browser("netatmo", "\"read_station\"", "").secret(),
        preset("okta", "\"offline_access\"", "domain = \"example.okta.com\""),
        by_browser("quickbooks", "\"com.intuit.quickbooks.accounting\"", "").secret(),
        by_browser("reddit", "\"identity\"", ""),
        by_browser("salesforce", "\"api\", \"refresh_token\"", ""),
        by_browser("slack", "\"chat:write\"", "").secret(),
        by_browser("smartthings", "\"r:devices:*\"", "").secret(),
        by_browser("spotify", "\"user-read-private\"", ""),
        by_browser("strava", "\"read\", \"activity:read\"", "").secret(),
        preset("tado", "\"offline_access\"", ""),
        by_browser("tesla", "\"openid\", \"offline_access\"", "").secret(),
        by_browser("tiktok", "\"user.info.basic\"", "").secret(),
        preset("trakt", "", "").secret(),
        preset("twitch", "\"user:read:email\"", ""),
        by_browser("withings", "\"user.metrics\"", "").secret(),
        preset("zitadel", "\"offline_access\"", "domain = \"example.zitadel.cloud\""),
        preset("zoho", "\"AaaServer.profile.Read\"", "").secret(),
        machine,
    ]
}
