'use strict';
/**
 * Asks the gate of the agent who the people behind the sockets of a dashboard are, for as long as their sockets are open.
 *
 * A socket is known by the reference of its session, which only the proxy and the gate have. What it says besides counts for nothing.
 */
const http = require('node:http');
const https = require('node:https');

/** How often each session is asked for, how long the gate may be silent before its people go, and how long one answer may take. */
const TIMES = { every: 2_000, patience: 30_000, answer: 5_000 };
const MOST_BYTES = 65_536;
const MOST_CONNECTIONS = 8;
/** What an HTTP header takes without being changed. */
const REFERENCE = /^[\x21-\x7e]{1,256}$/;

const isTextOrNull = (value) => value === undefined || value === null || typeof value === 'string';

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
}

/** The user as FlowFuse names its parts, from an answer of the gate. */
function userOf(text) {
  const { user, email, name, groups } = json(text) ?? {};
  const isGood = typeof user === 'string' && user !== '' && isTextOrNull(email) && isTextOrNull(name)
    && Array.isArray(groups) && groups.every((group) => typeof group === 'string');
  if (!isGood) throw new Error('its answer names no user');
  return { userId: user, username: user, email: email ?? null, name: name ?? null, groups };
}

/** One socket: who it is, if the gate has said so, and whether it is over. */
class Visitor {
  isOver = false;
  #user = null;
  #session = null;
  #end;

  constructor(end) { this.#end = end; }

  /** A copy: whoever changes it changes nobody else's. */
  get user() { return this.#user && { ...this.#user, groups: [...this.#user.groups] }; }

  /** Says that the person has done something. */
  act() { this.#session?.act(); }

  leave() { this.#session?.remove(this); }

  joined(session) { this.#session = session; }

  is(user) { this.#user = user; }

  end(isSignedOut) {
    if (this.isOver) return;
    this.isOver = true;
    this.#end(isSignedOut);
  }
}

/** One reference, with all its sockets. */
class Session {
  #gate;
  #reference;
  #visitors = new Set();
  #user = null;
  #isActive = false;
  #timer = null;
  #question = null;
  #answeredAt = performance.now();

  constructor(gate, reference) {
    this.#gate = gate;
    this.#reference = reference;
  }

  /** Adds a socket, and returns when it is known who that is or that the gate does not say. */
  async add(visitor) {
    this.#visitors.add(visitor);
    visitor.joined(this);
    const isFresh = this.#user && performance.now() - this.#answeredAt < this.#gate.times.every;
    if (isFresh) visitor.is(this.#user);
    else await this.#ask();
  }

  remove(visitor) {
    this.#visitors.delete(visitor);
    if (this.#visitors.size === 0) this.#forget();
  }

  act() { this.#isActive = true; }

  #forget() {
    clearTimeout(this.#timer);
    this.#gate.forget(this.#reference, this);
  }

  /** Asks, unless a question is under way already. */
  #ask() {
    clearTimeout(this.#timer);
    this.#question ??= this.#put().finally(() => {
      this.#question = null;
      if (this.#visitors.size === 0) return;
      this.#timer = setTimeout(() => this.#ask(), this.#gate.times.every);
      this.#timer.unref();
    });
    return this.#question;
  }

  async #put() {
    const isActive = this.#isActive;
    this.#isActive = false;
    try {
      this.#user = await this.#gate.who(this.#reference, isActive);
      this.#answeredAt = performance.now();
      if (!this.#user) this.#end(true);
      for (const visitor of this.#visitors) visitor.is(this.#user);
    } catch {
      this.#isActive ||= isActive;
      if (performance.now() - this.#answeredAt >= this.#gate.times.patience) this.#end(false);
    }
  }

  #end(isSignedOut) {
    const visitors = [...this.#visitors];
    this.#visitors.clear();
    this.#forget();
    // Whatever becomes of one, no other goes on as somebody.
    for (const visitor of visitors) visitor.is(null);
    for (const visitor of visitors) {
      try {
        visitor.end(isSignedOut);
      } catch {
        // A socket that cannot be ended any more has gone.
      }
    }
  }
}

class Gate {
  #address;
  #log;
  #sessions = new Map();
  #agents = {};
  #isSilent = false;

  /**
   * @param {string} address where the gate listens
   * @param {{ info(text: string): void, warn(text: string): void }} log
   * @param {Partial<typeof TIMES>} times
   */
  constructor(address, log, times = {}) {
    this.#address = address;
    this.#log = log;
    this.times = { ...TIMES, ...times };
  }

  /**
   * Follows the session of a socket, until it leaves or the session is over.
   *
   * @param {string} reference what the proxy passed on
   * @param {(isSignedOut: boolean) => void} end ends the socket, because nobody is signed in by this reference or because the gate is silent
   * @returns {{ visitor: Visitor, asked: Promise<void> }} the socket, and when the first answer is there or cannot be had
   */
  enter(reference, end) {
    const visitor = new Visitor(end);
    if (!REFERENCE.test(reference)) {
      visitor.end(true);
      return { visitor, asked: Promise.resolve() };
    }
    if (!this.#sessions.has(reference)) this.#sessions.set(reference, new Session(this, reference));
    return { visitor, asked: this.#sessions.get(reference).add(visitor) };
  }

  forget(reference, session) {
    if (this.#sessions.get(reference) === session) this.#sessions.delete(reference);
  }

  /** The user of a session, or `null` if there is no such session. Throws if the gate does not say. */
  async who(reference, isActive) {
    try {
      const { status, text } = await this.#get(reference, isActive);
      if (status !== 200 && status !== 401) throw new Error(`it answers with status ${status}`);
      const user = status === 200 ? userOf(text) : null;
      if (this.#isSilent) this.#log.info(`oauth2mqtt: the gate at ${this.#address} answers again.`);
      this.#isSilent = false;
      return user;
    } catch (error) {
      // Once for each outage, however many ask.
      if (!this.#isSilent) {
        const seconds = this.times.patience / 1000;
        this.#log.warn(`oauth2mqtt: the gate at ${this.#address} does not say who uses the dashboard: ${error.message || error.code}. `
          + `New connections have no user, and open ones end if it is silent for ${seconds} seconds.`);
      }
      this.#isSilent = true;
      throw error;
    }
  }

  async #get(reference, isActive) {
    const url = new URL(isActive ? '/oauth2mqtt/who?active' : '/oauth2mqtt/who', this.#address);
    const { get, Agent } = url.protocol === 'https:' ? https : http;
    this.#agents[url.protocol] ??= new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
    const ask = () => new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(this.times.answer);
      const options = { agent: this.#agents[url.protocol], headers: { 'remote-session': reference, accept: 'application/json' }, signal };
      const request = get(url, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
          if (text.length > MOST_BYTES) request.destroy(new Error('its answer is too long'));
        });
        response.on('end', () => resolve({ status: response.statusCode, text }));
        response.on('error', reject);
      });
      request.on('error', (error) => {
        const told = signal.aborted ? new Error(`no answer within ${this.times.answer / 1000} seconds`) : error;
        reject(Object.assign(told, { isOfOldConnection: request.reusedSocket && error.code === 'ECONNRESET' }));
      });
    });
    // The gate may have closed a connection at the moment at which it is used again.
    return ask().catch((error) => (error.isOfOldConnection ? ask() : Promise.reject(error)));
  }
}

module.exports = { Gate };
