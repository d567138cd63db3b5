//! Lists of scopes.

use std::collections::HashSet;

use super::diagnostic::quoted;
use super::table::Entry;

/// The scopes, each of the characters of RFC 6749 3.3.
pub(super) fn scopes(entries: &[Entry<'_, &str>], separator: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    for entry in entries {
        let of_a_scope = |c: char| matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        if entry.value.is_empty() || entry.value.contains(separator) || !entry.value.chars().all(of_a_scope) {
            entry.place.error(
                format!("{} is not a scope", quoted(entry.value)),
                "write each scope in quotes of its own: scopes = [\"openid\", \"email\"]",
            );
        } else if seen.insert(entry.value) {
            scopes.push(entry.value.to_owned());
        } else {
            entry.place.warn(format!("the scope {} stands here twice", quoted(entry.value)), "take one of them out");
        }
    }
    // They are held as long as the agent runs.
    scopes.shrink_to_fit();
    scopes
}
