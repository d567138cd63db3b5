use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{complaint, errors, load_text};
use crate::config::{Environment, parse};
use crate::domain::settings::PageSettings;

fn page(lines: &str) -> Option<PageSettings> {
    load_text(&format!("[mqtt]\nurl = \"mqtt://127.0.0.1\"\n{lines}")).unwrap().settings.page
}

/// The complaint about these lines of the section, which start at line 2.
fn refused(lines: &str) -> String {
    complaint(&format!("[page]\n{lines}\n[mqtt]\nurl = \"mqtt://127.0.0.1\"\n"))
}

#[test]
fn the_page_is_off_until_its_section_is_there_and_then_listens_on_this_device_alone() {
    assert!(page("").is_none());
    let page = page("[page]\n").unwrap();
    assert_eq!((page.listen.to_string().as_str(), page.hosts.len()), ("127.0.0.1:8628", 0));
    assert!(page.access_code.is_none());
}

#[test]
fn another_address_needs_an_access_code_or_a_proxy_that_asks() {
    assert!(page("[page]\nlisten = \"[::1]:80\"\n").is_some());
    let text = "[page]\nlisten = \"0.0.0.0:8628\"\nbehind_proxy = true\n";
    assert!(page(text).is_some());
    let [warning] = super::load_text(text).unwrap().warnings.try_into().unwrap();
    assert_eq!(
        (warning.line, warning.message.as_str()),
        (Some(2), "anyone who reaches this address without the proxy is let in")
    );
    let open = "[page]\nlisten = \"0.0.0.0:8628\"\n[mqtt]\nurl = \"mqtt://127.0.0.1\"\n";
    assert_eq!(
        errors(open),
        "/conf/config.toml:2: page.listen: everybody who reaches this address could sign accounts in and out\n  help: \
         name a file with an access code (access_code_file = \"page.code\"), or write behind_proxy = true if a proxy of \
         yours asks who it is"
    );
}

#[test]
fn an_access_code_comes_from_a_file_and_cannot_be_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.code");
    let text =
        "[mqtt]\nurl = \"mqtt://127.0.0.1\"\n[page]\nlisten = \"192.168.1.7:80\"\naccess_code_file = \"page.code\"\n";
    let load = |code: &str| {
        fs::write(&file, code).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        parse(text, &folder.path().join("config.toml"), &Environment::default()).map_err(|error| error.to_string())
    };
    let settings = load("correct horse\n").unwrap().settings.page.unwrap();
    assert_eq!(settings.access_code.unwrap().expose(), "correct horse");
    let short = load("1234567\n").unwrap_err();
    assert!(short.contains("can be guessed") && !short.contains("1234567"), "{short}");
    assert_eq!(refused("access_code = \"x\""), "2: page.access_code: an access code must not stand in this file");
}

#[test]
fn what_is_no_address_or_host_is_refused() {
    assert_eq!(refused("listen = \"8628\""), "2: page.listen: \"8628\" is not an address to listen on");
    assert_eq!(refused("listen = \"127.0.0.1:0\""), "2: page.listen: \"127.0.0.1:0\" is not an address to listen on");
    assert_eq!(
        refused("hosts = [\"https://a.example\"]"),
        "2: page.hosts: \"https://a.example\" is not the name of a host"
    );
    assert_eq!(refused("hosts = [\"a.example:80\"]"), "2: page.hosts: \"a.example:80\" is not the name of a host");
    assert_eq!(page("[page]\nhosts = [\"Gateway.Lan\"]\n").unwrap().hosts, ["gateway.lan"]);
}
