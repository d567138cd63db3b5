//! The redirection that brings a user's browser back from the provider (RFC 6749 4.1.2).

use std::collections::BTreeMap;
use std::fmt;

use url::{Url, form_urlencoded};

use crate::domain::fault::{Fault, FaultCode};
use crate::domain::loopback::loopback_address;
use crate::domain::readable::readable;
use crate::domain::secret::Secret;
use crate::domain::text::printable;

/// The longest address that is read, in bytes.
const LONGEST: usize = 8 * 1024;

/// The content of a redirection.
#[derive(Clone, Debug)]
pub struct Redirection {
    /// Which authorization request it belongs to.
    pub state: String,
    /// The code, or why there is none.
    pub outcome: Result<RedirectedCode, Denial>,
    /// Which authorization server sends it, if it says so (RFC 9207).
    pub issuer: Option<String>,
    /// The address that the browser was sent to, or its path, up to the query; empty if there is the query alone.
    address: String,
}

/// An authorization code (RFC 6749 4.1.2), with what came beside it.
#[derive(Clone)]
pub struct RedirectedCode {
    /// The code.
    pub code: Secret,
    /// Every parameter that the standards do not name, such as the account that was chosen.
    pub further: BTreeMap<String, Secret>,
}

/// Shows nothing of it: in an address that is not whole, a name may be a piece of a secret.
impl fmt::Debug for RedirectedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectedCode").finish_non_exhaustive()
    }
}

/// An error that the provider sent by the browser (RFC 6749 4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The code of the error.
    pub error: String,
    /// The provider's description of it.
    pub description: Option<String>,
}

/// Why an address is no redirection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRedirection {
    /// There is nothing behind a question mark, or too much.
    #[error(
        "this is not the redirected address. Copy it whole from the browser's address bar, from its first letter to its last"
    )]
    NoQuery,
    /// The state is missing.
    #[error("the address has no state. Copy it whole from the browser's address bar")]
    NoState,
    /// There is neither a code nor an error.
    #[error("the address has neither a code nor an error. Copy the one that the browser shows after you have approved")]
    NoCode,
    /// A parameter stands in it twice, which no provider does (RFC 6749 3.1).
    #[error("the address has a parameter twice. Copy the one that the browser shows after you have approved")]
    Repeated,
}

impl Denial {
    /// Says what it means for the sign-in (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6).
    #[must_use]
    pub fn fault(&self) -> Fault {
        let Self { error, description } = self;
        let described =
            description.as_ref().map_or_else(String::new, |text| format!(": {}", readable(text).trim_end_matches('.')));
        let message = format!("The provider sent the browser back with \"{}\"{described}.", readable(error));
        match error.as_str() {
            "access_denied" => Fault::ask_user(FaultCode::AccessDenied, message),
            "invalid_scope" => Fault::reconfigure(FaultCode::InvalidScope, message),
            "unauthorized_client" => Fault::reconfigure(FaultCode::UnauthorizedClient, message),
            "invalid_request" | "unsupported_response_type" => Fault::reconfigure(FaultCode::InvalidRequest, message),
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                Fault::ask_user(FaultCode::InteractionRequired, message)
            }
            "server_error" | "temporarily_unavailable" => Fault::ask_user(FaultCode::ProviderUnavailable, message),
            _ => Fault::ask_user(FaultCode::ProviderRefused, message),
        }
    }
}

impl Redirection {
    /// Reads an address, or its query alone.
    ///
    /// # Errors
    /// When it is not what a provider redirects to. The address is in no error: a code is in it.
    pub fn read(address: &str) -> Result<Self, NoRedirection> {
        let address = address.trim();
        let (came_to, query) = address.split_once('?').unwrap_or(("", address));
        let query = query.split('#').next().unwrap_or_default();
        if query.is_empty() || !query.contains('=') || address.len() > LONGEST {
            return Err(NoRedirection::NoQuery);
        }
        let mut members = QueryMembers::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                "state" => &mut members.state,
                "code" => &mut members.code,
                "error" => &mut members.error,
                "error_description" => &mut members.description,
                "iss" => &mut members.issuer,
                name => {
                    members.further.insert(name.to_owned(), Secret::new(value.into_owned()));
                    continue;
                }
            };
            if slot.replace(Secret::new(value.into_owned())).is_some() {
                return Err(NoRedirection::Repeated);
            }
        }
        let QueryMembers { state, code, error, description, issuer, further } = members;
        let text = |value: Option<Secret>| value.map(|value| printable(value.expose()));
        let state = state.filter(|state| !state.is_empty()).ok_or(NoRedirection::NoState)?;
        let outcome = match (text(error), code.filter(|code| !code.is_empty())) {
            (Some(error), _) => Err(Denial { error, description: text(description) }),
            (None, Some(code)) => Ok(RedirectedCode { code, further }),
            (None, None) => return Err(NoRedirection::NoCode),
        };
        let address = came_to.to_owned();
        Ok(Self { state: state.expose().to_owned(), outcome, issuer: text(issuer), address })
    }

    /// Returns whether the browser was sent to `redirect_uri`, as far as the address tells: another provider's code arrives
    /// where that one sends it (RFC 9700 4.4.2.2).
    #[must_use]
    pub fn came_to(&self, redirect_uri: &str) -> bool {
        let Ok(expected) = Url::parse(redirect_uri) else { return false };
        // A query alone, a path, or an address without its scheme, as some browsers show it, is compared in what it has.
        if self.address.is_empty() {
            return true;
        }
        let given = if self.address.starts_with('/') || self.address.contains("://") {
            expected.join(&self.address)
        } else {
            Url::parse(&format!("{}://{}", expected.scheme(), self.address))
        };
        let Ok(given) = given else { return false };
        let host = |url: &Url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            loopback_address(&host).map_or(host, |address| address.to_string())
        };
        given.scheme() == expected.scheme()
            && host(&given) == host(&expected)
            && given.port_or_known_default() == expected.port_or_known_default()
            && given.path() == expected.path()
    }
}

