//! The gate of the agent, behind nginx and Caddy as `examples/gate` sets them up.

use serde_json::json;

use crate::support::clock::{SOON, wait_until};
use crate::support::gate::{Gate, SESSION};
use crate::support::http::ask;
use crate::support::proxy::Program;
use crate::support::stub::{Stub, respond};
use crate::support::world::World;

/// What nobody may see without a session.
const PAGE: &str = "the level of the tank";

const ANN: &str = "\"ann@example.com\"";

/// A Node-RED that answers everything with a page.
fn node_red() -> Stub {
    Stub::start(|_, connection| respond(connection, 200, &[("Content-Type", "text/html")], PAGE))
}

/// A gate of nginx for `allow`, in front of a Node-RED.
#[track_caller]
fn gate_for(allow: &str, lines: &str) -> (Gate, Stub) {
    let node_red = node_red();
    (Gate::start(Program::Nginx, node_red.port(), allow, lines), node_red)
}

/// What the agent has written and published up to now.
fn told(world: &World) -> String {
    let messages = world.subscriber.messages().into_iter().map(|message| message.text);
    messages.chain([world.written()]).collect()
}

#[test]
fn people_sign_in_here_or_by_phone_and_node_red_learns_who_they_are() {
    for program in [Program::Nginx, Program::Caddy] {
        let node_red = node_red();
        let gate = Gate::start(program, node_red.port(), "\"*@example.com\"", "");
        let ann = gate.somebody();
        let sent = ann.opens("/dashboard/page1?tank=7");
        let sign_in = format!("{}/oauth2mqtt/sign-in?to=%2Fdashboard%2Fpage1%3Ftank%3D7", gate.origin());
        assert_eq!((sent.status, sent.header("Location")), (302, Some(sign_in.as_str())), "{sent:?}");
        assert_eq!(ann.fetches("/api/tank").status, 401);
        assert_eq!(ann.opens(sign_in.strip_prefix(&gate.origin()).unwrap()).status, 200);
        assert!(node_red.seen().is_empty());

        let came_back = ann.signs_in_here("ann", "/dashboard/page1?tank=7");
        let wanted = format!("{}/dashboard/page1?tank=7", gate.origin());
        assert_eq!((came_back.status, came_back.header("Location")), (303, Some(wanted.as_str())), "{came_back:?}");
        let bob = gate.somebody();
        let came_back = bob.signs_in_by_phone("bob", "/dashboard");
        let wanted = format!("{}/dashboard", gate.origin());
        assert_eq!((came_back.status, came_back.header("Location")), (303, Some(wanted.as_str())), "{came_back:?}");

        let mut references = Vec::new();
        for (person, user, name, groups, way) in [
            (&ann, "ann@example.com", "ann", json!(["operators", "night shift"]), "browser"),
            (&bob, "bob@example.com", "bob", json!([]), "phone"),
        ] {
            let page = person.opens("/dashboard");
            assert_eq!((page.status, page.body.as_str()), (200, PAGE));
            let asked = node_red.last();
            for (header, value) in [("Remote-User", user), ("Remote-Email", user), ("Remote-Name", name)] {
                assert_eq!(asked.header(header), Some(value), "{header}");
            }
            let listed: Vec<_> = groups.as_array().unwrap().iter().map(|group| group.as_str().unwrap()).collect();
            assert_eq!(asked.header("Remote-Groups").unwrap_or_default(), listed.join(","));
            let reference = asked.header("Remote-Session").unwrap().to_owned();
            let (status, who) = gate.who(&reference);
            assert_eq!(status, 200);
            assert!(who["expires_at"].is_i64(), "{who}");
            assert_eq!(
                (&who["user"], &who["email"], &who["name"], &who["groups"]),
                (&json!(user), &json!(user), &json!(name), &groups)
            );
            let event = gate.event("signed_in", user);
            assert_eq!((&event["way"], &event["from"]), (&json!(way), &json!("127.0.0.1")), "{event}");
            assert!(!format!("{asked:?}").contains(&person.cookie(SESSION).unwrap()), "Node-RED got the cookie");
            references.push(reference);
        }
        assert_ne!(references[0], references[1]);

        // Each signs out for himself.
        assert_eq!(ann.presses("sign-out", "/dashboard").status, 303);
        gate.event("signed_out", "ann@example.com");
        assert_eq!(ann.fetches("/dashboard").status, 401);
        assert_eq!(gate.who(&references[0]).0, 401);
        assert_eq!(bob.fetches("/dashboard").status, 200);
        let told = told(&gate.world);
        for secret in references.iter().chain(&bob.cookie(SESSION)) {
            assert!(!told.contains(secret.as_str()), "the agent tells the secret of a session");
        }
    }
}

