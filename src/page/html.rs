//! The page as text. Whatever is not of this file goes through [`Text`], which makes it harmless.

use std::fmt::{self, Display, Write as _};

use super::board::{AccountView, Content, Revision};
use crate::domain::account::AccountName;
use crate::domain::clock::UnixTime;
use crate::domain::session::{PendingView, SessionState, StatusView};
use crate::ui::qr::Qr;
use crate::ui::relative_time;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The interval at which a browser without scripts reloads the page, in seconds: while something is waited for, and else.
const SOON: u32 = 10;
const LATER: u32 = 60;

/// The size of a QR code in pixels: for each module, and the bounds of the whole. The largest is as wide as a phone.
const PIXELS: usize = 6;
const SMALLEST: usize = 232;
const LARGEST: usize = 314;

/// Text in HTML, between tags or in quotes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // The events of a stream are told apart by their lines.
                '\n' | '\r' => f.write_char(' ')?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The whole page. What was just `said` stands above everything.
pub(super) fn page(content: &Content, said: Option<&str>, now: UnixTime) -> String {
    let mut pending = content.accounts().filter_map(|(_, view)| view.pending.as_ref());
    let every = if pending.any(|code| code.user_code.is_some()) { SOON } else { LATER };
    let mut main = String::with_capacity(8 * 1024);
    put(&mut main, &said_line(said));
    put(&mut main, &broker(content.has_broker()));
    let mut none = true;
    for (name, view) in content.accounts() {
        none = false;
        account(&mut main, name, view, now);
    }
    if none {
        put(
            &mut main,
            "<section><p>The configuration names no account yet. Add one with <code>sudo oauth2mqtt add</code>.</p></section>",
        );
    }
    let script = format!("<script src=\"/page.js?{VERSION}\" defer></script>");
    document(
        "Sign-in",
        &format!("{script}<noscript><meta http-equiv=\"refresh\" content=\"{every}; url=/\"></noscript>"),
        &main,
    )
}

/// The page that asks for the access code.
pub(super) fn entry(said: Option<&str>) -> String {
    let main = format!(
        "{}<section aria-labelledby=\"enter\"><h2 id=\"enter\">Access code</h2>\
         <p>Its file is named in the configuration of this device, under <code>[page]</code>.</p>\
         <form method=\"post\" action=\"/enter\"><label for=\"code\">Access code</label>\
         <input id=\"code\" name=\"code\" type=\"password\" required autocomplete=\"current-password\" autofocus>\
         <div class=\"buttons\"><button class=\"main\">Enter</button></div></form></section>",
        said_line(said)
    );
    document("Access code", "", &main)
}

/// Writes the changes since `seen` as server-sent events.
pub(super) fn changes(content: &Content, seen: Revision, now: UnixTime) -> String {
    let is_first = seen == Revision::default();
    let mut text = String::new();
    if is_first {
        put(&mut text, "retry: 2000\n\n");
    } else if content.has_other_accounts_since(seen) {
        put(&mut text, "event: reload\ndata:\n\n");
    }
    if let Some(connected) = content.broker_since(seen) {
        put(&mut text, &format!("event: broker\ndata: {}\n\n", broker(connected)));
    }
    for (name, view) in content.changed_since(seen) {
        put(&mut text, "event: account\ndata: ");
        account(&mut text, name, view, now);
        put(&mut text, "\n\n");
    }
    if text.is_empty() {
        // A comment: without anything new it says that the agent is there.
        put(&mut text, ":\n\n");
    }
    text
}

fn document(title: &str, head: &str, main: &str) -> String {
    let device = rustix::system::uname();
    let device = Text(device.nodename().to_str().unwrap_or("this device")).to_string();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} · {device}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\
         <link rel=\"stylesheet\" href=\"/page.css?{VERSION}\">{head}</head>\
         <body><header><h1>Sign-in <span>on {device}</span></h1></header><main>{main}</main>\
         <footer>oauth2mqtt {VERSION}</footer></body></html>"
    )
}

fn said_line(said: Option<&str>) -> String {
    let hidden = if said.is_none() { " hidden" } else { "" };
    format!("<p id=\"said\" role=\"alert\"{hidden}>{}</p>", Text(said.unwrap_or_default()))
}

fn broker(connected: bool) -> String {
    let hidden = if connected { " hidden" } else { "" };
    format!(
        "<p id=\"broker\" class=\"warning\" role=\"status\"{hidden}>There is no connection to the MQTT broker, so no flow \
         gets a token. The agent keeps trying.</p>"
    )
}

fn account(out: &mut String, name: &AccountName, view: &AccountView, now: UnixTime) {
    let AccountView { provider, status, pending } = view;
    let provider = if provider == name.as_str() { "" } else { provider };
    put(
        out,
        &format!(
            "<section id=\"account-{name}\" class=\"{}\" aria-labelledby=\"name-{name}\"><h2 id=\"name-{name}\">{name}</h2>\
             <p class=\"provider\">{}</p><p class=\"state\">{}</p>",
            status.state.name(),
            Text(provider),
            state(status)
        ),
    );
    if let Some(pending) = pending {
        code(out, name, pending, now);
    }
    if let Some(error) = &status.error {
        let retry = error.retry_at.map(|at| format!(" Next try {}.", relative(at, now))).unwrap_or_default();
        put(
            out,
            &format!(
                "<p class=\"error\"><strong>{}</strong> <span>{}</span>{retry}</p>",
                Text(error.code.name()),
                Text(&error.message)
            ),
        );
    }
    times(out, status, now);
    buttons(out, name, status, pending.as_ref());
    put(out, "</section>");
}

