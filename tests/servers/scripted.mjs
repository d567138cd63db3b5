// One provider whose answers are a script.
//
// An answer is `{ status, headers, json }`, or has `form`, `html` or `wire` in place of `json`. Each endpoint has a list
// of them: every request takes the next, and the last one is given again and again. In `json`, "$" stands for a fresh
// secret of the member's own kind, "$issuer" for this provider, and an object as `id_token` for a token with those claims.
import { createHash, randomBytes } from 'node:crypto';

const ok = (json) => [{ status: 200, json }];
const no = (error, status = 400) => [{ status, json: { error } }];

/** A provider without anything odd about it. */
const PLAIN = {
  device: ok({
    device_code: '$', user_code: '$', verification_uri: '$issuer/activate', verification_uri_complete: '$issuer/activate?user_code=$user_code',
    expires_in: 600, interval: 1,
  }),
  pending: no('authorization_pending'),
  denied: no('access_denied'),
  unknown: no('invalid_grant'),
  granted: ok({ access_token: '$', refresh_token: '$', token_type: 'Bearer', expires_in: 3600 }),
  refresh: ok({ access_token: '$', refresh_token: '$', token_type: 'Bearer', expires_in: 3600 }),
  refused: no('invalid_grant'),
  client_credentials: ok({ access_token: '$', token_type: 'Bearer', expires_in: 3600 }),
  password: ok({ access_token: '$', refresh_token: '$', token_type: 'Bearer', expires_in: 3600 }),
  revoke: [{ status: 200 }],
  userinfo: ok({ sub: '$owner', email: '$owner@example.com', email_verified: true, name: '$owner' }),
  metadata: ok({
    issuer: '$issuer', authorization_endpoint: '$at.authorize', token_endpoint: '$at.token',
    device_authorization_endpoint: '$at.device', revocation_endpoint: '$at.revoke', userinfo_endpoint: '$at.userinfo',
    response_types_supported: ['code'], code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'none'],
  }),
};

const PATHS = {
  authorize: '/authorize', device: '/device', token: '/token', revoke: '/revoke', userinfo: '/userinfo',
  metadata: '/.well-known/openid-configuration',
};

export class ScriptedProvider {
  #answers = { ...PLAIN };
  #given = new Map(); // how often each list was asked
  #codes = new Map(); // by user code: { device_code, decided, login }
  #grants = new Map(); // by authorization code: { challenge, redirect_uri, login }
  #owners = new Map(); // by access token
  #refused = false;

