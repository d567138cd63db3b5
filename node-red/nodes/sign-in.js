'use strict';
/** Tells the state of an account as it changes, and passes on what a flow asks of the agent. */
const { withoutAgent } = require('../lib/no-agent');
const payloads = require('../lib/payloads');
const { VERBS, isAccount } = require('../lib/topics');
const { Trouble } = require('../lib/trouble');

/** The verb, the account and the address in a message: `"login"`, or `{ verb, account, redirected_to }`. */
function asked({ payload, topic }, account) {
  const members = payload !== null && typeof payload === 'object' ? payload : {};
  // A redirected address alone, as an `http in` node or a text field has it, with the verb as topic.
  if (typeof payload === 'string' && topic === 'complete') return { verb: 'complete', account, redirected: payload };
  return {
    verb: typeof payload === 'string' ? payload.trim() : members.verb,
    account: account || members.account,
    redirected: members.redirected_to,
  };
}

module.exports = (RED) => {
  function SignInNode(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const { account } = config;
    const agentNode = RED.nodes.getNode(config.agent);
    const agent = agentNode?.agent;
    const words = (key, values) => RED._(`sign-in.${key}`, values);

    if (!agent) return void withoutAgent(RED, node);

    /** A sentence for a dashboard; the words of others stand at its end as they came. */
    const sentence = (state, status, pending) => {
      if (status?.error && state !== 'active') return `${words(`text.${state}`)} ${status.error.message}`.trim();
      if (pending) return words('text.awaiting_user');
      const user = status?.user && ['active', 'expired'].includes(state) ? ` (${status.user})` : '';
      return `${words(`text.${state}`)}${user}`;
    };

    const state = (name) => {
      if (!agent.isOnline) return 'no_agent';
      return agent.isKnown(name) ? agent.view(name).status?.state ?? 'unknown' : 'no_account';
    };

    const message = (name) => {
      const { status, sign_in: signIn } = agent.view(name);
      const now = state(name);
      return {
        topic: name,
        payload: {
          account: name,
          state: now,
          text: sentence(now, status, signIn?.pending),
          needs_user: status?.needs_user ?? false,
          sign_in_needed: status?.sign_in_needed ?? false,
          user: status?.user ?? null,
          expires_at: status?.expires_at ?? null,
          next_refresh_at: status?.next_refresh_at ?? null,
          sign_in_ends_at: status?.sign_in_ends_at ?? null,
          error: status?.error ?? null,
          sign_in: signIn ?? payloads.signIn({}),
        },
      };
    };

    /** What was told last, by account. */
    const told = new Map();
    const tell = (name) => {
      const news = message(name);
      const text = JSON.stringify(news);
      if (told.get(name) === text) return;
      told.set(name, text);
      node.send([news, null]);
    };
    const all = () => {
      const names = new Set(agent.accounts().map(({ name }) => name));
      for (const name of told.keys()) if (!names.has(name)) {
        tell(name);
        if (agent.isOnline) told.delete(name);
      }
      names.forEach(tell);
    };

    const show = () => {
      if (account) return node.status(agentNode.dot(account));
      if (!agent.isOnline) return node.status(agentNode.dot(''));
      const accounts = agent.accounts();
      const lacking = accounts.filter(({ status }) => status?.needs_user).length;
      const values = { count: accounts.length, lacking };
      return node.status(lacking > 0
        ? { fill: 'red', shape: 'ring', text: words('status.some_need_somebody', values) }
        : { fill: 'green', shape: 'dot', text: words('status.accounts', values) });
    };

    // Several changes of one moment are one: a token and its status come one after the other.
    const due = new Set();
    let timer = null;
    const unlisten = agent.listen((name) => {
      if (account && name !== null && name !== account) return;
      due.add(name);
      timer ??= setImmediate(() => {
        timer = null;
        show();
        if (account) tell(account);
        else if (due.has(null)) all();
        else due.forEach(tell);
        due.clear();
      });
    });

    node.on('input', async (msg, send, done) => {
      const { verb, account: name, redirected } = asked(msg, account);
      if (!VERBS.includes(verb)) return done(new Trouble('invalid_request', words('errors.verb', { verbs: VERBS.join(', ') })));
      if (!isAccount(name)) return done(new Trouble('invalid_request', words('errors.account')));
      if (verb === 'complete' && typeof redirected !== 'string') return done(new Trouble('invalid_request', words('errors.redirected_to')));
      try {
        await agent.request(verb, verb === 'complete' ? { account: name, redirected_to: redirected } : { account: name });
        // What came in may hold the code of a redirect; it goes no further.
        send([null, { ...msg, topic: name, payload: { verb, account: name, status: 'ok' } }]);
        return done();
      } catch (trouble) {
        return done(trouble);
      }
    });

    node.on('close', (done) => {
      unlisten();
      clearImmediate(timer);
      done();
    });

    show();
    if (account) tell(account);
    else all();
  }

  RED.nodes.registerType('oauth2mqtt-sign-in', SignInNode);
};
