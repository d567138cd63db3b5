//! What happens, in order.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;

use crate::broker;
use crate::failure::{Attempted as _, Failure};
use crate::flow::{Flow, SeenToken, Sight};
use crate::http::Http;
use crate::person;
use crate::program::{Log, Program};
use crate::provider::{ACCESS_TOKEN_LIFE, CLIENT_ID, CODE_LIFE, Provider};
use crate::stage::{Stage, Who};
use crate::summary::{Facts, Inventory};

const ACCOUNT: &str = "demo";

/// How long anything may take that needs no person and no token's end.
const SOON: Duration = Duration::from_secs(20);

/// Plays it all, with the authorization server at `address`; what is kept is kept in `folder`.
pub(crate) async fn run(stage: &Stage, folder: &Path, address: IpAddr, approve: bool) -> Result<(), Failure> {
    let mut play = Play::set_up(stage, folder, address).await?;
    let signing_in = stage.elapsed();
    play.start_agent().await?;
    play.sign_in(approve).await?;
    let first = play.token("the first token after the sign-in", SOON).await?;
    let signed_in_after = first.at.saturating_sub(signing_in);

    stage.say(Who::Demo, "from here on nobody is needed; the agent refreshes the token before it expires");
    let second = play.refresh(&first).await?;
    stage.say(Who::Demo, "the first refresh has reached the flow");
    let away = play.cut_power().await?;
    let third = play.refresh(&second).await?;
    stage.say(Who::Demo, "the second refresh has reached the flow");
    play.try_expired(&first).await?;

    let retained = Flow::retained(play.broker).await?;
    let memory = play.agent()?.memory().attempted("read the memory of the agent")?;
    let inventory = Inventory::take(folder, &play.provider.secrets(), &play.log)?;
    play.sign_out().await?;
    play.stop_agent().await?;

    let facts = Facts {
        total: stage.elapsed(),
        signed_in_after,
        refreshes: [second.at, third.at],
        away,
        calls: play.flow.calls(),
        provider: play.provider.tally(),
        memory,
        retained,
        inventory,
    };
    Stage::show(facts);
    Ok(())
}

struct Play<'a> {
    stage: &'a Stage,
    config: PathBuf,
    broker: SocketAddr,
    provider: Provider,
    http: Http,
    flow: Flow,
    log: Log,
    agent: Option<Program>,
}

impl<'a> Play<'a> {
    async fn set_up(stage: &'a Stage, folder: &Path, address: IpAddr) -> Result<Self, Failure> {
        let broker = broker::start().attempted("start the broker")?;
        stage.say(Who::Broker, format_args!("MQTT 5 on mqtt://{broker} (rumqttd, in memory)"));
        let provider = Provider::start(stage, address).await.attempted("start the authorization server")?;
        stage.say(
            Who::Provider,
            format_args!(
                "{}: access tokens live {} s, refresh tokens are good once",
                provider.issuer(),
                ACCESS_TOKEN_LIFE.as_secs()
            ),
        );
        let http = Http::new().map_err(|error| Failure::new(error.to_string()))?;
        let flow = Flow::start(broker, provider.userinfo(), http.clone(), stage.clone()).await?;
        stage.say(Who::Flow, "in Node-RED's place: subscribes, calls a protected address with each token");
        let config = folder.join("config.toml");
        let text = configuration(broker, &provider, &folder.join("store"));
        fs::write(&config, &text).attempted("write the configuration")?;
        stage.say(Who::Demo, format_args!("the whole configuration, {}:", config.display()));
        Stage::show(indented(&text));
        Ok(Self { stage, config, broker, provider, http, flow, log: Log::default(), agent: None })
    }

    async fn start_agent(&mut self) -> Result<(), Failure> {
        self.launch_agent()?;
        self.until("the agent to say that it is online", SOON, |sight| matches!(sight, Sight::Online).then_some(()))
            .await
    }

    fn launch_agent(&mut self) -> Result<(), Failure> {
        let agent = Program::agent(&self.config, self.stage, &self.log).attempted("start the agent")?;
        self.stage.say(Who::Agent, format_args!("oauth2mqtt run, process {}", agent.id()));
        self.agent = Some(agent);
        Ok(())
    }

    /// The command `login` has the terminal, while the person or `--approve` opens the link.
    async fn sign_in(&mut self, approve: bool) -> Result<(), Failure> {
        let by_whom = if approve {
            "--approve: the link is opened and approved without you"
        } else if self.provider.is_on_loopback() {
            "your part: open the link in a browser on this machine and press Approve. A phone cannot scan this code, since on \
             a phone 127.0.0.1 is the phone itself; for that, run the demo with --lan"
        } else {
            "your part: scan the code with a phone in the same network, or open the link, and press Approve"
        };
        self.stage.say(Who::Demo, format_args!("oauth2mqtt login {ACCOUNT}"));
        self.stage.say(Who::Demo, by_whom);
        let mut login = Program::on_terminal(&self.config, ["login", ACCOUNT]).attempted("start the login")?;
        let away = self.stage.leave();
        let (http, stage) = (self.http.clone(), self.stage);
        let person = async {
            let offer = |sight| match sight {
                Sight::SignIn { link, user_code } => Some((link, user_code)),
                _ => None,
            };
            let (link, user_code) = self.until("the agent to offer a sign-in", SOON, offer).await?;
            if approve {
                person::approve(&http, &link, &user_code).await?;
            }
            Ok(())
        };
        let patience = if approve { SOON + SOON } else { CODE_LIFE + SOON };
        let ended = async {
            let ended = tokio::time::timeout(patience, login.ended()).await;
            ended.map_err(|_| Failure::new("the login takes too long"))?.attempted("wait for the login")
        };
        // A login that ends in a refusal never makes the offer that the person waits for.
        let status = tokio::select! {
            status = ended => status?,
            failure = async {
                match person.await {
                    Ok(()) => std::future::pending().await,
                    Err(failure) => failure,
                }
            } => return Err(failure),
        };
        drop(away);
        if status.success() {
            stage.say(Who::Demo, "signed in");
            Ok(())
        } else {
            Err(Failure::new(format!("the login failed ({status}); the reason stands above")))
        }
    }

