//! The pauses between attempts to write on a disk that fails.

use std::time::Duration;

use crate::domain::clock::BootTime;

/// The pause after the second failure in a row; the first is followed by an attempt at once, since opening the files again
/// is often all that is needed.
const FIRST: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The failures in a row, and when the disk may be tried again.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    why: String,
    not_before: Option<BootTime>,
}

impl Retry {
    /// Returns why an attempt is refused at `now`, and for how long.
    pub(super) fn refuses(&self, now: BootTime) -> Option<(&str, Duration)> {
        let wait = self.not_before?.after(now);
        (!wait.is_zero()).then_some((self.why.as_str(), wait))
    }

    /// Notes a failure; returns whether it is the first in a row, and so worth telling.
    pub(super) fn failed(&mut self, now: BootTime, why: String) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.why = why;
        if self.failures > 1 {
            let pause = FIRST.saturating_mul(1 << (self.failures - 2).min(16)).min(LONGEST);
            self.not_before = Some(now + pause);
        }
        self.failures == 1
    }

    /// Forgets the failures; returns whether there were any.
    pub(super) fn succeeded(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_a_success_ends_them() {
        let (mut retry, mut now) = (Retry::default(), BootTime::new(Duration::from_secs(500)));
        let mut pauses = Vec::new();
        for failure in 0..12 {
            assert!(retry.refuses(now).is_none());
            assert_eq!(retry.failed(now, format!("fault {failure}")), failure == 0);
            let pause = retry.refuses(now).map_or(Duration::ZERO, |(_, pause)| pause);
            pauses.push(pause.as_secs());
            now = now + pause;
        }
        assert_eq!(pauses, [0, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(retry.refuses(now - Duration::from_secs(1)).unwrap().0, "fault 11");
        assert!(retry.succeeded() && !retry.succeeded());
        assert!(retry.failed(now, String::new()) && retry.refuses(now).is_none());
    }
}
