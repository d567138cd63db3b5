//! Lists the presets.

use super::exit::Failure;
use super::{BOLD, DIM, say};
use crate::domain::presets::PRESETS;

pub(super) fn list() -> Result<(), Failure> {
    for preset in PRESETS {
        let defaults: Vec<_> = preset.defaults.iter().map(|(name, _)| *name).collect();
        let mut needs: Vec<_> =
            preset.parameters.iter().filter(|name| !defaults.contains(name)).map(|name| (*name).to_owned()).collect();
        needs.push("client_id".to_owned());
        if preset.needs_secret {
            needs.push("client_secret_file".to_owned());
        }
        say(&format!("{BOLD}{}{BOLD:#}  {}", preset.name, preset.title))?;
        say(&format!("  {DIM}needs{DIM:#}     {}", needs.join(", ")))?;
        for (name, value) in preset.defaults {
            say(&format!("  {DIM}may have{DIM:#}  {name} (default \"{value}\")"))?;
        }
        say(&format!("  {DIM}register{DIM:#}  {}", preset.register_at))?;
        for (grant, what) in [("device_code", preset.for_device), ("authorization_code", preset.for_code)] {
            if !what.is_empty() {
                say(&format!("  {DIM}grant{DIM:#}     {grant}: {what}"))?;
            }
        }
        if !preset.note.is_empty() {
            say(&format!("  {DIM}note{DIM:#}      {}", preset.note))?;
        }
        say("")?;
    }
    say("Any other provider works by its issuer, or by its endpoints:")?;
    say("  issuer = \"https://id.example.com\"")?;
    say("  device_authorization_endpoint = \"https://…\" and token_endpoint = \"https://…\"")?;
    say("  grant = \"authorization_code\", authorization_endpoint = \"https://…\" and token_endpoint = \"https://…\"")
}