/// Until it is known which of the values is the code, all of them are kept as one.
#[derive(Default)]
struct QueryMembers {
    state: Option<Secret>,
    code: Option<Secret>,
    error: Option<Secret>,
    description: Option<Secret>,
    issuer: Option<Secret>,
    further: BTreeMap<String, Secret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_address_and_its_query_alone_say_the_same() {
        for text in [
            "http://127.0.0.1:8629/oauth2/redirect?code=c%2B1&state=s1&scope=a%20b",
            "/oauth2/redirect?code=c%2B1&state=s1",
            " code=c%2B1&state=s1 ",
            "https://flows.example.com/cb?code=c%2B1&state=s1#_=_",
        ] {
            let read = Redirection::read(text).unwrap();
            assert_eq!((read.state.as_str(), read.outcome.unwrap().code.expose()), ("s1", "c+1"), "{text}");
        }
    }

    #[test]
    fn a_code_that_came_to_another_address_is_another_providers() {
        let came_to = |address: &str, redirect_uri: &str| Redirection::read(address).unwrap().came_to(redirect_uri);
        let uri = "http://localhost:8629/from-a";
        for address in [
            "http://localhost:8629/from-a?code=c&state=s",
            "HTTP://127.0.0.1:8629/from-a?code=c&state=s",
            "localhost:8629/from-a?code=c&state=s",
            "127.0.0.1:8629/from-a?code=c&state=s",
            "/from-a?code=c&state=s",
            "code=c&state=s",
        ] {
            assert!(came_to(address, uri), "{address}");
        }
        for address in [
            "http://localhost:8629/from-b?code=c&state=s",
            "http://localhost:8630/from-a?code=c&state=s",
            "http://[::1]:8629/from-a?code=c&state=s",
            "https://localhost:8629/from-a?code=c&state=s",
            "http://id.example/from-a?code=c&state=s",
            "localhost:8629/from-b?code=c&state=s",
            "localhost:8630/from-a?code=c&state=s",
            "id.example/from-a?code=c&state=s",
            "/from-b?code=c&state=s",
            "//id.example/from-a?code=c&state=s",
        ] {
            assert!(!came_to(address, uri), "{address}");
        }
        assert!(came_to("https://flows.example/?code=c&state=s", "https://flows.example"));
    }

    #[test]
    fn quickbooks_tells_the_company_in_the_redirection_alone() {
        let code = Redirection::read("https://x/?code=c1&state=s1&realmId=46208").unwrap().outcome.unwrap();
        assert_eq!((code.code.expose(), code.further["realmId"].expose()), ("c1", "46208"));
        assert_eq!(code.further.len(), 1);
    }

    #[test]
    fn an_error_is_read_with_what_the_provider_says_about_it() {
        let text =
            "http://x/?error=access_denied&error_description=No%1b[2J+thanks&state=s1&iss=https%3A%2F%2Fid.example";
        let read = Redirection::read(text).unwrap();
        let denial = read.outcome.unwrap_err();
        assert_eq!(denial.error, "access_denied");
        assert_eq!(denial.description.as_deref(), Some("No [2J thanks"));
        assert_eq!(read.issuer.as_deref(), Some("https://id.example"));
    }

    #[test]
    fn what_is_no_redirection_is_refused_without_being_quoted() {
        for (text, why) in [
            ("", NoRedirection::NoQuery),
            ("https://id.example/login", NoRedirection::NoQuery),
            ("?code=hunter2", NoRedirection::NoState),
            ("?state=s1", NoRedirection::NoCode),
            ("?state=s1&code=", NoRedirection::NoCode),
            ("?state=s1&code=hunter2&code=hunter3", NoRedirection::Repeated),
        ] {
            let error = Redirection::read(text).unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("hunter"));
        }
        assert_eq!(
            Redirection::read(&format!("?state=s&code={}", "x".repeat(LONGEST))).unwrap_err(),
            NoRedirection::NoQuery
        );
    }

    #[test]
    fn debug_does_not_show_the_code() {
        let shown = format!("{:?}", Redirection::read("?state=s1&code=hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
