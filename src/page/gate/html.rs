//! The pages of the gate as HTML. Whatever is not of these files is escaped by the templates.

use std::net::IpAddr;
use std::time::Duration;

use maud::{Markup, html};

use super::{PhoneCode, addresses};
use crate::domain::clock::BootTime;
use crate::domain::gate::Way;
use crate::domain::gate::sessions::GateSession;
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::way_back::WayBack;
use crate::domain::identity::Identity;
use crate::page::account::qr_picture;
use crate::page::html::{Document, VERSION, said};
use crate::ui::relative_time;

/// The interval at which a browser without scripts asks whether a code was approved, in seconds.
const EVERY: u32 = 5;

/// The time after which a kiosk tries again, in seconds.
const RETRY: u32 = 30;

/// A screen on a wall.
#[derive(Clone, Copy)]
pub(super) struct Kiosk<'a> {
    /// The page that it shows.
    pub(super) shown: &'a WayBack,
    /// The time without use after which it signs out.
    pub(super) idle: Duration,
}

/// The page that offers the ways to sign in; `again` if the provider has to ask who it is.
pub(super) fn sign_in(settings: &GateSettings, back: &WayBack, again: bool, notice: Option<&str>) -> String {
    let offers = |way| settings.client(way).is_some();
    let main = html! {
        (said(notice))
        section aria-labelledby="sign-in" {
            h2 #sign-in { "Sign in" }
            p { "This page is for certain people. Sign in to see it." }
            div.buttons {
                @if offers(Way::Browser) { (begin(Way::Browser, "Sign in here", back, again, "main")) }
                @if offers(Way::Phone) {
                    @let class = if offers(Way::Browser) { "" } else { "main" };
                    (begin(Way::Phone, "Sign in with a phone", back, again, class))
                }
            }
            @if offers(Way::Phone) {
                p.quiet { "With a phone, this screen shows a code to scan, and you type nothing here." }
            }
        }
    };
    // A kiosk that could not sign anybody in tries again by itself.
    let retry = (back.is_kiosk() && offers(Way::Phone)).then_some(RETRY);
    page(settings, "Sign in", &html! {}, &html! { div data-retry=[retry] { (main) } })
}

/// The page with the code for a phone.
pub(super) fn phone(settings: &GateSettings, code: &PhoneCode, back: &WayBack, screen: IpAddr) -> String {
    let whole = code.whole_address.as_deref().unwrap_or(&code.address);
    let head = html! { noscript { meta http-equiv="refresh" content=(EVERY); } };
    let main = html! {
        section aria-labelledby="phone" data-phone {
            h2 #phone { "Scan this with your phone" }
            div.code {
                @if let Some((edge, picture)) = qr_picture(whole) {
                    img src=(picture) alt="QR code of the address where you approve" width=(edge) height=(edge);
                }
                div {
                    p { "Or open " a href=(code.address) rel="noreferrer" { (code.address) } " on it and enter" }
                    p.user-code { strong { (code.user_code) } }
                    p.quiet {
                        "It expires in "
                        span role="timer" data-left=(code.left.as_secs()) { (relative_time::countdown(code.left)) }
                        "."
                    }
                }
            }
            p.warning {
                strong { "The code signs in this screen" } " (" (screen) "), not your phone. Approve it only if you stand before "
                "this screen and started this yourself. If somebody sent you the code or a picture of it, they would be signed \
                 in as you."
            }
            div.buttons {
                @if !back.is_kiosk() { a href=(addresses::sign_in(settings, back, false)) { "Back" } }
            }
        }
    };
    page(settings, "Scan to sign in", &head, &main)
}

/// The page that says who is signed in.
pub(super) fn account(settings: &GateSettings, session: &GateSession, now: BootTime) -> String {
    let start = WayBack::start();
    // A session of eight hours that has just begun does not last seven.
    let left = session.expiry.ends().after(now) + Duration::from_secs(59);
    let main = html! {
        section.active aria-labelledby="account" {
            h2 #account { "Signed in" }
            p.state { (named(&session.visitor.identity)) }
            p { (session.visitor.user) }
            p.quiet {
                "You sign in again after " (relative_time::span(left))
                ", or after " (relative_time::span(settings.idle)) " without use."
            }
            div.buttons {
                a.button href="/" { "Go to the dashboard" }
                (button("switch", "Sign in as somebody else", &start, ""))
                (button("sign-out", "Sign out", &start, "danger"))
            }
        }
    };
    page(settings, "Signed in", &html! {}, &main)
}

/// The page of a screen on a wall: with `person`, the dashboard in a frame; without, what leads to a code.
pub(super) fn kiosk(settings: &GateSettings, kiosk: Kiosk<'_>, person: Option<&Identity>) -> String {
    let own = addresses::kiosk(kiosk.shown);
    let Some(person) = person else {
        let (way, label) = if settings.phone.is_some() {
            (Way::Phone, "Sign in with a phone")
        } else {
            (Way::Browser, "Sign in here")
        };
        let main = html! {
            section aria-labelledby="kiosk" data-start[way == Way::Phone] {
                h2 #kiosk { "Sign in" }
                div.buttons { (begin(way, label, &own, way == Way::Browser, "main")) }
            }
        };
        return page(settings, "Sign in", &html! {}, &main);
    };
    let main = html! {
        div.kiosk data-kiosk=(kiosk.idle.as_secs()) {
            div.bar {
                h1 { (named(person)) }
                (button("sign-out", "Sign out", &own, ""))
            }
            iframe src=(kiosk.shown) title="Dashboard" {}
        }
        noscript { p.warning { "This page needs scripts to sign you out when nobody uses it." } }
    };
    page(settings, "Dashboard", &html! {}, &main)
}

fn page(settings: &GateSettings, title: &str, head: &Markup, main: &Markup) -> String {
    let head = html! {
        link rel="icon" type="image/svg+xml" href={ "/oauth2mqtt/icon.svg?" (VERSION) };
        link rel="stylesheet" href={ "/oauth2mqtt/gate.css?" (VERSION) };
        script src={ "/oauth2mqtt/gate.js?" (VERSION) } defer {}
        (head)
    };
    let heading = html! { (settings.authority()) };
    Document { files: "/oauth2mqtt", title, of: settings.authority(), heading: &heading, head: &head, main }.to_html()
}

/// The form that begins a sign-in.
fn begin(way: Way, label: &str, back: &WayBack, again: bool, class: &str) -> Markup {
    form(way.name(), label, back, again, class)
}

/// A button, and where to come back to.
fn form(action: &str, label: &str, back: &WayBack, again: bool, class: &str) -> Markup {
    html! {
        form method="post" action={ "/oauth2mqtt/" (action) } {
            input type="hidden" name="to" value=(back);
            @if again { input type="hidden" name="again" value="1"; }
            button class=(class) { (label) }
        }
    }
}

fn button(action: &str, label: &str, back: &WayBack, class: &str) -> Markup {
    form(action, label, back, false, class)
}

fn named(person: &Identity) -> String {
    person.name.clone().unwrap_or_else(|| person.user())
}
