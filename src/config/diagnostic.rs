//! Errors and warnings of a configuration: the place, the reason, and what to do about it.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::text;

/// The longest piece of the file that a message repeats, in characters.
const LONGEST_QUOTE: usize = 60;

/// One thing that is wrong, or that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file it is about, where that is not the configuration file itself.
    pub file: Option<PathBuf>,
    /// The line it is about, counted from one.
    pub line: Option<usize>,
    /// The key it is about, such as `accounts.google.client_id`; empty where the whole file is meant.
    pub key: String,
    /// The error or warning.
    pub message: String,
    /// The next step.
    pub help: String,
}

impl Diagnostic {
    /// The diagnostic as text: `path:line: key: what is wrong`, and below it what to do. `path` is the configuration file.
    #[must_use]
    pub fn in_file<'a>(&'a self, path: &'a Path) -> impl fmt::Display + 'a {
        InFile { diagnostic: self, path }
    }
}

struct InFile<'a> {
    diagnostic: &'a Diagnostic,
    path: &'a Path,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { file, line, key, message, help } = self.diagnostic;
        f.write_str(&shown_path(file.as_deref().unwrap_or(self.path)))?;
        if let Some(line) = line {
            write!(f, ":{line}")?;
        }
        if !key.is_empty() {
            write!(f, ": {key}")?;
        }
        write!(f, ": {message}\n  help: {help}")
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// The errors, in the order of files and lines; never empty.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, diagnostic) in self.diagnostics.iter().enumerate() {
            if count > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", diagnostic.in_file(&self.path))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// One of the files that are read: the configuration file, or a provider's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(usize);

impl FileId {
    /// The configuration file.
    pub(super) const CONFIGURATION: Self = Self(0);
}

/// A place in a file; the line is counted from one, and `None` where there are no lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written {
    pub(super) file: FileId,
    pub(super) line: Option<usize>,
}

/// The lines of a text.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_newlines).collect())
    }

    /// The line of the byte at `offset`, counted from one.
    pub(super) fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// Collects what is found while a file is read, so that one reading finds all of it.
///
/// Whoever reports an error goes on with whatever value is at hand: with an error in the report, nothing that was made
/// of the file is used.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The files beside the configuration file.
    files: RefCell<Vec<PathBuf>>,
    errors: RefCell<Vec<(FileId, Diagnostic)>>,
    warnings: RefCell<Vec<(FileId, Diagnostic)>>,
}

impl Report {
    /// Takes in one more file, which places may be in.
    pub(super) fn add_file(&self, path: &Path) -> FileId {
        let mut files = self.files.borrow_mut();
        files.push(path.to_owned());
        FileId(files.len())
    }

    /// The place of a whole file.
    pub(super) fn whole(&self, file: FileId) -> Place<'_> {
        Place { report: self, key: String::new(), written: Written { file, line: None } }
    }

    /// True if nothing is wrong so far.
    pub(super) fn has_no_error(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// The errors and the warnings, each in the order of files and lines.
    pub(super) fn finish(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let sorted = |mut found: Vec<(FileId, Diagnostic)>| {
            found.sort_by_key(|(file, diagnostic)| (*file, diagnostic.line));
            found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
        };
        (sorted(self.errors.into_inner()), sorted(self.warnings.into_inner()))
    }
}

/// A place in a file that can be complained about.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) report: &'a Report,
    /// The key with everything above it, joined by dots; empty for the file as a whole.
    pub(super) key: String,
    pub(super) written: Written,
}

impl<'a> Place<'a> {
    /// Notes that what is here makes the file unusable.
    pub(super) fn error(&self, message: impl Into<String>, help: impl Into<String>) {
        self.report.errors.borrow_mut().push(self.diagnostic(message.into(), help.into()));
    }

    /// Notes something about what is here that somebody should know.
    pub(super) fn warn(&self, message: impl Into<String>, help: impl Into<String>) {
        self.report.warnings.borrow_mut().push(self.diagnostic(message.into(), help.into()));
    }

    /// The same, unless the same was noted of another place.
    pub(super) fn warn_once(&self, message: String, help: String) {
        let is_known = self.report.warnings.borrow().iter().any(|(_, known)| known.message == message);
        if !is_known {
            self.warn(message, help);
        }
    }

    /// The place of `key` below this one, on the same line unless the key has one of its own.
    pub(super) fn below(&self, key: &str, written: Option<Written>) -> Place<'a> {
        let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let key = if is_bare { shortened(key) } else { quoted(key) };
        let key = if self.key.is_empty() { key } else { format!("{}.{key}", self.key) };
        Place { report: self.report, key, written: written.unwrap_or(self.written) }
    }

    fn diagnostic(&self, message: String, help: String) -> (FileId, Diagnostic) {
        let Written { file, line } = self.written;
        let path = file.0.checked_sub(1).and_then(|at| self.report.files.borrow().get(at).cloned());
        (file, Diagnostic { file: path, line, key: self.key.clone(), message, help })
    }
}

/// A piece of the file in quotation marks, fit to be shown.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", shortened(value))
}

/// A path, fit to be shown.
pub(super) fn shown_path(path: &Path) -> String {
    text::printable(&path.to_string_lossy())
}

/// A name or value, fit to be shown.
pub(super) fn shortened(value: &str) -> String {
    let mut shown: String = text::printable(value);
    if let Some((end, _)) = shown.char_indices().nth(LONGEST_QUOTE) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}
