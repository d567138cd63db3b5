//! Limits on requests: nobody can wear the card out or fill the journal, and nobody uses up what others need.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::domain::account::AccountName;
use crate::domain::clock::BootTime;
use crate::domain::policy;
use crate::domain::rate_limit::{Complaint, Rate, Throttle};
use crate::domain::session::Command;

/// The kinds of requests that are limited, each with a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LimitedRequest {
    /// Start a sign-in, or cancel one.
    SignIn,
    /// Refresh.
    Refresh,
    /// Sign out an account that is signed out.
    SignOut,
}

impl LimitedRequest {
    /// The kind that a command belongs to; `None` for one that makes the agent write nothing by itself.
    pub(super) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Login | Command::Cancel => Some(Self::SignIn),
            Command::Refresh => Some(Self::Refresh),
            Command::Logout => Some(Self::SignOut),
            Command::Complete(_) => None,
        }
    }
}

impl LimitedRequest {
    fn rate(self) -> Rate {
        match self {
            Self::SignIn | Self::Refresh => policy::WRITING_REQUESTS,
            Self::SignOut => policy::IDLE_SIGN_OUTS,
        }
    }
}

/// The client by which a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RequestClient<'a> {
    /// The sign-in page, with all of its visitors.
    Page,
    /// The client of the broker that has the answer sent to this topic.
    ResponseTopic(&'a str),
}

/// The budget of one kind of request: for one account, and of that the part of one client. Requests over MQTT leave the page its
/// own, so that whoever is at the device can sign in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Budget<'a> {
    OverMqtt(LimitedRequest, &'a AccountName),
    OnPage(LimitedRequest, &'a AccountName),
    Client(LimitedRequest, &'a AccountName, RequestClient<'a>),
}

/// The remaining budgets.
pub(super) struct RequestLimits {
    of_all: Throttle,
    reloads: Throttle,
    /// The budgets of which not all is left, by the hash of their [`Budget`]: names of clients are long, and chosen by others.
    used: HashMap<u64, Throttle>,
    hasher: RandomState,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            of_all: Throttle::new(policy::ALL_WRITING_REQUESTS),
            reloads: Throttle::new(policy::RELOADS),
            used: HashMap::new(),
            hasher: RandomState::new(),
        }
    }
}

impl RequestLimits {
    /// Takes one request from the budgets of its kind. A client that has used up its part leaves those of others as they are.
    ///
    /// # Errors
    /// The wait until it would be taken.
    pub(super) fn take(
        &mut self,
        kind: LimitedRequest,
        account: &AccountName,
        client: RequestClient<'_>,
        now: BootTime,
    ) -> Result<(), Duration> {
        self.used.retain(|_, throttle| !throttle.is_whole(now));
        let of_client = self.hasher.hash_one(Budget::Client(kind, account, client));
        let of_account = self.hasher.hash_one(match client {
            RequestClient::Page => Budget::OnPage(kind, account),
            RequestClient::ResponseTopic(_) => Budget::OverMqtt(kind, account),
        });
        let mut budgets = [(of_client, policy::CLIENT_REQUESTS), (of_account, kind.rate())]
            .map(|(key, rate)| (key, self.used.get(&key).copied().unwrap_or(Throttle::new(rate))));
        for (_, throttle) in &mut budgets {
            throttle.take(now)?;
        }
        self.of_all.take(now)?;
        self.used.extend(budgets);
        Ok(())
    }

    /// Takes one request to read the configuration again.
    ///
    /// # Errors
    /// The wait until it would be taken.
    pub(super) fn take_reload(&mut self, now: BootTime) -> Result<(), Duration> {
        self.reloads.take(now)
    }
}

/// The journal lines about requests that cannot be answered, within bounds.
pub(super) struct Complaints {
    pub(super) response_topic: Complaint,
    pub(super) dropped: Complaint,
}

impl Default for Complaints {
    fn default() -> Self {
        let [response_topic, dropped] = [(); 2].map(|()| Complaint::new(policy::COMPLAINTS));
        Self { response_topic, dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(limits: &mut RequestLimits, kind: LimitedRequest, topic: &str) -> usize {
        taken_of(limits, kind, RequestClient::ResponseTopic(topic))
    }

    fn taken_of(limits: &mut RequestLimits, kind: LimitedRequest, client: RequestClient<'_>) -> usize {
        let account = "garden".parse().unwrap();
        let now = BootTime::new(Duration::from_secs(1_000));
        (0..1_000).take_while(|_| limits.take(kind, &account, client, now).is_ok()).count()
    }

    #[test]
    fn a_client_that_asks_in_a_loop_leaves_others_their_part() {
        let mut limits = RequestLimits::default();
        assert_eq!(taken(&mut limits, LimitedRequest::SignIn, "a"), 20);
        assert_eq!(taken(&mut limits, LimitedRequest::SignIn, "b"), 20);
        assert_eq!(taken(&mut limits, LimitedRequest::SignIn, "a"), 0);
        assert_eq!(taken(&mut limits, LimitedRequest::SignIn, "c"), 20);
        assert_eq!(taken(&mut limits, LimitedRequest::SignIn, "d"), 0, "an account has a limit of its own");
    }

    #[test]
    fn each_kind_of_request_has_its_own_budget() {
        let mut limits = RequestLimits::default();
        while taken(&mut limits, LimitedRequest::SignIn, &fastrand::u64(..).to_string()) > 0 {}
        assert_eq!(taken(&mut limits, LimitedRequest::SignOut, "a"), 10);
        assert_eq!(taken(&mut limits, LimitedRequest::Refresh, "a"), 20);
    }

    #[test]
    fn no_request_over_mqtt_uses_up_what_the_page_has() {
        let mut limits = RequestLimits::default();
        for topic in ["page", "Page", "a", "b", "c", "d"] {
            taken(&mut limits, LimitedRequest::SignIn, topic);
        }
        assert_eq!(taken(&mut limits, LimitedRequest::SignIn, "e"), 0);
        assert_eq!(taken_of(&mut limits, LimitedRequest::SignIn, RequestClient::Page), 20);
    }

    #[test]
    fn what_is_refused_takes_no_memory() {
        let mut limits = RequestLimits::default();
        for client in 0..1_000 {
            taken(&mut limits, LimitedRequest::SignIn, &client.to_string());
        }
        assert!(limits.used.len() < 10, "{}", limits.used.len());
    }
}
