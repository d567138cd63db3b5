//! What came of it, in figures.

use std::collections::HashMap;
use std::fmt;

use crate::fleet::Fleet;

/// A time from one second up to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    pub(crate) fn contains(self, second: u64) -> bool {
        (self.from..self.to).contains(&second)
    }
}

pub(crate) struct Report {
    /// How many requests there were in each second.
    seconds: Vec<u32>,
    /// How many requests a second there were, in each minute.
    pub(crate) per_second: Vec<f64>,
    gaps: Vec<(u64, u64)>,
    pub(crate) lapsed_tokens_given: u64,
    pub(crate) refused: u64,
    pub(crate) asked_too_early: u64,
    /// How often two devices were given new tokens in the same second, and so were they the next three times.
    pub(crate) in_step: usize,
    pub(crate) signed_in: usize,
    /// Whose refresh was under way when the power went, and whose provider had no patience.
    pub(crate) interrupted_by_cut: usize,
    cut_off: usize,
}

impl Report {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let minutes = fleet.provider.asked.chunks(60);
        let signed_in = fleet.devices.iter().flatten().filter(|device| device.is_signed_in()).count();
        Self {
            seconds: fleet.provider.asked.clone(),
            per_second: minutes.map(|minute| f64::from(minute.iter().sum::<u32>()) / 60.0).collect(),
            gaps: fleet.gaps.clone(),
            lapsed_tokens_given: fleet.lapsed_tokens_given,
            refused: fleet.provider.refused,
            asked_too_early: fleet.provider.asked_too_early,
            in_step: in_step(fleet),
            signed_in,
            interrupted_by_cut: fleet.devices.len() - signed_in,
            cut_off: fleet.cut_off,
        }
    }

    /// Requests per second on average.
    pub(crate) fn mean(&self, span: Span) -> f64 {
        let minutes = self.minutes(span);
        minutes.iter().sum::<f64>() / f64::from(u32::try_from(minutes.len()).unwrap())
    }

    /// Requests per second in the minute that had most.
    pub(crate) fn busiest_minute(&self, span: Span) -> f64 {
        self.minutes(span).iter().copied().fold(0.0, f64::max)
    }

    /// Requests in the second that had most.
    pub(crate) fn busiest_second(&self, span: Span) -> u32 {
        let second = |second: u64| usize::try_from(second).unwrap().min(self.seconds.len());
        self.seconds[second(span.from)..second(span.to)].iter().copied().max().unwrap_or_default()
    }

    /// The longest that a device had no good token, of the time within the span, in seconds.
    pub(crate) fn longest_without(&self, span: Span) -> u64 {
        let within = self.gaps.iter().filter(|(end, _)| span.contains(*end));
        within.map(|(end, seconds)| (*seconds).min(end - span.from)).max().unwrap_or_default()
    }

    fn minutes(&self, span: Span) -> &[f64] {
        let minute = |second: u64| usize::try_from(second / 60).unwrap().min(self.per_second.len());
        &self.per_second[minute(span.from)..minute(span.to)]
    }
}

fn in_step(fleet: &Fleet) -> usize {
    let mut seen: HashMap<&[u64], usize> = HashMap::new();
    let fours = fleet.devices.iter().flatten().flat_map(|device| device.refreshed.windows(4));
    fours.map(|four| std::mem::replace(seen.entry(four).or_insert(0), 1)).sum()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::{
            AFTER_START, CLOCK_BACK, CLOCK_FORWARD, CUT, DEVICES, END, HOUR, ONE_RETRY, OUTAGE, STEADY, THROTTLED,
        };
        let steady = self.mean(STEADY);
        writeln!(f, "{DEVICES} devices, {} h; requests per second at the provider:", END / HOUR)?;
        for (what, from, to) in [
            ("usually", STEADY.from, STEADY.to),
            ("clocks set", CLOCK_FORWARD, CLOCK_BACK),
            ("clocks set back", CLOCK_BACK, OUTAGE.from),
            ("outage", OUTAGE.from, OUTAGE.to),
            ("after the outage", OUTAGE.to, THROTTLED.from),
            ("little room (429)", THROTTLED.from, THROTTLED.to),
            ("after little room", THROTTLED.to, CUT.from),
            ("after the power cut", CUT.to, CUT.to + HOUR),
            ("hours 2-6 after it", CUT.to + HOUR, CUT.to + 6 * HOUR),
            ("later", CUT.to + 6 * HOUR, END),
        ] {
            let span = Span { from, to };
            let (mean, peak) = (self.mean(span), self.busiest_minute(span));
            let (times, second) = (peak / steady, self.busiest_second(span));
            writeln!(
                f,
                "  {what:20} mean {mean:5.2}, busiest minute {peak:5.2} ({times:.1} times usual), busiest second {second:3}"
            )?;
        }
        let without = |from: u64, wait: u64| self.longest_without(Span { from, to: from + wait + HOUR });
        writeln!(f, "longest without a good token after the outage: {} s", without(OUTAGE.to, ONE_RETRY))?;
        writeln!(f, "longest without a good token after the power cut: {} s", without(CUT.to, AFTER_START))?;
        writeln!(f, "told to come later: {}, came too early: {}", self.refused, self.asked_too_early)?;
        writeln!(f, "still in step after four refreshes: {} pairs", self.in_step)?;
        write!(
            f,
            "signed in at the end: {}; refreshes under way at the power cut: {}, lost by it: {}",
            self.signed_in, self.cut_off, self.interrupted_by_cut
        )
    }
}
