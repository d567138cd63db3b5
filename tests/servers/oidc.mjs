// A certified OpenID provider for the end-to-end tests, with what a test needs around it:
//
//   /test/approve, /test/deny   a user who walks the real pages, like a browser would
//   /test/authorize             the same from an authorization request on; answers with where the browser is sent back to
//   /test/end                   an administrator who ends all that somebody has granted
//   /test/client-secret         the same who gives a client another secret
//   /test/fault                 faults that no real server makes on demand
//   /test/log, /test/secrets    what was asked and answered, and every secret that was given out
//   /api/…                      addresses that only a good access token opens; what is posted there comes back
//
// Usage: node oidc.mjs '{"access_token_ttl": 8}'. Listens on loopback, unless it is told another address of a network of
// its own, and prints one line of JSON when it is ready.
import { createServer } from 'node:http';

import { Browser } from './browser.mjs';
import { Faults } from './faults.mjs';
import { body, sendJson } from './http.mjs';
import { Journal } from './journal.mjs';
import { SECRETS, buildProvider, endGrants, replaceSecret } from './provider.mjs';

const settings = {
  access_token_ttl: 8,
  refresh_token_ttl: 86_400,
  device_code_ttl: 600,
  // Whether who signed in stands in the ID token, or only at the userinfo endpoint, and whether there is one.
  claims_in_id_token: false,
  userinfo: true,
  // The algorithms of the keys that the client device-jwt has.
  keys: ['ES256'],
  // What the device endpoint names as `interval`; null leaves it out, as this provider does by itself.
  interval: 1,
  // The address that verification addresses start with in place of this server's; for pictures.
  shown_as: null,
  // Where the client panel sends browsers back to.
  panel: 'https://panel.example.com/oauth2mqtt/callback',
  // Answers of the token endpoint are held back for a random time between these two, once the provider has made them.
  latency_ms: [0, 0],
  host: '127.0.0.1',
  port: 0,
  ...JSON.parse(process.argv[2] ?? '{}'),
};

const journal = new Journal(SECRETS);
const faults = new Faults();
let provider;
let issuer;
let calls = 0;

async function api(request, response) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  const isBearer = scheme.toLowerCase() === 'bearer' && token;
  const found = isBearer ? await provider.AccessToken.find(token) ?? await provider.ClientCredentials.find(token) : undefined;
  if (!found) return sendJson(response, 401, { error: 'invalid_token' });
  if (request.method === 'POST') {
    const { 'content-type': content_type } = request.headers;
    return sendJson(response, 200, { sub: found.accountId, content_type, body: await body(request) });
  }
  calls += 1;
  const { aud = null, scope = null } = found;
  return sendJson(response, 200, { sub: found.accountId ?? found.clientId, n: calls, token: Journal.fingerprint(token), aud, scope });
}

async function control(request, response, url) {
  const query = Object.fromEntries(url.searchParams);
  switch (`${request.method} ${url.pathname}`) {
    case 'POST /test/approve':
      return sendJson(response, 200, await new Browser(issuer).approve(query));
    case 'POST /test/deny':
      return sendJson(response, 200, await new Browser(issuer).deny(query));
    case 'POST /test/authorize':
      return sendJson(response, 200, await new Browser(issuer).authorize(JSON.parse(await body(request))));
    case 'POST /test/end':
      await endGrants(provider, query.login);
      return sendJson(response, 200, {});
    case 'POST /test/client-secret': {
      const { client_id: clientId, secret } = JSON.parse(await body(request));
      journal.secrets.client.push(secret);
      await replaceSecret(provider, clientId, secret);
      return sendJson(response, 200, {});
    }
    case 'POST /test/fault':
      faults.add(JSON.parse(await body(request)));
      return sendJson(response, 200, {});
    case 'GET /test/log':
      return sendJson(response, 200, journal.entries);
    case 'GET /test/secrets':
      return sendJson(response, 200, journal.secrets);
    default:
      return sendJson(response, 404, { error: 'not_found' });
  }
}

async function serve(request, response) {
  const url = new URL(request.url, issuer);
  if (url.pathname.startsWith('/api/')) return api(request, response);
  if (url.pathname.startsWith('/test/')) return control(request, response, url);
  const fault = faults.next(url.pathname);
  if (!fault) return provider.callback()(request, response);
  if (url.pathname === '/token') journal.fault(fault.mode);
  return faults.inflict(fault, request, response, () => provider.callback()(request, response));
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    if (!response.headersSent) sendJson(response, 500, { error: String(error) });
  });
});
server.listen(settings.port, settings.host, () => {
  const { port } = server.address();
  issuer = `http://${settings.host}:${port}`;
  let files;
  ({ provider, files } = buildProvider(issuer, settings, journal));
  journal.secrets.client.push(...Object.entries(files).filter(([name]) => name.endsWith('.pem')).map(([, pem]) => pem.trim()));
  process.stdout.write(`${JSON.stringify({ port, issuer, files })}\n`);
});
