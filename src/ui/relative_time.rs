//! Times in words.

use std::time::Duration;

use crate::domain::clock::UnixTime;

/// `in 42 min`, `3 h ago`, `now`.
#[must_use]
pub(crate) fn relative(at: UnixTime, now: UnixTime) -> String {
    let (ahead, behind) = (at.since(now), now.since(at));
    if ahead > Duration::ZERO {
        format!("in {}", span(ahead))
    } else if behind > Duration::ZERO {
        format!("{} ago", span(behind))
    } else {
        "now".to_owned()
    }
}

/// `42 min`, rounded down in the largest unit of which there are two.
#[must_use]
pub(crate) fn span(length: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "h"), (60, "min")];
    let seconds = length.as_secs();
    UNITS
        .iter()
        .find(|(unit, _)| seconds >= 2 * unit)
        .map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

/// `14:05`, minutes and seconds, for a countdown.
#[must_use]
pub(crate) fn countdown(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_a_person_would_say_them() {
        let at = |seconds: i64| relative(UnixTime::new(1_000_000 + seconds), UnixTime::new(1_000_000));
        assert_eq!(at(0), "now");
        assert_eq!(at(45), "in 45 s");
        assert_eq!(at(42 * 60 + 59), "in 42 min");
        assert_eq!(at(-7_300), "2 h ago");
        assert_eq!(at(9 * 86_400), "in 9 days");
        assert_eq!(countdown(Duration::from_secs(845)), "14:05");
    }
}
