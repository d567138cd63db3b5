//! Certificates that are good, and certificates that are not.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::process::run_tool;

/// An authority with its files in a folder.
pub(crate) struct Authority<'a>(&'a Path);

/// When a certificate is made, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Now,
    LongAgo,
    InTheFuture,
}

impl<'a> Authority<'a> {
    pub(crate) fn make(folder: &'a Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let authority = Self(folder);
        // Valid whenever a certificate by it is.
        authority.openssl(
            "2010-01-01",
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem \
             -subj /CN=authority -days 20000",
        );
        authority
    }

    pub(crate) fn file(&self) -> String {
        self.0.join("ca.pem").display().to_string()
    }

    /// A server with a certificate for `host`.
    pub(crate) fn server(&self, name: &str, host: &str, made: Made) -> ServerConfig {
        let date = match made {
            Made::Now => "",
            Made::LongAgo => "2015-01-01",
            Made::InTheFuture => "2060-01-01",
        };
        fs::write(self.0.join(format!("{name}.ext")), format!("subjectAltName = {host}\n")).unwrap();
        self.openssl(
            "",
            &format!(
                "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.csr \
                 -subj /CN=server"
            ),
        );
        self.openssl(
            date,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile {name}.ext \
                 -out {name}.pem -days 30"
            ),
        );
        let certificate = CertificateDer::from_pem_file(self.0.join(format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.0.join(format!("{name}.key"))).unwrap();
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap()
    }

    fn openssl(&self, date: &str, arguments: &str) {
        let mut command = if date.is_empty() { Command::new("openssl") } else { Command::new("faketime") };
        if !date.is_empty() {
            command.args([date, "openssl"]);
        }
        run_tool(command.current_dir(self.0).args(arguments.split_whitespace()));
    }
}
