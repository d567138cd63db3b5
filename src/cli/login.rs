//! Signs in: shows where to approve, and waits until somebody has.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BOLD, DIM, GOOD, WARN, layout, say};
use crate::broker::Message;
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::secret::Secret;
use crate::domain::session::Topic;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::ui::qr::{Ink, Qr};
use crate::ui::relative_time;
use crate::wire::Verb;

#[derive(Deserialize)]
struct SignIn {
    pending: bool,
    verification_uri: Option<String>,
    verification_uri_complete: Option<String>,
    user_code: Option<String>,
    redirect_uri: Option<String>,
    expires_at: Option<i64>,
}

#[derive(Deserialize)]
struct Status {
    state: String,
    expires_at: Option<i64>,
    user: Option<String>,
    error: Option<StatusError>,
}

#[derive(Deserialize)]
struct StatusError {
    message: String,
}

pub(super) async fn login(agent: &mut RunningAgent, account: &AccountName) -> Result<(), Failure> {
    let answer = agent.ask(Verb::Login, Some(account)).await?;
    let mut shown: SignIn = serde_json::from_value(answer).map_err(|_| not_understood())?;
    if shown.pending {
        show(account, &shown)?;
    }
    let (status_topic, sign_in_topic) =
        (agent.topics().account(account, Topic::Status), agent.topics().account(account, Topic::SignIn));
    // In this order the status that belongs to the end of a sign-in is there before the end is seen.
    agent.subscribe(&status_topic).await?;
    agent.subscribe(&sign_in_topic).await?;
    let mut status: Option<Status> = None;
    let mut countdown = Countdown::new(shown.redirect_uri.is_none());
    let mut pasted = if shown.redirect_uri.is_some() { lines_of_stdin() } else { None };
    loop {
        let message = tokio::select! {
            message = countdown.until_next(agent, shown.expires_at) => message?,
            line = next_line(&mut pasted) => {
                countdown.clear()?;
                if let Err(failure) = agent.complete(account, &line).await {
                    say(&format!("{WARN}Not yet:{WARN:#} {}", failure.message))?;
                }
                None
            }
        };
        let Some(message) = message else { continue };
        if message.topic == status_topic {
            status = serde_json::from_slice(&message.payload).ok();
        }
        if message.topic != sign_in_topic {
            continue;
        }
        let now: SignIn = serde_json::from_slice(&message.payload).map_err(|_| not_understood())?;
        if !now.pending {
            countdown.clear()?;
            return ended(agent, account, status.as_ref());
        }
        if now.verification_uri != shown.verification_uri || now.user_code != shown.user_code {
            countdown.clear()?;
            say("There is a new one.")?;
            show(account, &now)?;
        }
        shown = now;
    }
}

/// The address and the code, as a picture and as text. What comes from the provider is made fit for the terminal here
/// as well, because what this command reads comes from the broker, and not only the agent can write there.
fn show(account: &AccountName, sign_in: &SignIn) -> Result<(), Failure> {
    let short = sign_in.verification_uri.as_deref().map(printable).unwrap_or_default();
    let full = sign_in.verification_uri_complete.as_deref().map(whole);
    say("")?;
    if let Some(drawn) = picture(full.as_deref().unwrap_or(&short)).or_else(|| picture(&short)) {
        write!(anstream::stdout(), "{drawn}").map_err(|error| Failure::output(&error))?;
        say("")?;
    }
    say(&format!("To sign in {BOLD}{account}{BOLD:#}, scan the code with a phone, or open"))?;
    if let Some(redirect_uri) = sign_in.redirect_uri.as_deref().map(printable) {
        say(&format!("  {}", full.unwrap_or(short)))?;
        say("")?;
        say(&format!("After you have approved, the browser goes to {BOLD}{redirect_uri}{BOLD:#}."))?;
        say("If it cannot reach that, copy the address that it shows, paste it here, and press Enter.")?;
        if let Some(at) = sign_in.expires_at {
            say(&format!("It lapses {}.", relative_time::relative(UnixTime::new(at), clock::now().wall)))?;
        }
    } else {
        say(&format!("  {BOLD}{short}{BOLD:#}"))?;
        let code = sign_in.user_code.as_deref().map(printable).unwrap_or_default();
        say(&format!("and enter  {BOLD}{code}{BOLD:#}"))?;
        if let Some(full) = full {
            say(&format!("{DIM}With the code in it: {full}{DIM:#}"))?;
        }
    }
    say("")?;
    say(&format!("{DIM}Ctrl-C leaves the sign-in waiting; `oauth2mqtt cancel {account}` gives it up.{DIM:#}"))
}

