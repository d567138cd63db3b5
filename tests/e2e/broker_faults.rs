//! Brokers that refuse, go away, or cannot bear something: each is told with its reason, and costs nothing else.

use std::process::Command;

use serde_json::Value;

use crate::support::clock::{SOON, wait_for, wait_until};
use crate::support::device::Device;
use crate::support::process::Process;
use crate::support::scripted_broker::{Greeting, Reply, ScriptedBroker, WELCOME};
use crate::support::server::servers;
use crate::support::world::Setup;

const NO_MQTT_5: &str = "does not speak MQTT 5. Use one that does, such as mosquitto 1.6 or later";

/// None of these is true of a broker that answers.
const NOT_SAID: [&str; 3] = ["another client", "Check that it runs", "no agent is running"];

#[test]
fn the_broker_inside_node_red_is_told_to_be_too_old() {
    let mut aedes = Process::start("aedes", Command::new("node").arg(servers().join("aedes.mjs")));
    let port = aedes.wait_for("its port", SOON, |aedes| {
        serde_json::from_str::<Value>(&aedes.stdout()).ok().and_then(|ready| ready["port"].as_u64())
    });
    Device::at(u16::try_from(port).unwrap(), 1).both_say(NO_MQTT_5, &NOT_SAID);
}

#[test]
fn a_broker_without_mqtt_5_is_told_as_such_however_it_refuses() {
    for greeting in [
        Greeting::Bytes(&[0x20, 2, 0, 1]),
        Greeting::Bytes(&[0x20, 3, 0, 0x84, 0]),
        Greeting::Bytes(&[0x20, 2, 0, 0]),
        Greeting::ClosesAtVersion5,
        Greeting::SilentToVersion5,
    ] {
        let broker = ScriptedBroker::start(greeting, |_| Reply::Acknowledges);
        Device::at(broker.port(), 1).both_say(NO_MQTT_5, &NOT_SAID);
    }
}

