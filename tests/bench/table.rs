//! The figures: collected, and written as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Agent,
    OidcAgent,
    NodeRed,
}

const PEERS: [Who; 2] = [Who::OidcAgent, Who::NodeRed];

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Agent => "oauth2mqtt",
            Self::OidcAgent => "oidc-agent",
            Self::NodeRed => "Node-RED",
        }
    }
}

/// One figure, measured several times.
struct Figure {
    group: &'static str,
    what: String,
    unit: &'static str,
    who: Who,
    runs: Vec<f64>,
}

/// All figures of one run.
#[derive(Default)]
pub(crate) struct Table {
    figures: Vec<Figure>,
    group: &'static str,
}

/// The middle one, and the two ends.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Table {
    /// What is added from now on belongs here.
    pub(crate) fn begin(&mut self, group: &'static str) {
        self.group = group;
        eprintln!("== {group}");
    }

    /// Adds a figure of the agent's.
    pub(crate) fn add(&mut self, what: impl Into<String>, unit: &'static str, runs: Vec<f64>) {
        self.add_of(Who::Agent, what, unit, runs);
    }

    /// Adds a figure of a peer's, which stands beside that of the agent of the same name.
    pub(crate) fn add_of(&mut self, who: Who, what: impl Into<String>, unit: &'static str, runs: Vec<f64>) {
        let figure = Figure { group: self.group, what: what.into(), unit, who, runs };
        eprintln!("   {:<12} {:<58} {} {unit}", who.name(), figure.what, figure.shown());
        self.figures.push(figure);
    }

    /// As Markdown: the median, from the least to the most, and how many times the agent's a peer's is.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        let mut done = Vec::new();
        for figure in &self.figures {
            let key = (figure.group, figure.what.as_str());
            if done.contains(&key) {
                continue;
            }
            done.push(key);
            if figure.group != group {
                group = figure.group;
                let [first, second] = PEERS.map(Who::name);
                write!(text, "\n### {group}\n\n| | unit | {} | {first} | {second} |\n", Who::Agent.name()).unwrap();
                text.push_str("|---|---|---|---|---|\n");
            }
            let own = self.find(key, Who::Agent);
            let shown = own.map_or_else(String::new, Figure::shown);
            write!(text, "| {} | {} | {shown} |", figure.what, figure.unit).unwrap();
            for peer in PEERS {
                let cell = self.find(key, peer).map_or_else(String::new, |peer| peer.beside(own));
                write!(text, " {cell} |").unwrap();
            }
            text.push('\n');
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let figures = self.figures.iter().map(|figure| {
            let Spread { median, least, most } = figure.spread();
            json!({
                "group": figure.group, "figure": figure.what, "unit": figure.unit, "who": figure.who.name(),
                "median": median, "minimum": least, "maximum": most, "runs": figure.runs,
            })
        });
        figures.collect()
    }

    fn find(&self, (group, what): (&str, &str), who: Who) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.group == group && figure.what == what && figure.who == who)
    }
}

impl Figure {
    fn spread(&self) -> Spread {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let (middle, even) = (sorted.len() / 2, sorted.len().is_multiple_of(2));
        let median = if even { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] };
        Spread { median, least: sorted[0], most: sorted[sorted.len() - 1] }
    }

    fn shown(&self) -> String {
        let Spread { median, least, most } = self.spread();
        if (most - least).abs() < f64::EPSILON {
            return number(median);
        }
        format!("{} ({}–{})", number(median), number(least), number(most))
    }

    fn beside(&self, own: Option<&Self>) -> String {
        let ratio = own.map(|own| self.spread().median / own.spread().median).filter(|ratio| ratio.is_finite());
        let ratio = ratio.map(|ratio| format!(", {} ×", number(ratio))).unwrap_or_default();
        format!("{}{ratio}", self.shown())
    }
}

/// Three digits are as many as mean something; whole numbers are shown whole.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => return "0".to_owned(),
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
