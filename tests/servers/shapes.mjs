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

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

export const SHAPES = {
  // A device grant of its own: each poll names the user's code too.
  amazon: {
    addresses: { device: 'https://api.amazon.com/auth/o2/create/codepair', token: 'https://api.amazon.com/auth/o2/token' },
    grants: { device_code: DEVICE_CODE },
    requires: { device: ['response_type', 'scope'], device_code: ['user_code'] },
    answers: {
      device: [device({ verification_uri: 'https://amazon.com/us/code' })],
      granted: [bearer({ refresh_token: '$', token_type: 'bearer' })],
      refresh: [bearer({ refresh_token: '$', token_type: 'bearer' })],
    },
  },
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
  // A refresh that does not name the scopes brings no access token.
  'azure-ad-b2c': {
    addresses: {
      authorize: 'https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_sign_in/oauth2/v2.0/authorize',
      token: 'https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_sign_in/oauth2/v2.0/token',
    },
    requires: { refresh_token: ['scope'] },
    answers: {
      granted: [bearer({ refresh_token: '$', not_before: 1_800_000_000, refresh_token_expires_in: 1_209_600 })],
      refresh: [bearer({ refresh_token: '$', refresh_token_expires_in: 1_209_600 })],
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
  'home-connect': {
    addresses: {
      authorize: 'https://api.home-connect.com/security/oauth/authorize', token: 'https://api.home-connect.com/security/oauth/token',
      device: 'https://api.home-connect.com/security/oauth/device_authorization',
    },
    grants: { device_code: DEVICE_CODE },
    answers: {
      device: [device(at('https://api.home-connect.com/security/oauth/device_verify'), { expires_in: 300 })],
      granted: [bearer({ refresh_token: '$', expires_in: 86_400, scope: 'IdentifyAppliance Monitor' })],
      refresh: [bearer({ refresh_token: '$', expires_in: 86_400, scope: 'IdentifyAppliance Monitor' })],
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
  quickbooks: {
    addresses: { authorize: 'https://appcenter.intuit.com/connect/oauth2', token: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer' },
    requires: { authorization_code: ['basic'], refresh_token: ['basic'] },
    answers: {
      granted: [bearer({ refresh_token: '$', token_type: 'bearer', x_refresh_token_expires_in: 8_726_400 })],
      refresh: [bearer({ refresh_token: '$', token_type: 'bearer', x_refresh_token_expires_in: 8_726_400 })],
    },
  },
  // A client without a secret shows an empty one.
  reddit: {
    addresses: {
      authorize: 'https://www.reddit.com/api/v1/authorize', token: 'https://www.reddit.com/api/v1/access_token',
      revoke: 'https://www.reddit.com/api/v1/revoke_token',
    },
    requires: { authorize: ['duration'], authorization_code: ['basic'], refresh_token: ['basic'] },
    answers: { granted: [bearer({ refresh_token: '$', token_type: 'bearer', scope: 'identity' })], refresh: [bearer({ token_type: 'bearer', scope: 'identity' })] },
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
  // Everything comes with HTTP 200.
  slack: {
    addresses: { authorize: 'https://slack.com/oauth/v2/authorize', token: 'https://slack.com/api/oauth.v2.access' },
    requires: { authorization_code: ['basic'], refresh_token: ['basic'] },
    answers: {
      granted: [ok({ ok: true, access_token: '$', token_type: 'bot', scope: 'chat:write', expires_in: 43_200, refresh_token: '$', team: { id: 'T1' } })],
      refresh: [ok({ ok: true, access_token: '$', token_type: 'bot', scope: 'chat:write', expires_in: 43_200, refresh_token: '$' })],
      unknown: [ok({ ok: false, error: 'invalid_code' })],
      refused: [ok({ ok: false, error: 'invalid_refresh_token' })],
    },
  },
  smartthings: {
    addresses: { authorize: 'https://api.smartthings.com/v1/oauth/authorize', token: 'https://api.smartthings.com/v1/oauth/token' },
    requires: { authorization_code: ['basic'], refresh_token: ['basic'] },
    answers: {
      granted: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 86_399, scope: 'r:devices:*', access_tier: 0, installed_app_id: 'x' })],
      refresh: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 86_399, scope: 'r:devices:*', access_tier: 0, installed_app_id: 'x' })],
    },
  },
  spotify: {
    addresses: { authorize: 'https://accounts.spotify.com/authorize', token: 'https://accounts.spotify.com/api/token' },
    answers: {
      granted: [bearer({ refresh_token: '$', scope: 'user-read-private' })],
      refresh: [bearer({ refresh_token: '$', scope: 'user-read-private' })],
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
  tado: {
    addresses: { device: 'https://login.tado.com/oauth2/device_authorize', token: 'https://login.tado.com/oauth2/token' },
    answers: {
      device: [device(at('https://login.tado.com/oauth2/device'), { expires_in: 300 })],
      granted: [bearer({ refresh_token: '$', expires_in: 600, scope: 'offline_access', userId: '1' })],
      refresh: [bearer({ refresh_token: '$', expires_in: 600, scope: 'offline_access' })],
    },
  },
  // The code exchange names the API's region.
  tesla: {
    addresses: { authorize: 'https://auth.tesla.com/oauth2/v3/authorize', token: 'https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token' },
    requires: { authorization_code: ['client_secret', 'audience'] },
    answers: { granted: [bearer({ refresh_token: '$', expires_in: 28_800 })], refresh: [bearer({ refresh_token: '$', expires_in: 28_800 })] },
  },
  // Its own name for the client's, scopes with commas, and no proof key.
  tiktok: {
    addresses: {
      authorize: 'https://www.tiktok.com/v2/auth/authorize/', token: 'https://open.tiktokapis.com/v2/oauth/token/',
      revoke: 'https://open.tiktokapis.com/v2/oauth/revoke/',
    },
    names: { client_key: 'client_id', client_id: 'not_client_id' },
    pkce: false,
    requires: { authorization_code: ['client_id', 'client_secret'], refresh_token: ['client_id', 'client_secret'], revoke: ['client_id'] },
    answers: {
      granted: [bearer({ refresh_token: '$', expires_in: 86_400, refresh_expires_in: 31_536_000, open_id: 'x', scope: 'user.info.basic' })],
      refresh: [bearer({ refresh_token: '$', expires_in: 86_400, refresh_expires_in: 31_536_000, open_id: 'x', scope: 'user.info.basic' })],
    },
  },
  // A poll goes to an endpoint of its own, and is answered by its status alone.
  trakt: {
    addresses: {
      device: 'https://api.trakt.tv/oauth/device/code', poll: 'https://api.trakt.tv/oauth/device/token', authorize: 'https://trakt.tv/oauth/authorize',
      token: 'https://api.trakt.tv/oauth/token', revoke: 'https://api.trakt.tv/oauth/revoke',
    },
    poll_names: { code: 'device_code' },
    requires: { device_code: ['client_secret'], refresh_token: ['client_secret'] },
    answers: {
      device: [device({ verification_url: 'https://trakt.tv/activate' })],
      pending: [{ status: 400 }],
      denied: [{ status: 418 }],
      unknown: [{ status: 404 }],
      granted: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 604_800, scope: 'public', created_at: 1_800_000_000 })],
      refresh: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 604_800, scope: 'public', created_at: 1_800_000_000 })],
    },
  },
  // Its own name for the scopes, and the code of an error is its message.
  twitch: {
    addresses: { device: 'https://id.twitch.tv/oauth2/device', token: 'https://id.twitch.tv/oauth2/token', revoke: 'https://id.twitch.tv/oauth2/revoke' },
    names: { scopes: 'scope', scope: 'not_scope' },
    requires: { device: ['scope'] },
    answers: {
      device: [device({ verification_uri: 'https://www.twitch.tv/activate?device-code=$user_code' }, { expires_in: 1800 })],
      pending: [{ status: 400, json: { status: 400, message: 'authorization_pending' } }],
      unknown: [{ status: 400, json: { status: 400, message: 'invalid device code' } }],
      granted: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 14_400, scope: ['user:read:email'] })],
      refresh: [bearer({ refresh_token: '$', token_type: 'bearer', expires_in: 14_400, scope: ['user:read:email'] })],
      refused: [{ status: 400, json: { status: 400, message: 'Invalid refresh token' } }],
    },
  },
  // A parameter of its own, HTTP 200 for everything, and the members one level down.
  withings: {
    addresses: { authorize: 'https://account.withings.com/oauth2_user/authorize2', token: 'https://wbsapi.withings.net/v2/oauth2' },
    requires: { authorization_code: ['action', 'client_secret'], refresh_token: ['action', 'client_secret'] },
    answers: {
      granted: [ok({ status: 0, body: { userid: '1', access_token: '$', refresh_token: '$', scope: 'user.metrics', expires_in: 10_800, token_type: 'Bearer' } })],
      refresh: [ok({ status: 0, body: { userid: '1', access_token: '$', refresh_token: '$', scope: 'user.metrics', expires_in: 10_800, token_type: 'Bearer' } })],
      unknown: [ok({ status: 503, body: {}, error: 'Invalid Params: invalid code' })],
      refused: [ok({ status: 503, body: {}, error: 'Invalid Params: invalid refresh_token' })],
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
  // A poll goes to an endpoint of its own, with its own grant type; errors come with HTTP 200.
  zoho: {
    addresses: {
      device: 'https://accounts.zoho.com/oauth/v3/device/code', poll: 'https://accounts.zoho.com/oauth/v3/device/token',
      authorize: 'https://accounts.zoho.com/oauth/v2/auth', token: 'https://accounts.zoho.com/oauth/v2/token',
      revoke: 'https://accounts.zoho.com/oauth/v2/token/revoke',
    },
    poll_names: { code: 'device_code' },
    grants: { device_token: DEVICE_CODE },
    requires: { device: ['grant_type', 'access_type', 'scope'], device_code: ['client_secret'], refresh_token: ['client_secret'] },
    answers: {
      device: [device({ verification_url: 'https://accounts.zoho.com/oauth/v3/device' }, { expires_in: 300 })],
      pending: [no('authorization_pending', 200)],
      denied: [no('access_denied', 200)],
      unknown: [no('expired', 200)],
      granted: [bearer({ refresh_token: '$', api_domain: 'https://www.zohoapis.com' })],
      refresh: [bearer({ api_domain: 'https://www.zohoapis.com' })],
      refused: [no('invalid_code', 200)],
    },
  },
  // Its own name for the grant of a machine.
  zoom: {
    addresses: { token: 'https://zoom.us/oauth/token' },
    grants: { account_credentials: 'client_credentials' },
    requires: { client_credentials: ['account_id', 'basic'] },
    answers: { client_credentials: [bearer({ token_type: 'bearer', expires_in: 3600, scope: 'user:read:admin', api_url: 'https://api.zoom.us' })] },
  },
};
