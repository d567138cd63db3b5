//! The page without a network: what each request gets.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Request, Response, StatusCode, header};
use tokio::sync::mpsc;

use super::handler::Handler;
use super::*;
use crate::domain::clock::UnixTime;
use crate::domain::fault::{FaultCode, SignInSource};
use crate::domain::grant_kind::GrantKind;
use crate::domain::session::{ErrorView, PendingView, SessionState, StatusView};
use crate::platform::http_server::ResponseBody;

const HOST: &str = "127.0.0.1:8628";

fn settings(access_code: Option<&str>) -> PageSettings {
    PageSettings {
        listen: HOST.parse().unwrap(),
        behind_proxy: false,
        access_code: access_code.map(|code| Secret::new(code.to_owned())),
        hosts: Vec::new(),
        embed_in: Vec::new(),
    }
}

fn handler(access_code: Option<&str>) -> (Handler<ButtonPress>, LiveContent, mpsc::Receiver<ButtonPress>) {
    let (events, presses) = mpsc::channel(4);
    let content = LiveContent::default();
    (Handler::new(&settings(access_code), content.clone(), events), content, presses)
}

fn get(path: &str) -> Request<Bytes> {
    Request::get(path).header("host", HOST).body(Bytes::new()).unwrap()
}

fn post(path: &str, form: impl Into<Bytes>) -> Request<Bytes> {
    let origin = format!("http://{HOST}");
    Request::post(path).header("host", HOST).header("origin", origin).body(form.into()).unwrap()
}

/// The token that the forms of the page carry.
async fn token(handler: &Handler<ButtonPress>, content: &LiveContent) -> String {
    content.show(&"google".parse().unwrap(), waiting());
    let page = text(handler.answer(get("/")).await).await;
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    format!("token={}", rest.split('"').next().unwrap())
}

async fn text(answer: Response<ResponseBody>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn waiting() -> AccountView {
    AccountView {
        provider: "<b>&".to_owned(),
        grant: GrantKind::DeviceCode,
        status: StatusView {
            error: Some(ErrorView {
                code: FaultCode::ProviderRefused,
                message: "<script>alert(1)</script>\ndata: x".to_owned(),
                since: UnixTime::new(1),
                retry_at: None,
            }),
            ..StatusView::bare(SessionState::AwaitingUser, true)
        },
        pending: Some(PendingView {
            verification_uri: "javascript:alert(1)".to_owned(),
            verification_uri_complete: None,
            user_code: Some("\"><img src=x>".to_owned()),
            redirect_uri: None,
            expires_at: UnixTime::new(1),
        }),
    }
}

#[tokio::test]
async fn what_comes_from_outside_is_text_and_nothing_else() {
    let (handler, content, _presses) = handler(None);
    content.show(&"google".parse().unwrap(), waiting());
    let page = text(handler.answer(get("/")).await).await;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("&quot;&gt;&lt;img src=x&gt;") && page.contains("&lt;b&gt;&amp;"), "{page}");
    assert!(!page.contains("href=\"javascript:"), "{page}");
    let mut changes = handler.answer(get("/events")).await.into_body();
    let event = changes.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(
        String::from_utf8_lossy(&event).lines().all(|line| line != "data: x"),
        "a line of its own is another event"
    );
}

#[tokio::test]
async fn every_answer_forbids_what_is_not_of_this_page() {
    let (handler, ..) = handler(None);
    for path in ["/", "/page.css", "/page.js", "/icon-good.svg", "/nothing", "/events"] {
        let answer = handler.answer(get(path)).await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}: {policy}");
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
}

