//! The addresses to which the gate sends browsers, in full: a path alone could be taken for another host's.

use url::form_urlencoded;

use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::way_back::{OWN_PATH, WayBack};

/// A page of the protected site.
pub(super) fn site(settings: &GateSettings, path: &WayBack) -> String {
    format!("{}{path}", settings.address)
}

/// The page that offers the ways to sign in; `again` if the provider has to ask who it is.
pub(super) fn sign_in(settings: &GateSettings, back: &WayBack, again: bool) -> String {
    let again = if again { "&again" } else { "" };
    format!("{}{OWN_PATH}sign-in?{}{again}", settings.address, to(back))
}

/// Where a sign-in begins. A kiosk begins it by itself.
pub(super) fn start(settings: &GateSettings, back: &WayBack, again: bool) -> String {
    if back.is_kiosk() { site(settings, back) } else { sign_in(settings, back, again) }
}

/// The kiosk that shows a page.
pub(super) fn kiosk(shown: &WayBack) -> WayBack {
    WayBack::read(&format!("{OWN_PATH}kiosk?{}", to(shown)))
}

/// The page with the code for a phone.
pub(super) fn phone(settings: &GateSettings, back: &WayBack) -> String {
    format!("{}{OWN_PATH}phone?{}", settings.address, to(back))
}

fn to(back: &WayBack) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("to", back.as_str()).finish()
}
