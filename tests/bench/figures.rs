//! What is measured of the agent.

use std::time::Duration;

use crate::device::{Device, LONG_LIFE};
use crate::disk::LoopDisk;
use crate::reading::{self, Memory};
use crate::support::clock::{SOON, unix_now, wait_for};
use crate::support::process::written_by;
use crate::support::subscriber::Message;
use crate::table::Table;

/// How many accounts there are in what is measured at several sizes.
pub(crate) const ACCOUNTS: [usize; 4] = [1, 10, 100, 1_000];

/// A token that is due for its refresh soon after it came, in seconds.
const SHORT_LIFE: u32 = 6;

/// How many requests are under way at a time, to see how many are answered in a second.
const BURST: u16 = 64;

/// How often is measured, and for how long altogether in what is watched at rest.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) runs: usize,
    pub(crate) idle: Duration,
}

impl Effort {
    /// How long one of the runs at rest is.
    pub(crate) fn piece(self) -> Duration {
        self.idle / u32::try_from(self.runs).unwrap()
    }
}

/// Memory at rest and at its most, by the number of accounts.
pub(crate) fn memory(table: &mut Table, effort: Effort) {
    table.begin("Memory");
    for accounts in [1, 100, 1_000] {
        let (mut idle, mut at_start, mut refreshing) = (Vec::new(), Vec::new(), Vec::new());
        let mut device = Device::signed_in(accounts);
        for _ in 0..effort.runs {
            // The first start has taken the accounts in; this is one like any other.
            device.stop_agent();
            device.start_agent();
            at_start.push(reading::memory(device.pid()));
            device.settle();
            idle.push(reading::memory(device.pid()));
            reading::reset_peak(device.pid());
            device.refresh();
            refreshing.push(reading::memory(device.pid()));
        }
        let column = |of: &[Memory], pick: fn(&Memory) -> u64| of.iter().map(|memory| number(pick(memory))).collect();
        let of = plural(accounts);
        table.add(format!("PSS at rest, {of}"), "KiB", column(&idle, |memory| memory.pss));
        table.add(format!("RSS at rest, {of}"), "KiB", column(&idle, |memory| memory.rss));
        table.add(format!("peak RSS at the start, {of}"), "KiB", column(&at_start, |memory| memory.peak));
        table.add(format!("peak RSS in a refresh, {of}"), "KiB", column(&refreshing, |memory| memory.peak));
    }
}

/// What it does while there is nothing to do.
pub(crate) fn idle(table: &mut Table, effort: Effort) {
    table.begin("At rest");
    let mut device = Device::signed_in(1);
    device.stop_agent();
    device.start_agent();
    device.settle();
    let seconds = effort.piece().as_secs_f64();
    let (mut own, mut database, mut own_cpu, mut database_cpu, mut bytes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut own_threads, mut database_threads) = (0, 0);
    for _ in 0..effort.runs {
        let (before, written) = (reading::threads(device.pid()), written_by(device.pid()));
        std::thread::sleep(effort.piece());
        let done = reading::threads(device.pid()).since(before);
        own.push(number(done.own.wakeups) * 60.0 / seconds);
        database.push(number(done.database.wakeups) * 60.0 / seconds);
        own_cpu.push(done.own.cpu * 60_000.0 / seconds);
        database_cpu.push(done.database.cpu * 60_000.0 / seconds);
        bytes.push(number(written_by(device.pid()) - written) * 3_600.0 / seconds);
        (own_threads, database_threads) = (done.own.threads, done.database.threads);
    }
    table.add("threads of its own", "", vec![number(own_threads)]);
    table.add("threads of the database", "", vec![number(database_threads)]);
    table.add("wake-ups of its own", "per min", own);
    table.add("wake-ups of the database", "per min", database);
    table.add("processor time of its own", "ms per min", own_cpu);
    table.add("processor time of the database", "ms per min", database_cpu);
    table.add("written to disk", "B per h", bytes);
}

/// From the start of the process to the token, with all that it needs in the store.
pub(crate) fn start(table: &mut Table, effort: Effort) {
    table.begin("Start");
    for accounts in ACCOUNTS {
        let mut device = Device::signed_in(accounts);
        let mut times = Vec::new();
        for _ in 0..effort.runs {
            device.stop_agent();
            let asked = device.provider.given();
            let (started_at, tokens) = device.start_agent();
            assert_eq!(device.provider.given(), asked, "the provider was asked");
            times.push((last(&tokens) - started_at) * 1_000.0);
        }
        table.add(format!("start to the last token, {}", plural(accounts)), "ms", times);
    }
}

