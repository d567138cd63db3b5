//! The orderly end: nothing is begun any more, and what must not be lost is waited for.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::event::LoopEvent;
use super::{Agent, SessionEvent};
use crate::wire;

/// The time that an orderly end waits for the answers of providers, each of which may carry the only good refresh token.
const LAST_ANSWERS: Duration = Duration::from_secs(40);

impl Agent {
    /// Ends in order: waits for answers that are under way and for the disk, then takes leave of the broker.
    pub(super) async fn stop(mut self, wakeups: &mut mpsc::Receiver<LoopEvent>) {
        let deadline = Instant::now() + LAST_ANSWERS;
        tracing::info!("stopping");
        for name in self.names() {
            self.tell(&name, SessionEvent::Stopping);
        }
        while self.accounts.values().any(|account| account.session.is_busy()) {
            match timeout_at(deadline, wakeups.recv()).await {
                Ok(Some(event @ (LoopEvent::Answered(..) | LoopEvent::Stored(_)))) => self.take(event),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        for (name, _) in self.accounts.iter().filter(|(_, account)| !account.session.is_safe()) {
            tracing::error!(account = name.as_str(), "the newest state of the account is not on disk");
        }
        self.publish_retained(self.topics.state(), wire::state(false));
        let Self { link, store, page, .. } = self;
        drop(page);
        let mut farewell = pin!(link.close().wait());
        // What still comes for the loop would hold up the link or the store.
        loop {
            tokio::select! {
                () = &mut farewell => break,
                Some(event) = wakeups.recv() => drop(event),
            }
        }
        wakeups.close();
        drop(store);
    }
}
