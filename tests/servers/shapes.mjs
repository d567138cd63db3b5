// How known providers answer, each at its own addresses. What is not said here is as in the plain provider of scripted.mjs.

const ok = (json) => ({ status: 200, json });
const no = (error, status = 400, more = {}) => ({ status, json: { error, ...more } });

const device = (verification, more = {}) => ok({
  device_code: '$', user_code: '$', ...verification, expires_in: 600, interval: 1, ...more,
});
const at = (verification_uri) => ({ verification_uri, verification_uri_complete: `${verification_uri}?user_code=$user_code` });
const bearer = (more = {}) => ok({ access_token: '$', token_type: 'Bearer', expires_in: 3600, ...more });
const rotating = bearer({ refresh_token: '$' });

/** The metadata of an issuer, and where its endpoints are. */
function discovered(issuer, paths, wellKnown = '/.well-known/openid-configuration') {
  const addresses = Object.fromEntries(Object.entries(paths).map(([endpoint, path]) => [endpoint, new URL(path, issuer).href]));
  const names = {
    authorize: 'authorization_endpoint', token: 'token_endpoint', device: 'device_authorization_endpoint',
    revoke: 'revocation_endpoint', userinfo: 'userinfo_endpoint',
  };
  const metadata = { issuer };
  for (const [endpoint, name] of Object.entries(names)) if (addresses[endpoint]) metadata[name] = addresses[endpoint];
  return { issuer, addresses: { ...addresses, metadata: issuer.replace(/\/$/, '') + wellKnown }, metadata };
}

const keycloak = discovered('https://keycloak.example.com/realms/plant', {
  authorize: '/realms/plant/protocol/openid-connect/auth', token: '/realms/plant/protocol/openid-connect/token',
  device: '/realms/plant/protocol/openid-connect/auth/device', revoke: '/realms/plant/protocol/openid-connect/revoke',
  userinfo: '/realms/plant/protocol/openid-connect/userinfo',
});
const authentik = discovered('https://authentik.example.com/application/o/gateway/', {
  authorize: '/application/o/authorize/', token: '/application/o/token/', device: '/application/o/device/',
  revoke: '/application/o/revoke/', userinfo: '/application/o/userinfo/',
});
const salesforce = discovered('https://login.salesforce.com', {
  authorize: '/services/oauth2/authorize', token: '/services/oauth2/token', revoke: '/services/oauth2/revoke',
  userinfo: '/services/oauth2/userinfo',
});
const zitadel = discovered('https://example.zitadel.cloud', {
  authorize: '/oauth/v2/authorize', token: '/oauth/v2/token', device: '/oauth/v2/device_authorization',
  revoke: '/oauth/v2/revoke', userinfo: '/oidc/v1/userinfo',
});

