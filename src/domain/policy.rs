//! When to refresh, when to poll, when to try again: every number that decides it, and nothing else.

use std::time::Duration;

use crate::domain::clock::BootTime;
use crate::domain::expiry::Expiry;
use crate::domain::rate_limit::Rate;

/// The wait between two polls where the provider names none (RFC 8628 3.2).
pub(crate) const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The longest interval that is believed: no code lives as long.
const LONGEST_POLL_INTERVAL: Duration = Duration::from_secs(86_400);

/// The time that one `slow_down` adds to the interval, for good (RFC 8628 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The assumed life of an access token where the provider does not say, if it can be refreshed at all.
const ASSUMED_LIFE: Duration = Duration::from_secs(3_600);

/// A token that lives less than this is of no use to a flow; it is renewed only once in [`USELESS_GAP`].
const SHORTEST_LIFE: Duration = Duration::from_secs(3);
const USELESS_GAP: Duration = Duration::from_secs(60);

/// The least wait before a token is asked for that was given again.
const SAME_TOKEN_GAP: Duration = Duration::from_secs(1);

/// The time that a user has to approve at an address that leads back. Long enough to fetch a password and a second factor,
/// and short enough that an address left in a chat does no harm.
pub(crate) const REDIRECTION_WAIT: Duration = Duration::from_secs(900);

/// The time for which the endpoints of an issuer's metadata are used.
pub(crate) const METADATA_LIFE: Duration = Duration::from_secs(24 * 3_600);

/// The first wait after a passing fault; it doubles with each further one up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// The first and the longest wait between two tries to refresh, as shares of the token's life, each with its limit. Neither is
/// ever less than for other things.
///
/// `tests/load` chose them. A fleet refreshes each token once in three quarters of its life. If all of it is without tokens at
/// the end of an outage, and each device tries about once in a third of that life, the provider meets two or three times
/// the usual load, and no more; with the five minutes that a single device would do well with, it met thirteen times. And
/// as a quarter of the life is left for retries, the first need not be in a hurry.
const FIRST_REFRESH_RETRY: (f64, Duration) = (0.01, Duration::from_secs(30));
const LONGEST_REFRESH_RETRY: (f64, Duration) = (0.4, Duration::from_secs(24 * 60));

/// Over how long the refreshes of a site are spread that has been without power until its tokens expired: a twelfth of a
/// token's life, up to this.
///
/// A long spread spares the provider; a short one, of seconds, spares the user who has just switched a device on. Devices start
/// within a minute or so of each other anyway. `tests/load` shows the price. HTTP 429 from a provider is obeyed.
const START_SHARE: u32 = 12;
const LONGEST_START_SPREAD: Duration = Duration::from_secs(10);

/// The share of what is left of a good token that is used to spread refreshes that were due while the agent was off. The rest is
/// for retries.
const SHARE_OF_REST: f64 = 0.8;

/// Over how long refreshes are spread that were cut off. The grace periods within which providers take a used refresh token
/// once more begin at ten seconds, and a good part of that is gone when a device has started.
const INTERRUPTED_SPREAD: Duration = Duration::from_secs(3);

/// The longest grace period that is reckoned with, with the time that a device needs to start.
const LONGEST_GRACE: Duration = Duration::from_secs(180);

/// The wait after the first failure to reach the broker, and the longest.
const FIRST_RECONNECT: Duration = Duration::from_millis(500);
const LONGEST_RECONNECT: Duration = Duration::from_secs(15);

/// The time that a connection to the broker must have lasted for the next attempt to be a first one again. Longer than the longest
/// wait: of two clients that throw each other out, each has the connection while the other waits.
pub(crate) const LASTING_CONNECTION: Duration = Duration::from_secs(30);

/// The rate at which an issuer's metadata is read again because an endpoint answers as if it were none.
pub(crate) const MOVED_ENDPOINTS: Rate = Rate { at_once: 3, pause: Duration::from_secs(60) };

/// The rate at which the journal is told that the broker was lost or found.
pub(crate) const LOSSES_TOLD: Rate = Rate { at_once: 3, pause: Duration::from_secs(600) };

/// The rate at which the journal is told of the mistakes of others, for each kind.
pub(crate) const COMPLAINTS: Rate = Rate { at_once: 5, pause: Duration::from_secs(60) };

/// The wait after a fault that only a change of the set-up can fix.
const RECONFIGURE_RETRY: Duration = Duration::from_secs(3_600);

/// The longest `Retry-After` that is believed: whoever answers in the provider's place must not silence a device.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The time after a refresh within which a request for another is answered with the token that is there.
pub(crate) const FRESH_ENOUGH: Duration = Duration::from_secs(2);

/// The rate at which the tokens of a sign-in are refreshed, whatever life its provider gives them. Each refresh writes twice, and one every
/// three seconds with the largest token would write 20 GB a day.
pub(crate) const REFRESHES: Rate = Rate { at_once: 240, pause: Duration::from_secs(15) };

