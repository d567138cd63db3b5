//! Messages to the service manager (`sd_notify`(3)): the agent is ready, its status, and that it is alive.
//!
//! The crate `sd-notify` opens a socket for each message, waits where the manager's queue is full, and reads the environment each
//! time. Here the loop never waits, and a status that has not changed is not sent again.

use std::env;
use std::ffi::OsStr;
use std::future::pending;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::domain::clock::BootTime;

/// The line to the service manager. Where there is none, everything that is said goes nowhere.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    notify: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Interval>,
    status: String,
}

impl ServiceManager {
    /// Reads the variables of this process; to be called where timers run.
    #[must_use]
    pub(crate) fn from_process() -> Self {
        let for_this_process = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC").ok().filter(|_| for_this_process);
        Self::from_variables(env::var_os("NOTIFY_SOCKET").as_deref(), watchdog.as_deref())
    }

    fn from_variables(socket: Option<&OsStr>, watchdog: Option<&str>) -> Self {
        let notify = socket.and_then(address).and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // The loop must not wait for a service manager that is busy.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        let watchdog = watchdog.and_then(|text| text.parse().ok()).filter(|&microseconds| microseconds > 1);
        let watchdog = watchdog.map(|microseconds| {
            // Half of the time, as sd_watchdog_enabled(3) advises.
            let mut interval = interval(Duration::from_micros(microseconds) / 2);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { notify, watchdog, status: String::new() }
    }

    /// The store is open and the configuration is good; after a reload as well.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again; to be followed by [`Self::ready`].
    pub(crate) fn reloading(&self, now: BootTime) {
        // Monotonic time is asked for, so that a late word is told from the one awaited: boot time is never behind it.
        let microseconds = now.since_boot().as_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The agent ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    /// Returns whether there is a service manager.
    #[must_use]
    pub(crate) fn is_there(&self) -> bool {
        self.notify.is_some()
    }

    /// One line for people, in `systemctl status`. It is sent when it differs from the last one.
    pub(crate) fn status(&mut self, status: &str) {
        // After a line break something else than a status would be said.
        let status = status.replace(char::is_control, " ");
        if self.status != status {
            self.tell(&format!("STATUS={status}"));
            self.status = status;
        }
    }

    /// Says that the loop which awaits this is alive, each time when that is due. Never returns without a watchdog.
    pub(crate) async fn watchdog(&mut self) {
        match &mut self.watchdog {
            Some(interval) => interval.tick().await,
            None => pending().await,
        };
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, text: &str) {
        if let Some((socket, address)) = &self.notify {
            // A service manager that does not listen changes nothing for the agent.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

/// A path, or a name in the abstract namespace, which is written with an `@` in front.
fn address(socket: &OsStr) -> Option<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        [b'/', ..] => SocketAddr::from_pathname(socket).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_service_manager_hears_everything_in_order_and_each_status_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut manager = ServiceManager::from_variables(Some(path.as_os_str()), Some("20000"));
        manager.ready();
        manager.status("one");
        manager.status("one");
        manager.status("two\nREADY=1");
        manager.reloading(BootTime::new(Duration::from_millis(1_500)));
        manager.watchdog().await;
        manager.stopping();
        let told = [(); 6].map(|()| received(&socket));
        assert_eq!(
            told,
            [
                "READY=1",
                "STATUS=one",
                "STATUS=two READY=1",
                "RELOADING=1\nMONOTONIC_USEC=1500000",
                "WATCHDOG=1",
                "STOPPING=1\nSTATUS=stopping"
            ]
        );
    }

    #[tokio::test]
    async fn a_name_in_the_abstract_namespace_is_one_too() {
        let name = format!("oauth2mqtt-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        ServiceManager::from_variables(Some(OsStr::new(&format!("@{name}"))), None).ready();
        assert_eq!(received(&socket), "READY=1");
    }

    #[tokio::test]
    async fn without_a_service_manager_nothing_happens() {
        for socket in [None, Some(OsStr::new("")), Some(OsStr::new("vsock:2:1")), Some(OsStr::new("/nowhere/notify"))] {
            let mut manager = ServiceManager::from_variables(socket, Some("no number"));
            manager.ready();
            manager.status("one");
            assert!(manager.watchdog.is_none());
        }
    }
}
