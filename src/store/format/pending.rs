//! The written form of a sign-in that waits for the user.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expiry::WrittenExpiry;
use super::fingerprint::WrittenFingerprint;
use super::{Clock, WrittenDeclared, exposed};
use crate::domain::expiry::Expiry;
use crate::domain::record::{Approval, CodeRequest, DeviceCode, PendingSignIn};
use crate::domain::secret::Secret;

/// One of the two ways to approve is there. As an enum, serde would keep a copy of the text that nobody wipes.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenPending {
    client: WrittenFingerprint,
    #[serde(default, skip_serializing_if = "WrittenDeclared::is_file")]
    declared: WrittenDeclared,
    expiry: WrittenExpiry,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<WrittenDeviceCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<WrittenCodeRequest>,
}

#[derive(Serialize, Deserialize)]
struct WrittenDeviceCode {
    #[serde(serialize_with = "exposed")]
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri_complete: Option<String>,
    interval: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenCodeRequest {
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
            Approval::Device(device) => (Some(WrittenDeviceCode::from(device)), None),
            Approval::Redirect(request) => (None, Some(WrittenCodeRequest::from(request))),
        };
        let declared = WrittenDeclared::of(client);
        Self { client: WrittenFingerprint(client.client()), declared, expiry: expiry.into(), device, redirect }
    }
}

impl From<DeviceCode> for WrittenDeviceCode {
    fn from(device: DeviceCode) -> Self {
        let DeviceCode { device_code, user_code, verification_uri, verification_uri_complete, interval } = device;
        // Rounded up: to poll a moment late is allowed, a moment early is not (RFC 8628 3.5).
        let interval = interval.as_secs() + u64::from(interval.subsec_nanos() > 0);
        Self { device_code, user_code, verification_uri, verification_uri_complete, interval }
    }
}

impl From<WrittenDeviceCode> for DeviceCode {
    fn from(device: WrittenDeviceCode) -> Self {
        let WrittenDeviceCode { device_code, user_code, verification_uri, verification_uri_complete, interval } =
            device;
        let interval = Duration::from_secs(interval);
        Self { device_code, user_code, verification_uri, verification_uri_complete, interval }
    }
}

impl From<CodeRequest> for WrittenCodeRequest {
    fn from(request: CodeRequest) -> Self {
        let CodeRequest { address, redirect_uri, state, code_verifier, issuer, names_issuer } = request;
        Self { address, redirect_uri, state, code_verifier, issuer, names_issuer }
    }
}

impl From<WrittenCodeRequest> for CodeRequest {
    fn from(request: WrittenCodeRequest) -> Self {
        let WrittenCodeRequest { address, redirect_uri, state, code_verifier, issuer, names_issuer } = request;
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
