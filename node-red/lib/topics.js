'use strict';
/** The names of the topics, and what they may be made of. */

/** The requests that people make, with a button of the editor or from a flow. */
const VERBS = ['login', 'cancel', 'complete', 'refresh', 'logout'];

/** An account's name, as the agent checks it. */
const ACCOUNT = /^[a-z0-9][a-z0-9_-]{0,62}$/;

function isAccount(name) {
  return typeof name === 'string' && name !== 'bridge' && ACCOUNT.test(name);
}

/** Whether the text can stand before the topics: no wildcard, no `$` topic, no empty level. */
function isBase(text) {
  return typeof text === 'string' && text.length <= 200 && /^[^$/+#\0][^+#\0]*$/.test(text) && !/\/(\/|$)/.test(text);
}

class Topics {
  constructor(base, responder) {
    this.base = base;
    this.responder = responder;
  }

  /** Everything of every account, `bridge/state` and `bridge/info`; neither requests nor the answers to others. */
  get everything() { return `${this.base}/+/+`; }

  /** Tokens that no bridge carries away (`local_tokens`). */
  get localTokens() { return `$local/${this.base}/+/token`; }

  /** Where the agent answers this Node-RED. Tokens that are local are answered below `$local/` alone. */
  response(local = false) { return `${local ? '$local/' : ''}${this.base}/bridge/response/${this.responder}`; }

  request(verb) { return `${this.base}/bridge/request/${verb}`; }

  /** The account and the kind of a message, or `null`: `['google', 'token']`, `['bridge', 'state']`. */
  read(topic) {
    const local = topic.startsWith('$local/');
    const rest = local ? topic.slice('$local/'.length) : topic;
    if (!rest.startsWith(`${this.base}/`)) return null;
    const levels = rest.slice(this.base.length + 1).split('/');
    if (levels.length !== 2) return null;
    const [account, kind] = levels;
    if (account === 'bridge') return local ? null : levels;
    return isAccount(account) && (!local || kind === 'token') ? levels : null;
  }
}

module.exports = { Topics, VERBS, isAccount, isBase };
