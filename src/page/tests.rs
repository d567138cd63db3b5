//! The page without a network: what each request gets.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, header};
use tokio::sync::mpsc;

use super::answer::Desk;
use super::*;
use crate::domain::clock::UnixTime;
use crate::domain::fault::FaultCode;
use crate::domain::session::{ErrorView, PendingView, SessionState, StatusView};
use crate::platform::http_server::ResponseBody;

const HOST: &str = "127.0.0.1:8628";

fn settings(access_code: Option<&str>) -> PageSettings {
    PageSettings {
        listen: HOST.parse().unwrap(),
        access_code: access_code.map(|code| Secret::new(code.to_owned())),
        hosts: Vec::new(),
    }
}

fn desk(access_code: Option<&str>) -> (Desk<Press>, Board, mpsc::Receiver<Press>) {
    let (events, presses) = mpsc::channel(4);
    let board = Board::default();
    (Desk::new(&settings(access_code), board.clone(), events), board, presses)
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", HOST).body(Full::default()).unwrap()
}

fn post(path: &str, form: &'static str) -> Request<Full<Bytes>> {
    let origin = format!("http://{HOST}");
    Request::post(path).header("host", HOST).header("origin", origin).body(form.into()).unwrap()
}

async fn text(answer: Response<ResponseBody>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn waiting() -> AccountView {
    AccountView {
        provider: "<b>&".to_owned(),
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
    let (desk, board, _presses) = desk(None);
    board.show(&"google".parse().unwrap(), waiting());
    let page = text(desk.answer(get("/")).await).await;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; data: x"), "{page}");
    assert!(page.contains("&quot;&gt;&lt;img src=x&gt;") && page.contains("&lt;b&gt;&amp;"), "{page}");
    assert!(!page.contains("href=\"javascript:") && !page.contains('\n'), "{page}");
}

#[tokio::test]
async fn every_answer_forbids_what_is_not_of_this_page() {
    let (desk, ..) = desk(None);
    for path in ["/", "/page.css", "/page.js", "/nothing", "/events"] {
        let answer = desk.answer(get(path)).await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}: {policy}");
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
}

#[tokio::test]
async fn another_name_of_the_device_gets_nothing() {
    let (desk, ..) = desk(None);
    let request = Request::get("/").header("host", "rebound.example").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(desk.answer(request).await.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_press_reaches_the_agent_and_its_answer_the_visitor() {
    let (desk, _, mut presses) = desk(None);
    let agent = async {
        let press = presses.recv().await.unwrap();
        assert_eq!(press.account.as_str(), "google");
        assert!(matches!(press.wish, Wish::Login));
        press.answer.send(Err("Not now.".to_owned())).unwrap();
        presses.recv().await.unwrap().answer.send(Ok(())).unwrap();
    };
    let visitor = async {
        let refused = desk.answer(post("/accounts/google/login", "")).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        assert!(text(refused).await.contains("<p id=\"said\" role=\"alert\">Not now.</p>"));
        let done = desk.answer(post("/accounts/google/cancel", "")).await;
        assert_eq!((done.status(), &done.headers()[header::LOCATION]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
    };
    tokio::join!(agent, visitor);
}

#[tokio::test]
async fn a_press_on_some_other_page_never_reaches_the_agent() {
    let (desk, _, mut presses) = desk(None);
    let forged = Request::post("/accounts/google/logout").header("host", HOST).header("origin", "https://evil.example");
    assert_eq!(desk.answer(forged.body(Full::<Bytes>::default()).unwrap()).await.status(), StatusCode::FORBIDDEN);
    let silent = Request::post("/accounts/google/logout").header("host", HOST).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(desk.answer(silent).await.status(), StatusCode::FORBIDDEN);
    assert!(presses.try_recv().is_err());
}

#[tokio::test]
async fn buttons_cannot_be_hammered() {
    let (desk, ..) = desk(None);
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = desk.answer(post("/accounts/google/nothing", "")).await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn behind_an_access_code_nothing_is_seen_or_pressed_without_it() {
    let (desk, board, mut presses) = desk(Some("open sesame"));
    board.show(&"google".parse().unwrap(), waiting());
    let before = desk.answer(get("/")).await;
    assert_eq!(before.status(), StatusCode::FORBIDDEN);
    assert!(!text(before).await.contains("google"));
    assert_eq!(desk.answer(get("/events")).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(desk.answer(post("/accounts/google/login", "")).await.status(), StatusCode::FORBIDDEN);
    assert!(presses.try_recv().is_err());

    assert_eq!(desk.answer(post("/enter", "code=wrong")).await.status(), StatusCode::FORBIDDEN);
    let entered = desk.answer(post("/enter", "code=open+sesame")).await;
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let mut with_cookie = get("/");
    with_cookie.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    let after = desk.answer(with_cookie).await;
    assert!(text(after).await.contains("id=\"account-google\""));
}

#[tokio::test]
async fn a_browser_that_watches_gets_each_change_and_no_more() {
    let (desk, board, _presses) = desk(None);
    let (google, plant): (AccountName, AccountName) = ("google".parse().unwrap(), "plant".parse().unwrap());
    board.show(&google, waiting());
    board.show(&plant, waiting());
    let mut changes = desk.answer(get("/events")).await.into_body();
    let mut next =
        async || String::from_utf8(changes.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap();
    let first = next().await;
    assert!(first.starts_with("retry: ") && first.matches("event: account").count() == 2, "{first}");
    let mut over = waiting();
    over.pending = None;
    board.show(&plant, over);
    // The first tick of a sign of life may come before.
    let mut second = next().await;
    if second == ":\n\n" {
        second = next().await;
    }
    assert_eq!(second.matches("event: account").count(), 1, "{second}");
    assert!(second.contains("account-plant") && !second.contains("user-code"), "{second}");
}
