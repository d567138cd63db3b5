//! Where secrets are in the memory of an idle agent, and that nobody else may look.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::report::Row;
use crate::support::broker::{Door, PASSWORD};
use crate::support::clock::wait_until;
use crate::support::process::Process;
use crate::support::server::Secrets;
use crate::support::world::{Client, Setup, World};

/// The most copies of one secret that is in use. Four were measured, of the client's secret: one is held, the others are in
/// buffers that libraries have freed. Two more are allowed, since the load decides which of those are overwritten.
const MOST_OF_USED: usize = 6;
/// The most copies of one secret that no longer is. Two were measured, of a refresh token, all in freed buffers; one more is allowed.
const MOST_OF_FORMER: usize = 3;

#[test]
fn secrets_are_few_in_the_memory_of_an_idle_agent() {
    let mut world = Setup::new()
        .door(Door::Password)
        .token_life(3_600)
        .account_with("garden", Client::SecretInBody, "")
        .account_with("house", Client::Public, "publish = \"on_request\"")
        .start();
    world.sign_in("garden");
    let code = world.login("house");
    world.oidc().approve(code["user_code"].as_str().unwrap(), "ann");
    world.wait_for_state("house", "active");
    for _ in 0..3 {
        world.refresh("garden");
        world.refresh("house");
    }
    assert_eq!(world.subscriber.request("token", "house")["status"], "ok");
    wait_until_idle(&mut world);
    let memory = memory_of(world.agent());

    let Secrets { client, device_code, access_token, refresh_token, id_token, .. } = world.oidc().secrets();
    let newest = |tokens: &[String], count: usize| tokens[tokens.len() - count..].to_vec();
    let former = |tokens: &[String], count: usize| tokens[..tokens.len() - count].to_vec();
    let key = fs::read(world.store().join("key")).unwrap();
    let kinds: BTreeMap<&str, (Vec<Vec<u8>>, usize)> = [
        ("access token", (newest(&access_token, 2), MOST_OF_USED)),
        ("refresh token", (newest(&refresh_token, 2), MOST_OF_USED)),
        ("client secret", (client[..1].to_vec(), MOST_OF_USED)),
        ("broker password", (vec![PASSWORD.to_owned()], MOST_OF_USED)),
        ("former access token", (former(&access_token, 2), MOST_OF_FORMER)),
        ("former refresh token", (former(&refresh_token, 2), MOST_OF_FORMER)),
        ("device code", (device_code, MOST_OF_FORMER)),
        ("ID token", (id_token, MOST_OF_FORMER)),
    ]
    .into_iter()
    .map(|(kind, (secrets, most))| (kind, (secrets.into_iter().map(String::into_bytes).collect(), most)))
    // It is wiped once the cipher has its own.
    .chain([("store's key", (vec![key], 0))])
    .collect();
    let mut over = Vec::new();
    for (kind, (secrets, most)) in kinds {
        let copies: Vec<_> = secrets.iter().map(|secret| count(&memory, secret)).collect();
        let worst = copies.iter().copied().max().unwrap();
        Row::new(format!("none: {kind} in the memory of an idle agent"), copies.len())
            .remark(format!("{worst} copies at most, {} in all", copies.iter().sum::<usize>()))
            .write();
        if worst > most {
            over.push(format!("{kind}: {copies:?}, and {most} are allowed"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

#[test]
fn no_other_program_may_read_the_memory_or_the_environment() {
    let world = Setup::new().account("garden").without_agent();
    fs::set_permissions(world.folder(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let agent = world.command(&["run"]);
    // As root nothing is kept from anybody, so as another user.
    let script = format!(
        "cp {} {folder}/agent && mkdir -m 700 {folder}/store && chown nobody {folder}/store && chmod 644 {folder}/config.toml && \
         exec setpriv --reuid=nobody --clear-groups {folder}/agent run",
        agent.get_program().display(),
        folder = world.folder().display()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).env("OAUTH2MQTT_CONFIG", world.config());
    let agent = Process::start("the agent", &mut command);
    world.subscriber.wait("oauth2mqtt/bridge/state", |state| state["state"] == "online");
    for file in ["mem", "environ", "maps"] {
        // The kernel gives the files of a process that is not to be dumped to root.
        let owner = fs::metadata(format!("/proc/{}/{file}", agent.pid().as_raw_nonzero())).unwrap().uid();
        assert_eq!(owner, 0, "{file}");
    }
    agent.kill();
}

/// Waits until it has done nothing for a while.
fn wait_until_idle(world: &mut World) {
    let mut messages = world.subscriber.mark();
    wait_until("the agent to be idle", std::time::Duration::from_secs(60), || {
        std::thread::sleep(std::time::Duration::from_secs(3));
        std::mem::replace(&mut messages, world.subscriber.mark()) == messages
    });
}

/// All that the process can write to and has written to, in connected pieces.
fn memory_of(process: &Process) -> Vec<Vec<u8>> {
    const PAGE: usize = 4096;
    let pid = process.pid().as_raw_nonzero();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the memory of another process is for root to read");
    let is_writable = |line: &&str| line.split_whitespace().nth(1).is_some_and(|rights| rights.starts_with("rw"));
    let ranges = maps.lines().filter(is_writable).filter_map(|line| line.split_whitespace().next()?.split_once('-'));
    let mut pieces = Vec::new();
    for (from, to) in ranges {
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let mut piece = Vec::new();
        for at in (number(from)..number(to)).step_by(PAGE) {
            let mut page = [0; PAGE];
            // What was never touched may not be readable, and has nothing in it.
            if memory.read_exact_at(&mut page, at).is_ok() && page != [0; PAGE] {
                piece.extend_from_slice(&page);
            } else if !piece.is_empty() {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        pieces.push(piece);
    }
    pieces
}

fn count(memory: &[Vec<u8>], secret: &[u8]) -> usize {
    let in_piece = |piece: &Vec<u8>| {
        // Not UTF-8, but a search that is made for text is much faster.
        let text: String = piece.iter().map(|byte| char::from(*byte)).collect();
        let secret: String = secret.iter().map(|byte| char::from(*byte)).collect();
        text.matches(&secret).count()
    };
    memory.iter().map(in_piece).sum()
}
