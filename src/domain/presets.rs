//! What is known of the providers that people use, as data.

/// One provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The value of `provider`.
    pub name: &'static str,
    /// What its makers call it.
    pub title: &'static str,
    /// Where the application is registered.
    pub register_at: &'static str,
    /// What kind of application to register for the device grant; empty where there is none.
    pub for_device: &'static str,
    /// What kind of application to register for the authorization code grant; empty where there is none.
    pub for_code: &'static str,
    /// What the configuration must say beside `client_id`, such as a tenant: the keys, each used in `{braces}` below.
    pub parameters: &'static [&'static str],
    /// Values for parameters that may be left out.
    pub defaults: &'static [(&'static str, &'static str)],
    /// The issuer, where its metadata names all that is needed.
    pub issuer: Option<&'static str>,
    /// The device authorization endpoint.
    pub device_authorization: Option<&'static str>,
    /// The authorization endpoint.
    pub authorization: Option<&'static str>,
    /// The token endpoint.
    pub token: Option<&'static str>,
    /// The revocation endpoint.
    pub revocation: Option<&'static str>,
    /// The userinfo endpoint.
    pub userinfo: Option<&'static str>,
    /// The issuer that ID tokens name, where no issuer stands above; `{tid}` is the claim of that name.
    pub id_token_issuer: Option<&'static str>,
    /// Whether no client gets along without a secret.
    pub needs_secret: bool,
    /// The scopes that devices get; empty where they get any.
    pub device_scopes: &'static [&'static str],
    /// Parameters of an authorization request without which there is no refresh token.
    pub authorization_params: &'static [(&'static str, &'static str)],
    /// What stands between two scopes.
    pub scope_separator: char,
    /// What somebody should know before signing in.
    pub note: &'static str,
}

const PLAIN: Preset = Preset {
    name: "",
    title: "",
    register_at: "",
    for_device: "",
    for_code: "",
    parameters: &[],
    defaults: &[],
    issuer: None,
    device_authorization: None,
    authorization: None,
    token: None,
    revocation: None,
    userinfo: None,
    id_token_issuer: None,
    needs_secret: false,
    device_scopes: &[],
    authorization_params: &[],
    scope_separator: ' ',
    note: "",
};

