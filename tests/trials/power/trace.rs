//! What a process did to the store's files, and what it told others, from a trace of its system calls.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One step of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    MakeFolder(PathBuf),
    /// Makes the file if there is none; cuts it to nothing if `cut`.
    Open {
        path: PathBuf,
        cut: bool,
    },
    Write {
        path: PathBuf,
        at: usize,
        bytes: Vec<u8>,
    },
    SetLength(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    /// `fsync` or `fdatasync`, which has returned.
    Sync(PathBuf),
    /// It sent or printed this.
    Told(Vec<u8>),
}

/// `command`, to be run under strace with its trace in `output`.
pub(super) fn traced(command: &Command, output: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-D", "-f", "-qq", "-y", "-xx", "-s", "8000000", "-e", "signal=none", "-o"]).arg(output);
    strace.args([
        "-e",
        "trace=open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,ftruncate,truncate,\
         write,writev,pwrite64,pwritev,lseek,fsync,fdatasync,fallocate,sendto,sendmsg,copy_file_range,sendfile",
    ]);
    strace.arg(command.get_program()).args(command.get_args());
    strace.env_clear();
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}

/// The steps below `root`, in their order, and all that was told.
pub(super) fn read(trace: &str, root: &Path) -> Vec<Step> {
    let mut reader = Reader { root, offsets: HashMap::new(), steps: Vec::new() };
    // By process: the call that another thread's line has cut in two.
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix("<unfinished ...>") {
            // What is written may reach the disk from here on; a sync counts only when it has returned.
            unfinished.insert(pid, begun.trim_end().to_owned());
        } else if let Some(resumed) = call.strip_prefix("<... ") {
            let Some(begun) = unfinished.remove(pid) else { continue };
            let Some((_, rest)) = resumed.split_once(" resumed>") else { continue };
            reader.call(&format!("{begun}{rest}"));
        } else {
            reader.call(call);
        }
    }
    reader.steps
}

struct Reader<'a> {
    root: &'a Path,
    /// Where the next plain write goes, by descriptor.
    offsets: HashMap<String, usize>,
    steps: Vec<Step>,
}

impl Reader<'_> {
    fn call(&mut self, call: &str) {
        let Some((name, rest)) = call.split_once('(') else { return };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        let result = result.split([' ', '<']).next().unwrap_or_default();
        let Ok(result) = usize::try_from(result.parse::<i64>().unwrap_or(-1)) else { return };
        let arguments = arguments.trim_end().trim_end_matches(')');
        let arguments: Vec<_> = arguments.split(", ").collect();
        match name {
            "open" | "creat" | "openat" => self.opened(name, &arguments, result),
            "mkdir" => self.push(path_in(None, arguments[0]), Step::MakeFolder),
            "mkdirat" => self.push(path_in(Some(arguments[0]), arguments[1]), Step::MakeFolder),
            "rename" => self.renamed(&path_in(None, arguments[0]), &path_in(None, arguments[1])),
            "renameat" | "renameat2" => {
                let to = path_in(Some(arguments[2]), arguments[3]);
                self.renamed(&path_in(Some(arguments[0]), arguments[1]), &to);
            }
            "unlink" | "rmdir" => self.push(path_in(None, arguments[0]), Step::Unlink),
            "unlinkat" => self.push(path_in(Some(arguments[0]), arguments[1]), Step::Unlink),
            "ftruncate" => {
                self.push(path_of(arguments[0]), |path| Step::SetLength(path, arguments[1].parse().unwrap()));
            }
            "fsync" | "fdatasync" => self.push(path_of(arguments[0]), Step::Sync),
            "lseek" => {
                self.offsets.insert(descriptor(arguments[0]), result);
            }
            "write" | "writev" | "sendto" | "sendmsg" => self.wrote(&arguments, result),
            "pwrite64" => {
                let at = arguments.last().unwrap().parse().unwrap();
                let bytes = strings(arguments[1]);
                self.push(path_of(arguments[0]), |path| Step::Write { path, at, bytes: bytes[..result].to_vec() });
            }
            other => {
                let concerns_store = arguments.iter().any(|argument| self.is_ours(&path_of(argument)));
                assert!(!concerns_store, "{other} on a file of the store is not understood: {call}");
            }
        }
    }

    fn opened(&mut self, name: &str, arguments: &[&str], descriptor: usize) {
        self.offsets.insert(descriptor.to_string(), 0);
        let (path, flags) = match name {
            "openat" => (path_in(Some(arguments[0]), arguments[1]), arguments[2]),
            _ => (path_in(None, arguments[0]), *arguments.get(1).unwrap_or(&"O_CREAT|O_TRUNC")),
        };
        assert!(!flags.contains("O_APPEND") || !self.is_ours(&path), "{}", path.display());
        if flags.contains("O_CREAT") || flags.contains("O_TRUNC") {
            self.push(path, |path| Step::Open { path, cut: flags.contains("O_TRUNC") });
        }
    }

    fn wrote(&mut self, arguments: &[&str], length: usize) {
        let bytes = strings(&arguments[1..].join(", "));
        let bytes = bytes[..length.min(bytes.len())].to_vec();
        let path = path_of(arguments[0]);
        if self.is_ours(&path) {
            let offset = self.offsets.entry(descriptor(arguments[0])).or_default();
            self.steps.push(Step::Write { path, at: *offset, bytes });
            *offset += length;
        } else {
            self.steps.push(Step::Told(bytes));
        }
    }

    fn renamed(&mut self, from: &Path, to: &Path) {
        if self.is_ours(from) || self.is_ours(to) {
            self.steps.push(Step::Rename(from.to_owned(), to.to_owned()));
        }
    }

    fn push(&mut self, path: PathBuf, step: impl FnOnce(PathBuf) -> Step) {
        if self.is_ours(&path) {
            self.steps.push(step(path));
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(self.root)
    }
}

