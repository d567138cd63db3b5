//! The command line: runs the agent, or asks the one that runs.

mod add;
mod args;
mod bridge;
mod check;
mod config_file;
mod doctor;
mod exit;
mod gate;
mod journal;
mod layout;
mod login;
mod login_screen;
mod manual;
mod names;
mod open;
mod providers;
mod remote;
mod remove;
mod run;
mod service_user;
mod status;
mod terminal;
mod whole_lines;

use std::io::Write as _;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::FromArgMatches as _;

use crate::config::{self, Environment};
use crate::domain::account::AccountName;
use crate::domain::fault::FaultCode;
use crate::domain::secret::Secret;
use crate::domain::settings::{MqttSettings, Settings};
use crate::domain::text::printable;
use crate::domain::token_name::TokenName;
use crate::store::process;
use crate::wire::{ReloadMessage, StatusMessage, Verb};
use args::{Args, CliCommand, GateCommand};
use exit::{Exit, Failure};
use gate::SignOut;
use login_screen::Screen;
use remote::RunningAgent;
use terminal::Terminal;
use whole_lines::WholeLines;

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
    let args = Args::from_arg_matches(&manual::command().get_matches()).unwrap_or_else(|error| error.exit());
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
    let columns = Terminal::stderr().columns;
    let mut lines = Vec::new();
    for line in message.split('\n') {
        lines.push(match line.strip_prefix(HELP) {
            Some(help) => layout::wrapped(&format!("  {GOOD}help:{GOOD:#} {help}"), Some(HELP.len()), columns),
            None => layout::wrapped(&format!("{BAD}error:{BAD:#} {line}"), Some("error: ".len()), columns),
        });
    }
    Terminal::stderr().fit(lines.join("\n"))
}

fn execute(args: Args) -> Result<(), Failure> {
    let config = args.config.as_path();
    match args.command {
        CliCommand::Run { log } => run::run(config, args.log.unwrap_or(log)),
        CliCommand::Check { broker_config } => check::check(config, &broker_config),
        CliCommand::Providers { name } => providers::show(config, name.as_deref()),
        CliCommand::Add(wanted) => add::add(config, wanted),
        CliCommand::Remove { account } => remove::remove(config, &account),
        CliCommand::Login { account, qr } => {
            let settings = settings(config)?;
            let page = settings.page.as_ref().and_then(open::address_from_elsewhere);
            let screen = Screen { always_qr: qr, page };
            ask_at(&settings.mqtt, async |agent| login::login_on(agent, &name(&account)?, &screen).await)
        }
        CliCommand::Status { account, json, check } => ask(config, async |agent| {
            let account = account.as_deref().map(name).transpose()?;
            let looks = status::Looks { json, check };
            status::show(agent, account.as_ref(), looks).await
        }),
        CliCommand::Token { account } => ask(config, async |agent| print_token(agent, &account).await),
        CliCommand::Complete { account } => complete(config, &account),
        CliCommand::Reload => ask(config, reload),
        CliCommand::Doctor => doctor::doctor(config),
        CliCommand::Open => open::open(config),
        CliCommand::Names { what } => names::print(config, what),
        CliCommand::Cancel { account } => simple(config, &account, Verb::Cancel, "The sign-in is cancelled."),
        CliCommand::Refresh { account } => simple(config, &account, Verb::Refresh, "Refreshed."),
        CliCommand::Logout { account } => logout(config, &account),
        CliCommand::Gate { command } => {
            let sign_out =
                command.map(|GateCommand::SignOut { user, all: _ }| user.map_or(SignOut::Everybody, SignOut::User));
            ask(config, async |agent| gate::gate(agent, sign_out).await)
        }
    }
}

/// Asks the running agent.
fn ask(config: &Path, command: impl AsyncFnOnce(&mut RunningAgent) -> Result<(), Failure>) -> Result<(), Failure> {
    ask_at(&settings(config)?.mqtt, command)
}

/// Asks the agent that runs at this broker.
fn ask_at(
    mqtt: &MqttSettings,
    command: impl AsyncFnOnce(&mut RunningAgent) -> Result<(), Failure>,
) -> Result<(), Failure> {
    block_on(async {
        let mut agent = RunningAgent::find(mqtt).await?;
        let result = command(&mut agent).await;
        agent.leave().await;
        result
    })
}

