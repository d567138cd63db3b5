use proptest::prelude::*;

use super::*;
use crate::domain::clock::{Now, UnixTime};

fn expiry(life: u64) -> Expiry {
    let start = Now { boot: BootTime::new(Duration::from_secs(1_000)), wall: UnixTime::new(1_800_000_000) };
    Expiry::counted(start, Duration::from_secs(life))
}

const START: BootTime = BootTime::new(Duration::from_secs(1_000));

#[test]
fn an_hour_is_refreshed_after_about_three_quarters() {
    let at = |jitter| refresh_at(Some(&expiry(3_600)), START, Jitter::new(jitter)).after(START).as_secs();
    assert_eq!((at(0.0), at(0.5), at(1.0)), (2_520, 2_700, 2_880));
}

#[test]
fn a_refresh_that_was_cut_off_is_tried_within_seconds_while_that_may_help() {
    let at = |ago| interrupted_at(Duration::from_secs(ago), START, Jitter::new(1.0));
    assert_eq!(at(20), Some(START + Duration::from_secs(3)));
    assert_eq!(at(3_600), None);
}

#[test]
fn slow_down_adds_five_seconds_or_takes_the_longer_interval() {
    let s = Duration::from_secs;
    assert_eq!(slowed(s(5), None), s(10));
    assert_eq!(slowed(s(5), Some(s(7))), s(10));
    assert_eq!(slowed(s(5), Some(s(12))), s(12));
    assert_eq!(slowed(s(290), Some(s(400))), s(400));
    assert_eq!(slowed(Duration::MAX, Some(Duration::MAX)), LONGEST_POLL_INTERVAL);
}

#[test]
fn an_interval_of_nothing_does_not_make_a_busy_loop() {
    assert_eq!(poll_interval(None), DEFAULT_POLL_INTERVAL);
    assert_eq!(poll_interval(Some(Duration::ZERO)), Duration::from_secs(1));
    assert_eq!(poll_interval(Some(Duration::MAX)), LONGEST_POLL_INTERVAL, "as it would be written down");
}

#[test]
fn an_absurd_retry_after_does_not_silence_the_device() {
    let wait = retry_wait(1, Some(Duration::MAX), Jitter::new(1.0));
    assert!(wait <= LONGEST_RETRY_AFTER.mul_f64(1.25));
}

proptest! {
    #[test]
    fn a_useful_token_is_refreshed_before_it_is_withdrawn(life in 3_u64..100_000_000, jitter in 0.0..=1.0) {
        let expiry = expiry(life);
        let at = refresh_at(Some(&expiry), START, Jitter::new(jitter));
        prop_assert!(at > START + Duration::from_secs(1));
        prop_assert!(at <= usable_until(&expiry));
        prop_assert!(usable_until(&expiry) < expiry.ends());
    }

    #[test]
    fn no_token_is_refreshed_in_a_busy_loop(life in 0_u64..3, jitter in 0.0..=1.0) {
        let at = refresh_at(Some(&expiry(life)), START, Jitter::new(jitter));
        prop_assert!(at.after(START) >= USELESS_GAP);
    }

    #[test]
    fn retries_grow_stay_bounded_and_obey_retry_after(failures in 0_u32.., asked in 0_u64..3_600, jitter in 0.0..=1.0) {
        let asked = Duration::from_secs(asked);
        let wait = retry_wait(failures, Some(asked), Jitter::new(jitter));
        prop_assert!(wait >= Duration::from_secs(1));
        prop_assert!(wait >= asked);
        prop_assert!(wait <= LONGEST_RETRY.max(asked.mul_f64(1.25)));
    }

    #[test]
    fn so_do_retries_of_a_refresh(failures in 0_u32.., life in 0_u64..100_000_000, asked in 0_u64..3_600, jitter in 0.0..=1.0) {
        let (asked, life) = (Duration::from_secs(asked), Duration::from_secs(life));
        let wait = refresh_retry_wait(failures, Some(life), Some(asked), Jitter::new(jitter));
        prop_assert!(wait >= Duration::from_secs(1));
        prop_assert!(wait >= asked);
        prop_assert!(wait <= LONGEST_REFRESH_RETRY.1.max(asked.mul_f64(1.25)));
    }

    #[test]
    fn what_was_due_while_the_agent_was_off_is_spread_over_no_more_than_the_token_or_ten_seconds(
        life in 3_u64..100_000_000, age in 0.0..2.0, jitter in 0.0..=1.0,
    ) {
        let expiry = expiry(life);
        let now = START + Duration::from_secs(life).mul_f64(age);
        let at = overdue_at(&expiry, now, Jitter::new(jitter));
        prop_assert!(at >= now);
        prop_assert!(at <= usable_until(&expiry).max(now + LONGEST_START_SPREAD));
    }

    #[test]
    fn what_begins_by_itself_begins_within_ten_seconds(jitter in 0.0..=1.0) {
        let wait = start_at(START, Jitter::new(jitter)).after(START);
        prop_assert_eq!(wait, Duration::from_secs(10).mul_f64(jitter));
    }

    #[test]
    fn polls_are_never_closer_than_the_interval(interval in 1_u64..300, failures in 0_u32.., jitter in 0.0..=1.0) {
        let interval = Duration::from_secs(interval);
        prop_assert!(poll_wait(interval, failures, None, Jitter::new(jitter)) >= interval);
    }
}
