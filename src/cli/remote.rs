//! The running agent, asked over MQTT as by any other client of the broker.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::exit::{Exit, Failure};
use crate::broker::{Call, Connector, Message};
use crate::domain::account::AccountName;
use crate::domain::fault::FaultCode;
use crate::domain::secret::Secret;
use crate::domain::session::Topic;
use crate::domain::settings::MqttSettings;
use crate::domain::token_name::TokenName;
use crate::platform::tls::Tls;
use crate::wire::{
    ErrorCode, GateMessage, Payload, Presence, Request, RequestError, Response, ResponseSubject, StateMessage,
    StatusMessage, TokenMessage, Topics, Verb,
};

/// The largest packet that is taken: the state of a thousand accounts is in one.
const LARGEST: u32 = 8 * 1024 * 1024;

/// The most messages that are put aside while another is awaited: a broker may send any number.
const MOST_ASIDE: usize = 256;

/// The time for a retained message to arrive.
const RETAINED: Duration = Duration::from_secs(3);

/// The time for an answer that the agent has at hand, and for one that it must get from the provider, to which it gives
/// thirty seconds for each of up to two requests.
const OWN_ANSWER: Duration = Duration::from_secs(10);
const PROVIDERS_ANSWER: Duration = Duration::from_secs(75);

/// A connection to the running agent, through the broker.
pub(super) struct RunningAgent {
    call: Call,
    topics: Topics,
    reply_topic: String,
    /// Messages that arrived while another was awaited.
    aside: Vec<Message>,
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
        let state: Option<StateMessage> = state.and_then(|payload| serde_json::from_slice(&payload).ok());
        if state.is_some_and(|message| message.state == Presence::Online) {
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
        self.message(RETAINED, |message| message.topic == topic).await
    }

