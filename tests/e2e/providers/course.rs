//! The course that each row takes, and what it comes to.

use std::time::Duration;

use serde_json::{Value, json};

use super::rows::{Row, Server as Which, User};
use crate::support::clock::{SOON, unix_now, wait_for, wait_until};
use crate::support::server::Server;
use crate::support::subscriber::Subscriber;
use crate::support::world::World;

/// As long as the slowest row may take for a step: an answer that never comes is given up after half a minute.
const LONG: Duration = Duration::from_secs(60);

/// What became of a row, column by column.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) sign_in: String,
    pub(super) next_token: String,
    pub(super) sign_out: String,
    pub(super) no: String,
    pub(super) trouble: String,
}

/// What all rows share.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    subscriber: &'a Subscriber,
    fake: &'a Server,
    oidc: &'a Server,
    django: &'a Server,
    authlib: &'a Server,
}

impl<'a> Stage<'a> {
    pub(super) fn of(world: &'a World) -> Self {
        Self {
            subscriber: &world.subscriber,
            fake: world.provider(0),
            oidc: world.provider(1),
            django: world.provider(2),
            authlib: world.provider(3),
        }
    }

    fn server(&self, row: &Row) -> &'a Server {
        match row.server {
            Which::Fake => self.fake,
            Which::Oidc => self.oidc,
            Which::Django => self.django,
            Which::Authlib => self.authlib,
        }
    }

    /// Plays one row through.
    pub(super) fn play(&self, row: &Row) -> Outcome {
        let no = if row.user == User::Nobody { "nobody is asked".to_owned() } else { self.decline(row) };
        let (sign_in, signed_in) = self.sign_in(row);
        if !signed_in {
            let none = || "no sign-in".to_owned();
            return Outcome { sign_in, next_token: none(), sign_out: none(), no, trouble: none() };
        }
        let next_token = self.next_token(row);
        let trouble = self.trouble(row);
        let sign_out = self.sign_out(row);
        Outcome { sign_in, next_token, sign_out, no, trouble }
    }

    fn decline(&self, row: &Row) -> String {
        let shown = self.begin(row, &mut Vec::new());
        match row.user {
            User::Code => self.server(row).deny(shown["user_code"].as_str().unwrap()),
            User::Browser => {
                let address = self.server(row).decline(shown["verification_uri"].as_str().unwrap());
                self.request(row, "complete", &json!({ "account": row.name, "redirected_to": address }).to_string());
            }
            User::Nobody => unreachable!("there is nobody to decline"),
        }
        let status = self.wait(row, "status", |status| status["state"] == "signed_out" && status["error"].is_object());
        if row.server == Which::Fake {
            self.fake.answer(&row.name, &json!({}));
        }
        format!("`{}`", status["error"]["code"].as_str().unwrap())
    }

    /// What happened, and whether there is a token.
    fn sign_in(&self, row: &Row) -> (String, bool) {
        let mut met = Vec::new();
        let (mut began, mut mark) = (0, 0);
        if row.user != User::Nobody {
            began = self.subscriber.mark();
            let shown = self.begin(row, &mut met);
            mark = self.subscriber.mark();
            self.approve(row, &shown);
        }
        let topic = topic(row, "status");
        let ended = |status: &Value| {
            status["state"] == "active" || (status["state"] == "signed_out" && status["error"].is_object())
        };
        let status = self.subscriber.wait_long_after(mark, &topic, LONG, ended).json;
        let of_row = self.subscriber.messages().split_off(began).into_iter().filter(|message| message.topic == topic);
        met.extend(of_row.filter_map(|message| message.json["error"]["code"].as_str().map(str::to_owned)));
        if status["state"] != "active" {
            return (format!("ends: `{}`", status["error"]["code"].as_str().unwrap()), false);
        }
        met.dedup();
        let after = met.iter().map(|code| format!(" after `{code}`"));
        (format!("signed in{}{}", after.collect::<String>(), self.notes(row)), true)
    }

    /// Asks for a sign-in until the provider begins one, and returns what `signin` shows.
    fn begin(&self, row: &Row, met: &mut Vec<String>) -> Value {
        wait_for("a sign-in that begins", SOON, || {
            let answer = self.request(row, "login", &row.name);
            if answer["status"] == "ok" {
                return Some(answer["data"].clone());
            }
            met.push(answer["code"].as_str().unwrap().to_owned());
            None
        })
    }

    fn approve(&self, row: &Row, shown: &Value) {
        let server = self.server(row);
        if row.user == User::Browser {
            let address = server.authorize(shown["verification_uri"].as_str().unwrap(), &row.login);
            let body = json!({ "account": row.name, "redirected_to": address }).to_string();
            assert_eq!(self.request(row, "complete", &body)["status"], "ok", "{}", row.name);
            return;
        }
        if row.server == Which::Fake {
            let before = polls(server, row);
            wait_until("the polls", LONG, || polls(server, row) - before >= row.polls);
        }
        server.approve(shown["user_code"].as_str().unwrap(), &row.login);
    }

    fn next_token(&self, row: &Row) -> String {
        let before = self.token(row);
        let (answer, after) = wait_for("the next token", LONG, || {
            let answer = self.request(row, "refresh", &row.name);
            let after = self.token(row);
            (answer["status"] != "ok" || after != before).then_some((answer, after))
        });
        if answer["status"] != "ok" {
            return format!("none: `{}`", answer["code"].as_str().unwrap());
        }
        let server = self.server(row);
        wait_until("a token that opens doors", SOON, || server.me(&after).status == 200);
        format!("renewed{}", self.notes(row))
    }

    fn trouble(&self, row: &Row) -> String {
        match row.server {
            Which::Fake => self.fake.answer(&row.name, &json!({ "refresh": "refused" })),
            Which::Oidc | Which::Django | Which::Authlib => self.server(row).end_grants(&row.login),
        }
        let before = self.token(row);
        let code = wait_for("trouble with the next token", LONG, || {
            let answer = self.request(row, "refresh", &row.name);
            let renewed = (self.token(row) != before).then(String::new);
            answer["code"].as_str().map(str::to_owned).or(renewed)
        });
        if code.is_empty() {
            return "renewed".to_owned();
        }
        if code == "no_refresh_token" {
            return format!("`{code}`");
        }
        let status = self.wait(row, "status", |status| status["error"]["code"] == code.as_str());
        let retry_in = status["error"]["retry_at"].as_f64().map(|at| at - unix_now());
        match retry_in {
            None => format!("asks the user: `{code}`"),
            Some(wait) if wait < 60.0 => format!("kept, again soon: `{code}`"),
            Some(wait) if wait < 300.0 => format!("kept, again when it says: `{code}`"),
            Some(_) => format!("kept, again in an hour: `{code}`"),
        }
    }

    fn sign_out(&self, row: &Row) -> String {
        let server = self.server(row);
        let token = self
            .subscriber
            .on(&topic(row, "token"))
            .into_iter()
            .rev()
            .find_map(|token| token.json["access_token"].as_str().map(str::to_owned));
        let answer = self.request(row, "logout", &row.name);
        assert_eq!(answer["status"], "ok", "{}: {answer}", row.name);
        self.wait(row, "status", |status| status["state"] == "signed_out");
        self.wait(row, "token", |token| token["access_token"].is_null());
        if row.server != Which::Fake {
            assert_eq!(server.me(&token.unwrap()).status, 401, "{}: the token still opens doors", row.name);
            return "revoked".to_owned();
        }
        let outcome = match server.seen(&row.name, "revoke").last() {
            None => "erased",
            Some(asked) if asked.answered == 200 => "revoked",
            Some(_) => "erased, not revoked",
        };
        outcome.to_owned()
    }

    /// What is to be said of the token that is there.
    fn notes(&self, row: &Row) -> String {
        let token = self.wait(row, "token", |token| token["access_token"].is_string());
        let asked = row.settings.split("scopes = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
        let asked = asked.replace(['"', ','], "");
        let scope = token["scope"].as_str().unwrap_or_default();
        let scope = if scope == asked { String::new() } else { format!(", `{scope}`") };
        let end = if token["expires_at"].is_null() { ", no known expiry" } else { "" };
        format!("{scope}{end}")
    }

    /// The access token that flows have.
    fn token(&self, row: &Row) -> String {
        let token = self.subscriber.latest(&topic(row, "token")).unwrap().json;
        token["access_token"].as_str().unwrap_or_default().to_owned()
    }

    fn request(&self, row: &Row, verb: &str, payload: &str) -> Value {
        let pending =
            self.subscriber.send_request_to(&format!("reply/{}/{verb}/{}", row.name, fastrand::u64(..)), verb, payload);
        self.subscriber.response(&pending, LONG)
    }

    fn wait(&self, row: &Row, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.subscriber.wait_long(&topic(row, what), LONG, fits).json
    }
}

fn topic(row: &Row, what: &str) -> String {
    format!("oauth2mqtt/{}/{what}", row.name)
}

/// How often a scripted provider was asked whether the user has decided.
fn polls(server: &Server, row: &Row) -> usize {
    let seen = server.seen(&row.name, "token");
    // Some have an endpoint for that alone, and a name of their own for the device code. No row with polls exchanges another code.
    let is_poll =
        |params: &serde_json::Map<String, Value>| params.contains_key("device_code") || params.contains_key("code");
    seen.iter().filter(|seen| is_poll(&seen.params)).count() + server.seen(&row.name, "poll").len()
}
