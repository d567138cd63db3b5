//! Lists the providers that are known by name, and shows one of them whole.

use std::path::Path;

use super::exit::{Exit, Failure};
use super::{BOLD, DIM, WARN, say};
use crate::config::{self, Catalog, PROVIDERS_FOLDER, toml_text};
use crate::domain::grant_kind::GrantKind;
use crate::domain::provider_file::{FileOrigin, KnownProvider};

/// Lists all, or shows the one of that name.
pub(super) fn show(config: &Path, name: Option<&str>) -> Result<(), Failure> {
    let catalog = config::catalog(config)?;
    match name {
        Some(name) => whole(&catalog, name),
        None => list(&catalog, config),
    }
}

fn list(catalog: &Catalog, config: &Path) -> Result<(), Failure> {
    for provider in catalog.usable() {
        let file = &provider.file;
        say(&format!("{BOLD}{}{BOLD:#}  {}  {DIM}{}{DIM:#}", provider.name, file.title, origin(&provider)))?;
        say(&format!("  {DIM}needs{DIM:#}     {}", needs(&provider).join(", ")))?;
        let grants: Vec<_> = file.grants.keys().map(|grant| grant.name()).collect();
        say(&format!("  {DIM}grants{DIM:#}    {}", grants.join(", ")))?;
        say(&format!("  {DIM}register{DIM:#}  {}", file.register_at))?;
        say("")?;
    }
    say(&format!(
        "{BOLD}oauth2mqtt providers NAME{BOLD:#} shows one of them whole, with an example. A file {} adds or replaces one.",
        config.with_file_name(PROVIDERS_FOLDER).join("NAME.toml").display()
    ))?;
    say("Any other provider works by its issuer, or by its endpoints:")?;
    say("  issuer = \"https://id.example.com\"")?;
    say("  device_authorization_endpoint = \"https://…\" and token_endpoint = \"https://…\"")?;
    say("  grant = \"authorization_code\", authorization_endpoint = \"https://…\" and token_endpoint = \"https://…\"")
}

fn whole(catalog: &Catalog, name: &str) -> Result<(), Failure> {
    let Some(provider) = catalog.find(name) else {
        let (message, help) = catalog.unknown(name);
        return Err(Failure::new(Exit::Failed, format!("{message}.\n  help: {help}")));
    };
    let file = &provider.file;
    say(&format!("{BOLD}{}{BOLD:#}  {}  {DIM}{}{DIM:#}", provider.name, file.title, origin(&provider)))?;
    if let Some(reason) = &file.retired {
        return say(&format!("  {WARN}cannot be used{WARN:#}: {reason}"));
    }
    if let Some(base) = &file.extends {
        say(&format!("  {DIM}extends{DIM:#}   {base}"))?;
    }
    say(&format!("  {DIM}needs{DIM:#}     {}", needs(&provider).join(", ")))?;
    for (name, parameter) in &file.parameters {
        if let Some(default) = &parameter.default {
            say(&format!("  {DIM}may have{DIM:#}  {name} (default \"{default}\")"))?;
        }
    }
    say(&format!("  {DIM}register{DIM:#}  {}", file.register_at))?;
    for (grant, registration) in &file.grants {
        say(&format!("  {DIM}grant{DIM:#}     {}: {}", grant.name(), registration.register))?;
        if !registration.scopes.is_empty() {
            say(&format!("            only with {}", registration.scopes.join(", ")))?;
        }
    }
    for note in &file.notes {
        say(&format!("  {DIM}note{DIM:#}      {note}"))?;
    }
    for (key, template) in file.endpoints.all() {
        say(&format!("  {DIM}endpoint{DIM:#}  {key}: {template}"))?;
    }
    for line in Catalog::settings(&provider) {
        say(&format!("  {DIM}setting{DIM:#}   {line}"))?;
    }
    for source in &file.sources {
        say(&format!("  {DIM}source{DIM:#}    {}: {} ({})", source.says, source.url, source.read))?;
    }
    say("\nAn account in the configuration:\n")?;
    say(&example(&provider))
}

fn origin(provider: &KnownProvider) -> String {
    match &provider.origin {
        FileOrigin::BuiltIn => "built in".to_owned(),
        FileOrigin::Installed(path) => path.display().to_string(),
    }
}

/// The keys that an account must set.
fn needs(provider: &KnownProvider) -> Vec<&str> {
    let parameters = provider.file.parameters.iter().filter(|(_, parameter)| parameter.default.is_none());
    let mut needs: Vec<_> = parameters.map(|(name, _)| name.as_str()).collect();
    needs.push("client_id");
    if provider.file.needs_secret {
        needs.push("client_secret_file");
    }
    needs
}

/// A section that can be copied.
fn example(provider: &KnownProvider) -> String {
    let KnownProvider { name, file, .. } = provider;
    let mut lines = vec![format!("[accounts.{name}]"), format!("provider = {}", toml_text::quoted(name))];
    for (key, parameter) in file.parameters.iter().filter(|(_, parameter)| parameter.default.is_none()) {
        lines.push(format!("{key} = {}", toml_text::quoted(&parameter.example)));
    }
    if !file.grants.contains_key(&GrantKind::DeviceCode)
        && let Some(grant) = file.grants.keys().next()
    {
        lines.push(format!("grant = {}", toml_text::quoted(grant.name())));
    }
    lines.push("client_id = \"…\"".to_owned());
    if file.needs_secret {
        lines.push(format!("client_secret_file = {}", toml_text::quoted(&format!("{name}.secret"))));
    }
    if !file.scopes.is_empty() {
        let scopes: Vec<_> = file.scopes.iter().map(|scope| toml_text::quoted(scope)).collect();
        lines.push(format!("scopes = [{}]", scopes.join(", ")));
    }
    lines.join("\n")
}
