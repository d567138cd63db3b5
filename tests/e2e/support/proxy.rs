//! nginx or Caddy in front of Node-RED, with the configuration of `examples/gate` as it is shipped: only ports, the name and the
//! files are replaced.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::certificates::make_certificate;
use super::clock::{SOON, wait_for};
use super::https::Https;
use super::process::Process;
use super::world::free_port;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Nginx,
    Caddy,
}

/// A running proxy at `https://NAME:PORT`.
pub(crate) struct Proxy {
    process: Process,
    pub(crate) port: u16,
    pub(crate) client: Https,
    folder: TempDir,
}

impl Proxy {
    /// Starts it in front of a gate and a Node-RED at these ports.
    #[track_caller]
    pub(crate) fn start(program: Program, name: &str, gate: u16, node_red: u16) -> Self {
        // Between finding a port free and taking it, somebody else may take it.
        let mut attempts = (0..3).filter_map(|_| Self::start_at(free_port(), program, name, gate, node_red));
        attempts.next().unwrap_or_else(|| panic!("{program:?} does not start on any port"))
    }

    /// The same, if the port is to be had.
    #[track_caller]
    fn start_at(port: u16, program: Program, name: &str, gate: u16, node_red: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        make_certificate(folder.path(), &[name]);
        let mut command = match program {
            Program::Nginx => nginx(folder.path(), name, port, gate, node_red),
            Program::Caddy => caddy(folder.path(), name, port, gate, node_red),
        };
        let mut process = Process::start(&format!("{program:?}"), &mut command);
        let is_up = wait_for("the proxy", SOON, || {
            let is_taken = process.stderr().to_lowercase().contains("address already in use");
            (is_taken || !process.is_running() || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(!is_taken)
        });
        assert!(!is_up || process.is_running(), "{program:?} does not start: {}", process.stderr());
        let client = Https::new(port, &folder.path().join("ca.pem"));
        is_up.then_some(Self { process, port, client, folder })
    }

    /// The certificate of the authority that vouches for it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("hosts.pem")
    }

    /// The socket that stands for port 80, of nginx.
    pub(crate) fn plain(&self) -> PathBuf {
        self.folder.path().join("plain.sock")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }
}

/// A shipped file with other words in place of some of its own, each of which must be there.
#[track_caller]
fn shipped(file: &str, replacements: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gate").join(file);
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{file} has no {from:?}");
        text = text.replace(from, to);
    }
    text
}

#[track_caller]
fn nginx(folder: &Path, name: &str, port: u16, gate: u16, node_red: u16) -> Command {
    let place = folder.display();
    let site = shipped(
        "nginx.conf",
        &[
            ("    listen [::]:80;\n", ""),
            ("    listen [::]:443 ssl http2;\n", ""),
            ("listen 80;", &format!("listen unix:{place}/plain.sock;")),
            ("listen 443 ssl http2;", &format!("listen 127.0.0.1:{port} ssl http2;")),
            ("panel.example.com", name),
            ("127.0.0.1:8630", &format!("127.0.0.1:{gate}")),
            ("127.0.0.1:1880", &format!("127.0.0.1:{node_red}")),
            ("/etc/ssl/panel/fullchain.pem", &format!("{place}/hosts.pem")),
            ("/etc/ssl/panel/privkey.pem", &format!("{place}/hosts.key")),
        ],
    );
    let file = folder.join("nginx.conf");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {place}/{name};\n"))
        .concat();
    // One process, which is ended by its id.
    let around = format!(
        "daemon off;\nmaster_process off;\npid {place}/nginx.pid;\nerror_log stderr info;\nevents {{}}\nhttp {{\n    \
         access_log off;\n{temporary}{site}}}\n"
    );
    fs::write(&file, around).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(file);
    command
}

#[track_caller]
fn caddy(folder: &Path, name: &str, port: u16, gate: u16, node_red: u16) -> Command {
    let place = folder.display();
    let site = shipped(
        "Caddyfile",
        &[
            ("panel.example.com {", &format!("https://{name}:{port} {{\n\tbind 127.0.0.1")),
            ("127.0.0.1:8630", &format!("127.0.0.1:{gate}")),
            ("127.0.0.1:1880", &format!("127.0.0.1:{node_red}")),
            ("/etc/ssl/panel/fullchain.pem", &format!("{place}/hosts.pem")),
            ("/etc/ssl/panel/privkey.pem", &format!("{place}/hosts.key")),
        ],
    );
    let file = folder.join("Caddyfile");
    fs::write(&file, format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}
