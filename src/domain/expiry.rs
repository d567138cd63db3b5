//! When something that was given for a time comes to its end, whatever the clock on the wall does meanwhile.

use std::time::Duration;

use crate::domain::clock::{BootTime, Confidence, Now, UnixTime};

/// The end of a lifetime, such as a token's (`expires_in`, RFC 6749 5.1) or a device code's (RFC 8628 3.2).
///
/// As long as the device is not started again, the end is counted on boot time. After a boot it has to be found again from the
/// Unix times that were written down, and is found anew each time the clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    life: Duration,
    from: UnixTime,
    ends: BootTime,
    /// True if `ends` was counted from the start of the life, rather than found from Unix times.
    counted: bool,
}

/// When a life began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// In Unix time.
    pub wall: UnixTime,
    /// On the clock of timers, if the device has not been started again since.
    pub boot: Option<BootTime>,
}

impl Beginning {
    /// Returns whether as much has passed since on either clock, which is not so after another boot.
    fn is_of_this_boot(self, boot: BootTime, now: Now) -> bool {
        let beginning = Now { boot, wall: self.wall };
        boot <= now.boot && now.step_since(beginning).is_none()
    }
}

impl Expiry {
    /// The longest lifetime that is believed: ten years. Longer ones are taken for this.
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

    /// The end of a life that began at `start`.
    ///
    /// The start is when the provider was asked, not when it answered, so that a slow answer never makes a token look
    /// younger than it is.
    #[must_use]
    pub fn counted(start: Now, life: Duration) -> Self {
        let life = life.min(Self::LONGEST);
        Self { life, from: start.wall, ends: start.boot + life, counted: true }
    }

    /// The end of a life that began at `from`, as written down before a restart.
    ///
    /// After a boot, nothing is left of a life while the clock is doubtful: it may stand where it stood when the power went,
    /// and what seems young be long over. The first time that it is set, the end is found.
    #[must_use]
    pub fn restored(from: Beginning, life: Duration, now: Now, confidence: Confidence) -> Self {
        let life = life.min(Self::LONGEST);
        if let Some(boot) = from.boot.filter(|boot| from.is_of_this_boot(*boot, now)) {
            return Self { life, from: from.wall, ends: boot + life, counted: true };
        }
        let mut expiry = Self { life, from: from.wall, ends: now.boot, counted: false };
        if confidence == Confidence::Vouched {
            expiry.clock_was_set(now);
        }
        expiry
    }

    /// The same for what is worth a try even if it is over, such as a code that somebody may be typing: while the clock is
    /// doubtful, the whole life is left.
    #[must_use]
    pub fn restored_or_whole(from: Beginning, life: Duration, now: Now, confidence: Confidence) -> Self {
        let mut expiry = Self::restored(from, life, now, confidence);
        if confidence == Confidence::Doubtful && !expiry.counted {
            expiry.ends = now.boot + expiry.life;
        }
        expiry
    }

    /// Accounts for a clock that was set: `now` is the first moment read after it.
    pub fn clock_was_set(&mut self, now: Now) {
        if self.counted {
            self.from = now.wall_at(self.ends - self.life);
            return;
        }
        // A clock that stands before the beginning is wrong, and then nobody knows how much is left.
        let left =
            if now.wall < self.from { Duration::ZERO } else { self.life.saturating_sub(now.wall.since(self.from)) };
        self.ends = now.boot + left;
    }

    /// When the life began, as it is written down.
    #[must_use]
    pub fn from(&self) -> Beginning {
        Beginning { wall: self.from, boot: self.counted.then(|| self.ends - self.life) }
    }

    /// When it ends, in Unix time.
    #[must_use]
    pub fn at(&self) -> UnixTime {
        self.from + self.life
    }

    /// The whole length of the life.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// When it ends, on the clock that timers use.
    #[must_use]
    pub fn ends(&self) -> BootTime {
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(boot: u64, wall: i64) -> Now {
        Now { boot: BootTime::new(Duration::from_secs(boot)), wall: UnixTime::new(wall) }
    }

    #[test]
    fn a_counted_life_is_not_touched_by_a_clock_that_is_set() {
        let mut expiry = Expiry::counted(at(100, 50), HOUR);
        expiry.clock_was_set(at(160, 1_800_000_000));
        assert_eq!(expiry.ends(), at(3_700, 0).boot);
        assert_eq!(expiry.at(), UnixTime::new(1_800_000_000 - 60 + 3_600));
    }

    /// Written down at a Unix time, in another boot.
    fn restored(from: i64, now: Now) -> Expiry {
        let from = Beginning { wall: UnixTime::new(from), boot: None };
        Expiry::restored(from, HOUR, now, Confidence::Vouched)
    }

    #[test]
    fn a_restored_life_is_what_the_clock_says_is_left() {
        assert_eq!(restored(1_000, at(5, 2_000)).ends(), at(5 + 2_600, 0).boot);
    }

    #[test]
    fn a_restored_life_is_over_while_the_clock_is_plainly_wrong_and_found_again_when_it_is_set() {
        let mut expiry = restored(1_800_000_000, at(5, 30));
        assert_eq!(expiry.ends(), at(5, 0).boot);
        expiry.clock_was_set(at(10, 1_800_000_600));
        assert_eq!(expiry.ends(), at(10 + 3_000, 0).boot);
    }

    #[test]
    fn a_restored_life_never_grows_beyond_its_length_nor_below_nothing() {
        assert_eq!(restored(1_000, at(5, 1_000)).ends(), at(3_605, 0).boot);
        assert_eq!(restored(1_000, at(5, 9_999_999)).ends(), at(5, 0).boot);
    }

    #[test]
    fn a_life_that_began_in_this_boot_goes_on_whoever_vouches_for_the_clock() {
        let written = Expiry::counted(at(100, 1_000), HOUR).from();
        let expiry = Expiry::restored(written, HOUR, at(700, 1_601), Confidence::Doubtful);
        assert_eq!(expiry, Expiry::counted(at(100, 1_000), HOUR));
    }

    #[test]
    fn a_clock_that_stands_where_the_power_went_makes_no_token_young_again() {
        let written = Expiry::counted(at(100, 1_000), HOUR).from();
        // Ten minutes old by the clock, which stood still for nobody knows how long.
        for since_boot in [9, 90, 1_000] {
            let mut expiry = Expiry::restored(written, HOUR, at(since_boot, 1_600), Confidence::Doubtful);
            assert_eq!(expiry.ends(), at(since_boot, 0).boot);
            assert_eq!(expiry.from().boot, None, "nor when the agent starts again in the same boot");
            expiry.clock_was_set(at(since_boot + 5, 2_200));
            assert_eq!(expiry.ends(), at(since_boot + 5 + 2_400, 0).boot);
            let code = Expiry::restored_or_whole(written, HOUR, at(since_boot, 1_600), Confidence::Doubtful);
            assert_eq!(code.ends(), at(since_boot + 3_600, 0).boot, "but a code may still be good");
        }
    }

    #[test]
    fn an_absurd_life_does_not_overflow() {
        let expiry = Expiry::counted(at(100, 1_000), Duration::MAX);
        assert_eq!(expiry.life(), Expiry::LONGEST);
        assert!(expiry.at() > UnixTime::new(1_000));
    }
}
