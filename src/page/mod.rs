//! The pages for browsers: the sign-in page, and in `gate` those of the gate.
//!
//! The sign-in page shows every account with its state, and what a user needs to sign it in or out.
//!
//! The agent keeps the [`LiveContent`] current, and takes each press of a button as an event of its loop. The content has no
//! token and no secret in it, so nothing here can show one.

mod access;
mod account;
mod client_rates;
mod form;
pub(crate) mod gate;
mod guard;
mod handler;
mod html;
mod live_content;
mod response;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::account::AccountName;
use crate::domain::secret::Secret;
use crate::domain::settings::PageSettings;
use crate::platform::http_server::{self, Bounds};

pub(crate) use live_content::{AccountView, LiveContent};

/// The looks of all pages.
const CSS: &str = include_str!("page.css");

/// The number of connections at a time, and their longest life: a browser that watches for changes makes another one then.
const CONNECTIONS: usize = 32;
const LIFE: Duration = Duration::from_secs(300);

/// Somebody pressed a button.
#[derive(Debug)]
pub(crate) struct ButtonPress {
    /// The account.
    pub account: AccountName,
    /// The wish of the visitor.
    pub command: PageCommand,
    /// Takes the result; a sentence for people where it failed.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// A button that a visitor can press.
#[derive(Debug)]
pub(crate) enum PageCommand {
    /// Begin a sign-in.
    Login,
    /// Put another code in the place of the one that waits.
    NewCode,
    /// Go on with a sign-in: the address that the browser was sent back to.
    Complete(Secret),
    /// Give up the pending sign-in.
    Cancel,
    /// Revoke and forget.
    Logout,
}

/// The page, as long as it is held.
#[derive(Debug)]
pub(crate) struct Page {
    content: LiveContent,
    server: JoinHandle<()>,
}

/// Serves the page, and reports to `events` from now on.
///
/// # Errors
/// When nothing can listen on the address.
pub(crate) fn serve<E: From<ButtonPress> + Send + 'static>(
    settings: &PageSettings,
    events: mpsc::Sender<E>,
) -> io::Result<Page> {
    let listener = http_server::listen(settings.listen)?;
    let content = LiveContent::default();
    let handler = Arc::new(handler::Handler::new(settings, content.clone(), events));
    let bounds = Bounds { connections: CONNECTIONS, life: LIFE, keep_alive: true, behind_proxy: settings.behind_proxy };
    let answering = Arc::new(move |request| -> http_server::ResponseFuture {
        let handler = Arc::clone(&handler);
        Box::pin(async move { handler.answer(request).await })
    });
    Ok(Page { content, server: tokio::spawn(http_server::serve(listener, bounds, answering)) })
}

impl Page {
    /// The content, for the agent to keep current.
    #[must_use]
    pub(crate) fn content(&self) -> &LiveContent {
        &self.content
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}
