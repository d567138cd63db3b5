//! The command line as it is typed. The build script reads this file too, for the man page and the completions, so it
//! uses nothing but clap.

use std::path::PathBuf;

use clap::{Args as Flags, Parser, Subcommand, ValueEnum};

/// Signs this device in to OAuth 2.0 providers once, and publishes the current access tokens over MQTT.
///
/// The agent (oauth2mqtt run) keeps the sign-ins, refreshes the tokens and publishes them. Every other command that
/// names an account asks the running agent over MQTT, with the broker settings of the configuration file; a flow can
/// do the same.
#[derive(Debug, Parser)]
#[command(name = "oauth2mqtt", version, max_term_width = 100, after_help = EXIT_CODES, after_long_help = AFTER)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(
        long,
        global = true,
        env = "OAUTH2MQTT_CONFIG",
        hide_env_values = true,
        default_value = "/etc/oauth2mqtt/config.toml",
        value_name = "PATH"
    )]
    pub(crate) config: PathBuf,

    /// How much the agent writes to the journal; never a token or a secret
    #[arg(
        long,
        global = true,
        env = "OAUTH2MQTT_LOG",
        hide_env_values = true,
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub(crate) log: LogLevel,

    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agent, until a signal ends it (SIGHUP reads the configuration again)
    Run,
    /// Check the configuration and every file that it names
    Check {
        /// The configuration of the broker, in which bridges are looked at that would carry tokens off this device
        #[arg(long, default_value = "/etc/mosquitto/mosquitto.conf", value_name = "PATH")]
        broker_config: PathBuf,
    },
    /// Sign in: show a QR code and a link, and wait until somebody has approved
    Login {
        /// The account's name in the configuration
        account: String,
    },
    /// Go on with a sign-in whose browser was sent back to another machine: reads the redirected address from standard
    /// input
    ///
    /// The address has a code in it that is good once. `oauth2mqtt login` takes it as well, while it waits.
    Complete {
        /// The account's name in the configuration
        account: String,
    },
    /// Give up a sign-in that waits for approval
    Cancel {
        /// The account's name in the configuration
        account: String,
    },
    /// Show the state of one account, or of all
    Status {
        /// The account's name in the configuration
        account: Option<String>,
        /// Print what the agent says as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the current access token
    ///
    /// Whoever reads the output can use the account until the token ends.
    Token {
        /// The account's name in the configuration
        account: String,
    },
    /// Refresh the access token now
    Refresh {
        /// The account's name in the configuration
        account: String,
    },
    /// Revoke the tokens at the provider and forget them
    Logout {
        /// The account's name in the configuration
        account: String,
    },
    /// Add an account: ask for what is missing, write it to the configuration, and sign in
    ///
    /// Every other line of the configuration stays as it is. The client secret goes into a file of its own.
    Add(Wanted),
    /// Remove an account: sign it out, take it out of the configuration, and remove its secret's file
    ///
    /// Every other line of the configuration stays as it is.
    Remove {
        /// The account's name in the configuration
        account: String,
    },
    /// Have the running agent read its configuration again
    Reload,
    /// List the providers known by name, or show one of them whole with an example
    Providers {
        /// The provider's name
        name: Option<String>,
    },
}

/// What can be said of the account beforehand.
#[derive(Debug, Flags)]
pub(crate) struct Wanted {
    /// The account's name in the configuration and in its topics
    pub(crate) account: Option<String>,
    /// A provider known by name; `oauth2mqtt providers` lists them
    #[arg(long, conflicts_with = "issuer")]
    pub(crate) provider: Option<String>,
    /// The address of any other provider with metadata
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) issuer: Option<String>,
    /// The client ID of the registration
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// A file with the client secret, to be copied; "-" reads standard input
    #[arg(long, value_name = "PATH")]
    pub(crate) client_secret_from: Option<PathBuf>,
    /// What to ask for, with commas between
    #[arg(long, value_delimiter = ',', value_name = "SCOPE")]
    pub(crate) scopes: Option<Vec<String>>,
    /// Any other key of the account, such as tenant=common
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// How much is written to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What ended badly
    Error,
    /// And what may
    Warn,
    /// And what happens to accounts
    Info,
    /// And why
    Debug,
    /// And everything else
    Trace,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  it failed or was refused
   2  the command line makes no sense
  69  no broker can be reached, or no agent is running
  75  a passing fault; the same may work later
  78  the configuration is bad";

const AFTER: &str = "\
Exit codes:
   0  done
   1  it failed or was refused
   2  the command line makes no sense
  69  no broker can be reached, or no agent is running
  75  a passing fault; the same may work later
  78  the configuration is bad

Files:
  /etc/oauth2mqtt/config.toml  the broker and the accounts
  /var/lib/oauth2mqtt          the sealed store, and its key unless a credential \"store.key\" is passed

Examples:
  oauth2mqtt check
  oauth2mqtt login google
  oauth2mqtt status
  mosquitto_sub -V mqttv5 -t 'oauth2mqtt/google/token'";
