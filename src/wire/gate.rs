//! The messages of the gate.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::gate::sessions::GateSession;

/// The `sign_out` of a request that signs everybody out.
pub(crate) const EVERYBODY: &str = "*";

/// The payload of `bridge/gate`, which is not retained: something that happened at the gate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GateEventMessage<'a> {
    /// `signed_in`, `signed_out`, `expired` or `refused`.
    pub event: &'static str,
    /// Who it was, as far as that is known.
    pub user: Option<&'a str>,
    /// The way of the sign-in: `browser` or `phone`.
    pub way: Option<&'static str>,
    /// The address of the browser, as far as that is known.
    pub from: Option<IpAddr>,
    /// Why, where that is not plain.
    pub reason: Option<&'static str>,
    /// When, in Unix seconds.
    pub at: i64,
}

/// The data of the response to `gate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GateMessage {
    /// The number of sessions that this request ended.
    pub signed_out: usize,
    /// The sessions that go on.
    pub sessions: Vec<GateSessionMessage>,
}

/// A session at the gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GateSessionMessage {
    /// The verified e-mail address, or else the subject.
    pub user: String,
    /// The name.
    pub name: Option<String>,
    /// The way of the sign-in: `browser` or `phone`.
    pub way: String,
    /// When it ends at the latest, in Unix seconds.
    pub expires_at: i64,
}

impl From<&GateSession> for GateSessionMessage {
    fn from(session: &GateSession) -> Self {
        let visitor = &session.visitor;
        Self {
            user: visitor.user.to_string(),
            name: visitor.identity.name.clone(),
            way: visitor.way.name().to_owned(),
            expires_at: session.expiry.at().seconds(),
        }
    }
}

/// The answer to Node-RED about a session.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VisitorMessage<'a> {
    /// The verified e-mail address, or else the subject.
    pub user: &'a str,
    /// The e-mail address, if it is verified.
    pub email: Option<&'a str>,
    /// The name.
    pub name: Option<&'a str>,
    /// The groups.
    pub groups: Vec<&'a str>,
    /// When the session ends at the latest, in Unix seconds.
    pub expires_at: i64,
}

impl<'a> VisitorMessage<'a> {
    /// The answer about `session`, whose groups are in this claim.
    #[must_use]
    pub(crate) fn about(session: &'a GateSession, groups: &str) -> Self {
        let visitor = &*session.visitor;
        Self {
            user: &visitor.user,
            email: visitor.identity.verified_email(),
            name: visitor.identity.name.as_deref(),
            groups: visitor.groups(groups).collect(),
            expires_at: session.expiry.at().seconds(),
        }
    }
}
