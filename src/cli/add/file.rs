//! Writes an account into the configuration file, and its secret into a file of its own.
//!
//! A section added at the end leaves every other line, comment and blank of the file as it is.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::cli::config_file::replace;
use crate::cli::exit::{Exit, Failure};
use crate::config::{self, ConfigError, Diagnostic, Environment, toml_text};
use crate::domain::account::AccountName;
use crate::domain::secret::Secret;
use crate::domain::settings::Settings;

/// An account that is to be added.
pub(super) struct NewAccount {
    pub(super) name: AccountName,
    /// Keys with texts, in the order in which they are written.
    pub(super) keys: Vec<(String, String)>,
    pub(super) scopes: Vec<String>,
    pub(super) secret: Option<Secret>,
}

/// The files that were written.
pub(super) struct WrittenFiles {
    pub(super) secret_file: Option<PathBuf>,
    pub(super) settings: Settings,
}

impl NewAccount {
    /// Adds the account to the file `config`, whose text is `former`. What would be a bad configuration is not written.
    pub(super) fn write(&self, config: &Path, former: &str, settings: &Settings) -> Result<WrittenFiles, Failure> {
        let secret_file = self.secret.as_ref().map(|secret| self.write_secret(secret, config, settings)).transpose()?;
        let undo = |failure| {
            if let Some(file) = &secret_file {
                // It was made a moment ago, for this account alone.
                let _ = fs::remove_file(file);
            }
            failure
        };
        let text = format!("{}{}", ending_with_a_blank_line(former), self.section());
        let loaded =
            config::parse(&text, config, &Environment::from_process()).map_err(|error| undo(self.refused(error)))?;
        replace(config, &text).map_err(|error| {
            undo(Failure::new(Exit::Failed, format!("{} cannot be written: {error}.", config.display())))
        })?;
        Ok(WrittenFiles { secret_file, settings: loaded.settings })
    }

    /// A failure that names no lines: those of the new section are not in the file.
    fn refused(&self, error: ConfigError) -> Failure {
        let section = format!("accounts.{}", self.name);
        if !error.diagnostics.iter().all(|diagnostic| diagnostic.key.starts_with(&section)) {
            return error.into();
        }
        let told = error.diagnostics.iter().map(|Diagnostic { key, message, help, .. }| {
            let key = key.strip_prefix(&section).unwrap_or(key).trim_start_matches('.');
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            format!("{key}{message}\n  help: {help}")
        });
        let told: Vec<_> = told.collect();
        Failure::new(Exit::Config, format!("the account cannot be added as it is.\n{}", told.join("\n")))
    }

    fn secret_name(&self) -> String {
        format!("{}.secret", self.name)
    }

    fn section(&self) -> String {
        let mut text = format!("[accounts.{}]\n", self.name);
        for (key, value) in &self.keys {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {}", toml_text::quoted(value));
        }
        if self.secret.is_some() {
            let _ = writeln!(text, "client_secret_file = {}", toml_text::quoted(&self.secret_name()));
        }
        if !self.scopes.is_empty() {
            let scopes: Vec<_> = self.scopes.iter().map(|scope| toml_text::quoted(scope)).collect();
            let _ = writeln!(text, "scopes = [{}]", scopes.join(", "));
        }
        text
    }

    /// Writes the secret beside the configuration, readable by the agent's user alone: the owner of the store.
    fn write_secret(&self, secret: &Secret, config: &Path, settings: &Settings) -> Result<PathBuf, Failure> {
        let path = config.with_file_name(self.secret_name());
        let owner = fs::metadata(&settings.store.path).or_else(|_| fs::metadata(config));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(secret.expose().as_bytes())?;
            file.write_all(b"\n")?;
            if let Ok(owner) = owner {
                // Only root can give a file away; anybody else runs the agent too, or has it told by `check`.
                let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
            }
            file.sync_all()
        };
        write().map_err(|error| {
            if error.kind() != ErrorKind::AlreadyExists {
                // If it was never made, there is nothing to remove.
                let _ = fs::remove_file(&path);
            }
            let advice = match error.kind() {
                ErrorKind::AlreadyExists => "Remove it if nothing needs it, or choose another name for the account.",
                ErrorKind::PermissionDenied => "Run this with sudo.",
                _ => "Nothing was changed.",
            };
            Failure::new(Exit::Failed, format!("{} cannot be written: {error}. {advice}", path.display()))
        })?;
        Ok(path)
    }
}

fn ending_with_a_blank_line(text: &str) -> String {
    let text = text.trim_end_matches(['\n', ' ']);
    if text.is_empty() { String::new() } else { format!("{text}\n\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(secret: Option<&str>) -> NewAccount {
        NewAccount {
            name: "google".parse().unwrap(),
            keys: vec![("provider".to_owned(), "google".to_owned()), ("client_id".to_owned(), "a\"b\\c".to_owned())],
            scopes: vec!["openid".to_owned(), "email".to_owned()],
            secret: secret.map(|secret| Secret::new(secret.to_owned())),
        }
    }

    fn settings(config: &Path, text: &str) -> Settings {
        config::parse(text, config, &Environment::default()).unwrap().settings
    }

    #[test]
    fn the_section_stands_at_the_end_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        let former = "# ours\n[mqtt]   # local\nurl = 'mqtt://127.0.0.1'\n\n\n";
        fs::write(&config, former).unwrap();
        fs::set_permissions(&config, Permissions::from_mode(0o640)).unwrap();
        let written = account(Some("hunter2")).write(&config, former, &settings(&config, former)).unwrap();
        assert_eq!(
            fs::read_to_string(&config).unwrap(),
            "# ours\n[mqtt]   # local\nurl = 'mqtt://127.0.0.1'\n\n[accounts.google]\nprovider = \"google\"\n\
             client_id = \"a\\\"b\\\\c\"\nclient_secret_file = \"google.secret\"\nscopes = [\"openid\", \"email\"]\n"
        );
        assert_eq!(fs::metadata(&config).unwrap().mode() & 0o777, 0o640);
        let secret = written.secret_file.unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "hunter2\n");
        let account = written.settings.accounts.values().next().unwrap();
        assert_eq!((account.client.id.as_str(), account.scopes.len()), ("a\"b\\c", 2));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_would_not_be_a_good_configuration_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        fs::write(&config, "accounts = {}\n").unwrap();
        let settings = settings(&config, "");
        assert!(account(Some("hunter2")).write(&config, "accounts = {}\n", &settings).is_err());
        assert_eq!(fs::read_to_string(&config).unwrap(), "accounts = {}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_of_somebody_else_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        fs::write(folder.path().join("google.secret"), "precious\n").unwrap();
        let Err(failure) = account(Some("hunter2")).write(&config, "", &settings(&config, "")) else { panic!() };
        assert!(failure.message.contains("google.secret") && !failure.message.contains("hunter2"), "{failure:?}");
        assert_eq!(fs::read_to_string(folder.path().join("google.secret")).unwrap(), "precious\n");
    }
}
