//! Shows the state of the accounts.

use anstyle::Style;
use serde::Deserialize;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BAD, BOLD, DIM, GOOD, WARN, say};
use crate::account::AccountName;
use crate::clock::{self, UnixTime};
use crate::message::Verb;
use crate::text::printable;
use crate::words;

#[derive(Deserialize)]
struct Status {
    account: String,
    state: String,
    expires_at: Option<i64>,
    next_refresh_at: Option<i64>,
    scope: Option<String>,
    user: Option<String>,
    signed_in_at: Option<i64>,
    user_changed_at: Option<i64>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    code: String,
    message: String,
    since: i64,
    retry_at: Option<i64>,
}

pub(super) async fn show(agent: &mut RunningAgent, account: Option<&AccountName>, json: bool) -> Result<(), Failure> {
    let answer = agent.ask(Verb::Status, account).await?;
    if json {
        let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
        return say(&text);
    }
    let all = if answer.is_array() { answer } else { Value::Array(vec![answer]) };
    let all: Vec<Status> = serde_json::from_value(all).map_err(|_| {
        Failure::new(Exit::Failed, "the agent's answer is not understood. Are agent and command of the same version?")
    })?;
    if all.is_empty() {
        return say("The configuration names no account yet.");
    }
    let width = all.iter().map(|status| status.account.len()).max().unwrap_or_default();
    let now = clock::now().wall;
    for status in &all {
        let (style, state) = state(&status.state);
        say(&format!(
            "{BOLD}{:width$}{BOLD:#}  {style}{state:13}{style:#}  {}",
            printable(&status.account),
            summary(status, now)
        ))?;
        for line in details(status, now) {
            say(&format!("{:width$}  {DIM}{line}{DIM:#}", ""))?;
        }
    }
    Ok(())
}

fn state(state: &str) -> (Style, &'static str) {
    match state {
        "active" => (GOOD, "active"),
        "awaiting_user" => (WARN, "awaiting user"),
        "expired" => (BAD, "expired"),
        _ => (BAD, "signed out"),
    }
}

fn summary(status: &Status, now: UnixTime) -> String {
    let at = |time: Option<i64>| time.map(|at| words::relative(UnixTime::new(at), now));
    match status.state.as_str() {
        "active" => match (at(status.expires_at), at(status.next_refresh_at)) {
            (Some(end), Some(refresh)) => format!("token ends {end}, next refresh {refresh}"),
            (Some(end), None) => format!("token ends {end}, and cannot be refreshed"),
            (None, Some(refresh)) => format!("next refresh {refresh}"),
            (None, None) => "the token has no known end".to_owned(),
        },
        "expired" => "the token has lapsed; the sign-in is kept".to_owned(),
        "awaiting_user" => format!("see the code with `oauth2mqtt login {}`", status.account),
        _ => format!("sign in with `oauth2mqtt login {}`", status.account),
    }
}

fn details(status: &Status, now: UnixTime) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(at) = status.signed_in_at {
        let user = status.user.as_deref().map(|user| format!(" as {}", printable(user))).unwrap_or_default();
        let changed = if status.user_changed_at.is_some() { ", by somebody else than before" } else { "" };
        lines.push(format!("signed in{user} {}{changed}", words::relative(UnixTime::new(at), now)));
    }
    if let Some(scope) = &status.scope {
        lines.push(format!("scopes: {}", printable(scope)));
    }
    if let Some(error) = &status.error {
        let since = words::relative(UnixTime::new(error.since), now);
        lines.push(format!("{} ({since}): {}", printable(&error.code), printable(&error.message)));
        if let Some(retry) = error.retry_at {
            lines.push(format!("next try {}", words::relative(UnixTime::new(retry), now)));
        }
    }
    lines
}
