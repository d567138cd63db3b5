//! Opening the store, on a disk that may fail.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::event::LoopEvent;
use super::signals::Signals;
use crate::domain::policy::{self, Jitter};
use crate::domain::settings::StoreSettings;
use crate::platform::clock;
use crate::platform::systemd::ServiceManager;
use crate::store::machine::Machine;
use crate::store::{self, OpenError, Opened};

/// The least pause between two attempts. A restart by the service manager would be sooner, and write more.
const LEAST_PAUSE: Duration = Duration::from_secs(10);

/// Opens the store. While the disk is full, read-only or failing, it is tried again with growing pauses; `None` if a
/// signal ends that.
///
/// # Errors
/// When the store cannot be opened for a reason that does not pass by itself.
pub(super) async fn open_store(
    settings: &StoreSettings,
    events: &mpsc::Sender<LoopEvent>,
    signals: &mut Signals,
    manager: &mut ServiceManager,
) -> Result<Option<Opened>, OpenError> {
    let machine = Machine::this();
    if settings.bind_to_machine && machine.as_ref().is_none_or(|machine| !machine.has_hardware()) {
        tracing::info!(
            "the store is bound to this installation, not to the device: a copy of the whole disk opens in another one; \
             see docs/credentials.md for what binds it"
        );
    }
    let mut failures = 0;
    loop {
        let now = clock::now();
        let acks = events.clone();
        let opened = store::open(settings, machine.as_ref(), (now, clock::confidence(now.wall)), move |ack| {
            // The loop is gone only when the process is about to be.
            let _ = acks.blocking_send(LoopEvent::Stored(ack));
        });
        let error = match opened {
            Err(error) if error.may_pass() => error,
            opened => {
                tell_if_forgotten(settings);
                return opened.map(Some);
            }
        };
        if failures == 0 {
            tracing::error!(%error, "the store cannot be opened; no sign-in is lost, and it is tried again until it can");
            // Whoever started the service is not kept waiting for a disk.
            manager.ready();
        }
        failures += 1;
        manager.status(&format!("waits for the store: {error}"));
        let pause = policy::retry_wait(failures, Some(LEAST_PAUSE), Jitter::new(fastrand::f64()));
        let over = sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => break,
                event = signals.next() => if matches!(event, LoopEvent::Stop) {
                    return Ok(None);
                },
                () = manager.watchdog() => {}
            }
        }
    }
}

/// Tells of a store that the next boot forgets.
fn tell_if_forgotten(settings: &StoreSettings) {
    if let Some(why) = store::forgets(&settings.path) {
        let path = settings.path.display();
        tracing::warn!(%path, %why, "every sign-in is forgotten at the next boot; name a folder on a disk: path in [store]");
    }
}
