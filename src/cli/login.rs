//! Signs in: shows where to approve, and waits until somebody has.

use std::io::Write as _;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::exit::{Exit, Failure};
use super::login_screen::{Screen, show};
use super::remote::RunningAgent;
use super::status::signs_in_by_itself;
use super::terminal::Terminal;
use super::whole_lines::{LineReader, WholeLines};
use super::{BOLD, GOOD, WARN, layout, say};
use crate::broker::Message;
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::fault::FaultCode;
use crate::domain::secret::Secret;
use crate::domain::session::Topic;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::ui::relative_time;
use crate::wire::{ErrorCode, InfoMessage, Presence, SignInMessage, StateMessage, StatusMessage, Verb};

/// The time after the end of a code within which the agent says so.
const GRACE: Duration = Duration::from_secs(15);

/// Signs in.
pub(super) async fn login(agent: &mut RunningAgent, account: &AccountName) -> Result<(), Failure> {
    login_on(agent, account, &Screen::default()).await
}

/// Signs in, and shows it as `screen` says.
pub(super) async fn login_on(agent: &mut RunningAgent, account: &AccountName, screen: &Screen) -> Result<(), Failure> {
    let before: StatusMessage = agent.ask(Verb::Status, Some(account)).await?;
    let shown: SignInMessage = agent.ask(Verb::Login, Some(account)).await?;
    if shown.pending && before.state == "active" {
        let user = user(&before);
        say(&format!("{account} is signed in already{user}. The new sign-in takes its place once it is approved."))?;
    }
    // Before anything is asked for, so that nothing is pasted that is cut.
    let whole_lines = shown.redirect_uri.is_some().then(WholeLines::from_stdin);
    if shown.pending {
        show(account, &shown, screen)?;
    }
    let topics = agent.topics();
    let (state_topic, status_topic, sign_in_topic) =
        (topics.state(), topics.account(account, &Topic::Status), topics.account(account, &Topic::SignIn));
    // In this order the status that belongs to the end of a sign-in is there before the end is seen.
    agent.subscribe(&state_topic).await?;
    agent.subscribe(&status_topic).await?;
    agent.subscribe(&sign_in_topic).await?;
    let mut status: Option<StatusMessage> = None;
    let mut countdown = Countdown::new(&shown);
    let mut pasted = whole_lines.as_ref().and_then(|lines| lines_of(lines.reader()));
    let mut shown = shown;
    loop {
        let overdue_at = countdown.expires.map(|at| at + GRACE);
        let message = tokio::select! {
            message = countdown.until_next(agent) => message?,
            line = next_line(&mut pasted) => {
                countdown.clear()?;
                if let Err(failure) = agent.complete(account, &line).await {
                    say(&format!("{WARN}Not yet:{WARN:#} {}", failure.message))?;
                }
                None
            }
            () = passed(overdue_at) => {
                countdown.clear()?;
                return Err(overdue(account));
            }
        };
        let Some(message) = message else { continue };
        if message.topic == state_topic {
            let state: Option<StateMessage> = serde_json::from_slice(&message.payload).ok();
            if state.is_some_and(|message| message.state == Presence::Offline) {
                countdown.clear()?;
                return Err(agent_stopped(account));
            }
        } else if message.topic == status_topic {
            let told = status.take().map(|status: StatusMessage| status.warnings).unwrap_or_default();
            status = serde_json::from_slice(&message.payload).ok();
            let warnings = status.iter().flat_map(|status| &status.warnings);
            for warning in warnings.filter(|warning| !told.contains(*warning)) {
                countdown.clear()?;
                say(&format!("{WARN}Warning:{WARN:#} {}", printable(warning)))?;
            }
        } else if message.topic == sign_in_topic {
            let now: SignInMessage = serde_json::from_slice(&message.payload).map_err(|_| Failure::not_understood())?;
            if !now.pending {
                countdown.clear()?;
                let status = status.ok_or_else(Failure::not_understood)?;
                return ended(agent, account, &before, &status).await;
            }
            if now.verification_uri != shown.verification_uri || now.user_code != shown.user_code {
                countdown.clear()?;
                say("There is a new code.")?;
                show(account, &now, screen)?;
                countdown = Countdown::new(&now);
            }
            shown = now;
        }
    }
}

