//! The written form of a sign-in that waits for the user.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expiry::WrittenExpiry;
use super::fingerprint::WrittenFingerprint;
use super::{Clock, WrittenDeclared, all_exposed, exposed};
use crate::domain::approval::{Approval, AuthorizationRequest, DeviceAuthorization};
use crate::domain::expiry::Expiry;
use crate::domain::policy;
use crate::domain::record::PendingSignIn;
use crate::domain::secret::Secret;

/// One of the two ways to approve is there. As an enum, serde would keep a copy of the text that nobody wipes.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenPending {
    client: WrittenFingerprint,
    #[serde(default, skip_serializing_if = "WrittenDeclared::is_file")]
    declared: WrittenDeclared,
    expiry: WrittenExpiry,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<WrittenDeviceAuthorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<WrittenAuthorizationRequest>,
}

#[derive(Serialize, Deserialize)]
struct WrittenDeviceAuthorization {
    #[serde(serialize_with = "exposed")]
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri_complete: Option<String>,
    interval: u64,
    #[serde(default, serialize_with = "all_exposed", skip_serializing_if = "BTreeMap::is_empty")]
    poll_parameters: BTreeMap<String, Secret>,
}

#[derive(Serialize, Deserialize)]
struct WrittenAuthorizationRequest {
    address: String,
    redirect_uri: String,
    state: String,
    #[serde(serialize_with = "exposed")]
    code_verifier: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    names_issuer: bool,
}

impl From<&PendingSignIn> for WrittenPending {
    fn from(PendingSignIn { client, expiry, approval }: &PendingSignIn) -> Self {
        let (device, redirect) = match approval.clone() {
            Approval::Device(device) => (Some(WrittenDeviceAuthorization::from(device)), None),
            Approval::Redirect(request) => (None, Some(WrittenAuthorizationRequest::from(request))),
        };
        let declared = WrittenDeclared::of(client);
        Self { client: WrittenFingerprint(client.client()), declared, expiry: expiry.into(), device, redirect }
    }
}

impl From<DeviceAuthorization> for WrittenDeviceAuthorization {
    fn from(device: DeviceAuthorization) -> Self {
        let DeviceAuthorization {
            device_code,
            user_code,
            verification_uri,
            verification_uri_complete,
            interval,
            poll_parameters,
        } = device;
        // Rounded up: to poll a moment late is allowed, a moment early is not (RFC 8628 3.5).
        let interval = interval.as_secs().saturating_add(u64::from(interval.subsec_nanos() > 0));
        Self { device_code, user_code, verification_uri, verification_uri_complete, interval, poll_parameters }
    }
}

impl From<WrittenDeviceAuthorization> for DeviceAuthorization {
    fn from(device: WrittenDeviceAuthorization) -> Self {
        let WrittenDeviceAuthorization {
            device_code,
            user_code,
            verification_uri,
            verification_uri_complete,
            interval,
            poll_parameters,
        } = device;
        let interval = policy::poll_interval(Some(Duration::from_secs(interval)));
        Self { device_code, user_code, verification_uri, verification_uri_complete, interval, poll_parameters }
    }
}

impl From<AuthorizationRequest> for WrittenAuthorizationRequest {
    fn from(request: AuthorizationRequest) -> Self {
        let AuthorizationRequest { address, redirect_uri, state, code_verifier, issuer, names_issuer } = request;
        Self { address, redirect_uri, state, code_verifier, issuer, names_issuer }
    }
}

impl From<WrittenAuthorizationRequest> for AuthorizationRequest {
    fn from(request: WrittenAuthorizationRequest) -> Self {
        let WrittenAuthorizationRequest { address, redirect_uri, state, code_verifier, issuer, names_issuer } = request;
        Self { address, redirect_uri, state, code_verifier, issuer, names_issuer }
    }
}

impl WrittenPending {
    /// `None` for a way to approve that only another version knows.
    pub(super) fn restored(self, (now, confidence): Clock) -> Option<PendingSignIn> {
        let device = self.device.map(|device| Approval::Device(device.into()));
        let approval = device.or_else(|| self.redirect.map(|request| Approval::Redirect(request.into())))?;
        let client = self.declared.restored(&self.client);
        let expiry = Expiry::restored_or_whole(self.expiry.beginning(), self.expiry.life(), now, confidence);
        Some(PendingSignIn { client, expiry, approval })
    }
}