    /// Waits until the token after `last` has reached the flow.
    async fn refresh(&mut self, last: &SeenToken) -> Result<SeenToken, Failure> {
        let changed = |sight| match sight {
            Sight::Token(token) => Some(token).filter(|token| token.fingerprint != last.fingerprint),
            _ => None,
        };
        let next = self.until("the next token", ACCESS_TOKEN_LIFE + SOON, changed).await?;
        let gap = next.at.saturating_sub(last.at);
        if gap >= ACCESS_TOKEN_LIFE {
            let late =
                format!("the next token came {:.1} s after the last, which had expired by then", gap.as_secs_f32());
            return Err(Failure::new(late));
        }
        Ok(next)
    }

    /// Kills the agent and starts it anew; tells how long the flow was without it.
    async fn cut_power(&mut self) -> Result<Duration, Failure> {
        let agent = self.agent.take().ok_or_else(no_agent)?;
        self.stage.say(Who::Demo, "a power cut: the agent is killed (SIGKILL) and started anew");
        let cut = self.stage.elapsed();
        agent.cut_off().attempted("kill the agent")?;
        let gone = |sight| matches!(sight, Sight::Offline).then_some(());
        self.until("the broker to say that the agent is gone", SOON, gone).await?;
        self.launch_agent()?;
        // Tokens are sent before everything else.
        let back = self.token("a token after the power cut", SOON).await?;
        Ok(back.at.saturating_sub(cut))
    }

    /// The first token must be of no use by now, or the other calls prove nothing.
    async fn try_expired(&self, first: &SeenToken) -> Result<(), Failure> {
        let (status, _) = self
            .http
            .call(&self.provider.userinfo(), &first.header)
            .await
            .map_err(|error| Failure::new(format!("the protected address does not answer: {error}")))?;
        self.stage.say(Who::Demo, format_args!("for comparison, the same call with the first token: {status}"));
        if status != StatusCode::UNAUTHORIZED {
            return Err(Failure::new("the protected address takes a token that has expired"));
        }
        Ok(())
    }

    async fn sign_out(&mut self) -> Result<(), Failure> {
        self.stage.say(Who::Demo, format_args!("oauth2mqtt logout {ACCOUNT}"));
        let mut logout = Program::on_terminal(&self.config, ["logout", ACCOUNT]).attempted("start the logout")?;
        let ended = tokio::time::timeout(SOON, logout.ended()).await;
        let status = ended.map_err(|_| Failure::new("the logout takes too long"))?.attempted("wait for the logout")?;
        if !status.success() {
            return Err(Failure::new(format!("the logout failed ({status})")));
        }
        self.until("the token to be withdrawn", SOON, |sight| matches!(sight, Sight::NoToken).then_some(())).await
    }

    async fn stop_agent(&mut self) -> Result<(), Failure> {
        let agent = self.agent.take().ok_or_else(no_agent)?;
        let status = agent.stop().await.attempted("stop the agent")?;
        if !status.success() {
            return Err(Failure::new(format!("the agent ended with a failure when it was asked to stop ({status})")));
        }
        self.until("the agent to say that it is gone", SOON, |sight| matches!(sight, Sight::Offline).then_some(()))
            .await
    }

    async fn token(&mut self, what: &str, within: Duration) -> Result<SeenToken, Failure> {
        let token = |sight| match sight {
            Sight::Token(token) => Some(token),
            _ => None,
        };
        self.until(what, within, token).await
    }

    /// Waits until the flow sees what `pick` takes, as long as the agent, if there is one, runs.
    async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        pick: impl Fn(Sight) -> Option<T>,
    ) -> Result<T, Failure> {
        let Self { flow, agent, .. } = self;
        let seen = async {
            loop {
                match flow.next().await {
                    Sight::Broken(failure) => return Err(failure),
                    sight => {
                        if let Some(picked) = pick(sight) {
                            return Ok(picked);
                        }
                    }
                }
            }
        };
        let died = async {
            match agent {
                Some(agent) => agent.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            seen = seen => seen,
            status = died => {
                let status = status.attempted("watch the agent")?;
                Err(Failure::new(format!("the agent ended ({status}); its last lines stand above")))
            }
            () = tokio::time::sleep(within) => {
                Err(Failure::new(format!("waited {} s in vain for {what}", within.as_secs())))
            }
        }
    }

    fn agent(&self) -> Result<&Program, Failure> {
        self.agent.as_ref().ok_or_else(no_agent)
    }
}

fn no_agent() -> Failure {
    Failure::new("the agent is not running")
}

fn configuration(broker: SocketAddr, provider: &Provider, store: &Path) -> String {
    let issuer = provider.issuer();
    // This server has no certificate, and the agent sends tokens in the clear to this machine alone unless it is told to.
    let allow_http = if provider.is_on_loopback() { "" } else { "allow_http = true\n" };
    format!(
        "[mqtt]\n\
         url = \"mqtt://{broker}\"\n\
         \n\
         [store]\n\
         path = \"{}\"\n\
         \n\
         [accounts.{ACCOUNT}]\n\
         issuer = \"{issuer}\"\n\
         client_id = \"{CLIENT_ID}\"\n\
         scopes = [\"openid\", \"email\", \"offline_access\"]\n{allow_http}",
        store.display()
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("{:>21}{line}", "").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
