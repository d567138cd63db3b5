//! A provider, as one file describes it: where it is, what to register there, and all that is peculiar to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::domain::grant_kind::GrantKind;
use crate::domain::profile::Profile;

/// A provider that is known by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// The value of `provider` in an account: the name of the file without `.toml`.
    pub(crate) name: String,
    /// The place where its file is.
    pub(crate) origin: Origin,
    /// The part of the file that is about registration, endpoints and parameters.
    pub(crate) file: ProviderFile,
    /// The part of the file that is about requests and answers.
    pub(crate) profile: Profile,
}

/// The place of a provider's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Compiled into the program.
    BuiltIn,
    /// Installed by the administrator.
    Installed(PathBuf),
}

/// The keys of a provider's file beside those of [`Profile`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProviderFile {
    /// The built-in provider over which this file is laid.
    pub(crate) extends: Option<String>,
    /// The name that its makers use.
    pub(crate) title: String,
    /// The place where the application is registered: an address, or a way through a console.
    pub(crate) register_at: String,
    /// Facts that somebody should know before signing in.
    pub(crate) notes: Vec<String>,
    /// The reason why it can no longer be used, and what to use in its place.
    pub(crate) retired: Option<String>,
    /// True if no client signs in without a secret.
    pub(crate) needs_secret: bool,
    /// The scopes that `oauth2mqtt add` proposes.
    pub(crate) scopes: Vec<String>,
    /// Keys of an account that stand in `{braces}` in the endpoints, `params` and `request_params`, by name.
    pub(crate) parameters: BTreeMap<String, Parameter>,
    /// The endpoints.
    pub(crate) endpoints: EndpointTemplates,
    /// The grants that it has, each with the kind of client to register.
    pub(crate) grants: BTreeMap<GrantKind, Registration>,
    /// The pages that say so.
    pub(crate) sources: Vec<Source>,
}

/// One parameter of the endpoints, or of what is sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// The part of an address that it is.
    pub(crate) kind: ParameterKind,
    /// Its value where an account does not set it.
    pub(crate) default: Option<String>,
    /// A value as it could be.
    pub(crate) example: String,
    /// A few words on what it is.
    #[serde(default)]
    pub(crate) about: String,
}

/// The content of a parameter, by the place where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ParameterKind {
    /// A host, with or without a port.
    Host,
    /// An `https://` address, with or without a path.
    Url,
    /// One label of a host's name.
    Label,
    /// One segment of a path.
    Segment,
    /// A text in what is sent, and in no address.
    Text,
}

impl ParameterKind {
    /// True if the parameter decides on whose server the account is.
    #[must_use]
    pub(crate) fn chooses_server(self) -> bool {
        matches!(self, Self::Host | Self::Label | Self::Url)
    }
}

/// The addresses, with `{parameter}` for each parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EndpointTemplates {
    /// The issuer whose metadata names the endpoints that are not here (RFC 8414 2).
    pub(crate) issuer: Option<String>,
    /// RFC 8628 3.1.
    pub(crate) device_authorization: Option<String>,
    /// The endpoint at which a device code is polled, where that is not the token endpoint (RFC 8628 3.4).
    pub(crate) device_token: Option<String>,
    /// RFC 6749 3.1.
    pub(crate) authorization: Option<String>,
    /// RFC 6749 3.2.
    pub(crate) token: Option<String>,
    /// RFC 7009 2.
    pub(crate) revocation: Option<String>,
    /// OpenID Connect Core 5.3.
    pub(crate) userinfo: Option<String>,
    /// The issuer that ID tokens name where it is not `issuer`; `{tid}` is the claim of that name.
    pub(crate) id_token_issuer: Option<String>,
}

impl EndpointTemplates {
    /// Every template, by key.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("issuer", &self.issuer),
            ("device_authorization", &self.device_authorization),
            ("device_token", &self.device_token),
            ("authorization", &self.authorization),
            ("token", &self.token),
            ("revocation", &self.revocation),
            ("userinfo", &self.userinfo),
            ("id_token_issuer", &self.id_token_issuer),
        ];
        all.into_iter().filter_map(|(key, template)| Some((key, template.as_deref()?)))
    }
}

/// The client that is registered for a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Registration {
    /// The kind of client to choose, and what to switch on.
    pub(crate) register: String,
    /// The only scopes that this grant gets; empty where it gets any.
    pub(crate) scopes: Vec<String>,
}

/// A page of a provider's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// The facts for which it stands.
    pub(crate) says: String,
    /// Its address.
    pub(crate) url: String,
    /// The day on which it was read, as `YYYY-MM-DD`.
    pub(crate) read: String,
}

impl Provider {
    /// The registration for a grant, if the provider has it.
    pub(crate) fn grant(&self, grant: GrantKind) -> Option<&Registration> {
        self.file.grants.get(&grant)
    }

    /// True if devices get none of some of these scopes, or the provider has no device grant at all.
    #[must_use]
    pub(crate) fn needs_browser(&self, scopes: &[String]) -> bool {
        let Some(device) = self.grant(GrantKind::DeviceCode) else { return true };
        !device.scopes.is_empty() && !scopes.iter().all(|scope| device.scopes.contains(scope))
    }
}

/// The template with each `{parameter}` replaced that has a value, in one pass: what stands in a value is never a
/// parameter itself.
#[must_use]
pub(crate) fn fill(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        match values.get(key) {
            Some(value) => filled.push_str(value),
            None => filled.extend(["{", key, "}"]),
        }
        rest = after;
    }
    filled + rest
}

/// The names in braces.
pub(crate) fn names_in(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).map(|rest| rest.split_once('}').map_or(rest, |(name, _)| name))
}
