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
    /// What the configuration must say beside `client_id`, such as a tenant: the keys, each used in `{braces}` below.
    pub parameters: &'static [&'static str],
    /// Values for parameters that may be left out.
    pub defaults: &'static [(&'static str, &'static str)],
    /// The issuer, where its metadata names all that is needed.
    pub issuer: Option<&'static str>,
    /// The device authorization endpoint.
    pub device_authorization: Option<&'static str>,
    /// The token endpoint.
    pub token: Option<&'static str>,
    /// The revocation endpoint.
    pub revocation: Option<&'static str>,
    /// Whether the device grant needs a client secret.
    pub needs_secret: bool,
    /// What stands between two scopes.
    pub scope_separator: char,
    /// What somebody should know before signing in.
    pub note: &'static str,
}

const PLAIN: Preset = Preset {
    name: "",
    title: "",
    register_at: "",
    parameters: &[],
    defaults: &[],
    issuer: None,
    device_authorization: None,
    token: None,
    revocation: None,
    needs_secret: false,
    scope_separator: ' ',
    note: "",
};

/// The presets, by name.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "auth0",
        title: "Auth0",
        register_at: "https://manage.auth0.com (Applications, type Native, grant Device Code)",
        parameters: &["domain"],
        device_authorization: Some("https://{domain}/oauth/device/code"),
        token: Some("https://{domain}/oauth/token"),
        revocation: Some("https://{domain}/oauth/revoke"),
        note: "Add the scope offline_access, and params.audience for the API that the token is for.",
        ..PLAIN
    },
    Preset {
        name: "github",
        title: "GitHub",
        register_at: "https://github.com/settings/developers (OAuth Apps, enable Device Flow)",
        device_authorization: Some("https://github.com/login/device/code"),
        token: Some("https://github.com/login/oauth/access_token"),
        note: "Tokens of an OAuth App do not expire, and it gives no refresh token.",
        ..PLAIN
    },
    Preset {
        name: "gitlab",
        title: "GitLab 17.2 or later",
        register_at: "https://gitlab.com/-/user_settings/applications (not confidential)",
        parameters: &["host"],
        defaults: &[("host", "gitlab.com")],
        device_authorization: Some("https://{host}/oauth/authorize_device"),
        token: Some("https://{host}/oauth/token"),
        revocation: Some("https://{host}/oauth/revoke"),
        note: "A code lives five minutes.",
        ..PLAIN
    },
    Preset {
        name: "google",
        title: "Google",
        register_at: "https://console.cloud.google.com/auth/clients (type TVs and Limited Input devices)",
        device_authorization: Some("https://oauth2.googleapis.com/device/code"),
        token: Some("https://oauth2.googleapis.com/token"),
        revocation: Some("https://oauth2.googleapis.com/revoke"),
        needs_secret: true,
        note: "Devices get only openid, email, profile, drive.file, drive.appdata and youtube scopes. \
               While the app is in Testing, a sign-in ends after seven days.",
        ..PLAIN
    },
    Preset {
        name: "keycloak",
        title: "Keycloak",
        register_at: "your server's console (Clients, enable OAuth 2.0 Device Authorization Grant)",
        parameters: &["url", "realm"],
        issuer: Some("{url}/realms/{realm}"),
        note: "Add the scope offline_access for a sign-in that outlives the session.",
        ..PLAIN
    },
    Preset {
        name: "microsoft",
        title: "Microsoft Entra ID",
        register_at: "https://entra.microsoft.com (App registrations, allow public client flows)",
        parameters: &["tenant"],
        defaults: &[("tenant", "common")],
        device_authorization: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode"),
        token: Some("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"),
        note: "Add the scope offline_access: without it there is no refresh token.",
        ..PLAIN
    },
    Preset {
        name: "okta",
        title: "Okta",
        register_at: "your admin console (Applications, OIDC, Native, grant Device Authorization)",
        parameters: &["domain"],
        device_authorization: Some("https://{domain}/oauth2/default/v1/device/authorize"),
        token: Some("https://{domain}/oauth2/default/v1/token"),
        revocation: Some("https://{domain}/oauth2/default/v1/revoke"),
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
            assert!(
                preset.issuer.is_some() || (preset.device_authorization.is_some() && preset.token.is_some()),
                "{name} has neither an issuer nor both endpoints"
            );
            for template in
                [preset.issuer, preset.device_authorization, preset.token, preset.revocation].into_iter().flatten()
            {
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
