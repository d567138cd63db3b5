//! More accounts, and more requests, than anybody has: no token lapses, and memory stays where it is.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{Client, MqttOptions};

use crate::bench::Bench;
use crate::provider::{Fault, Provider};
use crate::report::{Row, scaled};
use crate::support::clock::{SOON, unix_now, wait_until};
use crate::support::subscriber::{Message, Subscriber};

/// How much more memory than at first, in KiB, counts as none.
const NO_GROWTH: u64 = 2_048;

/// Runs so many accounts with tokens of `life` seconds for so long.
fn steady(accounts: usize, life: u32, length: Duration) {
    let mut bench = Bench::new();
    let provider = Provider::start("many", life);
    let names: Vec<_> = (0..accounts).map(|number| format!("account-{number}")).collect();
    for name in &names {
        bench.account_at(name, &provider);
    }
    // As after a long time off: everybody is due at once.
    bench.sign_in(names.iter().map(|name| (name.clone(), provider.refresh_token_of(name))), 600, 100);
    let began = unix_now();
    bench.start();
    let all_have = |count| names.iter().all(|name| provider.serial_of(name) >= count);
    wait_until("everybody's first refresh", Duration::from_secs(60), || all_have(1));
    std::thread::sleep(length / 4);
    let before = bench.memory("VmRSS");
    std::thread::sleep(length * 3 / 4);
    let after = bench.memory("VmRSS");
    let messages = bench.subscriber.messages();
    let withdrawn = messages.iter().filter(|m| m.topic.ends_with("/token") && m.access_token().is_none());
    let lapses: Vec<_> = withdrawn.map(|m| m.arrived_at - began).collect();
    let refreshes: u32 = names.iter().map(|name| provider.serial_of(name)).sum();
    let seconds = u32::try_from(length.as_secs()).unwrap();
    // At the latest after eight tenths of its life.
    let least = seconds * 10 / (life * 8 + 10);
    assert!(lapses.is_empty(), "{} tokens lapsed, the first after {} s", lapses.len(), lapses[0]);
    assert!(all_have(least), "some account had fewer than {least} refreshes");
    assert!(after < before + NO_GROWTH, "memory grew from {before} to {after} KiB");
    Row::new(format!("none: {accounts} accounts with tokens of {life} s for {seconds} s"), accounts)
        .remark(format!("{refreshes} refreshes, no token lapsed; memory {before} to {after} KiB"))
        .write();
}

#[test]
fn a_thousand_accounts_are_refreshed_in_time() {
    let (accounts, life, length) = scaled((150, 20, 40), (1_000, 60, 600));
    steady(accounts, life, Duration::from_secs(length));
}

#[test]
fn memory_is_steady_over_time() {
    let (accounts, life, length) = scaled((20, 8, 30), (100, 20, 1_800));
    steady(accounts, life, Duration::from_secs(length));
}

#[test]
fn a_flood_of_requests_stalls_no_refresh_and_takes_no_memory() {
    // Whoever reads the answers to the flood as well sees a token late.
    let mut bench = Bench::seen_by(|port| Subscriber::connect_as(port, None, &["oauth2mqtt/+/+", "reply/#"]));
    let flooded = Subscriber::connect_as(bench.broker.port(), None, &["oauth2mqtt/bridge/response/#"]);
    let (steady, hung) = (Provider::start("steady", 10), Provider::start("hung", 600));
    bench.account_at("steady", &steady);
    bench.account_at("hung", &hung);
    hung.inflict(Fault::NoAnswer);
    let both = [("steady".to_owned(), steady.refresh_token()), ("hung".to_owned(), hung.refresh_token())];
    bench.sign_in(both, 600, 100);
    bench.start();
    for account in ["steady", "hung"] {
        bench.subscriber.publish("oauth2mqtt/bridge/request/refresh", account);
    }
    wait_until("the first refresh", SOON, || steady.serial_of("steady") > 0);
    let before = bench.memory("VmRSS");

    let requests = scaled(10_000, 100_000);
    let mut options = MqttOptions::new("flood", "127.0.0.1", bench.broker.port());
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut connection) = Client::new(options, 1_000);
    let reader = std::thread::spawn(move || connection.iter().take_while(Result::is_ok).count());
    // Read as a tree, either would take a hundred times its length.
    let with_transaction = |objects: usize| {
        let objects = vec![serde_json::json!({ "": 0 }); objects];
        serde_json::json!({ "account": "hung", "transaction": objects }).to_string()
    };
    let (long, too_long) = (with_transaction(140), with_transaction(2_200));
    for number in 0..requests {
        // One that the agent answers at once, one that waits for a provider that hangs, and here and there one that is refused.
        let (verb, payload) = match number % 100 {
            50 => ("refresh", too_long.as_str()),
            even if even % 2 == 0 => ("status", "steady"),
            _ => ("refresh", long.as_str()),
        };
        let topic = format!("oauth2mqtt/bridge/request/{verb}");
        client.publish(topic, QoS::AtMostOnce, false, payload.to_owned()).unwrap();
    }
    client.disconnect().unwrap();
    reader.join().unwrap();
    // The flood is still at the broker, and whoever asks behind it is answered when his turn comes.
    let asked = bench.subscriber.send_request("status", "steady");
    let answer = bench.subscriber.response(&asked, Duration::from_secs(120));
    assert_eq!(answer["status"], "ok", "{answer}");
    let serial = steady.serial_of("steady");
    wait_until("refreshes as ever", SOON, || steady.serial_of("steady") > serial);
    let after = bench.memory("VmRSS");

    let tokens = bench.subscriber.on("oauth2mqtt/steady/token");
    assert!(tokens.iter().all(|token| token.access_token().is_some()), "a token lapsed");
    let is_busy = |response: &Message| response.json["code"] == "busy";
    flooded.wait("oauth2mqtt/bridge/response/refresh", |response| response["code"] == "busy");
    let busy = flooded.on("oauth2mqtt/bridge/response/refresh").iter().filter(|response| is_busy(response)).count();
    assert!(after < before + 8 * 1_024, "memory grew from {before} to {after} KiB");
    hung.recover();
    Row::new("flood of requests by one client", requests)
        .remark(format!("{busy} told `busy`; no token lapsed; memory {before} to {after} KiB"))
        .write();
}