#[test]
fn a_cookie_of_the_gate_is_new_at_each_sign_in_and_for_this_host_alone() {
    let (gate, _node_red) = gate_for(ANN, "");
    let ann = gate.somebody();
    // What somebody else has put there before.
    ann.set_cookie(SESSION, "fixed-by-somebody-else");
    ann.set_cookie("__Host-oauth2mqtt-gate-sign-in", "fixed-by-somebody-else");
    let answer = ann.signs_in_here("ann", "/dashboard");
    let cookies = answer.all("Set-Cookie");
    let session = cookies.iter().find(|cookie| cookie.starts_with(&format!("{SESSION}="))).unwrap();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(session.split("; ").any(|other| other == attribute), "{attribute}: {session}");
    }
    assert!(!session.contains("Domain"), "{session}");
    let first = ann.cookie(SESSION).unwrap();
    assert!(first.len() >= 43 && first != "fixed-by-somebody-else");
    assert_eq!(ann.opens("/dashboard").status, 200);

    let mallory = gate.somebody();
    mallory.set_cookie(SESSION, "fixed-by-somebody-else");
    assert_eq!(mallory.fetches("/dashboard").status, 401);

    assert_eq!(ann.presses("switch", "/dashboard").status, 303);
    ann.signs_in_here("ann", "/dashboard");
    assert_ne!(ann.cookie(SESSION).unwrap(), first);
    mallory.set_cookie(SESSION, &first);
    assert_eq!(mallory.fetches("/dashboard").status, 401, "a cookie of before is still good");
}

#[test]
fn nothing_that_a_browser_sends_but_its_cookie_makes_it_somebody() {
    for program in [Program::Nginx, Program::Caddy] {
        let node_red = node_red();
        let gate = Gate::start(program, node_red.port(), "\"*@example.com\"", "");
        let ann = gate.signed_in("ann");
        // The cookies of other programs of that host are none of the gate's business.
        ann.set_cookie("note", "ä\u{1f600}");
        assert_eq!(ann.opens("/dashboard").status, 200);
        let reference = node_red.last().header("Remote-Session").unwrap().to_owned();
        let before = node_red.seen().len();
        let stranger = gate.somebody();
        stranger.set_cookie(SESSION, &reference);
        assert_eq!(stranger.fetches("/dashboard").status, 401);
        for claims in [
            &[format!("Remote-Session: {reference}")][..],
            &["Remote-User: ann@example.com".to_owned(), format!("remote-session: {reference}")],
            &[format!("Authorization: Bearer {reference}"), "X-Forwarded-User: ann@example.com".to_owned()],
            &[format!("Cookie: {SESSION}={0}; {SESSION}={0}", ann.cookie(SESSION).unwrap().to_lowercase())],
        ] {
            let claims: Vec<_> = claims.iter().map(String::as_str).collect();
            assert_eq!(gate.proxy.client.send("GET /dashboard", &claims, "").status, 401, "{claims:?}");
        }
        assert_eq!(node_red.seen().len(), before);

        // Nor does it become somebody else.
        let cookie = format!("Cookie: {SESSION}={}", ann.cookie(SESSION).unwrap());
        let claims =
            [&cookie, "Remote-User: bob@example.com", "remote-user: bob@example.com", "X-Forwarded-For: 192.0.2.66"];
        assert_eq!(gate.proxy.client.send("GET /dashboard", &claims, "").status, 200);
        let asked = node_red.last();
        assert_eq!(asked.header("Remote-User"), Some("ann@example.com"));
        assert_eq!(asked.header("Remote-Session"), Some(reference.as_str()));
        assert_eq!(asked.header("X-Forwarded-For"), Some("127.0.0.1"));
    }
}

