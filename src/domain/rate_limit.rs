//! How often something may happen that others can bring about without end.

use std::time::Duration;

use crate::domain::clock::BootTime;

/// So many at once, and then one more after each pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// The number at once.
    pub at_once: u32,
    /// The time until there is one more, up to that number.
    pub pause: Duration,
}

/// Lets through what keeps to a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    rate: Rate,
    /// When nothing of what may happen at once is used up any more.
    whole_at: BootTime,
}

impl Throttle {
    /// A throttle that has let nothing through yet.
    #[must_use]
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, whole_at: BootTime::new(Duration::ZERO) }
    }

    /// Lets one through.
    ///
    /// # Errors
    /// The wait until it would, where there have been too many.
    pub(crate) fn take(&mut self, now: BootTime) -> Result<(), Duration> {
        let mut after = *self;
        let wait = after.reserve(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        *self = after;
        Ok(())
    }

    /// Lets one through at the earliest moment, and returns the wait until then.
    pub(crate) fn reserve(&mut self, now: BootTime) -> Duration {
        self.whole_at = self.whole_at.max(now) + self.rate.pause;
        self.whole_at.after(now + self.rate.pause * self.rate.at_once)
    }

    /// Returns whether it is as if it had let nothing through yet.
    #[must_use]
    pub(crate) fn is_whole(&self, now: BootTime) -> bool {
        self.whole_at <= now
    }
}

/// A message that is logged each time that its cause occurs, unless that is too often.
#[derive(Debug)]
pub(crate) struct Complaint {
    throttle: Throttle,
    withheld: u64,
}

impl Complaint {
    /// A complaint that was not made yet.
    #[must_use]
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { throttle: Throttle::new(rate), withheld: 0 }
    }

    /// Returns whether it is to be made now, and if so how often it was not since the last time.
    pub(crate) fn is_due(&mut self, now: BootTime) -> Option<u64> {
        if self.throttle.take(now).is_err() {
            self.withheld += 1;
            return None;
        }
        Some(std::mem::take(&mut self.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { at_once: 64, pause: Duration::from_secs(60) };

    fn at(seconds: u64) -> BootTime {
        BootTime::new(Duration::from_secs(1_000 + seconds))
    }

    #[test]
    fn so_many_are_let_through_at_once_and_then_one_after_each_pause() {
        let mut throttle = Throttle::new(RATE);
        let mut taken = |seconds| (0..1_000).filter(|_| throttle.take(at(seconds)).is_ok()).count();
        assert_eq!((taken(0), taken(59), taken(60), taken(100), taken(300)), (64, 0, 1, 0, 4));
        assert_eq!(taken(1_000_000), 64, "no more are saved up than there were");
    }

    #[test]
    fn who_is_not_let_through_is_told_how_long_to_wait() {
        let mut throttle = Throttle::new(RATE);
        assert!(throttle.is_whole(at(0)));
        while throttle.take(at(0)).is_ok() {}
        assert_eq!(throttle.take(at(18)), Err(Duration::from_secs(42)));
        assert!(!throttle.is_whole(at(64 * 60 - 1)) && throttle.is_whole(at(64 * 60)));
    }

    #[test]
    fn a_complaint_says_how_often_it_was_not_made() {
        let mut complaint = Complaint::new(Rate { at_once: 2, pause: Duration::from_secs(60) });
        let mut due = |seconds| complaint.is_due(at(seconds));
        assert_eq!([due(0), due(0), due(1), due(2), due(60), due(61)], [Some(0), Some(0), None, None, Some(2), None]);
    }
}
