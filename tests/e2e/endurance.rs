//! Hundreds of refreshes and a power cut every now and then: what is promised to hold for years, in minutes.
//!
//! With every refresh the provider uses up a refresh token, and ends the grant if it sees that token again. So the one
//! thing that a power cut may cost is a sign-in whose refresh the provider had already answered when the agent died.
//! `OAUTH2MQTT_ENDURANCE=long` makes it 200 refreshes and 20 power cuts.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::clock::{Deadline, unix_now, wait_until};
use crate::support::hex;
use crate::support::oidc::TokenRequest;
use crate::support::world::{Client, Setup, World};

const LIFE: u32 = 8;

/// How far the clocks of what is measured may be apart: the request that a dying agent has sent is still answered.
const SLACK: f64 = 0.5;

struct Scale {
    accounts: usize,
    refreshes: usize,
    cuts: usize,
}

fn scale() -> Scale {
    if std::env::var("OAUTH2MQTT_ENDURANCE").is_ok_and(|value| value == "long") {
        Scale { accounts: 6, refreshes: 200, cuts: 20 }
    } else {
        Scale { accounts: 3, refreshes: 12, cuts: 4 }
    }
}

/// The course of one test.
struct Course {
    world: World,
    accounts: Vec<String>,
    /// The levels of further tokens.
    further: &'static [&'static str],
    /// When the agent was killed.
    cuts: Vec<f64>,
    /// The refused refreshes that are accounted for, by when they arrived.
    excused: Vec<TokenRequest>,
}

#[test]
fn power_cuts_at_random_moments_cost_no_sign_in_but_where_the_answer_was_cut_off() {
    run("", &[]);
}

#[test]
fn power_cuts_between_the_rotations_of_several_tokens_cost_no_more() {
    run(
        "scopes = [\"openid\", \"offline_access\", \"files.read\", \"mail.send\"]\n\
         tokens.files = { resource = \"https://files.example.com/\", scopes = [\"files.read\"] }\n\
         tokens.mail = { resource = \"https://mail.example.com/\", scopes = [\"mail.send\"] }",
        &["files/", "mail/"],
    );
}

/// Accounts with these further settings, which have these further tokens.
fn run(settings: &str, further: &'static [&'static str]) {
    let Scale { accounts, refreshes, cuts } = scale();
    let accounts: Vec<_> = (1..=accounts).map(|number| format!("account-{number}")).collect();
    let setup = Setup::new().token_life(LIFE).provider("latency_ms", json!([0, 60]));
    let world = accounts.iter().fold(setup, |setup, name| setup.account_with(name, Client::Public, settings)).start();
    for account in &accounts {
        world.sign_in(account);
    }
    let mut course = Course { world, accounts, further, cuts: Vec::new(), excused: Vec::new() };
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    for cut in 1..=cuts {
        course.go_on_until(refreshes * cut / (cuts + 1));
        // Every other cut is aimed at a refresh; the others come when they come.
        let reach = if cut % 2 == 0 { 60 } else { 3_000 };
        if cut % 2 == 0 {
            course.go_on_until(course.refreshes() + 1);
        }
        std::thread::sleep(Duration::from_millis(chance.u64(0..reach)));
        course.cut();
    }
    course.go_on_until(refreshes);
    course.all_is_well_again();
    eprintln!(
        "{} refreshes, {} power cuts, {} sign-ins lost to an answer that a cut kept from the agent, 0 to anything else",
        course.refreshes(),
        course.cuts.len(),
        course.excused.len()
    );
}

impl Course {
    fn refreshes(&self) -> usize {
        self.world.oidc().refreshes().iter().filter(|refresh| refresh.rotated).count()
    }

    /// Lets time pass until there have been so many refreshes, signing in again where that is excusable.
    fn go_on_until(&mut self, refreshes: usize) {
        let deadline = Deadline::within(Duration::from_secs(120));
        while self.refreshes() < refreshes {
            assert!(!deadline.has_passed(), "no {refreshes} refreshes in two minutes");
            self.sign_in_where_excusable();
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// The power is cut, and comes back at once.
    fn cut(&mut self) {
        self.world.kill_agent();
        self.cuts.push(unix_now());
        self.world.start_agent();
    }

    fn sign_in_where_excusable(&mut self) {
        for refused in self.world.oidc().refreshes() {
            // A further token that is refused has the account's own refresh try the same refresh token.
            let is_new = self
                .excused
                .iter()
                .all(|known| known.received_at < refused.received_at && known.presented != refused.presented);
            if refused.error.as_deref() == Some("invalid_grant") && is_new {
                let account = self.excuse(&refused);
                self.excused.push(refused);
                let status = format!("oauth2mqtt/{account}/status");
                self.world.subscriber.wait(&status, |status| status["error"]["code"] == "refresh_interrupted");
                self.world.sign_in(&account);
            }
        }
    }

    /// Fails the test unless a cut kept the answer to an earlier refresh with the same token from the agent. Says whose
    /// sign-in it was.
    fn excuse(&self, refused: &TokenRequest) -> String {
        let log = self.world.oidc().refreshes();
        let used_up = log.iter().find(|earlier| earlier.rotated && earlier.presented == refused.presented);
        let Some(used_up) = used_up else { panic!("a refresh token was refused that was never used up: {refused:?}") };
        let begin = used_up.received_at - SLACK;
        let end = used_up.answered_at.unwrap_or(used_up.received_at) + SLACK;
        let was_cut = self.cuts.iter().any(|cut| (begin..=end).contains(cut));
        assert!(was_cut, "an old refresh token was used without a cut: {used_up:?} {refused:?} {:?}", self.cuts);
        let fingerprint = used_up.access_token.as_ref().unwrap();
        assert!(
            !self.published().contains(fingerprint),
            "a token was published, and then its sign-in was lost: {used_up:?}"
        );
        used_up.user.clone().unwrap()
    }

    /// The fingerprints of all access tokens that were ever published.
    fn published(&self) -> HashSet<String> {
        let messages = self.world.subscriber.messages();
        messages.iter().filter_map(|message| message.access_token()).map(fingerprint).collect()
    }

    /// Every account has a token that the provider takes, and no trouble.
    fn all_is_well_again(&mut self) {
        wait_until("every account to be well", Duration::from_secs(60), || {
            self.sign_in_where_excusable();
            self.accounts.iter().all(|account| {
                let topic = |topic: &str| self.world.subscriber.latest(&format!("oauth2mqtt/{account}/{topic}"));
                let well = topic("status").is_some_and(|status| status.json["state"] == "active");
                let is_good = |level: &str| {
                    let token = topic(&format!("{level}token"));
                    let token = token.as_ref().and_then(|token| token.access_token());
                    token.is_some_and(|token| self.world.oidc().me(token).status == 200)
                };
                well && is_good("") && self.further.iter().all(|level| is_good(level))
            })
        });
    }
}

/// As `tests/servers/journal.mjs` makes it.
fn fingerprint(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes())[..6])
}