/// Waits for what is done over the network.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("the async runtime cannot start: {error}.")))?;
    // Behind a pointer, or the runtime is compiled once for each command.
    let work: Pin<&mut dyn Future<Output = _>> = pin!(work);
    runtime.block_on(work)
}

fn simple(config: &Path, account: &str, verb: Verb, done: &str) -> Result<(), Failure> {
    let account = name(account)?;
    ask(config, async |agent| {
        agent.ask::<StatusMessage>(verb, Some(&account)).await?;
        say(&format!("{GOOD}{done}{GOOD:#}"))
    })
}

fn logout(config: &Path, account: &str) -> Result<(), Failure> {
    let account = name(account)?;
    ask(config, async |agent| {
        let status: StatusMessage = agent.ask(Verb::Logout, Some(&account)).await?;
        match not_revoked(status) {
            None => say(&format!("{GOOD}Signed out.{GOOD:#}")),
            Some(why) => Err(Failure::new(Exit::Failed, format!("signed out on this device only. {why}"))),
        }
    })
}

/// The reason why the provider still honors the tokens of an account that was signed out, if it does.
fn not_revoked(status: StatusMessage) -> Option<String> {
    let error = status.error.filter(|error| error.code == FaultCode::NotRevoked.name())?;
    Some(printable(&error.message))
}

/// Has the agent read its configuration again, and says what changed.
async fn reload(agent: &mut RunningAgent) -> Result<(), Failure> {
    let message: ReloadMessage = agent.ask(Verb::Reload, None).await?;
    say(&format!("{GOOD}The agent has read its configuration again.{GOOD:#}"))?;
    let changes = [("added", &message.added), ("changed", &message.changed), ("removed", &message.removed)];
    if changes.iter().all(|(_, accounts)| accounts.is_empty()) {
        say("No account has changed.")?;
    }
    for (what, accounts) in changes.iter().filter(|(_, accounts)| !accounts.is_empty()) {
        say(&format!("  {BOLD}{what:8}{BOLD:#} {}", printable(&accounts.join(", "))))?;
    }
    if !message.at_next_start.is_empty() {
        let sections: Vec<_> =
            message.at_next_start.iter().map(|section| format!("[{}]", printable(section))).collect();
        let sections = sections.join(", ");
        warn(&format!(
            "{sections} changed too, which takes effect at the next start: `sudo systemctl restart oauth2mqtt`"
        ))?;
    }
    Ok(())
}

fn complete(config: &Path, account: &str) -> Result<(), Failure> {
    let account = name(account)?;
    let line = WholeLines::from_stdin().reader().next_line().unwrap_or_default();
    let redirected_to = Secret::new(line.trim().to_owned());
    ask(config, async |agent| {
        agent.complete(&account, &redirected_to).await?;
        say(&format!("{GOOD}Signed in.{GOOD:#}"))
    })
}

async fn print_token(agent: &mut RunningAgent, written: &str) -> Result<(), Failure> {
    let (account, further) = written.split_once('/').map_or((written, None), |(account, token)| (account, Some(token)));
    let further = further.map(str::parse::<TokenName>).transpose();
    let further =
        further.map_err(|error| Failure::new(Exit::Usage, format!("\"{}\": {error}.", printable(written))))?;
    let token = agent.token(&name(account)?, further.as_ref()).await?;
    let mut out = anstream::stdout();
    writeln!(out, "{}", token.expose()).map_err(|error| Failure::output(&error))
}

/// Writes a warning to standard error.
fn warn(warning: &str) -> Result<(), Failure> {
    let line = Terminal::stderr().fit(format!("{WARN}warning:{WARN:#} {warning}"));
    writeln!(anstream::stderr(), "{line}").map_err(|error| Failure::output(&error))
}

fn settings(config: &Path) -> Result<Settings, Failure> {
    Ok(config::load(config, &Environment::from_process())?.settings)
}

fn name(text: &str) -> Result<AccountName, Failure> {
    text.parse().map_err(|error| Failure::new(Exit::Usage, format!("\"{}\": {error}.", printable(text))))
}

/// Writes a line for the user, broken where it would not fit the terminal.
fn say(line: &str) -> Result<(), Failure> {
    let terminal = Terminal::stdout();
    let line = terminal.fit(layout::wrapped(line, None, terminal.columns));
    writeln!(anstream::stdout(), "{line}").map_err(|error| Failure::output(&error))
}
