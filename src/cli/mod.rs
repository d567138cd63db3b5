//! The program: reads the command line, and runs the agent or asks the one that runs.

mod add;
mod args;
mod bridge;
mod check;
mod exit;
mod layout;
mod login;
mod providers;
mod remote;
mod run;
mod service_user;
mod status;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Parser;

use crate::config::{self, Environment};
use crate::domain::account::AccountName;
use crate::domain::secret::Secret;
use crate::domain::settings::Settings;
use crate::domain::text::printable;
use crate::store::process;
use crate::wire::Verb;
use args::{Args, Command};
use exit::{Exit, Failure};
use remote::RunningAgent;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == process::COMMAND)
        && let Some(folder) = arguments.next()
    {
        return process::main(Path::new(&folder));
    }
    let args = Args::parse();
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With nobody left to read it, there is no better place for it.
            let _ = writeln!(anstream::stderr(), "{}", complaint(&failure.message));
            failure.exit.into()
        }
    }
}

/// A failure as it stands on the terminal: each error with its mark, and what helps below it.
fn complaint(message: &str) -> String {
    const HELP: &str = "  help: ";
    let columns = layout::columns(std::io::stderr());
    let mut lines = Vec::new();
    for line in message.split('\n') {
        lines.push(match line.strip_prefix(HELP) {
            Some(help) => layout::wrapped(&format!("  {GOOD}help:{GOOD:#} {help}"), Some(HELP.len()), columns),
            None => layout::wrapped(&format!("{BAD}error:{BAD:#} {line}"), Some("error: ".len()), columns),
        });
    }
    lines.join("\n")
}

fn execute(args: Args) -> Result<(), Failure> {
    let config = args.config.as_path();
    match args.command {
        Command::Run => run::run(config, args.log),
        Command::Check { broker_config } => check::check(config, &broker_config),
        Command::Providers => providers::list(),
        Command::Add(wanted) => add::add(config, wanted),
        Command::Login { account } => ask(config, async |agent| login::login(agent, &name(&account)?).await),
        Command::Status { account, json } => ask(config, async |agent| {
            let account = account.as_deref().map(name).transpose()?;
            status::show(agent, account.as_ref(), json).await
        }),
        Command::Token { account } => ask(config, async |agent| print_token(agent, &name(&account)?).await),
        Command::Complete { account } => complete(config, &account),
        Command::Reload => ask(config, async |agent| {
            agent.ask(Verb::Reload, None).await?;
            say(&format!("{GOOD}The agent has read its configuration again.{GOOD:#}"))
        }),
        Command::Cancel { account } => simple(config, &account, Verb::Cancel, "The sign-in is cancelled."),
        Command::Refresh { account } => simple(config, &account, Verb::Refresh, "Refreshed."),
        Command::Logout { account } => logout(config, &account),
    }
}

/// Asks the running agent.
fn ask(config: &Path, command: impl AsyncFnOnce(&mut RunningAgent) -> Result<(), Failure>) -> Result<(), Failure> {
    let settings = settings(config)?;
    block_on(async {
        let mut agent = RunningAgent::find(&settings.mqtt).await?;
        let result = command(&mut agent).await;
        agent.leave().await;
        result
    })
}

/// Waits for what is done over the network.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("the async runtime cannot start: {error}.")))?;
    runtime.block_on(work)
}

fn simple(config: &Path, account: &str, verb: Verb, done: &str) -> Result<(), Failure> {
    let account = name(account)?;
    ask(config, async |agent| {
        agent.ask(verb, Some(&account)).await?;
        say(&format!("{GOOD}{done}{GOOD:#}"))
    })
}

fn logout(config: &Path, account: &str) -> Result<(), Failure> {
    let account = name(account)?;
    ask(config, async |agent| {
        let status = agent.ask(Verb::Logout, Some(&account)).await?;
        say(&format!("{GOOD}Signed out.{GOOD:#}"))?;
        match status["error"]["message"].as_str() {
            Some(message) => say(&format!("{WARN}But:{WARN:#} {}", printable(message))),
            None => Ok(()),
        }
    })
}

fn complete(config: &Path, account: &str) -> Result<(), Failure> {
    let account = name(account)?;
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::new(Exit::Failed, format!("standard input cannot be read: {error}.")))?;
    let redirected_to = Secret::new(line);
    ask(config, async |agent| {
        agent.complete(&account, &redirected_to).await?;
        say(&format!("{GOOD}Signed in.{GOOD:#}"))
    })
}

async fn print_token(agent: &mut RunningAgent, account: &AccountName) -> Result<(), Failure> {
    let token = agent.token(account).await?;
    let mut out = anstream::stdout();
    writeln!(out, "{}", token.expose()).map_err(|error| Failure::output(&error))
}

fn settings(config: &Path) -> Result<Settings, Failure> {
    Ok(config::load(config, &Environment::from_process())?.settings)
}

fn name(text: &str) -> Result<AccountName, Failure> {
    text.parse().map_err(|error| Failure::new(Exit::Usage, format!("\"{}\": {error}.", printable(text))))
}

/// Writes a line for the user, broken where it would not fit the terminal.
fn say(line: &str) -> Result<(), Failure> {
    let line = layout::wrapped(line, None, layout::columns(std::io::stdout()));
    writeln!(anstream::stdout(), "{line}").map_err(|error| Failure::output(&error))
}
