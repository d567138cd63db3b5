//! `oidc-provider`, and what it has beyond the others: people at its authorization endpoint, and tokens for others.

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::exchange;
use super::server::Server;
pub(crate) use super::server::TokenRequest;

/// What the browser shows at the address that it was sent back to.
#[derive(Debug, Deserialize)]
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) headers: Value,
    pub(crate) html: String,
}

impl Server {
    /// The user `login` opens the authorization request, signs in and consents. Returns the address that the browser is
    /// then sent to.
    #[track_caller]
    pub(crate) fn authorize(&self, uri: &str, login: &str) -> String {
        redirected(&self.open(&json!({ "uri": uri, "login": login })))
    }

    /// The user opens the authorization request and says no.
    #[track_caller]
    pub(crate) fn decline(&self, uri: &str) -> String {
        redirected(&self.open(&json!({ "uri": uri, "deny": true })))
    }

    /// The user signs in with a browser on the device itself, which follows the way back.
    #[track_caller]
    pub(crate) fn authorize_here(&self, uri: &str, login: &str) -> Shown {
        serde_json::from_value(self.open(&json!({ "uri": uri, "login": login, "follow": true }))).unwrap()
    }

    /// An administrator gives a client another secret; the one that it had is no longer good.
    #[track_caller]
    pub(crate) fn replace_secret(&self, client: &str, secret: &str) {
        let body = json!({ "client_id": client, "secret": secret }).to_string();
        let answer = exchange(self.port(), "POST", "/test/client-secret", None, &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    #[track_caller]
    fn open(&self, browser: &Value) -> Value {
        let answer = exchange(self.port(), "POST", "/test/authorize", None, &browser.to_string());
        assert_eq!(answer.status, 200, "{browser}: {}", answer.body);
        answer.body
    }
}

#[track_caller]
fn redirected(answer: &Value) -> String {
    answer["redirected_to"].as_str().unwrap().to_owned()
}

/// A refresh token that was obtained elsewhere: by a device flow of somebody else than the agent.
pub(crate) fn token_from_elsewhere(server: &Server, client: &str, login: &str) -> String {
    let form = format!("client_id={client}&scope=openid+offline_access");
    let code = server.post_form("/device/auth", &form).body;
    server.approve(code["user_code"].as_str().unwrap(), login);
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id={client}&device_code={}",
        code["device_code"].as_str().unwrap()
    );
    server.post_form("/token", &form).body["refresh_token"].as_str().unwrap().to_owned()
}
