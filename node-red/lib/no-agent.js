'use strict';
/** What a node does whose agent is not chosen or cannot work: its dot says so, and each message is an error. */
const { Trouble } = require('./trouble');

/** The texts are those of the agent, for all nodes that use one. */
const TEXTS = '@oauth2mqtt/node-red/agent:agent';

function withoutAgent(RED, node) {
  node.status({ fill: 'red', shape: 'ring', text: RED._(`${TEXTS}.dots.no_agent_node`) });
  node.on('input', (msg, send, done) => done(new Trouble('no_agent_node', RED._(`${TEXTS}.errors.no_agent_node`))));
}

module.exports = { withoutAgent };
