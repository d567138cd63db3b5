//! The keys of a configuration, as the error about one that does not exist lists them.

/// Returns each section with each of its keys. An account of this provider, if any, has the keys of that provider too; `refusal`
/// returns what is said of a configuration.
#[track_caller]
pub(crate) fn known_keys(provider: Option<&str>, refusal: impl Fn(&str) -> String) -> Vec<(&'static str, String)> {
    let provider = provider.map(|name| format!("provider = \"{name}\"\n")).unwrap_or_default();
    let sections =
        [("mqtt", ""), ("store", ""), ("page", ""), ("gate", ""), ("provisioning", ""), ("accounts.a", &provider)];
    let of_section = |(section, lines): (&'static str, &str)| {
        let said = refusal(&format!("[{section}]\nno_such_key_at_all = 1\n{lines}"));
        let lists: Vec<_> = said.lines().filter_map(|line| line.split_once("the keys here are: ")).collect();
        let [(_, keys)] = lists[..] else { panic!("[{section}]: {said}") };
        keys.split(", ").map(|key| (section, key.to_owned())).collect::<Vec<_>>()
    };
    sections.into_iter().flat_map(of_section).collect()
}