/// The presets, by name.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "auth0",
        title: "Auth0",
        register_at: "https://manage.auth0.com (Applications)",
        for_device: "type Native, with the grant Device Code",
        for_code: "type Native, with the redirect address among the callback URLs",
        parameters: &["domain"],
        device_authorization: Some("https://{domain}/oauth/device/code"),
        authorization: Some("https://{domain}/authorize"),
        token: Some("https://{domain}/oauth/token"),
        revocation: Some("https://{domain}/oauth/revoke"),
        userinfo: Some("https://{domain}/userinfo"),
        id_token_issuer: Some("https://{domain}/"),
        note: "Add the scope offline_access, and params.audience for the API that the token is for.",
        ..PLAIN
    },
    Preset {
        name: "authentik",
        title: "authentik",
        register_at: "your server's admin interface (Applications, with a provider OAuth2/OpenID)",
        for_device: "client type Public, and a device code flow in the brand",
        for_code: "client type Public or Confidential, with the redirect address",
        parameters: &["url", "application"],
        issuer: Some("{url}/application/o/{application}/"),
        note: "Add the scope offline_access.",
        ..PLAIN
    },
    Preset {
        name: "discord",
        title: "Discord",
        register_at: "https://discord.com/developers/applications",
        for_code: "any application, with the redirect address under OAuth2",
        authorization: Some("https://discord.com/oauth2/authorize"),
        token: Some("https://discord.com/api/oauth2/token"),
        revocation: Some("https://discord.com/api/oauth2/token/revoke"),
        ..PLAIN
    },
    Preset {
        name: "dropbox",
        title: "Dropbox",
        register_at: "https://www.dropbox.com/developers/apps",
        for_code: "a scoped app, with the redirect address; no secret is needed",
        authorization: Some("https://www.dropbox.com/oauth2/authorize"),
        token: Some("https://api.dropboxapi.com/oauth2/token"),
        authorization_params: &[("token_access_type", "offline")],
        note: "Access tokens live four hours. To end a sign-in, disconnect the app in the account's settings.",
        ..PLAIN
    },
    Preset {
        name: "fitbit",
        title: "Fitbit",
        register_at: "https://dev.fitbit.com/apps",
        for_code: "type Client, with the redirect address; no secret is needed",
        authorization: Some("https://www.fitbit.com/oauth2/authorize"),
        token: Some("https://api.fitbit.com/oauth2/token"),
        revocation: Some("https://api.fitbit.com/oauth2/revoke"),
        note: "Access tokens live eight hours, and each refresh replaces the refresh token.",
        ..PLAIN
    },
    Preset {
        name: "github",
        title: "GitHub",
        register_at: "https://github.com/settings/developers",
        for_device: "an OAuth App with Enable Device Flow, or a GitHub App",
        for_code: "an OAuth App, with the redirect address and a secret",
        device_authorization: Some("https://github.com/login/device/code"),
        authorization: Some("https://github.com/login/oauth/authorize"),
        token: Some("https://github.com/login/oauth/access_token"),
        note: "Tokens of an OAuth App do not expire, and it gives no refresh token.",
        ..PLAIN
    },
    Preset {
        name: "gitlab",
        title: "GitLab 17.2 or later",
        register_at: "https://gitlab.com/-/user_settings/applications",
        for_device: "not confidential",
        for_code: "not confidential, with the redirect address",
        parameters: &["host"],
        defaults: &[("host", "gitlab.com")],
        device_authorization: Some("https://{host}/oauth/authorize_device"),
        authorization: Some("https://{host}/oauth/authorize"),
        token: Some("https://{host}/oauth/token"),
        revocation: Some("https://{host}/oauth/revoke"),
        userinfo: Some("https://{host}/oauth/userinfo"),
        id_token_issuer: Some("https://{host}"),
        note: "A code lives five minutes.",
        ..PLAIN
    },
    Preset {
        name: "google",
        title: "Google",
        register_at: "https://console.cloud.google.com/auth/clients",
        for_device: "type TVs and Limited Input devices",
        for_code: "type Desktop app for a redirect to this device, type Web application for one to an https:// address",
        device_authorization: Some("https://oauth2.googleapis.com/device/code"),
        authorization: Some("https://accounts.google.com/o/oauth2/v2/auth"),
        token: Some("https://oauth2.googleapis.com/token"),
        revocation: Some("https://oauth2.googleapis.com/revoke"),
        userinfo: Some("https://openidconnect.googleapis.com/v1/userinfo"),
        id_token_issuer: Some("https://accounts.google.com"),
        needs_secret: true,
        device_scopes: &[
            "openid",
            "email",
            "profile",
            "https://www.googleapis.com/auth/drive.file",
            "https://www.googleapis.com/auth/drive.appdata",
            "https://www.googleapis.com/auth/youtube",
            "https://www.googleapis.com/auth/youtube.readonly",
            "https://www.googleapis.com/auth/userinfo.email",
            "https://www.googleapis.com/auth/userinfo.profile",
        ],
        authorization_params: &[("access_type", "offline"), ("prompt", "consent")],
        note: "Gmail, Calendar and whole Drives need grant = \"authorization_code\". While the app is in Testing, a \
               sign-in ends after seven days.",
        ..PLAIN
    },
    Preset {
        name: "keycloak",
        title: "Keycloak",
        register_at: "your server's console (Clients)",
        for_device: "with OAuth 2.0 Device Authorization Grant enabled",
        for_code: "with Standard flow enabled and the redirect address",
        parameters: &["url", "realm"],
        issuer: Some("{url}/realms/{realm}"),
        note: "Add the scope offline_access for a sign-in that outlives the session.",
        ..PLAIN
    },
    Preset {
        name: "microsoft",
        title: "Microsoft Entra ID",
        register_at: "https://entra.microsoft.com (App registrations)",
        for_device: "with Allow public client flows",
        for_code: "platform Mobile and desktop applications, with the redirect address",
        parameters: &["tenant"],
        defaults: &[("tenant", "common")],
        device_authorization: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode"),
        authorization: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize"),
        token: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"),
        userinfo: Some("https://graph.microsoft.com/oidc/userinfo"),
        id_token_issuer: Some("https://login.microsoftonline.com/{tid}/v2.0"),
        note: "Add the scope offline_access: without it there is no refresh token. Addresses are not verified there, so \
               allow names users as sub:… only.",
        ..PLAIN
    },
    Preset {
        name: "netatmo",
        title: "Netatmo",
        register_at: "https://dev.netatmo.com/apps",
        for_code: "any app, with the redirect address",
        authorization: Some("https://api.netatmo.com/oauth2/authorize"),
        token: Some("https://api.netatmo.com/oauth2/token"),
        needs_secret: true,
        note: "Each refresh replaces the refresh token.",
        ..PLAIN
    },
    Preset {
        name: "okta",
        title: "Okta",
        register_at: "your admin console (Applications, OIDC)",
        for_device: "type Native, with the grant Device Authorization",
        for_code: "type Native, with the grant Authorization Code and the redirect address",
        parameters: &["domain"],
        device_authorization: Some("https://{domain}/oauth2/default/v1/device/authorize"),
        authorization: Some("https://{domain}/oauth2/default/v1/authorize"),
        token: Some("https://{domain}/oauth2/default/v1/token"),
        revocation: Some("https://{domain}/oauth2/default/v1/revoke"),
        userinfo: Some("https://{domain}/oauth2/default/v1/userinfo"),
        id_token_issuer: Some("https://{domain}/oauth2/default"),
        note: "Add the scope offline_access.",
        ..PLAIN
    },
    Preset {
        name: "salesforce",
        title: "Salesforce",
        register_at: "your organisation's Setup (App Manager, External Client App)",
        for_code: "with OAuth, PKCE and the redirect address",
        parameters: &["domain"],
        defaults: &[("domain", "login.salesforce.com")],
        issuer: Some("https://{domain}"),
        note: "Add the scope refresh_token. Its device flow is not that of the standard, and answers name no lifetime.",
        ..PLAIN
    },
    Preset {
        name: "spotify",
        title: "Spotify",
        register_at: "https://developer.spotify.com/dashboard",
        for_code: "any app, with the redirect address (127.0.0.1, not localhost); no secret is needed",
        authorization: Some("https://accounts.spotify.com/authorize"),
        token: Some("https://accounts.spotify.com/api/token"),
        note: "To end a sign-in, remove the app's access in the account's settings.",
        ..PLAIN
    },
    Preset {
        name: "strava",
        title: "Strava",
        register_at: "https://www.strava.com/settings/api",
        for_code: "with the host of the redirect address as the callback domain",
        authorization: Some("https://www.strava.com/oauth/authorize"),
        token: Some("https://www.strava.com/oauth/token"),
        needs_secret: true,
        scope_separator: ',',
        note: "Access tokens live six hours, and a refresh may replace the refresh token.",
        ..PLAIN
    },
    Preset {
        name: "zitadel",
        title: "Zitadel",
        register_at: "your instance's console (Projects, Applications)",
        for_device: "type Native, with the grant Device Code",
        for_code: "type Native, with the redirect address",
        parameters: &["domain"],
        issuer: Some("https://{domain}"),
        note: "Add the scope offline_access.",
        ..PLAIN
    },
];

