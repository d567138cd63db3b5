//! The ways in which a client can show who it is (RFC 6749 2.3), first to last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::byte_serialize;

use super::discovery::Endpoints;
use crate::domain::profile::{BasicEncoding, ClientAuth};
use crate::domain::secret::Secret;
use crate::domain::settings::{AccountSettings, GrantSettings};

/// One way, with one of the client's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) auth: ClientAuth,
    /// Which of the client's secrets.
    pub(super) secret: Option<usize>,
}

/// The ways to try: the one that is configured, or those that the provider names; in each with every secret, of which a
/// client has two while one is replaced. Never empty.
pub(super) fn credentials(account: &AccountSettings, endpoints: &Endpoints) -> Vec<Credential> {
    let client = &account.client;
    let profile = &account.profile;
    let secrets = client.secrets.len();
    let with_secrets = |auth| (0..secrets).map(move |secret| Credential { auth, secret: Some(secret) });
    let alone = |auth| vec![Credential { auth, secret: None }];
    match profile.client_auth {
        Some(ClientAuth::PrivateKeyJwt) => alone(ClientAuth::PrivateKeyJwt),
        Some(ClientAuth::None) => alone(ClientAuth::None),
        Some(auth) if secrets == 0 => alone(auth),
        Some(auth) => with_secrets(auth).collect(),
        None if client.key.is_some() => alone(ClientAuth::PrivateKeyJwt),
        None if secrets == 0 && profile.empty_secret == Some(true) => alone(ClientAuth::Basic),
        None if secrets == 0 => alone(ClientAuth::None),
        None => endpoints.auth_methods.iter().copied().flat_map(with_secrets).collect(),
    }
}

impl Credential {
    /// Returns whether the parameters of a request name the client.
    pub(super) fn names_client(self, account: &AccountSettings) -> bool {
        // An assertion that is a grant says whose it is (RFC 7521 4.1).
        let by_grant = matches!(account.grant, GrantSettings::JwtBearer(_))
            && self.auth == ClientAuth::None
            && account.profile.client_auth.is_none();
        self.auth != ClientAuth::Basic && !by_grant && !account.client.id.is_empty()
    }

    /// The secret to show, if there is one.
    pub(super) fn secret(self, account: &AccountSettings) -> Option<&Secret> {
        account.client.secrets.get(self.secret?)
    }

    /// The value of `Authorization`, where the client shows itself by it (RFC 6749 2.3.1).
    pub(super) fn authorization(self, account: &AccountSettings) -> Option<Secret> {
        if self.auth != ClientAuth::Basic {
            return None;
        }
        let secret = self.secret(account).map_or("", Secret::expose);
        let id = account.client.id.as_str();
        let pair = match account.profile.basic_encoding.unwrap_or(BasicEncoding::Percent) {
            BasicEncoding::Literal => Secret::new(format!("{id}:{secret}")),
            BasicEncoding::Percent => Secret::new(format!("{}:{}", percent(id), percent(secret))),
        };
        Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
    }
}

/// As a form has it, but for the space, which not every decoder reads as `+`.
fn percent(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{account, endpoints};
    use super::*;

    fn header(account: &AccountSettings) -> String {
        let credential = Credential { auth: ClientAuth::Basic, secret: Some(0) };
        let value = credential.authorization(account).unwrap();
        String::from_utf8(STANDARD.decode(value.expose().strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn basic_is_percent_encoded_or_literal_as_the_provider_reads_it() {
        let mut account = account();
        account.client.id = "the gate".to_owned();
        account.client.secrets = vec![Secret::new("a+b/c%:é".to_owned())];
        assert_eq!(header(&account), "the%20gate:a%2Bb%2Fc%25%3A%C3%A9");
        Arc::make_mut(&mut account.profile).basic_encoding = Some(BasicEncoding::Literal);
        assert_eq!(header(&account), "the gate:a+b/c%:é");
    }

    #[test]
    fn reddits_installed_apps_show_an_empty_secret() {
        let mut account = account();
        account.client.secrets.clear();
        assert_eq!(credentials(&account, &endpoints()), [Credential { auth: ClientAuth::None, secret: None }]);
        Arc::make_mut(&mut account.profile).empty_secret = Some(true);
        assert_eq!(credentials(&account, &endpoints()), [Credential { auth: ClientAuth::Basic, secret: None }]);
        assert_eq!(header(&account), "the-client:");
    }

    #[test]
    fn each_way_that_the_provider_names_is_there_with_each_secret() {
        let mut account = account();
        account.client.secrets = vec![Secret::new("new".to_owned()), Secret::new("old".to_owned())];
        let all: Vec<_> =
            credentials(&account, &endpoints()).into_iter().map(|it| (it.auth, it.secret.unwrap())).collect();
        let (post, basic) = (ClientAuth::Post, ClientAuth::Basic);
        assert_eq!(all, [(post, 0), (post, 1), (basic, 0), (basic, 1)]);
    }
}
