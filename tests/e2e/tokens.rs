//! One sign-in, several tokens: each for an API of its own, all by one refresh token.

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::subscriber::Message;
use crate::support::world::{Client, Setup, World};

const FILES: &str = "https://files.example.com/";
const MAIL: &str = "https://mail.example.com/";

/// An account that may have both, with these further tokens.
fn with(tokens: &str) -> String {
    format!("scopes = [\"openid\", \"offline_access\", \"files.read\", \"mail.send\"]\n{tokens}")
}

fn both() -> String {
    let token = |name: &str, resource: &str, scope: &str| {
        format!("[accounts.garden.tokens.{name}]\nresource = \"{resource}\"\nscopes = [\"{scope}\"]\n")
    };
    with(&(token("files", FILES, "files.read") + &token("mail", MAIL, "mail.send")))
}

fn garden(settings: &str) -> World {
    Setup::new().account_with("garden", Client::Public, settings).start()
}

fn token(world: &World, name: &str) -> Message {
    world.wait("garden", &format!("{name}/token"), |token| token["access_token"].is_string())
}

/// What the API says of a token.
fn at_the_api(world: &World, token: &Message) -> Value {
    let answer = world.oidc().me(token.access_token().unwrap());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn one_sign_in_brings_a_token_for_each_resource_and_keeps_them_fresh() {
    let world = Setup::new().token_life(8).account_with("garden", Client::Public, &both()).start();
    let own = world.sign_in("garden");
    assert_eq!(at_the_api(&world, &own)["aud"], Value::Null);
    for (name, resource, scope) in [("files", FILES, "files.read"), ("mail", MAIL, "mail.send")] {
        let first = token(&world, name);
        assert_eq!((&first.json["account"], &first.json["token"]), (&json!("garden"), &json!(name)));
        assert_eq!(first.json["scope"], scope);
        let said = at_the_api(&world, &first);
        assert_eq!((&said["aud"], &said["scope"], &said["sub"]), (&json!(resource), &json!(scope), &json!("garden")));
        let last = first.json["access_token"].clone();
        let next = world.wait("garden", &format!("{name}/token"), |token| {
            token["access_token"].is_string() && token["access_token"] != last
        });
        assert_eq!(at_the_api(&world, &next)["aud"], resource);
    }
    world.wait("garden", "token", |token| {
        token["access_token"].is_string() && token["access_token"] != own.json["access_token"]
    });
    let refreshes = world.oidc().refreshes();
    assert!(refreshes.iter().all(|refresh| refresh.rotated && refresh.error.is_none()), "{refreshes:?}");
    for resource in [None, Some(FILES), Some(MAIL)] {
        assert!(refreshes.iter().any(|refresh| refresh.resource.as_deref() == resource), "{resource:?}: {refreshes:?}");
    }
    for pair in refreshes.windows(2) {
        assert_eq!(pair[1].presented, pair[0].refresh_token, "one after the other, each with the newest refresh token");
    }
    let status = world.wait_for_state("garden", "active");
    let tokens = status["tokens"].as_array().unwrap();
    assert_eq!(tokens.iter().map(|token| &token["name"]).collect::<Vec<_>>(), ["files", "mail"]);
    assert!(tokens.iter().all(|token| token["expires_at"].is_i64() && token["error"].is_null()), "{status}");
}

#[test]
fn a_power_cut_between_two_rotations_loses_nothing() {
    let mut world = garden(&both());
    let own = world.sign_in("garden");
    let former = token(&world, "files");
    token(&world, "mail");
    // Both are asked for anew.
    let other =
        [("files", FILES), ("mail", MAIL)].map(|(name, it)| format!("tokens.{name} = {{ resource = \"{it}\" }}\n"));
    world.set_account("garden", Some((Client::Public, &with(&other.concat()))));
    // The first is answered, and the request for the second never reaches the provider.
    let before = world.oidc().refreshes().len();
    world.oidc().fault("hang", 1, &json!({ "skip": 1 }));
    world.reload();
    let files = world.wait("garden", "files/token", |token| {
        token["access_token"].is_string() && token["access_token"] != former.json["access_token"]
    });
    wait_until("the request that hangs", SOON, || world.oidc().refreshes().len() > before + 1);
    world.kill_agent();
    let mark = world.subscriber.mark();
    world.start_agent();
    let again = world.subscriber.wait_after(mark, "oauth2mqtt/garden/files/token", |_| true);
    assert_eq!(again.json["access_token"], files.json["access_token"], "as it was, from the disk");
    let is_there = |token: &Value| token["access_token"].is_string();
    let mail = world.subscriber.wait_after(mark, "oauth2mqtt/garden/mail/token", is_there);
    assert_eq!(at_the_api(&world, &mail)["aud"], MAIL);
    let status = world.wait_for_state("garden", "active");
    assert_eq!((&status["error"], &status["needs_user"]), (&json!(null), &json!(false)));
    let refreshes = world.oidc().refreshes();
    assert!(refreshes.iter().all(|refresh| refresh.error.is_none()), "{refreshes:?}");
    assert_eq!(at_the_api(&world, &own)["sub"], "garden");
}

#[test]
fn a_refused_further_token_stops_neither_the_sign_in_nor_the_others() {
    let with_third = |scope: &str| {
        format!("{}[accounts.garden.tokens.no-scope]\nresource = \"{MAIL}\"\nscopes = [\"{scope}\"]\n", both())
    };
    let world = garden(&with_third("mail.read"));
    let own = world.sign_in("garden");
    let status = world.wait("garden", "status", |status| status["tokens"][2]["error"].is_object()).json;
    let error = &status["tokens"][2]["error"];
    assert_eq!((&status["tokens"][2]["name"], &error["code"]), (&json!("no-scope"), &json!("invalid_scope")));
    assert!(error["retry_at"].is_i64(), "{status}");
    assert_eq!((&status["state"], &status["error"]), (&json!("active"), &json!(null)));
    assert_eq!(at_the_api(&world, &token(&world, "mail"))["aud"], MAIL);
    assert_eq!(at_the_api(&world, &own)["sub"], "garden");
    let shown = world.cli(&["status", "garden"]).stdout;
    assert!(shown.contains("no-scope: ") && shown.contains("mail: expires in"), "{shown}");
    // Corrected, it comes without a sign-in.
    world.set_account("garden", Some((Client::Public, &with_third("mail.send"))));
    world.reload();
    assert_eq!(at_the_api(&world, &token(&world, "no-scope"))["aud"], MAIL);
    let status = world.wait("garden", "status", |status| status["tokens"][2]["error"].is_null()).json;
    assert_eq!((&status["state"], &status["error"]), (&json!("active"), &json!(null)));
}

#[test]
fn a_flow_or_the_command_line_asks_for_a_further_token_by_its_name() {
    let world = garden(&format!("publish = \"on_request\"\n{}", both()));
    let code = world.login("garden");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "garden");
    world.wait("garden", "status", |status| status["tokens"][1]["expires_at"].is_i64());
    for payload in ["garden/mail", r#"{"account":"garden","token":"mail"}"#] {
        let answer = world.subscriber.request("token", payload);
        assert_eq!((&answer["status"], &answer["data"]["token"]), (&json!("ok"), &json!("mail")), "{answer}");
        assert_eq!(world.oidc().me(answer["data"]["access_token"].as_str().unwrap()).body["aud"], MAIL);
    }
    let printed = world.cli(&["token", "garden/files"]);
    assert_eq!((printed.code(), &world.oidc().me(printed.stdout.trim()).body["aud"]), (0, &json!(FILES)));
    assert_eq!(world.oidc().me(world.cli(&["token", "garden"]).stdout.trim()).body["aud"], Value::Null);
    let unknown = world.subscriber.request("token", "garden/calendar");
    assert_eq!(unknown["code"], "unknown_token");
    assert_eq!(unknown["error"], "There is no further token calendar of garden; there is: files, mail.");
    assert_eq!(
        world.subscriber.request("refresh", r#"{"account":"garden","token":"mail"}"#)["code"],
        "invalid_request"
    );
    assert!(world.subscriber.on("oauth2mqtt/garden/mail/token").iter().all(|message| message.access_token().is_none()));
    // From its topic, where it has one.
    world.set_account("garden", Some((Client::Public, &both())));
    world.reload();
    token(&world, "mail");
    assert_eq!(world.subscriber.request("token", "garden/mail")["code"], "token_is_retained");
    assert_eq!(world.oidc().me(world.cli(&["token", "garden/mail"]).stdout.trim()).body["aud"], MAIL);
}

#[test]
fn another_token_than_was_asked_for_is_not_printed() {
    let world = garden(&both());
    let none = world.cli(&["token", "garden/mail"]);
    assert_eq!((none.code(), none.stdout.as_str()), (1, ""), "{none:?}");
    assert!(none.stderr.contains("no valid access token of garden/mail now"), "{}", none.stderr);
    world.sign_in("garden");
    let mail = token(&world, "mail");
    for other in [Value::Null, json!("files")] {
        let mut payload = mail.json.clone();
        payload["access_token"] = json!("ya29.other");
        payload["token"] = other;
        payload["expires_at"] = Value::Null;
        // Whoever may write there has put it on the topic.
        world.subscriber.retain("oauth2mqtt/garden/mail/token", &payload.to_string());
        world.wait("garden", "mail/token", |token| *token == payload);
        let ended = world.cli(&["token", "garden/mail"]);
        assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{ended:?}");
    }
}

#[test]
fn a_further_token_goes_when_its_section_or_the_sign_in_goes() {
    let world = garden(&both());
    world.sign_in("garden");
    let mail = token(&world, "mail");
    let files = token(&world, "files");
    let only_files = with("tokens.files = { resource = \"https://files.example.com/\", scopes = [\"files.read\"] }");
    world.set_account("garden", Some((Client::Public, &only_files)));
    let mark = world.subscriber.mark();
    world.reload();
    let withdrawn = world.subscriber.wait_after(mark, "oauth2mqtt/garden/mail/token", |_| true);
    assert_eq!((&withdrawn.json["access_token"], &withdrawn.json["token"]), (&json!(null), &json!("mail")));
    let kept = world.subscriber.latest("oauth2mqtt/garden/files/token").unwrap();
    assert_eq!(kept.json["access_token"], files.json["access_token"]);
    // Whatever the agent does about it has been done before the next refresh.
    assert_eq!(world.subscriber.request("refresh", "garden")["status"], "ok");
    let revocation = "path=\"/token/revocation\"";
    assert!(!world.log_up_to_now().contains(revocation), "it was not revoked");
    assert_eq!(world.oidc().me(mail.access_token().unwrap()).status, 200, "it was not revoked");
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    world.wait("garden", "files/token", |token| token["access_token"].is_null());
    assert_eq!(world.oidc().me(files.access_token().unwrap()).status, 401, "and this one was");
    world.wait_for_log(&[revocation]);
    world.sign_in("garden");
    token(&world, "files");
    world.set_account("garden", None);
    world.reload();
    world.wait("garden", "files/token", |token| token["access_token"].is_null());
}

#[test]
fn a_further_token_that_was_removed_while_the_agent_was_off_is_withdrawn() {
    let mut world = garden(&both());
    world.sign_in("garden");
    token(&world, "mail");
    world.stop_agent();
    world.set_account("garden", Some((Client::Public, &with(""))));
    let mark = world.subscriber.mark();
    world.start_agent();
    for name in ["files", "mail"] {
        let topic = format!("oauth2mqtt/garden/{name}/token");
        assert_eq!(world.subscriber.wait_after(mark, &topic, |_| true).json["access_token"], Value::Null);
    }
    assert_eq!(world.wait_for_state("garden", "active")["tokens"], json!([]));
}
