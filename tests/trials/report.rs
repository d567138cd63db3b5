//! The table that `tests/faults` prints, and how much is tried.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

/// One number for the short form, one for the long.
pub(crate) fn scaled<T>(short: T, long: T) -> T {
    if std::env::var("OAUTH2MQTT_FAULTS").is_ok_and(|form| form == "long") { long } else { short }
}

/// What chance starts from: `OAUTH2MQTT_SEED`, to have a failure again.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("OAUTH2MQTT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    seed
}

/// One line of the table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) fault: String,
    pub(crate) tried: usize,
    /// Sign-ins and rotations that had been acknowledged and were gone.
    pub(crate) lost: usize,
    /// How often the user had to sign in again.
    pub(crate) asked: usize,
    /// The longest time from the end of the fault to a good token.
    pub(crate) recovery: Option<Duration>,
    /// What else was measured.
    pub(crate) remark: String,
}

impl Row {
    pub(crate) fn new(fault: impl Into<String>, tried: usize) -> Self {
        Self { fault: fault.into(), tried, ..Self::default() }
    }

    pub(crate) fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    pub(crate) fn recovered_in(mut self, recovery: Duration) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Adds it to the file that `OAUTH2MQTT_FAULTS_TABLE` names, and to what the test writes.
    pub(crate) fn write(&self) {
        let Self { fault, tried, lost, asked, remark, .. } = self;
        let recovery = self.recovery.map_or_else(|| "-".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        let line = format!("| {fault} | {tried} | {lost} | {asked} | {recovery} | {remark} |");
        eprintln!("{line}");
        if let Some(path) = std::env::var_os("OAUTH2MQTT_FAULTS_TABLE") {
            // One write, so that tests that run side by side do not mix their lines.
            let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }
}
