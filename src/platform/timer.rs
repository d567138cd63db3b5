//! Timers that wake the agent at a moment of boot time, and when the device's clock is set.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::domain::clock::BootTime;

/// A timer that goes on during suspend, which those of the async runtime do not.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
    set_for: Option<BootTime>,
}

impl Alarm {
    /// A timer that is not set.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { timer: timer(TimerfdClockId::Boottime)?, set_for: None })
    }

    /// Sets it for `at`, which may be in the past, or for never.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn set(&mut self, at: Option<BootTime>) -> io::Result<()> {
        if at == self.set_for {
            return Ok(());
        }
        let since_boot = at.map(BootTime::since_boot);
        let value = since_boot.map_or(NEVER, |since_boot| Timespec {
            tv_sec: i64::try_from(since_boot.as_secs()).unwrap_or(i64::MAX),
            // All zero would mean never.
            tv_nsec: i64::from(since_boot.subsec_nanos().max(1)),
        });
        arm(&self.timer, TimerfdTimerFlags::ABSTIME, value)?;
        self.set_for = at;
        Ok(())
    }

    /// Waits until the moment it is set for.
    ///
    /// # Errors
    /// When the timer cannot be read.
    pub(crate) async fn rings(&mut self) -> io::Result<()> {
        expired(&self.timer).await?;
        self.set_for = None;
        Ok(())
    }
}

/// Notices when the device's clock is set, by a person or by the network.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    timer: AsyncFd<OwnedFd>,
}

impl ClockWatch {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub(crate) fn new() -> io::Result<Self> {
        let watch = Self { timer: timer(TimerfdClockId::Realtime)? };
        watch.watch()?;
        Ok(watch)
    }

    /// Waits until the clock is set.
    ///
    /// # Errors
    /// When the timer cannot be read.
    pub(crate) async fn clock_is_set(&self) -> io::Result<()> {
        expired(&self.timer).await?;
        self.watch()
    }

    /// A timer for a moment that never comes is cancelled by the kernel when the clock is set.
    fn watch(&self) -> io::Result<()> {
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        // The kernel counts in nanoseconds of 63 bits; this is the year 2200.
        arm(&self.timer, flags, Timespec { tv_sec: 7_258_118_400, tv_nsec: 0 })
    }
}

const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that may change the descriptor they own; this one cannot"
)]
fn timer(clock: TimerfdClockId) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(timerfd_create(clock, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

fn arm(timer: &AsyncFd<OwnedFd>, flags: TimerfdTimerFlags, value: Timespec) -> io::Result<()> {
    match timerfd_settime(timer, flags, &Itimerspec { it_interval: NEVER, it_value: value }) {
        // The clock was set since the last look; the timer is armed all the same.
        Ok(_) | Err(Errno::CANCELED) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the timer has run out or was cancelled.
async fn expired(timer: &AsyncFd<OwnedFd>) -> io::Result<()> {
    loop {
        let mut ready = timer.readable().await?;
        match read(timer, &mut [0_u8; 8]) {
            Ok(_) | Err(Errno::CANCELED) => return Ok(()),
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::platform::clock;

    #[tokio::test]
    async fn it_rings_at_its_moment_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        let at = clock::now().boot + Duration::from_millis(20);
        alarm.set(Some(at)).unwrap();
        alarm.rings().await.unwrap();
        assert!(clock::now().boot >= at);
    }

    #[tokio::test]
    async fn a_moment_in_the_past_rings_at_once() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(Some(BootTime::new(Duration::ZERO))).unwrap();
        alarm.rings().await.unwrap();
    }

    #[tokio::test]
    async fn unset_it_does_not_ring() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(Some(clock::now().boot + Duration::from_millis(5))).unwrap();
        alarm.set(None).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(30), alarm.rings()).await.is_err());
    }

    #[test]
    fn the_watch_can_be_set_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { assert!(ClockWatch::new().is_ok()) });
    }
}
