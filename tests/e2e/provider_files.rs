//! A provider that nobody has thought of is served by a file of the administrator's alone.

use std::fs;

use serde_json::{Value, json};

use crate::support::server::Kind;
use crate::support::world::{Setup, World};

const FILE: &str = r#"
title = "Somebody's own"
register_at = "the desk on the ground floor"
notes = ["The meters sleep at night."]
scopes = ["meters"]
scope_separator = ","
token_types = ["metered"]

[endpoints]
device_authorization = "{origin}/{site}/device"
token = "{origin}/{site}/token"

[parameters.site]
kind = "segment"
example = "north"

[parameters.plant_id]
kind = "text"
example = "17"

[grants.device_code]
register = "any client"

[parameter_names]
client_id = "app"
device_code = "ticket"
scope = "rights"

[grant_types]
device_poll = "ticket"

[request_params.device_authorization]
plant = "{plant_id}"

[request_params.refresh]
renew = "yes"

[statuses.device_poll]
403 = "authorization_pending"
404 = "expired_token"

[members]
access_token = "body.access_token"
refresh_token = "body.refresh_token"
expires_in = "body.expires_in"
token_type = "body.kind"

[extra]
api = "body.api"
"#;

/// What that provider asks and answers.
fn provider() -> Value {
    let granted = json!([{ "status": 200, "json": { "body": {
        "access_token": "$", "refresh_token": "$", "expires_in": 600, "kind": "metered", "api": "https://api.north.example",
    } } }]);
    json!({ "north": {
        "names": { "app": "client_id", "client_id": "not_client_id", "rights": "scope", "ticket": "device_code" },
        "grants": { "ticket": "urn:ietf:params:oauth:grant-type:device_code" },
        "requires": { "device": ["plant", "scope"], "refresh_token": ["renew"] },
        "answers": { "pending": [{ "status": 403 }], "unknown": [{ "status": 404 }], "granted": granted, "refresh": granted },
    } })
}

const ACCOUNT: &str = "provider = \"own\"\nsite = \"north\"\nplant_id = \"17\"\nclient_id = \"gateway\"\nscopes = [\"meters\", \"doors\"]";

fn setup() -> Setup {
    Setup::on(Kind::Fake).provider("providers", provider()).provider_file("own", FILE).account_as("garden", ACCOUNT)
}

#[test]
fn a_file_alone_serves_a_provider_with_ways_of_its_own() {
    let world = setup().start();
    let token = world.sign_in("garden").json;
    assert_eq!(token["token_type"], "Bearer", "{token}");
    assert_eq!(token["extra"]["api"], "https://api.north.example", "{token}");
    assert_eq!(world.refresh("garden")["status"], "ok");
    let asked = world.oidc().seen("north", "device");
    assert_eq!(asked[0].params["rights"], "meters,doors", "{asked:?}");
}

#[test]
fn providers_and_check_show_the_file_and_what_is_wrong_with_it() {
    let world = setup().without_agent();
    let list = world.cli(&["providers"]);
    assert!(list.code() == 0 && list.stdout.contains("providers.d/own.toml"), "{list:?}");
    assert!(list.stdout.contains("google") && list.stdout.contains("built in") && !list.stdout.contains("fitbit"));
    let whole = world.cli(&["providers", "own"]);
    for part in [
        "statuses = { device_poll",
        "the desk on the ground floor",
        "The meters sleep at night.",
        "[accounts.own]",
        "site = \"north\"",
        "scopes = [\"meters\"]",
    ] {
        assert!(whole.stdout.contains(part), "{part}: {whole:?}");
    }
    assert!(world.cli(&["providers", "gogle"]).stderr.contains("did you mean \"google\"?"));
    assert_eq!(world.cli(&["check"]).code(), 0);
    break_it(&world);
    let wrong = world.cli(&["check"]);
    assert_eq!(wrong.code(), 78, "{wrong:?}");
    assert!(wrong.stderr.contains("providers.d/own.toml:6: scope_separatr: there is no such key"), "{wrong:?}");
    assert!(wrong.stderr.contains("did you mean `scope_separator`?"), "{wrong:?}");
}

fn break_it(world: &World) {
    let path = world.folder().join("providers.d/own.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("scope_separator", "scope_separatr")).unwrap();
}
