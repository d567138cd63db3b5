//! The names of the topics.

use crate::account::AccountName;
use crate::session::Topic;

/// The topics below one base topic.
#[derive(Clone, Debug)]
pub struct Topics {
    base: String,
}

impl Topics {
    /// The topics below `base`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned() }
    }

    /// Whether the agent is there.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}/bridge/state", self.base)
    }

    /// What the agent is, and which accounts it has.
    #[must_use]
    pub fn info(&self) -> String {
        format!("{}/bridge/info", self.base)
    }

    /// One topic of an account.
    #[must_use]
    pub fn account(&self, account: &AccountName, topic: Topic) -> String {
        let last = match topic {
            Topic::Token => "token",
            Topic::Status => "status",
            Topic::SignIn => "signin",
            Topic::Identity => "identity",
        };
        format!("{}/{account}/{last}", self.base)
    }

    /// Where a request with this verb goes.
    #[must_use]
    pub fn request(&self, verb: &str) -> String {
        format!("{}/bridge/request/{verb}", self.base)
    }

    /// A filter for all requests.
    #[must_use]
    pub fn requests(&self) -> String {
        self.request("+")
    }

    /// The verb of a request, if `topic` is that of one.
    #[must_use]
    pub fn verb<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(self.base.as_str())?.strip_prefix("/bridge/request/")
    }

    /// Where a response goes that is not told otherwise.
    #[must_use]
    pub fn response(&self, verb: &str) -> String {
        format!("{}/bridge/response/{verb}", self.base)
    }

    /// Whether a response may go to `topic`, as a request asks (MQTT 5, 4.10).
    ///
    /// Nobody may use the agent's right to publish in order to write on its other topics, such as an account's token.
    #[must_use]
    pub fn may_respond_to(&self, topic: &str) -> bool {
        let is_name = !topic.is_empty() && !topic.contains(['+', '#', '\0']) && !topic.starts_with('$');
        let below = topic.strip_prefix(self.base.as_str());
        let is_ours = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_name && (!is_ours || below.is_some_and(|rest| rest.starts_with("/bridge/response/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_as_the_contract_says() {
        let topics = Topics::new("plant/oauth2mqtt");
        let google = "google".parse().unwrap();
        assert_eq!(topics.account(&google, Topic::Token), "plant/oauth2mqtt/google/token");
        assert_eq!(topics.account(&google, Topic::SignIn), "plant/oauth2mqtt/google/signin");
        assert_eq!(topics.verb("plant/oauth2mqtt/bridge/request/login"), Some("login"));
        assert_eq!(topics.verb("plant/oauth2mqtt/bridge/response/login"), None);
        assert_eq!(topics.verb("other/bridge/request/login"), None);
    }

    #[test]
    fn a_response_never_goes_to_a_topic_of_the_agents_own() {
        let topics = Topics::new("oauth2mqtt");
        assert!(topics.may_respond_to("reply/me"));
        assert!(topics.may_respond_to("oauth2mqtt/bridge/response/flow-7"));
        assert!(topics.may_respond_to("oauth2mqtt-other/x"));
        for bad in ["oauth2mqtt/google/token", "oauth2mqtt", "oauth2mqtt/bridge/state", "", "a/+", "#", "$SYS/x"] {
            assert!(!topics.may_respond_to(bad), "{bad}");
        }
    }
}