#[tokio::test]
async fn another_name_of_the_device_gets_nothing() {
    let (handler, ..) = handler(None);
    let request = Request::get("/").header("host", "rebound.example").body(Bytes::new()).unwrap();
    assert_eq!(handler.answer(request).await.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_press_reaches_the_agent_and_its_answer_the_visitor() {
    let (handler, content, mut presses) = handler(None);
    let token = token(&handler, &content).await;
    let agent = async {
        let press = presses.recv().await.unwrap();
        assert_eq!(press.account.as_str(), "google");
        assert!(matches!(press.command, PageCommand::Login));
        press.answer.send(Err("Not now.".to_owned())).unwrap();
        presses.recv().await.unwrap().answer.send(Ok(())).unwrap();
    };
    let visitor = async {
        let refused = handler.answer(post("/accounts/google/login", token.clone())).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        assert!(text(refused).await.contains("<p class=\"said\" role=\"alert\">Not now.</p>"));
        let done = handler.answer(post("/accounts/google/cancel", token)).await;
        assert_eq!((done.status(), &done.headers()[header::LOCATION]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
    };
    tokio::join!(agent, visitor);
}

#[tokio::test]
async fn a_press_on_some_other_page_never_reaches_the_agent() {
    let (handler, _, mut presses) = handler(None);
    let forged = Request::post("/accounts/google/logout").header("host", HOST).header("origin", "https://evil.example");
    assert_eq!(handler.answer(forged.body(Bytes::new()).unwrap()).await.status(), StatusCode::FORBIDDEN);
    let silent = Request::post("/accounts/google/logout").header("host", HOST).body(Bytes::new()).unwrap();
    assert_eq!(handler.answer(silent).await.status(), StatusCode::FORBIDDEN);
    assert!(presses.try_recv().is_err());
}

#[tokio::test]
async fn a_press_without_the_token_of_the_page_never_reaches_the_agent() {
    let (handler, _, mut presses) = handler(None);
    for form in ["", "token=", "token=made-up"] {
        let answer = handler.answer(post("/accounts/google/logout", form)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{form}");
    }
    assert!(presses.try_recv().is_err());
}

#[tokio::test]
async fn only_named_pages_may_show_it_in_a_frame() {
    let (events, _presses) = mpsc::channel::<ButtonPress>(4);
    let settings = PageSettings { embed_in: vec!["https://dashboard.example.com".to_owned()], ..settings(None) };
    let handler = Handler::new(&settings, LiveContent::default(), events);
    let answer = handler.answer(get("/")).await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.ends_with("; frame-ancestors https://dashboard.example.com"), "{policy}");
}

#[tokio::test]
async fn whoever_is_needed_comes_first_and_in_the_title() {
    let (handler, content, _presses) = handler(None);
    let active = |next_refresh_at| StatusView {
        expires_at: Some(UnixTime::new(4_000_000_000)),
        next_refresh_at,
        ..StatusView::bare(SessionState::Active, false)
    };
    let account =
        |status| AccountView { provider: "p".to_owned(), grant: GrantKind::DeviceCode, status, pending: None };
    content.show(&"a".parse().unwrap(), account(active(Some(UnixTime::new(3_999_999_000)))));
    let page = text(handler.answer(get("/")).await).await;
    assert!(page.contains("<title>Sign-in · ") && page.contains("/icon-good.svg"), "{page}");
    content.show(&"b".parse().unwrap(), account(active(None)));
    let page = text(handler.answer(get("/")).await).await;
    assert!(page.contains("<title>(1) Sign-in needed · ") && page.contains("/icon-attention.svg"), "{page}");
    assert!(page.find("account-b").unwrap() < page.find("account-a").unwrap(), "{page}");
    assert!(
        page.contains("class=\"active attention ending\"") && page.contains("only a new sign-in renews it"),
        "{page}"
    );
}

#[tokio::test]
async fn whoever_only_signs_in_reads_no_name_of_a_setting_outside_the_details() {
    let (handler, content, _presses) = handler(None);
    let message = format!("The provider refused. {}", FaultCode::InvalidClient.advice(SignInSource::User));
    let error = ErrorView { code: FaultCode::InvalidClient, message, since: UnixTime::new(1), retry_at: None };
    let status = StatusView { error: Some(error), ..StatusView::bare(SessionState::SignedOut, true) };
    content.show(
        &"a".parse().unwrap(),
        AccountView { provider: "p".to_owned(), grant: GrantKind::DeviceCode, status, pending: None },
    );
    let page = text(handler.answer(get("/")).await).await;
    let (before, details) = page.split_once("<details class=\"facts\">").unwrap();
    assert!(!before.contains("client_id") && before.contains("need an administrator"), "{before}");
    assert!(details.contains("client_id") && details.contains("<code>invalid_client</code>"), "{details}");
}

#[tokio::test]
async fn googles_seven_days_in_testing_are_shown_before_they_are_over() {
    let (handler, content, _presses) = handler(None);
    let status = StatusView {
        sign_in_ends_at: Some(UnixTime::new(4_000_000_000)),
        ..StatusView::bare(SessionState::Active, false)
    };
    let view = AccountView { provider: "p".to_owned(), grant: GrantKind::DeviceCode, status, pending: None };
    content.show(&"a".parse().unwrap(), view);
    let page = text(handler.answer(get("/")).await).await;
    assert!(page.contains("<dt>Sign-in</dt><dd>ends <span data-in="), "{page}");
}

#[tokio::test]
async fn where_nobody_signs_in_nobody_is_told_to() {
    let (handler, content, _presses) = handler(None);
    for state in [SessionState::Active, SessionState::Expired, SessionState::SignedOut] {
        let status = StatusView::bare(state, false);
        for (grant, has_button) in [(GrantKind::ClientCredentials, true), (GrantKind::RefreshToken, false)] {
            let view = AccountView { provider: "p".to_owned(), grant, status: status.clone(), pending: None };
            content.show(&"a".parse().unwrap(), view);
            let page = text(handler.answer(get("/")).await).await;
            assert!(!page.to_lowercase().contains("sign in again"), "{page}");
            assert_eq!(page.contains("New token"), has_button, "{grant:?}: {page}");
            assert_eq!(page.contains("action=\"/accounts/a/login\""), has_button, "{grant:?}: {page}");
        }
    }
}

#[tokio::test]
async fn buttons_cannot_be_hammered() {
    let (handler, ..) = handler(None);
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = handler.answer(post("/accounts/google/nothing", "")).await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn behind_an_access_code_nothing_is_seen_or_pressed_without_it() {
    let (handler, content, mut presses) = handler(Some("open sesame"));
    content.show(&"google".parse().unwrap(), waiting());
    let before = handler.answer(get("/")).await;
    assert_eq!(before.status(), StatusCode::FORBIDDEN);
    assert!(!text(before).await.contains("google"));
    assert_eq!(handler.answer(get("/events")).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(handler.answer(post("/accounts/google/login", "")).await.status(), StatusCode::FORBIDDEN);
    assert!(presses.try_recv().is_err());

    assert_eq!(handler.answer(post("/enter", "code=wrong")).await.status(), StatusCode::FORBIDDEN);
    let entered = handler.answer(post("/enter", "code=open+sesame")).await;
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let mut with_cookie = get("/");
    with_cookie.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    let after = handler.answer(with_cookie).await;
    assert!(text(after).await.contains("id=\"account-google\""));
}

#[tokio::test]
async fn a_browser_that_watches_gets_each_change_and_no_more() {
    let (handler, content, _presses) = handler(None);
    let (google, plant): (AccountName, AccountName) = ("google".parse().unwrap(), "plant".parse().unwrap());
    content.show(&google, waiting());
    content.show(&plant, waiting());
    let mut changes = handler.answer(get("/events")).await.into_body();
    let mut next =
        async || String::from_utf8(changes.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap();
    let first = next().await;
    assert!(first.starts_with("retry: ") && first.matches("event: account").count() == 2, "{first}");
    let mut over = waiting();
    over.pending = None;
    content.show(&plant, over);
    // The first tick of a sign of life may come before.
    let mut second = next().await;
    if second == ":\n\n" {
        second = next().await;
    }
    assert_eq!(second.matches("event: account").count(), 1, "{second}");
    assert!(second.contains("account-plant") && !second.contains("user-code"), "{second}");
}
