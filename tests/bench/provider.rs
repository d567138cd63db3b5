//! A provider with nothing to it but speed, so that what is measured is whoever asks it.
//!
//! It answers every refresh with new tokens and remembers when; a certified provider (`tests/e2e`) would take longer over
//! each answer than the agent over everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::clock::unix_now;

/// The size of an access token, in bytes: that of a JWT with a few claims.
const TOKEN_SIZE: usize = 1024;

/// What it has answered.
#[derive(Default)]
struct Course {
    /// How long an access token lives, in seconds.
    life: u32,
    /// When each access token was sent, in Unix time.
    sent: HashMap<String, f64>,
}

/// A running provider.
pub(crate) struct Provider {
    port: u16,
    course: Arc<Mutex<Course>>,
    _stop: oneshot::Sender<()>,
}

impl Provider {
    /// Starts one whose access tokens live for `life` seconds.
    pub(crate) fn start(life: u32) -> Self {
        let course = Arc::new(Mutex::new(Course { life, ..Course::default() }));
        let (listening, listens) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn({
            let course = Arc::clone(&course);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                    let port = listener.local_addr().unwrap().port();
                    listening.send(port).unwrap();
                    let metadata = metadata(&format!("http://127.0.0.1:{port}"));
                    let routes = Router::new()
                        .route("/.well-known/openid-configuration", get(async move || Json(metadata)))
                        .route("/token", post(token))
                        .with_state(course);
                    tokio::select! {
                        ended = std::future::IntoFuture::into_future(axum::serve(listener, routes)) => ended.unwrap(),
                        // Also when its owner is gone.
                        _ = stopped => {}
                    }
                });
            }
        });
        Self { port: listens.recv().unwrap(), course, _stop: stop }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on access tokens live for so many seconds.
    pub(crate) fn set_life(&self, seconds: u32) {
        self.course.lock().unwrap().life = seconds;
    }

    /// How many tokens it has given.
    pub(crate) fn given(&self) -> usize {
        self.course.lock().unwrap().sent.len()
    }

    /// When it gave this access token, in Unix time.
    pub(crate) fn sent_at(&self, access_token: &str) -> Option<f64> {
        self.course.lock().unwrap().sent.get(access_token).copied()
    }
}

async fn token(State(course): State<Arc<Mutex<Course>>>, Form(asked): Form<HashMap<String, String>>) -> Json<Value> {
    let mut course = course.lock().unwrap();
    let number = course.sent.len();
    let access_token = format!("{number:0>TOKEN_SIZE$}");
    let answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": course.life,
        "refresh_token": format!("{:0>64}", number + 1),
        "scope": asked.get("scope").map_or("read", String::as_str),
    });
    course.sent.insert(access_token, unix_now());
    Json(answer)
}

/// What peers ask for that have no other way to learn the endpoints.
fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "scopes_supported": ["openid", "offline_access", "read"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    })
}
