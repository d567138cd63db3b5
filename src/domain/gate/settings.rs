//! The settings of the gate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Way;
use crate::domain::account_settings::{AccountSettings, GrantSettings};
use crate::domain::identity::AllowList;

/// The path, below the address, to which a provider sends a browser back.
pub(crate) const CALLBACK_PATH: &str = "/oauth2mqtt/callback";

/// The gate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GateSettings {
    /// The origin by which browsers reach the proxy: scheme, host and port, no slash at its end.
    pub(crate) address: String,
    /// The address on which the gate listens, for the proxy and for Node-RED.
    pub(crate) listen: SocketAddr,
    /// The people who may come in; never everybody.
    pub(crate) allow: AllowList,
    /// The longest time between two sign-ins of a person.
    pub(crate) session: Duration,
    /// The time without a request after which a session ends.
    pub(crate) idle: Duration,
    /// The claim with the groups of a person.
    pub(crate) groups: String,
    /// The client for a sign-in in the browser.
    pub(crate) browser: Option<Arc<AccountSettings>>,
    /// The client for a sign-in with a phone.
    pub(crate) phone: Option<Arc<AccountSettings>>,
}

impl GateSettings {
    /// The host and port of the address, as browsers name them.
    #[must_use]
    pub(crate) fn authority(&self) -> &str {
        self.address.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The same at the place of `former`: where the gate listens, and by which address it is reached, changes at the next start only.
    #[must_use]
    pub(crate) fn at_the_place_of(self, former: &Self) -> Self {
        let redirect_uri = format!("{}{CALLBACK_PATH}", former.address);
        let browser = self.browser.map(|client| {
            let grant = GrantSettings::AuthorizationCode { redirect_uri: redirect_uri.into() };
            Arc::new(AccountSettings { grant, ..AccountSettings::clone(&client) })
        });
        Self { listen: former.listen, address: former.address.clone(), browser, ..self }
    }

    /// The client for this way, if it is offered.
    #[must_use]
    pub(crate) fn client(&self, way: Way) -> Option<&Arc<AccountSettings>> {
        match way {
            Way::Browser => self.browser.as_ref(),
            Way::Phone => self.phone.as_ref(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::account::Declared;
    use crate::domain::account_settings::{ClientSettings, PublishMode, SignInMode};
    use crate::domain::identity::{Admission, Claim, Identity};

    #[test]
    fn another_address_waits_for_the_next_start_with_all_that_is_made_from_it() {
        let former = settings();
        let address = "https://other.example".to_owned();
        let moved = GateSettings { address, listen: "127.0.0.1:1".parse().unwrap(), ..settings() };
        assert_eq!(moved.at_the_place_of(&former), former);
    }

    /// A gate for everybody at example.com and for operators, with both ways to sign in.
    pub(crate) fn settings() -> GateSettings {
        let client = |grant| {
            Some(Arc::new(AccountSettings {
                provider: "id.example".to_owned(),
                endpoints: Arc::default(),
                client: ClientSettings { id: "panel".to_owned(), secrets: Vec::new(), key: None },
                grant,
                scopes: vec!["openid".to_owned()],
                tokens: BTreeMap::new(),
                profile: Arc::default(),
                sign_in: SignInMode::OnRequest,
                publish: PublishMode::Retained,
                allow: AllowList::default(),
                identity: true,
                claims: Vec::new(),
                ca_file: None,
                allow_http: false,
                declared: Declared::File,
            }))
        };
        let redirect_uri = "https://panel.example.com/oauth2mqtt/callback".into();
        GateSettings {
            address: "https://panel.example.com".to_owned(),
            listen: "127.0.0.1:8630".parse().unwrap(),
            allow: allow(&["*@example.com", "groups:operators"]),
            session: Duration::from_secs(3_600),
            idle: Duration::from_secs(600),
            groups: "groups".to_owned(),
            browser: client(GrantSettings::AuthorizationCode { redirect_uri }),
            phone: client(GrantSettings::DeviceCode),
        }
    }

    pub(crate) fn allow(texts: &[&str]) -> AllowList {
        texts.iter().map(|text| text.parse::<Admission>().unwrap()).collect()
    }

    /// A person of this name at example.com, in these groups.
    pub(crate) fn person(name: &str, groups: &[&str]) -> Identity {
        Identity {
            sub: format!("sub-of-{name}"),
            email: Some(format!("{name}@example.com")),
            email_verified: true,
            name: Some(name.to_owned()),
            picture: Some("https://example.com/picture.png".to_owned()),
            claims: vec![Claim {
                name: "groups".to_owned(),
                values: groups.iter().map(|it| (*it).to_owned()).collect(),
            }],
        }
    }
}
