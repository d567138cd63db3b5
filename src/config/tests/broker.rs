use super::{complaint, errors, load_text};
use crate::domain::settings::{BrokerAddress, MqttSettings};

fn mqtt(lines: &str) -> MqttSettings {
    load_text(&format!("[mqtt]\n{lines}")).unwrap().settings.mqtt
}

fn address(url: &str) -> String {
    match mqtt(&format!("url = \"{url}\"\n")).address {
        BrokerAddress::Tcp { host, port } => format!("tcp {host} {port}"),
        BrokerAddress::Tls { host, port, .. } => format!("tls {host} {port}"),
        BrokerAddress::Unix(path) => format!("unix {}", path.display()),
    }
}

/// The complaint about this address, without the key before it.
fn refused(url: &str) -> String {
    let complaint = complaint(&format!("[mqtt]\nurl = \"{url}\"\n"));
    complaint.strip_prefix("2: mqtt.url: ").unwrap().to_owned()
}

#[test]
fn each_kind_of_address_has_its_usual_port() {
    assert_eq!(address("mqtt://localhost"), "tcp localhost 1883");
    assert_eq!(address("mqtt://127.1.2.3/"), "tcp 127.1.2.3 1883");
    assert_eq!(address("mqtt://[::1]:1884"), "tcp ::1 1884");
    assert_eq!(address("mqtts://broker.lan"), "tls broker.lan 8883");
    assert_eq!(address("mqtts://10.0.0.1:443"), "tls 10.0.0.1 443");
    assert_eq!(address("mqtts://[fe80::1%25eth0]:8884"), "tls fe80::1%eth0 8884");
    assert_eq!(address("mqtts://[FE80::1%wlan0.2]"), "tls fe80::1%wlan0.2 8883");
    assert_eq!(address("mqtt+unix:///run/my broker/sock"), "unix /run/my broker/sock");
}

#[test]
fn an_address_that_is_none_is_refused() {
    assert_eq!(refused(""), "this is not an address: relative URL without a base");
    assert_eq!(refused("broker.lan"), "this is not an address: relative URL without a base");
    assert_eq!(refused("broker.lan:1883"), "this is not the address of an MQTT broker");
    assert_eq!(refused("https://broker.lan"), "this is not the address of an MQTT broker");
    assert_eq!(refused("mqtts://broker.lan:99999"), "this is not an address: invalid port number");
    assert_eq!(refused("mqtts://broker.lan:0"), "this address has no usable host and port");
    assert_eq!(refused("mqtts://"), "this address has no usable host and port");
    assert_eq!(refused("mqtts:broker.lan"), "this address has no usable host and port");
    assert_eq!(refused("mqtts://[2001:db8::1%25eth0]"), "this is not an address: invalid IPv6 address");
    assert_eq!(refused("mqtts://[fe80::1%25eth/0]"), "this is not an address: invalid IPv6 address");
    assert_eq!(refused("mqtts://brök.lan"), "this address has no usable host and port");
    assert_eq!(refused("mqtts://broker.lan/topic"), "this address has a path");
    assert_eq!(refused("mqtts://broker.lan?x"), "this address has a query or a fragment");
    assert_eq!(refused("mqtt+unix://run/broker"), "this does not lead to a socket");
    assert_eq!(refused("mqtt+unix:/run/broker"), "this does not lead to a socket");
    assert_eq!(refused("mqtt+unix:///"), "this does not lead to a socket");
    let long = format!("mqtt+unix:///{}", "x".repeat(107));
    assert_eq!(refused(&long), "no socket can have a path of more than 107 bytes");
}

