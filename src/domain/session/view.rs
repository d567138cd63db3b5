//! What is seen of a session from outside, and when it has changed.

mod further;
mod shown;

use std::collections::BTreeMap;

use super::grant::{Grant, Renewal};
use super::sign_in::SignIn;
use super::{Acquisition, ActiveFault, Session, Topic};
use crate::domain::approval::Approval;
use crate::domain::clock::{BootTime, Now, UnixTime};
use crate::domain::fault::FaultCode;
use crate::domain::identity::Identity;
use crate::domain::secret::Secret;
use crate::domain::session::context::Context;
pub(crate) use further::FurtherView;
pub(super) use shown::Shown;
use shown::{Digest, ShownToken};

/// The scope by which a sign-in is asked for that lasts (OpenID Connect Core 11).
const OFFLINE_ACCESS: &str = "offline_access";

/// The state of an account, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// There is no sign-in that can be used.
    SignedOut,
    /// The same, and a code waits for the user.
    AwaitingUser,
    /// A flow has a good token.
    Active,
    /// The token expired while no other could be had; the refresh token is kept and tried again.
    Expired,
}

impl SessionState {
    /// The word in `status`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::AwaitingUser => "awaiting_user",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// A token that a flow may use.
#[derive(Clone, Debug)]
pub struct TokenView {
    /// The access token.
    pub access_token: Secret,
    /// When it ends, if the provider says.
    pub expires_at: Option<UnixTime>,
    /// Until when a flow may have it; a margin before its end.
    pub usable_until: Option<BootTime>,
    /// The scopes granted.
    pub scope: Option<String>,
    /// Further members of the provider's answer, each as JSON text, by name.
    pub extra: BTreeMap<String, Secret>,
}

/// The content of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusView {
    /// In one word.
    pub state: SessionState,
    /// True if nothing goes on before a user signs in.
    pub needs_user: bool,
    /// When the access token ends.
    pub expires_at: Option<UnixTime>,
    /// When the next refresh is due.
    pub next_refresh_at: Option<UnixTime>,
    /// When the last one was.
    pub last_refresh_at: Option<UnixTime>,
    /// The scopes granted.
    pub scope: Option<String>,
    /// When the user approved.
    pub signed_in_at: Option<UnixTime>,
    /// When the sign-in itself ends, if nobody acts.
    pub sign_in_ends_at: Option<UnixTime>,
    /// The names of the further members that are published with the token.
    pub extra: Vec<String>,
    /// Who that was, if others may learn it and the provider said so.
    pub user: Option<String>,
    /// When somebody else than before approved, if that has happened.
    pub user_changed_at: Option<UnixTime>,
    /// The further tokens of the account, by name.
    pub tokens: Vec<FurtherView>,
    /// The fault, if there is one.
    pub error: Option<ErrorView>,
}

impl StatusView {
    /// A state, and nothing more to say of it.
    #[must_use]
    pub fn bare(state: SessionState, needs_user: bool) -> Self {
        Self {
            state,
            needs_user,
            expires_at: None,
            next_refresh_at: None,
            last_refresh_at: None,
            scope: None,
            signed_in_at: None,
            sign_in_ends_at: None,
            extra: Vec::new(),
            user: None,
            user_changed_at: None,
            tokens: Vec::new(),
            error: None,
        }
    }
}

/// A fault, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ErrorView {
    /// Which fault.
    pub code: FaultCode,
    /// The event, and the next step.
    pub message: String,
    /// Since when.
    pub since: UnixTime,
    /// When it is tried again, if it is.
    pub retry_at: Option<UnixTime>,
}

/// The content of `signin` while a sign-in waits for the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingView {
    /// Where the user types the code, or approves.
    pub verification_uri: String,
    /// An address that needs nothing more to be typed.
    pub verification_uri_complete: Option<String>,
    /// The code that the user types, in the device grant.
    pub user_code: Option<String>,
    /// Where the browser comes back to, in the authorization code grant.
    pub redirect_uri: Option<String>,
    /// When it expires.
    pub expires_at: UnixTime,
}

