//! A provider: one of the servers in `tests/servers`, which all have the same face for a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::{SOON, wait_for};
use super::http::{Answer, exchange, post_form};
use super::process::Process;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `oidc-provider`: certified, with every grant and OpenID Connect.
    Oidc,
    /// `django-oauth-toolkit`: no device endpoint in its metadata, unknown codes are HTTP 404.
    Django,
    /// `Authlib`: a real `slow_down`, metadata of RFC 8414 alone.
    Authlib,
    /// Answers by script, for what no real server does.
    Fake,
}

impl Kind {
    fn command(self) -> Command {
        let folder = servers();
        let (interpreter, script) = match self {
            Self::Oidc => ("node".into(), "oidc.mjs"),
            Self::Fake => ("node".into(), "fake.mjs"),
            Self::Django => (python(), "django_server.py"),
            Self::Authlib => (python(), "authlib_server.py"),
        };
        let mut command = Command::new(interpreter);
        command.arg(folder.join(script));
        command
    }

    fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc-provider",
            Self::Django => "django-oauth-toolkit",
            Self::Authlib => "Authlib",
            Self::Fake => "the fake provider",
        }
    }
}

/// A running provider.
pub(crate) struct Server {
    process: Process,
    ready: Ready,
}

/// What a server prints when it is ready.
#[derive(Clone, Debug, Deserialize)]
struct Ready {
    port: u16,
    issuer: String,
    /// The files that a client of it needs, such as the one with its secret, by name.
    files: BTreeMap<String, String>,
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
    pub(crate) client_id: Option<String>,
    pub(crate) user: Option<String>,
    /// The resource that the token is for (RFC 8707); only the OpenID provider says it.
    #[serde(default)]
    pub(crate) resource: Option<String>,
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
#[serde(default)]
pub(crate) struct Secrets {
    pub(crate) client: Vec<String>,
    pub(crate) device_code: Vec<String>,
    pub(crate) access_token: Vec<String>,
    pub(crate) refresh_token: Vec<String>,
    pub(crate) id_token: Vec<String>,
    pub(crate) code: Vec<String>,
    pub(crate) code_verifier: Vec<String>,
    pub(crate) client_assertion: Vec<String>,
}

/// The folder of the servers, with their packages in it.
pub(crate) fn servers() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    let installed = folder.join("node_modules").is_dir();
    assert!(installed, "the servers are not installed; run tests/run, or npm ci in {}", folder.display());
    folder
}

/// The interpreter with the packages of the servers in Python.
fn python() -> PathBuf {
    let python = servers().join("venv/bin/python");
    assert!(python.exists(), "the servers in Python are not installed; run tests/run");
    python
}

impl Server {
    /// Starts it with `settings`; see the server's own file for their names.
    #[track_caller]
    pub(crate) fn start(kind: Kind, settings: &Value) -> Self {
        let mut process = Process::start(kind.name(), kind.command().arg(settings.to_string()));
        // Once in 898 tests one took more than 20 s beside others that took one, and it is not known why; a test that fails
        // says what it was doing.
        let ready = process.wait_for("the ready line", 3 * SOON, |process| {
            let stdout = process.stdout();
            let (line, _) = stdout.split_once('\n')?;
            Some(serde_json::from_str(line).unwrap())
        });
        Self { process, ready }
    }

    pub(crate) fn port(&self) -> u16 {
        self.ready.port
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.ready.issuer
    }

    /// What all its addresses begin with.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The files that its clients need, by name.
    pub(crate) fn files(&self) -> &BTreeMap<String, String> {
        &self.ready.files
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

    /// An administrator ends all that the user `login` has granted.
    #[track_caller]
    pub(crate) fn end_grants(&self, login: &str) {
        self.walk(&format!("/test/end?login={login}"));
    }

    #[track_caller]
    fn walk(&self, path: &str) {
        let answer = exchange(self.port(), "POST", path, None, "");
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
        let answer = exchange(self.port(), "POST", "/test/fault", None, &fault.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Calls the protected address with an access token.
    #[track_caller]
    pub(crate) fn me(&self, access_token: &str) -> Answer {
        exchange(self.port(), "GET", "/api/me", Some(access_token), "")
    }

    /// What somebody else than the agent sends, such as who has stolen a token.
    #[track_caller]
    pub(crate) fn post_form(&self, path: &str, form: &str) -> Answer {
        post_form(self.port(), path, form)
    }

    /// Every request to the token endpoint so far.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<TokenRequest> {
        serde_json::from_value(exchange(self.port(), "GET", "/test/log", None, "").body).unwrap()
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
        serde_json::from_value(exchange(self.port(), "GET", "/test/secrets", None, "").body).unwrap()
    }

    /// Ends it at once.
    pub(crate) fn kill(self) {
        self.process.kill();
    }
}
