//! The providers that are known by name: those compiled in, and the administrator's beside the configuration file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::decode::{self, keys_of};
use super::diagnostic::{ConfigError, Diagnostic, FileId, Place, Report, SourcePosition, quoted, shortened};
use super::files::warn_of_writers;
use super::nearest::{help_for_key, nearest};
use super::node::{Entries, Node, Value, overlay};
use super::{ACCOUNT_KEYS, profile, read as read_file, toml_entries};
use crate::domain::account::AccountName;
use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::Profile;
use crate::domain::provider_file::{
    EndpointTemplates, FileOrigin, KnownProvider, ParameterKind, ProviderFile, names_in,
};

/// The folder of the administrator's files, beside the configuration file.
pub(crate) const FOLDER: &str = "providers.d";

/// The most files that are read there.
const MOST_FILES: usize = 200;

/// The name and text of each file in the folder `providers` of the sources, in the order of their names.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// The providers at hand.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    installed: BTreeMap<String, Arc<KnownProvider>>,
    /// True if only what is installed or handed over can be found.
    closed: bool,
    /// The profiles that accounts have so far.
    profiles: RefCell<Vec<Arc<Profile>>>,
}

impl Catalog {
    /// Exactly these.
    pub(super) fn of(providers: impl IntoIterator<Item = Arc<KnownProvider>>) -> Self {
        let installed = providers.into_iter().map(|provider| (provider.name.clone(), provider)).collect();
        Self { installed, closed: true, profiles: RefCell::default() }
    }

    /// The built-in ones, and those in the folder beside the configuration file at `config`.
    pub(super) fn beside(config: &Path, report: &Report) -> Self {
        let folder = std::path::absolute(config).unwrap_or_else(|_| config.to_owned()).with_file_name(FOLDER);
        Self { installed: installed(&folder, report), ..Self::default() }
    }

    /// The provider of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<KnownProvider>> {
        if let Some(provider) = self.installed.get(name) {
            return Some(Arc::clone(provider));
        }
        let built_in = BUILT_IN.iter().filter(|_| !self.closed).find(|(built_in, _)| *built_in == name);
        built_in.and_then(|(name, text)| built_in_provider(name, text)).map(Arc::new)
    }

    /// Returns one copy of a profile for all accounts that have an equal one: a thousand copies would take a megabyte.
    pub(super) fn shared(&self, profile: Profile) -> Arc<Profile> {
        let mut profiles = self.profiles.borrow_mut();
        if let Some(known) = profiles.iter().find(|known| ***known == profile) {
            return Arc::clone(known);
        }
        let profile = Arc::new(profile);
        profiles.push(Arc::clone(&profile));
        profile
    }

    /// Every name, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let built_in = BUILT_IN.iter().filter(|_| !self.closed).map(|(name, _)| *name);
        let mut names: Vec<&str> = built_in.chain(self.installed.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Every provider that can be used, in the order of the names.
    pub(crate) fn usable(&self) -> Vec<Arc<KnownProvider>> {
        let all = self.names().into_iter().filter_map(|name| self.find(name));
        all.filter(|provider| provider.file.retired.is_none()).collect()
    }

    /// The names of the providers that have this parameter. Built-in files are looked through as texts: there are many,
    /// and each misspelt key of an account asks.
    pub(super) fn with_parameter(&self, key: &str) -> Vec<&str> {
        let section = format!("\n[parameters.{key}]\n");
        let is_built_in = |name: &str| BUILT_IN.iter().any(|(other, text)| *other == name && text.contains(&section));
        let has = |name: &&str| match self.installed.get(*name) {
            Some(provider) => provider.file.parameters.contains_key(key),
            None => is_built_in(name),
        };
        self.names().into_iter().filter(has).collect()
    }

    /// A message about a name that no provider has, and what to do about it.
    pub(crate) fn unknown(&self, name: &str) -> (String, String) {
        let names = self.names();
        let guess = nearest(name, &names).map(|known| format!("did you mean {known:?}? ")).unwrap_or_default();
        (
            format!("no provider {} is known", quoted(name)),
            format!(
                "{guess}`oauth2mqtt providers` lists them; for any other provider, write issuer = \"https://…\", or \
                 describe it in {FOLDER}/NAME.toml"
            ),
        )
    }

    /// Lists what is peculiar to a provider, as its file says it: a line of TOML for each key.
    pub(crate) fn settings(provider: &KnownProvider) -> Vec<String> {
        let entries = match &provider.origin {
            FileOrigin::BuiltIn => built_in_entries(&provider.name),
            FileOrigin::Installed(path) => {
                read_file(path).ok().and_then(|text| toml_entries(&text, FileId::CONFIGURATION).ok())
            }
        };
        let mut entries = entries.unwrap_or_default();
        if let Some(base) = provider.file.extends.as_deref().and_then(built_in_entries) {
            entries = overlay(base, &entries);
        }
        let peculiar = entries.iter().filter(|(key, _)| Profile::KEYS.contains(&key.as_str()));
        peculiar.map(|(key, node)| format!("{key} = {}", node.value.to_toml())).collect()
    }
}

