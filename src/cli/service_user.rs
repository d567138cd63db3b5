//! Becoming the user that the service runs as, so that `check` sees what the agent will see.

use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

/// The configuration that the service reads.
const CONFIG: &str = "/etc/oauth2mqtt/config.toml";
const SERVICE: &str = "oauth2mqtt.service";

/// Runs this command again as the user of the service, where root runs it on the service's own configuration; does not return
/// then. Root can read a secret that the agent cannot.
///
/// # Errors
/// When there is such a user and the rights cannot be dropped.
pub(super) fn become_service_user(config: &Path) -> io::Result<()> {
    if !geteuid().is_root() || config != Path::new(CONFIG) {
        return Ok(());
    }
    let Some((user, group)) = service_user().and_then(|name| find(&fs::read_to_string("/etc/passwd").ok()?, &name))
    else {
        return Ok(());
    };
    if user == 0 {
        return Ok(());
    }
    Err(Command::new("/proc/self/exe").args(env::args_os().skip(1)).uid(user).gid(group).exec())
}

/// Returns the user's name in the unit, drop-ins included; `None` without systemd or such a service.
fn service_user() -> Option<String> {
    let show = ["show", SERVICE, "--property=User", "--value"];
    let output = Command::new("systemctl").args(show).stderr(Stdio::null()).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

/// Finds a user's number and group (passwd(5)).
fn find(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let mut numbers = fields.skip(1).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\noauth2mqtt-old:x:7:7::/:/\noauth2mqtt:x:998:997:OAuth:/:/\nbad:x:a\n";
        assert_eq!(find(passwd, "oauth2mqtt"), Some((998, 997)));
        assert_eq!((find(passwd, "root"), find(passwd, "oauth2"), find(passwd, "bad")), (Some((0, 0)), None, None));
    }
}
