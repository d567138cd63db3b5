//! The names of the topics.

use std::borrow::Cow;

use crate::domain::account::AccountName;
use crate::domain::session::Topic;
use crate::domain::token_name::TokenName;

/// The topics below one base topic.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    base: String,
    local_tokens: bool,
}

/// The longest topic that a response may go to, in bytes: hundreds of them may wait.
const LONGEST_RESPONSE_TOPIC: usize = 512;

/// The prefix of topics that stay on this broker. A wildcard in the first level of a filter never matches a topic that
/// starts with a dollar sign (MQTT 5, 4.7.2), so not even a bridge that carries `#` carries these.
const LOCAL: &str = "$local/";

/// The last level of every topic with a token on it.
const TOKEN: &str = "token";

impl Topics {
    /// The topics below `base`; with `local_tokens`, those of tokens below `$local/` and `base`.
    #[must_use]
    pub(crate) fn new(base: &str, local_tokens: bool) -> Self {
        Self { base: base.to_owned(), local_tokens }
    }

    /// Returns the topic of `bridge/state`.
    #[must_use]
    pub(crate) fn state(&self) -> String {
        format!("{}/bridge/state", self.base)
    }

    /// Returns the topic of `bridge/info`.
    #[must_use]
    pub(crate) fn info(&self) -> String {
        format!("{}/bridge/info", self.base)
    }

    /// Returns the topic of `bridge/gate`.
    #[must_use]
    pub(crate) fn gate(&self) -> String {
        format!("{}/bridge/gate", self.base)
    }

    /// One topic of an account.
    #[must_use]
    pub(crate) fn account(&self, account: &AccountName, topic: &Topic) -> String {
        let is_token = matches!(topic, Topic::Token | Topic::FurtherToken(_));
        let local = if is_token && self.local_tokens { LOCAL } else { "" };
        format!("{local}{}/{account}/{}", self.base, last_levels(topic))
    }

    /// The account that `topic` belongs to, if it is one of an account.
    #[must_use]
    pub(crate) fn account_of(&self, topic: &str) -> Option<AccountName> {
        let (account, last) =
            self.without_local(topic).strip_prefix(self.base.as_str())?.strip_prefix('/')?.split_once('/')?;
        let is_further = || last.strip_suffix("/token").is_some_and(|name| name.parse::<TokenName>().is_ok());
        let levels = [Topic::Token, Topic::Status, Topic::SignIn, Topic::Identity].map(|topic| last_levels(&topic));
        (levels.iter().any(|level| level == last) || is_further()).then(|| account.parse().ok()).flatten()
    }

    /// Where a token of the account would be if bridges might carry it, if that is not where it is.
    #[must_use]
    pub(crate) fn carried_token(&self, account: &AccountName, topic: &Topic) -> Option<String> {
        self.local_tokens.then(|| Self::new(&self.base, false).account(account, topic))
    }

    /// Returns whether a response with a token in it may go to `topic`.
    #[must_use]
    pub(crate) fn may_carry_token(&self, topic: &str) -> bool {
        !self.local_tokens || topic.starts_with(LOCAL)
    }

    /// Where the client `id` gets responses that nobody else should.
    #[must_use]
    pub(crate) fn reply(&self, id: &str) -> String {
        let local = if self.local_tokens { LOCAL } else { "" };
        format!("{local}{}", self.response(id))
    }

    /// Where a request with this verb goes.
    #[must_use]
    pub(crate) fn request(&self, verb: &str) -> String {
        format!("{}/bridge/request/{verb}", self.base)
    }

    /// A filter for all requests.
    #[must_use]
    pub(crate) fn requests(&self) -> String {
        self.request("+")
    }

