'use strict';
/** Puts the current access token of an account into each message, or holds the message until there is one. */
const { withoutAgent } = require('../lib/no-agent');
const { Trouble } = require('../lib/trouble');

const MOST_WAITING = 1000;

module.exports = (RED) => {
  function TokenNode(config) {
    RED.nodes.createNode(this, config);
    const node = this;
    const account = config.account;
    const agentNode = RED.nodes.getNode(config.agent);
    const agent = agentNode?.agent;
    const property = config.property || 'headers.authorization';
    const kind = config.value === 'access_token' ? 'access_token' : 'authorization';
    const patience = Math.max(0, Number(config.timeout ?? 10)) * 1000;
    const waiting = new Set();
    const words = (key, values) => RED._(`token.${key}`, values);

    if (!agent) return void withoutAgent(RED, node);

    let shown = '';
    const show = () => {
      const dot = agentNode.dot(account);
      const text = JSON.stringify(dot);
      if (text === shown) return;
      shown = text;
      node.status(dot);
    };

    /** Puts the token into the message, and what goes with it; false if the message has no place for it there. */
    const add = (msg, token) => {
      // In place of what an earlier node has put there for another account. Each message has its own.
      msg.oauth2mqtt = { account, extra: RED.util.cloneMessage(token.extra) };
      if (property.toLowerCase() === 'headers.authorization') {
        // The other headers stay; one of this name in other letters would go out beside it.
        const others = Object.entries(msg.headers ?? {}).filter(([name]) => name.toLowerCase() !== 'authorization');
        msg.headers = { ...Object.fromEntries(others), authorization: token[kind] };
        return true;
      }
      try {
        return RED.util.setMessageProperty(msg, property, token[kind], true);
      } catch {
        // The property is no valid expression. Thrown while a message over MQTT is handled, this would end Node-RED.
        return false;
      }
    };

    const refuse = (message, trouble) => {
      clearTimeout(message.timer);
      waiting.delete(message);
      message.done(trouble);
    };

    const serve = () => {
      if (waiting.size === 0) return;
      const token = agent.token(account);
      if (!token) return agent.askForToken(account);
      for (const message of waiting) {
        if (!add(message.msg, token)) {
          refuse(message, new Trouble('bad_property', words('errors.bad_property', { property })));
          continue;
        }
        clearTimeout(message.timer);
        waiting.delete(message);
        message.send(message.msg);
        message.done();
      }
    };

    const unlisten = agent.listen((name) => {
      if (name !== null && name !== account) return;
      show();
      serve();
    });

    node.on('input', (msg, send, done) => {
      const message = { msg, send, done };
      if (waiting.size >= MOST_WAITING) return refuse(message, new Trouble('too_many_waiting', words('errors.too_many_waiting')));
      message.timer = setTimeout(() => refuse(message, agent.trouble(account)), patience);
      waiting.add(message);
      return serve();
    });

    node.on('close', (done) => {
      unlisten();
      for (const message of waiting) refuse(message, new Trouble('stopped', words('errors.stopped')));
      done();
    });

    show();
  }

  RED.nodes.registerType('oauth2mqtt-token', TokenNode);
};
