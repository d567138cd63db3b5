//! The parameters of a request, as the provider wants them: those of the profile added, others renamed or left out.

use oauth2::HttpRequest;
use oauth2::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use oauth2::http::request::Parts;
use url::{Url, form_urlencoded};

use crate::domain::profile::{ParameterName, Profile, RequestFormat, RequestKind};
use crate::domain::secret::Secret;
use crate::domain::token_target::TokenTarget;

/// A request that cannot even be built: an endpoint is no usable address, or the client's key does not sign.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be built")]
pub(super) struct Unbuildable;

/// The parameters of one request, in order. A value may be secret.
pub(super) struct Parameters(Vec<(String, Secret)>);

impl Parameters {
    /// Those of a form.
    pub(super) fn of_form(form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(form);
        Self(pairs.map(|(name, value)| (name.into_owned(), Secret::new(value.into_owned()))).collect())
    }

    /// Adds one, in place of another of the same name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.push((name.to_owned(), Secret::new(value.to_owned())));
    }

    /// Adds one beside others of the same name, unless it is there already.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|(other, known)| other == name && known.expose() == value) {
            self.0.push((name.to_owned(), Secret::new(value.to_owned())));
        }
    }

    /// Leaves one out.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Adds one behind `neighbour`, or at the end.
    pub(super) fn set_after(&mut self, neighbour: &str, name: &str, value: &str) {
        let at = self.0.iter().position(|(other, _)| other == neighbour).map_or(self.0.len(), |at| at + 1);
        self.0.insert(at, (name.to_owned(), Secret::new(value.to_owned())));
    }

    /// Adds what the profile says of this kind of request. What the program itself sends stays as it is.
    pub(super) fn add_further(&mut self, kind: RequestKind, profile: &Profile) {
        let own_type = self.0.iter_mut().find(|(name, _)| name == "grant_type");
        if let (Some(grant_type), Some((_, value))) = (profile.grant_types.of(kind), own_type) {
            *value = Secret::new(grant_type.clone());
        }
        for (name, value) in profile.params_of(kind) {
            if !kind.is_own(name) {
                self.set(name, value);
            }
        }
    }

    /// Makes of a refresh the one for a further token. What it asks for wins over what the account says of each refresh.
    pub(super) fn ask_for(&mut self, target: &TokenTarget, separator: &str) {
        for (name, value) in &target.params {
            if RequestKind::Refresh.is_own(name) {
                continue;
            }
            if value.is_empty() {
                self.remove(name);
            } else {
                self.set(name, value);
            }
        }
        if let Some(resource) = &target.resource {
            self.set("resource", resource);
        }
        if !target.scopes.is_empty() {
            self.set("scope", &target.scopes.join(separator));
        }
    }

    /// Adds the resources of further tokens to a request that begins a sign-in (RFC 8707 2.1): the user
    /// approves all of them, and each is then requested by itself.
    pub(super) fn add_resources<'a>(&mut self, targets: impl Iterator<Item = &'a TokenTarget>) {
        for resource in targets.filter_map(|target| target.resource.as_deref()) {
            self.add("resource", resource);
        }
    }

    /// Gives each the name that the provider has for it; those that it has none for are left out.
    fn renamed(mut self, profile: &Profile) -> Self {
        for (standard, parameter) in ParameterName::ALL {
            match profile.parameter_names.get(&parameter).map(String::as_str) {
                None => {}
                Some("") => self.remove(standard),
                Some(name) => {
                    self.0.iter_mut().filter(|(own, _)| own == standard).for_each(|(own, _)| name.clone_into(own));
                }
            }
        }
        self
    }

    /// Writes the parameters into the body of a request, in the format that the provider reads.
    pub(super) fn into_request(self, mut parts: Parts, profile: &Profile) -> Result<HttpRequest, Unbuildable> {
        let parameters = self.renamed(profile);
        let (content_type, body) = match profile.request_format.unwrap_or(RequestFormat::Form) {
            RequestFormat::Form => ("application/x-www-form-urlencoded", parameters.form()),
            RequestFormat::Json => ("application/json", parameters.json()),
        };
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        add_headers(&mut parts.headers, profile)?;
        Ok(HttpRequest::from_parts(parts, body.into_bytes()))
    }

    /// Writes the parameters behind those that are in the query of `url`.
    pub(super) fn into_address(self, url: &Url, profile: &Profile) -> String {
        let form = self.renamed(profile).form();
        let query = [url.query().filter(|query| !query.is_empty()), Some(form.as_str())];
        let query = query.into_iter().flatten().collect::<Vec<_>>().join("&");
        let mut address = url.clone();
        address.set_query(Some(&query));
        address.into()
    }

    /// As a form (RFC 6749 appendix B).
    fn form(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| (name, value.expose()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// As a JSON object, where several values of one name are a list.
    fn json(&self) -> String {
        let mut members = serde_json::Map::new();
        for (name, value) in &self.0 {
            let value = serde_json::Value::from(value.expose());
            match members.get_mut(name) {
                None => drop(members.insert(name.clone(), value)),
                Some(serde_json::Value::Array(several)) => several.push(value),
                Some(first) => *first = vec![first.take(), value].into(),
            }
        }
        serde_json::Value::Object(members).to_string()
    }
}

/// Adds the header fields of the profile, but for those of HTTP itself and of authentication.
pub(super) fn add_headers(headers: &mut oauth2::http::HeaderMap, profile: &Profile) -> Result<(), Unbuildable> {
    const OWN: [HeaderName; 7] =
        [ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];
    for (name, value) in profile.headers.iter().filter(|(_, value)| !value.is_empty()) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unbuildable)?;
        if !OWN.contains(&name) {
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| Unbuildable)?);
        }
    }
    Ok(())
}