#[test]
fn a_second_sign_in_of_a_browser_ends_the_session_of_the_first() {
    let (gate, _node_red) = gate_for("\"*@example.com\"", "");
    let somebody = gate.signed_in("ann");
    let former = gate.somebody();
    former.set_cookie(SESSION, &somebody.cookie(SESSION).unwrap());
    assert_eq!(former.fetches("/dashboard").status, 200);
    assert_eq!(somebody.signs_in_here("bob", "/dashboard").status, 303);
    assert_eq!(former.fetches("/dashboard").status, 401, "the former session goes on without its browser");
}

#[test]
fn whoever_is_not_admitted_or_whose_address_is_not_verified_stays_outside() {
    let (gate, node_red) = gate_for("\"ann@example.com\", \"eve@example.com\", \"groups:operators\"", "");
    for (login, user) in [("bob", "bob@example.com"), ("eve", "eve")] {
        for by_phone in [false, true] {
            let somebody = gate.somebody();
            let answer = if by_phone {
                somebody.signs_in_by_phone(login, "/dashboard")
            } else {
                somebody.signs_in_here(login, "/dashboard")
            };
            assert_eq!((answer.status, somebody.cookie(SESSION)), (403, None), "{login}: {answer:?}");
            assert!(answer.body.contains(user), "{}", answer.body);
            assert_eq!(somebody.fetches("/dashboard").status, 401);
        }
        assert_eq!(gate.event("refused", user)["reason"], "not_allowed");
    }
    let somebody = gate.somebody();
    let begun = somebody.presses("browser", "/dashboard");
    let redirected_to = gate.world.oidc().decline(begun.header("Location").unwrap());
    let answer = somebody.opens(redirected_to.strip_prefix(&gate.origin()).unwrap());
    assert_eq!((answer.status, somebody.cookie(SESSION)), (403, None), "{answer:?}");
    assert!(node_red.seen().is_empty());
}

#[test]
fn nobody_is_signed_in_by_a_link_to_somebody_elses_sign_in() {
    let (gate, node_red) = gate_for("\"*@example.com\"", "");
    let mallory = gate.somebody();
    let link = mallory.approves("mallory", "/dashboard");
    // A browser that has not begun anything, and one that has begun another sign-in.
    let ann = gate.somebody();
    assert_eq!(ann.opens(&link).status, 403);
    ann.presses("browser", "/dashboard");
    assert_eq!((ann.opens(&link).status, ann.cookie(SESSION)), (403, None));
    // The code of her own with the state of the other.
    let own = ann.approves("ann", "/dashboard");
    let of = |link: &str, name: &str| {
        let query = link.split_once('?').unwrap().1;
        query.split('&').find(|pair| pair.starts_with(&format!("{name}="))).unwrap().to_owned()
    };
    let mixed = own.replace(&of(&own, "state"), &of(&link, "state"));
    assert_eq!((ann.opens(&mixed).status, ann.cookie(SESSION)), (403, None));
    for broken in [own.replace("code=", "kode="), own.replace("state=", "stat="), "/oauth2mqtt/callback".to_owned()] {
        assert_eq!((ann.opens(&broken).status, ann.cookie(SESSION)), (403, None), "{broken}");
    }
    assert_eq!(ann.opens(&own).status, 303);
    let again = gate.somebody();
    assert_eq!((again.opens(&own).status, again.cookie(SESSION)), (403, None));
    let twice = ann.opens(&own);
    assert_eq!((twice.status, twice.header("Location")), (303, Some(format!("{}/", gate.origin()).as_str())));
    assert!(twice.all("Set-Cookie").is_empty(), "a callback counts once: {twice:?}");
    assert!(node_red.seen().is_empty());
}

#[test]
fn the_way_back_never_leads_to_another_site() {
    let (gate, _node_red) = gate_for(ANN, "");
    let ann = gate.signed_in("ann");
    for to in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        ".evil.example",
        "@evil.example",
        ":443@evil.example/",
        "/oauth2mqtt/sign-in?to=//evil.example",
        "/x\r\nSet-Cookie: a=b",
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let answer = ann.opens(&format!("/oauth2mqtt/sign-in?to={encoded}"));
        let start = format!("{}/", gate.origin());
        assert_eq!(answer.header("Location"), Some(start.as_str()), "{to}: {answer:?}");
    }
    // What a proxy passes on comes back to this site too.
    let stranger = gate.somebody();
    for target in ["//evil.example/x", "https://evil.example/x", "/\\evil.example"] {
        let location = stranger.opens(target).header("Location").map(str::to_owned);
        assert!(
            location.is_none_or(|location| location.starts_with(&format!("{}/oauth2mqtt/sign-in?to=", gate.origin())))
        );
    }
    let answer = gate.somebody().signs_in_here("ann", "//evil.example");
    assert_eq!(answer.header("Location"), Some(format!("{}/", gate.origin()).as_str()), "{answer:?}");
}