impl Preset {
    /// The preset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_complete() {
        for preset in PRESETS {
            let name = preset.name;
            assert!(!preset.title.is_empty() && !preset.register_at.is_empty(), "{name}");
            assert!(!preset.for_device.is_empty() || !preset.for_code.is_empty(), "{name} has no grant");
            assert!(preset.issuer.is_some() || preset.token.is_some(), "{name} has no token endpoint");
            if preset.issuer.is_none() {
                assert_eq!(preset.device_authorization.is_some(), !preset.for_device.is_empty(), "{name}");
                assert_eq!(preset.authorization.is_some(), !preset.for_code.is_empty(), "{name}");
                assert_eq!(preset.userinfo.is_some(), preset.id_token_issuer.is_some(), "{name}");
            }
            let endpoints = [
                preset.issuer,
                preset.device_authorization,
                preset.authorization,
                preset.token,
                preset.revocation,
                preset.userinfo,
            ];
            for template in endpoints.into_iter().flatten() {
                assert!(template.starts_with("https://") || template.starts_with("{url}"), "{name}: {template}");
                let mut rest = template;
                while let Some((_, after)) = rest.split_once('{') {
                    let (parameter, after) = after.split_once('}').unwrap();
                    assert!(preset.parameters.contains(&parameter), "{name}: {{{parameter}}}");
                    rest = after;
                }
            }
        }
    }

    #[test]
    fn presets_are_in_order_and_found_by_name() {
        assert!(PRESETS.is_sorted_by_key(|preset| preset.name));
        assert_eq!(Preset::find("google").unwrap().title, "Google");
        assert_eq!(Preset::find("gogle"), None);
    }
}
