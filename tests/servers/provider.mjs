// The provider itself: every setting that matters to a client is here.
import { generateKeyPairSync, webcrypto } from 'node:crypto';

import Provider, { errors } from 'oidc-provider';

// Debian 12 has Node 18, which lacks these.
globalThis.crypto ??= webcrypto;
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};

/** The secrets of the clients, and a name to see them by in a log. */
export const SECRETS = {
  'device-post': 'post-secret-8Vq2mZ0xR5',
  // Reserved characters, which Basic authentication must form-encode (RFC 6749 2.3.1).
  'device-basic': 'basic+secret/9w:%41',
  'code-post': 'code-secret-Qm4T1yLs0c',
  panel: 'panel-secret-Hk2Vn8Wd5e',
  'machine +/:%41&=?': 'machine & secret: 100%+/?=#',
};

/** Where a browser is sent back to: this device (any port, RFC 8252 7.3), or an address that somebody else listens at. */
const REDIRECT_URIS = [
  'http://127.0.0.1:8629/oauth2/redirect',
  'http://[::1]:8629/oauth2/redirect',
  'http://localhost:8629/oauth2/redirect',
  'https://flows.example.com/oauth2/redirect',
];

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const client = (client_id, token_endpoint_auth_method, grant_types, more = {}) => ({
  client_id,
  client_secret: SECRETS[client_id],
  token_endpoint_auth_method,
  application_type: 'native',
  grant_types,
  redirect_uris: [],
  response_types: [],
  ...more,
});

/** The APIs that have access tokens of their own (RFC 8707), and the scope of each. */
const RESOURCES = { 'https://files.example.com/': 'files.read', 'https://mail.example.com/': 'mail.send' };

const CODE = { redirect_uris: REDIRECT_URIS, response_types: ['code'] };

/** A pair of keys for private_key_jwt, the public half as the provider has it and the private one as a client's file. */
function keyPair(alg) {
  const [type, options] = { ES256: ['ec', { namedCurve: 'P-256' }], RS256: ['rsa', { modulusLength: 2048 }], EdDSA: ['ed25519', {}] }[alg];
  const { publicKey, privateKey } = generateKeyPairSync(type, options);
  const kid = alg.toLowerCase();
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
    file: [`${kid}.pem`, privateKey.export({ format: 'pem', type: 'pkcs8' })],
  };
}

/** A person, by the name that was typed in: an e-mail address, or a name that has one at example.com. */
function person(id) {
  const name = id.split('@')[0];
  return {
    sub: id,
    email: id.includes('@') ? id : `${id}@example.com`,
    // Eve has typed somebody's address in, and has not shown that it is hers.
    email_verified: name !== 'eve',
    name,
    picture: `https://people.example.com/${name}.png`,
    groups: name === 'ann' ? ['operators', 'night shift'] : undefined,
  };
}

/**
 * @param {string} issuer where the provider is reached
 * @param {object} settings lifetimes in seconds, the poll interval, and the algorithms of the keys of `device-jwt`
 * @param {import('./journal.mjs').Journal} journal where token requests are written down
 * @returns the provider, and the files that its clients need, by name
 */
export function buildProvider(issuer, settings, journal) {
  const keys = settings.keys.map(keyPair);
  const files = Object.fromEntries(keys.map(({ file }) => file));
  Object.entries(SECRETS).forEach(([id, secret]) => { files[`${/^[\w-]+/.exec(id)[0]}.secret`] = secret; });
  const provider = new Provider(issuer, {
    clients: [
      client('device-public', 'none', [DEVICE, 'refresh_token']),
      client('device-post', 'client_secret_post', [DEVICE, 'refresh_token']),
      client('device-basic', 'client_secret_basic', [DEVICE, 'refresh_token']),
      client('device-jwt', 'private_key_jwt', [DEVICE, 'refresh_token', 'client_credentials'], {
        jwks: { keys: keys.map(({ jwk }) => jwk) },
      }),
      client('importing', 'none', [DEVICE, 'refresh_token']),
      client('code-public', 'none', ['authorization_code', 'refresh_token'], CODE),
      client('code-post', 'client_secret_post', ['authorization_code', 'refresh_token'], CODE),
      client('panel', 'client_secret_basic', ['authorization_code', DEVICE], {
        application_type: 'web', redirect_uris: [settings.panel], response_types: ['code'],
      }),
      client('machine +/:%41&=?', 'client_secret_basic', ['client_credentials']),
    ],
    // Otherwise a token outlives its time by 15 s.
    clockTolerance: 0,
    conformIdTokenClaims: !settings.claims_in_id_token,
    cookies: { keys: ['of no importance'] },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => {
          const scope = RESOURCES[resource];
          if (!scope) throw new errors.InvalidTarget();
          return { scope, audience: resource, accessTokenFormat: 'opaque', accessTokenTTL: settings.access_token_ttl };
        },
      },
      revocation: { enabled: true },
      userinfo: { enabled: settings.userinfo },
    },
    findAccount: (_, id) => ({ accountId: id, claims: () => person(id) }),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture', 'groups'] },
    pkce: { required: () => true },
    // A refresh token is good once; used again, it ends the whole grant.
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access', 'email', 'profile', 'measure'],
    ttl: {
      AccessToken: settings.access_token_ttl,
      AuthorizationCode: 60,
      ClientCredentials: settings.access_token_ttl,
      DeviceCode: settings.device_code_ttl,
      Grant: settings.refresh_token_ttl,
      IdToken: 3_600,
      Interaction: 600,
      RefreshToken: settings.refresh_token_ttl,
      Session: 600,
    },
  });
  provider.use(async (ctx, next) => {
    const entry = ctx.path === '/token' ? journal.begin() : undefined;
    await next();
    if (ctx.path === '/device/auth') {
      journal.keep(ctx.body ?? {});
      if (ctx.body?.device_code && settings.interval !== null) ctx.body.interval = settings.interval;
      if (ctx.body?.device_code && settings.shown_as) showAs(issuer, settings.shown_as, ctx.body);
    }
    journal.keepSent(ctx.oidc?.params ?? {});
    if (entry) {
      journal.decide(entry, ctx);
      await later(settings.latency_ms);
      journal.answered(entry);
    }
  });
  provider.on('grant.success', ({ oidc: { entities } }) => {
    if (entities.Account && entities.Grant) granted.push({ login: entities.Account.accountId, grantId: entities.Grant.jti });
  });
  provider.on('grant.error', (ctx, error) => { ctx.state.error_detail = error.error_detail; });
  provider.on('server_error', (_, error) => { process.stderr.write(`${error.stack}\n`); });
  return { provider, files };
}

const granted = [];

/** Ends every grant of a person, as an administrator does: refresh tokens are no longer good. */
export async function endGrants(provider, login) {
  const ended = granted.filter((grant) => grant.login === login);
  await Promise.all(ended.map(async ({ grantId }) => {
    await provider.RefreshToken.revokeByGrantId(grantId);
    await provider.AccessToken.revokeByGrantId(grantId);
  }));
}

/** Gives a client another secret, and ends the one that it had, as whoever administers it does. */
export async function replaceSecret(provider, clientId, secret) {
  (await provider.Client.find(clientId)).clientSecret = secret;
}

/** Names an address as it would be on the internet, for pictures. */
function showAs(issuer, address, answer) {
  for (const key of ['verification_uri', 'verification_uri_complete']) answer[key] = answer[key].replace(issuer, address);
}

function later([least, most]) {
  const wait = least + Math.random() * (most - least);
  return wait > 0 ? new Promise((resolve) => { setTimeout(resolve, wait); }) : undefined;
}
