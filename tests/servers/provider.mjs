// The provider itself: every setting that matters to a client is here.
import { webcrypto } from 'node:crypto';

import Provider from 'oidc-provider';

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
};

const device = (client_id, token_endpoint_auth_method, client_secret) => ({
  client_id,
  client_secret,
  token_endpoint_auth_method,
  application_type: 'native',
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  redirect_uris: [],
  response_types: [],
});

/**
 * @param {string} issuer where the provider is reached
 * @param {object} settings lifetimes in seconds, and the poll interval
 * @param {import('./journal.mjs').Journal} journal where token requests are written down
 */
export function buildProvider(issuer, settings, journal) {
  const provider = new Provider(issuer, {
    clients: [
      device('device-public', 'none'),
      device('device-post', 'client_secret_post', SECRETS['device-post']),
      device('device-basic', 'client_secret_basic', SECRETS['device-basic']),
    ],
    // Otherwise a token outlives its time by 15 s.
    clockTolerance: 0,
    cookies: { keys: ['of no importance'] },
    features: {
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      revocation: { enabled: true },
    },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, name: id }) }),
    claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
    // A refresh token is good once; used again, it ends the whole grant.
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    ttl: {
      AccessToken: settings.access_token_ttl,
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
    }
    if (entry) {
      journal.decide(entry, ctx);
      await later(settings.latency_ms);
      journal.answered(entry);
    }
  });
  provider.on('grant.error', (ctx, error) => { ctx.state.error_detail = error.error_detail; });
  provider.on('server_error', (_, error) => { process.stderr.write(`${error.stack}\n`); });
  return provider;
}

function later([least, most]) {
  const wait = least + Math.random() * (most - least);
  return wait > 0 ? new Promise((resolve) => { setTimeout(resolve, wait); }) : undefined;
}
