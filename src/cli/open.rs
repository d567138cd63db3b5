//! Opens the sign-in page.

use std::env;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use super::exit::{Exit, Failure};
use super::{BOLD, say, settings};
use crate::domain::settings::PageSettings;

/// Prints the address of the page, and opens it in a browser if this is a desktop.
pub(super) fn open(config: &Path) -> Result<(), Failure> {
    let Some(page) = settings(config)?.page else {
        let message = format!(
            "the configuration has no sign-in page.\n  help: add a line `[page]` to {}, then restart the agent with `sudo systemctl \
             restart oauth2mqtt`",
            config.display()
        );
        return Err(Failure::new(Exit::Failed, message));
    };
    let address = address(&page);
    say(&format!("{BOLD}{address}{BOLD:#}"))?;
    if page.listen.ip().is_loopback() {
        let port = page.listen.port();
        say(&format!("It can be reached on this device only. From another one: ssh -L {port}:127.0.0.1:{port} HOST"))?;
    }
    if ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty())) {
        // Without a browser the address is enough.
        let _ = Command::new("xdg-open").arg(&address).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    }
    Ok(())
}

/// The address by which other devices reach the page, if they do and it is known.
pub(super) fn address_from_elsewhere(page: &PageSettings) -> Option<String> {
    let ip = page.listen.ip();
    let is_known = !ip.is_unspecified() || !page.hosts.is_empty();
    (!ip.is_loopback() && is_known).then(|| address(page))
}

/// The address by which the page is reached.
fn address(page: &PageSettings) -> String {
    let port = page.listen.port();
    let is_behind_proxy = !page.listen.ip().is_loopback() && page.access_code.is_none();
    match (page.hosts.first(), page.listen.ip()) {
        (Some(host), _) if is_behind_proxy => format!("https://{host}/"),
        (Some(host), ip) if !ip.is_loopback() => format!("http://{host}:{port}/"),
        (_, IpAddr::V6(ip)) if !ip.is_unspecified() => format!("http://[{ip}]:{port}/"),
        (_, ip) if !ip.is_unspecified() => format!("http://{ip}:{port}/"),
        _ => format!("http://{}:{port}/", Ipv4Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    #[test]
    fn the_address_is_one_by_which_the_page_is_reached() {
        let page = |listen: &str, has_code: bool, hosts: &[&str]| PageSettings {
            listen: listen.parse().unwrap(),
            behind_proxy: !has_code,
            access_code: has_code.then(|| Secret::new("12345678".to_owned())),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            embed_in: Vec::new(),
        };
        assert_eq!(address(&page("127.0.0.1:8628", false, &[])), "http://127.0.0.1:8628/");
        assert_eq!(address(&page("[::1]:8628", false, &["gateway"])), "http://[::1]:8628/");
        assert_eq!(address(&page("0.0.0.0:8628", true, &["gateway"])), "http://gateway:8628/");
        assert_eq!(address(&page("0.0.0.0:8628", true, &[])), "http://127.0.0.1:8628/");
        assert_eq!(address(&page("0.0.0.0:8628", false, &["gateway.example.com"])), "https://gateway.example.com/");
        assert_eq!(address_from_elsewhere(&page("127.0.0.1:8628", false, &[])), None);
        assert_eq!(address_from_elsewhere(&page("0.0.0.0:8628", true, &[])), None);
        assert!(address_from_elsewhere(&page("192.0.2.7:8628", true, &[])).is_some());
    }
}
