//! How long what a provider gave lasts, from all the places where it may say so.

use std::time::Duration;

use super::body::{Json, duration};
use super::jwt;
use crate::domain::clock::UnixTime;
use crate::domain::profile::{Profile, RequestKind};
use crate::domain::secret::Secret;
use crate::domain::token::SignInEnd;
use crate::platform::clock;

/// The times in an answer with a token.
pub(super) struct Answered<'a> {
    /// True if another token can be had for it.
    pub(super) refreshable: bool,
    /// The server's clock, if it tells it.
    pub(super) date: Option<UnixTime>,
    pub(super) access_token: &'a Secret,
    /// Seconds.
    pub(super) expires_in: Option<&'a Json>,
    /// Unix seconds, which several providers tell beside or in place of the standard's member.
    pub(super) expires_at: Option<&'a Json>,
    /// Seconds, 0 for ever.
    pub(super) refresh_expires_in: Option<&'a Json>,
}

impl Answered<'_> {
    /// Returns the life of the access token: what the answer says, else what the token itself says if it is a JWT, else what
    /// the profile says.
    pub(super) fn expires_in(&self, profile: &Profile) -> Option<Duration> {
        if let Some(seconds) = self.expires_in.and_then(Json::seconds) {
            // Without a refresh token, this is how some say that it never ends.
            return (seconds > 0.0 || self.refreshable).then(|| duration(seconds));
        }
        let at = self.expires_at.and_then(Json::seconds).filter(|at| *at > 0.0).or_else(|| self.exp());
        at.map(|at| self.until(at)).or_else(|| profile.access_token_lifetime())
    }

    /// When the sign-in itself ends: what the answer says, else what the profile says.
    pub(super) fn sign_in_end(&self, profile: &Profile, kind: RequestKind) -> SignInEnd {
        match self.refresh_expires_in.and_then(Json::seconds) {
            Some(seconds) if seconds > 0.0 => return SignInEnd::In(duration(seconds)),
            Some(_) => return SignInEnd::Never,
            None => {}
        }
        let from_approval = if kind == RequestKind::Refresh { None } else { profile.sign_in_lifetime };
        let seconds = [from_approval, profile.idle_lifetime].into_iter().flatten().min();
        seconds.map_or(SignInEnd::NotSaid, |seconds| SignInEnd::In(Duration::from_secs(seconds)))
    }

    /// The end that a JWT names (RFC 7519 4.1.4).
    fn exp(&self) -> Option<f64> {
        jwt::payload(self.access_token.expose())?.member("exp")?.number().filter(|exp| *exp > 0.0)
    }

    /// The time until then by the server's clock, since the device's may be wrong.
    fn until(&self, at: f64) -> Duration {
        let now = self.date.unwrap_or_else(|| clock::now().wall);
        #[expect(clippy::cast_precision_loss, reason = "it is exact for the next hundred million years")]
        duration(at - now.seconds() as f64)
    }
}
