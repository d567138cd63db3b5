// Providers that answer by script, for what no real server does on demand: the shapes in shapes.mjs, and those that a
// test makes up. One process plays many at once.
//
//   /NAME/device, /NAME/token, …   a provider of the test's own, whose issuer is http://127.0.0.1:PORT/NAME
//   CONNECT host:443               this is also a proxy, behind which a known provider has its own host and paths
//   /test/approve, /test/deny      what a user decides about a code
//   /test/authorize                what a user decides about an authorization request
//   /test/answers                  other answers from now on
//   /test/log, /test/secrets       as oidc.mjs has them; /test/requests has every request to any one endpoint
//
// Usage: node fake.mjs '{"providers": {"odd": {"answers": {"refresh": [{"status": 403}]}}}}'.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

import { body, sendJson } from './http.mjs';
import { Journal } from './journal.mjs';
import { ScriptedProvider } from './scripted.mjs';
import { SHAPES } from './shapes.mjs';

const settings = {
  port: 0,
  // By name: a shape, or what differs from the plain one.
  providers: { plain: {} },
  // Files with the key and certificate for the hosts behind the proxy.
  tls: null,
  ...JSON.parse(process.argv[2] ?? '{}'),
};

const journal = new Journal({ the: 'secret-of-the-fake-client' });
const requests = [];
const providers = new Map();
let origin;

/** Who plays this address; where there are several, the one that the client is named after. */
function endpointAt(address, client_id) {
  const all = [...providers.values()].map((provider) => ({ provider, endpoint: provider.endpointAt(address) }));
  const here = all.filter(({ endpoint }) => endpoint);
  return here.find(({ provider }) => provider.name === client_id) ?? here[0] ?? {};
}

function deciding(user_code) {
  const provider = [...providers.values()].find((candidate) => candidate.hasCode(user_code));
  if (!provider) throw new Error(`no such code: ${user_code}`);
  return provider;
}

async function control(request, response, url) {
  const query = Object.fromEntries(url.searchParams);
  const text = await body(request);
  switch (`${request.method} ${url.pathname}`) {
    case 'POST /test/approve': {
      const user_code = query.user_code ?? new URL(query.uri).searchParams.get('user_code');
      deciding(user_code).decide(user_code, query.login ?? 'somebody');
      return sendJson(response, 200, {});
    }
    case 'POST /test/deny':
      deciding(query.user_code).decide(query.user_code, null);
      return sendJson(response, 200, {});
    case 'POST /test/authorize': {
      const { uri, ...decision } = JSON.parse(text);
      const { provider, endpoint } = endpointAt(uri, new URL(uri).searchParams.get('client_id'));
      if (endpoint !== 'authorize') throw new Error(`no authorization endpoint: ${uri}`);
      return sendJson(response, 200, { redirected_to: provider.authorize(new URL(uri), decision) });
    }
    case 'POST /test/answers': {
      const { provider, answers } = JSON.parse(text);
      providers.get(provider).answer(answers);
      return sendJson(response, 200, {});
    }
    case 'GET /test/log':
      return sendJson(response, 200, journal.entries);
    case 'GET /test/requests':
      return sendJson(response, 200, requests.filter(({ provider, endpoint }) => provider === query.provider && endpoint === query.endpoint));
    case 'GET /test/secrets':
      return sendJson(response, 200, journal.secrets);
    default:
      return sendJson(response, 404, { error: 'not_found' });
  }
}

async function serve(request, response, scheme) {
  const url = new URL(request.url, `${scheme}://${request.headers.host}`);
  if (url.pathname === '/api/me') return apiMe(request, response);
  if (url.pathname.startsWith('/test/')) return control(request, response, url);
  const params = Object.fromEntries(new URLSearchParams(await body(request)));
  const [user, ...password] = basic(request.headers.authorization);
  const { provider, endpoint } = endpointAt(url.href, params.client_id ?? user);
  if (!provider) return sendJson(response, 404, { error: 'no_such_address' });
  const seen = {
    provider: provider.name,
    endpoint,
    received_at: Date.now() / 1000,
    method: request.method,
    // The status of the answer, or what became of the connection.
    answered: null,
    accept: request.headers.accept ?? null,
    content_type: request.headers['content-type'] ?? null,
    // What was sent as it was sent, but for what a client keeps to itself.
    authorization: request.headers.authorization?.split(' ')[0] ?? null,
    basic_user: user ?? null,
    basic_secret: Journal.fingerprint(password.join(':')),
    query: url.search,
    params: Object.fromEntries(Object.entries(params).map(([name, value]) => [name, SECRET.has(name) ? Journal.fingerprint(value) : value])),
  };
  requests.push(seen);
  return provider.respond({ endpoint, params, seen, request, response, user, password: password.join(':') });
}

const SECRET = new Set(['client_secret', 'device_code', 'code', 'code_verifier', 'refresh_token', 'token', 'client_assertion', 'password']);

/** The two halves of a Basic header, decoded as RFC 6749 2.3.1 encodes them. */
function basic(header) {
  const [scheme, value] = (header ?? '').split(' ');
  if (scheme.toLowerCase() !== 'basic') return [];
  const decode = (half) => decodeURIComponent(half.replaceAll('+', ' '));
  return Buffer.from(value, 'base64').toString().split(':').map(decode);
}

function apiMe(request, response) {
  const token = (request.headers.authorization ?? '').split(' ')[1];
  const owner = [...providers.values()].map((provider) => provider.ownerOf(token)).find(Boolean);
  return owner ? sendJson(response, 200, { sub: owner }) : sendJson(response, 401, { error: 'invalid_token' });
}

const by = (scheme) => (request, response) => {
  serve(request, response, scheme).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    if (!response.headersSent) sendJson(response, 500, { error: String(error) });
  });
};

const server = createServer(by('http'));
// A connection that is kept is not closed at the very moment at which it is used again.
server.keepAliveTimeout = 60_000;
if (settings.tls) {
  const behind = createTlsServer({ key: readFileSync(settings.tls.key), cert: readFileSync(settings.tls.cert) }, by('https'));
  behind.keepAliveTimeout = 60_000;
  server.on('connect', (request, socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    behind.emit('connection', socket);
  });
}
server.listen(settings.port, '127.0.0.1', () => {
  const { port } = server.address();
  origin = `http://127.0.0.1:${port}`;
  for (const [name, shape] of Object.entries(settings.providers)) {
    const known = SHAPES[shape.shape ?? name] ?? {};
    providers.set(name, new ScriptedProvider(name, { ...known, ...shape, answers: { ...known.answers, ...shape.answers } }, origin, journal));
  }
  const [first] = Object.keys(settings.providers);
  process.stdout.write(`${JSON.stringify({ port, issuer: `${origin}/${first}`, files: { 'the.secret': journal.secrets.client[0] } })}\n`);
});
