//! What the agent holds of each account, and what accounts share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::SharedProvider;
use crate::domain::account::AccountName;
use crate::domain::record::Fingerprint;
use crate::domain::session::{Acquisition, Rules, Session};
use crate::domain::settings::{AccountSettings, GrantSettings, PublishMode, SignInMode, TlsSettings};
use crate::domain::token_name::TokenName;
use crate::platform::tls::Tls;
use crate::provider::{Directory, EndpointQuery, Http, Provider};
use crate::wire::AccountInfo;

/// The number of requests to one provider that are under way at a time. After an outage a thousand accounts are due at once, and
/// neither the device nor the provider should meet them all at the same moment.
const AT_A_TIME: usize = 8;

/// Whose turns to ask a provider are used: those who come to the gate never keep a token from being refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Turns {
    Accounts,
    Gate,
}

/// One account of the configuration.
pub(super) struct Account {
    pub(super) settings: Arc<AccountSettings>,
    pub(super) provider: SharedProvider,
    pub(super) session: Session,
    /// The change of the configuration, to be applied when no answer is awaited. Boxed, since it is large and seldom.
    pub(super) change: Option<Box<PendingChange>>,
}

/// A change of the configuration that waits for its moment.
pub(super) enum PendingChange {
    Replace(AccountSettings),
    /// It goes, and its sign-in stays in the store.
    Remove,
    /// It goes with all that is kept of it.
    Forget,
}

impl Account {
    pub(super) fn info(&self, name: &AccountName) -> AccountInfo {
        AccountInfo {
            name: name.to_string(),
            provider: self.settings.provider.clone(),
            grant: self.settings.grant.name().to_owned(),
            scopes: self.settings.scopes.clone(),
            publish: match self.settings.publish {
                PublishMode::Retained => "retained".to_owned(),
                PublishMode::OnRequest => "on_request".to_owned(),
            },
            tokens: self.settings.tokens.keys().map(TokenName::to_string).collect(),
        }
    }

    /// The settings that the account will have once a change of the configuration is applied; `None` if it will be removed.
    pub(super) fn coming_settings(&self) -> Option<&AccountSettings> {
        match self.change.as_deref() {
            None => Some(&self.settings),
            Some(PendingChange::Replace(settings)) => Some(settings),
            Some(PendingChange::Remove | PendingChange::Forget) => None,
        }
    }
}

/// Returns the rules by which a session for these settings behaves.
pub(super) fn rules(settings: &AccountSettings) -> Rules {
    let acquisition = match &settings.grant {
        GrantSettings::DeviceCode | GrantSettings::AuthorizationCode { .. } => Acquisition::User,
        GrantSettings::ClientCredentials | GrantSettings::JwtBearer(_) | GrantSettings::Password { .. } => {
            Acquisition::Unattended
        }
        GrantSettings::RefreshToken { token } => {
            Acquisition::Import(token.as_ref().map(|token| Fingerprint::of(token.expose())))
        }
    };
    Rules {
        acquisition,
        offer: settings.sign_in == SignInMode::Offer,
        tokens: settings.tokens.clone(),
        allow: settings.allow.clone(),
        tells_user: settings.identity,
        scope: (!settings.scopes.is_empty()).then(|| settings.scopes.join(" ")),
    }
}

/// The parts that accounts share: certificate authorities, HTTP clients, and a measure of how much is asked at a time.
#[derive(Default)]
pub(super) struct Clients {
    tls: Tls,
    http: HashMap<Option<PathBuf>, Http>,
    directories: HashMap<EndpointQuery, Arc<Directory>>,
    limits: HashMap<(Turns, String), Arc<Semaphore>>,
}

impl Clients {
    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The provider of an account with these settings, and the settings to keep. Accounts of one provider share its endpoints.
    pub(super) fn provider(
        &mut self,
        settings: AccountSettings,
    ) -> Result<(Arc<AccountSettings>, SharedProvider), String> {
        self.provider_for(settings, Turns::Accounts)
    }

    /// The same for somebody with these turns.
    pub(super) fn provider_for(
        &mut self,
        mut settings: AccountSettings,
        turns: Turns,
    ) -> Result<(Arc<AccountSettings>, SharedProvider), String> {
        let query = EndpointQuery::by(&settings);
        let directory = match self.directories.get(&query) {
            Some(directory) => Arc::clone(directory),
            None => self.directory(query.clone())?,
        };
        settings.endpoints = directory.query().endpoints.clone();
        let limit = self.limits.entry((turns, settings.provider.clone()));
        let limit = limit.or_insert_with(|| Arc::new(Semaphore::new(AT_A_TIME)));
        let settings = Arc::new(settings);
        let provider = Arc::new(Provider::new(Arc::clone(&settings), directory, Arc::clone(limit)));
        Ok((settings, provider))
    }

    fn directory(&mut self, query: EndpointQuery) -> Result<Arc<Directory>, String> {
        let http = self.http(query.ca_file.as_ref())?;
        let directory = Arc::new(Directory::new(query.clone(), http));
        // Accounts may come and go without end.
        self.directories.retain(|_, directory| Arc::strong_count(directory) > 1);
        self.directories.insert(query, Arc::clone(&directory));
        Ok(directory)
    }

    /// From now on every file with certificate authorities is read again, for whoever asks for a provider.
    pub(super) fn read_files_again(&mut self) {
        self.tls = Tls::default();
        self.http.clear();
        self.directories.clear();
    }

    fn http(&mut self, ca_file: Option<&PathBuf>) -> Result<Http, String> {
        if let Some(http) = self.http.get(&ca_file.cloned()) {
            return Ok(http.clone());
        }
        let wanted = TlsSettings { ca_file: ca_file.cloned(), identity: None };
        let config = self.tls.client_config(&wanted).map_err(|error| error.to_string())?;
        let http = Http::new(config).map_err(|error| error.to_string())?;
        self.http.insert(ca_file.cloned(), http.clone());
        Ok(http)
    }
}
