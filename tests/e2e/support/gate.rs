//! An agent with a gate, a proxy in front of it, and people with browsers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use url::Url;

use super::clock::{SOON, wait_for};
use super::http::ask;
use super::https::{Answer, Https};
use super::proxy::{Program, Proxy};
use super::world::{Setup, World, free_port};

/// The name of the cookie of a session.
pub(crate) const SESSION: &str = "__Host-oauth2mqtt-gate";

/// Everything but the Node-RED behind it.
pub(crate) struct Gate {
    pub(crate) world: World,
    pub(crate) proxy: Proxy,
    pub(crate) port: u16,
}

impl Gate {
    /// Starts it in front of a Node-RED at that port, for these people and with further lines of `[gate]`.
    #[track_caller]
    pub(crate) fn start(program: Program, node_red: u16, allow: &str, lines: &str) -> Self {
        let port = free_port();
        let proxy = Proxy::start(program, "localhost", port, node_red);
        let world = with_gate(Setup::new(), &proxy.client.origin(), port, allow, lines).start();
        Self { world, proxy, port }
    }

    /// The same with `https://panel.example.com` for its address, for pictures. The browser has to be told where that is.
    #[track_caller]
    pub(crate) fn start_for_pictures(node_red: u16, allow: &str) -> Self {
        let port = free_port();
        let proxy = Proxy::start(Program::Nginx, "panel.example.com", port, node_red);
        let setup = Setup::new().provider("shown_as", "https://id.example.com").token_life(3_599);
        let world = with_gate(setup, "https://panel.example.com", port, allow, "").start();
        Self { world, proxy, port }
    }

    /// What the public address is.
    pub(crate) fn origin(&self) -> String {
        self.proxy.client.origin()
    }

    /// Somebody with a browser that has not been here.
    pub(crate) fn somebody(&self) -> Somebody<'_> {
        Somebody { gate: self, cookies: RefCell::default() }
    }

    /// Somebody who has signed in here.
    #[track_caller]
    pub(crate) fn signed_in(&self, login: &str) -> Somebody<'_> {
        let somebody = self.somebody();
        let answer = somebody.signs_in_here(login, "/dashboard");
        assert_eq!(answer.status, 303, "{login}: {answer:?}");
        somebody
    }

    /// What Node-RED is told about a session.
    #[track_caller]
    pub(crate) fn who(&self, reference: &str) -> (u16, Value) {
        let header = format!("Remote-Session: {reference}\r\n");
        let (status, body) = ask(self.port, "GET", "/oauth2mqtt/who", &header, "");
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// Waits for the event of that name about that user.
    #[track_caller]
    pub(crate) fn event(&self, name: &str, user: &str) -> Value {
        wait_for(&format!("the event {name} about {user}"), SOON, || {
            let mut events = self.world.subscriber.on("oauth2mqtt/bridge/gate").into_iter().map(|message| message.json);
            events.find(|event| event["event"] == name && event["user"] == user)
        })
    }

    /// Changes the configuration, and has the agent read it again.
    #[track_caller]
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = self.world.config_text();
        assert!(text.contains(from), "{text}");
        fs::write(self.world.config(), text.replace(from, to)).unwrap();
        self.world.reload();
    }
}

/// A world in which the agent has a gate.
fn with_gate(setup: Setup, address: &str, port: u16, allow: &str, lines: &str) -> Setup {
    let client = "issuer = \"{issuer}\"\nclient_id = \"panel\"\nclient_secret_file = \"panel.secret\"\n";
    let sections = format!(
        "[gate]\naddress = \"{address}\"\nlisten = \"127.0.0.1:{port}\"\nallow = [{allow}]\n{lines}\n\
         [gate.browser]\n{client}\n[gate.phone]\n{client}"
    );
    setup.provider("panel", format!("{address}/oauth2mqtt/callback")).sections(&sections)
}

/// A person with a browser that keeps cookies and does nothing else by itself.
pub(crate) struct Somebody<'a> {
    gate: &'a Gate,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Somebody<'_> {
    /// Opens a page.
    #[track_caller]
    pub(crate) fn opens(&self, target: &str) -> Answer {
        let cookies = self.cookies();
        let headers: Vec<_> = cookies.as_deref().into_iter().collect();
        self.take(self.client().open(target, &headers))
    }

    /// Calls an address from a script.
    #[track_caller]
    pub(crate) fn fetches(&self, target: &str) -> Answer {
        let cookies = self.cookies();
        let headers: Vec<_> = cookies.as_deref().into_iter().chain(["Accept: */*"]).collect();
        self.take(self.client().send(&format!("GET {target}"), &headers, ""))
    }

    /// Presses a button of a page of this origin.
    #[track_caller]
    pub(crate) fn presses_on(&self, origin: &str, action: &str, form: &str) -> Answer {
        let (cookies, origin) = (self.cookies(), format!("Origin: {origin}"));
        let fixed = ["Content-Type: application/x-www-form-urlencoded", &origin];
        let headers: Vec<_> = fixed.into_iter().chain(cookies.as_deref()).collect();
        self.take(self.client().send(&format!("POST /oauth2mqtt/{action}"), &headers, form))
    }

    /// Presses a button of the gate.
    #[track_caller]
    pub(crate) fn presses(&self, action: &str, to: &str) -> Answer {
        let to: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        self.presses_on(&self.gate.origin(), action, &format!("to={to}"))
    }

    /// Goes to the provider, signs in there, and returns the path to which the provider sends the browser back.
    #[track_caller]
    pub(crate) fn approves(&self, login: &str, to: &str) -> String {
        let begun = self.presses("browser", to);
        assert_eq!(begun.status, 303, "{begun:?}");
        let redirected_to = self.gate.world.oidc().authorize(begun.header("Location").unwrap(), login);
        redirected_to.strip_prefix(&self.gate.origin()).unwrap_or_else(|| panic!("{redirected_to}")).to_owned()
    }

    /// Signs in in this browser, and returns the answer to it at the end.
    #[track_caller]
    pub(crate) fn signs_in_here(&self, login: &str, to: &str) -> Answer {
        let callback = self.approves(login, to);
        self.opens(&callback)
    }

    /// Signs in with a phone, and returns the answer to the browser at the end.
    #[track_caller]
    pub(crate) fn signs_in_by_phone(&self, login: &str, to: &str) -> Answer {
        let begun = self.presses("phone", to);
        assert_eq!(begun.status, 303, "{begun:?}");
        let page = Url::parse(begun.header("Location").unwrap()).unwrap();
        let page = &page[url::Position::BeforePath..];
        let html = self.opens(page).body;
        let (_, rest) = html.split_once("class=\"user-code\"").unwrap_or_else(|| panic!("no code: {html}"));
        let code = rest.split(['>', '<']).find(|text| text.len() > 6 && text.contains('-')).unwrap();
        self.gate.world.oidc().approve(code, login);
        let is_over = || (self.fetches("/oauth2mqtt/phone/waits").body == "over").then_some(());
        wait_for("the end of the sign-in", SOON, is_over);
        self.opens(page)
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    fn client(&self) -> &Https {
        &self.gate.proxy.client
    }

    fn cookies(&self) -> Option<String> {
        let cookies = self.cookies.borrow();
        let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| format!("Cookie: {}", pairs.join("; ")))
    }

    /// Keeps the cookies of an answer.
    fn take(&self, answer: Answer) -> Answer {
        for cookie in answer.all("Set-Cookie") {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.set_cookie(name, value);
            }
        }
        answer
    }
}
