//! What a further token of a sign-in is for.

use crate::domain::profile::Params;
use crate::domain::record::Fingerprint;

/// The parameters by which a refresh asks for a further token (RFC 6749 6, RFC 8707 2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenTarget {
    /// The scopes; none for those that the account's own refresh asks for.
    pub scopes: Vec<String>,
    /// The resource, letter by letter as it was written. The sign-in asks for it too, beside the account's own.
    pub resource: Option<String>,
    /// Further parameters of the refresh; they win over those of the account, and an empty value takes one out.
    pub(crate) params: Params,
}

impl TokenTarget {
    /// Tells it from any other, so that a token that was got for something else is not taken for one of this.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let Self { scopes, resource, params } = self;
        // Quoted, so that no two differ only in where one value ends.
        Fingerprint::of(&format!("scopes={scopes:?} resource={resource:?} params={params:?}"))
    }

    /// The scopes that a token has whose answer names none (RFC 6749 5.1), if they were asked for.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        (!self.scopes.is_empty()).then(|| self.scopes.join(" "))
    }
}
