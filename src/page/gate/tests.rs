//! The gate without a network: what each request gets.

mod proxy_check;

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode, header};
use tokio::sync::mpsc;

use super::cookies::{SESSION, SIGN_IN};
use super::handler::GateHandler;
use super::*;
use crate::domain::clock::Now;
use crate::domain::gate::sessions::{GateSession, SessionEnd};
use crate::domain::gate::settings::tests::{person, settings};
use crate::domain::identity::Identity;
use crate::platform::clock;
use crate::platform::http_server::ResponseBody;

const HOST: &str = "panel.example.com";

/// A gate at which nobody is signed in, and what it wants from the agent.
fn gate() -> (GateHandler<GateCall>, SharedGate, mpsc::Receiver<GateCall>) {
    let shared = SharedGate::default();
    shared.lock().settings = Some(Arc::new(settings()));
    let (events, calls) = mpsc::channel(4);
    (GateHandler::new(shared.clone(), events), shared, calls)
}

fn ann() -> Identity {
    Identity { name: Some("Änn <b>".to_owned()), ..person("ann", &["operators", "a,admins"]) }
}

/// Signs Ann in, `ago` before now.
fn sign_in(shared: &SharedGate, ago: Duration) {
    let now = clock::now();
    let began = Now { boot: now.boot - ago, wall: now.wall };
    let client = (Way::Browser, settings().client(Way::Browser).unwrap().binding().client());
    let session = GateSession::new(Secret::new("the-reference".to_owned()), ann(), client, &settings(), began);
    shared.lock().sessions.insert(CookieDigest::of(b"the-cookie"), session);
}

fn get(path: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = Request::get(format!("/oauth2mqtt/{path}")).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).unwrap()
}

fn post(path: &str, form: &'static str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = Request::post(format!("/oauth2mqtt/{path}")).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::from(form)).unwrap()
}

async fn text(answer: Response<ResponseBody>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn value<'a>(answer: &'a Response<ResponseBody>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
}