fn state(status: &StatusView) -> String {
    let user = status.user.as_deref().map(|user| format!(" as {}", Text(user))).unwrap_or_default();
    match status.state {
        SessionState::SignedOut => "Signed out".to_owned(),
        SessionState::AwaitingUser => "Waiting for approval".to_owned(),
        SessionState::Active => format!("Signed in{user}"),
        SessionState::Expired => format!("Signed in{user}, but the provider gives no token now"),
    }
}

/// Where to approve, as a picture and as text; and a field for the address that a browser cannot reach.
fn code(out: &mut String, name: &AccountName, pending: &PendingView, now: UnixTime) {
    let short = pending.verification_uri.as_str();
    let address = pending.verification_uri_complete.as_deref().unwrap_or(short);
    put(out, "<div class=\"code\">");
    if let Ok(qr) = Qr::new(address) {
        let edge = (qr.columns() * PIXELS).clamp(SMALLEST, LARGEST);
        put(
            out,
            &format!(
                "<img src=\"{}\" alt=\"QR code of the address where you approve\" width=\"{edge}\" height=\"{edge}\">",
                qr.data_uri()
            ),
        );
    }
    let lapses = format!(
        "<p class=\"quiet\">It lapses in <span role=\"timer\" data-in=\"{}\" data-as=\"countdown\">{}</span>.</p>",
        seconds_until(pending.expires_at, now),
        relative_time::countdown(pending.expires_at.since(now))
    );
    if let Some(user_code) = &pending.user_code {
        put(
            out,
            &format!(
                "<div><p>Scan this with a phone, or open {} and enter</p><p class=\"user-code\"><strong>{}</strong></p>\
                 {lapses}</div></div>",
                link(short, address),
                Text(user_code)
            ),
        );
        return;
    }
    put(
        out,
        &format!(
            "<div><p>Scan this with a phone, or open {}</p>{lapses}</div></div>",
            link("the provider's page", address)
        ),
    );
    let redirect_uri = pending.redirect_uri.as_deref().unwrap_or_default();
    put(
        out,
        &format!(
            "<form method=\"post\" action=\"/accounts/{name}/complete\"><label for=\"address-{name}\">After you have approved, \
             the browser goes to {}. If it cannot reach that, copy the address that it shows, and paste it here:</label>\
             <input id=\"address-{name}\" name=\"address\" type=\"text\" required autocomplete=\"off\" spellcheck=\"false\" \
             autocapitalize=\"none\"><div class=\"buttons\"><button class=\"main\">Finish<span class=\"hidden\"> ({name})\
             </span></button></div></form>",
            Text(redirect_uri)
        ),
    );
}

/// A link, if it is one that a browser should follow.
fn link(shown: &str, address: &str) -> String {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    if is_web {
        format!("<a href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer\">{}</a>", Text(address), Text(shown))
    } else {
        Text(shown).to_string()
    }
}

fn times(out: &mut String, status: &StatusView, now: UnixTime) {
    let since = status.signed_in_at.map(|at| {
        let changed = if status.user_changed_at.is_some() { ", by somebody else than before" } else { "" };
        ("Signed in", format!("{}{changed}", relative(at, now)))
    });
    let token = status.expires_at.map(|at| {
        let verb = if at > now { "ends" } else { "ended" };
        ("Access token", format!("{verb} {}", relative(at, now)))
    });
    let refresh = status.next_refresh_at.map(|at| ("Next refresh", relative(at, now)));
    let scopes = status.scope.as_deref().map(|scope| ("Scopes", Text(scope).to_string()));
    let rows: Vec<_> = [since, token, refresh, scopes].into_iter().flatten().collect();
    if rows.is_empty() {
        return;
    }
    put(out, "<dl>");
    for (name, value) in rows {
        put(out, &format!("<dt>{name}</dt><dd>{value}</dd>"));
    }
    put(out, "</dl>");
}

fn buttons(out: &mut String, name: &AccountName, status: &StatusView, pending: Option<&PendingView>) {
    let button = |wish: &str, class: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"/accounts/{name}/{wish}\"><button class=\"{class}\">{label}\
             <span class=\"hidden\"> ({name})</span></button></form>"
        )
    };
    put(out, "<div class=\"buttons\">");
    let signed_in = matches!(status.state, SessionState::Active | SessionState::Expired);
    if let Some(pending) = pending {
        let label = if pending.user_code.is_some() { "New code" } else { "New address" };
        put(out, &button("new-code", "", label));
        put(out, &button("cancel", "quiet", "Cancel"));
    } else {
        let (class, label) = if signed_in { ("", "Sign in again") } else { ("main", "Sign in") };
        put(out, &button("login", class, label));
    }
    if signed_in {
        put(
            out,
            &format!(
                "<details><summary>Sign out …<span class=\"hidden\"> ({name})</span></summary><p>The tokens are revoked and \
                 forgotten. Flows get none until somebody signs in again.</p><div class=\"buttons\">{}</div></details>",
                button("logout", "danger", "Sign out")
            ),
        );
    }
    put(out, "</div>");
}

/// A time as words, which the script of the page keeps true.
fn relative(at: UnixTime, now: UnixTime) -> String {
    format!("<span data-in=\"{}\">{}</span>", seconds_until(at, now), relative_time::relative(at, now))
}

fn seconds_until(at: UnixTime, now: UnixTime) -> i64 {
    at.seconds().saturating_sub(now.seconds())
}

fn put(out: &mut String, text: &str) {
    out.push_str(text);
}
