//! A provider that rotates refresh tokens, gets tired, and has an outage.

use std::collections::BTreeMap;
use std::time::Duration;

use oauth2mqtt::testing::{
    Approval, Authorization, DeviceAuthorization, Fault, FaultCode, Secret, SignInEnd, TokenAnswer,
};

use crate::report::Span;

/// How long a used refresh token is still taken, in seconds, as the grace periods of real providers are.
const GRACE: u64 = 30;

/// What it tells those to wait whom it has no room for, in seconds.
const RETRY_AFTER: u64 = 120;

/// For how many requests in a second it has room while it is tired.
const ROOM: u32 = 3;

pub(crate) struct Provider {
    life: u64,
    outage: Span,
    throttled: Span,
    /// What was asked in each second.
    pub(crate) asked: Vec<u32>,
    /// How many were told to come later.
    pub(crate) refused: u64,
    pub(crate) asked_too_early: u64,
    grants: Vec<Grant>,
}

/// The sign-in of one device, as the provider knows it.
#[derive(Clone, Copy, Default)]
struct Grant {
    serial: u64,
    rotated_at: u64,
    /// Not to come before.
    not_before: u64,
    ended: bool,
}

impl Provider {
    pub(crate) fn new(life: u64, outage: Span, throttled: Span) -> Self {
        Self { life, outage, throttled, asked: Vec::new(), refused: 0, asked_too_early: 0, grants: Vec::new() }
    }

    /// The tokens of a new sign-in.
    pub(crate) fn sign_in(&mut self, device: usize, now: u64) -> TokenAnswer {
        self.grants.resize(self.grants.len().max(device + 1), Grant::default());
        self.tokens(0, now)
    }

    pub(crate) fn refresh(&mut self, device: usize, refresh_token: &Secret, now: u64) -> Result<TokenAnswer, Fault> {
        let in_this_second = self.count(now);
        let grant = &mut self.grants[device];
        self.asked_too_early += u64::from(now < grant.not_before);
        if self.outage.contains(now) {
            return Err(Fault::passing(FaultCode::ProviderUnavailable, "HTTP 503."));
        }
        if self.throttled.contains(now) && in_this_second > ROOM {
            grant.not_before = now + RETRY_AFTER;
            self.refused += 1;
            let fault = Fault::passing(FaultCode::RateLimited, "HTTP 429.");
            return Err(fault.retry_after(Some(Duration::from_secs(RETRY_AFTER))));
        }
        let presented: u64 = refresh_token.expose().parse().unwrap();
        let is_newest = presented == grant.serial;
        let is_within_grace = presented + 1 == grant.serial && now <= grant.rotated_at + GRACE;
        if grant.ended || !(is_newest || is_within_grace) {
            grant.ended = true;
            return Err(Fault::ask_user(FaultCode::InvalidGrant, "Used already."));
        }
        if is_newest {
            *grant = Grant { serial: grant.serial + 1, rotated_at: now, ..*grant };
        }
        let serial = grant.serial;
        Ok(self.tokens(serial, now))
    }

    /// The first tokens of a client in its own right.
    pub(crate) fn obtain(&mut self, device: usize, now: u64) -> TokenAnswer {
        self.count(now);
        TokenAnswer { refresh_token: None, ..self.sign_in(device, now) }
    }

    /// A code that nobody approves.
    pub(crate) fn authorize(&mut self, now: u64) -> Authorization {
        self.count(now);
        let approval = Approval::Device(DeviceAuthorization {
            device_code: Secret::new("device code".to_owned()),
            user_code: "ABCD-EFGH".to_owned(),
            verification_uri: "https://id.example/device".to_owned(),
            verification_uri_complete: None,
            interval: Duration::from_secs(5),
            poll_parameters: BTreeMap::new(),
        });
        Authorization { approval, expires_in: Some(Duration::from_secs(600)) }
    }

    /// How much has been asked in this second by now.
    fn count(&mut self, now: u64) -> u32 {
        let second = usize::try_from(now).unwrap();
        self.asked.resize(self.asked.len().max(second + 1), 0);
        self.asked[second] += 1;
        self.asked[second]
    }

    /// An access token here is the second at which it ends, so that whoever holds one can be told whether it is good.
    fn tokens(&self, serial: u64, now: u64) -> TokenAnswer {
        TokenAnswer {
            access_token: Secret::new((now + self.life).to_string()),
            refresh_token: Some(Secret::new(serial.to_string())),
            expires_in: Some(Duration::from_secs(self.life)),
            sign_in_end: SignInEnd::NotSaid,
            scope: None,
            extra: BTreeMap::new(),
        }
    }
}
