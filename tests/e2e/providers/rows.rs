//! The rows: who answers, how, and what the account's section says.

mod grants;
mod presets;
mod quirks;

use serde_json::{Value, json};

/// Which part of the page a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Preset,
    Grant,
    Quirk,
}

impl Group {
    /// The title of the part, and of its first column.
    pub(super) fn titles(self) -> (&'static str, &'static str) {
        match self {
            Self::Preset => ("Presets, each at its own addresses", "`provider`"),
            Self::Grant => ("Grants and ways to authenticate, at real servers without a preset", "grant, server"),
            Self::Quirk => ("Quirks", "what the provider does"),
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Fake,
    Oidc,
    Django,
    Authlib,
}

/// How an account comes by its tokens, as far as its user is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Types a code in.
    Code,
    /// Is sent away and back by a browser.
    Browser,
    /// Nobody is asked.
    Nobody,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) group: Group,
    /// The name of the account, and of its scripted provider.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) server: Server,
    pub(super) user: User,
    /// Who signs in, at a real server.
    pub(super) login: String,
    /// The account's section.
    pub(super) settings: String,
    /// What is odd about the scripted provider.
    pub(super) shape: Value,
    /// How many polls it is waited for before the user decides.
    pub(super) polls: usize,
}

impl Row {
    /// The preset that it is about.
    pub(super) fn preset(&self) -> Option<&str> {
        let (_, rest) = self.settings.split_once("provider = \"")?;
        rest.split('"').next()
    }

    fn new(group: Group, name: &str, title: &str) -> Self {
        Self {
            group,
            name: name.to_owned(),
            title: title.to_owned(),
            server: Server::Fake,
            user: User::Code,
            login: name.to_owned(),
            settings: String::new(),
            shape: json!({}),
            polls: 1,
        }
    }

    fn with(mut self, settings: &str) -> Self {
        self.settings.push_str(settings);
        self.settings.push('\n');
        self
    }

    fn browser(mut self) -> Self {
        self.user = User::Browser;
        self.with("grant = \"authorization_code\"\nredirect_uri = \"https://flows.example.com/oauth2/redirect\"")
    }

    fn secret(self) -> Self {
        self.with("client_secret_file = \"{files}/the.secret\"")
    }

    fn polls(mut self, polls: usize) -> Self {
        self.polls = polls;
        self
    }
}

/// All of them, in the order of the page.
pub(super) fn all() -> Vec<Row> {
    [presets::rows(), grants::rows(), quirks::rows()].concat()
}

/// A good answer with a token, less or more these members.
fn token(change: &Value) -> Value {
    let mut answer = json!({ "access_token": "$", "refresh_token": "$", "token_type": "Bearer", "expires_in": 3600 });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            answer.as_object_mut().unwrap().remove(name);
        } else {
            answer[name] = value.clone();
        }
    }
    json!({ "status": 200, "json": answer })
}
