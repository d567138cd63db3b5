//! The pages on which the person approves: plain HTML that fits a phone, and needs no script.

use std::fmt::Write as _;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #5b6472; --go: #1a6ef0; }
@media (prefers-color-scheme: dark) { :root { --line: #3a404b; --soft: #a3acba; --go: #4c8ff5; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center; padding: 1rem;
       font: 1.05rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; border: 1px solid var(--line); border-radius: 1rem; padding: 1.75rem 1.5rem; }
h1 { margin: 0 0 .5rem; font-size: 1.35rem; line-height: 1.3; }
p { margin: .5rem 0; }
.soft { color: var(--soft); font-size: .95rem; }
.code { margin: 1.25rem 0; padding: .75rem; border-radius: .6rem; border: 1px dashed var(--line); text-align: center;
        font: 600 1.7rem/1.2 ui-monospace, monospace; letter-spacing: .12em; }
ul { margin: .5rem 0 1.5rem; padding-left: 1.25rem; }
input { width: 100%; padding: .75rem; font: 1.3rem ui-monospace, monospace; letter-spacing: .1em; text-align: center;
        text-transform: uppercase; border: 1px solid var(--line); border-radius: .6rem; }
button { width: 100%; padding: .85rem; margin-top: .75rem; border-radius: .6rem; border: 1px solid var(--line);
         font: inherit; font-weight: 600; cursor: pointer; background: transparent; color: inherit; }
button.go { background: var(--go); border-color: var(--go); color: #fff; }
";

/// Asks for the code that the device shows. `wrong` is a code that was typed before and is not known.
pub(super) fn enter_code(wrong: Option<&str>) -> String {
    let complaint = wrong.map_or_else(String::new, |code| {
        format!("<p role=alert>No device waits with the code <b>{}</b>. Look at the device again.</p>", escape(code))
    });
    layout(
        "Connect a device",
        &format!(
            "<h1>Connect a device</h1>{complaint}<p class=soft>Type the code that the device shows.</p>
            <form action=/device method=get>
            <input name=user_code placeholder=XXXX-XXXX aria-label=Code autocomplete=off autocapitalize=characters \
            spellcheck=false maxlength=12 required autofocus>
            <button class=go>Continue</button></form>"
        ),
    )
}

/// Shows what the device asks for, and asks whether it may have it.
pub(super) fn approve(user_code: &str, client: &str, scope: &str) -> String {
    let mut scopes = String::new();
    for name in scope.split_whitespace() {
        let _ = write!(scopes, "<li>{}</li>", escape(meaning(name)));
    }
    layout(
        "Approve this device?",
        &format!(
            "<h1>{client} asks for access</h1>
            <p class=soft>Approve only if your device shows this same code:</p>
            <div class=code>{code}</div>
            <p>It may then, until you take it back:</p><ul>{scopes}</ul>
            <form action=/device method=post><input type=hidden name=user_code value=\"{code}\">
            <button class=go name=decision value=approve>Approve</button>
            <button name=decision value=deny>Refuse</button></form>",
            client = escape(client),
            code = escape(user_code),
        ),
    )
}

/// The last page.
pub(super) fn done(title: &str, text: &str) -> String {
    layout(title, &format!("<h1>{}</h1><p class=soft>{}</p>", escape(title), escape(text)))
}

fn meaning(scope: &str) -> &str {
    match scope {
        "openid" => "know which account you use",
        "email" => "see your e-mail address",
        "offline_access" => "keep this access while you are away",
        other => other,
    }
}

fn layout(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
        <meta name=viewport content=\"width=device-width, initial-scale=1\">\
        <title>{} - oauth2mqtt demo</title><style>{STYLE}</style></head><body><main>{body}\
        </main></body></html>\n",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
