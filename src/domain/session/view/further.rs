//! What is seen of further tokens.

use super::{ErrorView, ShownToken, TokenView};
use crate::domain::clock::{BootTime, Now, UnixTime};
use crate::domain::fault::FaultCode;
use crate::domain::policy;
use crate::domain::record::FurtherToken;
use crate::domain::session::context::Context;
use crate::domain::session::grant::Grant;
use crate::domain::session::{ActiveFault, FurtherRenewal, Session, Topic};
use crate::domain::token_name::TokenName;

/// A further token, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FurtherView {
    /// Its name.
    pub name: TokenName,
    /// When it ends, if there is one and the provider says.
    pub expires_at: Option<UnixTime>,
    /// The fault, if there is one of this token alone.
    pub error: Option<ErrorView>,
}

impl Session {
    /// The further token of that name that a flow may use now, if it is safe on disk and good.
    #[must_use]
    pub fn further_token(&self, name: &TokenName, now: Now) -> Option<TokenView> {
        let (_, token) = self.good_further(name, now)?;
        Some(TokenView {
            access_token: token.access_token.clone(),
            expires_at: token.expiry.map(|expiry| expiry.at()),
            usable_until: usable_until(token),
            scope: token.scope.clone(),
            extra: token.extra.clone(),
        })
    }

    fn good_further(&self, name: &TokenName, now: Now) -> Option<(&FurtherRenewal, &FurtherToken)> {
        let Grant::Held(renewal) = &self.grant else { return None };
        let (way, token) = renewal.further(name)?;
        let is_usable = |token: &&FurtherToken| usable_until(token).is_none_or(|until| now.boot < until);
        let is_seen = renewal.signed_in.refused.is_none() && way.is_safe();
        token.filter(|_| is_seen).filter(is_usable).map(|token| (way, token))
    }

    pub(super) fn has_unsafe_further(&self) -> bool {
        matches!(&self.grant, Grant::Held(renewal) if renewal.has_unsafe_further())
    }

    /// The state of each further token that the rules name.
    pub(super) fn further_status(&self) -> Vec<FurtherView> {
        let renewal = match &self.grant {
            Grant::Held(renewal) if renewal.signed_in.refused.is_none() => Some(renewal),
            _ => None,
        };
        let no_refresh_token = renewal.filter(|it| it.signed_in.tokens.refresh_token.is_none()).map(|it| ErrorView {
            code: FaultCode::NoRefreshToken,
            message: format!(
                "The provider gave no refresh token, and without one there are no further tokens. {}",
                FaultCode::NoRefreshToken.advice(self.rules.acquisition.source())
            ),
            since: it.signed_in.since,
            retry_at: None,
        });
        let view = |name: &TokenName| {
            let (way, token) = renewal.and_then(|renewal| renewal.further(name)).unzip();
            let fault = way.and_then(FurtherRenewal::active_fault).map(ActiveFault::view);
            FurtherView {
                name: name.clone(),
                expires_at: token.flatten().and_then(|token| token.expiry).map(|expiry| expiry.at()),
                error: fault.or_else(|| no_refresh_token.clone()),
            }
        };
        self.rules.tokens.keys().map(view).collect()
    }

    /// Asks for each further token to be published that is no longer what the broker was last given.
    ///
    /// While the disk lacks a new one, the broker keeps the former as long as it is good.
    pub(super) fn publish_changed_further(&mut self, cx: &mut Context) {
        let names: Vec<_> = self.rules.tokens.keys().chain(&self.retired).cloned().collect();
        for name in names {
            let former = self.shown.further.get(&name);
            let shown = match self.good_further(&name, cx.now) {
                Some((way, token)) => ShownToken::Token {
                    generation: way.generation(),
                    expires_at: token.expiry.map(|expiry| expiry.at()),
                    usable_until: usable_until(token),
                },
                None if self.awaits_the_disk(&name) && former.is_some_and(|former| former.is_good(cx.now)) => continue,
                None => ShownToken::None,
            };
            if former != Some(&shown) {
                self.shown.further.insert(name.clone(), shown);
                cx.publish(Topic::FurtherToken(name));
            }
        }
    }

    fn awaits_the_disk(&self, name: &TokenName) -> bool {
        let Grant::Held(renewal) = &self.grant else { return false };
        renewal.further(name).is_some_and(|(way, _)| !way.is_safe())
    }
}

/// Until when a flow may have the token; `None` for ever.
fn usable_until(token: &FurtherToken) -> Option<BootTime> {
    token.expiry.as_ref().map(policy::usable_until)
}
