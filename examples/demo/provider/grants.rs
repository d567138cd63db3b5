//! What the authorization server has given out, and its rules: no HTTP, and the time comes in with each question.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long an access token lives: short, so that refreshes can be watched.
pub(crate) const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(20);

/// How long a device code lives.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(600);

/// The least time between two polls, until a client polls too fast.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// No vowel, so that no word comes about, and nothing that looks like a digit (RFC 8628 6.1).
const USER_CODE_LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";

/// Why a request is refused (RFC 6749 5.2 and RFC 8628 3.5).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    InvalidGrant,
}

impl Refusal {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::InvalidGrant => "invalid_grant",
        }
    }
}

/// What the person said on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    Deny,
}

/// What a device shows to its user (RFC 8628 3.2).
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) interval: Duration,
}

/// What a sign-in or a refresh brings (RFC 6749 5.1).
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) scope: String,
}

/// What happened here, for the summary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sign_ins: u32,
    pub(crate) refreshes: u32,
    pub(crate) polls: u32,
    pub(crate) polls_too_fast: u32,
    pub(crate) spent_tokens_seen: u32,
}

struct PendingCode {
    user_code: String,
    scope: String,
    expires: Instant,
    interval: Duration,
    last_heard: Instant,
    decision: Option<Decision>,
}

/// All tokens that come from one approval; they end together.
struct Grant {
    scope: String,
    revoked: bool,
}

#[derive(Clone, Copy)]
struct GrantId(usize);

struct RefreshToken {
    grant: GrantId,
    spent: bool,
}

struct AccessToken {
    grant: GrantId,
    expires: Instant,
}

/// Everything that was given out.
#[derive(Default)]
pub(crate) struct Grants {
    codes: HashMap<String, PendingCode>,
    approved: Vec<Grant>,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
    spent_codes: Vec<String>,
    tally: Tally,
}

impl Grants {
    /// Begins a sign-in.
    pub(crate) fn begin(&mut self, scope: &str, now: Instant) -> Begun {
        let device_code = random_token();
        let user_code = random_user_code();
        let pending = PendingCode {
            user_code: user_code.clone(),
            scope: scope.to_owned(),
            expires: now + CODE_LIFE,
            interval: POLL_INTERVAL,
            last_heard: now,
            decision: None,
        };
        self.codes.insert(device_code.clone(), pending);
        Begun { device_code, user_code, interval: POLL_INTERVAL }
    }

    /// What a device asks for under `user_code`, if that code still waits for a decision.
    pub(crate) fn scope_asked(&mut self, user_code: &str, now: Instant) -> Option<&str> {
        self.waiting(user_code, now).map(|pending| pending.scope.as_str())
    }

    /// Takes the person's decision; false if the code does not wait for one.
    pub(crate) fn decide(&mut self, user_code: &str, decision: Decision, now: Instant) -> bool {
        let pending = self.waiting(user_code, now);
        let found = pending.is_some();
        if let Some(pending) = pending {
            pending.decision = Some(decision);
        }
        found
    }

    fn waiting(&mut self, user_code: &str, now: Instant) -> Option<&mut PendingCode> {
        let typed = canonical_user_code(user_code);
        let mut codes = self.codes.values_mut();
        codes.find(|pending| pending.user_code == typed && pending.decision.is_none() && now < pending.expires)
    }

    /// Answers a poll (RFC 8628 3.4 and 3.5).
    pub(crate) fn poll(&mut self, device_code: &str, now: Instant) -> Result<Issued, Refusal> {
        self.tally.polls += 1;
        let pending = self.codes.get_mut(device_code).ok_or(Refusal::InvalidGrant)?;
        let since_last = now.duration_since(pending.last_heard);
        pending.last_heard = now;
        if now >= pending.expires {
            return Err(Refusal::ExpiredToken);
        }
        if since_last < pending.interval {
            pending.interval += Duration::from_secs(5);
            self.tally.polls_too_fast += 1;
            return Err(Refusal::SlowDown);
        }
        match pending.decision {
            None => Err(Refusal::AuthorizationPending),
            Some(Decision::Deny) => Err(Refusal::AccessDenied),
            Some(Decision::Approve) => {
                let scope = pending.scope.clone();
                self.codes.remove(device_code);
                self.spent_codes.push(device_code.to_owned());
                self.tally.sign_ins += 1;
                let grant = GrantId(self.approved.len());
                self.approved.push(Grant { scope, revoked: false });
                Ok(self.issue(grant, now))
            }
        }
    }

    /// Exchanges a refresh token for new tokens and spends it. Whoever shows a spent one may be a thief, or may have
    /// been robbed, so that ends the whole grant (RFC 9700 4.14.2).
    pub(crate) fn refresh(&mut self, refresh_token: &str, now: Instant) -> Result<Issued, Refusal> {
        let shown = self.refresh_tokens.get_mut(refresh_token).ok_or(Refusal::InvalidGrant)?;
        let grant = shown.grant;
        if shown.spent {
            self.tally.spent_tokens_seen += 1;
            self.approved[grant.0].revoked = true;
        }
        shown.spent = true;
        if self.approved[grant.0].revoked {
            return Err(Refusal::InvalidGrant);
        }
        self.tally.refreshes += 1;
        Ok(self.issue(grant, now))
    }

    /// Ends the grant that `token` belongs to; true if there was one to end (RFC 7009 2.1).
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let by_refresh_token = self.refresh_tokens.get(token).map(|token| token.grant);
        let grant = by_refresh_token.or_else(|| self.access_tokens.get(token).map(|token| token.grant));
        let Some(GrantId(index)) = grant else { return false };
        !std::mem::replace(&mut self.approved[index].revoked, true)
    }

    /// Whether `access_token` opens the protected address now.
    pub(crate) fn accepts(&self, access_token: &str, now: Instant) -> bool {
        let token = self.access_tokens.get(access_token);
        token.is_some_and(|token| now < token.expires && !self.approved[token.grant.0].revoked)
    }

    /// What happened so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Every secret that was ever given out.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let live = self.codes.keys().chain(self.refresh_tokens.keys()).chain(self.access_tokens.keys());
        live.chain(&self.spent_codes).cloned().collect()
    }

    fn issue(&mut self, grant: GrantId, now: Instant) -> Issued {
        let access_token = random_token();
        let refresh_token = random_token();
        self.access_tokens.insert(access_token.clone(), AccessToken { grant, expires: now + ACCESS_TOKEN_LIFE });
        self.refresh_tokens.insert(refresh_token.clone(), RefreshToken { grant, spent: false });
        Issued { access_token, refresh_token, scope: self.approved[grant.0].scope.clone() }
    }
}

/// 192 random bits, in characters that need no escaping anywhere.
fn random_token() -> String {
    let random = || getrandom::u64().expect("the kernel gives random numbers");
    format!("{:016x}{:016x}{:016x}", random(), random(), random())
}

/// Eight letters in two groups.
fn random_user_code() -> String {
    let letters: String = (0..8).filter_map(|_| fastrand::choice(USER_CODE_LETTERS)).map(char::from).collect();
    canonical_user_code(&letters)
}

/// The code as it is shown, from whatever way a person typed it.
pub(super) fn canonical_user_code(typed: &str) -> String {
    let letters: Vec<char> =
        typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let (first, second) = letters.split_at(letters.len().min(4));
    format!("{}-{}", String::from_iter(first), String::from_iter(second))
}
