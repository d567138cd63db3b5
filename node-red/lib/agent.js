'use strict';
/** Follows one agent over MQTT, for all nodes that use it: one set of subscriptions, whatever their number. */
const { randomBytes } = require('node:crypto');

const { Account } = require('./account');
const payloads = require('./payloads');
const { Topics, isAccount } = require('./topics');
const { Trouble } = require('./trouble');

/** The requests for which the agent asks the provider: at most twice, for 30 seconds each. */
const OF_PROVIDER = ['login', 'complete', 'refresh', 'logout', 'forget'];
/** How long to wait for an answer, in milliseconds. */
const PATIENCE = { provider: 75_000, agent: 15_000 };

/** There is always an account to forget: no more than half of these are named. */
const MOST_KEPT = 2 * payloads.MOST_ACCOUNTS;

class Agent {
  version = null;
  #broker;
  #topics;
  #words;
  #ref;
  #isConnected = false;
  #isOnline = false;
  /** The accounts that the agent names; `null` until it has. */
  #named = null;
  #accounts = new Map();
  #listeners = new Set();
  #requests = new Map();
  #answersLocally = false;

  /**
   * @param {object} broker a node of the type `mqtt-broker`
   * @param {string} base the topic before all topics
   * @param {string} ref the id of the configuration node
   * @param {(key: string, values?: object) => string} words the text to a key, in the language of Node-RED
   */
  constructor(broker, base, ref, words) {
    this.#broker = broker;
    this.#topics = new Topics(base, `node-red-${randomBytes(8).toString('hex')}`);
    this.#words = words;
    this.#ref = ref;
  }

