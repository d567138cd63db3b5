//! Everything that is peculiar to a provider, as data: what it is sent, what it answers, and how long things last.
//!
//! A provider's file and one account's section say the same keys, of which none is required. [`Profile::over`] lays the
//! account's above those of the file: a value of the account wins; tables are laid over each other name by name; lists
//! are taken whole. An empty text takes out what the layer below says, where the key says so. Where neither layer says
//! anything, a method of the same name has the default, which is what the standards say.

mod client_auth;
mod errors;
mod members;
mod requests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub(crate) use client_auth::{
    AssertionAudience, AssertionScopes, BasicEncoding, ClientAuth, SigningAlgorithm, Thumbprint,
};
pub(crate) use errors::{OauthError, StatusCode, Success};
pub(crate) use members::{Member, MemberPath};
pub(crate) use requests::{ByRequest, ParameterName, Params, Pkce, RequestFormat, RequestKind, RevokedToken};

/// The settings in which providers differ, for a provider or for one account at it. All keys are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Profile {
    /// Parameters of each request that begins a sign-in: authorization, device authorization, client credentials,
    /// password and JWT bearer. An empty value takes out that of the layer below. None can take the place of one that the
    /// program sends in that request (RFC 6749 8.2).
    pub(crate) params: Params,
    /// Parameters of one kind of request alone, or of `every` one; they win over `params`, with the same rules.
    pub(crate) request_params: ByRequest<Params>,
    /// Other names of parameters, by the name that the standard gives them, such as `client_id = "client_key"`; an empty
    /// name leaves the parameter out.
    pub(crate) parameter_names: BTreeMap<ParameterName, String>,
    /// Header fields of each request to the provider, such as `user-agent`; an empty value takes out that of the layer
    /// below. Those of HTTP itself and `authorization` cannot be set.
    pub(crate) headers: Params,
    /// The encoding of a request's parameters. Default: `form` (RFC 6749 appendix B).
    pub(crate) request_format: Option<RequestFormat>,
    /// Other values of `grant_type`, by the kind of the request that sends it; `every` is not used.
    pub(crate) grant_types: ByRequest<Option<String>>,
    /// The `response_type` of an authorization request. Default: `code` (RFC 6749 4.1.1).
    pub(crate) response_type: Option<String>,
    /// The text between two scopes, sent and received. Default: one space (RFC 6749 3.3).
    pub(crate) scope_separator: Option<String>,
    /// True if the scopes of the sign-in are sent with each refresh too. Default: false (RFC 6749 6).
    pub(crate) scope_at_refresh: Option<bool>,
    /// The proof key of the authorization code grant. Default: `S256` (RFC 7636 4.2, RFC 9700 2.1.1).
    pub(crate) pkce: Option<Pkce>,
    /// The proof key of the device grant, which no standard has. Default: `off`.
    pub(crate) device_pkce: Option<Pkce>,
    /// True if an authorization request with the scope `openid` has a nonce, which the ID token must repeat. Default:
    /// true (OpenID Connect Core 3.1.2.1).
    pub(crate) nonce: Option<bool>,
    /// The `prompt` of an authorization request; empty for none. Default: `consent` with the scope `offline_access`, else
    /// none (OpenID Connect Core 11). One in `params` wins.
    pub(crate) prompt: Option<String>,
    /// The `prompt` with which the provider asks who it is, whoever is signed in there: for "sign in as somebody else" at the gate.
    /// Default: `login` (OpenID Connect Core 3.1.2.1).
    pub(crate) login_prompt: Option<String>,

    /// The client authentication (RFC 6749 2.3, RFC 7523 2.2). Default: as the metadata says, or else by what it has.
    pub(crate) client_auth: Option<ClientAuth>,
    /// The encoding of id and secret in Basic. Default: `percent` (RFC 6749 2.3.1).
    pub(crate) basic_encoding: Option<BasicEncoding>,
    /// True if a client without a secret authenticates by Basic with an empty one. Default: false.
    pub(crate) empty_secret: Option<bool>,
    /// The algorithm of assertions. Default: by the key, `RS256`, `ES256`, `ES384` or `EdDSA` (RFC 7518 3.1, RFC 8037 3.1).
    pub(crate) assertion_algorithm: Option<SigningAlgorithm>,
    /// The audience of a client's assertion, and of a JWT bearer grant's: `issuer`, `token_endpoint`, `requested_endpoint` (the
    /// address that the request goes to), or any other text as it is. Default: the issuer where it is known, else the token
    /// endpoint (RFC 7523 3).
    pub(crate) assertion_audience: Option<AssertionAudience>,
    /// The thumbprint of the client's certificate in an assertion's header, where a certificate is configured. Default:
    /// `x5t#S256` (RFC 7515 4.1.8).
    pub(crate) assertion_thumbprint: Option<Thumbprint>,
    /// The life of an assertion, in seconds. Default: 120 for a client's, 3600 for a JWT bearer grant's
    /// (RFC 7523 3).
    pub(crate) assertion_lifetime: Option<u32>,
    /// Where a JWT bearer grant names its scopes. Default: `parameter` (RFC 7521 4.1); Google reads the `claim`.
    pub(crate) assertion_scopes: Option<AssertionScopes>,

    /// Where members of an answer are, such as `access_token = "body.access_token"`. Default: at the top, under the names
    /// of RFC 6749 5 and RFC 8628 3.2 and those that are often used in their place.
    pub(crate) members: BTreeMap<Member, MemberPath>,
    /// Members of the answer to a device authorization that each poll sends too: the parameter's name, and where the member
    /// is. An empty path takes out that of the layer below. Default: none.
    pub(crate) poll_members: BTreeMap<String, MemberPath>,
    /// The member by which an answer with HTTP 200 says that it is no error. Default: none; the status says it.
    pub(crate) success: Option<Success>,
    /// Where an error's code is looked for, first to last. Default: `error` as RFC 6749 5.2 says, and then a known code
    /// where providers are seen to put it: `error.code`, `error_code`, `code`, `message` and the like.
    pub(crate) error_members: Option<Vec<MemberPath>>,
    /// Standard codes for the provider's own, such as `bad_refresh_token = "invalid_grant"` (RFC 6749 5.2, RFC 8628 3.5).
    pub(crate) errors: BTreeMap<String, OauthError>,
    /// Standard codes for HTTP statuses of answers without a code of their own, by the kind of the request.
    pub(crate) statuses: ByRequest<BTreeMap<StatusCode, OauthError>>,
    /// Values of `token_type` that mean a Bearer token, beside `Bearer` itself, in any case (RFC 6749 7.1).
    pub(crate) token_types: Option<Vec<String>>,
    /// Further members of a token's answer that are published with the token: the name there, and where they are here.
    /// An empty path takes out that of the layer below.
    pub(crate) extra: BTreeMap<String, MemberPath>,
    /// Parameters of the redirection that are published with the token: the name there, and the parameter's. An empty name
    /// takes out that of the layer below.
    pub(crate) redirect_extra: BTreeMap<String, String>,

    /// The life of an access token where neither the answer nor the token says it, in seconds. Default: unknown; it is
    /// refreshed as if it were an hour, and published without an end (RFC 6749 5.1).
    pub(crate) access_token_lifetime: Option<u32>,
    /// The life of a sign-in from the user's approval, where the answer does not say it, in seconds. Default: unknown.
    pub(crate) sign_in_lifetime: Option<u64>,
    /// The life of a sign-in from the last refresh, where the answer does not say it, in seconds. Default: unknown.
    pub(crate) idle_lifetime: Option<u64>,
    /// Which tokens are revoked at a sign-out, first to last. Default: `["refresh_token", "access_token"]` (RFC 7009 2.1).
    pub(crate) revoke: Option<Vec<RevokedToken>>,
}

