//! The gate: answers the proxy that stands before a dashboard, and signs people in.
//!
//! Whether somebody may come in is answered here, from the sessions that are shared with the agent's loop. Whatever needs the provider
//! or the store is an event of that loop.

mod addresses;
mod cookies;
mod handler;
mod html;
mod proxy_check;
mod shared;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::gate::way_back::WayBack;
use crate::domain::gate::{CookieDigest, Way};
use crate::domain::secret::Secret;
use crate::platform::http_server::{self, Bounds};

pub(crate) use shared::SharedGate;

/// The number of connections at a time, and their longest life, at whose end a request may be cut off. A proxy keeps some open, and closes
/// those that it does not use.
const CONNECTIONS: usize = 256;
const LIFE: Duration = Duration::from_secs(86_400);

/// A wish of somebody at the gate that the agent carries out.
#[derive(Debug)]
pub(crate) enum GateCall {
    /// Begin a sign-in.
    Begin {
        /// The way.
        way: Way,
        /// True if the provider has to ask who it is, whoever is signed in there.
        again: bool,
        /// The browser's former sign-in, whose place this one takes.
        former: Option<CookieDigest>,
        /// The address of the browser.
        from: IpAddr,
        /// Where to come back to.
        back: WayBack,
        /// Takes the way on, or a sentence for people.
        answer: oneshot::Sender<Result<BegunSignIn, String>>,
    },
    /// Take what the provider sent the browser back with.
    Return {
        /// The browser.
        browser: CookieDigest,
        /// The query of the address, which has a code in it.
        query: Secret,
        /// The address of the browser.
        from: IpAddr,
        /// The browser's former session, whose place another takes.
        former: Option<CookieDigest>,
        /// Takes the session, or the reason why there is none.
        answer: oneshot::Sender<Result<Admitted, NotAdmitted>>,
    },
    /// Ask about a sign-in with a phone.
    Collect {
        /// The browser that shows the code.
        browser: CookieDigest,
        /// The address of the browser.
        from: IpAddr,
        /// The browser's former session, whose place another takes.
        former: Option<CookieDigest>,
        /// Takes what is so; `None` if there is no such sign-in.
        answer: oneshot::Sender<Option<PhoneAnswer>>,
    },
    /// Sign out.
    SignOut {
        /// The session.
        cookie: CookieDigest,
        /// The address of the browser.
        from: IpAddr,
        /// Told when it is done: true if it is written down, or if there was nothing to end.
        answer: oneshot::Sender<bool>,
    },
}

/// A sign-in that was begun.
#[derive(Debug)]
pub(crate) struct BegunSignIn {
    /// The cookie by which the browser is known when it comes back.
    pub(crate) browser: Secret,
    /// The address at the provider; `None` where a code is shown.
    pub(crate) provider: Option<String>,
}

/// Somebody who may come in.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The cookie of the session.
    pub(crate) cookie: Secret,
    /// Where to go on.
    pub(crate) back: WayBack,
}

/// Somebody who may not come in.
#[derive(Clone, Debug)]
pub(crate) enum NotAdmitted {
    /// The sign-in is of another browser, or too old.
    Unknown,
    /// The provider or the settings do not let them in.
    Refused {
        /// A sentence for people.
        why: String,
        /// Where they wanted to go.
        back: WayBack,
    },
}

/// The state of a sign-in with a phone.
#[derive(Debug)]
pub(crate) enum PhoneAnswer {
    /// Nobody has approved it yet.
    Waits(PhoneCode),
    /// It is over.
    Over(Result<Admitted, NotAdmitted>),
}

/// The code that somebody approves on a phone.
#[derive(Clone, Debug)]
pub(crate) struct PhoneCode {
    /// The code.
    pub(crate) user_code: String,
    /// The address at which it is typed.
    pub(crate) address: String,
    /// The address that has the code in it, for the picture.
    pub(crate) whole_address: Option<String>,
    /// The time that is left.
    pub(crate) left: Duration,
}

/// The server of the gate, as long as it is held.
#[derive(Debug)]
pub(crate) struct GateServer(JoinHandle<()>);

/// Serves the gate, and reports to `events` from now on.
pub(crate) fn serve<E: From<GateCall> + Send + 'static>(
    listener: TcpListener,
    shared: SharedGate,
    events: mpsc::Sender<E>,
) -> GateServer {
    let handler = Arc::new(handler::GateHandler::new(shared, events));
    let bounds = Bounds { connections: CONNECTIONS, life: LIFE, keep_alive: true, behind_proxy: true };
    let answering = Arc::new(move |request| -> http_server::ResponseFuture {
        let handler = Arc::clone(&handler);
        Box::pin(async move { handler.answer(request).await })
    });
    GateServer(tokio::spawn(http_server::serve(listener, bounds, answering)))
}

impl Drop for GateServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
