//! One account on the page: its state in a sentence, a code where a sign-in waits, and the buttons.

use maud::{Markup, html};

use super::live_content::AccountView;
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::fault::FaultCode;
use crate::domain::grant_kind::GrantKind;
use crate::domain::session::{ErrorView, PendingView, SessionState, StatusView};
use crate::ui::qr::Qr;
use crate::ui::relative_time;

/// The size of a QR code in pixels: for each module, and the bounds of the whole. The largest is as wide as a phone.
const PIXELS: usize = 6;
const SMALLEST: usize = 232;
const LARGEST: usize = 314;

/// Returns whether the account waits for a person, or will when its token ends.
pub(super) fn needs_somebody(view: &AccountView) -> bool {
    view.status.needs_user || view.pending.is_some() || cannot_renew(&view.status)
}

/// Returns whether the token is good and no other will follow it without a new sign-in.
fn cannot_renew(status: &StatusView) -> bool {
    status.state == SessionState::Active && status.next_refresh_at.is_none() && status.expires_at.is_some()
}

fn is_signed_in(status: &StatusView) -> bool {
    matches!(status.state, SessionState::Active | SessionState::Expired)
}

/// The section of an account. `notice` says how the visitor's last press of a button there ended.
pub(super) fn section(
    name: &AccountName,
    view: &AccountView,
    token: &str,
    notice: Option<&str>,
    now: UnixTime,
) -> Markup {
    let AccountView { provider, status, pending, .. } = view;
    let attention = needs_somebody(view).then_some("attention");
    let ending = cannot_renew(status).then_some("ending");
    html! {
        section id={ "account-" (name) } class={ (status.state.name()) @for class in [attention, ending].iter().flatten() { " " (class) } }
            aria-labelledby={ "name-" (name) } {
            h2 id={ "name-" (name) } { (name) }
            @if provider != name.as_str() { p.provider { (provider) } }
            p.state { (state(status, now)) }
            p.said role="alert" hidden[notice.is_none()] { (notice.unwrap_or_default()) }
            @if let Some(pending) = pending {
                @if is_signed_in(status) {
                    p { "Somebody is signing in again. The present sign-in stays until the new one is approved." }
                }
                (code(name, pending, token, now))
            }
            @if let Some(error) = &status.error { (error_line(error, now)) }
            (buttons(name, view, token))
            (details(name, status, now))
        }
    }
}

fn state(status: &StatusView, now: UnixTime) -> Markup {
    html! {
        @match status.state {
            SessionState::SignedOut => "Signed out",
            SessionState::AwaitingUser => "Waiting for approval",
            SessionState::Active | SessionState::Expired => {
                "Signed in"
                @if let Some(user) = &status.user { " as " (user) }
            }
        }
        @if status.state == SessionState::Expired { ", but the provider gives no token now" }
        @if let (true, Some(at)) = (cannot_renew(status), status.expires_at) {
            ". This ends " (relative(at, now)) ", and only a new sign-in renews it: the provider gave nothing to renew it with."
        }
    }
}

/// The fault in words for the person who signs in. What only an administrator can use is in the details.
fn error_line(error: &ErrorView, now: UnixTime) -> Markup {
    html! {
        p.error {
            @if is_for_visitor(error.code) {
                (error.message)
            } @else {
                "The settings of this account need an administrator, who finds the reason under Details."
            }
            @if let Some(at) = error.retry_at { " Next try " (relative(at, now)) "." }
        }
    }
}

/// Returns whether the advice for a fault is for the person who signs in, rather than for the one who sets up the device.
fn is_for_visitor(code: FaultCode) -> bool {
    !matches!(
        code,
        FaultCode::InvalidClient
            | FaultCode::UnauthorizedClient
            | FaultCode::InvalidScope
            | FaultCode::InvalidRequest
            | FaultCode::UnsupportedGrantType
            | FaultCode::TlsFailed
            | FaultCode::NotOauth
            | FaultCode::AnswerMalformed
            | FaultCode::TokenTypeUnsupported
            | FaultCode::DiscoveryFailed
            | FaultCode::NoRefreshToken
            | FaultCode::IdentityUnknown
            | FaultCode::ClientChanged
            | FaultCode::RecordUnreadable
            | FaultCode::StoreFailed
            | FaultCode::TokenRefused
    )
}

/// The QR code of an address, and the edge of its picture in pixels.
pub(super) fn qr_picture(address: &str) -> Option<(usize, String)> {
    Qr::new(address).ok().map(|qr| ((qr.columns() * PIXELS).clamp(SMALLEST, LARGEST), qr.data_uri()))
}

