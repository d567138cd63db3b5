//! The written form of a lifetime.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Clock;
use crate::domain::clock::{BootTime, UnixTime};
use crate::domain::expiry::{Beginning, Expiry};

/// A lifetime is its start in Unix time and its length in seconds. Boot time means nothing after another boot; within one, it
/// is what tells the end whatever the clock does.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenExpiry {
    from: i64,
    life: u64,
    /// The time from the boot to its start, in milliseconds, as long as that is the boot of whoever writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<u64>,
}

impl From<&Expiry> for WrittenExpiry {
    fn from(expiry: &Expiry) -> Self {
        let Beginning { wall, boot } = expiry.from();
        let milliseconds = |boot: BootTime| u64::try_from(boot.since_boot().as_millis()).unwrap_or(u64::MAX);
        Self { from: wall.seconds(), life: expiry.life().as_secs(), boot: boot.map(milliseconds) }
    }
}

impl WrittenExpiry {
    pub(super) fn beginning(&self) -> Beginning {
        let boot = self.boot.map(|milliseconds| BootTime::new(Duration::from_millis(milliseconds)));
        Beginning { wall: UnixTime::new(self.from), boot }
    }

    /// The lifetime, with what is left of it now.
    pub(super) fn restored(&self, (now, confidence): Clock) -> Expiry {
        Expiry::restored(self.beginning(), self.life(), now, confidence)
    }

    pub(super) fn life(&self) -> Duration {
        Duration::from_secs(self.life)
    }
}