#[test]
fn a_password_in_the_address_is_refused_and_not_repeated() {
    for url in ["mqtts://me:hunter2@broker.lan", "mqtts://hunter2@broker.lan", "mqtts://me:hunter2@broker.lan:99999"] {
        let errors = errors(&format!("[mqtt]\nurl = \"{url}\"\n"));
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    assert_eq!(
        errors("[mqtt]\nurl = \"mqtts://me:hunter2@broker.lan\"\n"),
        "/conf/config.toml:2: mqtt.url: a user name or password is in this address\n  \
         help: take out what stands before the @, and write username and password_file instead"
    );
}

#[test]
fn plain_mqtt_leaves_the_device_only_when_the_file_says_so() {
    let plain = "plain mqtt:// would send tokens readable through the network";
    for url in ["mqtt://broker.lan", "mqtt://10.0.0.1", "mqtt://[fe80::1]", "mqtt://localhost.evil.example"] {
        assert_eq!(refused(url), plain, "{url}");
    }
    let allowed = mqtt("url = \"mqtt://broker.lan\"\nallow_plaintext = true\n");
    assert!(matches!(allowed.address, BrokerAddress::Tcp { host, .. } if host == "broker.lan"));
    assert_eq!(
        complaint("[mqtt]\nurl = \"mqtt://broker.lan\"\nallow_plaintext = \"true\"\n"),
        format!("2: mqtt.url: {plain}\n3: mqtt.allow_plaintext: this takes true or false, and a text stands here")
    );
}

#[test]
fn files_for_tls_go_only_with_tls_and_a_certificate_with_its_key() {
    assert_eq!(
        complaint("[mqtt]\nca_file = \"/dev/null\"\n").lines().last().unwrap(),
        "2: mqtt.ca_file: this goes only with an mqtts:// address"
    );
    let alone = complaint("[mqtt]\nurl = \"mqtts://b\"\ncert_file = \"/conf/cert.pem\"\n");
    assert!(alone.starts_with("3: mqtt.cert_file: a client certificate needs both files"), "{alone}");
}

#[test]
fn a_password_is_read_from_a_file_and_needs_a_user_name() {
    assert_eq!(mqtt("username = \"me\"\n").login.unwrap().username, "me");
    assert_eq!(
        complaint("[mqtt]\npassword_file = \"pw\"\n"),
        "2: mqtt.password_file: a password needs a user name\n\
         2: mqtt.password_file: there is no such file: /conf/pw"
    );
    assert_eq!(complaint("[mqtt]\nusername = \"\"\n"), "2: mqtt.username: this is no user name");
    assert_eq!(
        errors("[mqtt]\nusername = \"me\"\npassword = \"hunter2\"\n"),
        "/conf/config.toml:3: mqtt.password: a password must not stand in this file\n  \
         help: put it in a file of its own, and name that file with password_file"
    );
}

#[test]
fn the_user_whose_program_the_broker_is_can_be_named() {
    assert_eq!(mqtt("").broker_user, None);
    assert_eq!(mqtt("broker_user = \"mosquitto\"\n").broker_user.as_deref(), Some("mosquitto"));
    for wrong in ["", "a:b", "a\\u0000"] {
        let told = complaint(&format!("[mqtt]\nbroker_user = \"{wrong}\"\n"));
        assert_eq!(told, "2: mqtt.broker_user: this is no user of a device");
    }
}

#[test]
fn the_base_topic_is_one_that_can_be_published_to() {
    assert_eq!(mqtt("base_topic = \"site/oauth\"\n").base_topic, "site/oauth");
    let topic = |topic: &str| complaint(&format!("[mqtt]\nbase_topic = \"{topic}\"\n"));
    for (wrong, reason) in [
        ("a/+", "wildcards (+ and #) are for subscriptions"),
        ("#", "wildcards (+ and #) are for subscriptions"),
        ("a\\u0000", "an unprintable character is in this topic"),
        ("", "an empty level is in this topic: no slash stands first, last or twice"),
        ("a/", "an empty level is in this topic: no slash stands first, last or twice"),
        ("$SYS", "topics that start with $ belong to the broker"),
        (&"x".repeat(201), "this topic is longer than 200 bytes"),
    ] {
        assert_eq!(topic(wrong), format!("2: mqtt.base_topic: {reason}"));
    }
}

#[test]
fn the_client_id_is_short_and_printable() {
    assert_eq!(mqtt("client_id = \"second\"\n").client_id, "second");
    for wrong in ["", "a\\u001b", &"x".repeat(65)] {
        assert_eq!(
            complaint(&format!("[mqtt]\nclient_id = \"{wrong}\"\n")),
            "2: mqtt.client_id: a client id has 1 to 64 printable bytes"
        );
    }
}