/// Reads a file that was compiled in. A test sees to it that each of them can be read.
fn built_in_provider(name: &str, text: &str) -> Option<KnownProvider> {
    let report = Report::default();
    let entries = toml_entries(text, FileId::CONFIGURATION).ok()?;
    let provider = read(name, &entries, &report.whole(FileId::CONFIGURATION), FileOrigin::BuiltIn);
    provider.filter(|_| report.has_no_error())
}

/// The keys and values of the built-in file of that name.
fn built_in_entries(name: &str) -> Option<Entries> {
    let (_, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
    toml_entries(text, FileId::CONFIGURATION).ok()
}

/// Reads every `NAME.toml` of the folder; there need not be one.
fn installed(folder: &Path, report: &Report) -> BTreeMap<String, Arc<KnownProvider>> {
    let complain = |path: &Path, message: String, help: &str| {
        report.whole(report.add_file(path)).error(message, help);
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            complain(folder, format!("this folder cannot be read: {error}"), "let the user who runs the agent read it");
            return BTreeMap::new();
        }
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    if paths.len() > MOST_FILES {
        complain(folder, format!("there are more than {MOST_FILES} files"), "keep those that are used");
        return BTreeMap::new();
    }
    let mut providers = BTreeMap::new();
    for path in paths {
        let file = report.add_file(&path);
        let place = report.whole(file);
        warn_of_writers(&path, &place);
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        // As strict as the name of an account, which is likely to be the same.
        if name.parse::<AccountName>().is_err() {
            place.error(
                "this file has no name that an account can use",
                "name it with 1 to 63 of the characters a-z, 0-9, _ and -, a letter or digit first, and .toml",
            );
            continue;
        }
        let entries = read_file(&path).and_then(|text| {
            toml_entries(&text, file).map_err(|diagnostics| ConfigError { path: path.clone(), diagnostics })
        });
        match entries {
            Ok(entries) => {
                let provider = read(name, &entries, &place, FileOrigin::Installed(path.clone()));
                providers.extend(provider.map(|provider| (name.to_owned(), Arc::new(provider))));
            }
            Err(error) => {
                for Diagnostic { line, message, help, .. } in error.diagnostics {
                    Place { written: SourcePosition { file, line }, ..place.clone() }.error(message, help);
                }
            }
        }
    }
    providers
}

/// Reads a provider from the keys and values of its file; `None` if anything is wrong, which is in the report.
fn read(name: &str, written: &Entries, place: &Place<'_>, origin: FileOrigin) -> Option<KnownProvider> {
    let entries = overlay(base(written, place)?, written);
    check_keys(&entries, place);
    let part = |is_part: &dyn Fn(&str) -> bool| -> Entries {
        entries.iter().filter(|(key, _)| is_part(key)).map(|(key, node)| (key.clone(), node.clone())).collect()
    };
    let file = decode::read::<ProviderFile>(&part(&|key| keys_of::<ProviderFile>().contains(&key)), place);
    let profile = profile::read(&part(&|key| Profile::KEYS.contains(&key)), place);
    let mut provider = KnownProvider { name: name.to_owned(), origin, file: file?, profile: profile? };
    if provider.file.extends.is_some() {
        leave_out_inherited(&mut provider, written);
    }
    check(&provider, &entries, place);
    Some(provider)
}

/// The built-in file that this one is laid over: nothing of its endpoints, if this one has some of its own. Tokens of one
/// provider are not sent to another.
fn base(written: &Entries, place: &Place<'_>) -> Option<Entries> {
    let Some(node) = written.get("extends") else { return Some(Entries::new()) };
    // Reading it complains.
    let Value::Text(name) = &node.value else { return Some(Entries::new()) };
    let Some(mut base) = built_in_entries(name) else {
        place.below("extends", Some(node.written)).error(
            format!("no provider {} is built in", quoted(name)),
            "`oauth2mqtt providers` lists them; leave the key out to describe a provider from the beginning",
        );
        return None;
    };
    if written.contains_key("endpoints") {
        base.remove("endpoints");
    }
    // What it needs to know and where that was read is not said of the new one.
    base.remove("sources");
    for node in base.values_mut() {
        relocate(
            node,
            SourcePosition {
                file: place.written.file,
                line: written.get("extends").and_then(|node| node.written.line),
            },
        );
    }
    Some(base)
}

/// Leaves out what is inherited and has no place here: parameters that nothing has, and grants without an endpoint.
fn leave_out_inherited(provider: &mut KnownProvider, written: &Entries) {
    let is_written = |table: &str, key: &str| match written.get(table).map(|node| &node.value) {
        Some(Value::Table(entries)) => entries.contains_key(key),
        _ => false,
    };
    let KnownProvider { file, profile, .. } = provider;
    let ProviderFile { parameters, grants, endpoints, .. } = file;
    parameters.retain(|name, _| {
        let in_address = endpoints.all().any(|(_, template)| names_in(template).any(|other| other == name));
        in_address || profile::has_parameter(profile, name) || is_written("parameters", name)
    });
    grants.retain(|grant, _| {
        let has_endpoint = match grant {
            GrantKind::DeviceCode => endpoints.device_authorization.is_some(),
            GrantKind::AuthorizationCode => endpoints.authorization.is_some(),
            _ => true,
        };
        has_endpoint || endpoints.issuer.is_some() || is_written("grants", grant.name())
    });
}

/// Has everything of a base file stand at the line that names the base.
fn relocate(node: &mut Node, written: SourcePosition) {
    node.written = written;
    match &mut node.value {
        Value::Table(entries) => entries.values_mut().for_each(|node| relocate(node, written)),
        Value::List(items) => items.iter_mut().for_each(|node| relocate(node, written)),
        _ => {}
    }
}

fn check_keys(entries: &Entries, place: &Place<'_>) {
    let known: Vec<&str> = keys_of::<ProviderFile>().iter().copied().chain(Profile::KEYS).collect();
    for (key, node) in entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
        place.below(key, Some(node.written)).error("there is no such key", help_for_key(key, &known));
    }
}

