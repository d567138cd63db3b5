//! An MQTT 5 broker inside this process, on loopback: in the place of mosquitto on a real device.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Starts the broker on a free port and tells its address. It runs as long as the process, and keeps what is retained
/// in memory only.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listen = free_address()?;
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        // The QR code travels as an image.
        max_payload_size: 256 * 1024,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server =
        ServerSettings { name: "demo-broker".to_owned(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 20,
        max_outgoing_packet_count: 200,
        max_segment_size: 1024 * 1024,
        max_segment_count: 4,
        ..RouterConfig::default()
    };
    let config = Config { router, v5: Some(HashMap::from([("v5".to_owned(), server)])), ..Config::default() };
    let mut broker = Broker::new(config);
    // A broker that does not start is found out by its first client.
    thread::Builder::new().name("broker".to_owned()).spawn(move || drop(broker.start()))?;
    Ok(listen)
}

/// The broker cannot tell which port it was given, so one that is free at this moment is found for it.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
