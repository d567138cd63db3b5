//! The provider: `oidc-provider` with what `tests/servers/oidc.mjs` puts around it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::{SOON, wait_for};
use super::http::{Answer, exchange};
use super::process::Process;

/// A running provider.
pub(crate) struct Oidc {
    process: Process,
    port: u16,
}

/// One request to the token endpoint, as the provider saw it. Times are Unix seconds; secrets stand as fingerprints.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TokenRequest {
    pub(crate) received_at: f64,
    /// When the provider had made its answer, from when on a rotated refresh token is used up.
    pub(crate) decided_at: Option<f64>,
    pub(crate) answered_at: Option<f64>,
    pub(crate) fault: Option<String>,
    pub(crate) grant_type: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) error: Option<String>,
    /// The provider's own words, such as that a refresh token was used twice.
    pub(crate) detail: Option<String>,
    pub(crate) rotated: bool,
    pub(crate) presented: Option<String>,
    pub(crate) access_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

/// Every secret of a provider, by kind.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) client: Vec<String>,
    pub(crate) device_code: Vec<String>,
    pub(crate) access_token: Vec<String>,
    pub(crate) refresh_token: Vec<String>,
    pub(crate) id_token: Vec<String>,
}

/// The folder of the servers, with their packages in it.
pub(crate) fn servers() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    let installed = folder.join("node_modules").is_dir();
    assert!(installed, "the servers are not installed; run tests/run, or npm ci in {}", folder.display());
    folder
}

impl Oidc {
    /// Starts it with `settings`; see `oidc.mjs` for their names.
    #[track_caller]
    pub(crate) fn start(settings: &Value) -> Self {
        let script = servers().join("oidc.mjs");
        let mut process = Process::start("oidc-provider", Command::new("node").arg(script).arg(settings.to_string()));
        let port = process.wait_for("the ready line", SOON, |process| {
            let ready: Value = serde_json::from_str(process.stdout().lines().next()?).unwrap();
            Some(u16::try_from(ready["port"].as_u64().unwrap()).unwrap())
        });
        Self { process, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The user `login` types the code in, signs in and consents.
    #[track_caller]
    pub(crate) fn approve(&self, user_code: &str, login: &str) {
        self.walk(&format!("/test/approve?user_code={user_code}&login={login}"));
    }

    /// The user opens the address with the code in it, signs in and consents.
    #[track_caller]
    pub(crate) fn approve_at(&self, verification_uri_complete: &str, login: &str) {
        let uri: String = url::form_urlencoded::byte_serialize(verification_uri_complete.as_bytes()).collect();
        self.walk(&format!("/test/approve?uri={uri}&login={login}"));
    }

    /// The user types the code in and says no.
    #[track_caller]
    pub(crate) fn deny(&self, user_code: &str) {
        self.walk(&format!("/test/deny?user_code={user_code}"));
    }

    #[track_caller]
    fn walk(&self, path: &str) {
        let answer = exchange(self.port, "POST", path, None, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }

    /// The next `count` requests to the token endpoint get this fault; see `faults.mjs`.
    #[track_caller]
    pub(crate) fn fault(&self, mode: &str, count: u32, details: &Value) {
        self.fault_at("token", mode, count, details);
    }

    #[track_caller]
    pub(crate) fn fault_at(&self, endpoint: &str, mode: &str, count: u32, details: &Value) {
        let mut fault = json!({ "endpoint": endpoint, "mode": mode, "count": count });
        fault.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
        let answer = exchange(self.port, "POST", "/test/fault", None, &fault.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Calls the protected address with an access token.
    #[track_caller]
    pub(crate) fn me(&self, access_token: &str) -> Answer {
        exchange(self.port, "GET", "/api/me", Some(access_token), "")
    }

    /// Every request to the token endpoint so far.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<TokenRequest> {
        serde_json::from_value(exchange(self.port, "GET", "/test/log", None, "").body).unwrap()
    }

    /// Every refresh so far, those that got a fault among them.
    #[track_caller]
    pub(crate) fn refreshes(&self) -> Vec<TokenRequest> {
        let of_refresh =
            |request: &TokenRequest| request.fault.is_some() || request.grant_type.as_deref() == Some("refresh_token");
        self.log().into_iter().filter(of_refresh).collect()
    }

    /// Waits until the token endpoint has got more than `count` requests, and returns the first beyond that.
    #[track_caller]
    pub(crate) fn next_token_request(&self, count: usize, limit: Duration) -> TokenRequest {
        wait_for("a request to the token endpoint", limit, || self.log().get(count).cloned())
    }

    #[track_caller]
    pub(crate) fn secrets(&self) -> Secrets {
        serde_json::from_value(exchange(self.port, "GET", "/test/secrets", None, "").body).unwrap()
    }

    /// Ends it at once.
    pub(crate) fn kill(self) {
        self.process.kill();
    }
}
