//! Reads the device's clocks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::domain::clock::{BootTime, Confidence, Now, UnixTime};

/// Reads both clocks.
#[must_use]
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let wall = clock_gettime(ClockId::Realtime);
    let seconds = Duration::from_secs(u64::try_from(boot.tv_sec).unwrap_or(0));
    let nanos = Duration::from_nanos(u64::try_from(boot.tv_nsec).unwrap_or(0));
    Now { boot: BootTime::new(seconds + nanos), wall: UnixTime::new(wall.tv_sec) }
}

/// Says how far the device's clock, which reads `wall`, can be trusted now.
#[must_use]
pub(crate) fn confidence(wall: UnixTime) -> Confidence {
    confidence_below(Path::new("/"), wall)
}

fn confidence_below(root: &Path, wall: UnixTime) -> Confidence {
    // A board's own clock without a battery starts in 1970 and goes on from there.
    let agrees =
        |seconds: &str| seconds.trim().parse::<i64>().is_ok_and(|seconds| seconds.abs_diff(wall.seconds()) <= RTC_OFF);
    let clocks = fs::read_dir(root.join(RTCS)).into_iter().flatten().flatten();
    let times = clocks.filter_map(|clock| fs::read_to_string(clock.path().join("since_epoch")).ok());
    let vouched = root.join(SYNCHRONIZED).exists() || times.into_iter().any(|time| agrees(&time));
    if vouched { Confidence::Vouched } else { Confidence::Doubtful }
}

/// The folder in which the kernel lists battery-backed clocks (rtc(4)), each with its time.
const RTCS: &str = "sys/class/rtc";
/// The most that a battery-backed clock may be off, in seconds.
const RTC_OFF: u64 = 5;
/// The file that systemd-timesyncd makes once the network has told it the time (systemd-timesyncd.service(8)).
const SYNCHRONIZED: &str = "run/systemd/timesync/synchronized";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_or_a_clock_with_a_battery_vouches_for_the_time() {
        let root = tempfile::tempdir().unwrap();
        let confidence = || confidence_below(root.path(), UnixTime::new(1_800_000_000));
        assert_eq!(confidence(), Confidence::Doubtful);
        let rtc = root.path().join(RTCS).join("rtc0");
        fs::create_dir_all(&rtc).unwrap();
        for (time, confidence_then) in [("25\n", Confidence::Doubtful), ("1799999998\n", Confidence::Vouched)] {
            fs::write(rtc.join("since_epoch"), time).unwrap();
            assert_eq!(confidence(), confidence_then);
        }
        fs::remove_dir_all(&rtc).unwrap();
        fs::create_dir_all(root.path().join(SYNCHRONIZED)).unwrap();
        assert_eq!(confidence(), Confidence::Vouched);
    }

    #[test]
    fn the_real_clocks_run_together() {
        let (first, second) = (now(), now());
        assert!(second.boot >= first.boot);
        assert_eq!(second.step_since(first), None);
    }
}