fn given(answer: &Response<ResponseBody>) -> Vec<&str> {
    answer.headers().get_all(header::SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect()
}

fn with_cookie() -> [(&'static str, &'static str); 1] {
    [("cookie", "__Host-oauth2mqtt-gate=the-cookie")]
}

#[tokio::test]
async fn whoever_had_a_session_is_asked_again_who_it_is() {
    let (handler, shared, mut calls) = gate();
    sign_in(&shared, Duration::from_secs(601));
    let agent = tokio::spawn(async move {
        let mut again = Vec::new();
        while let Some(call) = calls.recv().await {
            match call {
                GateCall::Begin { again: asked, answer, .. } => {
                    again.push(asked);
                    answer.send(Err("No.".to_owned())).unwrap();
                }
                GateCall::SignOut { answer, .. } => answer.send(true).unwrap(),
                _ => panic!(),
            }
        }
        again
    });
    let origin = ("origin", "https://panel.example.com");
    let of_idle = [origin, with_cookie()[0]];
    // Whatever the address and the form say.
    handler.answer(post("browser", "to=%2F", &of_idle)).await;
    let signed_out = handler.answer(post("sign-out", "to=%2Fx", &of_idle)).await;
    let location = "https://panel.example.com/oauth2mqtt/sign-in?to=%2Fx&again";
    assert_eq!(value(&signed_out, "location"), Some(location), "even of an idle one the record goes");
    let cookie = given(&signed_out)[1].split(';').next().unwrap().to_owned();
    handler.answer(post("browser", "to=%2F", &[origin, ("cookie", &cookie)])).await;
    handler.answer(post("browser", "to=%2F", &[origin])).await;
    drop(handler);
    assert_eq!(agent.await.unwrap(), [true, true, false]);
}

#[tokio::test]
async fn a_sign_out_ends_the_session_of_every_cookie_and_is_not_said_to_be_done_before_it_is() {
    let (handler, _shared, mut calls) = gate();
    let two = "__Host-oauth2mqtt-gate=one; __Host-oauth2mqtt-gate=other";
    let headers = [("origin", "https://panel.example.com"), ("cookie", two)];
    let agent = tokio::spawn(async move {
        for (cookie, is_written) in [("one", true), ("other", true), ("one", false), ("other", true)] {
            let Some(GateCall::SignOut { cookie: ended, answer, .. }) = calls.recv().await else { panic!() };
            assert_eq!(ended, CookieDigest::of(cookie.as_bytes()));
            answer.send(is_written).unwrap();
        }
    });
    assert_eq!(handler.answer(post("sign-out", "to=%2F", &headers)).await.status(), StatusCode::SEE_OTHER);
    let failed = handler.answer(post("sign-out", "to=%2F", &headers)).await;
    assert_eq!((failed.status(), given(&failed).len()), (StatusCode::INTERNAL_SERVER_ERROR, 2));
    agent.await.unwrap();
    let stopping = handler.answer(post("switch", "to=%2F", &headers)).await;
    assert_eq!((stopping.status(), given(&stopping).len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
}

#[tokio::test]
async fn people_who_wait_for_the_provider_keep_nobody_from_the_dashboard() {
    let (handler, shared, mut calls) = gate();
    sign_in(&shared, Duration::ZERO);
    let handler = Arc::new(handler);
    let mut waiting = Vec::new();
    for number in 0..130_u32 {
        let handler = Arc::clone(&handler);
        waiting.push(tokio::spawn(async move {
            let from = format!("10.0.{}.{}", number / 250, number % 250);
            let headers = [("origin", "https://panel.example.com"), ("x-forwarded-for", from.as_str())];
            handler.answer(post("browser", "to=%2F", &headers)).await
        }));
    }
    let mut held = Vec::new();
    while held.len() < 128 {
        held.push(calls.recv().await.unwrap());
    }
    let all_but_those = async {
        while waiting.iter().filter(|request| request.is_finished()).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all_but_those).await.expect("two more wait for the provider");
    assert_eq!(handler.answer(get("check", &with_cookie())).await.status(), StatusCode::OK);
    for request in waiting.into_iter().filter(tokio::task::JoinHandle::is_finished) {
        let answer = request.await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(text(answer).await.contains("Too many people sign in now"));
    }
}

#[tokio::test]
async fn a_session_that_is_idle_over_or_signed_out_opens_nothing() {
    let (handler, shared, _calls) = gate();
    for ago in [601, 3_601] {
        sign_in(&shared, Duration::from_secs(ago));
        assert_eq!(handler.answer(get("check", &with_cookie())).await.status(), StatusCode::UNAUTHORIZED, "{ago}");
        let who = get("who?active", &[("remote-session", "the-reference")]);
        assert_eq!(handler.answer(who).await.status(), StatusCode::UNAUTHORIZED, "{ago}");
    }
    sign_in(&shared, Duration::from_secs(599));
    assert_eq!(handler.answer(get("check", &with_cookie())).await.status(), StatusCode::OK);
    shared.lock().sessions.end(CookieDigest::of(b"the-cookie"), SessionEnd::SignedOut);
    assert_eq!(handler.answer(get("check", &with_cookie())).await.status(), StatusCode::UNAUTHORIZED);
    sign_in(&shared, Duration::ZERO);
    shared.lock().settings = None;
    assert_eq!(handler.answer(get("check", &with_cookie())).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(handler.answer(get("sign-in", &[])).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_page_is_for_its_own_host_and_a_button_for_its_own_page() {
    let (handler, _shared, mut calls) = gate();
    let elsewhere = Request::get("/oauth2mqtt/sign-in").header("host", "evil.example").body(Bytes::new()).unwrap();
    assert_eq!(handler.answer(elsewhere).await.status(), StatusCode::MISDIRECTED_REQUEST);
    for headers in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "https://panel.example.com"), ("sec-fetch-site", "cross-site")],
    ] {
        for button in ["browser", "phone", "sign-out", "switch"] {
            assert_eq!(handler.answer(post(button, "to=%2F", headers)).await.status(), StatusCode::FORBIDDEN);
        }
    }
    assert!(calls.try_recv().is_err());
}

#[tokio::test]
async fn a_sign_in_leads_to_the_provider_and_its_cookie_knows_the_browser_again() {
    let (handler, _shared, mut calls) = gate();
    let agent = tokio::spawn(async move {
        let Some(GateCall::Begin { way: Way::Browser, again: false, former: None, back, answer, .. }) =
            calls.recv().await
        else {
            panic!()
        };
        assert_eq!(back.as_str(), "/dashboard");
        let provider = Some("https://id.example/authorize?state=s".to_owned());
        answer.send(Ok(BegunSignIn { browser: Secret::new("b1".to_owned()), provider })).unwrap();
        let Some(GateCall::Return { browser, query, from, former: None, answer }) = calls.recv().await else {
            panic!()
        };
        assert_eq!((browser, query.expose()), (CookieDigest::of(b"b1"), "?code=c&state=s"));
        assert_eq!(from.to_string(), "192.0.2.7");
        answer.send(Ok(Admitted { cookie: Secret::new("c1".to_owned()), back })).unwrap();
    });
    let answer = handler.answer(post("browser", "to=%2Fdashboard", &[("origin", "https://panel.example.com")])).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(value(&answer, "location"), Some("https://id.example/authorize?state=s"));
    let cookies = given(&answer);
    assert_eq!(cookies[1], format!("{SIGN_IN}=b1; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"));
    assert_eq!(cookies[0], format!("{SIGN_IN}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax; Partitioned"));
    let cookie = format!("{SIGN_IN}=b1");
    let back = [("cookie", cookie.as_str()), ("x-forwarded-for", "10.0.0.1, 192.0.2.7")];
    let answer = handler.answer(get("callback?code=c&state=s", &back)).await;
    assert_eq!(
        (answer.status(), value(&answer, "location")),
        (StatusCode::SEE_OTHER, Some("https://panel.example.com/dashboard"))
    );
    let cookies = given(&answer);
    // It outlives the session, so that it is known later on that somebody has been here.
    assert_eq!(cookies[1], format!("{SESSION}=c1; Path=/; Max-Age=2595600; Secure; HttpOnly; SameSite=Lax"));
    assert!(cookies[0].ends_with("; Partitioned") && cookies[3].starts_with(&format!("{SIGN_IN}=; Path=/; Max-Age=0")));
    agent.await.unwrap();
}

#[tokio::test]
async fn a_code_that_another_browser_brings_signs_nobody_in() {
    let (handler, _shared, mut calls) = gate();
    let answer = handler.answer(get("callback?code=c&state=s", &[])).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(value(&answer, "set-cookie").is_none() && calls.try_recv().is_err());
    let agent = tokio::spawn(async move {
        let Some(GateCall::Return { browser, answer, .. }) = calls.recv().await else { panic!() };
        assert_eq!(browser, CookieDigest::of(b"another"));
        answer.send(Err(NotAdmitted::Unknown)).unwrap();
    });
    let cookie = format!("{SIGN_IN}=another");
    let answer = handler.answer(get("callback?code=c&state=s", &[("cookie", &cookie)])).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(value(&answer, "set-cookie").is_none());
    agent.await.unwrap();
    let head = Request::head("/oauth2mqtt/callback?code=c&state=s").header("host", HOST).body(Bytes::new()).unwrap();
    assert_eq!(handler.answer(head).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_comes_from_outside_is_text_and_nothing_else() {
    let (handler, shared, mut calls) = gate();
    sign_in(&shared, Duration::ZERO);
    let page = text(handler.answer(get("", &with_cookie())).await).await;
    assert!(page.contains("Änn &lt;b&gt;") && !page.contains("<b>"), "{page}");
    let page = text(handler.answer(get("sign-in?to=/%22%3E%3Cscript%3E", &[])).await).await;
    assert!(!page.contains("\"><script>"), "{page}");
    tokio::spawn(async move {
        let Some(GateCall::Collect { answer, .. }) = calls.recv().await else { panic!() };
        let code = PhoneCode {
            user_code: "<script>".to_owned(),
            address: "https://id.example/\"><img>".to_owned(),
            whole_address: None,
            left: Duration::from_secs(60),
        };
        answer.send(Some(PhoneAnswer::Waits(code))).unwrap();
    });
    let cookie = format!("{SIGN_IN}=b1");
    let answer = handler.answer(get("phone?to=/x", &[("cookie", &cookie), ("x-forwarded-for", "192.0.2.7")])).await;
    assert!(value(&answer, "content-security-policy").unwrap().contains("default-src 'none'"));
    let page = text(answer).await;
    assert!(page.contains("&lt;script&gt;") && page.contains("1:00") && page.contains("192.0.2.7"), "{page}");
    assert!(!page.contains("<img>"), "{page}");
}

#[tokio::test]
async fn sign_ins_cannot_be_begun_without_end() {
    let (handler, _shared, mut calls) = gate();
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            if let GateCall::Begin { answer, .. } = call {
                let _ = answer.send(Err("No.".to_owned()));
            }
        }
    });
    let from = |address| [("origin", "https://panel.example.com"), ("x-forwarded-for", address)];
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(handler.answer(post("phone", "to=%2F", &from("192.0.2.7"))).await.status());
    }
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count(), 2);
    // What a browser writes before it changes nothing.
    let spoofed = handler.answer(post("phone", "to=%2F", &from("198.51.100.9, 192.0.2.7"))).await;
    assert_eq!(spoofed.status(), StatusCode::TOO_MANY_REQUESTS);
    let origin = ("origin", "https://panel.example.com");
    let two_lines = [origin, ("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "192.0.2.7")];
    assert_eq!(handler.answer(post("phone", "to=%2F", &two_lines)).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(handler.answer(post("phone", "to=%2F", &from("192.0.2.8"))).await.status(), StatusCode::BAD_GATEWAY);
}
