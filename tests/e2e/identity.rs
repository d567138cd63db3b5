//! Who signed in, and who may: everybody else leaves no token behind, and no name.

use serde_json::{Value, json};

use crate::support::clock::{SOON, wait_until};
use crate::support::files_below;
use crate::support::server::Kind;
use crate::support::world::{Client, Setup, World};

const SCOPES: &str = "scopes = [\"openid\", \"email\", \"profile\", \"offline_access\"]\n";

fn setup(more: &str) -> Setup {
    Setup::new().account_with("garden", Client::Public, &format!("{SCOPES}{more}"))
}

/// The user types the code in and approves, whatever comes of it.
#[track_caller]
fn approve(world: &World, login: &str) {
    let code = world.login("garden");
    world.oidc().approve(code["user_code"].as_str().unwrap(), login);
}

fn nobody() -> Value {
    json!({ "account": "garden", "sub": null, "email": null, "email_verified": null, "name": null, "picture": null })
}

#[test]
fn who_signed_in_is_published_until_they_sign_out() {
    for claims_in_id_token in [true, false] {
        let world = setup("identity = true").provider("claims_in_id_token", claims_in_id_token).start();
        let before = world.wait("garden", "identity", |_| true);
        assert_eq!(before.json, nobody());
        world.sign_in_as("garden", "ann");
        let identity = world.wait("garden", "identity", |identity| identity["sub"] == "ann");
        assert_eq!(
            identity.json,
            json!({
                "account": "garden", "sub": "ann", "email": "ann@example.com", "email_verified": true, "name": "ann",
                "picture": "https://people.example.com/ann.png",
            })
        );
        let late = crate::support::subscriber::Subscriber::connect(world.broker.port());
        assert!(late.wait("oauth2mqtt/garden/identity", |identity| identity["sub"] == "ann").retained);
        let status = world.wait_for_state("garden", "active");
        assert_eq!((&status["user"], &status["user_changed_at"]), (&json!("ann@example.com"), &json!(null)));
        assert!(status["signed_in_at"].is_i64(), "{status}");
        world.subscriber.request("logout", "garden");
        world.wait("garden", "identity", |identity| *identity == nobody());
    }
}

#[test]
fn without_identity_nobody_learns_who_signed_in() {
    let world = setup("allow = [\"ann@example.com\"]").start();
    world.sign_in_as("garden", "ann");
    let status = world.wait_for_state("garden", "active");
    assert_eq!(status["user"], json!(null));
    assert!(world.subscriber.on("oauth2mqtt/garden/identity").is_empty());
    assert!(world.subscriber.messages().iter().all(|message| !message.text.contains("ann@example.com")));
}

#[test]
fn whom_allow_names_is_let_in_by_address_by_domain_or_by_subject() {
    for (allow, login) in [
        ("ANN@example.com", "ann"),
        ("*@example.com", "ann"),
        ("*@works.example", "bob@works.example"),
        ("sub:ann", "ann"),
        // Her address is not verified, but her subject is her own.
        ("sub:eve", "eve"),
    ] {
        let world = setup(&format!("allow = [\"nobody@example.net\", \"{allow}\"]")).start();
        let token = world.sign_in_as("garden", login);
        assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200, "{allow}");
    }
}

