//! The sign-in page: every account with its state, and what a user needs to sign it in or out, in a browser.
//!
//! The agent puts on the [`Board`] what is to be seen, and takes each [`Press`] of a button as an event of its loop. What
//! is on the board has no token and no secret in it, so nothing here can show one.

mod access;
mod answer;
mod board;
mod guard;
mod html;
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

pub(crate) use board::{AccountView, Board};

/// A browser that watches for changes makes another connection when its time is over.
const BOUNDS: Bounds = Bounds { connections: 32, life: Duration::from_secs(300), keep_alive: true };

/// Somebody pressed a button.
#[derive(Debug)]
pub(crate) struct Press {
    /// Whom it concerns.
    pub account: AccountName,
    /// What is wanted.
    pub wish: Wish,
    /// Takes how it ended; a sentence for people if not well.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// What somebody wants.
#[derive(Debug)]
pub(crate) enum Wish {
    /// A sign-in.
    Login,
    /// Another code in place of the one that waits.
    NewCode,
    /// To go on with a sign-in: the address that the browser was sent back to.
    Complete(Secret),
    /// To give up the pending sign-in.
    Cancel,
    /// To revoke and forget.
    Logout,
}

/// The page, as long as it is held.
#[derive(Debug)]
pub(crate) struct Page {
    board: Board,
    server: JoinHandle<()>,
}

/// Serves the page, and reports to `events` from now on.
///
/// # Errors
/// When nothing can listen on the address.
pub(crate) fn serve<E: From<Press> + Send + 'static>(
    settings: &PageSettings,
    events: mpsc::Sender<E>,
) -> io::Result<Page> {
    let listener = http_server::listen(settings.listen)?;
    let board = Board::default();
    let desk = Arc::new(answer::Desk::new(settings, board.clone(), events));
    let answering = Arc::new(move |request| -> http_server::ResponseFuture {
        let desk = Arc::clone(&desk);
        Box::pin(async move { desk.answer(request).await })
    });
    Ok(Page { board, server: tokio::spawn(http_server::serve(listener, BOUNDS, answering)) })
}

impl Page {
    /// Where the agent puts what is to be seen.
    #[must_use]
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}