    /// The next message that is as `fits` says, if one comes in time.
    async fn message(&mut self, time: Duration, fits: impl Fn(&Message) -> bool) -> Result<Option<Bytes>, Failure> {
        let waited = timeout(time, async {
            loop {
                let message = self.call.next().await?;
                if fits(&message) {
                    return Ok::<_, Failure>(message.payload);
                }
                // Nobody would ever read an answer that no request of this command awaits.
                if message.topic != self.reply_topic && self.aside.len() < MOST_ASIDE {
                    self.aside.push(message);
                }
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

    /// Sends a request about one account, or about all, and returns the data of the response.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        verb: Verb,
        account: Option<&AccountName>,
    ) -> Result<T, Failure> {
        let response = self.exchange(verb, &Request::about(account)).await?;
        response.map_err(|error| in_words_of_commands(error, account))
    }

    /// Asks who is signed in at the gate, or has somebody signed out there.
    pub(super) async fn ask_about_gate(&mut self, request: &Request) -> Result<GateMessage, Failure> {
        let response = self.exchange(Verb::Gate, request).await?;
        response.map_err(|error| in_words_of_commands(error, None))
    }

    /// Hands over the address that the provider redirected the user's browser to, and waits for the end of the sign-in.
    pub(super) async fn complete(&mut self, account: &AccountName, redirected_to: &Secret) -> Result<(), Failure> {
        let request = Request { redirected_to: Some(redirected_to.clone()), ..Request::about(Some(account)) };
        let response = self.exchange::<StatusMessage>(Verb::Complete, &request).await?;
        response.map(drop).map_err(|error| in_words_of_commands(error, Some(account)))
    }

    /// The access token of an account, or a further one of this name, from its topic or by a request.
    pub(super) async fn token(
        &mut self,
        account: &AccountName,
        further: Option<&TokenName>,
    ) -> Result<Secret, Failure> {
        let request = Request { token: further.cloned(), ..Request::about(Some(account)) };
        let topic = further.map_or(Topic::Token, |name| Topic::FurtherToken(name.clone()));
        let full_name = further.map_or_else(|| account.to_string(), |name| format!("{account}/{name}"));
        let message = match self.exchange::<TokenMessage>(Verb::Token, &request).await? {
            Ok(message) => Some(message),
            Err(error) if error.code == ErrorCode::TokenIsRetained && !self.call.broker_retains() => {
                let message = format!(
                    "this broker keeps no retained messages, so the token of {full_name} is not there to be read. Allow them, such \
                     as with mosquitto's retain_available, or write publish = \"on_request\" in this account."
                );
                return Err(Failure::new(Exit::Unavailable, message));
            }
            Err(error) if error.code == ErrorCode::TokenIsRetained => {
                let payload = self.retained(&self.topics.account(account, &topic)).await?;
                payload.as_deref().map(read).transpose()?
            }
            Err(error) if error.code == ErrorCode::NoToken => None,
            Err(error) => return Err(in_words_of_commands(error, Some(account))),
        };
        // Verb and account of an answer are those of the request; which token was asked for, only the token itself says.
        if message.as_ref().is_some_and(|message| message.token.as_deref() != further.map(TokenName::as_str)) {
            return Err(Failure::not_understood());
        }
        let token = message.and_then(|message| message.access_token).ok_or_else(|| no_token(account, &full_name))?;
        // Whoever may write on the topic could otherwise have the terminal obey, or a script read a second line.
        if token.expose().chars().all(|c| c.is_ascii_graphic()) {
            Ok(token)
        } else {
            let message = format!(
                "what is on the topic of {full_name} is no access token (RFC 6750 2.1): it has characters that none has. Find out \
                 who else may publish there."
            );
            Err(Failure::new(Exit::Failed, message))
        }
    }

    /// The retained message on a topic, if there is one that can be read.
    pub(super) async fn retained_message<T: DeserializeOwned>(&mut self, topic: &str) -> Result<Option<T>, Failure> {
        Ok(self.retained(topic).await?.and_then(|payload| serde_json::from_slice(&payload).ok()))
    }

    async fn exchange<T: DeserializeOwned>(
        &mut self,
        verb: Verb,
        request: &Request,
    ) -> Result<Result<T, RequestError>, Failure> {
        let payload = self.response(verb, request).await?;
        // The data are read by themselves, so that the rest of a response is compiled once for all verbs.
        let response: Response<&RawValue> = read(&payload)?;
        match response.into_result().ok_or_else(Failure::not_understood)? {
            Ok(data) => read(data.get().as_bytes()).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn response(&mut self, verb: Verb, request: &Request) -> Result<Bytes, Failure> {
        let mut correlation = [0; 16];
        getrandom::fill(&mut correlation)
            .map_err(|error| Failure::new(Exit::Failed, format!("the kernel gives no random numbers: {error}.")))?;
        let topic = self.topics.request(verb.name());
        self.call.request(&topic, Payload::json(request), &self.reply_topic, &correlation).await?;
        let time = match verb {
            Verb::Status | Verb::Token | Verb::Cancel | Verb::Declare | Verb::Reload | Verb::Gate => OWN_ANSWER,
            Verb::Login | Verb::Complete | Verb::Refresh | Verb::Logout | Verb::Forget => PROVIDERS_ANSWER,
        };
        let awaited = AwaitedAnswer {
            topic: self.reply_topic.clone(),
            correlation,
            subject: ResponseSubject::new(Some(verb), request.account.as_ref()),
        };
        let answer = self.message(time, |message| awaited.is_answered_by(message)).await?;
        answer.ok_or_else(|| {
            let message = format!(
                "the agent did not answer within {} s. Look into its journal, and check that the broker lets this user \
                 publish requests.",
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

/// The marks by which the answer to a request is told from whatever else is on its response topic.
struct AwaitedAnswer {
    topic: String,
    correlation: [u8; 16],
    subject: ResponseSubject,
}

impl AwaitedAnswer {
    /// Returns whether `message` answers this request. Whoever reads requests at the broker and may send some can have the agent
    /// answer others on the same topic, with the same correlation data; such an answer names another verb or account.
    fn is_answered_by(&self, message: &Message) -> bool {
        message.topic == self.topic
            && message.correlation.as_deref() == Some(&self.correlation)
            && serde_json::from_slice::<ResponseSubject>(&message.payload).is_ok_and(|subject| subject == self.subject)
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(payload).map_err(|_| Failure::not_understood())
}

fn no_token(account: &AccountName, full_name: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("there is no valid access token of {full_name} now. See why with `oauth2mqtt status {account}`."),
    )
}

/// The failure of a refused request, with commands where the agent's own text names requests over MQTT.
fn in_words_of_commands(error: RequestError, account: Option<&AccountName>) -> Failure {
    let Some(account) = account else {
        // A request of this command is well-formed, and the text would repeat what another client's request says.
        let is_of_another = error.code == ErrorCode::Fault(FaultCode::InvalidRequest);
        return if is_of_another { Failure::not_understood() } else { error.into() };
    };
    let message = match error.code {
        ErrorCode::NotSignedIn => format!("{account} is not signed in. Sign in with `oauth2mqtt login {account}`."),
        ErrorCode::Fault(FaultCode::NoRefreshToken) => format!(
            "{account} has no refresh token, so only a new sign-in brings a new access token: `oauth2mqtt login {account}`."
        ),
        ErrorCode::NothingPending => format!("no sign-in of {account} is pending."),
        ErrorCode::Cancelled => "the sign-in was cancelled.".to_owned(),
        ErrorCode::Fault(FaultCode::RedirectInvalid) => format!(
            "this address belongs to no sign-in of {account} that is pending. Start one with `oauth2mqtt login {account}`, \
             and use the newest address only."
        ),
        _ => return error.into(),
    };
    Failure::new(error.code.into(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_its_own_request_is_taken() {
        let garden: AccountName = "garden".parse().unwrap();
        let awaited = AwaitedAnswer {
            topic: "oauth2mqtt/reply/1".to_owned(),
            correlation: [7; 16],
            subject: ResponseSubject::new(Some(Verb::Login), Some(&garden)),
        };
        let is_taken = |topic: &str, correlation: Option<&[u8]>, payload: &str| {
            let correlation = correlation.map(Bytes::copy_from_slice);
            awaited.is_answered_by(&Message {
                topic: topic.to_owned(),
                payload: Bytes::copy_from_slice(payload.as_bytes()),
                correlation,
            })
        };
        let (topic, own) = ("oauth2mqtt/reply/1", Some(&[7; 16][..]));
        let answer = r#"{"status":"ok","data":{},"verb":"login","account":"garden","transaction":null}"#;
        assert!(is_taken(topic, own, answer));
        assert!(is_taken(
            topic,
            own,
            r#"{"status":"error","error":"x","code":"busy","verb":"login","account":"garden"}"#
        ));
        assert!(!is_taken("oauth2mqtt/reply/2", own, answer));
        assert!(!is_taken(topic, Some(&[8; 16]), answer) && !is_taken(topic, None, answer));
        for other in [
            r#"{"status":"ok","data":{"account":"garden"},"verb":"login","account":"evil"}"#,
            r#"{"status":"ok","data":{"account":"garden"},"verb":"status","account":"garden"}"#,
            r#"{"status":"error","error":"There is no verb \"x\".","code":"unknown_verb","verb":null,"account":"garden"}"#,
            r#"{"status":"error","error":"x","code":"invalid_request","verb":"login","account":null}"#,
            r#"{"status":"ok","data":{"account":"garden"}}"#,
            "",
        ] {
            assert!(!is_taken(topic, own, other), "{other}");
        }
    }
}
