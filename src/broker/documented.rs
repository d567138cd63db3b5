//! The page for operators, held against the code.

use rumqttc::v5::mqttbytes::QoS;
use rustls::CertificateError;
use rustls::pki_types::{ServerName, UnixTime};

use super::connection::End;
use super::connector::{BrokerError, Connector};
use super::deliveries::ACKNOWLEDGE_TIMEOUT;
use super::dial::DialError;
use super::reason::{GIVE_RIGHT, REASONS, Reason};
use super::refusal::TopicRefusal;
use crate::domain::settings::{BrokerAddress, MqttSettings};
use crate::platform::acceptor::NotTrusted;
use crate::platform::tls::{self, Tls};

const PAGE: &str = include_str!("../../docs/broker-and-network.md");

fn connector() -> Connector {
    let settings = MqttSettings {
        address: BrokerAddress::Unix("BROKER".into()),
        login: None,
        broker_user: None,
        base_topic: "oauth2mqtt".to_owned(),
        local_tokens: false,
        client_id: "NAME".to_owned(),
    };
    Connector::new(&settings, "NAME", 1024, &Tls::default()).unwrap()
}

/// The part of a sentence that is always the same: up to the first detail.
fn beginning(sentence: &str) -> &str {
    let end = [": ", ". "].iter().filter_map(|end| sentence.find(end)).min();
    &sentence[..end.unwrap_or(sentence.len())]
}

#[track_caller]
fn documented(sentence: &str) {
    let row = PAGE.lines().find(|line| line.strip_prefix("| ").is_some_and(|row| row.starts_with(beginning(sentence))));
    assert!(row.is_some(), "the page has no row for: {}", beginning(sentence));
}

#[test]
fn every_reason_for_having_no_broker_is_in_the_table() {
    let connector = connector();
    let of_code = |code| Reason::new(code, None);
    let mut errors: Vec<BrokerError> = [
        End::Refused(of_code(0x87)),
        End::Disconnected(of_code(0x8b)),
        End::Disconnected(of_code(0x8e)),
        End::ClosedAtConnect,
        End::NoAnswer,
        End::Closed,
        End::OldVersion,
        End::NotMqtt,
        End::Blocked,
        End::Broken("x".to_owned()),
    ]
    .into_iter()
    .map(|end| connector.explain(end))
    .collect();
    let dial_errors = [
        DialError::Name("x".to_owned()),
        DialError::Network("x".to_owned()),
        DialError::Tls("x".to_owned()),
        DialError::NotTrusted(NotTrusted::Hidden),
    ];
    errors.extend(dial_errors.into_iter().map(|reason| connector.explain_dial(reason)));
    for error in errors {
        // Each new one has to be added above.
        match error {
            BrokerError::Settings(_) => unreachable!("it prevents the start"),
            BrokerError::Refused(..)
            | BrokerError::Ended(..)
            | BrokerError::TakenOver(..)
            | BrokerError::Closed(..)
            | BrokerError::OldVersion(_)
            | BrokerError::ClosedAtConnect(_)
            | BrokerError::NoAnswer(_)
            | BrokerError::NotMqtt(_)
            | BrokerError::Blocked(_)
            | BrokerError::NotTrusted(..)
            | BrokerError::UnknownName(..)
            | BrokerError::TlsFailed(..)
            | BrokerError::Unreachable(..)
            | BrokerError::Broken(..) => {}
        }
        documented(&error.to_string());
    }
}

#[test]
fn every_reason_code_is_in_the_table_with_its_next_step() {
    for known in REASONS {
        let row = format!("| `0x{:02x}` {} | {} |", known.code, known.name, known.next_step);
        assert!(PAGE.contains(&row), "the page lacks {row}");
    }
    assert!(PAGE.contains(&format!("| `0x87` for one topic or subscription | {GIVE_RIGHT} |")));
}

#[test]
fn every_refusal_of_a_topic_is_in_the_table() {
    let reason = Reason::new(0x90, None);
    for refusal in [
        TopicRefusal::Answered { reason: reason.clone() },
        TopicRefusal::Disconnects { reason },
        TopicRefusal::HangsUp,
        TopicRefusal::Unacknowledged { waited: ACKNOWLEDGE_TIMEOUT },
    ] {
        documented(&refusal.to_string());
    }
    let told = TopicRefusal::TooLarge { bytes: 4_566, most: 3_000 }.to_string();
    assert!(
        told.replace("4566", "…")
            .replace("3000", "…")
            .starts_with("… bytes are more than the … that the broker accepts")
    );
    documented("… bytes are more than the … that the broker accepts");
    assert_eq!(QoS::AtLeastOnce as u8, 1, "as the page says");
}

#[test]
fn every_reason_for_not_trusting_what_answers_is_in_the_table() {
    for reason in [
        NotTrusted::NoSuchUser("…".to_owned()),
        NotTrusted::Stranger("…".to_owned()),
        NotTrusted::Hidden,
        NotTrusted::Unknown("…".to_owned()),
    ] {
        documented(reason.to_string().trim_end_matches(" …").trim_end_matches(':'));
    }
}

#[test]
fn every_fault_of_a_certificate_is_in_the_table() {
    let name = ServerName::try_from("HOST").unwrap();
    for reason in [
        CertificateError::UnknownIssuer,
        CertificateError::NotValidForName,
        CertificateError::NotValidForNameContext { expected: name.to_owned(), presented: Vec::new() },
        CertificateError::Expired,
        CertificateError::NotValidYetContext { time: UnixTime::now(), not_before: UnixTime::now() },
    ] {
        let told = tls::explain(&rustls::Error::InvalidCertificate(reason), "HOST");
        documented(told.split(", which reads").next().unwrap());
    }
    let made = tls::explain(&rustls::Error::InvalidCertificate(CertificateError::NotValidForName), "gateway.local");
    let line = PAGE.replace(" \\\n   ", "");
    let command = made.split("openssl").nth(1).unwrap();
    assert!(line.contains(command), "the page has another command than: openssl{command}");
}
