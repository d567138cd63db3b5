//! A broker that is away: tokens are refreshed all the while, and it is not besieged.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use crate::bench::Bench;
use crate::provider::Provider;
use crate::report::{Row, scaled};
use crate::support::clock::{Deadline, SOON, unix_now, wait_until};

#[test]
fn a_broker_that_is_away_is_tried_in_growing_pauses_and_gets_the_newest_token_when_it_is_back() {
    let mut bench = Bench::new();
    let provider = Provider::start("lonely", 6);
    bench.account_at("lonely", &provider);
    bench.sign_in([("lonely".to_owned(), provider.refresh_token())], 600, 20);
    bench.start();
    wait_until("the first refresh", SOON, || provider.serial_of("lonely") > 0);

    bench.broker.stop();
    let away = Duration::from_secs(scaled(20, 300));
    let in_its_place = TcpListener::bind(("127.0.0.1", bench.broker.port())).unwrap();
    in_its_place.set_nonblocking(true).unwrap();
    let (before, mut attempts) = (provider.serial_of("lonely"), 0);
    let back = Deadline::within(away);
    while !back.has_passed() {
        let Ok((mut connection, _)) = in_its_place.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        connection.set_nonblocking(false).unwrap();
        connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut packet = [0; 128];
        let length = connection.read(&mut packet).unwrap_or(0);
        // The test's own client comes here as well.
        attempts += usize::from(packet[..length].windows(10).any(|bytes| bytes == b"oauth2mqtt"));
    }
    drop(in_its_place);
    let refreshes = provider.serial_of("lonely") - before;
    assert!(u64::from(refreshes) >= away.as_secs() / 6 - 1, "{refreshes} refreshes while the broker was away");
    // Half a second, doubled up to fifteen, of which chance takes up to half.
    let most = 12 + usize::try_from(away.as_secs() / 7).unwrap();
    assert!((1..=most).contains(&attempts), "{attempts} attempts in {away:?}");

    let mark = bench.subscriber.mark();
    wait_until("the broker", SOON, || bench.broker.start_again());
    let over = unix_now();
    let has_token = |token: &serde_json::Value| token["access_token"].is_string();
    let token = bench.subscriber.wait_long_after(mark, "oauth2mqtt/lonely/token", 2 * SOON, has_token);
    Row::new(format!("broker away for {} s", away.as_secs()), attempts)
        .recovered_in(Duration::from_secs_f64((token.arrived_at - over).max(0.0)))
        .remark(format!("{refreshes} refreshes meanwhile"))
        .write();
}