  start() {
    // The broker tells its users by their status when the connection comes and goes.
    this.user = { id: this.#ref, type: 'oauth2mqtt-agent', status: ({ fill }) => this.#connected(fill === 'green') };
    this.#broker.register(this.user);
    const options = { qos: 1, nl: false, rap: true, rh: 0 };
    for (const filter of this.#filters()) {
      const handler = filter === this.#topics.everything || filter === this.#topics.localTokens ? this.#take : this.#answered;
      this.#broker.subscribe(filter, { ...options }, handler.bind(this), this.#ref);
    }
    this.#connected(this.#broker.connected === true);
  }

  stop(removed, done) {
    for (const filter of this.#filters()) this.#broker.unsubscribe(filter, this.#ref, removed);
    this.#connected(false);
    this.#broker.deregister(this.user, done, removed);
  }

  /** Has `listener` called with an account's name at each change of it, and with `null` when all have changed. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get isConnected() { return this.#isConnected; }

  get isOnline() { return this.#isConnected && this.#isOnline; }

  /** The accounts by name, each with what the agent says of it. No token is in it. */
  accounts() {
    const names = [...(this.#named?.keys() ?? this.#accounts.keys())].sort();
    return names.map((name) => ({ name, ...this.#named?.get(name), ...this.view(name) }));
  }

  /** What is known of an account, without its token. */
  view(name) {
    const account = this.isOnline ? this.#accounts.get(name) : undefined;
    return { status: account?.status ?? null, sign_in: account?.signIn ?? null };
  }

  isKnown(name) { return this.isOnline && (this.#named === null || this.#named.has(name)); }

  /** The token of this account and no other, while the agent is there and the token is good; else `null`. */
  token(name) {
    return this.isKnown(name) ? this.#accounts.get(name)?.token ?? null : null;
  }

  /** Asks for a token that is not on a topic, if it may be had, once for all who wait. */
  askForToken(name) {
    const account = this.#accounts.get(name);
    const isToBeHad = this.isKnown(name) && account?.status?.state === 'active';
    if (!isToBeHad || account.token || account.isAsked || account.isRetained) return;
    account.isAsked = true;
    this.request('token', { account: name }).then((data) => {
      // A further token of the account is for another API.
      const isItsOwn = data?.account === name && (data.token ?? null) === null;
      const token = isItsOwn ? payloads.token(data) : null;
      if (!token) return;
      // Another word of the account has come meanwhile.
      if (!account.isAsked || account.status.state !== 'active') return this.#changed(name);
      account.keep(token, undefined, { isRequested: true });
      account.isAsked = false;
      this.#changed(name);
    }, (trouble) => {
      if (trouble.code === 'token_is_retained') account.isRetained = true;
    });
  }

  /** Why there is no token of this account, and what to do. */
  trouble(name) {
    const say = (code, values = {}) => new Trouble(code, this.#words(`errors.${code}`, { account: name, ...values }));
    if (!this.#isConnected) return say('no_broker');
    if (!this.isOnline) return say('no_agent', { base: this.#topics.base });
    if (!this.isKnown(name)) return say('no_account', { accounts: [...this.#named.keys()].join(', ') || '–' });
    const { status, sign_in: signIn } = this.view(name);
    if (!status) return say('no_status', { base: this.#topics.base });
    const withMessage = ({ code, message }, key) => new Trouble(code, `${this.#words(`errors.${key}`, { account: name })} ${message}`.trim());
    if (status.needs_user || ['signed_out', 'awaiting_user'].includes(status.state)) {
      if (signIn?.pending) return say('awaiting_user');
      return status.error ? withMessage(status.error, 'sign_in_needed') : say('sign_in_needed');
    }
    return status.error ? withMessage(status.error, 'no_token') : say('no_token');
  }

  /**
   * Asks the agent for something, and returns its answer's data.
   *
   * @throws {Trouble} with the agent's own code and words, or `no_broker`, `no_agent`, `no_answer`
   */
  async request(verb, members) {
    try {
      return await this.#ask(verb, members, this.#answersLocally);
    } catch (trouble) {
      if (trouble.code !== 'token_is_local') throw trouble;
      this.#answersLocally = true;
      return this.#ask(verb, members, true);
    }
  }

  #ask(verb, members, local) {
    if (!this.isOnline) return Promise.reject(this.trouble(members.account));
    const patience = OF_PROVIDER.includes(verb) ? PATIENCE.provider : PATIENCE.agent;
    const correlation = randomBytes(16);
    const key = correlation.toString('hex');
    return new Promise((resolve, reject) => {
      const end = (act, value) => {
        clearTimeout(this.#requests.get(key)?.timer);
        this.#requests.delete(key);
        act(value);
      };
      const timer = setTimeout(() => end(reject, new Trouble('no_answer', this.#words('errors.no_answer', { verb }))), patience);
      this.#requests.set(key, {
        verb, account: members.account ?? null, timer,
        resolve: (data) => end(resolve, data),
        reject: (trouble) => end(reject, trouble),
      });
      this.#broker.publish({
        topic: this.#topics.request(verb),
        payload: JSON.stringify(members),
        qos: 1,
        contentType: 'application/json',
        responseTopic: this.#topics.response(local),
        correlationData: correlation,
        messageExpiryInterval: Math.ceil(patience / 1000),
      }, (error) => {
        // The message of the error has nothing of the request in it.
        if (error) end(reject, new Trouble('broker_refused', this.#words('errors.broker_refused', { topic: this.#topics.request(verb) })));
      });
    });
  }

  #answered(topic, payload, packet) {
    const correlation = packet?.properties?.correlationData;
    const request = correlation && this.#requests.get(Buffer.from(correlation).toString('hex'));
    const answer = request && payloads.object(payload);
    // Whoever reads the request can have the agent answer another one in its place.
    if (!answer || answer.verb !== request.verb || (answer.account ?? null) !== request.account) return;
    if (answer.status === 'ok') return request.resolve(answer.data ?? null);
    const { code, message } = payloads.error({ code: answer.code, message: answer.error });
    request.reject(new Trouble(code, message));
  }

  #take(topic, payload, packet) {
    const levels = this.#topics.read(topic);
    if (!levels) return;
    const [name, kind] = levels;
    if (name === 'bridge') return this.#takeOfAgent(kind, payload);
    const value = payloads.object(payload);
    // The topic says whose it is; a message that says something else is nobody's.
    if (!value || value.account !== name) return;
    const account = this.#account(name);
    if (!account) return;
    if (kind === 'status') account.take(payloads.status(value));
    else if (kind === 'signin') account.signIn = payloads.signIn(value);
    else if (kind === 'token') this.#takeToken(account, value, packet);
    else return;
    this.#changed(name);
  }

  #takeToken(account, value, packet) {
    const token = payloads.token(value);
    if (token) account.keep(token, packet?.properties?.messageExpiryInterval);
    // What was had on request stays: the agent also says on the topic that there is none.
    else if (!account.token?.isRequested) account.drop();
  }

  #takeOfAgent(kind, payload) {
    if (kind === 'state') {
      this.#isOnline = payloads.isOnline(payload);
      this.#answersLocally = false;
      // An agent that is gone may have been told to forget meanwhile; one that is back says everything again.
      if (!this.#isOnline) for (const account of this.#accounts.values()) account.drop();
    } else if (kind === 'info') {
      const info = payloads.info(payload);
      if (!info) return;
      this.version = info.version;
      this.#named = info.accounts;
      for (const [name, account] of this.#accounts) {
        account.isRetained = false;
        account.isAsked = false;
        if (this.#named.has(name)) continue;
        account.drop();
        this.#accounts.delete(name);
      }
    } else {
      return;
    }
    this.#changed(null);
  }

  #account(name) {
    if (!isAccount(name)) return null;
    if (!this.#accounts.has(name)) {
      if (this.#accounts.size >= MOST_KEPT) this.#forgetOldest();
      this.#accounts.set(name, new Account(name, () => this.#changed(name)));
    }
    return this.#accounts.get(name);
  }

  /** Forgets the oldest account that the agent does not name. A new one has a status first, and is named right after. */
  #forgetOldest() {
    for (const [name, account] of this.#accounts) {
      if (this.#named?.has(name)) continue;
      account.drop();
      this.#accounts.delete(name);
      return;
    }
  }

  /** Without the broker nothing is known: whatever happens meanwhile goes unheard, and comes again afterwards. */
  #connected(isConnected) {
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    if (!isConnected) {
      for (const { reject } of [...this.#requests.values()]) reject(new Trouble('no_broker', this.#words('errors.no_broker')));
      for (const account of this.#accounts.values()) account.drop();
      this.#accounts.clear();
      this.#named = null;
      this.#isOnline = false;
    }
    this.#changed(null);
  }

  #changed(name) {
    for (const listener of [...this.#listeners]) listener(name);
  }

  #filters() {
    return [this.#topics.everything, this.#topics.localTokens, this.#topics.response(), this.#topics.response(true)];
  }
}

module.exports = { Agent };
