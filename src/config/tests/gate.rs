//! The `[gate]` section.

use std::time::Duration;

use super::*;
use crate::domain::gate::settings::GateSettings;
use crate::domain::settings::GrantSettings;

const GATE: &str =
    "[gate]\naddress = \"https://panel.example.com\"\nallow = [\"*@example.com\", \"groups:operators\"]\n";
const BROWSER: &str = "[gate.browser]\nissuer = \"https://id.example\"\nclient_id = \"panel\"\n";

fn gate(text: &str) -> GateSettings {
    load_text(text).unwrap().settings.gate.unwrap()
}

#[test]
fn without_the_section_there_is_no_gate() {
    assert!(load_text("").unwrap().settings.gate.is_none());
}

#[test]
fn the_least_that_is_written_is_enough() {
    let gate = gate(&format!("{GATE}{BROWSER}"));
    assert_eq!((gate.address.as_str(), gate.authority()), ("https://panel.example.com", "panel.example.com"));
    assert_eq!(gate.listen, "127.0.0.1:8630".parse().unwrap());
    assert_eq!((gate.session, gate.idle), (Duration::from_secs(8 * 3_600), Duration::from_secs(1_800)));
    let browser = gate.browser.unwrap();
    let GrantSettings::AuthorizationCode { redirect_uri } = &browser.grant else { panic!() };
    assert_eq!(&**redirect_uri, "https://panel.example.com/oauth2mqtt/callback");
    assert_eq!(browser.scopes, ["openid", "email", "profile"]);
    assert_eq!(browser.claims, ["groups"]);
    assert!(browser.identity && browser.asks_for_user() && gate.phone.is_none());
}

#[test]
fn everything_can_be_written() {
    let keys = "listen = \"127.0.0.1:9000\"\nsession = \"7d\"\nidle = \"90s\"\ngroups = \"realm_access.roles\"\n";
    let phone = "[gate.phone]\nissuer = \"https://id.example\"\nclient_id = \"tv\"\nclient_secret_file = \"x\"\n";
    let text = format!("{GATE}{keys}{BROWSER}scopes = [\"openid\", \"roles\"]\n{phone}");
    let complaint = complaint(&text);
    assert!(
        complaint.starts_with("15: gate.phone.client_secret_file") && complaint.lines().count() == 1,
        "{complaint}"
    );
    let gate = gate(&format!("{GATE}{keys}{BROWSER}scopes = [\"openid\", \"roles\"]\n"));
    assert_eq!((gate.session, gate.idle), (Duration::from_secs(7 * 86_400), Duration::from_secs(90)));
    let browser = gate.browser.unwrap();
    assert_eq!(
        (browser.scopes.len(), browser.claims.as_slice()),
        (2, &["groups".to_owned(), "realm_access.roles".to_owned()][..])
    );
}

#[test]
fn what_would_let_in_everybody_or_nobody_is_an_error() {
    let without = |key: &str| {
        let kept = GATE.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n"));
        complaint(&(kept.collect::<String>() + BROWSER))
    };
    assert_eq!(without("allow"), "1: gate.allow: this key is missing: nobody could come in");
    assert_eq!(without("address"), "1: gate.address: this key is missing");
    assert_eq!(complaint(GATE), "1: gate: nothing here says how people sign in");
    let with = |line: &str| {
        let kept = GATE.lines().filter(|kept| kept.split(' ').next() != line.split(' ').next());
        complaint(&format!("{}\n{line}\n{BROWSER}", kept.collect::<Vec<_>>().join("\n")))
    };
    assert_eq!(with("allow = []"), "3: gate.allow: this list admits nobody");
    assert_eq!(
        with("allow = [\"everybody\"]"),
        "3: gate.allow: \"everybody\": this is neither an e-mail address, nor *@ and a domain, nor sub: and a subject"
    );
    assert_eq!(
        with("address = \"http://panel.example.com\""),
        "3: gate.address: without TLS anybody in the network could read the cookie that lets a browser in"
    );
    for address in ["panel.example.com", "https://panel.example.com/x", "ftp://panel.example.com"] {
        assert!(with(&format!("address = \"{address}\"")).ends_with("is not the origin of a page"), "{address}");
    }
    for idle in ["", "0s", "31d", "8", "8 hours"] {
        assert!(with(&format!("idle = \"{idle}\"")).ends_with("is not a time from one second to 30 days"), "{idle}");
    }
    assert_eq!(with("groups = \"\""), "4: gate.groups: this is not the name of a claim");
}

#[test]
fn a_client_of_the_gate_has_only_what_concerns_a_client() {
    for line in [
        "grant = \"device_code\"",
        "allow = [\"*@example.com\"]",
        "publish = \"retained\"",
        "redirect_uri = \"https://x/y\"",
    ] {
        let key = line.split(' ').next().unwrap();
        let complaint = complaint(&format!("{GATE}{BROWSER}{line}\n"));
        assert_eq!(complaint, format!("7: gate.browser.{key}: a client of the gate has no such key"));
    }
    let endpoints = "[gate.phone]\ndevice_authorization_endpoint = \"https://x/d\"\ntoken_endpoint = \"https://x/t\"\nclient_id = \"c\"\nscopes = [\"email\"]\n";
    assert_eq!(
        complaint(&format!("{GATE}{endpoints}")),
        "4: gate.phone: without the scope \"openid\" the provider does not say who comes"
    );
}

#[test]
fn both_ways_lead_to_one_provider() {
    let phone = |issuer: &str| format!("{GATE}{BROWSER}[gate.phone]\nissuer = \"{issuer}\"\nclient_id = \"tv\"\n");
    assert!(gate(&phone("https://id.example")).phone.is_some());
    let complaint = complaint(&phone("https://other.example"));
    assert!(complaint.starts_with("1: gate: [gate.browser] and [gate.phone] lead to two providers"), "{complaint}");
}

#[test]
fn only_the_gate_admits_by_a_claim() {
    let text = github("scopes = [\"openid\"]\nallow = [\"groups:operators\"]\n");
    assert!(complaint(&text).contains("\"groups:operators\": only the gate admits people by a claim"));
}

#[test]
fn a_client_that_only_learns_who_it_is_asks_for_no_lasting_access_and_for_another_user_as_the_provider_wants() {
    let google = "[gate.browser]\nprovider = \"google\"\nclient_id = \"web\"\nclient_auth = \"client_secret_post\"\n";
    let with_secret = |dir: &std::path::Path| {
        std::fs::write(dir.join("x"), "hunter2").unwrap();
        let path = dir.join("config.toml");
        let text = format!(
            "{GATE}{google}client_secret_file = \"x\"\nparams = {{ hd = \"example.com\", prompt = \"consent\" }}\n"
        );
        parse(&text, &path, &Environment::default()).unwrap().settings.gate.unwrap().browser.unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let profile = with_secret(dir.path()).profile.clone();
    assert!(profile.request_params.authorization.is_empty() && profile.prompt.is_none());
    assert_eq!(profile.params["hd"], "example.com");
    let again = crate::domain::profile::Profile::clone(&profile).asking_who_it_is();
    assert_eq!((again.prompt.as_deref(), again.params.contains_key("prompt")), (Some("select_account"), false));
    let other = gate(&format!("{GATE}{BROWSER}")).browser.unwrap();
    let again = crate::domain::profile::Profile::clone(&other.profile).asking_who_it_is();
    assert_eq!(again.prompt.as_deref(), Some("login"));
}