    /// The verb of a request, if `topic` is that of one.
    #[must_use]
    pub(crate) fn verb<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(self.base.as_str())?.strip_prefix("/bridge/request/")
    }

    /// Where a response goes that is not told otherwise.
    #[must_use]
    pub(crate) fn response(&self, verb: &str) -> String {
        format!("{}/bridge/response/{verb}", self.base)
    }

    /// Returns whether a response may go to `topic`, as a request asks (MQTT 5, 4.10).
    ///
    /// Nobody may use the agent's right to publish in order to write on its other topics, such as an account's token.
    #[must_use]
    pub(crate) fn may_respond_to(&self, topic: &str) -> bool {
        let topic = self.without_local(topic);
        let is_short = topic.len() <= LONGEST_RESPONSE_TOPIC;
        let is_name = !topic.is_empty() && is_short && !topic.contains(['+', '#', '\0']) && !topic.starts_with('$');
        let below = topic.strip_prefix(self.base.as_str());
        let is_ours = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_name && (!is_ours || below.is_some_and(|rest| rest.starts_with("/bridge/response/")))
    }

    fn without_local<'a>(&self, topic: &'a str) -> &'a str {
        topic.strip_prefix(LOCAL).filter(|_| self.local_tokens).unwrap_or(topic)
    }
}

/// Returns whether `topic` is that of a token.
#[must_use]
pub(crate) fn is_of_token(topic: &str) -> bool {
    topic.rsplit('/').next() == Some(TOKEN)
}

/// The levels of a topic below that of the account.
fn last_levels(topic: &Topic) -> Cow<'static, str> {
    match topic {
        Topic::Token => TOKEN.into(),
        Topic::FurtherToken(name) => format!("{name}/{TOKEN}").into(),
        Topic::Status => "status".into(),
        Topic::SignIn => "signin".into(),
        Topic::Identity => "identity".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_as_the_contract_says() {
        let topics = Topics::new("plant/oauth2mqtt", false);
        let google = "google".parse().unwrap();
        assert_eq!(topics.account(&google, &Topic::Token), "plant/oauth2mqtt/google/token");
        assert_eq!(topics.account(&google, &Topic::SignIn), "plant/oauth2mqtt/google/signin");
        let drive = Topic::FurtherToken("drive".parse().unwrap());
        assert_eq!(topics.account(&google, &drive), "plant/oauth2mqtt/google/drive/token");
        assert_eq!(
            Topics::new("x", true).account(&google, &drive),
            "$local/x/google/drive/token",
            "no bridge carries this one either"
        );
        assert_eq!(topics.account_of("plant/oauth2mqtt/google/drive/token"), Some(google.clone()));
        assert_eq!(topics.account_of("plant/oauth2mqtt/google/signin"), Some(google));
        for other in [
            "plant/oauth2mqtt/google/x",
            "plant/oauth2mqtt/google/status/token",
            "plant/oauth2mqtt/bridge/response/token",
            "google/token",
        ] {
            assert_eq!(topics.account_of(other), None, "{other}");
        }
        assert_eq!(topics.verb("plant/oauth2mqtt/bridge/request/login"), Some("login"));
        assert_eq!(topics.verb("plant/oauth2mqtt/bridge/response/login"), None);
        assert_eq!(topics.verb("other/bridge/request/login"), None);
    }

    #[test]
    fn tokens_that_are_to_stay_are_on_topics_that_no_wildcard_of_a_bridge_matches() {
        let topics = Topics::new("oauth2mqtt", true);
        let google = "google".parse().unwrap();
        assert_eq!(topics.account(&google, &Topic::Token), "$local/oauth2mqtt/google/token");
        assert_eq!(topics.account(&google, &Topic::Status), "oauth2mqtt/google/status");
        assert_eq!(topics.carried_token(&google, &Topic::Token).as_deref(), Some("oauth2mqtt/google/token"));
        assert!(topics.may_carry_token("$local/reply") && !topics.may_carry_token("reply"));
        assert!(topics.may_respond_to("$local/reply") && topics.may_respond_to(&topics.reply("cli")));
        assert!(!topics.may_respond_to("$local/oauth2mqtt/google/token") && !topics.may_respond_to("$local/$SYS/x"));
    }

    #[test]
    fn a_response_never_goes_to_a_topic_of_the_agents_own() {
        let topics = Topics::new("oauth2mqtt", false);
        assert!(topics.may_respond_to("reply/me"));
        assert!(topics.may_respond_to("oauth2mqtt/bridge/response/flow-7"));
        assert!(topics.may_respond_to("oauth2mqtt-other/x"));
        for bad in ["oauth2mqtt/google/token", "oauth2mqtt", "oauth2mqtt/bridge/state", "", "a/+", "#", "$SYS/x"] {
            assert!(!topics.may_respond_to(bad), "{bad}");
        }
        assert!(!topics.may_respond_to(&"r".repeat(513)), "hundreds of them would take much memory");
    }
}