/// The rate at which declared changes are accepted. A flow that is broken may declare something else in a loop, and each change writes some
/// 70 kB: as fast as a device is, that is 300 GB a day, and one in a minute is 100 MB. The number is for all accounts that a
/// device can have, declared anew and then corrected.
pub(crate) const DECLARED_CHANGES: Rate = Rate { at_once: 64, pause: Duration::from_secs(60) };

/// The rate at which requests of one kind that make the agent write are accepted for one account. To sign out and in again in a loop writes up to a
/// megabyte each time. It is more than anybody tries by hand, and what a broken flow then writes does not wear a card out.
pub(crate) const WRITING_REQUESTS: Rate = Rate { at_once: 60, pause: Duration::from_secs(60) };

/// The same for signing out an account that is signed out, which nobody needs often.
pub(crate) const IDLE_SIGN_OUTS: Rate = Rate { at_once: 10, pause: Duration::from_secs(60) };

/// The part of these that one client gets, by its response topic: a flow that asks in a loop locks nobody else out.
pub(crate) const CLIENT_REQUESTS: Rate = Rate { at_once: 20, pause: Duration::from_secs(60) };

/// The rate at which requests to read the configuration again are accepted. Each reads every file, and may write a line for each account.
pub(crate) const RELOADS: Rate = Rate { at_once: 10, pause: Duration::from_secs(10) };

/// The limit for all accounts together: at once as many as a large device has accounts.
pub(crate) const ALL_WRITING_REQUESTS: Rate = Rate { at_once: 2_000, pause: Duration::from_secs(10) };

/// A random number from 0 to 1, drawn by whoever calls, so that devices that started together do not stay in step.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(f64);

impl Jitter {
    /// Takes `value` as it is; anything outside 0 to 1 is brought inside.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() { 0.5 } else { value.clamp(0.0, 1.0) })
    }

    fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0
    }
}

