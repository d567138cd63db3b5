//! Shows the state of the accounts.

use std::io::Write as _;

use anstyle::Style;

use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::terminal::Terminal;
use super::{BAD, BOLD, DIM, GOOD, WARN, layout, say};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::fault::FaultCode;
use crate::domain::grant_kind::GrantKind;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::ui::relative_time;
use crate::wire::{StatusMessage, Verb};

/// One line about an account: its label and its text.
struct Row {
    style: Style,
    label: &'static str,
    text: String,
}

/// The width of the labels, in columns.
const LABELS: usize = 13;

/// On a terminal with fewer columns for the text than this, the text stands below its label.
const FEWEST: usize = 36;

/// The form in which the status is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// As JSON.
    pub(super) json: bool,
    /// The accounts that need somebody alone, and the exit code says whether there are any.
    pub(super) check: bool,
}

/// Shows the state of one account, or of all.
pub(super) async fn show(agent: &mut RunningAgent, account: Option<&AccountName>, looks: Looks) -> Result<(), Failure> {
    let all: Vec<StatusMessage> = match account {
        Some(_) => vec![agent.ask(Verb::Status, account).await?],
        None => agent.ask(Verb::Status, None).await?,
    };
    if looks.json {
        let text = match account {
            Some(_) => serde_json::to_string_pretty(&all.first()),
            None => serde_json::to_string_pretty(&all),
        };
        writeln!(anstream::stdout(), "{}", text.unwrap_or_default()).map_err(|error| Failure::output(&error))?;
    }
    if looks.check {
        return check(&all);
    }
    if looks.json { Ok(()) } else { show_all(&all) }
}

fn show_all(all: &[StatusMessage]) -> Result<(), Failure> {
    if all.is_empty() {
        return say("The configuration names no account yet. Add one with `sudo oauth2mqtt add`.");
    }
    let width = all.iter().map(|status| status.account.as_str().len()).max().unwrap_or_default();
    let columns = Terminal::stdout().columns;
    let now = clock::now().wall;
    for status in all {
        let rows = rows(status, now);
        let name = status.account.as_str();
        let indent = width + 2 + LABELS + 2;
        if columns.is_some_and(|columns| columns < indent + FEWEST) {
            below_each_other(name, &rows, columns)?;
        } else {
            side_by_side(name, width, &rows, columns)?;
        }
    }
    Ok(())
}

/// Fails if an account needs somebody, and says what each of them needs.
fn check(all: &[StatusMessage]) -> Result<(), Failure> {
    let needy: Vec<_> = all.iter().filter(|status| needs_somebody(status)).map(need).collect();
    if needy.is_empty() { Ok(()) } else { Err(Failure::new(Exit::NeedsSomebody, needy.join("\n"))) }
}

/// Says what an account needs.
fn need(status: &StatusMessage) -> String {
    let account = &status.account;
    match &status.error {
        Some(error) => format!("{account}: {}", printable(&error.message)),
        None => format!("{account} is not signed in.\n  help: sign in with `oauth2mqtt login {account}`"),
    }
}

/// Returns whether flows have no valid token, and nothing changes that before somebody does something.
pub(super) fn needs_somebody(status: &StatusMessage) -> bool {
    let is_stuck = status.error.as_ref().is_some_and(|error| error.retry_at.is_none());
    let is_refused = status.error.as_ref().is_some_and(|error| error.code == FaultCode::TokenRefused.name());
    status.needs_user || (status.state != "active" && is_stuck) || is_refused
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

fn rows(status: &StatusMessage, now: UnixTime) -> Vec<Row> {
    let (style, label) = state(&status.state);
    let mut rows = vec![Row { style, label, text: summary(status, now) }];
    let mut row = |style, label, text| rows.push(Row { style, label, text });
    if let Some(at) = status.signed_in_at {
        let user = status.user.as_deref().map(|user| format!("as {}, ", printable(user))).unwrap_or_default();
        let changed = if status.user_changed_at.is_some() { ", by somebody else than before" } else { "" };
        row(DIM, "signed in", format!("{user}{}{changed}", relative_time::relative(UnixTime::new(at), now)));
    }
    if let Some(at) = status.sign_in_ends_at {
        row(DIM, "sign-in ends", relative_time::relative(UnixTime::new(at), now));
    }
    if let Some(scope) = &status.scope {
        row(DIM, "scopes", printable(scope));
    }
    for token in &status.tokens {
        let name = printable(&token.name);
        let end = token.expires_at.map(|at| format!("expires {}", relative_time::relative(UnixTime::new(at), now)));
        match &token.error {
            Some(error) => row(BAD, "token", format!("{name}: {}", printable(&error.message))),
            None => row(
                DIM,
                "token",
                format!("{name}: {}", end.as_deref().unwrap_or("not there yet, or without a known end")),
            ),
        }
    }
    if status.declared.as_deref() == Some("mqtt") {
        row(DIM, "declared", "over MQTT, by a flow".to_owned());
    }
    if status.sign_in_needed {
        let account = &status.account;
        let text = format!("its settings ask for something else now; sign in again with `oauth2mqtt login {account}`");
        row(WARN, "outdated", text);
    }
    for warning in &status.warnings {
        row(WARN, "warning", printable(warning));
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

fn summary(status: &StatusMessage, now: UnixTime) -> String {
    let at = |time: Option<i64>| time.map(|at| relative_time::relative(UnixTime::new(at), now));
    let account = &status.account;
    match status.state.as_str() {
        "active" => match (at(status.expires_at), at(status.next_refresh_at)) {
            (Some(end), Some(refresh)) => format!("token expires {end}, next refresh {refresh}"),
            (Some(end), None) => format!("token expires {end}, and cannot be refreshed"),
            (None, Some(refresh)) => format!("next refresh {refresh}"),
            (None, None) => "the provider says nothing of when the token expires".to_owned(),
        },
        "expired" => "the token has expired; the sign-in is kept".to_owned(),
        "awaiting_user" => format!("a sign-in is pending; see the code with `oauth2mqtt login {account}`"),
        _ if !status.needs_user => "the agent signs in by itself".to_owned(),
        _ if signs_in_by_itself(status) && status.error.is_some() => {
            "the agent signs in by itself, once its settings are changed and `oauth2mqtt reload` was run".to_owned()
        }
        _ => format!("sign in with `oauth2mqtt login {account}`"),
    }
}

/// Returns whether no user is needed for the account's sign-ins.
pub(super) fn signs_in_by_itself(status: &StatusMessage) -> bool {
    GrantKind::UNATTENDED.iter().any(|grant| status.grant.as_deref() == Some(grant.name()))
}
