use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::{ConfigError, Configuration, Environment, load};
use crate::domain::settings::{BrokerAddress, KeySource, TlsIdentity};

/// A folder with a configuration, and one with credentials beside it.
struct Device {
    folder: TempDir,
}

impl Device {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("credentials")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.with_mode(name, content, 0o640)
    }

    fn with_mode(self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn load(&self, text: &str) -> Result<Configuration, ConfigError> {
        fs::write(self.path("config.toml"), text).unwrap();
        let environment =
            Environment { credentials_directory: Some(self.path("credentials")), ..Environment::default() };
        load(&self.path("config.toml"), &environment)
    }

    /// What is wrong, with the folder written as `DIR`.
    fn errors(&self, text: &str) -> String {
        self.load(text).unwrap_err().to_string().replace(self.folder.path().to_str().unwrap(), "DIR")
    }

    fn secret(&self, file: &str) -> String {
        let loaded = self.load(&google(file)).unwrap();
        assert_eq!(loaded.warnings, []);
        loaded.settings.accounts.into_values().next().unwrap().client.secrets[0].expose().to_owned()
    }
}

fn google(secret_file: &str) -> String {
    format!("[accounts.g]\nprovider = \"google\"\nclient_id = \"x\"\nclient_secret_file = \"{secret_file}\"\n")
}

#[test]
fn a_secret_is_read_from_beside_the_file_without_the_newline_after_it() {
    let device = Device::new().with("google.secret", "hunter2\n\n");
    assert_eq!(device.secret("google.secret"), "hunter2");
    assert_eq!(device.secret(device.path("google.secret").to_str().unwrap()), "hunter2");
}

#[test]
fn of_a_secret_that_an_editor_has_dressed_up_what_was_meant_is_taken_and_said() {
    for (content, told) in [
        ("\u{feff}hunter2\n", "a byte order mark is left out"),
        ("\u{feff} hunter2 \r\n", "a byte order mark and blanks are left out"),
        ("hunter2\r\n", "blanks or carriage returns around it are left out"),
        ("\t hunter2 \n", "blanks or carriage returns around it are left out"),
    ] {
        let device = Device::new().with("google.secret", content);
        let loaded = device.load(&google("google.secret")).unwrap();
        let [warning] = loaded.warnings.try_into().unwrap();
        assert!(warning.message.ends_with(told) && !warning.message.contains("hunter2"), "{warning:?}");
        assert_eq!((warning.line, warning.key.as_str()), (Some(4), "accounts.g.client_secret_file"));
        let account = loaded.settings.accounts.into_values().next().unwrap();
        assert_eq!(account.client.secrets[0].expose(), "hunter2");
    }
}

