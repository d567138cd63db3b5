//! The `[mqtt]` section.

use std::borrow::Cow;
use std::path::PathBuf;

use url::Url;

use super::files::Files;
use super::table::{Entry, Table};
use crate::domain::loopback::is_loopback;
use crate::domain::settings::{BrokerAddress, BrokerLogin, MqttSettings, TlsIdentity, TlsSettings};
use crate::domain::text;

/// The longest path that a socket of this device can have, in bytes (`sun_path` without its end).
const LONGEST_SOCKET_PATH: usize = 107;

/// The keys that go only with `mqtts://`.
const TLS_KEYS: [&str; 3] = ["ca_file", "cert_file", "key_file"];

/// A broker's address before TLS comes into it.
enum Address {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

/// Reads the section; nothing of it need be there.
pub(super) fn read(mut table: Table<'_>, files: &Files) -> Option<MqttSettings> {
    let url = table.text("url");
    let allow_plaintext = table.flag("allow_plaintext");
    let address = match &url {
        Some(url) => address(url, allow_plaintext),
        None => Some(Address::Tcp { host: "127.0.0.1".to_owned(), port: 1883 }),
    };
    let tls = tls(&mut table, files);
    if matches!(address, Some(Address::Tcp { .. } | Address::Unix(_))) {
        for place in TLS_KEYS.iter().filter_map(|key| table.place_of(key)) {
            place.error("this goes only with an mqtts:// address", "write url = \"mqtts://…\", or take this out");
        }
    }
    let login = login(&mut table, files);
    let broker_user = table.text("broker_user").and_then(|user| broker_user(&user));
    let base_topic = table.text("base_topic").map_or(Some("oauth2mqtt"), |topic| base_topic(&topic));
    let local_tokens = table.flag("local_tokens");
    if let Some(place) = table.place_of("local_tokens").filter(|_| local_tokens) {
        let is_here = match &address {
            Some(Address::Tcp { host, .. } | Address::Tls { host, .. }) => is_loopback(host),
            Some(Address::Unix(_)) | None => true,
        };
        if !is_here {
            place.error(
                "tokens cannot stay on this device at a broker that is elsewhere",
                "name a broker of this device: url = \"mqtt://127.0.0.1\" or mqtt+unix:///…, or take this out",
            );
        }
    }
    let client_id = table.text("client_id").map_or(Some("oauth2mqtt"), |id| client_id(&id));
    table.refuse(
        "password",
        "a password must not stand in this file",
        "put it in a file of its own, and name that file with password_file",
    );
    table.finish();
    Some(MqttSettings {
        address: match address? {
            Address::Tcp { host, port } => BrokerAddress::Tcp { host, port },
            Address::Tls { host, port } => BrokerAddress::Tls { host, port, tls },
            Address::Unix(path) => BrokerAddress::Unix(path),
        },
        login,
        broker_user,
        base_topic: base_topic?.to_owned(),
        local_tokens,
        client_id: client_id?.to_owned(),
    })
}

fn address(url: &Entry<'_, &str>, allow_plaintext: bool) -> Option<Address> {
    match check_address(url.value, allow_plaintext) {
        Ok(address) => Some(address),
        Err((message, help)) => {
            url.place.error(message, help);
            None
        }
    }
}

/// The address is never repeated in a complaint: a password may stand in it.
fn check_address(value: &str, allow_plaintext: bool) -> Result<Address, (String, &'static str)> {
    const FORMS: &str = "write mqtt://HOST, mqtts://HOST (a port may follow: HOST:PORT) or mqtt+unix:///PATH";
    let wrong = |message: &str, help| Err((message.to_owned(), help));

    if !text::is_printable(value) {
        return wrong("an unprintable character is in this address", FORMS);
    }
    let (value, zone) = without_zone(value);
    let value = value.as_ref();
    let url = Url::parse(value).map_err(|reason| (format!("this is not an address: {reason}"), FORMS))?;
    if !matches!(url.scheme(), "mqtt" | "mqtts" | "mqtt+unix") {
        return wrong("this is not the address of an MQTT broker", FORMS);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "a user name or password is in this address",
            "take out what stands before the @, and write username and password_file instead",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("this address has a query or a fragment", "take out the ? or # and what follows it");
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if url.scheme() == "mqtt+unix" {
        // As it was written: the parser would write a space as %20.
        let path = value.get("mqtt+unix://".len()..).unwrap_or_default();
        if !host.is_empty() || !path.starts_with('/') || path.ends_with('/') {
            return wrong("this does not lead to a socket", "write mqtt+unix:// and the whole path, from its first /");
        }
        if path.len() > LONGEST_SOCKET_PATH {
            return wrong(
                "no socket can have a path of more than 107 bytes",
                "give the broker a socket with a shorter path",
            );
        }
        return Ok(Address::Unix(path.into()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) || url.port() == Some(0) {
        return wrong("this address has no usable host and port", FORMS);
    }
    if !matches!(url.path(), "" | "/") {
        return wrong("this address has a path", "take it out; topics start with base_topic");
    }
    let host = zone.map_or_else(|| host.to_owned(), |zone| format!("{host}%{zone}"));
    if url.scheme() == "mqtts" {
        return Ok(Address::Tls { host, port: url.port().unwrap_or(8883) });
    }
    if !allow_plaintext && !is_loopback(&host) {
        return wrong(
            "plain mqtt:// would send tokens readable through the network",
            "write mqtts://, or allow_plaintext = true in [mqtt] if everybody on that network may read them",
        );
    }
    Ok(Address::Tcp { host, port: url.port().unwrap_or(1883) })
}

/// Takes the zone out of a link-local address such as `mqtt://[fe80::1%25eth0]` (RFC 6874), which addresses as they are parsed
/// do not have. The per cent sign may stand alone, as other programs show it.
fn without_zone(value: &str) -> (Cow<'_, str>, Option<&str>) {
    let parts = value.split_once('%').and_then(|(before, rest)| Some((before, rest.split_once(']')?)));
    let Some((before, (zone, after))) = parts.filter(|(before, _)| before.to_ascii_lowercase().contains("//[fe80:"))
    else {
        return (value.into(), None);
    };
    let zone = zone.strip_prefix("25").unwrap_or(zone);
    let is_interface = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if zone.is_empty() || !zone.chars().all(is_interface) {
        return (value.into(), None);
    }
    (format!("{before}]{after}").into(), Some(zone))
}

fn tls(table: &mut Table<'_>, files: &Files) -> TlsSettings {
    let ca_file = table.text("ca_file").and_then(|entry| files.public(&entry));
    let cert = table.text("cert_file");
    let key = table.text("key_file");
    if let (Some(alone), None) | (None, Some(alone)) = (&cert, &key) {
        alone.place.error("a client certificate needs both files", "name both cert_file and key_file, or neither");
    }
    let cert_file = cert.and_then(|entry| files.public(&entry));
    let key_file = key.and_then(|entry| files.private(&entry));
    TlsSettings {
        ca_file,
        identity: cert_file.zip(key_file).map(|(cert_file, key_file)| TlsIdentity { cert_file, key_file }),
    }
}

fn login(table: &mut Table<'_>, files: &Files) -> Option<BrokerLogin> {
    let username = table.text("username");
    let password = table.text("password_file");
    if let (None, Some(alone)) = (&username, &password) {
        alone.place.error("a password needs a user name", "write username = \"…\" beside it");
    }
    let password = password.and_then(|file| files.secret(&file));
    let username = username?;
    if username.value.is_empty() || !text::is_printable(username.value) {
        username.place.error("this is no user name", "write the name that the broker knows the agent by");
    }
    Some(BrokerLogin { username: username.value.to_owned(), password })
}

fn broker_user(user: &Entry<'_, &str>) -> Option<String> {
    let usable = !user.value.is_empty() && !user.value.contains(':') && text::is_printable(user.value);
    if !usable {
        user.place
            .error("this is no user of a device", "write the user that the broker runs as, such as \"mosquitto\"");
    }
    usable.then(|| user.value.to_owned())
}

fn base_topic<'a>(topic: &Entry<'a, &'a str>) -> Option<&'a str> {
    let help = "write a name such as \"oauth2mqtt\" or \"site/oauth2mqtt\"";
    let value = topic.value;
    let fault = if value.contains(['+', '#']) {
        "wildcards (+ and #) are for subscriptions"
    } else if !text::is_printable(value) {
        "an unprintable character is in this topic"
    } else if value.split('/').any(str::is_empty) {
        "an empty level is in this topic: no slash stands first, last or twice"
    } else if value.starts_with('$') {
        "topics that start with $ belong to the broker"
    } else if value.len() > 200 {
        "this topic is longer than 200 bytes"
    } else {
        return Some(value);
    };
    topic.place.error(fault, help);
    None
}

fn client_id<'a>(id: &Entry<'a, &'a str>) -> Option<&'a str> {
    let usable = !id.value.is_empty() && id.value.len() <= 64 && text::is_printable(id.value);
    if !usable {
        id.place.error("a client id has 1 to 64 printable bytes", "write a name such as \"oauth2mqtt-2\"");
    }
    usable.then_some(id.value)
}
