//! The real clock, and waiting for things to happen: the tests sleep for nothing else.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long anything may take that should take a moment, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Unix time in seconds, with a fraction.
#[expect(clippy::disallowed_methods, reason = "the tests live in real time")]
pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A moment after which nobody waits any longer.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "the tests live in real time")]
    pub(crate) fn within(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    #[expect(clippy::disallowed_methods, reason = "the tests live in real time")]
    pub(crate) fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks again and again until `look` finds something, and fails the test if it does not in time.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::within(limit);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!deadline.has_passed(), "waited {limit:?} for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until `holds` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    wait_for(what, limit, || holds().then_some(()));
}
