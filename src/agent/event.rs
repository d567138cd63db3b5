//! What wakes the loop: the edges send it, the loop takes it.

use std::net::IpAddr;

use tokio::sync::oneshot;

use crate::broker::LinkEvent;
use crate::domain::account::AccountName;
use crate::domain::approval::{Authorization, DeviceAuthorization};
use crate::domain::fault::Fault;
use crate::domain::gate::way_back::WayBack;
use crate::domain::gate::{CookieDigest, Way};
use crate::domain::record::Fingerprint;
use crate::domain::session::{ProviderAnswer, RequestId};
use crate::domain::token::{Granted, PollAnswer};
use crate::page::ButtonPress;
use crate::page::gate::{Admitted, BegunSignIn, GateCall, NotAdmitted};
use crate::platform::redirect_listener::Arrival;
use crate::store::Ack;

/// One wake-up of the loop.
#[derive(Debug)]
pub(super) enum LoopEvent {
    Link(LinkEvent),
    Answered(AccountName, RequestId, ProviderAnswer),
    Stored(Ack),
    Browser(Arrival),
    Pressed(ButtonPress),
    GateCalled(GateCall),
    GateAnswered(GateAnswer),
    AlarmRang,
    /// The link can take what an account has to publish at a new connection.
    MayAnnounce,
    ClockSet,
    Reload,
    Stop,
}

/// An answer of a provider to a question of the gate.
#[derive(Debug)]
pub(super) enum GateAnswer {
    /// The way for somebody to approve.
    Begun {
        client: GateClientId,
        from: IpAddr,
        back: WayBack,
        result: Result<Authorization, Fault>,
        answer: oneshot::Sender<Result<BegunSignIn, String>>,
    },
    /// The person who has come back with a code.
    Exchanged {
        client: GateClientId,
        arrival: ReturningBrowser,
        back: WayBack,
        result: Result<Granted, Fault>,
        answer: oneshot::Sender<Result<Admitted, NotAdmitted>>,
    },
    /// The news of an approval on a phone.
    Polled {
        client: GateClientId,
        browser: CookieDigest,
        device: Box<DeviceAuthorization>,
        /// `None` if nobody looked at the code, and the provider was not asked.
        result: Option<Result<PollAnswer, Fault>>,
    },
}

/// The way of a sign-in, and the client that the provider knows it by: what one client brought is never taken for another's.
pub(super) type GateClientId = (Way, Fingerprint);

/// A browser that comes back from a sign-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReturningBrowser {
    pub(super) from: IpAddr,
    /// Its former session, whose place another takes.
    pub(super) former: Option<CookieDigest>,
}

impl From<LinkEvent> for LoopEvent {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

impl From<Arrival> for LoopEvent {
    fn from(arrival: Arrival) -> Self {
        Self::Browser(arrival)
    }
}

impl From<GateCall> for LoopEvent {
    fn from(call: GateCall) -> Self {
        Self::GateCalled(call)
    }
}

impl From<ButtonPress> for LoopEvent {
    fn from(press: ButtonPress) -> Self {
        Self::Pressed(press)
    }
}