/// Returns how long before its end a token is no longer given to a flow: a tenth of its life, at least one second and at most
/// one minute. The request that carries the token needs time to arrive, and no two clocks agree.
#[must_use]
pub(crate) fn margin(life: Duration) -> Duration {
    (life / 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
}

/// Until when a flow may have a token: its end less the [`margin`].
#[must_use]
pub(crate) fn usable_until(expiry: &Expiry) -> BootTime {
    expiry.ends() - margin(expiry.life())
}

/// When to refresh an access token that was received at `received`.
///
/// The rule: after 70 to 80 % of its life, by jitter, but no later than the moment from which it is no longer given to
/// flows. A quarter of the life is then left for retries. Without a known life, an hour is assumed. A token too short
/// to be of use is renewed once a minute, so that a provider's mistake does not become an attack on it.
#[must_use]
pub(crate) fn refresh_at(expiry: Option<&Expiry>, received: BootTime, jitter: Jitter) -> BootTime {
    refresh_after(jitter.between(0.7, 0.8), expiry, received)
}

/// The same for the first token after a start or an outage, which many devices may have got at the same time: after
/// 25 to 80 % of its life, once. `tests/load` shows what that is for: with the usual rule ten thousand devices were in step
/// for half a day after a power cut, and their provider met six times the usual load once in each life of a token.
#[must_use]
pub(crate) fn first_refresh_at(expiry: Option<&Expiry>, received: BootTime, jitter: Jitter) -> BootTime {
    refresh_after(jitter.between(0.25, 0.8), expiry, received)
}

fn refresh_after(share: f64, expiry: Option<&Expiry>, received: BootTime) -> BootTime {
    let Some(expiry) = expiry else {
        return received + ASSUMED_LIFE.mul_f64(share);
    };
    let life = expiry.life();
    if life < SHORTEST_LIFE {
        return received + USELESS_GAP;
    }
    let early = expiry.ends() - life.mul_f64(1.0 - share);
    early.min(usable_until(expiry))
}

/// The moment `at`, or an earlier one if the sign-in itself ends before: after 70 to 80 % of what was left of it at
/// `received`. Where that is less than a token is of use for, a refresh would not make it longer either.
#[must_use]
pub(crate) fn before_sign_in_ends(
    at: BootTime,
    sign_in_end: Option<&Expiry>,
    received: BootTime,
    jitter: Jitter,
) -> BootTime {
    let left = sign_in_end.map(|end| end.ends().after(received)).filter(|left| *left >= SHORTEST_LIFE);
    left.map_or(at, |left| at.min(received + left.mul_f64(jitter.between(0.7, 0.8))))
}

/// When to ask for the token after one that the provider gave again: when it ends, as there is no other before.
#[must_use]
pub(crate) fn when_ended(expiry: &Expiry, now: BootTime) -> BootTime {
    expiry.ends().max(now + SAME_TOKEN_GAP)
}

/// When to refresh a token that should have been refreshed already, when the agent starts or the clock is set.
///
/// A whole site is in the same position at the same moment, so jitter spreads it: over most of the time that the token is
/// still good for, or else, since a flow waits, over some seconds at most.
#[must_use]
pub(crate) fn overdue_at(expiry: &Expiry, now: BootTime, jitter: Jitter) -> BootTime {
    let left = usable_until(expiry).after(now);
    let spread = if left.is_zero() {
        (expiry.life() / START_SHARE).min(LONGEST_START_SPREAD)
    } else {
        left.mul_f64(SHARE_OF_REST)
    };
    now + spread.mul_f64(jitter.0)
}

/// When to begin a sign-in that nobody has asked for, after a start: for tokens without a user, or for a code to keep on offer.
///
/// A whole site is switched on at the same moment here too, and a user may stand before any of its devices: jitter spreads it over
/// the same seconds as the refresh of a token that has expired. A sign-in that somebody asks for begins at once.
#[must_use]
pub(crate) fn start_at(now: BootTime, jitter: Jitter) -> BootTime {
    now + LONGEST_START_SPREAD.mul_f64(jitter.0)
}

/// When to try a refresh again that was cut off `ago`, before its answer arrived: within seconds, as long as a provider may
/// still take the refresh token a second time. After that there is no hurry.
#[must_use]
pub(crate) fn interrupted_at(ago: Duration, now: BootTime, jitter: Jitter) -> Option<BootTime> {
    (ago <= LONGEST_GRACE).then(|| now + INTERRUPTED_SPREAD.mul_f64(jitter.0))
}

/// Returns the wait after the `failures`-th passing fault in a row: two seconds doubled each time up to five minutes,
/// of which jitter takes up to half away; never less than the other side asked for, up to an hour.
#[must_use]
pub fn retry_wait(failures: u32, asked_for: Option<Duration>, jitter: Jitter) -> Duration {
    at_least(asked_for, doubled(FIRST_RETRY, failures, LONGEST_RETRY).mul_f64(jitter.between(0.5, 1.0)), jitter)
}

/// The same for a refresh, of which a fleet makes many: with tokens of an hour, from half a minute up to 24, of which
/// jitter takes up to two fifths away.
#[must_use]
pub(crate) fn refresh_retry_wait(
    failures: u32,
    life: Option<Duration>,
    asked_for: Option<Duration>,
    jitter: Jitter,
) -> Duration {
    let life = life.unwrap_or(ASSUMED_LIFE);
    let share = |(share, most): (f64, Duration), least: Duration| life.mul_f64(share).clamp(least, most);
    let first = share(FIRST_REFRESH_RETRY, FIRST_RETRY);
    let longest = share(LONGEST_REFRESH_RETRY, LONGEST_RETRY);
    at_least(asked_for, doubled(first, failures, longest).mul_f64(jitter.between(0.6, 1.0)), jitter)
}

/// `first`, doubled with each failure beyond one, up to `longest`.
fn doubled(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// The wait that the other side asked for, if it is longer than our `own`. It is a least wait: chance only ever adds to it.
fn at_least(asked_for: Option<Duration>, own: Duration, jitter: Jitter) -> Duration {
    let asked_for = asked_for.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    own.max(asked_for.mul_f64(jitter.between(1.0, 1.25)))
}

/// Returns the wait after a fault of the set-up, which a person may also fix at the provider.
#[must_use]
pub(crate) fn reconfigure_wait(jitter: Jitter) -> Duration {
    RECONFIGURE_RETRY.mul_f64(jitter.between(0.9, 1.1))
}

/// Returns the wait before the next attempt to reach the broker, which is near and may be restarted at any time: half a
/// second doubled each time up to fifteen seconds, of which jitter takes up to half away.
#[must_use]
pub(crate) fn reconnect_wait(failures: u32, jitter: Jitter) -> Duration {
    doubled(FIRST_RECONNECT, failures, LONGEST_RECONNECT).mul_f64(jitter.between(0.5, 1.0))
}

/// The least time in which a user can find and use a code. One that ends sooner is not replaced at once: a provider that gives
/// such codes would be asked without a pause.
pub(crate) const LEAST_CODE_LIFE: Duration = Duration::from_secs(30);

/// Returns the wait before the next poll, after `failures` polls in a row that brought no answer (RFC 8628 3.5): at
/// least the interval, always.
#[must_use]
pub(crate) fn poll_wait(interval: Duration, failures: u32, asked_for: Option<Duration>, jitter: Jitter) -> Duration {
    if failures == 0 {
        return interval;
    }
    interval.max(retry_wait(failures, asked_for, jitter))
}

/// The interval after a `slow_down`: five seconds more, or the one that the provider names if that is longer.
#[must_use]
pub(crate) fn slowed(interval: Duration, named: Option<Duration>) -> Duration {
    interval.saturating_add(SLOW_DOWN).max(named.unwrap_or_default()).min(LONGEST_POLL_INTERVAL)
}

/// The interval to poll at, from what the provider named: a second at least. However long it is, the code expires in its time.
#[must_use]
pub(crate) fn poll_interval(named: Option<Duration>) -> Duration {
    named.unwrap_or(DEFAULT_POLL_INTERVAL).clamp(Duration::from_secs(1), LONGEST_POLL_INTERVAL)
}

#[cfg(test)]
mod tests;
