//! The subscriber in Node-RED's place: an `mqtt in` node, and an `http request` node that calls a protected address with
//! each token. It prints what a flow would get, but of a token only its length and a fingerprint.

mod message;
mod mqtt;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::failure::Failure;
use crate::http::Http;
use crate::stage::{Stage, Who};
use message::{BridgeInfo, SignInMessage, StatusMessage, TokenMessage};
use mqtt::{Client, Message};

/// The base topic of the agent.
pub(crate) const BASE_TOPIC: &str = "oauth2mqtt";

/// Something that the flow saw and that the play waits for.
#[derive(Debug)]
pub(crate) enum Sight {
    /// The agent is there.
    Online,
    /// The agent is gone: it said so itself, or the broker did in its place.
    Offline,
    /// A person is asked to sign in.
    SignIn { link: String, user_code: String },
    /// A token, with which the protected address could be called.
    Token(SeenToken),
    /// The account has no token.
    NoToken,
    /// The flow cannot work with what it got.
    Broken(Failure),
}

/// A token as the flow saw it.
#[derive(Clone, Debug)]
pub(crate) struct SeenToken {
    /// Tells two tokens apart without telling either.
    pub(crate) fingerprint: String,
    /// When it came, since the start of the demo.
    pub(crate) at: Duration,
    /// The whole header, for the call that must fail once the token has expired.
    pub(crate) header: String,
}

/// A topic that the broker keeps, with the size of its message.
pub(crate) type Retained = (String, usize);

/// The running flow.
pub(crate) struct Flow {
    sights: UnboundedReceiver<Sight>,
    calls: u32,
}

impl Flow {
    /// Connects to the broker and subscribes to all that the agent publishes.
    pub(crate) async fn start(
        broker: SocketAddr,
        protected: String,
        http: Http,
        stage: Stage,
    ) -> Result<Self, Failure> {
        let client = Client::connect("demo-flow", broker, &format!("{BASE_TOPIC}/#")).await?;
        let (to_play, sights) = unbounded_channel();
        tokio::spawn(Worker { http, protected, stage, to_play }.run(client));
        Ok(Self { sights, calls: 0 })
    }

    /// The next thing that the flow sees.
    pub(crate) async fn next(&mut self) -> Sight {
        let sight = self.sights.recv().await;
        self.calls += u32::from(matches!(sight, Some(Sight::Token(_))));
        sight.unwrap_or_else(|| Sight::Broken(Failure::new("the subscriber has ended")))
    }

    /// How many times the protected address was called with a token that had just come; each was answered with 200.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// What a flow that starts at this moment gets at once.
    pub(crate) async fn retained(broker: SocketAddr) -> Result<Vec<Retained>, Failure> {
        let mut client = Client::connect("demo-late-flow", broker, &format!("{BASE_TOPIC}/#")).await?;
        let mut retained = Vec::new();
        // The broker does not say when it has sent the last one.
        while let Ok(message) = tokio::time::timeout(Duration::from_millis(500), client.next()).await {
            let message = message?;
            if message.retained {
                retained.push((message.topic, message.payload.len()));
            }
        }
        retained.sort();
        Ok(retained)
    }
}

struct Worker {
    http: Http,
    protected: String,
    stage: Stage,
    to_play: UnboundedSender<Sight>,
}

impl Worker {
    async fn run(self, mut client: Client) {
        loop {
            let seen = match client.next().await {
                Ok(message) => self.take(&message).await,
                Err(lost) => Err(lost),
            };
            let sight = match seen {
                Ok(None) => continue,
                Ok(Some(sight)) => sight,
                Err(failure) => Sight::Broken(failure),
            };
            let over = matches!(sight, Sight::Broken(_));
            if self.to_play.send(sight).is_err() || over {
                return;
            }
        }
    }

    async fn take(&self, message: &Message) -> Result<Option<Sight>, Failure> {
        let below_base = message.topic.strip_prefix(BASE_TOPIC).and_then(|topic| topic.strip_prefix('/'));
        match below_base.and_then(|topic| topic.split_once('/')) {
            Some(("bridge", "state")) => {
                let state = message::bridge_state(message)?;
                self.says(&format!("bridge/state: {state}"));
                Ok(Some(if state == "online" { Sight::Online } else { Sight::Offline }))
            }
            Some(("bridge", "info")) => {
                self.says(&format!("bridge/info: {}", message.json::<BridgeInfo>()?));
                Ok(None)
            }
            Some(("bridge", _)) => Ok(None),
            Some((account, "token")) => self.token(account, message).await.map(Some),
            Some((account, "status")) => {
                self.says(&format!("{account}/status: {}", message.json::<StatusMessage>()?));
                Ok(None)
            }
            Some((account, "signin")) => {
                let offered = message.json::<SignInMessage>()?.offered();
                Ok(offered.map(|offer| {
                    let image = offer.qr.len();
                    self.says(&format!("{account}/signin: code {}, QR code as an image ({image} B)", offer.user_code));
                    Sight::SignIn { link: offer.link, user_code: offer.user_code }
                }))
            }
            _ => Ok(None),
        }
    }

    async fn token(&self, account: &str, message: &Message) -> Result<Sight, Failure> {
        let token: TokenMessage = message.json()?;
        let Some(token) = token.current()? else {
            self.says(&format!("{account}/token: none"));
            return Ok(Sight::NoToken);
        };
        let fingerprint = token.fingerprint();
        let kept = message.expiry.map_or_else(|| "without end".to_owned(), |expiry| format!("for {expiry} s"));
        self.says(&format!(
            "{account}/token: length {}, fingerprint {fingerprint}, expires in {} s, kept {kept}",
            token.access_token.len(),
            token.seconds_left,
        ));
        let (status, body) = self
            .http
            .call(&self.protected, &token.authorization)
            .await
            .map_err(|error| Failure::new(format!("the protected address does not answer: {error}")))?;
        self.says(&format!("GET /userinfo with it: {status} {}", body.trim()));
        if status != StatusCode::OK {
            return Err(Failure::new(format!("the flow got a token that the provider refuses ({status})")));
        }
        Ok(Sight::Token(SeenToken { fingerprint, at: self.stage.elapsed(), header: token.authorization }))
    }

    fn says(&self, text: &str) {
        self.stage.say(Who::Flow, text);
    }
}