#[test]
fn a_page_of_another_site_presses_no_button_here() {
    let (gate, _node_red) = gate_for(ANN, "");
    let ann = gate.signed_in("ann");
    for origin in ["https://evil.example", "null", "https://evil.localhost"] {
        for action in ["sign-out", "switch", "browser", "phone"] {
            let answer = ann.presses_on(origin, action, "to=%2F");
            assert_eq!(answer.status, 403, "{action} on {origin}: {answer:?}");
        }
    }
    assert_eq!(ann.opens("/dashboard").status, 200);
    for action in ["sign-out", "switch", "browser"] {
        assert!(ann.opens(&format!("/oauth2mqtt/{action}")).status >= 400, "{action} by a link");
    }
    assert_eq!(ann.opens("/dashboard").status, 200);
}

#[test]
fn a_session_ends_when_its_time_is_over_and_when_nobody_uses_it() {
    for (lines, why) in [("session = \"3s\"", "expired"), ("idle = \"2s\"", "idle")] {
        let (gate, node_red) = gate_for(ANN, lines);
        let ann = gate.signed_in("ann");
        assert_eq!(ann.opens("/dashboard").status, 200);
        let reference = node_red.last().header("Remote-Session").unwrap().to_owned();
        // To ask about a session is not to use it.
        wait_until("the end of the session", SOON, || gate.who(&reference).0 == 401);
        assert_eq!(ann.fetches("/dashboard").status, 401, "{lines}");
        let event = gate.event("expired", "ann@example.com");
        assert_eq!(event["reason"].as_str().unwrap_or("expired"), why, "{event}");
    }
}

#[test]
fn whoever_is_taken_out_of_allow_is_signed_out_at_the_reload() {
    let (gate, node_red) = gate_for("\"ann@example.com\", \"bob@example.com\"", "");
    let (ann, bob) = (gate.signed_in("ann"), gate.signed_in("bob"));
    assert_eq!(bob.opens("/dashboard").status, 200);
    let reference = node_red.last().header("Remote-Session").unwrap().to_owned();
    gate.reconfigure(", \"bob@example.com\"", "");
    gate.event("signed_out", "bob@example.com");
    assert_eq!((bob.fetches("/dashboard").status, gate.who(&reference).0), (401, 401));
    assert_eq!(ann.fetches("/dashboard").status, 200);
}

#[test]
fn a_restart_of_the_agent_signs_nobody_out_and_lets_nobody_in_meanwhile() {
    let (mut gate, node_red) = gate_for(ANN, "");
    let cookie = gate.signed_in("ann").cookie(SESSION).unwrap();
    let ann = |gate: &Gate, status: u16| {
        let ann = gate.somebody();
        ann.set_cookie(SESSION, &cookie);
        assert_eq!(ann.opens("/dashboard").status, status);
    };
    ann(&gate, 200);
    let reference = node_red.last().header("Remote-Session").unwrap().to_owned();
    for is_orderly in [true, false] {
        if is_orderly {
            gate.world.stop_agent();
        } else {
            gate.world.kill_agent();
        }
        let before = node_red.seen().len();
        ann(&gate, 500);
        assert_eq!(node_red.seen().len(), before);
        gate.world.start_agent();
        // An open dashboard may ask first.
        assert_eq!(gate.who(&reference).1["user"], "ann@example.com");
        ann(&gate, 200);
    }
}

