//! `oauth2mqtt gate`: who is signed in at the gate, and signing people out.

use super::exit::{Exit, Failure};
use super::remote::RunningAgent;
use super::{BOLD, GOOD, say};
use crate::domain::clock::UnixTime;
use crate::domain::text::printable;
use crate::platform::clock;
use crate::ui::relative_time::relative;
use crate::wire::{EVERYBODY, GateMessage, GateSessionMessage, Request};

/// Who is to be signed out.
#[derive(Clone, Debug)]
pub(super) enum SignOut {
    /// This person, in every browser.
    User(String),
    /// Everybody.
    Everybody,
}

/// Shows who is signed in, after signing somebody out if that is wanted.
pub(super) async fn gate(agent: &mut RunningAgent, sign_out: Option<SignOut>) -> Result<(), Failure> {
    if matches!(&sign_out, Some(SignOut::User(user)) if user == EVERYBODY) {
        return Err(Failure::new(Exit::Usage, "to sign everybody out, write --all."));
    }
    let sign_out_text = sign_out.as_ref().map(|who| match who {
        SignOut::User(user) => user.clone(),
        SignOut::Everybody => EVERYBODY.to_owned(),
    });
    let request = Request { sign_out: sign_out_text, ..Request::about(None) };
    let GateMessage { signed_out, sessions } = agent.ask_about_gate(&request).await?;
    match sign_out {
        None => show(&sessions),
        Some(SignOut::User(user)) if signed_out == 0 => {
            say(&format!("{} was not signed in. `oauth2mqtt gate` shows who is.", printable(&user)))
        }
        Some(_) => say(&format!("{GOOD}Signed out in {}.{GOOD:#}", browsers(signed_out))),
    }
}

fn show(sessions: &[GateSessionMessage]) -> Result<(), Failure> {
    if sessions.is_empty() {
        return say("Nobody is signed in at the gate.");
    }
    let now = clock::now().wall;
    for GateSessionMessage { user, name, way, expires_at } in sessions {
        let name = name.as_deref().map_or_else(String::new, |name| format!(" ({})", printable(name)));
        let ends = relative(UnixTime::new(*expires_at), now);
        say(&format!("{BOLD}{}{BOLD:#}{name}, by {}, ends {ends}", printable(user), printable(way)))?;
    }
    Ok(())
}

fn browsers(count: usize) -> String {
    if count == 1 { "1 browser".to_owned() } else { format!("{count} browsers") }
}
