'use strict';
/** What is known of one account, and whether its token may be used. */

/** The longest time that a timer of Node.js takes, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** How long before its end a token is no longer used, in seconds: a request that starts with it also arrives with it. */
function margin(life) {
  return Math.min(60, Math.max(1, life / 10));
}

class Account {
  status = null;
  signIn = null;
  /** Set once the agent has said that the token is on its topic: then nobody asks for it. */
  isRetained = false;
  /** Set while a request for the token waits, or was refused and nothing has changed since. */
  isAsked = false;
  #token = null;
  #timer = null;

  /** @param {() => void} ended told when a token has reached its end */
  constructor(name, ended) {
    this.name = name;
    this.ended = ended;
  }

  take(status) {
    const before = this.status;
    this.status = status;
    this.isAsked = false;
    // A token that was had on request is that of one refresh of one sign-in.
    const keys = ['state', 'signed_in_at', 'last_refresh_at', 'user_changed_at'];
    const isOther = before && keys.some((key) => before[key] !== status[key]);
    if (status.state === 'signed_out' || (isOther && this.#token?.isRequested)) this.drop();
  }

  /**
   * Keeps a token until its end.
   *
   * @param {object} token as `payloads.token` returns it
   * @param {number} [seconds] how long the broker would have kept the message, counted from now on
   */
  keep(token, seconds, { isRequested = false } = {}) {
    this.drop();
    const now = Date.now() / 1000;
    let left = seconds ?? Infinity;
    if (token.expires_at !== null) {
      const life = token.expires_at - (this.status?.last_refresh_at ?? now);
      left = Math.min(left, token.expires_at - margin(life) - now);
    }
    if (left <= 0) return;
    this.#token = { ...token, isRequested, usable_until: performance.now() + left * 1000 };
    this.#wait();
  }

  drop() {
    clearTimeout(this.#timer);
    this.#token = null;
  }

  /** The token, if it may be used now by both clocks: one stands still while the device sleeps, the other may be set. */
  get token() {
    const token = this.#token;
    if (!token || performance.now() >= token.usable_until) return null;
    return token.expires_at !== null && Date.now() / 1000 >= token.expires_at ? null : token;
  }

  #wait() {
    const left = this.#token.usable_until - performance.now();
    if (left === Infinity) return;
    this.#timer = setTimeout(() => {
      if (this.token) return this.#wait();
      this.drop();
      this.ended();
    }, Math.min(left, LONGEST_TIMER));
    this.#timer.unref?.();
  }
}

module.exports = { Account };
