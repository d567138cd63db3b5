'use strict';
/** Declares an account to the agent whenever the agent comes online; the agent's configuration says of which providers. */
const { withoutAgent } = require('../lib/no-agent');
const { further } = require('../lib/settings');
const { isAccount } = require('../lib/topics');
const { Trouble } = require('../lib/trouble');

module.exports = (RED) => {
  function AccountNode(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const { account } = config;
    const agentNode = RED.nodes.getNode(config.agent);
    const agent = agentNode?.agent;
    const words = (key, values) => RED._(`account.${key}`, values);

    if (!agent) return void withoutAgent(RED, node);
    if (!isAccount(account)) {
      const trouble = new Trouble('bad_name', words('errors.bad_name'));
      node.status({ fill: 'red', shape: 'ring', text: words('status.bad_name') });
      node.on('input', (msg, send, done) => done(trouble));
      return void node.error(trouble);
    }

    /** The client secret, or two while one replaces the other; `[]` for a public client. */
    const secrets = () => {
      const kept = node.credentials ?? {};
      if (config.secretFrom !== 'env') return [kept.secret, kept.formerSecret].filter(Boolean);
      const names = String(config.secretEnv ?? '').split(/\s+/).filter(Boolean);
      return names.map((name) => {
        const secret = RED.util.getSetting(node, name);
        if (!secret) throw new Trouble('no_secret', words('errors.no_secret', { name }));
        return String(secret);
      });
    };

    const settings = () => {
      const more = further(config.more);
      if (!more) throw new Trouble('bad_settings', words('errors.bad_settings'));
      const provider = String(config.provider ?? '').trim();
      const isAddress = /^https?:\/\//.test(provider);
      const secret = secrets();
      return {
        ...more,
        ...(provider && { [isAddress ? 'issuer' : 'provider']: provider }),
        client_id: String(config.clientId ?? '').trim(),
        scopes: String(config.scopes ?? '').split(/\s+/).filter(Boolean),
        sign_in: config.offer ? 'offer' : 'on_request',
        ...(secret.length > 0 && { client_secret: secret.length === 1 ? secret[0] : secret }),
      };
    };

    let sign_in_needed = null;
    const ask = async (verb) => {
      const data = await agent.request(verb, verb === 'declare' ? { account, settings: settings() } : { account });
      return { verb, account, ...(verb === 'declare' && { changed: data?.changed === true, sign_in_needed: data?.sign_in_needed === true }) };
    };

    const show = () => node.status(agentNode.dot(account));
    let isFailed = false;
    const declare = async () => {
      try {
        const payload = await ask('declare');
        isFailed = false;
        sign_in_needed = payload.sign_in_needed;
        show();
        node.send({ topic: account, payload });
      } catch (trouble) {
        // It is declared when the agent comes back.
        if (['no_agent', 'no_broker'].includes(trouble.code)) return show();
        isFailed = true;
        node.status({ fill: 'red', shape: 'ring', text: words('status.refused', { code: trouble.code ?? 'unknown' }) });
        node.error(trouble, { topic: account });
      }
    };

    let isOnline = false;
    const follow = () => {
      if (agent.isOnline && !isOnline) {
        isOnline = true;
        declare();
      }
      isOnline = agent.isOnline;
      if (!isFailed || !isOnline) show();
      // Somebody signs in, or the provider ends it: the flow hears of it here.
      const needed = agent.view(account).status?.sign_in_needed;
      if (needed === undefined || sign_in_needed === null || needed === sign_in_needed) return;
      sign_in_needed = needed;
      node.send({ topic: account, payload: { verb: null, account, changed: false, sign_in_needed } });
    };
    const unlisten = agent.listen((name) => { if (name === null || name === account) follow(); });

    node.on('input', async (msg, send, done) => {
      const verb = msg.payload === 'forget' ? 'forget' : 'declare';
      try {
        const payload = await ask(verb);
        isFailed = false;
        if (verb === 'declare') sign_in_needed = payload.sign_in_needed;
        show();
        send({ ...msg, topic: account, payload });
        done();
      } catch (trouble) {
        done(trouble);
      }
    });

    node.on('close', (done) => {
      unlisten();
      done();
    });

    follow();
    return undefined;
  }

  RED.nodes.registerType('oauth2mqtt-account', AccountNode, {
    credentials: { secret: { type: 'password' }, formerSecret: { type: 'password' } },
  });
};
