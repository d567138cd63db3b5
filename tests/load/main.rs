//! A fleet on simulated time: ten thousand of the real sessions, two days, and everything that can bring them into step.
//!
//! It runs in seconds, prints what the provider was asked per second, and holds `policy` to what a provider and a fleet
//! need. To draw the plot of `docs/fleet.md` anew: `OAUTH2MQTT_PLOT=docs/fleet-load.svg cargo test --release --test load`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "here a panic is a failed test, and output its report")]

mod device;
mod fleet;
mod plot;
mod provider;
mod report;

use device::rules;
use fleet::Fleet;
use oauth2mqtt::testing::Acquisition;
use provider::Provider;
use report::{Report, Span};

/// How many devices there are.
const DEVICES: usize = 10_000;

/// How long an access token lives, in seconds.
const LIFE: u64 = 3_600;

const HOUR: u64 = 3_600;

/// How long it all lasts.
const END: u64 = 48 * HOUR;

/// The provider is down: every request is answered with HTTP 503.
const OUTAGE: Span = Span { from: 12 * HOUR, to: 14 * HOUR };

/// The provider has room for less than the fleet usually needs: all beyond that is answered with HTTP 429.
const THROTTLED: Span = Span { from: 20 * HOUR, to: 20 * HOUR + 1_800 };

/// The whole site is without power, long enough that every token lapses.
const CUT: Span = Span { from: 26 * HOUR, to: 29 * HOUR };

/// All clocks are set forward by an hour at once, and back again later.
const CLOCK_FORWARD: u64 = 8 * HOUR;
const CLOCK_BACK: u64 = 10 * HOUR;

/// What is steady: all have been refreshed several times, and nothing has happened yet.
const STEADY: Span = Span { from: 4 * HOUR, to: 8 * HOUR };

/// The longest wait between two tries, as `policy` has it for tokens of an hour, with the time that a try takes.
const ONE_RETRY: u64 = LIFE / 5 * 2 + 5;

/// Over how long a fleet whose tokens have all lapsed asks for the next after a power cut: the spread of `policy`, a minute in
/// which the devices start, and one in which the clock is set.
const AFTER_START: u64 = 10 + 120;

#[test]
fn ten_thousand_devices_are_kind_to_their_provider_through_two_days_of_trouble() {
    let provider = Provider::new(LIFE, OUTAGE, THROTTLED);
    let mut fleet = Fleet::new(DEVICES, provider);
    fleet.sign_in_over(HOUR);
    fleet.cut_power(CUT);
    fleet.set_clocks(CLOCK_FORWARD, HOUR.cast_signed());
    fleet.set_clocks(CLOCK_BACK, 0);
    fleet.run(END);
    let report = Report::of(&fleet);
    println!("{report}");
    if let Some(path) = std::env::var_os("OAUTH2MQTT_PLOT") {
        std::fs::write(path, plot::draw(&report)).unwrap();
    }

    let steady = report.mean(STEADY);
    let after_outage = report.busiest_minute(Span { from: OUTAGE.to, to: OUTAGE.to + 6 * HOUR });
    assert!(after_outage < 3.0 * steady, "{after_outage} per second after the outage, {steady} usually");
    let in_outage = report.busiest_minute(OUTAGE);
    assert!(in_outage < 8.0 * steady, "{in_outage} per second during the outage, {steady} usually");
    let after_cut = report.busiest_minute(Span { from: CUT.to, to: END });
    assert!(after_cut < 40.0 * steady, "{after_cut} per second after the power cut, {steady} usually");
    let echo = report.busiest_minute(Span { from: CUT.to + AFTER_START, to: END });
    assert!(echo < 2.0 * steady, "{echo} per second in a later hour, {steady} usually");
    for clocks in [CLOCK_FORWARD, CLOCK_BACK] {
        let stepped = report.busiest_second(Span { from: clocks, to: clocks + HOUR });
        let usual = report.busiest_second(STEADY);
        assert!(stepped <= 2 * usual, "{stepped} in one second after the clocks were set, {usual} usually");
    }

    let after = |end: u64, wait: u64| report.longest_without(Span { from: end, to: end + wait + HOUR });
    assert!(
        after(OUTAGE.to, ONE_RETRY) <= ONE_RETRY,
        "{} s without a token after the outage",
        after(OUTAGE.to, ONE_RETRY)
    );
    assert!(after(CUT.to, AFTER_START) <= AFTER_START, "{} s without after the cut", after(CUT.to, AFTER_START));
    assert_eq!(report.lapsed_tokens_given, 0);

    assert_eq!(report.asked_too_early, 0, "a Retry-After was not obeyed");
    assert!(report.refused > 1_000, "the provider hardly had to say no: {}", report.refused);
    assert_eq!(report.in_step, 0, "pairs refreshed in the same second four times running");
    assert_eq!(report.signed_in + report.interrupted_by_cut, DEVICES);
    assert!(report.interrupted_by_cut <= 5, "{} refreshes were cut off", report.interrupted_by_cut);
}

#[test]
fn ten_thousand_devices_that_are_switched_on_together_do_not_ask_for_their_first_tokens_together() {
    const SWITCHED_ON: u64 = 60;
    let mut fleet = Fleet::new(DEVICES, Provider::new(LIFE, OUTAGE, THROTTLED));
    // Half of them need no user, and half keep a code on offer for one.
    fleet.switch_on(SWITCHED_ON, |device| {
        if device % 2 == 0 { rules(Acquisition::Unattended, false) } else { rules(Acquisition::User, true) }
    });
    fleet.run(SWITCHED_ON + 12);
    let asked = &fleet.provider.asked[usize::try_from(SWITCHED_ON).unwrap()..];
    let busiest = asked.iter().copied().max().unwrap();
    println!("switched on together: {asked:?}");
    let even = u32::try_from(DEVICES / 10).unwrap();
    assert!(busiest < even + even / 5, "{busiest} in one second, {even} if evenly spread");
    let first = fleet.devices.iter().flatten().filter(|device| device.has_been_answered()).count();
    assert_eq!(first, DEVICES, "somebody waits for each of them");
}