#[test]
fn what_every_user_can_change_is_said_once() {
    let warnings = |device: &Device| -> Vec<String> {
        let loaded = device.load(&google("google.secret")).unwrap();
        let folder = device.folder.path().to_str().unwrap();
        loaded.warnings.iter().map(|warning| warning.message.replace(folder, "DIR")).collect()
    };
    let device = Device::new().with("google.secret", "s").with("config.toml", "");
    assert_eq!(warnings(&device), [] as [&str; 0]);
    let device = Device::new().with_mode("google.secret", "s", 0o642).with_mode("config.toml", "", 0o646);
    let changeable = "every user of this device can change";
    assert_eq!(warnings(&device), [format!("{changeable} DIR/config.toml"), format!("{changeable} DIR/google.secret")]);
    let device = Device::new().with("google.secret", "s").with("config.toml", "");
    fs::set_permissions(device.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(warnings(&device), [format!("{changeable} DIR")]);
    // As /tmp is: only its owner can put another file in the place of one.
    fs::set_permissions(device.folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(warnings(&device), [] as [&str; 0]);
}

#[test]
fn a_credential_of_that_name_goes_first() {
    let device = Device::new().with("google.secret", "from the folder");
    let device = device.with_mode("credentials/google.secret", "from systemd", 0o644);
    assert_eq!(device.secret("google.secret"), "from systemd");
    assert_eq!(device.secret("./google.secret"), "from the folder");
    assert_eq!(device.secret("credentials/../google.secret"), "from the folder");
}

#[test]
fn a_missing_secret_is_named_with_every_place_it_was_looked_for() {
    assert_eq!(
        Device::new().errors(&google("google.secret")),
        "DIR/config.toml:4: accounts.g.client_secret_file: \
         there is no such file: DIR/credentials/google.secret, nor DIR/google.secret\n  \
         help: make the file, or name the right one"
    );
}

#[test]
fn a_secret_in_place_of_its_file_is_not_repeated() {
    let errors = Device::new().errors(&google("GOCSPX-1234567890abcdefghij"));
    assert_eq!(
        errors,
        "DIR/config.toml:4: accounts.g.client_secret_file: no file of this name is in DIR\n  \
         help: name a file here; if this is the secret itself, move it into a file"
    );
    // A slash may be part of Base64.
    assert!(!Device::new().errors(&google("hunter2/AbCdEf01+2345==")).contains("hunter2"));
    let endless = "A1".repeat(3000);
    assert!(!Device::new().errors(&google(&endless)).contains("A1"));
}

#[test]
fn what_is_no_secret_is_refused_and_not_repeated() {
    let device = Device::new()
        .with("empty", " \n")
        .with("large", "hunter2".repeat(10_000))
        .with("binary", b"hunter2\xff")
        .with("lines", "client\nhunter2\n");
    fs::create_dir(device.path("folder")).unwrap();
    for (name, reason) in [
        ("empty", "DIR/empty: it is empty"),
        ("large", "DIR/large: it is larger than 64 KiB"),
        ("binary", "DIR/binary: it is not UTF-8 text"),
        ("lines", "DIR/lines: it holds more than one line, or control characters"),
        ("folder", "DIR/folder cannot be read: it is not an ordinary file"),
        ("", "this is no name of a file"),
        ("a\\u0000b", "this is no name of a file"),
    ] {
        let errors = device.errors(&google(name));
        let expected = format!("DIR/config.toml:4: accounts.g.client_secret_file: {reason}\n");
        assert!(errors.starts_with(&expected) && !errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_secret_that_everybody_can_read_is_a_warning() {
    let device = Device::new().with_mode("google.secret", "hunter2", 0o644);
    // In a folder that others cannot enter, they cannot read it either.
    fs::set_permissions(device.folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
    assert!(device.load(&google("google.secret")).unwrap().warnings.is_empty());
    fs::set_permissions(device.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let [warning] = device.load(&google("google.secret")).unwrap().warnings.try_into().unwrap();
    let shown = warning.in_file(Path::new("config.toml")).to_string();
    assert_eq!(
        shown.replace(device.folder.path().to_str().unwrap(), "DIR"),
        "config.toml:4: accounts.g.client_secret_file: every user of this device can read DIR/google.secret\n  \
         help: chmod 640 DIR/google.secret"
    );
}

#[test]
fn the_password_of_the_broker_is_read() {
    let device = Device::new().with("broker.password", "hunter2\n");
    let loaded = device.load("[mqtt]\nusername = \"me\"\npassword_file = \"broker.password\"\n").unwrap();
    let login = loaded.settings.mqtt.login.unwrap();
    assert_eq!((login.username.as_str(), login.password.unwrap().expose()), ("me", "hunter2"));
}

#[test]
fn files_for_tls_are_looked_for_in_the_same_places_and_must_be_there() {
    let device = Device::new().with_mode("ca.pem", "", 0o644).with_mode("cert.pem", "", 0o644);
    let device = device.with("credentials/key.pem", "");
    let text = "[mqtt]\nurl = \"mqtts://b\"\nca_file = \"ca.pem\"\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
    let loaded = device.load(text).unwrap();
    assert_eq!(loaded.warnings, []);
    let BrokerAddress::Tls { tls, .. } = loaded.settings.mqtt.address else { panic!("no TLS") };
    assert_eq!(tls.ca_file, Some(device.path("ca.pem")));
    let identity = TlsIdentity { cert_file: device.path("cert.pem"), key_file: device.path("credentials/key.pem") };
    assert_eq!(tls.identity, Some(identity));

    let account = "[accounts.a]\nissuer = \"https://a\"\nclient_id = \"x\"\nca_file = \"none.pem\"\n";
    let errors = device.errors(account);
    let expected = "DIR/config.toml:4: accounts.a.ca_file: there is no such file: DIR/credentials/none.pem";
    assert!(errors.starts_with(expected), "{errors}");
}

#[test]
fn the_key_of_the_store_is_a_credential_or_a_named_file() {
    let device = Device::new().with("my.key", "").with("open.key", "");
    let named = device.load("[store]\nkey_file = \"my.key\"\n").unwrap();
    assert_eq!(named.settings.store.key, KeySource::Provided(device.path("my.key")));
    assert!(device.errors("[store]\nkey_file = \"no.key\"\n").contains("store.key_file: there is no such file: DIR/"));

    let device = device.with("credentials/store.key", "");
    let passed = device.load("").unwrap();
    assert_eq!(passed.settings.store.key, KeySource::Provided(device.path("credentials/store.key")));
}