impl Session {
    /// The token that a flow may use now, if it is safe on disk and good.
    #[must_use]
    pub fn token(&self, now: Now) -> Option<TokenView> {
        let Grant::Held(renewal) = &self.grant else { return None };
        if !self.disk.has_what_is_seen() || !renewal.is_usable(now) {
            return None;
        }
        let tokens = &renewal.signed_in.tokens;
        Some(TokenView {
            access_token: tokens.access_token.clone(),
            expires_at: tokens.expiry.map(|expiry| expiry.at()),
            usable_until: renewal.usable_until(),
            scope: tokens.scope.clone(),
            extra: tokens.extra.clone(),
        })
    }

    /// The account's state, times and active fault.
    #[must_use]
    pub fn status(&self, now: Now) -> StatusView {
        let state = self.state(now);
        let mut status = StatusView::bare(state, self.needs_user(state));
        status.error = self.error(now);
        status.tokens = self.further_status();
        if let (Grant::Held(renewal), SessionState::Active | SessionState::Expired) = (&self.grant, state) {
            let signed_in = &renewal.signed_in;
            status.expires_at = signed_in.tokens.expiry.map(|expiry| expiry.at());
            status.next_refresh_at = renewal.next_refresh().map(|due| due.wall);
            status.last_refresh_at = signed_in.last_refresh;
            status.scope.clone_from(&signed_in.tokens.scope);
            status.signed_in_at = Some(signed_in.since);
            status.sign_in_ends_at = signed_in.tokens.sign_in_end.map(|end| end.at());
            status.extra = signed_in.tokens.extra.keys().cloned().collect();
            status.user_changed_at = signed_in.user_changed_at;
            status.user = self.identity(now).map(|user| user.label().to_owned());
        }
        status
    }

    /// Who is signed in, if others may learn it and the provider said so.
    #[must_use]
    pub fn identity(&self, now: Now) -> Option<&Identity> {
        let Grant::Held(renewal) = &self.grant else { return None };
        let signed_in = matches!(self.state(now), SessionState::Active | SessionState::Expired);
        renewal.signed_in.user.as_deref().filter(|_| self.rules.tells_user && signed_in)
    }

    /// Returns whether it is known who has signed in, now or before, and nobody else may learn it.
    #[must_use]
    pub fn keeps_user_to_itself(&self) -> bool {
        !self.rules.tells_user && self.grant.knows_user()
    }

    fn needs_user(&self, state: SessionState) -> bool {
        match state {
            SessionState::Active => false,
            SessionState::Expired => matches!(&self.grant, Grant::Held(renewal) if renewal.is_stuck()),
            SessionState::AwaitingUser => true,
            SessionState::SignedOut => {
                self.rules.acquisition == Acquisition::User || !self.sign_in.goes_on_by_itself(self.wants_sign_in())
            }
        }
    }

    /// The code that waits for the user, if there is one.
    #[must_use]
    pub fn pending(&self) -> Option<PendingView> {
        let SignIn::Waiting(waiting) = &self.sign_in else { return None };
        let expires_at = waiting.pending.expiry.at();
        Some(match &waiting.pending.approval {
            Approval::Device(device) => PendingView {
                verification_uri: device.verification_uri.clone(),
                verification_uri_complete: device.verification_uri_complete.clone(),
                user_code: Some(device.user_code.clone()),
                redirect_uri: None,
                expires_at,
            },
            Approval::Redirect(request) => PendingView {
                verification_uri: request.address.clone(),
                verification_uri_complete: Some(request.address.clone()),
                user_code: None,
                redirect_uri: Some(request.redirect_uri.clone()),
                expires_at,
            },
        })
    }

    fn state(&self, now: Now) -> SessionState {
        if let Grant::Held(renewal) = &self.grant {
            // New tokens that could not be written yet are as good as none.
            if renewal.is_usable(now) && (self.disk.has_what_is_seen() || self.disk.active_fault().is_none()) {
                return SessionState::Active;
            }
            if renewal.can_renew(&self.rules.acquisition) {
                return SessionState::Expired;
            }
        }
        if matches!(self.sign_in, SignIn::Waiting(_)) { SessionState::AwaitingUser } else { SessionState::SignedOut }
    }