  /**
   * @param {string} name by which a test calls it
   * @param {object} shape `answers`; `addresses` of endpoints that are not on loopback, with `issuer`; `requires`, the
   *   parameters without which an endpoint refuses, or `basic`, the client in the header; `names` and `poll_names`, the standard names of parameters by its own, the
   *   latter in polls alone; `grants`, the standard values of `grant_type` by its own; `pkce`, false where it knows no proof key
   */
  constructor(name, { answers = {}, addresses, issuer, requires = {}, form_unless_json = false, grant_on_first_poll = false, names = {}, poll_names = {}, grants = {}, pkce = true }, origin, journal) {
    Object.assign(this, { names, pollNames: poll_names, grantTypes: grants, pkce });
    Object.assign(this, { name, requires, journal, formUnlessJson: form_unless_json, grantOnFirstPoll: grant_on_first_poll });
    this.issuer = issuer ?? `${origin}/${name}`;
    this.addresses = addresses ?? Object.fromEntries(Object.entries(PATHS).map(([endpoint, path]) => [endpoint, this.issuer + path]));
    Object.assign(this.#answers, answers);
  }

  /** Other answers from now on; a name stands for the list of that name. All lists begin anew. */
  answer(answers) {
    this.#given.clear();
    for (const [list, entries] of Object.entries(answers)) {
      this.#answers[list] = typeof entries === 'string' ? this.#answers[entries] : entries;
    }
  }

  endpointAt(address) {
    const [asked] = address.split('?');
    return Object.entries(this.addresses).find(([, known]) => known.split('?')[0] === asked)?.[0];
  }

  hasCode(user_code) {
    return this.#codes.has(user_code);
  }

  decide(user_code, login) {
    Object.assign(this.#codes.get(user_code), { decided: true, login });
  }

  ownerOf(access_token) {
    return this.#owners.get(access_token);
  }

  /** Checks an authorization request as RFC 6749 4.1.1 and RFC 7636 4.3 have it, and says where the browser is sent. */
  authorize(url, { login = 'somebody', deny = false, without = [], instead = {} }) {
    const asked = this.#standard(Object.fromEntries(url.searchParams), 'authorize');
    const proof = this.pkce ? ['code_challenge'] : [];
    for (const name of ['client_id', 'redirect_uri', 'state', ...proof, ...(this.requires.authorize ?? [])]) {
      if (!asked[name]) throw new Error(`the authorization request has no ${name}`);
    }
    if (asked.response_type !== 'code' || asked.code_challenge_method !== (this.pkce ? 'S256' : undefined)) throw new Error(`not code with S256: ${url.search}`);
    const code = this.#fresh('code');
    this.#grants.set(code, { challenge: asked.code_challenge, redirect_uri: asked.redirect_uri, login });
    const answer = deny ? { error: 'access_denied', state: asked.state } : { code, state: asked.state };
    const back = new URL(asked.redirect_uri);
    Object.entries({ ...answer, ...instead }).forEach(([name, value]) => { if (!without.includes(name)) back.searchParams.set(name, value); });
    return back.href;
  }

  respond({ endpoint: asked, params: sent, seen, request, response, user, password }) {
    const params = this.#standard(sent, asked);
    const endpoint = asked === 'poll' ? 'token' : asked;
    const entry = endpoint === 'token' ? this.journal.begin() : undefined;
    this.journal.keepSent(params);
    const client_id = params.client_id ?? user;
    const has = (name) => (name === 'basic' ? user !== undefined : params[name] || (name === 'client_secret' && password));
    const missing = (this.requires[this.#step(endpoint, params)] ?? []).find((name) => !has(name));
    const [list, login] = missing ? [] : this.#choose(endpoint, params);
    const answer = list ? this.#next(list) : { status: 400, json: { error: 'invalid_request', error_description: `${missing} is missing` } };
    seen.answered = answer.wire ?? answer.status ?? 200;
    const json = answer.json && this.#fill(answer.json, { client_id, login, request });
    const tokens = json?.body ?? json;
    if (tokens?.access_token) this.#owners.set(tokens.access_token, login ?? client_id);
    if (entry) this.#write(entry, params, client_id, answer, tokens, login);
    else this.journal.keep(json ?? {});
    this.#send(answer, json, request, response);
    if (entry) this.journal.answered(entry);
  }

  /** The parameters by the names and with the grant types that the standards have. */
  #standard(params, endpoint) {
    const names = endpoint === 'poll' ? { ...this.names, ...this.pollNames } : this.names;
    const named = Object.fromEntries(Object.entries(params).map(([name, value]) => [names[name] ?? name, value]));
    if (this.grantTypes[named.grant_type]) named.grant_type = this.grantTypes[named.grant_type];
    return named;
  }

  #step(endpoint, params) {
    return endpoint === 'token' ? params.grant_type?.split(':').pop() : endpoint;
  }

  /** Which list the answer is from, and who has decided. */
  #choose(endpoint, params) {
    if (endpoint !== 'token') return [endpoint];
    switch (params.grant_type) {
      case 'urn:ietf:params:oauth:grant-type:device_code': {
        const code = [...this.#codes.values()].find(({ device_code }) => device_code === params.device_code);
        if (!code) return ['unknown'];
        if (!code.decided && !this.grantOnFirstPoll) return ['pending'];
        return code.login === null ? ['denied'] : ['granted', code.login ?? 'somebody'];
      }
      case 'authorization_code': {
        const grant = this.#grants.get(params.code);
        this.#grants.delete(params.code);
        const challenge = this.pkce ? createHash('sha256').update(params.code_verifier ?? '').digest('base64url') : undefined;
        const good = grant && grant.redirect_uri === params.redirect_uri && grant.challenge === challenge;
        return good ? ['granted', grant.login] : ['unknown'];
      }
      case 'refresh_token':
        return ['refresh'];
      case 'client_credentials':
      case 'password':
        return [params.grant_type, params.username];
      default:
        throw new Error(`unknown grant ${params.grant_type}`);
    }
  }

  #next(list) {
    const given = this.#given.get(list) ?? 0;
    this.#given.set(list, given + 1);
    const answers = this.#answers[list];
    return answers[Math.min(given, answers.length - 1)];
  }

  #fill(value, about, key = '') {
    if (key === 'id_token' && value && typeof value === 'object') return this.#idToken(this.#fill(value, about));
    if (Array.isArray(value)) return value.map((item) => this.#fill(item, about));
    if (value && typeof value === 'object') {
      const filled = {};
      for (const [name, item] of Object.entries(value)) filled[name] = this.#fill(item, { ...about, filled }, name);
      if (filled.device_code && filled.user_code) this.#codes.set(filled.user_code, { device_code: filled.device_code });
      return filled;
    }
    if (value === '$') return this.#fresh(key);
    if (typeof value !== 'string' || !value.includes('$')) return value;
    const owner = about.login ?? this.#owners.get((about.request.headers.authorization ?? '').split(' ')[1]) ?? 'somebody';
    return value
      .replaceAll('$issuer', this.issuer)
      .replace(/\$at\.(\w+)/g, (_, endpoint) => this.addresses[endpoint])
      .replaceAll('$user_code', about.filled?.user_code)
      .replaceAll('$client_id', about.client_id)
      .replaceAll('$owner', owner);
  }

  #fresh(kind) {
    const secret = kind === 'user_code' ? userCode() : `${kind}-${randomBytes(24).toString('base64url')}`;
    this.journal.keep({ [kind]: secret });
    return secret;
  }

