//! The file systems that the store lies on: whether they forget at a boot, and who made them read-only.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The kinds of file system that are in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];
/// The same, as the kernel numbers them (`statfs(2)`).
const MAGIC: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// One line of `/proc/self/mountinfo` (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    /// Options of this mount, such as `ro` of a service's sandbox.
    options: String,
    kind: String,
    source: String,
    /// Options of the file system, whoever mounts it.
    super_options: String,
}

/// Returns whether a file lies in memory.
pub(super) fn is_in_memory(file: impl AsFd) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|stat| {
        #[expect(clippy::cast_sign_loss, reason = "a number of 32 bits, whose type differs between architectures")]
        let kind = stat.f_type as u64 & 0xffff_ffff;
        MAGIC.contains(&kind)
    })
}

/// Says why what is written to `path` is forgotten at the next boot, if it is.
pub(super) fn forgets(path: &Path) -> Option<String> {
    forgets_by(&mounts(), &existing(path)?)
}

/// Returns whether `path` is read-only because the service's own sandbox makes it so, not the disk.
pub(super) fn is_read_only_by_sandbox(path: &Path) -> bool {
    existing(path).is_some_and(|path| is_read_only_mount(&mounts(), &path))
}

/// Returns the real path of the nearest folder above that there is.
fn existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|ancestor| fs::canonicalize(ancestor).ok())
}

fn mounts() -> Vec<Mount> {
    parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn forgets_by(mounts: &[Mount], path: &Path) -> Option<String> {
    let mount = holding(mounts, path)?;
    let point = mount.point.display();
    if IN_MEMORY.contains(&mount.kind.as_str()) {
        return Some(format!("{point} is in memory ({}, {})", mount.kind, mount.source));
    }
    if mount.source.starts_with("/dev/zram") || mount.source.starts_with("/dev/ram") {
        return Some(format!("{point} is in memory ({})", mount.source));
    }
    let upper = mount.super_options.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
    let below = holding(mounts, Path::new(upper)).filter(|_| mount.kind == "overlay")?;
    let in_memory = IN_MEMORY.contains(&below.kind.as_str());
    in_memory.then(|| format!("{point} is an overlay whose changes are in memory ({upper}, {})", below.kind))
}

fn is_read_only_mount(mounts: &[Mount], path: &Path) -> bool {
    let has = |options: &str, wanted: &str| options.split(',').any(|option| option == wanted);
    holding(mounts, path).is_some_and(|mount| has(&mount.options, "ro") && has(&mount.super_options, "rw"))
}

/// Returns the mount that `path` is on: of those with the longest path, the last one, which covers the others.
fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

fn parse(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            let mut mount = mount.split(' ').skip(4);
            let mut file_system = file_system.split(' ');
            Some(Mount {
                point: unescaped(mount.next()?).into(),
                options: mount.next()?.to_owned(),
                kind: file_system.next()?.to_owned(),
                source: file_system.next()?.to_owned(),
                super_options: file_system.next()?.to_owned(),
            })
        })
        .collect()
}

/// Undoes the octal escapes of blanks and backslashes.
fn unescaped(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI: &str = "\
21 1 0:20 / / rw,relatime - overlay overlayroot rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay,workdir=/w
22 21 179:2 / /media/root-ro ro,relatime - ext4 /dev/mmcblk0p2 ro
23 21 0:21 / /media/root-rw rw,relatime - tmpfs tmpfs-root rw
24 21 8:1 / /mnt/usb\\040stick rw,relatime - ext4 /dev/sda1 rw
25 21 0:22 / /var/log rw,relatime - tmpfs log2ram rw,size=40960k
26 21 254:0 / /var/zram rw - ext4 /dev/zram0 rw
";
    const SANDBOX: &str = "\
21 1 179:2 / / ro,relatime - ext4 /dev/mmcblk0p2 rw
22 21 179:2 /var/lib/oauth2mqtt /var/lib/oauth2mqtt rw,relatime - ext4 /dev/mmcblk0p2 rw
23 21 8:1 / /mnt/broken ro,relatime - ext4 /dev/sda1 ro
";

    #[test]
    fn what_is_in_memory_is_found_and_the_rest_is_not() {
        let mounts = parse(PI);
        let says = |path: &str| forgets_by(&mounts, Path::new(path));
        assert_eq!(
            says("/var/lib/oauth2mqtt").unwrap(),
            "/ is an overlay whose changes are in memory (/media/root-rw/overlay, tmpfs)"
        );
        assert_eq!(says("/var/log/oauth2mqtt").unwrap(), "/var/log is in memory (tmpfs, log2ram)");
        assert_eq!(says("/var/zram/x").unwrap(), "/var/zram is in memory (/dev/zram0)");
        assert_eq!(says("/mnt/usb stick/store"), None);
        let container =
            "1 0 0:5 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/a/diff,workdir=/w";
        assert_eq!(forgets_by(&parse(container), Path::new("/var/lib/oauth2mqtt")), None);
    }

    #[test]
    fn a_sandbox_is_told_from_a_disk_that_is_read_only() {
        let mounts = parse(SANDBOX);
        let is = |path: &str| is_read_only_mount(&mounts, Path::new(path));
        assert_eq!(
            [is("/mnt/data"), is("/var/lib/oauth2mqtt"), is("/mnt/broken/store"), is("/srv")],
            [true, false, false, true]
        );
    }

    #[test]
    fn this_system_is_read() {
        assert!(mounts().iter().any(|mount| mount.point == Path::new("/")));
    }
}
