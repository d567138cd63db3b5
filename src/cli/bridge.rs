//! Looks at the broker's own configuration for bridges that would carry tokens off this device.

use std::fs;
use std::path::{Path, PathBuf};

use crate::account::AccountName;
use crate::message::Topics;
use crate::session::Topic;
use crate::settings::{PublishMode, Settings};
use crate::text::printable;

/// How many files are read, so that files that include one another come to an end.
const MOST_FILES: usize = 100;

/// What would carry tokens away, one sentence for each account and pattern. What cannot be read says nothing.
pub(super) fn leaks(settings: &Settings, configuration: &Path) -> Vec<String> {
    let patterns = outward_patterns(configuration);
    let topics = Topics::new(&settings.mqtt.base_topic, settings.mqtt.local_tokens);
    let mut leaks = Vec::new();
    let retained = settings.accounts.iter().filter(|(_, account)| account.publish == PublishMode::Retained);
    // Which accounts will be declared is not known here; their topics are all of one kind.
    let declared = "account".parse::<AccountName>().ok().filter(|_| settings.provisioning.is_some());
    for name in retained.map(|(name, _)| name).chain(&declared) {
        let topic = topics.account(name, Topic::Token);
        for pattern in patterns.iter().filter(|pattern| matches(&pattern.filter, &topic)) {
            leaks.push(format!(
                "the broker's bridge {} carries {topic} off this device: its topic {} in {}\n  help: name only the topics that \
                 the centre needs, as examples/fleet/mosquitto-bridge.conf does, or write local_tokens = true in [mqtt]",
                printable(&pattern.connection),
                printable(&pattern.filter),
                pattern.file.display()
            ));
        }
    }
    leaks
}

/// What a bridge carries away.
struct Pattern {
    connection: String,
    /// With the prefix that it has on this side.
    filter: String,
    file: PathBuf,
}

fn outward_patterns(configuration: &Path) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    let mut connection = String::new();
    let mut files = vec![configuration.to_owned()];
    let mut read = 0;
    while let Some(file) = files.pop().filter(|_| read < MOST_FILES) {
        read += 1;
        let text = fs::read_to_string(&file).unwrap_or_default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["connection", name, ..] => name.clone_into(&mut connection),
                ["include_dir", folder, ..] => files.extend(configuration_files(Path::new(folder))),
                ["topic", pattern, "out" | "both", ..] => {
                    // The prefix on this side stands after the quality of service; "" stands for none.
                    let prefix = words.get(4).filter(|prefix| **prefix != "\"\"").unwrap_or(&"");
                    let filter = format!("{prefix}{pattern}");
                    patterns.push(Pattern { connection: connection.clone(), filter, file: file.clone() });
                }
                // Without a direction it goes out.
                ["topic", pattern] => {
                    let filter = pattern.to_owned();
                    patterns.push(Pattern { connection: connection.clone(), filter, file: file.clone() });
                }
                _ => {}
            }
        }
    }
    patterns
}

fn configuration_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "conf")).collect()
}

/// Whether a filter matches a topic (MQTT 5, 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic) in [("#", "a/b"), ("a/#", "a"), ("a/+/token", "a/b/token"), ("$local/#", "$local/a/token")]
        {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in
            [("#", "$local/a"), ("+/a", "$local/a"), ("a/+", "a/b/c"), ("a/b/c", "a/b"), ("a/b", "a/c")]
        {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }
}
