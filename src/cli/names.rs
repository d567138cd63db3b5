//! Names for the completions of the shells.

use std::path::Path;

use super::args::Names;
use super::exit::Failure;
use super::say;
use crate::config::{self, Environment};

/// Prints names, one a line; none where the configuration cannot be read.
pub(super) fn print(config: &Path, what: Names) -> Result<(), Failure> {
    match what {
        Names::Providers => {
            let Ok(catalog) = config::catalog(config) else { return Ok(()) };
            catalog.usable().iter().try_for_each(|provider| say(&provider.name))
        }
        Names::Accounts => {
            let Ok(loaded) = config::load(config, &Environment::from_process()) else { return Ok(()) };
            loaded.settings.accounts.keys().try_for_each(|account| say(account.as_str()))
        }
    }
}
