//! Names for the completions of the shells.

use std::path::Path;

use super::args::Names;
use super::exit::Failure;
use super::say;
use crate::config::{self, Environment};
use crate::domain::presets::PRESETS;

/// Prints names, one a line; none where the configuration cannot be read.
pub(super) fn print(config: &Path, what: Names) -> Result<(), Failure> {
    match what {
        Names::Providers => PRESETS.iter().try_for_each(|preset| say(preset.name)),
        Names::Accounts => {
            let Ok(loaded) = config::load(config, &Environment::from_process()) else { return Ok(()) };
            loaded.settings.accounts.keys().try_for_each(|account| say(account.as_str()))
        }
    }
}
