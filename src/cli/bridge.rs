//! Looks at the broker's own configuration for bridges that would carry tokens off this device.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::account::AccountName;
use crate::domain::session::Topic;
use crate::domain::settings::{PublishMode, Settings};
use crate::domain::text::printable;
use crate::domain::token_name::TokenName;
use crate::wire::{Topics, Verb};

/// The most files that are read, so that files that include one another come to an end.
const MOST_FILES: usize = 100;

/// Returns warnings about the broker's bridges, one text for each: those that would carry tokens away, and
/// what could not be read of them.
pub(super) fn warnings(settings: &Settings, configuration: &Path) -> Vec<String> {
    let Bridges { patterns, unread } = Bridges::read(configuration);
    let topics = Topics::new(&settings.mqtt.base_topic, settings.mqtt.local_tokens);
    let mut warnings = unread;
    for (topic, what) in with_tokens(settings, &topics) {
        for pattern in patterns.iter().filter(|pattern| matches(&pattern.filter, &topic)) {
            warnings.push(format!(
                "the broker's bridge {} carries {topic}{what} off this device: its topic {} in {}\n  help: name only the topics that \
                 the centre needs, as examples/fleet/mosquitto-bridge.conf does, or write local_tokens = true in [mqtt]",
                printable(&pattern.connection),
                printable(&pattern.filter),
                pattern.file.display()
            ));
        }
    }
    warnings
}

/// Every topic that has tokens on it, and how they come there if its name does not tell.
fn with_tokens(settings: &Settings, topics: &Topics) -> Vec<(String, &'static str)> {
    let retained = |name: &AccountName, further: Vec<TokenName>| {
        let own_and_further = std::iter::once(Topic::Token).chain(further.into_iter().map(Topic::FurtherToken));
        own_and_further.map(|topic| (topics.account(name, &topic), "")).collect::<Vec<_>>()
    };
    let kept = settings.accounts.iter().filter(|(_, account)| account.publish == PublishMode::Retained);
    let mut found: Vec<_> =
        kept.flat_map(|(name, account)| retained(name, account.tokens.keys().cloned().collect())).collect();
    let declared = settings.provisioning.is_some();
    // Which accounts will be declared is not known here; their topics are of these two kinds.
    if let (true, Ok(account), Ok(further)) = (declared, "account".parse(), "further".parse()) {
        found.extend(retained(&account, vec![further]));
    }
    if declared || settings.accounts.values().any(|account| account.publish == PublishMode::OnRequest) {
        // Whoever names no response topic gets the answer on the first of the two, the command line on one like the second.
        let answers = [topics.response(Verb::Token.name()), topics.reply("command")];
        let with_token = answers.into_iter().filter(|topic| topics.may_carry_token(topic));
        found.extend(with_token.map(|topic| (topic, ", with the token in the answer to a request,")));
    }
    found
}

/// The bridges in the broker's configuration.
#[derive(Default)]
struct Bridges {
    patterns: Vec<BridgedTopic>,
    /// The files that could not be read, and why.
    unread: Vec<String>,
}

/// The topics that one line of a bridge forwards.
struct BridgedTopic {
    connection: String,
    /// With the prefix that it has on this side.
    filter: String,
    file: PathBuf,
}

impl Bridges {
    fn read(configuration: &Path) -> Self {
        let mut bridges = Self::default();
        let mut files = vec![configuration.to_owned()];
        let mut read = 0;
        while let Some(file) = files.pop() {
            if read == MOST_FILES {
                bridges.unread.push(format!("the broker's configuration has more than {MOST_FILES} files: {UNKNOWN}"));
                break;
            }
            read += 1;
            match fs::read_to_string(&file) {
                Ok(text) => bridges.read_file(&file, &text, &mut files),
                Err(error) => bridges.could_not_read(&file, &error),
            }
        }
        bridges
    }

    fn read_file(&mut self, file: &Path, text: &str, files: &mut Vec<PathBuf>) {
        let mut connection = String::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["connection", name, ..] => name.clone_into(&mut connection),
                ["include_dir", folder, ..] => match configuration_files(Path::new(folder)) {
                    Ok(found) => files.extend(found),
                    Err(error) => self.could_not_read(Path::new(folder), &error),
                },
                ["topic", pattern, "out" | "both", ..] => {
                    // The prefix on this side stands after the quality of service; "" stands for none.
                    let prefix = words.get(4).filter(|prefix| **prefix != "\"\"").unwrap_or(&"");
                    let filter = format!("{prefix}{pattern}");
                    self.patterns.push(BridgedTopic { connection: connection.clone(), filter, file: file.to_owned() });
                }
                // Without a direction it goes out.
                ["topic", pattern] => {
                    let filter = pattern.to_owned();
                    self.patterns.push(BridgedTopic { connection: connection.clone(), filter, file: file.to_owned() });
                }
                _ => {}
            }
        }
    }

    fn could_not_read(&mut self, path: &Path, error: &io::Error) {
        self.unread.push(format!("{} cannot be read ({error}): {UNKNOWN}", path.display()));
    }
}

/// The end of a warning where a part of the broker's configuration was not read.
const UNKNOWN: &str = "whether a bridge carries tokens off this device is not known\n  help: run the check as root, or name \
                       mosquitto's configuration with --broker-config; with another broker, see to its bridges yourself";

fn configuration_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_configuration = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "conf");
    let paths: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(is_configuration).collect())
}

/// Returns whether a filter matches a topic (MQTT 5, 4.7).
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
