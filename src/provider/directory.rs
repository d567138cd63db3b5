//! The endpoints of one provider, found once for all accounts that have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use super::discovery::{self, Endpoints};
use super::endpoint_query::EndpointQuery;
use super::http::Http;
use crate::domain::clock::BootTime;
use crate::domain::fault::Fault;
use crate::domain::policy;
use crate::domain::rate_limit::Throttle;
use crate::platform::clock;

/// Finds the endpoints of one provider, and keeps them for a day at most.
#[derive(Debug)]
pub(crate) struct Directory {
    query: EndpointQuery,
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
    /// Where what is `query` will be found, by way of `http`. Nothing is asked yet.
    #[must_use]
    pub(crate) fn new(query: EndpointQuery, http: Http) -> Self {
        Self {
            query,
            http,
            search: Mutex::new((Search::None, Throttle::new(policy::MOVED_ENDPOINTS))),
            may_have_moved: AtomicBool::new(false),
        }
    }

    /// What is found here.
    #[must_use]
    pub(crate) fn query(&self) -> &EndpointQuery {
        &self.query
    }

    /// Looks for the endpoints, and tells whether one for device codes is among them.
    ///
    /// # Errors
    /// When the issuer cannot be asked now, or has no usable metadata.
    pub(crate) async fn has_device_grant(&self) -> Result<bool, Fault> {
        Ok(self.endpoints().await?.device_authorization.is_some())
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
        let found = discovery::endpoints(&self.query, &self.http).await;
        found.map_err(|fault| Fault { in_doubt: false, ..fault })
    }
}