/// From the provider's answer to the token: read, sealed, written, synced, published.
pub(crate) fn refresh(table: &mut Table, effort: Effort) {
    table.begin("Refresh");
    let device = Device::signed_in(1);
    device.settle();
    let (mut times, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs.max(20) {
        let before = written_by(device.pid());
        let token = device.refresh();
        let sent_at = device.provider.sent_at(token.access_token().unwrap()).unwrap();
        times.push((token.arrived_at - sent_at) * 1_000.0);
        bytes.push(number(written_by(device.pid()) - before));
    }
    table.add("provider's answer to token", "ms", times);
    table.add("written per refresh, as the kernel counts", "B", bytes);
}

/// What a card has to take, by the counter of the block device.
pub(crate) fn disk(table: &mut Table, effort: Effort) {
    table.begin("Disk");
    let Some(disk) = LoopDisk::new() else { return };
    let mut device = Device::with_store_at(&disk.folder().join("store"), 1);
    device.start_agent();
    device.settle();
    let (mut per_refresh, mut per_restart, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs {
        let before = disk.written();
        device.refresh();
        per_refresh.push(number(disk.written() - before));
    }
    for _ in 0..effort.runs {
        device.stop_agent();
        let before = disk.written();
        device.start_agent();
        device.settle();
        counted.push(number(written_by(device.pid())));
        per_restart.push(number(disk.written() - before));
    }
    let before = disk.written();
    std::thread::sleep(effort.idle);
    let idle = number(disk.written() - before) * 3_600.0 / effort.idle.as_secs_f64();
    table.add("per refresh, with the file system's own", "B", per_refresh);
    table.add("per restart, with the file system's own", "B", per_restart);
    table.add("per restart, as the kernel counts", "B", counted);
    table.add("at rest", "B per h", vec![idle]);
    device.stop_agent();
}

/// After an outage all are due at the same moment.
pub(crate) fn outage(table: &mut Table, effort: Effort) {
    table.begin("All due at once");
    for accounts in ACCOUNTS {
        let (mut times, mut cpu, mut peak, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.runs {
            let mut device = Device::new(accounts, "");
            device.provider.set_life(SHORT_LIFE);
            device.start_agent();
            device.stop_agent();
            // All tokens lapse while the agent is away.
            std::thread::sleep(Duration::from_secs(u64::from(SHORT_LIFE)));
            device.provider.set_life(LONG_LIFE);
            let (started_at, tokens) = device.start_agent();
            times.push((last(&tokens) - started_at) * 1_000.0);
            cpu.push(reading::cpu_of(device.pid()) * 1_000.0);
            peak.push(number(reading::memory(device.pid()).peak));
            bytes.push(number(written_by(device.pid())));
        }
        let of = plural(accounts);
        table.add(format!("start to the last new token, {of}"), "ms", times);
        table.add(format!("processor time, {of}"), "ms", cpu);
        table.add(format!("peak RSS, {of}"), "KiB", peak);
        table.add(format!("written to disk, {of}"), "B", bytes);
    }
}

/// `token` requests on MQTT, for an account that publishes none.
pub(crate) fn requests(table: &mut Table, effort: Effort) {
    table.begin("Requests");
    let mut device = Device::new(1, "publish = \"on_request\"\n");
    device.spawn_agent();
    wait_for("being signed in", SOON, || {
        let status = device.subscriber.latest("oauth2mqtt/a1/status")?;
        (status.json["state"] == "active").then_some(())
    });
    device.settle();
    let (mut rate, mut latency, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs {
        latency.push(burst(&device, 1) * 1_000.0);
        let used = reading::cpu_of(device.pid());
        rate.push(f64::from(BURST) / burst(&device, BURST));
        cpu.push((reading::cpu_of(device.pid()) - used) * 1_000_000.0 / f64::from(BURST));
    }
    table.add("request to answer", "ms", latency);
    table.add("answers", "per s", rate);
    table.add("processor time of an answer", "µs", cpu);
}

/// Sends so many requests at once, and returns the time until the last answer, in seconds.
fn burst(device: &Device, requests: u16) -> f64 {
    let mark = device.subscriber.mark();
    let sent_at = unix_now();
    for _ in 0..requests {
        device.subscriber.send_request_to("reply/burst", "token", "a1");
    }
    // It sees each request too.
    let all = mark + 2 * usize::from(requests);
    wait_for("all answers", SOON, || (device.subscriber.mark() >= all).then_some(()));
    let answers = device.subscriber.since(mark);
    let answers: Vec<_> = answers.into_iter().filter(|message| message.topic == "reply/burst").collect();
    assert!(answers.iter().all(|answer| answer.json["data"]["access_token"].is_string()), "a request was refused");
    last(&answers) - sent_at
}

pub(crate) fn plural(accounts: usize) -> String {
    if accounts == 1 { "1 account".to_owned() } else { format!("{accounts} accounts") }
}

fn last(tokens: &[Message]) -> f64 {
    tokens.iter().map(|token| token.arrived_at).fold(0.0, f64::max)
}

/// Kilobytes and counts are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "no figure here needs 53 bits")]
pub(crate) fn number(value: u64) -> f64 {
    value as f64
}