  /** A JSON Web Token whose signature nobody can check; `expires_in` becomes `exp`. */
  #idToken({ expires_in = 3600, ...claims }) {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'ES256' })}.${part({ iat: now, exp: now + expires_in, ...claims })}.${randomBytes(32).toString('base64url')}`;
    this.journal.keep({ id_token: token });
    return token;
  }

  #write(entry, params, client_id, answer, json, login) {
    const ctx = {
      oidc: { params, entities: { Account: login && { accountId: login }, RotatedRefreshToken: params.refresh_token && json?.refresh_token } },
      body: json, status: answer.status, state: {},
    };
    this.journal.decide(entry, ctx);
    Object.assign(entry, { client_id, provider: this.name });
  }

  #send(answer, json, request, response) {
    if (answer.wire === 'hang') return;
    if (answer.wire === 'reset') { request.socket.resetAndDestroy(); return; }
    const wantsJson = (request.headers.accept ?? '').includes('application/json');
    const asForm = answer.form ?? (this.formUnlessJson && !wantsJson);
    const [type, text] = json === undefined ? ['text/html', answer.html ?? '']
      : asForm ? ['application/x-www-form-urlencoded', new URLSearchParams(json).toString()]
        : [answer.type ?? 'application/json; charset=utf-8', JSON.stringify(json)];
    response.writeHead(answer.status ?? 200, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...answer.headers });
    response.end(text);
  }
}

/** A code as people type it (RFC 8628 6.1). */
function userCode() {
  const letters = 'BCDFGHJKLMNPQRSTVWXZ';
  const code = [...randomBytes(8)].map((byte) => letters[byte % letters.length]).join('');
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}
