//! What a refresh costs the disk.

use std::time::Duration;

use crate::bench::Bench;
use crate::provider::Provider;
use crate::report::{Row, scaled};
use crate::support::clock::wait_until;
use crate::support::process::written_by;

/// The most that a refresh may have written to the disk, in bytes; and the most with the log's rollovers in, which the few
/// refreshes of the short form do not come to.
const MOST: u64 = 16 * 1_024;
const MOST_ON_AVERAGE: u64 = 20 * 1_024;

#[test]
fn a_refresh_writes_no_more_than_a_card_can_bear() {
    let mut bench = Bench::new();
    let provider = Provider::start("worn", 4);
    bench.account_at("worn", &provider);
    bench.sign_in([("worn".to_owned(), provider.refresh_token())], 600, 1);
    bench.start();
    let refreshes = || provider.asked().len();
    wait_until("the first refresh", Duration::from_secs(20), || refreshes() > 0);
    let (before, from) = (written(&bench), refreshes());
    let count = scaled(6, 60);
    wait_until("refreshes", Duration::from_secs(300), || refreshes() >= from + count);
    let each = (written(&bench) - before) / (refreshes() - from) as u64;
    assert!(each <= scaled(MOST, MOST_ON_AVERAGE), "{each} bytes");
    Row::new("none: what a refresh writes", count).remark(format!("{each} bytes to the disk")).write();
}

/// Returns what the agent has had written to the disk, in whole pages.
fn written(bench: &Bench) -> u64 {
    written_by(bench.agent.as_ref().unwrap().pid())
}