export const SHAPES = {
  // A code that lapsed is told once. A refresh token that is no longer good comes with HTTP 403.
  auth0: {
    addresses: {
      authorize: 'https://example.eu.auth0.com/authorize', device: 'https://example.eu.auth0.com/oauth/device/code',
      token: 'https://example.eu.auth0.com/oauth/token', revoke: 'https://example.eu.auth0.com/oauth/revoke',
    },
    answers: {
      device: [device(at('https://example.eu.auth0.com/activate'))],
      pending: [no('authorization_pending', 403)],
      denied: [no('access_denied', 403)],
      granted: [rotating],
      refresh: [rotating],
      refused: [no('invalid_grant', 403, { error_description: 'Unknown or invalid refresh token.' })],
    },
  },
  // The device endpoint limits its requests, and a refresh may bring no refresh token.
  authentik: {
    issuer: authentik.issuer,
    addresses: authentik.addresses,
    answers: {
      metadata: [ok({ ...authentik.metadata, token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'] })],
      device: [no('slow_down', 429), device(at('https://authentik.example.com/device'))],
      refresh: [bearer()],
    },
  },
  discord: {
    addresses: {
      authorize: 'https://discord.com/oauth2/authorize', token: 'https://discord.com/api/oauth2/token',
      revoke: 'https://discord.com/api/oauth2/token/revoke',
    },
    answers: { granted: [bearer({ refresh_token: '$', scope: 'identify', expires_in: 604_800 })], refresh: [rotating] },
  },
  // Without its own parameter there is no refresh token; the refresh token is never replaced.
  dropbox: {
    addresses: { authorize: 'https://www.dropbox.com/oauth2/authorize', token: 'https://api.dropboxapi.com/oauth2/token' },
    requires: { authorize: ['token_access_type'] },
    answers: {
      granted: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 14_400, uid: '1', account_id: 'dbid:1' })],
      refresh: [bearer({ token_type: 'bearer', expires_in: 14_400 })],
    },
  },
  fitbit: {
    addresses: {
      authorize: 'https://www.fitbit.com/oauth2/authorize', token: 'https://api.fitbit.com/oauth2/token',
      revoke: 'https://api.fitbit.com/oauth2/revoke',
    },
    answers: {
      granted: [bearer({ refresh_token: '$', expires_in: 28_800, scope: 'heartrate', user_id: 'ABC' })],
      refresh: [rotating],
      // Its own list in place of the standard's one code.
      refused: [{ status: 400, json: { errors: [{ errorType: 'invalid_grant', message: 'Refresh token invalid' }], success: false } }],
    },
  },
  // Errors come with HTTP 200, scopes with commas, and all of it as a form if nobody asks for JSON.
  github: {
    addresses: { device: 'https://github.com/login/device/code', token: 'https://github.com/login/oauth/access_token' },
    form_unless_json: true,
    answers: {
      device: [device({ verification_uri: 'https://github.com/login/device' }, { expires_in: 899 })],
      pending: [no('authorization_pending', 200), no('slow_down', 200, { interval: 7 }), no('authorization_pending', 200)],
      denied: [no('access_denied', 200)],
      unknown: [no('incorrect_device_code', 200)],
      granted: [ok({ access_token: '$', token_type: 'bearer', scope: 'repo,gist' })],
    },
  },
  gitlab: {
    addresses: {
      authorize: 'https://gitlab.com/oauth/authorize', device: 'https://gitlab.com/oauth/authorize_device',
      token: 'https://gitlab.com/oauth/token', revoke: 'https://gitlab.com/oauth/revoke',
    },
    answers: {
      device: [device(at('https://gitlab.com/oauth/device'), { expires_in: 300 })],
      granted: [bearer({ refresh_token: '$', expires_in: 7200, scope: 'read_api', created_at: 1_800_000_000 })],
      refresh: [bearer({ refresh_token: '$', expires_in: 7200, created_at: 1_800_000_000 })],
    },
  },
  // Its own word for the address, HTTP 428 while nobody has approved, and a secret that each poll must show.
  google: {
    addresses: {
      authorize: 'https://accounts.google.com/o/oauth2/v2/auth', device: 'https://oauth2.googleapis.com/device/code',
      token: 'https://oauth2.googleapis.com/token', revoke: 'https://oauth2.googleapis.com/revoke',
    },
    requires: { device: ['scope'], device_code: ['client_secret'], refresh_token: ['client_secret'], authorize: ['access_type'] },
    answers: {
      device: [device({ verification_url: 'https://www.google.com/device' }, { expires_in: 1800 })],
      pending: [no('authorization_pending', 428, { error_description: 'Precondition Required' })],
      denied: [no('access_denied', 403, { error_description: 'Forbidden' })],
      granted: [bearer({ refresh_token: '$', expires_in: 3599, scope: 'https://www.googleapis.com/auth/drive.file' })],
      refresh: [bearer({ expires_in: 3599, scope: 'https://www.googleapis.com/auth/drive.file' })],
      refused: [no('invalid_grant', 400, { error_description: 'Token has been expired or revoked.' })],
    },
  },
  keycloak: {
    issuer: keycloak.issuer,
    addresses: keycloak.addresses,
    answers: {
      metadata: [ok({
        ...keycloak.metadata,
        token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'tls_client_auth'],
      })],
      device: [device(at('https://keycloak.example.com/realms/plant/device'))],
      granted: [bearer({ refresh_token: '$', expires_in: 300, refresh_expires_in: 0, 'not-before-policy': 0, session_state: 'x' })],
      refresh: [bearer({ refresh_token: '$', expires_in: 300, refresh_expires_in: 0 })],
      refused: [no('invalid_grant', 400, { error_description: 'Token is not active' })],
    },
  },
  // Its own codes for a user's no and an unknown code, further members, and no revocation.
  microsoft: {
    addresses: {
      authorize: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
      device: 'https://login.microsoftonline.com/common/oauth2/v2.0/devicecode',
      token: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
    },
    requires: { device: ['scope'] },
    answers: {
      device: [device({ verification_uri: 'https://microsoft.com/devicelogin' }, { expires_in: 900, message: 'To sign in, use a web browser.' })],
      pending: [no('authorization_pending', 400, { error_codes: [70_016], trace_id: 'x', error_uri: 'https://login.microsoftonline.com/error' })],
      denied: [no('authorization_declined', 400, { error_codes: [70_018] })],
      unknown: [no('bad_verification_code')],
      granted: [bearer({ refresh_token: '$', expires_in: 3599, ext_expires_in: 3599, scope: 'Files.Read' })],
      refresh: [bearer({ refresh_token: '$', expires_in: 3599, ext_expires_in: 3599, scope: 'Files.Read' })],
      refused: [no('invalid_grant', 400, { error_codes: [700_082], suberror: 'token_expired' })],
    },
  },
  // The scopes are a list.
  netatmo: {
    addresses: { authorize: 'https://api.netatmo.com/oauth2/authorize', token: 'https://api.netatmo.com/oauth2/token' },
    requires: { authorization_code: ['client_secret'], refresh_token: ['client_secret'] },
    answers: {
      granted: [ok({ access_token: '$', refresh_token: '$', scope: ['read_station'], expires_in: 10_800, expire_in: 10_800 })],
      refresh: [ok({ access_token: '$', refresh_token: '$', expires_in: 10_800, expire_in: 10_800 })],
    },
  },
  okta: {
    addresses: {
      authorize: 'https://example.okta.com/oauth2/default/v1/authorize', device: 'https://example.okta.com/oauth2/default/v1/device/authorize',
      token: 'https://example.okta.com/oauth2/default/v1/token', revoke: 'https://example.okta.com/oauth2/default/v1/revoke',
    },
    answers: {
      device: [device(at('https://example.okta.com/activate'))],
      granted: [rotating],
      refresh: [rotating],
      refused: [no('invalid_grant', 400, { error_description: 'The refresh token is invalid or expired.' })],
    },
  },
  // Answers name no lifetime.
  salesforce: {
    issuer: salesforce.issuer,
    addresses: salesforce.addresses,
    answers: {
      metadata: [ok(salesforce.metadata)],
      granted: [ok({ access_token: '$', refresh_token: '$', token_type: 'Bearer', instance_url: 'https://example.my.salesforce.com', issued_at: '1800000000000' })],
      refresh: [ok({ access_token: '$', token_type: 'Bearer', issued_at: '1800000000000' })],
      refused: [no('invalid_grant', 400, { error_description: 'expired access/refresh token' })],
    },
  },
  spotify: {
    addresses: { authorize: 'https://accounts.spotify.com/authorize', token: 'https://accounts.spotify.com/api/token' },
    answers: {
      granted: [bearer({ refresh_token: '$', scope: 'user-read-private' })],
      refresh: [bearer({ scope: 'user-read-private' })],
      refused: [no('invalid_grant', 400, { error_description: 'Refresh token revoked' })],
    },
  },
  // Scopes with commas; the secret goes into the body.
  strava: {
    addresses: { authorize: 'https://www.strava.com/oauth/authorize', token: 'https://www.strava.com/oauth/token' },
    requires: { authorization_code: ['client_secret'], refresh_token: ['client_secret'] },
    answers: {
      granted: [bearer({ refresh_token: '$', expires_in: 21_600, expires_at: 1_800_000_000, athlete: { id: 1 } })],
      refresh: [bearer({ refresh_token: '$', expires_in: 21_600, expires_at: 1_800_000_000 })],
      // Its own form of an error.
      refused: [{ status: 400, json: { message: 'Bad Request', errors: [{ resource: 'RefreshToken', code: 'invalid' }] } }],
    },
  },
  zitadel: {
    issuer: zitadel.issuer,
    addresses: zitadel.addresses,
    answers: {
      metadata: [ok({ ...zitadel.metadata, token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'] })],
      device: [device(at('https://example.zitadel.cloud/device'))],
      granted: [rotating],
      refresh: [rotating],
    },
  },
};
