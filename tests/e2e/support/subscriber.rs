//! A client of the broker that sees everything, keeps it, and objects to what no flow may ever get.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde_json::Value;

use super::clock::{SOON, unix_now, wait_for, wait_until};

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) text: String,
    /// The payload; `null` if it is no JSON.
    pub(crate) json: Value,
    /// Whether the broker had kept it, rather than passed it on as it came.
    pub(crate) retained: bool,
    /// When it arrived, in Unix time.
    pub(crate) arrived_at: f64,
    pub(crate) qos: u8,
    pub(crate) expiry: Option<u32>,
    pub(crate) content_type: Option<String>,
    pub(crate) correlation: Option<Vec<u8>>,
    pub(crate) response_topic: Option<String>,
}

/// Everything that arrived, in its order.
#[derive(Default)]
struct Seen {
    messages: Vec<Message>,
    /// The newest by topic: it is looked for again and again, in some tests by dozens at a time.
    latest: HashMap<String, Message>,
    subscribed: usize,
}

/// A connection that subscribes to every topic, or to those that its user may read.
pub(crate) struct Subscriber {
    client: AsyncClient,
    seen: Arc<Mutex<Seen>>,
    requests: AtomicU64,
}

impl Subscriber {
    /// Connects to the broker at `port` of this machine, and again whenever it has gone.
    #[track_caller]
    pub(crate) fn connect(port: u16) -> Self {
        // A wildcard alone does not match what stays on the broker.
        Self::connect_as(port, None, &["#", "$local/#"])
    }

    /// The same with a user's name and password, for these topics alone, if any.
    #[track_caller]
    pub(crate) fn connect_as(port: u16, login: Option<(&str, &str)>, topics: &'static [&str]) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("observer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30)).set_clean_start(true).set_max_packet_size(Some(1024 * 1024));
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, events) = AsyncClient::new(options, 100);
        let seen = Arc::default();
        std::thread::spawn({
            let (client, seen) = (client.clone(), Arc::clone(&seen));
            move || receive(events, &client, &seen, topics)
        });
        let subscriber = Self { client, seen, requests: AtomicU64::new(0) };
        wait_until("a subscription", SOON, || subscriber.seen.lock().unwrap().subscribed > 0);
        subscriber
    }

    /// Waits until it has subscribed once more than `before` times, as it does after the broker was away.
    #[track_caller]
    pub(crate) fn wait_for_subscription(&self, before: usize) {
        wait_until("a subscription", SOON, || self.subscriptions() > before);
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.seen.lock().unwrap().subscribed
    }

    /// How many messages have arrived: a point in time for [`Self::wait_after`].
    pub(crate) fn mark(&self) -> usize {
        self.seen.lock().unwrap().messages.len()
    }

    /// Everything that has arrived.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.seen.lock().unwrap().messages.clone()
    }

    /// Everything that has arrived since `mark`.
    pub(crate) fn since(&self, mark: usize) -> Vec<Message> {
        self.seen.lock().unwrap().messages[mark..].to_vec()
    }

    /// Everything that has arrived on `topic`.
    pub(crate) fn on(&self, topic: &str) -> Vec<Message> {
        self.seen.lock().unwrap().messages.iter().filter(|message| message.topic == topic).cloned().collect()
    }

    /// The newest message on `topic`.
    pub(crate) fn latest(&self, topic: &str) -> Option<Message> {
        self.seen.lock().unwrap().latest.get(topic).cloned()
    }

    /// Waits until the newest message on `topic` is as `fits` wants it.
    #[track_caller]
    pub(crate) fn wait(&self, topic: &str, fits: impl Fn(&Value) -> bool) -> Message {
        self.wait_long(topic, SOON, fits)
    }

    /// The same, for what takes longer.
    #[track_caller]
    pub(crate) fn wait_long(&self, topic: &str, limit: Duration, fits: impl Fn(&Value) -> bool) -> Message {
        let what = format!("a message on {topic}");
        wait_for(&what, limit, || self.latest(topic).filter(|message| fits(&message.json)))
    }

    /// Waits for the first message on `topic` since `mark` that is as `fits` wants it.
    #[track_caller]
    pub(crate) fn wait_after(&self, mark: usize, topic: &str, fits: impl Fn(&Value) -> bool) -> Message {
        self.wait_long_after(mark, topic, SOON, fits)
    }

    /// The same, for what takes longer.
    #[track_caller]
    pub(crate) fn wait_long_after(
        &self,
        mark: usize,
        topic: &str,
        limit: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Message {
        wait_for(&format!("a new message on {topic}"), limit, || {
            let seen = self.seen.lock().unwrap();
            seen.messages[mark..].iter().find(|message| message.topic == topic && fits(&message.json)).cloned()
        })
    }

    /// Publishes `payload`, without a response topic.
    pub(crate) fn publish(&self, topic: &str, payload: &str) {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, payload.to_owned()).unwrap();
    }

    /// Publishes `payload` to be retained, as soon as there is room for it.
    #[track_caller]
    pub(crate) fn retain(&self, topic: &str, payload: &str) {
        let publish = || self.client.try_publish(topic, QoS::AtLeastOnce, true, payload.to_owned()).is_ok();
        wait_until("room for a message", SOON, publish);
    }

    /// Publishes a request with a response topic and correlation data of its own, and returns both.
    pub(crate) fn send_request(&self, verb: &str, payload: &str) -> Pending {
        let topic = format!("reply/{}", self.requests.fetch_add(1, Ordering::Relaxed));
        self.send_request_to(&topic, verb, payload)
    }

    /// The same, to be answered on `response_topic`.
    pub(crate) fn send_request_to(&self, response_topic: &str, verb: &str, payload: &str) -> Pending {
        // Correlation data is bytes, not text.
        let correlation = [&[0, 0xff], response_topic.as_bytes()].concat();
        self.send_pending(Pending { topic: response_topic.to_owned(), correlation }, verb, payload)
    }

    /// Publishes a request that is to be answered where, and with the correlation data with which, another one is.
    pub(crate) fn send_request_like(&self, other: &Message, verb: &str, payload: &str) -> Pending {
        let (topic, correlation) =
            (other.response_topic.clone().unwrap(), other.correlation.clone().unwrap_or_default());
        self.send_pending(Pending { topic, correlation }, verb, payload)
    }

    fn send_pending(&self, pending: Pending, verb: &str, payload: &str) -> Pending {
        let properties = PublishProperties {
            response_topic: Some(pending.topic.clone()),
            correlation_data: Some(Bytes::from(pending.correlation.clone())),
            ..PublishProperties::default()
        };
        let topic = format!("oauth2mqtt/bridge/request/{verb}");
        self.client
            .try_publish_with_properties(topic, QoS::AtLeastOnce, false, payload.to_owned(), properties)
            .unwrap();
        pending
    }

    /// Sends a request and waits for its response.
    #[track_caller]
    pub(crate) fn request(&self, verb: &str, payload: &str) -> Value {
        let pending = self.send_request(verb, payload);
        self.response(&pending, SOON)
    }

    /// Waits for the response to a request, which must carry the request's correlation data.
    #[track_caller]
    pub(crate) fn response(&self, pending: &Pending, limit: Duration) -> Value {
        let message = self.wait_long(&pending.topic, limit, |_| true);
        assert_eq!(message.correlation.as_ref(), Some(&pending.correlation), "{message:?}");
        message.json
    }
}

