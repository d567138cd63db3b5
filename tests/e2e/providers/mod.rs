//! Every preset, every quirk and every grant, played through by the built agent; `docs/provider-tests.md` has the outcomes.
//!
//! One agent has an account for each row, and all of them go their way at once: in, on to the next token, out, refused
//! by the user, in again, and on to a token that is refused. With `OAUTH2MQTT_WRITE_DOCS=1` the document is written anew.

mod course;
mod rows;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use oauth2mqtt::testing::config::built_in_providers;
use serde_json::json;

use crate::support::certificates::make_certificate;
use crate::support::oidc::token_from_elsewhere;
use crate::support::server::Kind;
use crate::support::world::{Setup, World};
use course::Outcome;
use rows::{Group, Row, Server};

/// Where known providers are; a proxy of the test's own stands for all of them.
const HOSTS: [&str; 39] = [
    "account.withings.com",
    "accounts.zoho.com",
    "api.amazon.com",
    "api.home-connect.com",
    "api.smartthings.com",
    "api.trakt.tv",
    "appcenter.intuit.com",
    "auth.tesla.com",
    "contoso.b2clogin.com",
    "fleet-auth.prd.vn.cloud.tesla.com",
    "id.twitch.tv",
    "login.tado.com",
    "oauth.platform.intuit.com",
    "open.tiktokapis.com",
    "slack.com",
    "trakt.tv",
    "wbsapi.withings.net",
    "www.reddit.com",
    "www.tiktok.com",
    "zoom.us",
    "accounts.google.com",
    "accounts.spotify.com",
    "api.dropboxapi.com",
    "api.netatmo.com",
    "authentik.example.com",
    "discord.com",
    "example.eu.auth0.com",
    "example.okta.com",
    "example.zitadel.cloud",
    "github.com",
    "gitlab.com",
    "graph.microsoft.com",
    "keycloak.example.com",
    "login.microsoftonline.com",
    "login.salesforce.com",
    "oauth2.googleapis.com",
    "openidconnect.googleapis.com",
    "www.dropbox.com",
    "www.strava.com",
];

const INTRODUCTION: &str = "\
# Tested providers, grants and quirks

For maintainers: what the agent does with each of them. A test runs every row with the built agent and fails if this page says
anything else. `OAUTH2MQTT_WRITE_DOCS=1 tests/run providers::` writes it. For what to register where, see
[Providers](providers.md).

- **sign-in**: from the request to the first token; *after* names the faults on the way.
- **next token**: the refresh, or the same grant again if there is no refresh token.
- **sign-out**: whether the provider was told.
- **declined**: what `status` shows when the user declines, or when the code is no longer known.
- **bad answer**: what follows from the odd or bad answer to the request for the next token. *Kept* means that the sign-in is kept
  and the request is repeated automatically.
";

#[test]
fn the_table_of_providers_grants_and_quirks_is_what_the_agent_does() {
    let rows = rows::all();
    for name in built_in_providers() {
        assert!(rows.iter().any(|row| row.preset() == Some(&name)), "no row for the provider {name}");
    }
    let world = start(&rows);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let stage = course::Stage::of(&world);
        let running: Vec<_> = rows.iter().map(|row| scope.spawn(move || stage.play(row))).collect();
        running.into_iter().map(|row| row.join().unwrap()).collect()
    });
    let page = page(&rows, &outcomes);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/provider-tests.md");
    if std::env::var_os("OAUTH2MQTT_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    for (line, expected) in page.lines().zip(kept.lines().chain(std::iter::repeat(""))) {
        assert_eq!(line, expected, "what the agent does, and what docs/provider-tests.md says");
    }
    assert_eq!(page.lines().count(), kept.lines().count());
}

fn start(rows: &[Row]) -> World {
    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path(), &HOSTS);
    let scripted = rows.iter().filter(|row| row.server == Server::Fake);
    let shapes: serde_json::Map<_, _> = scripted.map(|row| (row.name.clone(), row.shape.clone())).collect();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut setup = Setup::on(Kind::Fake)
        .provider("tls", json!({ "key": path("hosts.key"), "cert": path("hosts.pem") }))
        .provider("providers", shapes);
    for server in [Server::Fake, Server::Oidc, Server::Django, Server::Authlib] {
        setup = match server {
            Server::Fake => setup,
            Server::Oidc => setup.another(Kind::Oidc),
            Server::Django => setup.another(Kind::Django),
            Server::Authlib => setup.another(Kind::Authlib).provider("interval", 1),
        };
        for row in rows.iter().filter(|row| row.server == server) {
            setup = setup.account_as(&row.name, &row.settings.replace("{ca}", &path("ca.pem")));
        }
    }
    let mut world = setup.without_agent();
    if let Some(row) = rows.iter().find(|row| row.settings.contains("imported.token")) {
        let imported = token_from_elsewhere(world.provider(1), "importing", &row.login);
        fs::write(world.folder().join("1/imported.token"), imported).unwrap();
    }
    let proxy = world.oidc().origin();
    let mut command = world.command(&["--log", "trace", "run"]);
    command.env("HTTPS_PROXY", proxy);
    world.start_agent_by(command);
    world
}

fn page(rows: &[Row], outcomes: &[Outcome]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in [Group::Preset, Group::Grant, Group::Quirk] {
        let (title, first) = group.titles();
        write!(page, "\n## {title}\n\n| {first} | sign-in | next token | sign-out | declined | bad answer |\n")
            .unwrap();
        page.push_str("|---|---|---|---|---|---|\n");
        for (row, outcome) in rows.iter().zip(outcomes).filter(|(row, _)| row.group == group) {
            let Outcome { sign_in, next_token, sign_out, no, trouble } = outcome;
            writeln!(page, "| {} | {sign_in} | {next_token} | {sign_out} | {no} | {trouble} |", row.title).unwrap();
        }
    }
    page
}