/// Somebody who may not: nothing of theirs is left anywhere, and nobody learns who it was.
#[track_caller]
fn is_refused(allow: &str, login: &str) {
    let mut world = setup(&format!("identity = true\nallow = [{allow}]")).start();
    approve(&world, login);
    let status = world.wait("garden", "status", |status| status["error"].is_object()).json;
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("not_allowed")), "{status}");
    assert_eq!((&status["needs_user"], &status["user"]), (&json!(true), &json!(null)), "{status}");
    world.wait("garden", "signin", |sign_in| sign_in["pending"] == false);

    // Revoked at the provider, the refresh token and with it the grant.
    let secrets = world.oidc().secrets();
    assert_eq!((secrets.access_token.len(), secrets.refresh_token.len()), (1, 1));
    wait_until("the revocation", SOON, || world.oidc().me(&secrets.access_token[0]).status == 401);
    let form = format!("grant_type=refresh_token&client_id=device-public&refresh_token={}", secrets.refresh_token[0]);
    assert_eq!(world.oidc().post_form("/token", &form).body["error"], "invalid_grant");

    // Never published, never stored, and not named.
    let name = login.split('@').next().unwrap();
    for message in world.subscriber.messages() {
        assert!(message.access_token().is_none(), "{message:?}");
        assert!(!message.text.contains(name), "{message:?}");
    }
    world.stop_agent();
    for file in files_below(&world.store()) {
        let stored = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&stored);
        assert!(
            !text.contains(&secrets.refresh_token[0]) && !text.contains(&secrets.access_token[0]),
            "{}",
            file.display()
        );
    }
    let mark = world.subscriber.mark();
    world.start_agent();
    let status = world.subscriber.wait_after(mark, "oauth2mqtt/garden/status", |_| true).json;
    assert_eq!(status["state"], "signed_out");
    world.log_up_to_now();
    let written = world.written();
    let names = |line: &&str| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
    assert_eq!(written.lines().find(names), None, "the journal names whoever was refused");
}

#[test]
fn somebody_whom_allow_does_not_name_is_refused_and_leaves_nothing_behind() {
    is_refused("\"ann@example.com\", \"*@works.example\", \"sub:bob\"", "mallory");
}

#[test]
fn an_address_that_is_not_verified_opens_nothing() {
    is_refused("\"eve@example.com\", \"*@example.com\"", "eve");
}

#[test]
fn a_domain_that_merely_ends_like_the_one_that_allow_names_opens_nothing() {
    is_refused("\"*@example.com\"", "trudy@evil-example.com");
}

#[test]
fn somebody_who_is_refused_does_not_end_the_sign_in_that_is_there() {
    let world = setup("allow = [\"ann@example.com\"]").start();
    let token = world.sign_in_as("garden", "ann");
    approve(&world, "mallory");
    let status = world.wait("garden", "status", |status| status["error"]["code"] == "not_allowed").json;
    assert_eq!(status["state"], "active", "{status}");
    assert_eq!(world.subscriber.latest("oauth2mqtt/garden/token").unwrap().json, token.json);
    assert_eq!(world.oidc().me(token.access_token().unwrap()).status, 200);
}

#[test]
fn another_person_than_before_is_reported() {
    let world = setup("identity = true").start();
    world.sign_in_as("garden", "ann");
    world.wait("garden", "identity", |identity| identity["sub"] == "ann");
    assert_eq!(world.wait_for_state("garden", "active")["user_changed_at"], json!(null));
    // The same person again is nothing to report.
    world.sign_in_as("garden", "ann");
    let again = world.subscriber.request("status", "garden")["data"].clone();
    assert_eq!((&again["user"], &again["user_changed_at"]), (&json!("ann@example.com"), &json!(null)), "{again}");
    approve(&world, "bob");
    world.wait("garden", "identity", |identity| identity["sub"] == "bob");
    let status = world.wait("garden", "status", |status| status["user"] == "bob@example.com").json;
    assert!(status["user_changed_at"].is_i64(), "{status}");
    world.wait_for_log(&["somebody else than before has signed in"]);
}

#[test]
fn after_a_sign_out_nobody_remembers_who_it_was() {
    let world = setup("identity = true").start();
    world.sign_in_as("garden", "ann");
    assert_eq!(world.subscriber.request("logout", "garden")["status"], "ok");
    world.sign_in_as("garden", "bob");
    let status = world.wait("garden", "status", |status| status["user"] == "bob@example.com").json;
    assert_eq!(status["user_changed_at"], json!(null), "{status}");
    assert!(!world.log_up_to_now().contains("somebody else"));
}

