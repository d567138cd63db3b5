//! The `[page]` section, whose presence turns the sign-in page on.

use std::net::{Ipv4Addr, SocketAddr};

use url::Url;

use super::address::is_host;
use super::diagnostic::quoted;
use super::files::Files;
use super::table::{Entry, Table};
use crate::domain::settings::PageSettings;

/// The address of a page that names none.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8628);

/// The shortest access code, in characters: at the rate at which the page takes codes from all addresses together, to try all of
/// eight digits takes more than eight years, and all of six a month.
const SHORTEST_CODE: usize = 8;

/// Reads the section; nothing of it need be there.
pub(super) fn read(mut table: Table<'_>, files: &Files) -> Option<PageSettings> {
    let listen = table.text("listen");
    let address = listen.as_ref().map_or(Some(DEFAULT), listen_address);
    let code = table.text("access_code_file").and_then(|file| Some((files.secret(&file)?, file.place)));
    let has_code = table.has("access_code_file");
    if let Some((code, place)) = &code
        && code.expose().chars().count() < SHORTEST_CODE
    {
        place.error(
            format!("an access code of fewer than {SHORTEST_CODE} characters can be guessed"),
            "write a longer one into the file",
        );
    }
    let behind_proxy = table.flag("behind_proxy");
    let is_open = !has_code && address.is_some_and(|address| !address.ip().is_loopback());
    match &listen {
        Some(listen) if is_open && behind_proxy => listen.place.warn(
            "anyone who reaches this address without the proxy is let in",
            "listen on 127.0.0.1:8628 if the proxy is on this device, or add an access code (access_code_file)",
        ),
        Some(listen) if is_open => listen.place.error(
            "everybody who reaches this address could sign accounts in and out",
            "name a file with an access code (access_code_file = \"page.code\"), or write behind_proxy = true if a proxy \
             of yours asks who it is",
        ),
        _ => {}
    }
    table.refuse(
        "access_code",
        "an access code must not stand in this file",
        "put it in a file of its own, and name that file with access_code_file",
    );
    let hosts = table.texts("hosts").iter().filter_map(host).collect();
    let embed_in = table.texts("embed_in").iter().filter_map(origin).collect();
    table.finish();
    let access_code = code.map(|(code, _)| code);
    Some(PageSettings { listen: address?, behind_proxy, access_code, hosts, embed_in })
}

/// An address to listen on.
pub(super) fn listen_address(listen: &Entry<'_, &str>) -> Option<SocketAddr> {
    let address = listen.value.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    if address.is_none() {
        listen.place.error(
            format!("{} is not an address to listen on", quoted(listen.value)),
            "write an IP address and a port, such as \"127.0.0.1:8628\"",
        );
    }
    address
}

fn host(entry: &Entry<'_, &str>) -> Option<String> {
    if is_host(entry.value) && !entry.value.contains(':') {
        return Some(entry.value.to_ascii_lowercase());
    }
    entry.place.error(
        format!("{} is not the name of a host", quoted(entry.value)),
        "write the name that stands in the browser's address line, without https:// and port",
    );
    None
}

/// An origin as it stands in a header: scheme, host and port, and nothing more (RFC 6454 6.2).
pub(super) fn origin(entry: &Entry<'_, &str>) -> Option<String> {
    let url = Url::parse(entry.value).ok();
    let origin =
        url.filter(|url| matches!(url.scheme(), "http" | "https")).map(|url| url.origin().ascii_serialization());
    let is_whole = |origin: &String| entry.value.trim_end_matches('/').eq_ignore_ascii_case(origin);
    let origin = origin.filter(is_whole);
    if origin.is_none() {
        entry.place.error(
            format!("{} is not the origin of a page", quoted(entry.value)),
            "write scheme and host, and the port where there is one, such as \"https://dashboard.example.com\"",
        );
    }
    origin
}
