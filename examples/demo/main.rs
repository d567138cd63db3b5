//! The whole main job of oauth2mqtt on one machine: sign in once, keep the tokens, refresh them, publish them.
//!
//! `cargo run --release --example demo` starts an MQTT broker and an authorization server on loopback, runs the real
//! agent between them, and shows what a flow gets. Nothing leaves the machine, and nothing is left on it. With `--lan` the
//! authorization server can be reached from the network, so that a phone can scan the QR code.
#![allow(clippy::disallowed_methods, reason = "the clock and its rules are the agent's; here it is only watched")]

mod broker;
mod failure;
mod flow;
mod http;
mod lan;
mod person;
mod play;
mod program;
mod provider;
mod stage;
mod summary;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use failure::{Attempted as _, Failure};
use lan::LanAddress;
use stage::{Stage, Who};

/// Shows the whole main job of oauth2mqtt on this machine, in less than a minute: a sign-in with a QR code, refreshes, a
/// power cut, and a flow that calls a protected address with each token. Everything is on 127.0.0.1 and in a temporary
/// folder, which is removed at the end.
///
/// A phone cannot scan the QR code then: on a phone, 127.0.0.1 is the phone itself. With --lan the authorization server
/// has this machine's own address in place of 127.0.0.1, for a phone in the same network. Anybody there can then open its
/// page while the demo runs.
///
/// Exit codes: 0 all went well; 1 something failed; 130 it was interrupted.
#[derive(Parser)]
#[command(name = "demo")]
struct Options {
    /// Approve the sign-in without a person, on the same page
    #[arg(long)]
    approve: bool,

    /// Let a phone in the same network scan the QR code: use this machine's own address, or the one that is named
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "own")]
    lan: Option<LanAddress>,
}

impl Options {
    /// The address that the authorization server listens on.
    fn provider_address(&self) -> Result<IpAddr, Failure> {
        self.lan.map_or(Ok(Ipv4Addr::LOCALHOST.into()), LanAddress::find)
    }
}

fn main() -> ExitCode {
    if let Some(code) = program::if_asked_for() {
        return code;
    }
    let options = Options::parse();
    let stage = Stage::new();
    // On the main thread alone, since the program's processes end with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.attempted("start").and_then(|runtime| runtime.block_on(show(&stage, &options)));
    match outcome {
        Ok(Ending::Complete) => {
            stage.say(Who::Demo, "all went well; everything has been stopped and removed");
            ExitCode::SUCCESS
        }
        Ok(Ending::Interrupted) => {
            stage.say(Who::Demo, "interrupted; everything has been stopped and removed");
            ExitCode::from(130)
        }
        Err(failure) => {
            stage.say(Who::Demo, format_args!("FAILED: {failure}"));
            ExitCode::FAILURE
        }
    }
}

enum Ending {
    Complete,
    Interrupted,
}

async fn show(stage: &Stage, options: &Options) -> Result<Ending, Failure> {
    let folder = tempfile::Builder::new().prefix("oauth2mqtt-demo-").tempdir().attempted("make a temporary folder")?;
    // Dropping the play ends the agent, before the folder goes.
    let ending = tokio::select! {
        // Ctrl-C reaches the program's processes too, and that they end is no failure then.
        biased;
        caught = interruption() => caught.map(|()| Ending::Interrupted).attempted("watch for signals"),
        played = play::run(stage, folder.path(), options.provider_address()?, options.approve) => {
            played.map(|()| Ending::Complete)
        }
    };
    folder.close().attempted("remove the temporary folder")?;
    ending
}

/// Waits for Ctrl-C, or for another way in which a person ends a program.
async fn interruption() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
