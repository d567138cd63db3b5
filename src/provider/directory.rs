//! The endpoints of one provider, found once for all accounts that have it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use super::discovery::{self, Endpoints};
use super::http::Http;
use crate::clock::{self, BootTime};
use crate::fault::Fault;
use crate::policy;
use crate::settings::{AccountSettings, EndpointSettings, GrantSettings};
use crate::throttle::Throttle;

/// What endpoints are looked for, by which accounts that find the same are told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sought {
    /// What the configuration says of them.
    pub endpoints: Arc<EndpointSettings>,
    /// Whether those on other machines may be reached without TLS.
    pub allow_http: bool,
    /// PEM file of the certificate authority that is trusted there, in place of the device's own.
    pub ca_file: Option<PathBuf>,
    pub(super) first: First,
}

/// The endpoint that a sign-in begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum First {
    DeviceAuthorization,
    Authorization,
    Token,
}

impl Sought {
    /// What the account looks for.
    #[must_use]
    pub fn by(account: &AccountSettings) -> Self {
        Self {
            endpoints: Arc::clone(&account.endpoints),
            allow_http: account.allow_http,
            ca_file: account.ca_file.clone(),
            first: match account.grant {
                GrantSettings::DeviceCode => First::DeviceAuthorization,
                GrantSettings::AuthorizationCode { .. } => First::Authorization,
                GrantSettings::ClientCredentials
                | GrantSettings::RefreshToken { .. }
                | GrantSettings::Password { .. } => First::Token,
            },
        }
    }
}

/// Finds the endpoints of one provider, and keeps them for a day at most.
#[derive(Debug)]
pub struct Directory {
    sought: Sought,
    http: Http,
    search: Mutex<(Search, Throttle)>,
    /// Whether something answered as if an endpoint were not there any more.
    may_have_moved: AtomicBool,
}

/// How the last search ended.
#[derive(Debug)]
enum Search {
    None,
    Found { endpoints: Arc<Endpoints>, at: BootTime },
    Failed { fault: Fault, at: BootTime },
}

impl Directory {
    /// Where what is `sought` will be found, by way of `http`. Nothing is asked yet.
    #[must_use]
    pub fn new(sought: Sought, http: Http) -> Self {
        Self {
            sought,
            http,
            search: Mutex::new((Search::None, Throttle::new(policy::MOVED_ENDPOINTS))),
            may_have_moved: AtomicBool::new(false),
        }
    }

    /// What is found here.
    #[must_use]
    pub fn sought(&self) -> &Sought {
        &self.sought
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// An endpoint answers as if it were none.
    pub(super) fn may_have_moved(&self) {
        self.may_have_moved.store(true, Ordering::Relaxed);
    }

    /// The endpoints. A device runs for months, and a provider's metadata is not for ever: it is looked at again each day,
    /// and where an endpoint answers as if it were none, but only so often, as it may do so to one account alone. While the
    /// issuer does not answer, what is known stays good.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Fault> {
        let asked = clock::now().boot;
        let (search, throttle) = &mut *self.search.lock().await;
        match search {
            Search::Found { endpoints, at } => {
                let moved = self.may_have_moved.load(Ordering::Relaxed) && throttle.take(asked).is_ok();
                if moved || asked >= *at + policy::METADATA_LIFE {
                    self.may_have_moved.store(false, Ordering::Relaxed);
                    match self.search().await {
                        Ok(found) => *endpoints = Arc::new(found),
                        Err(fault) => tracing::debug!(%fault, "the issuer's metadata could not be looked at again"),
                    }
                    *at = clock::now().boot;
                }
                Ok(Arc::clone(endpoints))
            }
            // Also for those who had their turn meanwhile, or each would wait for as many timeouts.
            Search::Failed { fault, at } if asked <= *at => Err(fault.clone()),
            Search::None | Search::Failed { .. } => {
                let found = self.search().await.map(Arc::new);
                let at = clock::now().boot;
                *search = match &found {
                    Ok(endpoints) => Search::Found { endpoints: Arc::clone(endpoints), at },
                    Err(fault) => Search::Failed { fault: fault.clone(), at },
                };
                found
            }
        }
    }

    /// No token and no code has gone out by then, so nothing is in doubt if it fails.
    async fn search(&self) -> Result<Endpoints, Fault> {
        let found = discovery::endpoints(&self.sought, &self.http).await;
        found.map_err(|fault| Fault { in_doubt: false, ..fault })
    }
}
