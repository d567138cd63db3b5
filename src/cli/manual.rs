//! Exit codes, examples and files of the commands, for `--help` and the manual. The build script reads this file too.

use clap::{Command, CommandFactory as _};

use super::args::Args;

/// An exit code and its meaning.
type ExitCode = (u8, &'static str);

/// The end of a command's help text.
pub(crate) struct Details {
    /// The command; empty for the program itself.
    pub(crate) command: &'static str,
    /// Its exit codes.
    pub(crate) exit_codes: &'static [ExitCode],
    /// Its examples, one a line.
    pub(crate) examples: &'static [&'static str],
}

const DONE: ExitCode = (0, "done");
const FAILED: ExitCode = (1, "it failed or was refused");
const USAGE: ExitCode = (2, "the command line is wrong");
const UNAVAILABLE: ExitCode = (69, "the broker cannot be reached, or no agent is running");
const TRY_AGAIN: ExitCode = (75, "a fault that may pass; try again later");
const NEEDS_SOMEBODY: ExitCode = (77, "an account needs somebody (status --check)");
const CONFIG: ExitCode = (78, "the configuration is wrong");

/// The exit codes of a command that sends a request to the agent.
const REQUEST: &[ExitCode] = &[DONE, FAILED, USAGE, UNAVAILABLE, TRY_AGAIN, CONFIG];

/// Every command that is listed, in the order of the help text; the program itself is the first.
pub(crate) const DETAILS: &[Details] = &[
    Details {
        command: "",
        exit_codes: &[DONE, FAILED, USAGE, UNAVAILABLE, TRY_AGAIN, NEEDS_SOMEBODY, CONFIG],
        examples: &[
            "sudo oauth2mqtt add",
            "oauth2mqtt login google",
            "oauth2mqtt status",
            "mosquitto_sub -V mqttv5 -t 'oauth2mqtt/google/token'",
        ],
    },
    Details {
        command: "run",
        exit_codes: &[DONE, (1, "it could not start"), USAGE, CONFIG],
        examples: &["sudo systemctl start oauth2mqtt", "oauth2mqtt --config ./config.toml run --log debug"],
    },
    Details {
        command: "check",
        exit_codes: &[(0, "the configuration is good"), USAGE, CONFIG],
        examples: &["sudo oauth2mqtt check"],
    },
    Details {
        command: "doctor",
        exit_codes: &[(0, "nothing fails"), (1, "something fails"), USAGE],
        examples: &["sudo oauth2mqtt doctor"],
    },
    Details {
        command: "login",
        exit_codes: REQUEST,
        examples: &["oauth2mqtt login google", "oauth2mqtt login --qr google"],
    },
    Details { command: "complete", exit_codes: REQUEST, examples: &["oauth2mqtt complete spotify < address.txt"] },
    Details { command: "cancel", exit_codes: REQUEST, examples: &["oauth2mqtt cancel google"] },
    Details {
        command: "status",
        exit_codes: &[DONE, FAILED, USAGE, UNAVAILABLE, TRY_AGAIN, NEEDS_SOMEBODY, CONFIG],
        examples: &["oauth2mqtt status", "oauth2mqtt status --json google", "oauth2mqtt status --check"],
    },
    Details {
        command: "token",
        exit_codes: REQUEST,
        examples: &["curl -H \"Authorization: Bearer $(oauth2mqtt token google)\" https://api.example.com/me"],
    },
    Details { command: "refresh", exit_codes: REQUEST, examples: &["oauth2mqtt refresh google"] },
    Details {
        command: "logout",
        exit_codes: &[
            DONE,
            (1, "it failed, or the tokens could not be revoked at the provider"),
            USAGE,
            UNAVAILABLE,
            TRY_AGAIN,
            CONFIG,
        ],
        examples: &["oauth2mqtt logout google"],
    },
    Details {
        command: "gate",
        exit_codes: REQUEST,
        examples: &["oauth2mqtt gate", "oauth2mqtt gate sign-out ann@example.com", "oauth2mqtt gate sign-out --all"],
    },
    Details {
        command: "add",
        exit_codes: REQUEST,
        examples: &[
            "sudo oauth2mqtt add",
            "sudo oauth2mqtt add plant --issuer https://id.example.com --client-id gateway --scopes openid,offline_access",
        ],
    },
    Details { command: "remove", exit_codes: REQUEST, examples: &["sudo oauth2mqtt remove google"] },
    Details { command: "reload", exit_codes: REQUEST, examples: &["oauth2mqtt reload"] },
    Details { command: "open", exit_codes: &[DONE, FAILED, USAGE, CONFIG], examples: &["oauth2mqtt open"] },
    Details {
        command: "providers",
        exit_codes: &[DONE, USAGE, CONFIG],
        examples: &["oauth2mqtt providers", "oauth2mqtt providers google"],
    },
];

/// The files that the program uses, and what they are.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("/etc/oauth2mqtt/config.toml", "the broker and the accounts"),
    ("/var/lib/oauth2mqtt", "the sealed store, and its key unless a credential \"store.key\" is passed"),
];

/// The command line with the exit codes and examples at the end of each help text.
pub(crate) fn command() -> Command {
    DETAILS.iter().fold(Args::command(), |program, details| {
        let help = details.help();
        if details.command.is_empty() {
            let files: Vec<_> = FILES.iter().map(|(path, what)| format!("  {path:28} {what}")).collect();
            program.after_long_help(format!("{help}\n\nFiles:\n{}", files.join("\n"))).after_help(details.exit_codes())
        } else {
            program.mut_subcommand(details.command, |command| command.after_long_help(help))
        }
    })
}

impl Details {
    fn help(&self) -> String {
        let examples: Vec<_> = self.examples.iter().map(|example| format!("  {example}")).collect();
        format!("{}\n\nExamples:\n{}", self.exit_codes(), examples.join("\n"))
    }

    fn exit_codes(&self) -> String {
        let codes: Vec<_> = self.exit_codes.iter().map(|(code, meaning)| format!("  {code:>2}  {meaning}")).collect();
        format!("Exit codes:\n{}", codes.join("\n"))
    }
}
