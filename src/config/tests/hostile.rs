use super::super::catalog::read_text;
use super::load_text;
use crate::domain::text::is_printable;
use crate::testing::hostile::bombard;

#[test]
fn configurations() {
    bombard("configurations", |text, _| match load_text(&String::from_utf8_lossy(text)) {
        Ok(loaded) => {
            let topic = &loaded.settings.mqtt.base_topic;
            assert!(!topic.contains(['+', '#', '\0']) && !topic.is_empty(), "{topic:?}");
            assert!(loaded.settings.accounts.keys().all(|name| !name.as_str().contains(['+', '#', '/'])));
            String::new()
        }
        Err(error) => {
            assert!(error.lines().all(is_printable), "{error:?}");
            // As many complaints as there are faults are wanted.
            error.chars().take(8_000).collect()
        }
    });
}

#[test]
fn provider_files() {
    bombard("provider-files", |text, _| match read_text("plant", &String::from_utf8_lossy(text)) {
        Ok(provider) => {
            let addresses = provider.file.endpoints.all();
            assert!(addresses.into_iter().all(|(_, template)| !template.contains([' ', '\\', '#'])), "{provider:?}");
            String::new()
        }
        Err(errors) => {
            let path = std::path::Path::new("/conf/providers.d/plant.toml");
            let told: Vec<_> = errors.iter().map(|error| error.in_file(path).to_string()).collect();
            assert!(told.iter().all(|error| error.lines().all(is_printable)), "{told:?}");
            told.join("\n").chars().take(8_000).collect()
        }
    });
}
