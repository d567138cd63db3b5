//! What has to be downloaded and stored.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::figures::{Effort, number};
use crate::peers;
use crate::support::files_below;
use crate::support::process::run_tool;
use crate::support::world::binary;
use crate::table::{Table, Who};

pub(crate) fn sizes(table: &mut Table, _: Effort) {
    table.begin("Size");
    table.add("program", "B", vec![number(fs::metadata(binary()).unwrap().len())]);
    // Where it was built: `cross/build amd64`.
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/package");
    if packages.is_dir()
        && let Some(package) = files_below(&packages).iter().find(|path| path.to_string_lossy().ends_with("_amd64.deb"))
    {
        table.add("package", "B", vec![number(fs::metadata(package).unwrap().len())]);
    }

    let (mut programs, mut package) = (0, 0);
    for name in ["oidc-agent-cli", "liboidc-agent4"] {
        let files = String::from_utf8(run_tool(Command::new("dpkg").args(["--listfiles", name]))).unwrap();
        let binaries = files.lines().filter(|path| path.starts_with("/usr/bin/") || path.contains("/lib"));
        programs += binaries.map(size).sum::<u64>();
        let shown = run_tool(Command::new("apt-cache").args(["show", "--no-all-versions", name]));
        let shown = String::from_utf8(shown).unwrap();
        let line = shown.lines().find_map(|line| line.strip_prefix("Size: ")).unwrap();
        package += line.parse::<u64>().unwrap();
    }
    table.add_of(Who::OidcAgent, "program", "B", vec![number(programs)]);
    table.add_of(Who::OidcAgent, "package", "B", vec![number(package)]);

    let modules = files_below(&peers::node_modules()).iter().map(|path| size(&path.to_string_lossy())).sum::<u64>();
    let node = fs::metadata(peers::node()).unwrap().len();
    table.add_of(Who::NodeRed, "program", "B", vec![number(modules + node)]);
}

fn size(path: &str) -> u64 {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map_or(0, |file| file.size())
}