/// The lines of standard input, read by a thread that ends with the program.
fn lines_of(reader: LineReader) -> Option<mpsc::Receiver<Secret>> {
    let (lines, pasted) = mpsc::channel(1);
    let read = move || {
        while let Some(line) = reader.next_line() {
            let line = line.trim();
            if !line.is_empty() && lines.blocking_send(Secret::new(line.to_owned())).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read).ok().map(|_| pasted)
}

/// The next line; waits for ever if there is none.
async fn next_line(pasted: &mut Option<mpsc::Receiver<Secret>>) -> Secret {
    if let Some(lines) = pasted
        && let Some(line) = lines.recv().await
    {
        return line;
    }
    std::future::pending().await
}

/// Says how the sign-in ended, by the status before it and the status now.
async fn ended(
    agent: &mut RunningAgent,
    account: &AccountName,
    before: &StatusMessage,
    status: &StatusMessage,
) -> Result<(), Failure> {
    let is_new = status.signed_in_at.is_some() && status.signed_in_at != before.signed_in_at;
    if status.state == "active" && (is_new || signs_in_by_itself(status)) {
        return signed_in(agent, account, status).await;
    }
    let identity = |status: &StatusMessage| status.error.as_ref().map(|error| (error.code.clone(), error.since));
    let kept = if status.state == "active" || status.state == "expired" {
        format!("\n  help: the former sign-in{} is kept, and refreshed as before", user(status))
    } else {
        String::new()
    };
    match status.error.as_ref().filter(|_| identity(status) != identity(before)) {
        Some(error) => {
            let exit = ErrorCode::find(&error.code).map_or(Exit::Failed, Exit::from);
            Err(Failure::new(exit, printable(&error.message)))
        }
        None => Err(Failure::new(Exit::Failed, format!("the sign-in was cancelled.{kept}"))),
    }
}

async fn signed_in(agent: &mut RunningAgent, account: &AccountName, status: &StatusMessage) -> Result<(), Failure> {
    say(&format!("{GOOD}Signed in{}.{GOOD:#}", user(status)))?;
    let info: Option<InfoMessage> = agent.retained_message(&agent.topics().info()).await?;
    let info = info.and_then(|info| info.accounts.into_iter().find(|it| it.name == account.as_str()));
    let place = if info.is_some_and(|account| account.publish == "on_request") {
        format!("The access token is given on request: `oauth2mqtt token {account}`.")
    } else {
        let topic = agent.topics().account(account, &Topic::Token);
        format!("The access token is on the topic {BOLD}{topic}{BOLD:#}.")
    };
    let now = clock::now().wall;
    let at = |time: i64| relative_time::relative(UnixTime::new(time), now);
    let end = match (status.expires_at, status.next_refresh_at) {
        (Some(end), Some(refresh)) => format!(" It expires {}, and is refreshed {}.", at(end), at(refresh)),
        (None, Some(refresh)) => format!(" It is refreshed {}.", at(refresh)),
        (Some(end), None) => {
            let why = status.error.as_ref().filter(|error| error.code == FaultCode::NoRefreshToken.name());
            let why = why.map_or_else(String::new, |error| format!(" {}", printable(&error.message)));
            format!(" It expires {}, and cannot be refreshed: somebody has to sign in again then.{why}", at(end))
        }
        (None, None) => " The provider says nothing of when it expires, and it cannot be refreshed.".to_owned(),
    };
    say(&format!("{place}{end}"))
}

fn user(status: &StatusMessage) -> String {
    status.user.as_deref().map(|user| format!(" as {}", printable(user))).unwrap_or_default()
}

fn agent_stopped(account: &AccountName) -> Failure {
    let message = format!(
        "the agent has stopped. The sign-in is kept, and goes on when the agent runs again.\n  help: start it with \
         `sudo systemctl start oauth2mqtt`, then run `oauth2mqtt login {account}` again"
    );
    Failure::new(Exit::Unavailable, message)
}

fn overdue(account: &AccountName) -> Failure {
    let message = format!(
        "the sign-in has expired, and the agent has not said so.\n  help: see how it is with `oauth2mqtt status {account}`, and \
         start another sign-in with `oauth2mqtt login {account}`"
    );
    Failure::new(Exit::Unavailable, message)
}

/// Waits until a moment has passed; for ever if there is none.
async fn passed(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// A line that counts down while nothing happens, on a terminal.
struct Countdown {
    ticks: tokio::time::Interval,
    expires: Option<Instant>,
    shown: bool,
    terminal: Terminal,
}

impl Countdown {
    fn new(sign_in: &SignInMessage) -> Self {
        let terminal = Terminal::stdout();
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The agent's clock and this one may differ, so a code that seems to have expired already is given no end.
        let left =
            sign_in.expires_at.map(|at| UnixTime::new(at).since(clock::now().wall)).filter(|left| !left.is_zero());
        let expires = left.map(|left| Instant::now() + left);
        // Where an address may be pasted, no line is written over what is being typed.
        let shown = terminal.obeys && sign_in.redirect_uri.is_none();
        Self { ticks, expires, shown, terminal }
    }

    /// The next message, or `None` after a second without one.
    async fn until_next(&mut self, agent: &mut RunningAgent) -> Result<Option<Message>, Failure> {
        tokio::select! {
            message = agent.next() => message.map(Some),
            _ = self.ticks.tick() => {
                let left = self.expires.map(|at| at.saturating_duration_since(Instant::now()));
                let left = left.map(relative_time::countdown);
                let long = left.as_ref().map_or_else(
                    || "Waiting for approval.".to_owned(),
                    |left| format!("Waiting for approval. The code expires in {left}."),
                );
                let short = left.as_ref().map(|left| format!("It expires in {left}.")).unwrap_or_default();
                let fits = |text: &str| self.terminal.columns.is_none_or(|columns| layout::visible_width(text) < columns);
                self.line([&long, &short].into_iter().find(|text| fits(text)).map_or("", String::as_str))?;
                Ok(None)
            }
        }
    }

    fn clear(&self) -> Result<(), Failure> {
        self.line("")
    }

    fn line(&self, text: &str) -> Result<(), Failure> {
        if !self.shown {
            return Ok(());
        }
        let mut out = std::io::stdout();
        write!(out, "\r\u{1b}[K{text}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }
}
