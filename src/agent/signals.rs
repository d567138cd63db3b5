//! What the service manager and the terminal say by signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::event::LoopEvent;

/// The signals, from the moment when they are caught.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one, as what it means.
    pub(super) async fn next(&mut self) -> LoopEvent {
        tokio::select! {
            _ = self.hangup.recv() => LoopEvent::Reload,
            _ = self.terminate.recv() => LoopEvent::Stop,
            _ = self.interrupt.recv() => LoopEvent::Stop,
        }
    }
}
