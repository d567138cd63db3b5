//! The agent's link to the broker: made again whenever it breaks, and empty at each beginning.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::connection::Limits;
use super::connector::Connector;
use super::deliveries::Deliveries;
use super::event::LinkEvent;
use super::open_link::{OpenLink, Stop};
use super::outbox::{Outbox, Publication, Unsent};
use crate::domain::policy::{self, Jitter};
use crate::domain::text::printable;
use crate::platform::clock;

/// The time for an orderly end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A handle to the link.
#[derive(Debug)]
pub(crate) struct Link {
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

/// A link that is being closed.
#[derive(Debug)]
pub(crate) struct ClosingLink(JoinHandle<()>);

/// Connects, subscribes to `filter`, and reports to `events` from now on.
#[must_use]
pub(crate) fn connect<E: From<LinkEvent> + Send + 'static>(
    connector: Connector,
    filter: String,
    events: mpsc::Sender<E>,
) -> Link {
    let outbox = Arc::new(Outbox::default());
    let task = tokio::spawn(stay_connected(connector, filter, Arc::clone(&outbox), events));
    Link { outbox, task }
}

impl Link {
    /// Hands over a message. While there is no connection it is dropped: at the next one everything is published
    /// afresh.
    pub(crate) fn publish(&self, publication: Publication) {
        let Publication { topic, payload, retain, .. } = &publication;
        tracing::debug!(topic, bytes = payload.as_bytes().len(), retain, "publish");
        // Only responses can be refused here.
        let _ = self.outbox.put(publication);
    }

    /// The same for a response, of which there can be too many, or one too large for the broker.
    ///
    /// # Errors
    /// When it is not sent, or older ones are not, in its favour.
    pub(crate) fn respond(&self, publication: Publication) -> Result<(), Unsent> {
        tracing::debug!(topic = printable(&publication.topic), bytes = publication.payload.as_bytes().len(), "respond");
        self.outbox.put(publication)
    }

    /// Waits until only few retained messages wait to be sent.
    pub(crate) async fn has_room(&self) {
        self.outbox.has_room().await;
    }

    /// Sends what was handed over, and then disconnects.
    #[must_use]
    pub(crate) fn close(self) -> ClosingLink {
        self.outbox.close();
        ClosingLink(self.task)
    }
}

impl ClosingLink {
    /// Waits until the broker has been told, but not for long.
    pub(crate) async fn wait(mut self) {
        if timeout(CLOSE_TIMEOUT, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn stay_connected<E: From<LinkEvent>>(
    mut connector: Connector,
    filter: String,
    outbox: Arc<Outbox>,
    events: mpsc::Sender<E>,
) {
    let mut failures = 0;
    let mut short_connections = 0;
    let mut deliveries = Deliveries::default();
    let mut complete = true;
    while !outbox.is_closed() {
        let error = match connector.open().await {
            Ok(connection) => {
                let since = clock::now().boot;
                let limits = connection.limits();
                tell_missing_features(limits, &mut complete);
                deliveries.begin();
                outbox.connected(limits.largest);
                if events.send(LinkEvent::Connected.into()).await.is_err() {
                    return;
                }
                let mut link = OpenLink::new(connection, &filter, &mut deliveries, &outbox, &events);
                let Stop::Ended(end) = link.run().await else { return };
                let change = deliveries.ended(&end, Instant::now());
                if outbox.is_closed() {
                    return;
                }
                if let Some(change) = change
                    && events.send(LinkEvent::from(change).into()).await.is_err()
                {
                    return;
                }
                outbox.disconnected();
                let lasted = clock::now().boot.after(since) >= policy::LASTING_CONNECTION;
                short_connections = if lasted { 0 } else { short_connections + 1 };
                failures = short_connections.max(1);
                connector.explain(end)
            }
            Err(error) => {
                failures += 1;
                error
            }
        };
        let wait = policy::reconnect_wait(failures, Jitter::new(fastrand::f64()));
        if events.send(LinkEvent::Lost(error, wait).into()).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

/// Says once which features a broker lacks, and what works without them.
fn tell_missing_features(limits: Limits, was_complete: &mut bool) {
    if std::mem::replace(was_complete, limits.retains && limits.acknowledges) {
        if !limits.retains {
            tracing::warn!(
                "this broker keeps no retained messages: who subscribes later gets no token until the next refresh. Allow them, \
                 such as with mosquitto's retain_available, or ask for tokens with the request `token`"
            );
        }
        if !limits.acknowledges {
            tracing::warn!(
                "this broker does not acknowledge messages (Maximum QoS 0): one that it loses is not sent again until the next \
                 refresh. Allow QoS 1, such as with mosquitto's max_qos"
            );
        }
    }
}
