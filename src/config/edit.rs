//! Takes an account out of the text of a configuration, and leaves every other line as it is.

use toml::de::DeTable;

use super::diagnostic::FileId;
use super::node::Value;
use super::toml_entries;

/// `text` without the section of the account `name` and the sections below it; `None` where the account is not there, or
/// is not written as sections of its own.
#[must_use]
pub(crate) fn without_account(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut kept = String::with_capacity(text.len());
    let mut is_left_out = false;
    for (at, line) in lines.iter().enumerate() {
        if let Some(path) = header(line) {
            is_left_out = matches!(path.as_slice(), [section, account, ..] if section == "accounts" && account == name);
        } else if is_left_out && belongs_to_next(&lines[at..]) {
            is_left_out = false;
        }
        if !is_left_out {
            kept.push_str(line);
        }
    }
    let kept = kept.trim_end().to_owned() + "\n";
    // What was left out is the account and nothing else, however the file is written.
    let mut before = toml_entries(text, FileId::CONFIGURATION).ok()?;
    let after = toml_entries(&kept, FileId::CONFIGURATION).ok()?;
    let Value::Table(accounts) = &mut before.get_mut("accounts")?.value else { return None };
    accounts.remove(name)?;
    if accounts.is_empty() && !after.contains_key("accounts") {
        before.remove("accounts");
    }
    (before == after).then_some(kept)
}

/// The names in a line such as `[accounts.plant.params]`.
fn header(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    if !line.starts_with('[') {
        return None;
    }
    let document = DeTable::parse(line).ok()?;
    let mut path = Vec::new();
    let mut table = document.into_inner();
    while let Some((key, value)) = table.into_iter().next() {
        path.push(key.into_inner().into_owned());
        table = match value.into_inner() {
            toml::de::DeValue::Table(table) => table,
            _ => break,
        };
    }
    Some(path)
}

/// True if the lines begin with comments that stand right above the header of another section.
fn belongs_to_next(lines: &[&str]) -> bool {
    let is_comment = |line: &&&str| line.trim_start().starts_with('#');
    let comments = lines.iter().take_while(is_comment).count();
    comments > 0 && lines.get(comments).is_some_and(|line| header(line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_goes_with_those_below_it_and_every_other_line_stays() {
        let text = "# ours\n[mqtt]  # local\nurl = 'mqtt://127.0.0.1'\n\n[accounts.a]\nprovider = \"github\"\nscopes = [\n  \"x\",\n]\n\n\
                    # about b\n[accounts.b]\nprovider = \"google\"\n[accounts.a.params]\nx = \"y\"\n";
        assert_eq!(
            without_account(text, "a").as_deref(),
            Some(
                "# ours\n[mqtt]  # local\nurl = 'mqtt://127.0.0.1'\n\n# about b\n[accounts.b]\nprovider = \"google\"\n"
            )
        );
        assert_eq!(without_account("[accounts.\"a\"]\nx = 1\n", "a").as_deref(), Some("\n"));
    }

    #[test]
    fn what_is_not_a_section_of_its_own_is_left_to_a_person() {
        for text in
            ["accounts = { a = { x = 1 } }\n", "[accounts]\na = { x = 1 }\n", "[accounts]\na.x = 1\n", "[accounts.b]\n"]
        {
            assert_eq!(without_account(text, "a"), None, "{text}");
        }
        // A line that only looks like a header.
        let text = "[accounts.a]\nx = \"\"\"\n[accounts.b]\n\"\"\"\n[accounts.c]\nx = 1\n";
        assert_eq!(without_account(text, "a"), None);
    }
}
