//! Authorities, and the certificates that they give out.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::run_tool;

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// An authority with its files in a folder: `ca.pem`, and what it has certified.
pub(crate) struct Authority<'a>(&'a Path);

impl<'a> Authority<'a> {
    /// Makes one that is valid whenever a certificate by it is.
    #[track_caller]
    pub(crate) fn make(folder: &'a Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let authority = Self(folder);
        let arguments = format!("req -x509 {NEW_KEY} -keyout ca.key -out ca.pem -subj /CN=authority -days 20000");
        authority.openssl(Some("2010-01-01"), &arguments);
        authority
    }

    /// The folder with its files.
    #[allow(dead_code, reason = "the trials use it")]
    pub(crate) fn folder(&self) -> &'a Path {
        self.0
    }

    /// Makes a key (`NAME.key`) and a certificate for it (`NAME.pem`) with this extension, valid for a month from that date on, or
    /// from today.
    #[track_caller]
    pub(crate) fn certify(&self, name: &str, extension: &str, date: Option<&str>) {
        fs::write(self.0.join(format!("{name}.ext")), format!("{extension}\n")).unwrap();
        self.openssl(None, &format!("req -new {NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        let files = format!("-in {name}.csr -extfile {name}.ext -out {name}.pem -CA ca.pem -CAkey ca.key");
        // Not from a file, which those that are made at the same time would share.
        let serial = fastrand::u32(1..);
        self.openssl(date, &format!("x509 -req {files} -set_serial {serial} -days 30"));
    }

    #[track_caller]
    fn openssl(&self, date: Option<&str>, arguments: &str) {
        let faketime = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faketime");
        let mut command = Command::new(if date.is_some() { faketime } else { "openssl" });
        if let Some(date) = date {
            command.arg("openssl").env("FAKETIME", format!("@{date} 00:00:00"));
        }
        run_tool(command.current_dir(self.0).args(arguments.split_whitespace()));
    }
}

/// Makes an authority (`ca.pem`) and a certificate of its for these hosts (`hosts.key`, `hosts.pem`).
#[track_caller]
pub(crate) fn make_certificate(folder: &Path, hosts: &[&str]) {
    let names: Vec<_> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
    Authority::make(folder).certify("hosts", &format!("subjectAltName = {}", names.join(",")), None);
}