/// Checks what a type cannot say.
fn check(provider: &KnownProvider, entries: &Entries, place: &Place<'_>) {
    let file = &provider.file;
    let at = |key: &str| place.below(key, entries.get(key).map(|node| node.written));
    check_endpoints(file, &at("endpoints"));
    if file.retired.is_some() {
        return;
    }
    for (key, value) in [("title", &file.title), ("register_at", &file.register_at)] {
        if value.trim().is_empty() {
            at(key)
                .error("this key is missing", format!("write {key} = \"…\", which is shown when an account is set up"));
        }
    }
    if file.grants.is_empty() {
        at("grants").error("this provider has no grant", "write a section [grants.device_code] with register = \"…\"");
    }
    if file.endpoints.issuer.is_none() && file.endpoints.token.is_none() {
        at("endpoints")
            .error("nothing here says where the provider is", "write issuer = \"https://…\" or token = \"https://…\"");
    }
    for (name, parameter) in &file.parameters {
        let place = at("parameters").below(name, None);
        if ACCOUNT_KEYS.contains(&name.as_str()) || Profile::KEYS.contains(&name.as_str()) {
            place.error("an account has a key of this name already", "choose another name");
            continue;
        }
        let in_address = file.endpoints.all().any(|(_, template)| names_in(template).any(|other| other == name));
        if in_address && parameter.kind == ParameterKind::Text {
            place.error("a text does not stand in an address", "choose another kind: host, label, segment or url");
        } else if !in_address && !profile::has_parameter(&provider.profile, name) {
            place.error(
                "nothing has this parameter",
                format!("write {{{}}} where it belongs, or take it out", shortened(name)),
            );
        }
    }
}

fn check_endpoints(file: &ProviderFile, place: &Place<'_>) {
    let EndpointTemplates { userinfo, issuer, id_token_issuer, .. } = &file.endpoints;
    if userinfo.is_some() && issuer.is_none() && id_token_issuer.is_none() {
        place.warn(
            "without an issuer, no ID token is checked: who signs in is asked at the userinfo endpoint alone",
            "write id_token_issuer = \"https://…\" if its ID tokens name one",
        );
    }
    for (key, template) in file.endpoints.all() {
        let place = place.below(key, None);
        for name in names_in(template) {
            let is_claim = key == "id_token_issuer" && name == "tid";
            if !is_claim && !file.parameters.contains_key(name) {
                place.error(
                    format!("there is no parameter {}", quoted(name)),
                    format!("write a section [parameters.{}] with kind and example", shortened(name)),
                );
            }
        }
        let begins_well = template.starts_with("https://") || template.starts_with('{') || is_loopback_http(template);
        if !begins_well || template.contains([' ', '\\', '#']) {
            place.error("this is no https:// address", "write the address in full, with {name} for each parameter");
        }
    }
}

fn is_loopback_http(template: &str) -> bool {
    let url = Url::parse(template).ok().filter(|url| url.scheme() == "http");
    url.is_some_and(|url| crate::domain::loopback::leads_to_loopback(&url))
}

#[cfg(test)]
pub(super) fn built_in() -> &'static [(&'static str, &'static str)] {
    BUILT_IN
}

#[cfg(any(test, fuzzing))]
pub(super) fn read_text(name: &str, text: &str) -> Result<KnownProvider, Vec<Diagnostic>> {
    let report = Report::default();
    let provider = toml_entries(text, FileId::CONFIGURATION)
        .map(|entries| read(name, &entries, &report.whole(FileId::CONFIGURATION), FileOrigin::BuiltIn))?;
    let (errors, _) = report.finish();
    provider.filter(|_| errors.is_empty()).ok_or(errors)
}
