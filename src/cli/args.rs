//! The command line as it is typed. The build script reads this file too, for the manual and the completions, so it uses
//! nothing but clap.

use std::path::PathBuf;

use clap::{Args as Flags, Parser, Subcommand, ValueEnum, ValueHint};

/// Signs this device in to OAuth 2.0 providers once, and publishes the current access tokens over MQTT.
///
/// The agent (oauth2mqtt run) keeps the sign-ins, refreshes the tokens and publishes them. Every other command that
/// names an account sends a request to the running agent over MQTT, with the broker settings of the configuration file. A
/// flow can do the same.
#[derive(Debug, Parser)]
#[command(name = "oauth2mqtt", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(
        long,
        global = true,
        env = "OAUTH2MQTT_CONFIG",
        hide_env_values = true,
        default_value = "/etc/oauth2mqtt/config.toml",
        value_name = "PATH",
        value_hint = ValueHint::FilePath
    )]
    pub(crate) config: PathBuf,

    /// The same as `oauth2mqtt run --log`
    #[arg(long = "log", id = "log-before-run", hide = true, value_name = "LEVEL")]
    pub(crate) log: Option<LogLevel>,

    /// The command
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// The commands of `gate`.
#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// Sign a person out in every browser, or everybody
    SignOut {
        /// The person, as `oauth2mqtt gate` shows it
        #[arg(required_unless_present = "all")]
        user: Option<String>,
        /// Sign everybody out
        #[arg(long, conflicts_with = "user")]
        all: bool,
    },
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Run the agent until a signal ends it; SIGHUP makes it read the configuration again
    Run {
        /// The amount to log to standard error; no level shows a token or a secret
        #[arg(long, env = "OAUTH2MQTT_LOG", hide_env_values = true, default_value = "info", value_name = "LEVEL")]
        log: LogLevel,
    },
    /// Check the configuration and every file that it names
    Check {
        /// The configuration file of mosquitto, to look for bridges that would carry tokens off this device
        #[arg(long, default_value = "/etc/mosquitto/mosquitto.conf", value_name = "PATH", value_hint = ValueHint::FilePath)]
        broker_config: PathBuf,
    },
    /// Find out why something does not work: configuration, clock, proxy, store, network, providers, broker and agent
    ///
    /// Each line passes, warns or fails, and says what to do next. There is no secret in the output, so that it can be pasted into a
    /// bug report.
    Doctor,
    /// Sign in: show a QR code and a link, and wait until somebody has approved
    Login {
        /// The name of the account in the configuration
        account: String,
        /// Show the QR code even if it does not fit the terminal
        #[arg(long)]
        qr: bool,
    },
    /// Complete a sign-in on another machine: read the address that the browser was redirected to from standard input
    ///
    /// The address contains a code that can be used once. `oauth2mqtt login` accepts it too, while it waits.
    Complete {
        /// The name of the account in the configuration
        account: String,
    },
    /// Cancel a pending sign-in
    Cancel {
        /// The name of the account in the configuration
        account: String,
    },
    /// Show the state of one account, or of all
    Status {
        /// The name of the account in the configuration
        account: Option<String>,
        /// Print the agent's answer as JSON
        #[arg(long)]
        json: bool,
        /// Print only the accounts that need somebody, and exit with 77 if there are any: for health checks and scripts
        #[arg(long)]
        check: bool,
    },
    /// Print the current access token
    ///
    /// Anyone who reads the output can use the account until the token expires.
    Token {
        /// The name of the account in the configuration; ACCOUNT/TOKEN for one of its further tokens
        account: String,
    },
    /// Refresh the access token now
    Refresh {
        /// The name of the account in the configuration
        account: String,
    },
    /// Sign out: revoke the tokens at the provider and erase them here
    Logout {
        /// The name of the account in the configuration
        account: String,
    },
    /// Show who is signed in at the gate before a dashboard, or sign somebody out there
    ///
    /// `gate sign-out PERSON` signs a person out in every browser, `gate sign-out --all` everybody. Whoever is still in the list `allow`
    /// of [gate] can sign in again.
    Gate {
        /// The command
        #[command(subcommand)]
        command: Option<GateCommand>,
    },
    /// Add an account: ask for what is missing, write it to the configuration, and sign in
    ///
    /// Every other line of the configuration stays as it is. The client secret is written to a file of its own.
    Add(Wanted),
    /// Remove an account: sign it out, take it out of the configuration, and remove the secret that add wrote
    ///
    /// Every other line of the configuration stays as it is. The secret is removed if it is in the file ACCOUNT.secret beside the
    /// configuration, where `oauth2mqtt add` writes it, and if no other account uses that file. A file of any other name stays.
    Remove {
        /// The account's name in the configuration
        account: String,
    },
    /// Make the running agent read its configuration again
    Reload,
    /// Open the sign-in page in a browser, or print its address
    Open,
    /// List the providers known by name, or show one of them whole with an example
    Providers {
        /// The provider's name
        name: Option<String>,
    },
    /// Print names for the completions of the shells
    #[command(hide = true)]
    Names {
        /// Which names
        what: Names,
    },
}

/// The names that shells complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Names {
    /// Of the accounts in the configuration
    Accounts,
    /// Of the built-in providers
    Providers,
}

/// The answers to the questions of `oauth2mqtt add` that are given beforehand.
#[derive(Debug, Flags)]
pub(crate) struct Wanted {
    /// The name of the account in the configuration and in its topics
    pub(crate) account: Option<String>,
    /// A built-in provider; `oauth2mqtt providers` lists them
    #[arg(long, conflicts_with = "issuer")]
    pub(crate) provider: Option<String>,
    /// The issuer address of any other provider with metadata
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Url)]
    pub(crate) issuer: Option<String>,
    /// The client ID of the registration
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// The file to copy the client secret from; "-" reads standard input
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) client_secret_from: Option<PathBuf>,
    /// The scopes to ask for, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "SCOPE")]
    pub(crate) scopes: Option<Vec<String>>,
    /// Any other key of the account, such as tenant=common
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// The amount that the agent logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Failures
    Error,
    /// And what may become one
    Warn,
    /// And what happens to accounts
    Info,
    /// And each request to a provider, and each publication
    Debug,
    /// And everything else
    Trace,
}
