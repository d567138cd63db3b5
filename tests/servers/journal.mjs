// What the token endpoint was asked and answered. Secrets stand in it as fingerprints; they are kept apart, so that a
// test can search all output for them.
import { createHash } from 'node:crypto';

export class Journal {
  constructor(clientSecrets) {
    this.entries = [];
    this.secrets = {
      client: Object.values(clientSecrets),
      device_code: [],
      access_token: [],
      refresh_token: [],
      id_token: [],
      // What a client made and sent: good once, or for a minute.
      code_verifier: [],
      client_assertion: [],
      code: [],
    };
  }

  /** The first 12 hexadecimal digits of the SHA-256. */
  static fingerprint(secret) {
    return secret ? createHash('sha256').update(secret).digest('hex').slice(0, 12) : null;
  }

  begin() {
    const entry = {
      received_at: now(), // Unix time in seconds, with a fraction, as are the others
      decided_at: null, // when the provider had made its answer: a rotated token is then used up
      answered_at: null, // when the answer was sent
      fault: null, // the mode of the fault that the request got
      grant_type: null,
      client_id: null,
      user: null,
      resource: null, // the one that the token is for (RFC 8707)
      status: null,
      error: null, // the OAuth code
      detail: null, // what the provider makes of it, such as that a refresh token was used twice
      rotated: false,
      presented: null, // fingerprint of the refresh token, device code or authorization code in the request
      access_token: null, // fingerprints of the tokens in the answer
      refresh_token: null,
    };
    this.entries.push(entry);
    return entry;
  }

  /** A request that a fault took, before or in place of the provider. */
  fault(mode) {
    Object.assign(this.begin(), { fault: mode, answered_at: now() });
  }

  decide(entry, ctx) {
    const { params = {}, entities = {} } = ctx.oidc ?? {};
    const answer = ctx.body ?? {};
    const presented = params.refresh_token ?? params.device_code ?? params.code;
    Object.assign(entry, {
      decided_at: now(),
      grant_type: params.grant_type?.split(':').pop() ?? null,
      client_id: entities.Client?.clientId ?? params.client_id ?? null,
      user: entities.Account?.accountId ?? null,
      resource: entities.AccessToken?.aud ?? null,
      status: ctx.status,
      error: answer.error ?? null,
      detail: ctx.state.error_detail ?? null,
      rotated: Boolean(entities.RotatedRefreshToken) && ctx.status === 200,
      presented: Journal.fingerprint(presented),
      access_token: Journal.fingerprint(answer.access_token),
      refresh_token: Journal.fingerprint(answer.refresh_token),
    });
    this.keep(answer);
  }

  answered(entry) {
    entry.answered_at = now();
  }

  /** Remembers the secrets in a request. */
  keepSent(params) {
    for (const kind of ['code_verifier', 'client_assertion', 'code']) {
      if (params[kind] && !this.secrets[kind].includes(params[kind])) this.secrets[kind].push(params[kind]);
    }
  }

  /** Remembers the secrets in an answer. */
  keep(answer) {
    for (const [kind, secrets] of Object.entries(this.secrets)) {
      if (answer[kind]) secrets.push(answer[kind]);
    }
  }
}

function now() {
  return Date.now() / 1000;
}