/// The address for approval, as a picture and as text; and a field for the address that a browser cannot reach.
fn code(name: &AccountName, pending: &PendingView, token: &str, now: UnixTime) -> Markup {
    let short = pending.verification_uri.as_str();
    let address = pending.verification_uri_complete.as_deref().unwrap_or(short);
    let qr = qr_picture(address);
    let shown = if pending.user_code.is_some() { short } else { "the provider's page" };
    html! {
        div.code {
            @if let Some((edge, picture)) = qr {
                img src=(picture) alt="QR code of the address where you approve" width=(edge) height=(edge);
            }
            div {
                p.scan {
                    "Scan this with a phone, or open " (link(shown, address, "address"))
                    @if pending.user_code.is_some() { " and enter" }
                }
                p.here { (link("Open", address, "button")) @if pending.user_code.is_some() { " and enter" } }
                @if let Some(user_code) = &pending.user_code {
                    p.user-code { strong { (user_code) } }
                    p { button.copy type="button" data-copy=(user_code) hidden { "Copy code" } }
                }
                p.quiet {
                    "It expires in "
                    span role="timer" data-in=(seconds_until(pending.expires_at, now)) data-as="countdown" {
                        (relative_time::countdown(pending.expires_at.since(now)))
                    }
                    "."
                }
            }
        }
        @if pending.user_code.is_none() {
            form method="post" action={ "/accounts/" (name) "/complete" } {
                input type="hidden" name="token" value=(token);
                label for={ "address-" (name) } {
                    "After you have approved, the browser goes to " (pending.redirect_uri.as_deref().unwrap_or_default())
                    ". If it cannot reach that, copy the address that it shows, and paste it here:"
                }
                input id={ "address-" (name) } name="address" type="text" required autocomplete="off" spellcheck="false"
                    autocapitalize="none";
                div.buttons { button.main { "Finish" (hidden_name(name)) } }
            }
        }
    }
}

/// A link, if it is one that a browser should follow.
fn link(shown: &str, address: &str, class: &str) -> Markup {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    html! {
        @if is_web { a class=(class) href=(address) target="_blank" rel="noopener noreferrer" { (shown) } } @else { (shown) }
    }
}

fn buttons(name: &AccountName, view: &AccountView, token: &str) -> Markup {
    let AccountView { grant, status, pending, .. } = view;
    // A refresh token that was handed over is taken up by itself, and only once.
    let (login, again) = match grant {
        GrantKind::DeviceCode | GrantKind::AuthorizationCode if is_signed_in(status) => {
            (Some("Sign in again"), "signs in again")
        }
        GrantKind::DeviceCode | GrantKind::AuthorizationCode => (Some("Sign in"), "signs in again"),
        GrantKind::ClientCredentials | GrantKind::JwtBearer | GrantKind::Password => {
            (Some("New token"), "asks for a new token")
        }
        GrantKind::RefreshToken => (None, "hands over another refresh token"),
    };
    let button = |command: &str, class: &str, label: &str| {
        html! {
            form method="post" action={ "/accounts/" (name) "/" (command) } {
                input type="hidden" name="token" value=(token);
                button class=(class) { (label) (hidden_name(name)) }
            }
        }
    };
    html! {
        div.buttons {
            @if let Some(pending) = pending {
                (button("new-code", "", if pending.user_code.is_some() { "New code" } else { "New address" }))
                (button("cancel", "quiet", "Cancel"))
            } @else if let Some(label) = login {
                (button("login", if is_signed_in(status) { "" } else { "main" }, label))
            }
            @if is_signed_in(status) {
                details.sign-out {
                    summary { "Sign out …" (hidden_name(name)) }
                    p { "The tokens are revoked and forgotten. Flows get none until somebody " (again) "." }
                    div.buttons { (button("logout", "danger", "Sign out")) }
                }
            }
        }
    }
}

/// Whatever only an administrator looks for.
fn details(name: &AccountName, status: &StatusView, now: UnixTime) -> Markup {
    let is_empty = status.error.is_none() && !is_signed_in(status);
    html! {
        @if !is_empty {
            details.facts {
                summary { "Details" (hidden_name(name)) }
                dl {
                    @if let Some(error) = &status.error {
                        dt { "Fault" } dd { code { (error.code.name()) } " " (error.message) }
                    }
                    @if let Some(at) = status.signed_in_at {
                        dt { "Signed in" }
                        dd { (relative(at, now)) @if status.user_changed_at.is_some() { ", by somebody else than before" } }
                    }
                    @if let Some(at) = status.sign_in_ends_at {
                        dt { "Sign-in" }
                        dd { @if at > now { "ends " } @else { "ended " } (relative(at, now)) }
                    }
                    @if let Some(at) = status.expires_at {
                        dt { "Access token" }
                        dd { @if at > now { "ends " } @else { "ended " } (relative(at, now)) }
                    }
                    @if let Some(at) = status.next_refresh_at { dt { "Next refresh" } dd { (relative(at, now)) } }
                    @if let Some(scope) = &status.scope { dt { "Scopes" } dd { (scope) } }
                }
            }
        }
    }
}

/// The name of the account for a screen reader, where several buttons have the same label.
fn hidden_name(name: &AccountName) -> Markup {
    html! { span.hidden { " (" (name) ")" } }
}

/// A relative time, which the script of the page keeps current.
fn relative(at: UnixTime, now: UnixTime) -> Markup {
    html! { span data-in=(seconds_until(at, now)) { (relative_time::relative(at, now)) } }
}

fn seconds_until(at: UnixTime, now: UnixTime) -> i64 {
    at.seconds().saturating_sub(now.seconds())
}
