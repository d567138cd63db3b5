//! Finds out whether a provider can be reached, without asking for anything.

use oauth2::http::Request;
use url::Url;

use super::Directory;
use crate::domain::clock::UnixTime;
use crate::domain::fault::{Fault, FaultCode};

/// A provider's answer to a probe.
#[derive(Debug)]
pub(crate) struct Reached {
    /// The host of the token endpoint.
    pub host: String,
    /// The time there, if it says.
    pub date: Option<UnixTime>,
}

impl Directory {
    /// Reads the metadata, where an issuer is configured, and sends a GET request to the token endpoint, which refuses it (RFC 6749
    /// 3.2).
    ///
    /// # Errors
    /// When the provider cannot be reached, or when what answers is another server, such as a captive portal.
    pub(crate) async fn probe(&self) -> Result<Reached, Fault> {
        let endpoints = self.endpoints().await?;
        let host = endpoints.token.host_str().unwrap_or_default().to_owned();
        let mut bare = Url::clone(&endpoints.token);
        bare.set_query(None);
        let request = Request::get(bare.as_str()).body(Vec::new()).map_err(|error| {
            Fault::reconfigure(FaultCode::DiscoveryFailed, format!("The token endpoint is no address ({error})."))
        })?;
        let exchange = self.http().send(request).await?;
        let leads_away = exchange.location.as_deref().is_some_and(|location| leads_away(&bare, location));
        if let Some(to) = exchange.redirected_to.filter(|_| leads_away) {
            let message = format!("What answers for {host} redirects to {to}.");
            return Err(Fault::passing(FaultCode::NotOauth, message));
        }
        if exchange.status == 511 {
            let message = format!("What answers for {host} asks for a sign-in to the network (HTTP 511).");
            return Err(Fault::passing(FaultCode::NotOauth, message));
        }
        Ok(Reached { host, date: exchange.date })
    }
}

/// Returns whether a redirection from `url` leaves its host and what is below that. One to a path stays.
fn leads_away(url: &Url, location: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    let target = url.join(location).ok();
    let target = target.as_ref().and_then(Url::host_str).unwrap_or_default();
    target != host && !target.ends_with(&format!(".{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captive_portal_is_told_from_a_server_that_redirects_within_itself() {
        let url = Url::parse("https://id.example/token").unwrap();
        for stays in ["/login", "error?code=1", "https://id.example/", "https://www.id.example/token"] {
            assert!(!leads_away(&url, stays), "{stays}");
        }
        for leaves in
            ["http://portal.example/?from=id.example", "//portal.example/id.example", "https://notid.example/"]
        {
            assert!(leads_away(&url, leaves), "{leaves}");
        }
    }
}
