//! The running agent, as any other client of the broker sees it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::exit::{Exit, Failure};
use crate::broker::{Call, Connector, Message};
use crate::domain::account::AccountName;
use crate::domain::secret::Secret;
use crate::domain::session::Topic;
use crate::domain::settings::MqttSettings;
use crate::domain::text::printable;
use crate::platform::tls::Tls;
use crate::wire::{Payload, Topics, Verb};

/// The largest packet that is taken: the state of a thousand accounts is in one.
const LARGEST: u32 = 8 * 1024 * 1024;

/// The time for a retained message to arrive.
const RETAINED: Duration = Duration::from_secs(3);

/// The time for an answer that the agent has at hand, and for one that it must get from the provider, to which it gives
/// thirty seconds for each of up to two requests.
const OWN_ANSWER: Duration = Duration::from_secs(10);
const PROVIDERS_ANSWER: Duration = Duration::from_secs(75);

/// The agent that runs somewhere behind the broker.
pub(super) struct RunningAgent {
    call: Call,
    topics: Topics,
    reply_topic: String,
    /// What came while something else was waited for.
    aside: Vec<Message>,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error: String,
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    data: Option<TokenData>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct TokenData {
    access_token: Option<Secret>,
}

impl RunningAgent {
    /// Connects to the broker and makes sure that an agent is there.
    pub(super) async fn find(settings: &MqttSettings) -> Result<Self, Failure> {
        let client_id = format!("{}-cli-{:08x}", settings.client_id, fastrand::u32(..));
        let connector = Connector::new(settings, &client_id, LARGEST, &Tls::default())
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        let call = Call::connect(connector).await?;
        let topics = Topics::new(&settings.base_topic, settings.local_tokens);
        let reply_topic = topics.reply(&client_id);
        let mut agent = Self { call, topics, reply_topic, aside: Vec::new() };
        let state = agent.topics.state();
        agent.call.subscribe(&agent.reply_topic).await?;
        if !agent.call.broker_retains() {
            // Then it cannot be seen whether an agent is there; the answer will show it.
            return Ok(agent);
        }
        let state = agent.retained(&state).await?;
        let state: Option<Value> = state.and_then(|payload| serde_json::from_slice(&payload).ok());
        if state.is_some_and(|state| state["state"] == "online") {
            return Ok(agent);
        }
        Err(Failure::new(
            Exit::Unavailable,
            "no agent is running at this broker. Start it with `sudo systemctl start oauth2mqtt`, or in a terminal with \
             `oauth2mqtt run`.",
        ))
    }

    pub(super) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Subscribes, and waits for the retained message on `topic`.
    async fn retained(&mut self, topic: &str) -> Result<Option<Bytes>, Failure> {
        self.call.subscribe(topic).await?;
        self.message_on(topic, RETAINED).await
    }

    /// The next message on `topic`, if one comes in time.
    async fn message_on(&mut self, topic: &str, time: Duration) -> Result<Option<Bytes>, Failure> {
        let waited = timeout(time, async {
            loop {
                let message = self.call.next().await?;
                if message.topic == topic {
                    return Ok::<_, Failure>(message.payload);
                }
                self.aside.push(message);
            }
        });
        waited.await.ok().transpose()
    }

    /// Subscribes to a topic, whose messages [`RunningAgent::next`] returns.
    pub(super) async fn subscribe(&self, topic: &str) -> Result<(), Failure> {
        Ok(self.call.subscribe(topic).await?)
    }

    /// The next message on any subscribed topic.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        if self.aside.is_empty() { Ok(self.call.next().await?) } else { Ok(self.aside.remove(0)) }
    }

    /// Sends a request and returns the data of the answer.
    pub(super) async fn ask(&mut self, verb: Verb, account: Option<&AccountName>) -> Result<Value, Failure> {
        let payload = self.exchange(verb, about(account)).await?;
        let answer: Answer = serde_json::from_slice(&payload).map_err(|_| not_understood())?;
        if answer.status == "ok" { Ok(answer.data) } else { Err(refusal(&answer.code, &answer.error)) }
    }

    /// Hands over the address that the provider sent the user's browser to, and waits for how that ends.
    pub(super) async fn complete(&mut self, account: &AccountName, redirected_to: &Secret) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Completion<'a> {
            account: &'a str,
            redirected_to: &'a str,
        }
        let completion = Completion { account: account.as_str(), redirected_to: redirected_to.expose() };
        let payload = self.exchange(Verb::Complete, Payload::json(&completion)).await?;
        let answer: Answer = serde_json::from_slice(&payload).map_err(|_| not_understood())?;
        if answer.status == "ok" { Ok(()) } else { Err(refusal(&answer.code, &answer.error)) }
    }

    /// The access token of an account, wherever it is to be had.
    pub(super) async fn token(&mut self, account: &AccountName) -> Result<Secret, Failure> {
        let payload = self.exchange(Verb::Token, about(Some(account))).await?;
        let answer: TokenAnswer = serde_json::from_slice(&payload).map_err(|_| not_understood())?;
        let data = match answer.data {
            Some(data) => Some(data),
            None if answer.code == "token_is_retained" && !self.call.broker_retains() => {
                let message = format!(
                    "this broker keeps no retained messages, so the token of {account} is not there to be read. Allow them, such \
                     as with mosquitto's retain_available, or write publish = \"on_request\" in this account."
                );
                return Err(Failure::new(Exit::Unavailable, message));
            }
            None if answer.code == "token_is_retained" => {
                let topic = self.topics.account(account, Topic::Token);
                let payload = self.retained(&topic).await?;
                payload.map(|payload| serde_json::from_slice(&payload).map_err(|_| not_understood())).transpose()?
            }
            None => return Err(refusal(&answer.code, &answer.error)),
        };
        data.and_then(|data: TokenData| data.access_token).ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("there is no good token of {account} now. See why with `oauth2mqtt status {account}`."),
            )
        })
    }

    async fn exchange(&mut self, verb: Verb, request: Payload) -> Result<Bytes, Failure> {
        let reply_topic = self.reply_topic.clone();
        self.call.request(&self.topics.request(verb.name()), request, &reply_topic).await?;
        let time = match verb {
            Verb::Status | Verb::Token | Verb::Cancel | Verb::Declare | Verb::Reload => OWN_ANSWER,
            Verb::Login | Verb::Complete | Verb::Refresh | Verb::Logout | Verb::Forget => PROVIDERS_ANSWER,
        };
        let answer = self.message_on(&reply_topic, time).await?;
        answer.ok_or_else(|| {
            let message = format!(
                "the agent did not answer within {} s. See its journal, and whether the broker lets this user make \
                 requests.",
                time.as_secs()
            );
            Failure::new(Exit::Unavailable, message)
        })
    }

    /// Ends the connection in order.
    pub(super) async fn leave(self) {
        self.call.close().await;
    }
}

/// A request about one account, or about all.
fn about(account: Option<&AccountName>) -> Payload {
    Payload::json(&serde_json::json!({ "account": account.map(AccountName::as_str) }))
}

fn not_understood() -> Failure {
    Failure::new(Exit::Failed, "the agent's answer is not understood. Are agent and command of the same version?")
}

fn refusal(code: &str, error: &str) -> Failure {
    const PASSING: [&str; 8] = [
        "busy",
        "signing_out",
        "provider_unreachable",
        "provider_timeout",
        "provider_unavailable",
        "rate_limited",
        "not_an_oauth_answer",
        "tls_failed",
    ];
    let exit = if PASSING.contains(&code) { Exit::TryAgain } else { Exit::Failed };
    Failure::new(exit, printable(error))
}
