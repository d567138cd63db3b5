//! The parts of the program that its tests drive from outside, and the parts that only tests use.
//!
//! Nothing else of the crate is public, so that the compiler finds what nobody uses.

#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) mod harmless;
#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
pub(crate) mod keys;

pub use crate::domain::account::AccountName;
pub use crate::domain::approval::{Approval, Authorization, DeviceAuthorization};
pub use crate::domain::expiry::{Beginning, Expiry};
pub use crate::domain::fault::{Fault, FaultCode, SignInSource};
pub use crate::domain::identity::AllowList;
pub use crate::domain::record::{ClientBinding, Fingerprint, Record, SignedIn, StoredRecord};
pub use crate::domain::secret::Secret;
pub use crate::domain::session::{
    Acquisition, Action, Event, ProviderAnswer, ProviderRequest, Revision, Rules, Session, Topic,
};
pub use crate::domain::settings::StoreSettings;
pub use crate::domain::token::{Granted, SignInEnd, TokenAnswer, Tokens, User};

/// The clocks, and the moments that they tell.
pub mod clock {
    pub use crate::domain::clock::{BootTime, Confidence, Now, UnixTime};
    pub use crate::platform::clock::now;
}

/// The configuration file.
pub mod config {
    pub use crate::config::{Configuration, Environment, built_in_providers, load, parse};
}

/// Decisions about time.
pub mod policy {
    pub use crate::domain::policy::{Jitter, retry_wait};
}

/// The sealed store.
pub mod store {
    pub use crate::store::machine::Machine;
    pub use crate::store::{Opened, open_in_process as open};
}