#[test]
fn the_reason_that_a_broker_gives_at_connect_is_shown_with_its_next_step() {
    for (answer, what) in [
        (&[0x20, 3, 0, 0x86, 0][..], "bad user name or password (0x86). Check [mqtt] username and password_file"),
        (&[0x20, 2, 0, 0x97], "quota exceeded (0x97). Raise the broker's quota"),
        (
            &[0x20, 8, 0, 0x88, 5, 0x1f, 0, 2, b'o', b'f'],
            "server unavailable (0x88: \"of\"). The agent tries again by itself",
        ),
        (&[0xe0, 1, 0x8a], "banned (0x8a). Remove this agent"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no MQTT broker. Check the port"),
    ] {
        let broker = ScriptedBroker::start(Greeting::Bytes(answer), |_| Reply::Acknowledges);
        Device::at(broker.port(), 1).both_say(what, &NOT_SAID);
    }
}

#[test]
fn a_broker_that_closes_every_connection_is_told_to_do_so() {
    let broker = ScriptedBroker::start(Greeting::Closes, |_| Reply::Acknowledges);
    Device::at(broker.port(), 1).both_say("closes each new connection without an answer", &NOT_SAID);
}

#[test]
fn the_reason_that_a_broker_gives_at_the_end_is_shown_also_in_its_short_form() {
    for (goodbye, what) in [
        (&[0xe0, 1, 0x8e][..], "another client that also calls itself oauth2mqtt: session taken over (0x8e)"),
        (&[0xe0, 2, 0x8b, 0], "server shutting down (0x8b). The agent tries again by itself"),
        (&[0xe0, 1, 0x98], "administrative action (0x98). Somebody ended this connection"),
        (&[0xe0, 1, 0x8d], "keep alive timeout (0x8d)"),
        (&[0xe0, 1, 0xa0], "maximum connect time (0xa0)"),
    ] {
        let broker = ScriptedBroker::start(WELCOME, move |_| Reply::HangsUp(goodbye));
        let device = Device::at(broker.port(), 1);
        let mut agent = device.agent();
        agent.wait_for(what, SOON, |agent| agent.stderr().contains(what).then_some(()));
        let log = agent.kill().stderr;
        assert!(!log.contains("does not reach anybody"), "no topic is to blame: {log}");
    }
}

/// The status topics that have arrived of twenty accounts.
fn statuses(broker: &ScriptedBroker) -> usize {
    let mut topics: Vec<_> = broker.arrived().into_iter().map(|arrived| arrived.topic).collect();
    topics.retain(|topic| topic.ends_with("/status"));
    topics.sort();
    topics.dedup();
    topics.len()
}

#[test]
fn a_topic_at_which_the_broker_hangs_up_is_found_and_keeps_no_other_from_being_published() {
    for (goodbye, why) in [
        (&[][..], "the broker closes the connection when it gets this, without a reason"),
        (
            &[0xe0, 1, 0x87],
            "the broker ends the connection when it gets this: not authorized (0x87). Give the agent's user",
        ),
        (&[0xe0, 2, 0x90, 0], "the broker ends the connection when it gets this: topic name invalid (0x90)"),
    ] {
        let broker = ScriptedBroker::start(WELCOME, move |topic| match topic {
            "oauth2mqtt/a07/status" => Reply::HangsUp(goodbye),
            _ => Reply::Acknowledges,
        });
        let device = Device::at(broker.port(), 20);
        let mut agent = device.agent();
        wait_until("all twenty", SOON, || statuses(&broker) == 20 && agent.stderr().contains(why));
        let log = agent.stderr();
        let named: Vec<_> = log.lines().filter(|line| line.contains("does not reach anybody")).collect();
        assert!(matches!(named.as_slice(), [one] if one.contains("oauth2mqtt/a07/status")), "{log}");
        // What the first connections had is published again in full on the one that lasts, but for that topic.
        let last = broker.connections() - 1;
        wait_until("all on the last connection", SOON, || {
            let arrived = broker.arrived();
            let on_last = |topic: &str| arrived.iter().any(|seen| seen.connection == last && seen.topic == topic);
            (0..20).all(|number| number == 7 || on_last(&format!("oauth2mqtt/a{number:02}/status")))
        });
        assert!(broker.arrived().iter().all(|seen| seen.connection < last || !seen.topic.contains("a07/status")));
        assert!(broker.connections() <= 4, "{}", broker.connections());
        assert!(agent.is_running());
        agent.kill();
    }
}

#[test]
fn tokens_are_published_before_everything_else_of_an_account() {
    let broker = ScriptedBroker::start(WELCOME, |_| Reply::Acknowledges);
    let device = Device::at(broker.port(), 1);
    let agent = device.agent();
    wait_until("the account's topics", SOON, || statuses(&broker) == 1);
    let arrived = broker.arrived();
    let place = |last: &str| arrived.iter().position(|seen| seen.topic == format!("oauth2mqtt/a00/{last}"));
    assert!(place("token").unwrap() < place("status").unwrap(), "{arrived:?}");
    agent.kill();
}

#[test]
fn a_message_that_is_never_acknowledged_holds_up_nothing_and_its_identifier_is_not_used_again() {
    let broker = ScriptedBroker::start(WELCOME, |topic| match topic {
        "oauth2mqtt/a03/status" => Reply::Nothing,
        _ => Reply::Acknowledges,
    });
    let device = Device::at(broker.port(), 20);
    let mut agent = device.agent();
    wait_until("all twenty", SOON, || statuses(&broker) == 20);
    agent.wait_for("the topic in the journal", SOON * 2, |agent| {
        agent.stderr().contains("does not acknowledge it within 20 s").then_some(())
    });
    let arrived = broker.arrived();
    let stuck = arrived.iter().find(|seen| seen.topic == "oauth2mqtt/a03/status").unwrap().id;
    assert_eq!(arrived.iter().filter(|seen| seen.id == stuck).count(), 1, "{arrived:?}");
    assert_eq!(broker.connections(), 1);
    let log = agent.kill().stderr;
    assert_eq!(log.lines().filter(|line| line.contains("does not reach anybody")).count(), 1, "{log}");
}

#[test]
fn a_broker_that_holds_one_message_at_a_time_and_never_acknowledges_one_gets_the_others() {
    // Receive Maximum 1.
    let welcome = Greeting::Bytes(&[0x20, 6, 0, 0, 3, 0x21, 0, 1]);
    let broker = ScriptedBroker::start(welcome, |topic| match topic {
        "oauth2mqtt/a01/status" => Reply::Nothing,
        _ => Reply::Acknowledges,
    });
    let device = Device::at(broker.port(), 5);
    let mut agent = device.agent();
    wait_until("all five", SOON * 3, || statuses(&broker) == 5);
    assert!(agent.is_running());
    let log = agent.kill().stderr;
    assert!(log.contains("does not acknowledge it within 20 s"), "{log}");
}

#[test]
fn a_refused_topic_is_named_with_the_code_of_its_acknowledgement() {
    let broker = ScriptedBroker::start(WELCOME, |topic| match topic {
        "oauth2mqtt/a00/status" => Reply::Refuses(0x97),
        _ => Reply::Acknowledges,
    });
    let device = Device::at(broker.port(), 1);
    let mut agent = device.agent();
    let what = "the broker refuses it: quota exceeded (0x97). Raise the broker's quota";
    agent.wait_for(what, SOON, |agent| agent.stderr().contains(what).then_some(()));
    wait_until("the account's topics", SOON, || statuses(&broker) == 1);
    assert_eq!(broker.connections(), 1);
    let log = agent.kill().stderr;
    let named: Vec<_> = log.lines().filter(|line| line.contains("does not reach anybody")).collect();
    assert!(matches!(named.as_slice(), [one] if one.contains("oauth2mqtt/a00/status") && one.contains(what)), "{log}");
}

#[test]
fn a_server_keep_alive_of_zero_and_a_short_one_are_kept_to() {
    for (welcome, pings) in [(&[0x20, 6, 0, 0, 3, 0x13, 0, 0][..], 0..=0), (&[0x20, 6, 0, 0, 3, 0x13, 0, 1], 4..=8)] {
        let broker = ScriptedBroker::start(Greeting::Bytes(welcome), |_| Reply::Acknowledges);
        let device = Device::at(broker.port(), 1);
        let mut agent = device.agent();
        let began = crate::support::clock::unix_now();
        wait_until("its topics", SOON, || statuses(&broker) == 1);
        wait_until("pings", SOON, || {
            broker.pings() >= *pings.start() && crate::support::clock::unix_now() - began > 3.0
        });
        assert!(pings.contains(&broker.pings()), "{} of {pings:?}", broker.pings());
        assert_eq!(broker.connections(), 1);
        assert!(agent.is_running());
        agent.kill();
    }
}

#[test]
fn a_broker_that_lacks_a_feature_is_used_without_it_and_told_to_lack_it() {
    for (line, what) in
        [("retain_available false", "keeps no retained messages"), ("max_qos 0", "does not acknowledge messages")]
    {
        let mut world = Setup::new().broker(line).account("garden").without_agent();
        world.start_agent_offline();
        wait_until("the journal", SOON, || world.agent_log().contains(what));
        let ended = wait_for("an answer", SOON, || {
            let ended = world.cli(&["status"]);
            (ended.code() == 0).then_some(ended)
        });
        assert!(ended.stdout.contains("garden"), "{ended:?}");
        assert!(!world.agent_log().contains("no broker"), "{}", world.agent_log());
        world.stop_agent();
    }
}