/// A request that waits for its response.
pub(crate) struct Pending {
    pub(crate) topic: String,
    correlation: Vec<u8>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // The thread ends with the connection; if the broker is gone already, it has ended.
        let _ = self.client.try_disconnect();
    }
}

fn receive(mut events: EventLoop, client: &AsyncClient, seen: &Mutex<Seen>, topics: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) if topics.is_empty() => seen.lock().unwrap().subscribed += 1,
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    let filters = topics.iter().map(|topic| Filter::new(*topic, QoS::AtLeastOnce));
                    client.try_subscribe_many(filters).unwrap();
                }
                Ok(Event::Incoming(Packet::SubAck(_))) => seen.lock().unwrap().subscribed += 1,
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let message = Message::from(publish);
                    let mut seen = seen.lock().unwrap();
                    seen.latest.insert(message.topic.clone(), message.clone());
                    seen.messages.push(message);
                }
                Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return,
                Ok(_) => {}
                // The broker is away; the client connects anew at the next poll.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
}

impl From<Publish> for Message {
    fn from(publish: Publish) -> Self {
        let properties = publish.properties.unwrap_or_default();
        let text = String::from_utf8_lossy(&publish.payload).into_owned();
        Self {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
            retained: publish.retain,
            arrived_at: unix_now(),
            qos: publish.qos as u8,
            expiry: properties.message_expiry_interval,
            content_type: properties.content_type,
            correlation: properties.correlation_data.map(Vec::from),
            response_topic: properties.response_topic,
        }
    }
}

impl Message {
    /// The access token in it, if it is a token message with one.
    pub(crate) fn access_token(&self) -> Option<&str> {
        self.topic.ends_with("/token").then(|| self.json["access_token"].as_str()).flatten()
    }

    /// Says what is wrong with a token that reached a flow, if anything is: it must be good when it arrives, and the
    /// broker must forget it before it lapses.
    pub(crate) fn objection(&self) -> Option<String> {
        self.access_token()?;
        let expires_at = self.json["expires_at"].as_f64()?;
        let lapsed = (self.arrived_at >= expires_at).then(|| "it has lapsed".to_owned());
        lapsed.or_else(|| match self.expiry {
            None => Some("it has no message expiry".to_owned()),
            Some(seconds) if self.arrived_at + f64::from(seconds) > expires_at => {
                Some(format!("the broker keeps it for {seconds} s, which is beyond its end"))
            }
            Some(_) => None,
        })
    }
}
