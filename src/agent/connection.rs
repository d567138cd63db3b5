//! The connection to the broker: what comes over it, and what is published at each new one.

use super::Agent;
use crate::broker::{LinkEvent, Publication};
use crate::domain::session::Event as SessionEvent;
use crate::platform::clock;
use crate::wire;

impl Agent {
    pub(super) fn link_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => {
                if self.journal_has_broker == Some(true) {
                    tracing::debug!("connected to the broker again");
                } else {
                    tracing::info!("connected to the broker");
                }
                self.journal_has_broker = Some(true);
                self.broker_changed(true);
                self.publish_retained(self.topics.state(), wire::state(true));
                self.publish_info();
                self.to_announce = self.names_to_announce().collect();
            }
            LinkEvent::Lost(error, wait) => {
                if self.journal_has_broker == Some(false) || self.losses.take(clock::now().boot).is_err() {
                    tracing::debug!(%error, retry_in = ?wait, "still no broker");
                } else {
                    tracing::warn!(%error, "there is no broker; trying again until there is");
                    self.journal_has_broker = Some(false);
                }
                self.broker_changed(false);
            }
            LinkEvent::Refused(topic, refusal) => self.refused(topic, refusal),
            LinkEvent::Accepted(topic) => self.accepted(&topic),
            LinkEvent::Request { topic, payload, response_topic, correlation } => {
                self.request(&topic, &payload, response_topic, correlation);
            }
        }
    }

    pub(super) fn broker_changed(&mut self, is_there: bool) {
        self.summary_is_old |= self.broker_is_there != is_there;
        self.broker_is_there = is_there;
        self.show_broker(is_there);
    }

    /// Waits until there is an account to announce, and room for it on the link.
    pub(super) async fn may_announce(&self) {
        if self.to_announce.is_empty() {
            std::future::pending::<()>().await;
        }
        self.link.has_room().await;
    }

    pub(super) fn announce_next(&mut self) {
        if let Some(name) = self.to_announce.pop_front() {
            if let Some(account) = self.accounts.get(&name) {
                self.withdraw_unpublished(&name, account);
            } else {
                self.withdraw_all(&name);
                self.removed_while_offline.remove(&name);
            }
            self.tell(&name, SessionEvent::PublishAll);
        }
        if self.to_announce.is_empty() {
            self.to_announce.shrink_to_fit();
        }
    }

    pub(super) fn publish_info(&self) {
        let accounts: Vec<_> = self.accounts.iter().map(|(name, account)| account.info(name)).collect();
        self.publish_retained(self.topics.info(), wire::info(self.started.wall, accounts));
    }

    pub(super) fn publish_retained(&self, topic: String, payload: wire::Payload) {
        self.link.publish(Publication { topic, payload, retain: true, good_until: None, correlation: None });
    }
}