/// A scripted provider whose ID token or userinfo answer has these claims.
fn scripted(id_token: &Value, userinfo: &Value, more: &str) -> World {
    let granted = json!({
        "access_token": "$", "refresh_token": "$", "token_type": "Bearer", "expires_in": 3600, "id_token": id_token,
    });
    let answers =
        json!({ "granted": [{ "status": 200, "json": granted }], "userinfo": [{ "status": 200, "json": userinfo }] });
    let settings = format!("issuer = \"{{issuer}}\"\nclient_id = \"gateway\"\n{SCOPES}{more}");
    Setup::on(Kind::Fake)
        .provider("providers", json!({ "plain": { "answers": answers } }))
        .account_as("garden", &settings)
        .start()
}

fn good_claims() -> Value {
    json!({ "iss": "$issuer", "aud": "$client_id", "sub": "ann", "email": "ann@example.com", "email_verified": true })
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[claim] = value;
    claims
}

#[test]
fn an_id_token_counts_only_if_it_is_for_this_client_from_this_issuer_and_still_good() {
    let allow = "allow = [\"ann@example.com\"]\nidentity = true";
    for good in [good_claims(), with("aud", json!(["$client_id"])), with("email_verified", json!("true"))] {
        let world = scripted(&good, &json!({ "sub": "ann" }), allow);
        approve(&world, "ann");
        world.wait("garden", "identity", |identity| identity["sub"] == "ann");
    }
    for bad in [
        with("iss", json!("https://evil.example")),
        with("aud", json!("another-client")),
        // Nobody knows what the other would do with it (OpenID Connect Core 3.1.3.7).
        with("aud", json!(["$client_id", "another-client"])),
        with("expires_in", json!(-600)),
        with("sub", json!(null)),
    ] {
        let world = scripted(&bad, &json!({ "sub": "ann", "email": "ann@example.com", "email_verified": true }), allow);
        approve(&world, "ann");
        let status = world.wait("garden", "status", |status| status["error"].is_object()).json;
        assert_eq!(status["state"], "signed_out", "{bad}: {status}");
        assert_eq!(status["error"]["code"], "identity_unknown", "{bad}: {status}");
        wait_until("the revocation", SOON, || !world.oidc().seen("plain", "revoke").is_empty());
        assert!(world.subscriber.messages().iter().all(|message| message.access_token().is_none()), "{bad}");
    }
}

#[test]
fn what_userinfo_says_about_somebody_else_does_not_count() {
    let only_subject = json!({ "iss": "$issuer", "aud": "$client_id", "sub": "mallory" });
    let of_ann = json!({ "sub": "ann", "email": "ann@example.com", "email_verified": true });
    let world = scripted(&only_subject, &of_ann, "allow = [\"ann@example.com\"]");
    approve(&world, "mallory");
    let status = world.wait("garden", "status", |status| status["error"].is_object()).json;
    assert_eq!((&status["state"], &status["error"]["code"]), (&json!("signed_out"), &json!("identity_unknown")));
    assert!(world.subscriber.messages().iter().all(|message| message.access_token().is_none()));
}

#[test]
fn the_browsers_way_in_asks_who_it_is_as_well() {
    let settings = format!(
        "issuer = \"{{issuer}}\"\ngrant = \"authorization_code\"\nclient_id = \"code-public\"\n{SCOPES}\
         params = {{ prompt = \"consent\" }}\nredirect_uri = \"https://flows.example.com/oauth2/redirect\"\n\
         allow = [\"ann@example.com\"]\nidentity = true"
    );
    let world = Setup::new().account_as("garden", &settings).start();
    for (login, welcome) in [("mallory", false), ("ann", true)] {
        let sign_in = world.login("garden");
        let redirected_to = world.oidc().authorize(sign_in["verification_uri"].as_str().unwrap(), login);
        world.subscriber.request("complete", &redirected_to);
        if welcome {
            world.wait("garden", "identity", |identity| identity["email"] == "ann@example.com");
        } else {
            world.wait("garden", "status", |status| status["error"]["code"] == "not_allowed");
        }
    }
}