/// The number in `5<path>`.
fn descriptor(argument: &str) -> String {
    argument.split('<').next().unwrap_or_default().to_owned()
}

/// The path in `5<path>`.
fn path_of(argument: &str) -> PathBuf {
    let path = argument.split_once('<').map_or("", |(_, rest)| rest.trim_end_matches('>'));
    PathBuf::from(OsString::from_vec(unescaped(path)))
}

/// A path as a call names it, from the folder that an `…at` call starts at.
fn path_in(folder: Option<&str>, argument: &str) -> PathBuf {
    folder.map(path_of).unwrap_or_default().join(OsString::from_vec(strings(argument)))
}

/// All texts in quotes, one after the other.
fn strings(argument: &str) -> Vec<u8> {
    argument.split('"').skip(1).step_by(2).flat_map(unescaped).collect()
}

/// `\x61\x62`, as `-xx` makes strace write everything.
fn unescaped(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").filter(|digits| digits.len() >= 2);
    digits.map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_what_was_done() {
        let trace = "7 openat(AT_FDCWD<\\x2f>, \"\\x2f\\x73\\x2f\\x61\", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 5<\\x2f\\x73\\x2f\\x61>\n\
                     7 write(5<\\x2f\\x73\\x2f\\x61>, \"\\x01\\x02\", 2) = 2\n\
                     8 fsync(5<\\x2f\\x73\\x2f\\x61> <unfinished ...>\n\
                     7 sendto(9<\\x73>, \"\\x68\\x69\", 2, MSG_NOSIGNAL, NULL, 0) = 2\n\
                     8 <... fsync resumed>)             = 0\n\
                     7 write(5<\\x2f\\x73\\x2f\\x61>, \"\\x03\", 1) = 1\n\
                     7 rename(\"\\x2f\\x73\\x2f\\x61\", \"\\x2f\\x73\\x2f\\x62\") = 0\n\
                     7 rename(\"\\x2f\\x73\\x2f\\x61\", \"\\x2f\\x73\\x2f\\x62\") = -1 ENOENT (No such file)\n";
        let path = PathBuf::from("/s/a");
        assert_eq!(
            read(trace, Path::new("/s")),
            [
                Step::Open { path: path.clone(), cut: true },
                Step::Write { path: path.clone(), at: 0, bytes: vec![1, 2] },
                Step::Told(b"hi".to_vec()),
                Step::Sync(path.clone()),
                Step::Write { path: path.clone(), at: 2, bytes: vec![3] },
                Step::Rename(path, PathBuf::from("/s/b")),
            ]
        );
    }
}