    /// The fault that most concerns whoever looks: of the disk, then of the grant, then of a sign-in that failed since, and
    /// last that the grant has no refresh token.
    fn error(&self, now: Now) -> Option<ErrorView> {
        if let Some(active_fault) = self.disk.active_fault() {
            return Some(active_fault.view());
        }
        let source = self.rules.acquisition.source();
        let of_grant = match &self.grant {
            Grant::None { active_fault, .. } => active_fault.as_deref().map(ActiveFault::view),
            Grant::Revoking { .. } => None,
            Grant::Held(renewal) => {
                let refused = renewal.signed_in.refused.as_ref().map(|refusal| ErrorView {
                    code: refusal.code,
                    message: format!("{} {}", refusal.message, refusal.code.advice(source)),
                    since: refusal.since,
                    retry_at: None,
                });
                refused.or_else(|| renewal.active_fault().map(ActiveFault::view))
            }
        };
        let of_sign_in = || {
            let mut view = self.sign_in.active_fault().map(ActiveFault::view)?;
            if self.grant.lives_on(&self.rules.acquisition, now) {
                view.message.insert_str(0, "A new sign-in failed, and the former one is kept. ");
            }
            Some(view)
        };
        of_grant.or_else(of_sign_in).or_else(|| self.lacks_refresh_token(now))
    }

    /// The fault of a sign-in that ends with its access token: once that has expired, or at once if more was asked for.
    fn lacks_refresh_token(&self, now: Now) -> Option<ErrorView> {
        let Grant::Held(Renewal { signed_in, .. }) = &self.grant else { return None };
        let expired = self.grant.is_over(&self.rules.acquisition, now);
        let expiry = signed_in.tokens.expiry.filter(|_| signed_in.tokens.refresh_token.is_none())?;
        let scopes = self.rules.scope.as_deref().unwrap_or_default();
        let was_asked = self.rules.acquisition == Acquisition::User && scopes.split(' ').any(|it| it == OFFLINE_ACCESS);
        let code = FaultCode::NoRefreshToken;
        let (missing, next) = if was_asked {
            let missing = "the provider gave no refresh token, although offline_access was asked for";
            (missing, "Allow the client offline access in its registration at the provider, then sign in again.")
        } else {
            ("the provider gave no refresh token", code.advice(self.rules.acquisition.source()))
        };
        let message = match (expired, was_asked) {
            (true, _) => format!("The access token has expired, and {missing}. {next}"),
            (false, true) => format!("The sign-in ends with its access token: {missing}. {next}"),
            (false, false) => return None,
        };
        Some(ErrorView { code, message, since: if expired { expiry.at() } else { signed_in.since }, retry_at: None })
    }

    /// Asks for each topic to be published whose content is no longer what the broker was last given.
    ///
    /// While the disk lacks what memory has, the broker keeps what it has, but for a token that comes to its end.
    pub(super) fn publish_what_changed(&mut self, cx: &mut Context) {
        let safe = self.disk.has_what_is_seen();
        let failing = self.disk.active_fault().is_some();
        if !safe && !failing && !self.shown.holds_expired_token(cx.now) {
            return;
        }
        let token = if safe || !self.shown.token_is_good(cx.now) {
            self.shown_token(cx.now)
        } else {
            self.shown.token.clone().unwrap_or(ShownToken::None)
        };
        if self.shown.token.as_ref() != Some(&token) {
            self.shown.token = Some(token);
            cx.publish(Topic::Token);
        }
        self.publish_changed_further(cx);
        // What is not yet on disk is not told of either.
        let is_told = failing || !self.has_unsafe_further();
        let status = Some(Digest::of(&self.status(cx.now)));
        if is_told && self.shown.status != status {
            self.shown.status = status;
            cx.publish(Topic::Status);
        }
        let sign_in = Some(Digest::of(&self.pending()));
        if safe && self.shown.sign_in != sign_in {
            self.shown.sign_in = sign_in;
            cx.publish(Topic::SignIn);
        }
        let identity = Some(Digest::of(&self.identity(cx.now)));
        if safe && self.rules.tells_user && self.shown.identity != identity {
            self.shown.identity = identity;
            cx.publish(Topic::Identity);
        }
    }

    fn shown_token(&self, now: Now) -> ShownToken {
        match (&self.grant, self.token(now)) {
            (Grant::Held(renewal), Some(token)) => ShownToken::Token {
                generation: renewal.generation(),
                expires_at: token.expires_at,
                usable_until: token.usable_until,
            },
            _ => ShownToken::None,
        }
    }
}

impl ActiveFault {
    fn view(&self) -> ErrorView {
        ErrorView {
            code: self.fault.code,
            message: format!("{} {}", self.fault.message, self.fault.advice()),
            since: self.since.wall,
            retry_at: self.retry.map(|retry| retry.wall),
        }
    }
}
