//! The parts of the program that its tests drive from outside, and the parts that only tests use.
//!
//! Nothing else of the crate is public, so that the compiler finds what nobody uses.

#[cfg(test)]
pub(crate) mod hostile;

pub use crate::domain::account::AccountName;
pub use crate::domain::expiry::{Beginning, Expiry};
pub use crate::domain::fault::{Fault, FaultCode};
pub use crate::domain::identity::AllowList;
pub use crate::domain::presets::PRESETS;
pub use crate::domain::record::{ClientBinding, Fingerprint, Record, SignedIn};
pub use crate::domain::secret::Secret;
pub use crate::domain::session::{Action, Answer, Event, Found, Question, Revision, Rules, Session, Topic, Way};
pub use crate::domain::settings::StoreSettings;
pub use crate::domain::token::{
    Authorization, ClearTokens, DeviceAuthorization, Granted, Token, TokenAnswer, Tokens, User,
};

/// The clocks, and the moments that they tell.
pub mod clock {
    pub use crate::domain::clock::{BootTime, Confidence, Now, UnixTime};
    pub use crate::platform::clock::now;
}

/// The configuration file.
pub mod config {
    pub use crate::config::{Environment, Loaded, load, parse};
}

/// Decisions about time.
pub mod policy {
    pub use crate::domain::policy::{Chance, retry_wait};
}

/// The sealed store.
pub mod store {
    pub use crate::store::machine::Machine;
    pub use crate::store::{Opened, StoredRecord, open_in_process as open};
}
