//! The right name that a wrong one was most likely meant to be.

/// Names longer than this are no slip of the pen.
const LONGEST: usize = 64;

/// The part of a name that must be right.
const LEAST_LIKENESS: f64 = 0.5;

/// The name that is most like `wrong`, if any is like it.
pub(super) fn nearest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.trim().to_lowercase().replace(['-', ' '], "_");
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(&wrong, name);
    names
        .iter()
        .map(|name| (likeness(name), *name))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// The help for a key that is not among the `known` ones.
pub(super) fn help_for_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("the keys here are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let names = ["client_id", "client_secret_file", "scopes"];
        assert_eq!(nearest("clint_id", &names), Some("client_id"));
        assert_eq!(nearest("Client-ID", &names), Some("client_id"));
        assert_eq!(nearest("secret_file", &names), Some("client_secret_file"));
        assert_eq!(nearest("scope", &names), Some("scopes"));
        assert_eq!(nearest("redirect_uri", &names), None);
        assert_eq!(nearest("", &names), None);
        assert_eq!(nearest(&"x".repeat(100_000), &names), None);
    }
}
