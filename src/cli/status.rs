//! Shows the state of the accounts.

use std::io::Write as _;

use anstyle::Style;
use serde::Deserialize;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BAD, BOLD, DIM, GOOD, WARN, layout, say};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::ui::relative_time;
use crate::wire::Verb;

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
    declared: String,
    sign_in_needed: bool,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    code: String,
    message: String,
    since: i64,
    retry_at: Option<i64>,
}

/// One line about an account: what it is about, and what there is to say.
struct Row {
    style: Style,
    label: &'static str,
    text: String,
}

/// How wide the labels are.
const LABELS: usize = 13;

/// On a terminal with fewer columns for the text than this, the text stands below its label.
const FEWEST: usize = 36;

pub(super) async fn show(agent: &mut RunningAgent, account: Option<&AccountName>, json: bool) -> Result<(), Failure> {
    let answer = agent.ask(Verb::Status, account).await?;
    if json {
        let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
        return writeln!(anstream::stdout(), "{text}").map_err(|error| Failure::output(&error));
    }
    let all = if answer.is_array() { answer } else { Value::Array(vec![answer]) };
    let all: Vec<Status> = serde_json::from_value(all).map_err(|_| {
        Failure::new(Exit::Failed, "the agent's answer is not understood. Are agent and command of the same version?")
    })?;
    if all.is_empty() {
        return say("The configuration names no account yet. Add one with `sudo oauth2mqtt add`.");
    }
    let width = all.iter().map(|status| status.account.len()).max().unwrap_or_default();
    let columns = layout::columns(std::io::stdout());
    let now = clock::now().wall;
    for status in &all {
        let rows = rows(status, now);
        let name = printable(&status.account);
        let indent = width + 2 + LABELS + 2;
        if columns.is_some_and(|columns| columns < indent + FEWEST) {
            below_each_other(&name, &rows, columns)?;
        } else {
            side_by_side(&name, width, &rows, columns)?;
        }
    }
    Ok(())
}

fn side_by_side(name: &str, width: usize, rows: &[Row], columns: Option<usize>) -> Result<(), Failure> {
    for (count, Row { style, label, text }) in rows.iter().enumerate() {
        let name = if count == 0 { name } else { "" };
        let line = format!("{BOLD}{name:width$}{BOLD:#}  {style}{label:LABELS$}{style:#}  {text}");
        say(&layout::wrapped(&line, Some(width + 2 + LABELS + 2), columns))?;
    }
    Ok(())
}

fn below_each_other(name: &str, rows: &[Row], columns: Option<usize>) -> Result<(), Failure> {
    for (count, Row { style, label, text }) in rows.iter().enumerate() {
        if count == 0 {
            say(&format!("{BOLD}{name}{BOLD:#}  {style}{label}{style:#}"))?;
            say(&layout::wrapped(&format!("  {text}"), Some(4), columns))?;
        } else {
            let line = format!("  {style}{label}{style:#}{}{text}", if label.is_empty() { "" } else { " " });
            say(&layout::wrapped(&line, Some(4), columns))?;
        }
    }
    Ok(())
}

fn rows(status: &Status, now: UnixTime) -> Vec<Row> {
    let (style, label) = state(&status.state);
    let mut rows = vec![Row { style, label, text: summary(status, now) }];
    let mut row = |style, label, text| rows.push(Row { style, label, text });
    if let Some(at) = status.signed_in_at {
        let user = status.user.as_deref().map(|user| format!("as {}, ", printable(user))).unwrap_or_default();
        let changed = if status.user_changed_at.is_some() { ", by somebody else than before" } else { "" };
        row(DIM, "signed in", format!("{user}{}{changed}", relative_time::relative(UnixTime::new(at), now)));
    }
    if let Some(scope) = &status.scope {
        row(DIM, "scopes", printable(scope));
    }
    if status.declared == "mqtt" {
        row(DIM, "declared", "over MQTT, by a flow".to_owned());
    }
    if status.sign_in_needed {
        let account = printable(&status.account);
        let text = format!("it asks for something else now; sign in again with `oauth2mqtt login {account}`");
        row(WARN, "outdated", text);
    }
    if let Some(error) = &status.error {
        row(BAD, "error", printable(&error.message));
        let since = relative_time::relative(UnixTime::new(error.since), now);
        let retry = error.retry_at.map(|at| format!("; next try {}", relative_time::relative(UnixTime::new(at), now)));
        row(DIM, "", format!("{DIM}{}, {since}{}{DIM:#}", printable(&error.code), retry.unwrap_or_default()));
    }
    rows
}

fn state(state: &str) -> (Style, &'static str) {
    match state {
        "active" => (GOOD, "active"),
        "awaiting_user" => (WARN, "awaiting user"),
        "expired" => (BAD, "expired"),
        _ => (WARN, "signed out"),
    }
}

fn summary(status: &Status, now: UnixTime) -> String {
    let at = |time: Option<i64>| time.map(|at| relative_time::relative(UnixTime::new(at), now));
    let account = printable(&status.account);
    match status.state.as_str() {
        "active" => match (at(status.expires_at), at(status.next_refresh_at)) {
            (Some(end), Some(refresh)) => format!("token ends {end}, next refresh {refresh}"),
            (Some(end), None) => format!("token ends {end}, and cannot be refreshed"),
            (None, Some(refresh)) => format!("next refresh {refresh}"),
            (None, None) => "the token has no known end".to_owned(),
        },
        "expired" => "the token has lapsed; the sign-in is kept".to_owned(),
        "awaiting_user" => format!("see the code with `oauth2mqtt login {account}`"),
        _ => format!("sign in with `oauth2mqtt login {account}`"),
    }
}
