//! Somebody with a real browser, who plays the scenes of `tests/servers/visitor`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::Process;
use super::promises;
use super::server::servers;
use super::world::World;

/// How long a scene may take.
const SCENE: Duration = Duration::from_secs(150);

/// The folder where pictures are kept to be looked at.
fn output() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output")
}

/// Plays a scene. Whatever servers sent to the browser meanwhile, no token and no secret was in it.
#[track_caller]
pub(crate) fn play(world: &World, scene: &str, settings: &Value) {
    let traffic = play_in(world.folder(), scene, settings);
    let (secrets, access_tokens) = promises::secrets(world);
    for secret in secrets.iter().chain(&access_tokens) {
        assert!(!traffic.contains(secret.as_str()), "a secret reached the browser in the scene {scene}");
    }
}

/// Plays a scene, and returns whatever servers sent to the browser meanwhile.
#[track_caller]
pub(crate) fn play_in(folder: &Path, scene: &str, settings: &Value) -> String {
    play_and_tell(folder, scene, settings).0
}

/// The same, with what the scene itself has to say.
#[track_caller]
pub(crate) fn play_and_tell(folder: &Path, scene: &str, settings: &Value) -> (String, String) {
    let traffic = folder.join(format!("{scene}.traffic"));
    let mut whole = json!({ "output": output(), "traffic": traffic });
    whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut command = Command::new("node");
    command.arg(servers().join("visitor/main.mjs")).arg(scene).arg(whole.to_string());
    let ended = Process::start("the browser", &mut command).wait(SCENE);
    assert_eq!(ended.code(), 0, "{scene}:\n{}\n{}", ended.stdout, ended.stderr);
    (fs::read_to_string(traffic).unwrap_or_default(), ended.stdout)
}
