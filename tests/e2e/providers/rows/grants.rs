//! Grants, at real servers.

use super::{Group, Row, Server, User};

/// A row for a grant at a real server.
fn grant(name: &str, title: &str, server: Server, user: User, settings: &str) -> Row {
    let mut row = Row::new(Group::Grant, name, title).with(settings);
    (row.server, row.user) = (server, user);
    row
}

pub(super) fn rows() -> Vec<Row> {
    use Server::{Authlib, Django, Oidc};
    use User::{Browser, Code, Nobody};
    let oidc = |name: &str, title: &str, user, client: &str| {
        let scopes = if user == Nobody { "\"measure\"" } else { "\"openid\", \"offline_access\"" };
        grant(name, title, Oidc, user, &format!("issuer = \"{{issuer}}\"\nscopes = [{scopes}]\n{client}"))
    };
    let consent = "params = { prompt = \"consent\" }";
    let mut password = grant(
        "password",
        "`password`, django-oauth-toolkit",
        Django,
        Nobody,
        "issuer = \"{issuer}\"\ngrant = \"password\"\nclient_id = \"legacy\"\nscopes = [\"read\"]\n\
         client_secret_file = \"{files}/legacy.secret\"\nusername = \"ben\"\npassword_file = \"{files}/ben.password\"",
    );
    "ben".clone_into(&mut password.login);
    let django_device = "device_authorization_endpoint = \"{issuer}/device-authorization/\"\nscopes = [\"read\"]\n\
                         issuer = \"{issuer}\"\nclient_id = \"device-public\"";
    let mut django = grant("device-django", "`device_code`, django-oauth-toolkit", Django, Code, django_device);
    "ann".clone_into(&mut django.login);
    let machine = "grant = \"client_credentials\"\nclient_id = \"machine\"\nscopes = [\"read\"]\nissuer = \"{issuer}\"\n\
                   client_secret_file = \"{files}/machine.secret\"";
    vec![
        oidc("device", "`device_code`, oidc-provider", Code, "client_id = \"device-public\""),
        django,
        grant(
            "device-authlib",
            "`device_code`, Authlib",
            Authlib,
            Code,
            "issuer = \"{issuer}\"\nclient_id = \"device-public\"\nscopes = [\"profile\", \"offline_access\"]",
        ),
        oidc(
            "post",
            "`client_secret_post`, oidc-provider",
            Code,
            "client_id = \"device-post\"\nclient_secret_file = \"{files}/device-post.secret\"",
        ),
        oidc(
            "basic",
            "`client_secret_basic`, oidc-provider",
            Code,
            "client_id = \"device-basic\"\nclient_secret_file = \"{files}/device-basic.secret\"\n\
             client_auth = \"client_secret_basic\"",
        ),
        oidc(
            "jwt",
            "`private_key_jwt`, oidc-provider",
            Code,
            "client_id = \"device-jwt\"\nprivate_key_file = \"{files}/es256.pem\"\nprivate_key_id = \"es256\"\n\
             client_auth = \"private_key_jwt\"",
        ),
        oidc(
            "browser",
            "`authorization_code` without a secret, oidc-provider",
            Browser,
            &format!("client_id = \"code-public\"\n{consent}"),
        )
        .browser(),
        oidc(
            "browser-post",
            "`authorization_code` with a secret, oidc-provider",
            Browser,
            &format!("client_id = \"code-post\"\nclient_secret_file = \"{{files}}/code-post.secret\"\n{consent}"),
        )
        .browser(),
        oidc(
            "machine",
            "`client_credentials`, oidc-provider",
            Nobody,
            "grant = \"client_credentials\"\nclient_id = \"machine +/:%41&=?\"\n\
             client_secret_file = \"{files}/machine.secret\"\nclient_auth = \"client_secret_basic\"",
        ),
        grant("machine-django", "`client_credentials`, django-oauth-toolkit", Django, Nobody, machine),
        password,
        grant(
            "import",
            "`refresh_token`, oidc-provider",
            Oidc,
            Nobody,
            "issuer = \"{issuer}\"\ngrant = \"refresh_token\"\nclient_id = \"importing\"\nscopes = [\"openid\"]\n\
             refresh_token_file = \"{files}/imported.token\"",
        ),
    ]
}
