//! The sessions and sign-ins of the gate, shared by the agent's loop and those who ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::gate::sessions::GateSessions;
use crate::domain::gate::settings::GateSettings;
use crate::domain::gate::sign_ins::WaitingSignIns;

/// The gate as it is now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedGate(Arc<Mutex<GateState>>);

/// See [`SharedGate`].
#[derive(Debug, Default)]
pub(crate) struct GateState {
    /// The settings; `None` where there is no gate, and nobody comes in.
    pub(crate) settings: Option<Arc<GateSettings>>,
    /// The people who are signed in.
    pub(crate) sessions: GateSessions,
    /// Those who are signing in.
    pub(crate) sign_ins: WaitingSignIns,
}

impl SharedGate {
    /// The state, for as long as it is held: never while anything is waited for.
    pub(crate) fn lock(&self) -> MutexGuard<'_, GateState> {
        // Nothing panics while it is held; and what is in it stays usable whatever happened.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
