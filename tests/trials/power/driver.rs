//! The store alone, at a pace that no provider keeps: saves and erases, and says of each that it is safe.
//!
//! It runs in a process of its own, under strace: this test's binary, told by its environment what to do.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use fastrand::Rng;
use oauth2mqtt::testing::StoredRecord;
use oauth2mqtt::testing::clock::{self, Confidence};
use oauth2mqtt::testing::store;
use oauth2mqtt::testing::store::Machine;
use oauth2mqtt::testing::{AccountName, ClientBinding, Expiry, Fingerprint};

use super::images::Told;
use super::store_settings;
use crate::bench::record;
use crate::support::hex;

const ENVIRONMENT: &str = "OAUTH2MQTT_STORE_DRIVER";
const LAST_WORD: &str = "driven to the end";

/// Runs one life of the store in `folder`.
pub(super) fn command(folder: &Path, life: u64, accounts: usize, saves: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "power::driver::drive", "--ignored", "--nocapture", "--quiet"]);
    command.env(ENVIRONMENT, format!("{life} {accounts} {saves} {}", folder.display()));
    command
}

/// Whether the trace of a life has its end.
pub(super) fn is_whole(trace: &str) -> bool {
    let digits: Vec<_> = LAST_WORD.bytes().map(|byte| hex(&[byte])).collect();
    trace.contains(&digits.join("\\x"))
}

/// What it said of which account.
pub(super) fn told(bytes: &[u8]) -> Vec<(String, Told)> {
    let text = String::from_utf8_lossy(bytes);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .map(words)
        .filter_map(|words| match words.as_slice() {
            [safe, account, token] if safe == "safe" && token == "gone" => Some((account.clone(), Told::Gone)),
            [safe, account, token] if safe == "safe" => Some((account.clone(), Told::Token(token.clone()))),
            _ => None,
        })
        .collect()
}

#[test]
#[ignore = "a part of other tests, which run it in a process of its own"]
fn drive() {
    let task = std::env::var(ENVIRONMENT).unwrap();
    let mut words = task.splitn(4, ' ');
    let mut number = || words.next().unwrap().parse::<usize>().unwrap();
    let (life, accounts, saves) = (number(), number(), number());
    let folder = Path::new(words.next().unwrap());

    let (send, acks) = mpsc::channel();
    let machine = Machine::this();
    let acks_to = move |ack| send.send(ack).unwrap();
    let opened =
        store::open(&store_settings(folder), machine.as_ref(), (clock::now(), Confidence::Vouched), acks_to).unwrap();
    let whole = opened.records.iter().all(|(_, loaded)| matches!(loaded, StoredRecord::Record(_)));
    assert!(whole && opened.set_aside.is_none());
    let mut chance = Rng::with_seed(life as u64);
    let mut says = BTreeMap::new();
    let mut output = std::io::stdout();
    for revision in 0..saves as u64 {
        let account: AccountName = format!("account-{}", chance.usize(0..accounts)).parse().unwrap();
        // A sign-out makes a new log, so the first lives have none: theirs is to roll over.
        if life > 1 && chance.u8(0..60) == 0 {
            opened.store.erase(&account, revision);
            says.insert(revision, format!("safe {account} gone\n"));
        } else {
            let token = format!("t{life}-{revision}");
            // As long as tokens are at some providers: a few hundred bytes, or thousands.
            let refresh_token = "r".repeat(if chance.u8(0..4) == 0 { 3_000 } else { chance.usize(40..900) });
            let client = ClientBinding::new(Fingerprint::of("issuer=a client_id=b"));
            let expiry = Expiry::counted(clock::now(), Duration::from_secs(3_600));
            opened.store.save(&account, revision, record(client, &token, refresh_token, expiry));
            says.insert(revision, format!("safe {account} {token}\n"));
        }
        // Now one at a time, now several that are written together.
        while says.len() > chance.usize(0..6) {
            let ack = acks.recv().unwrap();
            assert_eq!(ack.result, Ok(()));
            output.write_all(says.remove(&ack.revision).unwrap().as_bytes()).unwrap();
            output.flush().unwrap();
        }
    }
    drop(opened);
    for ack in acks {
        output.write_all(says.remove(&ack.revision).unwrap().as_bytes()).unwrap();
    }
    output.write_all(format!("{LAST_WORD}\n").as_bytes()).unwrap();
}
