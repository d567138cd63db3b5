//! The two clocks: one that only runs forward, one that people read.
//!
//! Timers and lifetimes run on boot time (`CLOCK_BOOTTIME`), which no one can set and which goes on during suspend.
//! What is written down or shown is Unix time, which on a device without a battery-backed clock is wrong until the
//! network has corrected it. Everything that decides takes a [`Now`] as an argument; only `platform::clock` reads the clocks.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// A moment on the clock that only runs forward: the time since the device was started, to the nanosecond and up to 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime {
    /// One more than the nanoseconds: never zero, so that one which may be absent takes no more room. A session holds many.
    after_zero: NonZeroU64,
}

impl BootTime {
    /// The moment `since_boot` after the device was started.
    #[must_use]
    pub const fn new(since_boot: Duration) -> Self {
        let nanoseconds = since_boot.as_nanos();
        #[expect(clippy::cast_possible_truncation, reason = "just compared")]
        let nanoseconds = if nanoseconds < u64::MAX as u128 { nanoseconds as u64 } else { u64::MAX };
        Self { after_zero: NonZeroU64::MIN.saturating_add(nanoseconds) }
    }

    /// The time since the device was started.
    #[must_use]
    pub const fn since_boot(self) -> Duration {
        Duration::from_nanos(self.after_zero.get() - 1)
    }

    /// The time from now until this moment; zero if it has passed.
    #[must_use]
    pub fn after(self, now: Self) -> Duration {
        self.since_boot().saturating_sub(now.since_boot())
    }
}

impl std::ops::Sub<Duration> for BootTime {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self::new(self.since_boot().saturating_sub(earlier))
    }
}

impl std::ops::Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self::new(self.since_boot().saturating_add(later))
    }
}

impl fmt::Debug for BootTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.since_boot().fmt(f)
    }
}

/// A moment as people and providers write it: whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    /// One more than the seconds since the least of all moments, for the same reason as in [`BootTime`].
    after_least: NonZeroU64,
}

impl UnixTime {
    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn new(seconds: i64) -> Self {
        Self { after_least: NonZeroU64::MIN.saturating_add(seconds.wrapping_sub(i64::MIN).cast_unsigned()) }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        (self.after_least.get() - 1).cast_signed().wrapping_add(i64::MIN)
    }

    /// The time from `earlier` until this moment; zero if this is the earlier one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.seconds().saturating_sub(earlier.seconds())).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self::new(self.seconds().saturating_add(i64::try_from(later.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for UnixTime {
    /// `2026-11-24T14:05:00Z` (RFC 3339).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.seconds().div_euclid(86_400), self.seconds().rem_euclid(86_400));
        // The civil calendar repeats every 400 years, and a year that begins in March ends with the leap day.
        let since_march = days + 719_468;
        let (era, of_era) = (since_march.div_euclid(146_097), since_march.rem_euclid(146_097));
        let of_400 = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * of_400 + of_400 / 4 - of_400 / 100);
        let from_march = (5 * of_year + 2) / 153;
        let (day, month) = (of_year - (153 * from_march + 2) / 5 + 1, (from_march + 2) % 12 + 1);
        let year = 400 * era + of_400 + i64::from(month <= 2);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds().fmt(f)
    }
}

/// One moment, read from both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For timers and lifetimes.
    pub boot: BootTime,
    /// For what is written down or shown.
    pub wall: UnixTime,
}

impl Now {
    /// The Unix time of the moment `at`, which may lie in the future or the past.
    #[must_use]
    pub fn wall_at(self, at: BootTime) -> UnixTime {
        if at >= self.boot {
            // Rounded to the nearest second: the two clocks do not tick at the same instant.
            return self.wall + (at.after(self.boot) + Duration::from_millis(500));
        }
        let ago = i64::try_from(self.boot.after(at).as_secs()).unwrap_or(i64::MAX);
        UnixTime::new(self.wall.seconds().saturating_sub(ago))
    }

    /// Returns how far the Unix time was set forward or back since `earlier`, beyond what has passed; `None` if by less than
    /// two seconds, which rounding and slewing account for.
    #[must_use]
    pub fn step_since(self, earlier: Self) -> Option<Duration> {
        let passed = i64::try_from(self.boot.after(earlier.boot).as_secs()).unwrap_or(i64::MAX);
        let off = self.wall.seconds().saturating_sub(earlier.wall.seconds()).saturating_sub(passed);
        (off.unsigned_abs() >= 2).then(|| Duration::from_secs(off.unsigned_abs()))
    }
}

/// Trust in the Unix time after a boot.
///
/// A device without a battery-backed clock starts with the time that was written down before the power went, however long
/// that is ago, or with that of its system's release. Nothing about the time itself shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The network, or a battery-backed clock, says the same.
    Vouched,
    /// Nobody vouches for it.
    Doubtful,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: u64, wall: i64) -> Now {
        Now { boot: BootTime::new(Duration::from_secs(boot)), wall: UnixTime::new(wall) }
    }

    #[test]
    fn a_moment_is_what_it_was_made_of_and_in_its_order_and_an_absent_one_takes_no_more_room() {
        let seconds = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1_800_000_000, i64::MAX - 1];
        assert_eq!(seconds.map(|seconds| UnixTime::new(seconds).seconds()), seconds);
        assert!(seconds.map(UnixTime::new).is_sorted());
        let lengths = [0, 1, 1_000_000_000, u64::MAX - 1].map(Duration::from_nanos);
        assert_eq!(lengths.map(|length| BootTime::new(length).since_boot()), lengths);
        assert!(lengths.map(BootTime::new).is_sorted());
        assert!(BootTime::new(Duration::MAX) > BootTime::new(Duration::from_secs(500 * 366 * 86_400)));
        assert_eq!((size_of::<Option<BootTime>>(), size_of::<Option<UnixTime>>()), (8, 8));
    }

    #[test]
    fn a_moment_is_shown_as_a_date_and_a_time() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_529_100, "2026-11-24T14:05:00Z"),
        ] {
            assert_eq!(UnixTime::new(seconds).to_string(), shown);
        }
        assert!(UnixTime::new(i64::MAX - 1).to_string().ends_with('Z'));
        assert!(UnixTime::new(i64::MIN).to_string().starts_with('-'));
    }

    #[test]
    fn a_set_clock_is_noticed_in_both_directions() {
        assert_eq!(at(110, 1_010).step_since(at(100, 1_000)), None);
        assert_eq!(at(110, 1_011).step_since(at(100, 1_000)), None);
        assert_eq!(at(110, 5_010).step_since(at(100, 1_000)), Some(Duration::from_secs(4_000)));
        assert_eq!(at(110, 10).step_since(at(100, 1_000)), Some(Duration::from_secs(1_000)));
    }

    #[test]
    fn a_moment_has_a_unix_time_on_both_sides_of_now() {
        let now = at(100, 1_000);
        assert_eq!(now.wall_at(at(130, 0).boot), UnixTime::new(1_030));
        assert_eq!(now.wall_at(at(70, 0).boot), UnixTime::new(970));
    }
}