#[test]
fn whoever_has_signed_out_stays_out_whatever_happens_to_the_agent() {
    let (mut gate, _node_red) = gate_for("\"*@example.com\"", "");
    let people = ["ann", "bob", "carol"].map(|login| gate.signed_in(login));
    let cookies = people.each_ref().map(|person| person.cookie(SESSION).unwrap());
    assert_eq!(people[0].presses("sign-out", "/dashboard").status, 303);
    drop(people);
    gate.world.kill_agent();
    gate.world.start_agent();
    assert_eq!(gate.world.cli(&["gate", "sign-out", "bob@example.com"]).code(), 0);
    gate.world.kill_agent();
    gate.world.start_agent();
    let statuses = cookies.map(|cookie| {
        let somebody = gate.somebody();
        somebody.set_cookie(SESSION, &cookie);
        somebody.fetches("/dashboard").status
    });
    assert_eq!(statuses, [401, 401, 200]);
}

#[test]
fn the_command_line_tells_who_is_signed_in_and_signs_them_out() {
    let (gate, _node_red) = gate_for("\"*@example.com\"", "");
    let (ann, bob) = (gate.signed_in("ann"), gate.signed_in("bob"));
    let listed = gate.world.cli(&["gate"]);
    assert_eq!(listed.code(), 0, "{listed:?}");
    for user in ["ann@example.com", "bob@example.com"] {
        assert!(listed.stdout.contains(user), "{}", listed.stdout);
    }
    let ended = gate.world.cli(&["gate", "sign-out", "ann@example.com"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    gate.event("signed_out", "ann@example.com");
    assert_eq!((ann.fetches("/dashboard").status, bob.fetches("/dashboard").status), (401, 200));
    let ended = gate.world.cli(&["gate", "sign-out", "--all"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(bob.fetches("/dashboard").status, 401);
    assert!(!gate.world.cli(&["gate"]).stdout.contains("example.com"));
}

#[test]
fn a_configuration_without_a_gate_closes_it() {
    let (gate, node_red) = gate_for(ANN, "");
    let ann = gate.signed_in("ann");
    let text = gate.world.config_text();
    let section = &text[text.find("[gate]").unwrap()..];
    gate.reconfigure(section, "");
    let answer = ann.opens("/dashboard");
    assert!(answer.status >= 400, "{answer:?}");
    assert!(node_red.seen().is_empty());
}

#[test]
fn nothing_but_a_session_makes_the_gate_say_yes() {
    let (gate, node_red) = gate_for(ANN, "");
    let stranger = gate.somebody();
    for target in ["/oauth2mqtt/check", "/?/oauth2mqtt/check", "/x?again", "/oauth2mqtt/nothing", "/oauth2mqtt/state"] {
        let answer = stranger.fetches(target);
        assert!(answer.status >= 400, "{target}: {answer:?}");
    }
    // Straight to the gate, as a program of this device may ask.
    for path in ["check?x=1", "check?", "check/", "who?active", "who?x", "checks", "%63heck", "nothing"] {
        let (status, body) = ask(gate.port, "GET", &format!("/oauth2mqtt/{path}"), "", "");
        assert!(status >= 400, "{path}: {status} {body}");
    }
    assert!(node_red.seen().is_empty());
}

/// The visitor's click on such a frame would be a press on the dashboard.
#[test]
fn a_page_of_another_host_shows_nothing_in_a_frame_and_may_link() {
    for program in [Program::Nginx, Program::Caddy] {
        let node_red = node_red();
        let gate = Gate::start(program, node_red.port(), ANN, "");
        let cookie = format!("Cookie: {SESSION}={}", gate.signed_in("ann").cookie(SESSION).unwrap());
        let ask = |site: &str, mode: &str, dest: &str| {
            let fetch = [
                format!("Sec-Fetch-Site: {site}"),
                format!("Sec-Fetch-Mode: {mode}"),
                format!("Sec-Fetch-Dest: {dest}"),
            ];
            let headers: Vec<_> = [&cookie].into_iter().chain(&fetch).map(String::as_str).collect();
            gate.proxy.client.send("GET /dashboard", &headers, "")
        };
        for (site, mode, dest) in [
            ("same-site", "navigate", "iframe"),
            ("cross-site", "no-cors", "script"),
            ("same-site", "no-cors", "image"),
        ] {
            let answer = ask(site, mode, dest);
            assert!(matches!(answer.status, 401 | 403) && !answer.body.contains(PAGE), "{dest}: {answer:?}");
        }
        let linked = ask("cross-site", "navigate", "document");
        assert_eq!(linked.status, 200, "{linked:?}");
        assert!(linked.all("Content-Security-Policy").contains(&"frame-ancestors 'self'"), "{linked:?}");
    }
}
