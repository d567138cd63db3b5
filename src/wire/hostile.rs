//! Whatever a client of the broker may publish.

use fastrand::Rng;

use super::error_code::RequestError;
use super::payload::Payload;
use super::request::Request;
use super::response::{Response, ResponseSubject};
use super::topics::Topics;
use super::verb::Verb;
use crate::domain::text::is_printable;
use crate::testing::harmless::TOKEN;

/// A request over MQTT: its payload, and a topic for its response.
pub(crate) fn requests(payload: &[u8], chance: &mut Rng) -> String {
    let topics = Topics::new("oauth2mqtt", false);
    let verb = chance.choice(Verb::ALL).unwrap();
    let (told, transaction) = match Request::read(verb, payload) {
        Ok(request) => (format!("{:?}", request.account), request.transaction),
        Err((told, transaction)) => (told, transaction),
    };
    assert!(is_printable(&told), "{told:?}");
    // What is sent back is no longer than what came, but for what JSON needs to say it.
    let refused = Err(RequestError::invalid(told.clone()));
    let answer = Payload::json(&Response::<()>::new(refused, &ResponseSubject::default(), &transaction));
    assert!(answer.as_bytes().len() <= 6 * payload.len() + 2_000);
    let topic = String::from_utf8_lossy(payload);
    let may_answer = topics.may_respond_to(&topic);
    assert!(!may_answer || !topic.contains(['+', '#', '\0']));
    let shown = format!("{told} {:?}", topics.verb(&topic).map(|_| ()));
    // Names and keys are repeated, so a secret that stands in their place is shown to whoever sent it. `request` tests values.
    shown.replace(TOKEN, "")
}

#[test]
fn no_request_over_mqtt_does_harm() {
    crate::testing::hostile::bombard("requests", requests);
}
