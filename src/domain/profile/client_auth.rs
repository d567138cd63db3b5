//! The ways in which a client shows who it is.

use serde::Deserialize;

/// A client authentication at the token endpoint (RFC 6749 2.3.1; the names are those of RFC 7591 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum ClientAuth {
    /// Not at all: a public client that sends its `client_id`.
    #[serde(rename = "none")]
    None,
    /// Id and secret in the body.
    #[serde(rename = "client_secret_post")]
    Post,
    /// Id and secret in the `Authorization` header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// An assertion signed with the client's key (RFC 7523 2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl ClientAuth {
    /// Every way, by the name that the configuration has for it.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("client_secret_post", Self::Post),
        ("client_secret_basic", Self::Basic),
        ("private_key_jwt", Self::PrivateKeyJwt),
    ];

    /// The name in the configuration.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, auth)| *auth == self).map_or("", |(name, _)| name)
    }
}

/// The encoding of the client's id and secret in Basic, before they are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BasicEncoding {
    /// Percent-encoded, a space as `%20` (RFC 6749 2.3.1).
    Percent,
    /// Byte for byte (RFC 7617 2).
    Literal,
}

/// An algorithm of JWS (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// The same with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// The same with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// The same with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// The same with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// Every algorithm, by its name.
    pub(crate) const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The value of `alg`.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }
}

/// The audience of an assertion (RFC 7523 3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) enum AssertionAudience {
    /// The issuer, where it is known.
    Issuer,
    /// The address of the token endpoint.
    TokenEndpoint,
    /// The address that the request goes to.
    RequestedEndpoint,
    /// This text.
    Text(String),
}

impl From<String> for AssertionAudience {
    fn from(text: String) -> Self {
        match text.as_str() {
            "issuer" => Self::Issuer,
            "token_endpoint" => Self::TokenEndpoint,
            "requested_endpoint" => Self::RequestedEndpoint,
            _ => Self::Text(text),
        }
    }
}

/// The thumbprint of a certificate in the header of an assertion (RFC 7515 4.1.7 and 4.1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Thumbprint {
    /// That of SHA-1.
    #[serde(rename = "x5t")]
    Sha1,
    /// That of SHA-256.
    #[serde(rename = "x5t#S256")]
    Sha256,
    /// Both.
    #[serde(rename = "both")]
    Both,
    /// Neither.
    #[serde(rename = "none")]
    None,
}

/// Where a JWT bearer grant names its scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssertionScopes {
    /// In the parameter `scope` of the request (RFC 7521 4.1).
    Parameter,
    /// In the claim `scope` of the assertion.
    Claim,
}
