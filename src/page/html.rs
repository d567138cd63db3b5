//! The page as HTML. Whatever is not of these files is escaped by the templates.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::account::{needs_somebody, section};
use super::live_content::{Content, ContentRevision};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The interval at which a browser without scripts reloads the page, in seconds: while something is waited for, and else.
const SOON: u32 = 10;
const LATER: u32 = 60;

/// A sentence for the visitor, and the account that it is about.
#[derive(Clone, Copy)]
pub(super) struct Notice<'a> {
    pub(super) account: Option<&'a AccountName>,
    pub(super) text: &'a str,
}

/// The whole page. Accounts that need somebody come first. Each form carries `token`, without which no button counts.
pub(super) fn page(content: &Content, token: &str, notice: Option<Notice<'_>>, now: UnixTime) -> String {
    let waits = content.accounts().any(|(_, view)| view.pending.is_some());
    let every = if waits { SOON } else { LATER };
    let mut accounts: Vec<_> = content.accounts().collect();
    accounts.sort_by_key(|(_, view)| !needs_somebody(view));
    let waiting = accounts.iter().filter(|(_, view)| needs_somebody(view)).count();
    let general = notice.filter(|notice| notice.account.is_none()).map(|notice| notice.text);
    let title = if waiting == 0 { "Sign-in".to_owned() } else { format!("({waiting}) Sign-in needed") };
    let head = html! {
        script src={ "/page.js?" (VERSION) } defer {}
        noscript { meta http-equiv="refresh" content={ (every) "; url=/" }; }
    };
    let main = html! {
        (said(general))
        (broker(content.has_broker()))
        @for (name, view) in &accounts {
            (section(name, view, token, notice.filter(|notice| notice.account == Some(*name)).map(|it| it.text), now))
        }
        @if accounts.is_empty() {
            section { p { "There is no account yet. Add one with " code { "sudo oauth2mqtt add" } "." } }
        }
    };
    document(&title, waiting > 0, &head, &main)
}

/// The page that asks for the access code.
pub(super) fn entry(notice: Option<&str>) -> String {
    let main = html! {
        (said(notice))
        section aria-labelledby="enter" {
            h2 #enter { "Access code" }
            p { "Ask the person who set up this device." }
            form method="post" action="/enter" {
                label for="code" { "Access code" }
                input #code name="code" type="password" required autocomplete="current-password" autofocus;
                div.buttons { button.main { "Enter" } }
            }
        }
    };
    document("Access code", false, &html! {}, &main)
}

/// Writes the changes since `seen` as server-sent events.
pub(super) fn changes(content: &Content, token: &str, seen: ContentRevision, now: UnixTime) -> String {
    let is_first = seen == ContentRevision::default();
    let mut text = String::new();
    if is_first {
        text.push_str("retry: 2000\n\n");
    } else if content.has_other_accounts_since(seen) {
        text.push_str("event: reload\ndata:\n\n");
    }
    if let Some(connected) = content.broker_since(seen) {
        text.push_str(&event("broker", broker(connected)));
    }
    for (name, view) in content.changed_since(seen) {
        text.push_str(&event("account", section(name, view, token, None, now)));
    }
    if text.is_empty() {
        // A comment: without anything new it says that the agent is there.
        text.push_str(":\n\n");
    }
    text
}

/// One server-sent event. Its lines tell it from the next, so there is no other line break in it.
fn event(name: &str, data: Markup) -> String {
    format!("event: {name}\ndata: {}\n\n", data.into_string().replace(['\n', '\r'], " "))
}

/// A page around its main part.
pub(super) struct Document<'a> {
    /// The path below which its files are.
    pub(super) files: &'a str,
    /// The title, and of what it is one.
    pub(super) title: &'a str,
    pub(super) of: &'a str,
    pub(super) heading: &'a Markup,
    pub(super) head: &'a Markup,
    pub(super) main: &'a Markup,
}

impl Document<'_> {
    pub(super) fn to_html(&self) -> String {
        let Self { files, title, of, heading, head, main } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    title { (title) " · " (of) }
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    link rel="stylesheet" href={ (files) "/page.css?" (VERSION) };
                    (head)
                }
                body {
                    header { h1 { (heading) } }
                    main { (main) }
                    footer { "oauth2mqtt " (VERSION) }
                }
            }
        };
        page.into_string()
    }
}

fn document(title: &str, attention: bool, head: &Markup, main: &Markup) -> String {
    let device = rustix::system::uname();
    let device = device.nodename().to_str().unwrap_or("this device");
    let icon = if attention { "attention" } else { "good" };
    let head = html! {
        link #icon rel="icon" type="image/svg+xml" href={ "/icon-" (icon) ".svg?" (VERSION) };
        (head)
    };
    let heading = html! { "Sign-in " span { "on " (device) } };
    Document { files: "", title, of: device, heading: &heading, head: &head, main }.to_html()
}

pub(super) fn said(text: Option<&str>) -> Markup {
    html! { p #said role="alert" hidden[text.is_none()] { (text.unwrap_or_default()) } }
}

fn broker(connected: bool) -> Markup {
    html! {
        p #broker .warning role="status" hidden[connected] {
            "There is no connection to the MQTT broker, so no flow gets a token. The agent keeps trying."
        }
    }
}

/// The icon of the tab: a dot, with a mark in it where somebody is needed.
pub(super) fn icon(attention: bool) -> String {
    let (colour, mark) = if attention { ("#b26a00", "!") } else { ("#146c2e", "✓") };
    let icon = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" {
            circle cx="16" cy="16" r="15" fill=(colour) {}
            text x="16" y="23" font-family="sans-serif" font-size="20" font-weight="bold" text-anchor="middle" fill="#fff" {
                (PreEscaped(mark))
            }
        }
    };
    icon.into_string()
}
