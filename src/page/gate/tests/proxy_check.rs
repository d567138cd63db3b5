//! What the proxy and Node-RED are told.

use super::*;

#[tokio::test]
async fn a_proxy_is_told_who_a_session_belongs_to_and_nothing_of_any_other() {
    let (handler, shared, _calls) = gate();
    sign_in(&shared, Duration::ZERO);
    let answer = handler.answer(get("check", &with_cookie())).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let told = ["remote-user", "remote-email", "remote-name", "remote-groups", "remote-session"];
    let told = told.map(|name| value(&answer, name).unwrap());
    assert_eq!(told, ["ann@example.com", "ann@example.com", "Änn <b>", "operators", "the-reference"]);
    for cookie in [
        "",
        "__Host-oauth2mqtt-gate=another",
        "oauth2mqtt-gate=the-cookie",
        "__Host-oauth2mqtt-gate=the-cookie; __Host-oauth2mqtt-gate=the-cookie",
        "__Host-oauth2mqtt-gate=the-reference",
    ] {
        let answer = handler.answer(get("check", &[("cookie", cookie), ("remote-user", "ann@example.com")])).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{cookie}");
        assert!(value(&answer, "remote-user").is_none());
    }
}

#[tokio::test]
async fn a_page_of_another_origin_uses_nobodys_session() {
    let (handler, shared, _calls) = gate();
    sign_in(&shared, Duration::ZERO);
    let with = |origin| [("cookie", "__Host-oauth2mqtt-gate=the-cookie"), ("origin", origin)];
    assert_eq!(handler.answer(get("check", &with("https://panel.example.com"))).await.status(), StatusCode::OK);
    for origin in ["https://wiki.example.com", "http://panel.example.com", "https://panel.example.com:444", "null", ""]
    {
        let status = handler.answer(get("check", &with(origin))).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{origin}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_shows_and_loads_nothing_and_links_lead_here() {
    let (handler, shared, _calls) = gate();
    sign_in(&shared, Duration::ZERO);
    let of = |site, mode, dest| {
        let cookie = with_cookie()[0];
        [cookie, ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)]
    };
    for good in [
        of("none", "navigate", "document"),
        of("same-origin", "no-cors", "script"),
        of("same-origin", "navigate", "iframe"),
        of("same-site", "navigate", "document"),
        of("cross-site", "navigate", "document"),
    ] {
        assert_eq!(handler.answer(get("check", &good)).await.status(), StatusCode::OK, "{good:?}");
    }
    for bad in [
        of("same-site", "navigate", "iframe"),
        of("cross-site", "no-cors", "script"),
        of("same-site", "no-cors", "image"),
        of("cross-site", "websocket", "empty"),
    ] {
        assert_eq!(handler.answer(get("check", &bad)).await.status(), StatusCode::UNAUTHORIZED, "{bad:?}");
    }
}

#[tokio::test]
async fn a_person_without_a_session_is_sent_to_the_sign_in_and_a_program_is_refused() {
    let (handler, _shared, _calls) = gate();
    let person = [("accept", "text/html,*/*"), ("x-forwarded-uri", "/dashboard?x=1"), ("x-forwarded-method", "GET")];
    let answer = handler.answer(get("check", &person)).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location = "https://panel.example.com/oauth2mqtt/sign-in?to=%2Fdashboard%3Fx%3D1";
    assert_eq!(value(&answer, "location"), Some(location));
    for program in [
        &[("accept", "application/json"), ("x-forwarded-uri", "/api")][..],
        &[("accept", "text/html"), ("x-forwarded-uri", "/x"), ("x-forwarded-method", "POST")],
        &[("accept", "text/html")],
    ] {
        assert_eq!(handler.answer(get("check", program)).await.status(), StatusCode::UNAUTHORIZED, "{program:?}");
    }
    let elsewhere = [("accept", "text/html"), ("x-forwarded-uri", "//evil.example/x")];
    let answer = handler.answer(get("check", &elsewhere)).await;
    assert_eq!(value(&answer, "location"), Some("https://panel.example.com/oauth2mqtt/sign-in?to=%2F"));
}

#[tokio::test]
async fn a_session_is_used_by_the_proxy_and_by_a_person_and_not_by_a_question_about_it() {
    let (handler, shared, _calls) = gate();
    let reference = [("remote-session", "the-reference")];
    let seen = || shared.lock().sessions.all().next().map(|session| session.seen);
    sign_in(&shared, Duration::from_secs(60));
    let before = seen();
    let answer = handler.answer(get("who", &reference)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let told: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!((told["user"].as_str(), told["groups"][0].as_str()), (Some("ann@example.com"), Some("operators")));
    assert_eq!((told["name"].as_str(), told["groups"].as_array().unwrap().len()), (Some("Änn <b>"), 1));
    assert_eq!(seen(), before);
    handler.answer(get("who?active", &reference)).await;
    assert!(seen() > before);
    for other in ["", "the-cookie", "The-Reference", "the-reference, x"] {
        let answer = handler.answer(get("who", &[("remote-session", other)])).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{other}");
    }
}
