//! The files that a configuration names: where they are looked for, and how a secret is read from one.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use super::diagnostic::{Place, shown_path};
use super::table::Entry;
use crate::domain::secret::Secret;
use crate::domain::text;

/// The answer to a declaration that names a file.
pub(super) const NO_FILES: &str = "only the configuration file of the device may name files";
const NO_FILES_HELP: &str = "take it out; a client's secret can be declared itself, as client_secret";

/// The largest secret, in bytes: what is larger is some other file.
const LARGEST_SECRET: usize = 64 * 1024;

/// The mark that some editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The folders in which relative names are looked for.
pub(super) struct Files {
    /// The folder of the configuration file.
    folder: PathBuf,
    /// systemd's folder of credentials for this service.
    credentials: Option<PathBuf>,
    /// The secrets that a declaration gives in place of files; `None` where files may be named.
    given: Option<Vec<Secret>>,
}

impl Files {
    /// The folders for a configuration file at `config`.
    pub(super) fn beside(config: &Path, credentials: Option<&Path>) -> Self {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        Self {
            folder: config.parent().unwrap_or(&config).to_owned(),
            credentials: credentials.map(Path::to_owned),
            given: None,
        }
    }

    /// No files at all: whoever declares an account over MQTT may not even learn which there are. `secrets` are the
    /// client's own.
    pub(super) fn none(secrets: Vec<Secret>) -> Self {
        Self { folder: PathBuf::new(), credentials: None, given: Some(secrets) }
    }

    /// The client's secrets, where they were given rather than named.
    pub(super) fn given(&self) -> &[Secret] {
        self.given.as_deref().unwrap_or_default()
    }

    /// The path as it is meant: a relative one starts at the configuration's folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The credential of that name, if systemd gave the service one.
    pub(super) fn credential(&self, name: &str) -> Option<PathBuf> {
        Some(self.credentials.as_ref()?.join(name)).filter(|path| path.exists())
    }

    /// The text of the secret in the file that `entry` names.
    pub(super) fn secret(&self, entry: &Entry<'_, &str>) -> Option<Secret> {
        self.text(entry, read_secret)
    }

    /// The same, if there is such a file at all; where there is none, nobody complains.
    pub(super) fn secret_if_there(&self, entry: &Entry<'_, &str>) -> Option<Secret> {
        let there = self.given.is_some() || self.candidates(Path::new(entry.value)).iter().any(|path| path.exists());
        if there { self.secret(entry) } else { None }
    }

    /// The text of a PEM file, which has more than one line.
    pub(super) fn pem(&self, entry: &Entry<'_, &str>) -> Option<Secret> {
        self.text(entry, read_text)
    }

