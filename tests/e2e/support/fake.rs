//! The providers that answer by script; see `tests/servers/fake.mjs`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::exchange;
use super::server::Server;

/// A request to any endpoint of a scripted provider. What is secret in it stands as a fingerprint.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The status of the answer, or what became of the connection.
    pub(crate) answered: Value,
    pub(crate) accept: Option<String>,
    pub(crate) content_type: Option<String>,
    /// The scheme of its Authorization header.
    pub(crate) authorization: Option<String>,
    /// The client's id as that header has it, decoded (RFC 6749 2.3.1).
    pub(crate) basic_user: Option<String>,
    pub(crate) query: String,
    pub(crate) params: serde_json::Map<String, Value>,
}

impl Server {
    /// Every request to an endpoint of a scripted provider, in their order.
    #[track_caller]
    pub(crate) fn seen(&self, provider: &str, endpoint: &str) -> Vec<Seen> {
        let path = format!("/test/requests?provider={provider}&endpoint={endpoint}");
        serde_json::from_value(exchange(self.port(), "GET", &path, None, "").body).unwrap()
    }

    /// Gives a scripted provider other answers from now on; see `scripted.mjs`.
    #[track_caller]
    pub(crate) fn answer(&self, provider: &str, answers: &Value) {
        let change = json!({ "provider": provider, "answers": answers });
        let answer = exchange(self.port(), "POST", "/test/answers", None, &change.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}