impl Profile {
    /// Every key, as it is written.
    pub(crate) const KEYS: [&'static str; 35] = [
        "params",
        "request_params",
        "parameter_names",
        "headers",
        "request_format",
        "grant_types",
        "response_type",
        "scope_separator",
        "scope_at_refresh",
        "pkce",
        "device_pkce",
        "nonce",
        "prompt",
        "login_prompt",
        "client_auth",
        "basic_encoding",
        "empty_secret",
        "assertion_algorithm",
        "assertion_audience",
        "assertion_thumbprint",
        "assertion_lifetime",
        "assertion_scopes",
        "members",
        "poll_members",
        "success",
        "error_members",
        "errors",
        "statuses",
        "token_types",
        "extra",
        "redirect_extra",
        "access_token_lifetime",
        "sign_in_lifetime",
        "idle_lifetime",
        "revoke",
    ];

    /// This layer over the one `below`: an account's over that of its provider's file.
    #[must_use]
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            params: layered(self.params, below.params),
            request_params: self.request_params.over(below.request_params, layered),
            parameter_names: layered(self.parameter_names, below.parameter_names),
            headers: layered(self.headers, below.headers),
            request_format: self.request_format.or(below.request_format),
            grant_types: self.grant_types.over(below.grant_types, Option::or),
            response_type: self.response_type.or(below.response_type),
            scope_separator: self.scope_separator.or(below.scope_separator),
            scope_at_refresh: self.scope_at_refresh.or(below.scope_at_refresh),
            pkce: self.pkce.or(below.pkce),
            device_pkce: self.device_pkce.or(below.device_pkce),
            nonce: self.nonce.or(below.nonce),
            prompt: self.prompt.or(below.prompt),
            login_prompt: self.login_prompt.or(below.login_prompt),
            client_auth: self.client_auth.or(below.client_auth),
            basic_encoding: self.basic_encoding.or(below.basic_encoding),
            empty_secret: self.empty_secret.or(below.empty_secret),
            assertion_algorithm: self.assertion_algorithm.or(below.assertion_algorithm),
            assertion_audience: self.assertion_audience.or(below.assertion_audience),
            assertion_thumbprint: self.assertion_thumbprint.or(below.assertion_thumbprint),
            assertion_lifetime: self.assertion_lifetime.or(below.assertion_lifetime),
            assertion_scopes: self.assertion_scopes.or(below.assertion_scopes),
            members: layered(self.members, below.members),
            poll_members: layered(self.poll_members, below.poll_members),
            success: self.success.or(below.success),
            error_members: self.error_members.or(below.error_members),
            errors: layered(self.errors, below.errors),
            statuses: self.statuses.over(below.statuses, layered),
            token_types: self.token_types.or(below.token_types),
            extra: layered(self.extra, below.extra),
            redirect_extra: layered(self.redirect_extra, below.redirect_extra),
            access_token_lifetime: self.access_token_lifetime.or(below.access_token_lifetime),
            sign_in_lifetime: self.sign_in_lifetime.or(below.sign_in_lifetime),
            idle_lifetime: self.idle_lifetime.or(below.idle_lifetime),
            revoke: self.revoke.or(below.revoke),
        }
    }

    /// The same for a client that only learns who a user is. What a provider's file adds to an authorization request is there to get a
    /// refresh token, and may ask the user to consent anew each time.
    #[must_use]
    pub(crate) fn without_lasting_access(mut self) -> Self {
        self.request_params.authorization.clear();
        Self { prompt: None, ..self }
    }

    /// The same for a sign-in at which the provider has to ask who it is.
    #[must_use]
    pub(crate) fn asking_who_it_is(mut self) -> Self {
        let requests = &mut self.request_params;
        for params in [&mut self.params, &mut requests.every, &mut requests.authorization] {
            params.remove("prompt");
        }
        let prompt = self.login_prompt.clone().unwrap_or_else(|| "login".to_owned());
        Self { prompt: Some(prompt), ..self }
    }

    /// The text between two scopes.
    #[must_use]
    pub(crate) fn scope_separator(&self) -> &str {
        self.scope_separator.as_deref().unwrap_or(" ")
    }

    /// The proof key of the authorization code grant.
    #[must_use]
    pub(crate) fn pkce(&self) -> Pkce {
        self.pkce.unwrap_or(Pkce::S256)
    }

    /// The proof key of the device grant.
    #[must_use]
    pub(crate) fn device_pkce(&self) -> Pkce {
        self.device_pkce.unwrap_or(Pkce::Off)
    }

    /// Returns whether an authorization request has a nonce.
    #[must_use]
    pub(crate) fn nonce(&self) -> bool {
        self.nonce.unwrap_or(true)
    }

    /// The tokens that a sign-out revokes, first to last.
    #[must_use]
    pub(crate) fn revoke(&self) -> &[RevokedToken] {
        self.revoke.as_deref().unwrap_or(&[RevokedToken::RefreshToken, RevokedToken::AccessToken])
    }

    /// The further parameters of a request of this kind; later ones win over earlier ones of the same name.
    pub(crate) fn params_of(&self, kind: RequestKind) -> BTreeMap<&str, &str> {
        let begins = kind.begins_sign_in().then_some(&self.params);
        let layers = begins.into_iter().chain([&self.request_params.every, self.request_params.of(kind)]);
        let mut params = BTreeMap::new();
        for (name, value) in layers.flatten() {
            params.insert(name.as_str(), value.as_str());
        }
        params.retain(|_, value| !value.is_empty());
        params
    }

    /// The lifetime of an access token of which nothing else tells it.
    #[must_use]
    pub(crate) fn access_token_lifetime(&self) -> Option<Duration> {
        self.access_token_lifetime.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The entries of both, of which those above win.
fn layered<K: Ord, V>(above: BTreeMap<K, V>, mut below: BTreeMap<K, V>) -> BTreeMap<K, V> {
    below.extend(above);
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Profile {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_key_is_named() {
        let message = serde_json::from_str::<Profile>(r#"{"colour":1}"#).unwrap_err().to_string();
        let (_, expected) = message.split_once("expected one of ").unwrap();
        let named: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, Profile::KEYS);
    }

    #[test]
    fn an_account_wins_over_its_providers_file_key_by_key_and_name_by_name() {
        let file = read(serde_json::json!({
            "params": {"access_type": "offline", "prompt": "consent"},
            "request_params": {"refresh": {"resource": "a"}},
            "scope_separator": ",",
            "revoke": ["access_token"],
            "errors": {"bad_refresh_token": "invalid_grant"},
        }));
        let account = read(serde_json::json!({
            "params": {"prompt": "", "audience": "b"},
            "scope_separator": " ",
            "errors": {"gone": "expired_token"},
        }));
        let both = account.over(file);
        let begins = both.params_of(RequestKind::Authorization);
        assert_eq!(begins.into_iter().collect::<Vec<_>>(), [("access_type", "offline"), ("audience", "b")]);
        assert_eq!(both.params_of(RequestKind::Refresh)["resource"], "a");
        assert!(both.params_of(RequestKind::CodeExchange).is_empty());
        assert_eq!((both.scope_separator(), both.revoke()), (" ", [RevokedToken::AccessToken].as_slice()));
        assert_eq!(both.errors.len(), 2);
    }

    #[test]
    fn what_no_layer_says_is_as_the_standards_say() {
        let plain = Profile::default();
        assert_eq!(plain, Profile::default().over(Profile::default()));
        assert_eq!((plain.scope_separator(), plain.pkce(), plain.device_pkce()), (" ", Pkce::S256, Pkce::Off));
    }

    #[test]
    fn a_name_a_status_or_a_path_that_cannot_be_is_refused() {
        for bad in [
            r#"{"errors":{"x":"no_such_code"}}"#,
            r#"{"statuses":{"device_poll":{"500":"authorization_pending"}}}"#,
            r#"{"members":{"access_token":"a..b"}}"#,
            r#"{"members":{"acces_token":"a"}}"#,
            r#"{"pkce":"s256"}"#,
            r#"{"request_params":{"token":{}}}"#,
        ] {
            assert!(serde_json::from_str::<Profile>(bad).is_err(), "{bad}");
        }
        let trakt = read(serde_json::json!({"statuses": {"device_poll": {"400": "authorization_pending"}}}));
        assert_eq!(trakt.statuses.device_poll[&StatusCode(400)], OauthError::AuthorizationPending);
    }
}