    fn text(
        &self,
        entry: &Entry<'_, &str>,
        read: fn(&Path) -> Result<ReadText, (String, &'static str)>,
    ) -> Option<Secret> {
        let path = self.private(entry)?;
        match read(&path) {
            Ok(read) => Some(told(read, &path, entry)),
            Err((message, help)) => {
                entry.place.error(format!("{}: {message}", shown_path(&path)), help);
                None
            }
        }
    }

    /// The file that `entry` names, which is there, can be read, and is nobody's business: a secret or a key.
    pub(super) fn private(&self, entry: &Entry<'_, &str>) -> Option<PathBuf> {
        let (path, metadata) = self.find(entry, Sensitivity::Private)?;
        let in_credentials = self.credentials.as_ref().is_some_and(|folder| path.starts_with(folder));
        if metadata.permissions().mode() & 0o004 != 0 && !in_credentials && !is_in_closed_folder(&path) {
            let path = shown_path(&path);
            entry.place.warn(format!("every user of this device can read {path}"), format!("chmod 640 {path}"));
        }
        Some(path)
    }

    /// The file that `entry` names, which is there and can be read.
    pub(super) fn public(&self, entry: &Entry<'_, &str>) -> Option<PathBuf> {
        self.find(entry, Sensitivity::Public).map(|(path, _)| path)
    }

    fn find(&self, entry: &Entry<'_, &str>, content: Sensitivity) -> Option<(PathBuf, Metadata)> {
        if self.given.is_some() {
            entry.place.error(NO_FILES, NO_FILES_HELP);
            return None;
        }
        let name = entry.value;
        if name.trim().is_empty() || !text::is_printable(name) {
            entry.place.error("this is no name of a file", "name the file, such as \"/etc/oauth2mqtt/name\"");
            return None;
        }
        let candidates = self.candidates(Path::new(name));
        // Somebody who put the secret itself here must not find it in the journal.
        let unspeakable = content == Sensitivity::Private && may_be_the_secret(name);
        for path in &candidates {
            let metadata = match check_readable(path) {
                Ok(metadata) => {
                    warn_of_writers(path, &entry.place);
                    metadata
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(error) => {
                    let file = if unspeakable { "the file".to_owned() } else { shown_path(path) };
                    entry.place.error(
                        format!("{file} cannot be read: {error}"),
                        "name an ordinary file that the user who runs the agent may read",
                    );
                    return None;
                }
            };
            return Some((path.clone(), metadata));
        }
        self.not_found(entry, &candidates, unspeakable);
        None
    }

    fn not_found(&self, entry: &Entry<'_, &str>, candidates: &[PathBuf], unspeakable: bool) {
        if unspeakable {
            return entry.place.error(
                format!("no file of this name is in {}", shown_path(&self.folder)),
                "name a file here; if this is the secret itself, move it into a file",
            );
        }
        let tried: Vec<String> = candidates.iter().map(|path| shown_path(path)).collect();
        entry
            .place
            .error(format!("there is no such file: {}", tried.join(", nor ")), "make the file, or name the right one");
    }

    fn candidates(&self, name: &Path) -> Vec<PathBuf> {
        let mut parts = name.components();
        let is_plain_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        // A credential has a plain name; anything with a slash in it was never meant as one.
        let credential = self.credentials.as_ref().filter(|_| is_plain_name).map(|folder| folder.join(name));
        credential.into_iter().chain([self.resolve(name)]).collect()
    }
}

/// The sensitivity of a file's content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sensitivity {
    Public,
    Private,
}

/// Warns if every user of this device can change the file, or put another in its place.
pub(super) fn warn_of_writers(path: &Path, place: &Place<'_>) {
    /// Only its owner can remove a file from a folder with this mode, such as `/tmp`.
    const STICKY: u32 = 0o1000;
    const BY_OTHERS: u32 = 0o002;
    let mode = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.filter(|folder| mode(folder) & (BY_OTHERS | STICKY) == BY_OTHERS);
    let file = Some(path).filter(|path| mode(path) & BY_OTHERS != 0);
    for writable in file.into_iter().chain(folder) {
        let writable = shown_path(writable);
        place.warn_once(format!("every user of this device can change {writable}"), format!("chmod o-w {writable}"));
    }
}

/// The text that was read; what was left out of it is told.
fn told(ReadText { text, left_out }: ReadText, path: &Path, entry: &Entry<'_, &str>) -> Secret {
    if let Some(left_out) = left_out {
        entry.place.warn(
            format!("{}: {left_out} left out", shown_path(path)),
            "save the file as plain UTF-8 text with the secret alone on its first line",
        );
    }
    text
}

/// A text of a file.
struct ReadText {
    text: Secret,
    /// The characters around it that nobody can have meant.
    left_out: Option<&'static str>,
}

/// True if a name that leads to no file looks as a generated secret does.
fn may_be_the_secret(name: &str) -> bool {
    !name.starts_with(['/', '.'])
        && name.len() >= 16
        && name.contains(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// True if others cannot enter the folder of the file, as `/etc/oauth2mqtt` where it was installed as a package.
fn is_in_closed_folder(path: &Path) -> bool {
    path.parent()
        .and_then(|folder| fs::metadata(folder).ok())
        .is_some_and(|folder| folder.permissions().mode() & 0o001 == 0)
}

/// Makes sure that an ordinary file is there and can be read. A pipe would keep the reader waiting.
fn check_readable(path: &Path) -> io::Result<Metadata> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not an ordinary file"));
    }
    File::open(path)?;
    Ok(metadata)
}

/// Reads a secret of one line.
fn read_secret(path: &Path) -> Result<ReadText, (String, &'static str)> {
    let read = read_text(path)?;
    if read.text.expose().contains(char::is_control) {
        return Err((
            "it holds more than one line, or control characters".to_owned(),
            "let it hold the secret and nothing else, on one line",
        ));
    }
    Ok(read)
}

/// Reads a text without leaving a copy in memory that is not wiped. A byte order mark, which editors put first, blanks
/// around it and ends of lines are no part of it.
fn read_text(path: &Path) -> Result<ReadText, (String, &'static str)> {
    let mut buffer = Zeroizing::new(vec![0; LARGEST_SECRET + 1]);
    let length = fill(path, &mut buffer)
        .map_err(|error| (format!("it cannot be read: {error}"), "let the user who runs the agent read it"))?;
    let wrong = |message: &str, help| Err((message.to_owned(), help));
    if length > LARGEST_SECRET {
        return wrong("it is larger than 64 KiB", "name the file that holds the secret and nothing else");
    }
    let Ok(text) = std::str::from_utf8(&buffer[..length]) else {
        return wrong("it is not UTF-8 text", "save the secret as plain text");
    };
    let without_mark = text.trim_start_matches(BYTE_ORDER_MARK);
    let bare = without_mark.trim();
    if bare.is_empty() {
        return wrong("it is empty", "write the secret into it");
    }
    let has_blanks = without_mark.trim_end_matches('\n') != bare;
    let left_out = match (without_mark.len() < text.len(), has_blanks) {
        (true, true) => Some("a byte order mark and blanks are"),
        (true, false) => Some("a byte order mark is"),
        (false, true) => Some("blanks or carriage returns around it are"),
        (false, false) => None,
    };
    Ok(ReadText { text: Secret::new(bare.to_owned()), left_out })
}

/// Reads as much of the file as the buffer takes, and says how much that was.
fn fill(path: &Path, buffer: &mut [u8]) -> io::Result<usize> {
    let mut file = File::open(path)?;
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