/// An address to be opened, whole: cut, it would lead nowhere.
fn whole(address: &str) -> String {
    address.chars().filter(char::is_ascii_graphic).collect()
}

/// What is typed or pasted, line by line; read by a thread of its own, which ends with the program.
fn lines_of_stdin() -> Option<mpsc::Receiver<Secret>> {
    let (lines, pasted) = mpsc::channel(1);
    let read = move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let line = Secret::new(line);
            if !line.expose().trim().is_empty() && lines.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read).ok().map(|_| pasted)
}

/// The next line; for ever, if there are no more.
async fn next_line(pasted: &mut Option<mpsc::Receiver<Secret>>) -> Secret {
    if let Some(lines) = pasted
        && let Some(line) = lines.recv().await
    {
        return line;
    }
    std::future::pending().await
}

/// The QR code, if the terminal is wide enough for it.
fn picture(address: &str) -> Option<String> {
    let qr = Qr::new(address).ok()?;
    let terminal = std::io::stdout().is_terminal();
    let columns = layout::columns(std::io::stdout()).unwrap_or(80);
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    (qr.columns() <= columns).then(|| qr.terminal(if colours { Ink::Colours } else { Ink::Plain }))
}

fn ended(agent: &RunningAgent, account: &AccountName, status: Option<&Status>) -> Result<(), Failure> {
    let Some(status) = status else { return Err(not_understood()) };
    if let Some(error) = &status.error {
        return Err(Failure::new(Exit::Failed, printable(&error.message)));
    }
    if status.state != "active" {
        return Err(Failure::new(Exit::Failed, "the sign-in was cancelled."));
    }
    let user = status.user.as_deref().map(|user| format!(" as {}", printable(user))).unwrap_or_default();
    say(&format!("{GOOD}Signed in{user}.{GOOD:#}"))?;
    let topic = agent.topics().account(account, Topic::Token);
    let end = status.expires_at.map(UnixTime::new);
    let end =
        end.map_or_else(String::new, |at| format!(", and ends {}", relative_time::relative(at, clock::now().wall)));
    say(&format!("The access token is on the topic {BOLD}{topic}{BOLD:#}{end}. It is refreshed by itself."))
}

fn not_understood() -> Failure {
    Failure::new(Exit::Failed, "the agent's messages are not understood. Are agent and command of the same version?")
}

/// Whether the terminal has room for the text on one line: what is broken in two could not be taken back.
fn fits(text: &str) -> bool {
    layout::columns(std::io::stdout()).is_none_or(|columns| layout::visible_width(text) < columns)
}

/// A line that counts down while nothing happens, on a terminal.
struct Countdown {
    ticks: tokio::time::Interval,
    shown: bool,
}

impl Countdown {
    /// Where an address may be pasted, no line is written over what is being typed.
    fn new(wanted: bool) -> Self {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, shown: wanted && std::io::stdout().is_terminal() }
    }

    /// The next message, or `None` after a second without one.
    async fn until_next(
        &mut self,
        agent: &mut RunningAgent,
        expires_at: Option<i64>,
    ) -> Result<Option<Message>, Failure> {
        tokio::select! {
            message = agent.next() => message.map(Some),
            _ = self.ticks.tick() => {
                let left = expires_at.map(|at| UnixTime::new(at).since(clock::now().wall));
                let left = left.map_or_else(String::new, relative_time::countdown);
                let long = format!("Waiting for approval. It lapses in {left}.");
                self.line(if fits(&long) { &long } else { &left })?;
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
