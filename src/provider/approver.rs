//! Who approved a sign-in, as far as an account wants to know.

use oauth2::http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use tokio::time::{Duration, sleep};
use url::Url;

use super::answer::NewTokens;
use super::discovery::Endpoints;
use super::http::Exchange;
use super::parameters::{Unbuildable, add_headers};
use super::{Provider, identity};
use crate::domain::clock::UnixTime;
use crate::domain::fault::{Fault, FaultCode};
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;
use crate::domain::settings::AccountSettings;
use crate::domain::token::{Granted, User};
use crate::platform::clock;

/// The number of times that userinfo is asked: the user has approved by then, and should not have to do it twice for one lost packet.
const USERINFO_TRIES: u32 = 3;
const USERINFO_WAIT: Duration = Duration::from_secs(1);

impl Provider {
    /// The tokens, with who approved them; `nonce` is what the ID token must repeat.
    pub(super) async fn granted(
        &self,
        endpoints: &Endpoints,
        new: NewTokens,
        exchange: &Exchange,
        nonce: Option<&str>,
    ) -> Granted {
        let NewTokens { tokens, id_token } = new;
        if !self.account.asks_for_user() {
            return Granted { tokens, user: User::NotAsked };
        }
        let given = [Some(&tokens.access_token), tokens.refresh_token.as_ref(), id_token.as_ref()];
        let secrets = self.secrets(given.into_iter().flatten());
        let now = exchange.date.unwrap_or_else(|| clock::now().wall);
        let expected = expected(endpoints, &self.account.client.id, nonce, now);
        let user = self.user(endpoints, &tokens.access_token, id_token.as_ref(), expected, &secrets).await;
        let user = match user {
            Ok(user) => User::Known(user),
            Err(fault) => User::Unknown(fault),
        };
        Granted { tokens, user }
    }

    /// Who approved: from the ID token, and from userinfo for what that leaves open.
    async fn user(
        &self,
        endpoints: &Endpoints,
        access_token: &Secret,
        id_token: Option<&Secret>,
        expected: Option<identity::Expected<'_>>,
        secrets: &[&Secret],
    ) -> Result<Identity, Fault> {
        let by_token = match (id_token, expected) {
            // Of one that is encrypted, userinfo tells the same.
            (Some(token), Some(expected)) => match identity::id_token(token, expected, secrets)? {
                Some(claims) => Some(
                    claims
                        .identity(secrets, &self.account.claims)
                        .ok_or_else(|| identity::unknown("The ID token names no user."))?,
                ),
                None => None,
            },
            // Whose word it is cannot be told.
            _ => None,
        };
        let AccountSettings { allow, claims, identity: wants_name, .. } = &*self.account;
        let has = |user: &Identity, claim: &str| user.claim(claim).is_some();
        let is_decided = |user: &Identity| {
            let is_admitted = !allow.admits_everybody() && allow.admits(user);
            let has_address = user.email_verified || !allow.names_addresses();
            is_admitted || (has_address && allow.claims().all(|claim| has(user, claim)))
        };
        let is_enough = |user: &Identity| {
            let has_name = user.name.is_some() || !wants_name;
            user.email_verified && has_name && claims.iter().all(|claim| has(user, claim))
        };
        let by_userinfo = match &endpoints.userinfo {
            Some(url) if !by_token.as_ref().is_some_and(is_enough) => {
                Some(self.userinfo(url, access_token, expected).await)
            }
            _ => None,
        };
        match (by_token, by_userinfo) {
            (Some(user), None) => Ok(user),
            (None, None) => {
                Err(identity::unknown("The provider sent no ID token that can be read, and has no userinfo endpoint."))
            }
            // What the ID token says is enough to tell who it was, if not by the address.
            (Some(user), Some(Err(_))) if is_decided(&user) => Ok(user),
            (_, Some(Err(fault))) => Err(fault),
            (by_token, Some(Ok(claims))) => {
                let user = claims
                    .identity(secrets, &self.account.claims)
                    .ok_or_else(|| identity::unknown("Userinfo names no user."))?;
                identity::merged(by_token, user)
            }
        }
    }

    async fn userinfo(
        &self,
        url: &Url,
        access_token: &Secret,
        expected: Option<identity::Expected<'_>>,
    ) -> Result<identity::Claims, Fault> {
        let mut tries = 0;
        loop {
            let answer = self.send(self.userinfo_request(url, access_token)).await;
            let answer = answer.and_then(|exchange| identity::userinfo(&exchange, expected));
            tries += 1;
            match answer {
                Err(_) if tries < USERINFO_TRIES => sleep(USERINFO_WAIT).await,
                Err(fault) if fault.code == FaultCode::IdentityUnknown => return Err(fault),
                Err(fault) => return Err(identity::unknown(fault.message)),
                Ok(claims) => return Ok(claims),
            }
        }
    }

    fn userinfo_request(&self, url: &Url, access_token: &Secret) -> Result<oauth2::HttpRequest, Unbuildable> {
        let request = oauth2::http::Request::get(url.as_str()).header(ACCEPT, "application/json").body(Vec::new());
        let mut request = request.map_err(|_| Unbuildable)?;
        add_headers(request.headers_mut(), &self.account.profile)?;
        let bearer = Secret::new(format!("Bearer {}", access_token.expose()));
        let mut bearer = HeaderValue::from_str(bearer.expose()).map_err(|_| Unbuildable)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        Ok(request)
    }
}

fn expected<'a>(
    endpoints: &'a Endpoints,
    client_id: &'a str,
    nonce: Option<&'a str>,
    now: UnixTime,
) -> Option<identity::Expected<'a>> {
    let issuer = endpoints.issuer.as_deref()?;
    Some(identity::Expected { issuer, client_id, nonce, now })
}
