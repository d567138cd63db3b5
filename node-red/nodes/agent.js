'use strict';
/** The configuration node: one agent, for all nodes that use it. */
const { serve } = require('../lib/admin');
const { Agent } = require('../lib/agent');
const { dot } = require('../lib/dot');
const { isBase } = require('../lib/topics');

const MQTT_5 = 5;

module.exports = (RED) => {
  const words = (key, values) => RED._(`agent.${key}`, values);

  function AgentNode(config) {
    RED.nodes.createNode(this, config);
    const broker = RED.nodes.getNode(config.broker);
    const base = config.base || 'oauth2mqtt';
    if (!broker) return this.error(words('errors.no_broker_node'));
    if (!isBase(base)) return this.error(words('errors.bad_base'));
    if (Number(broker.options?.protocolVersion) !== MQTT_5) return this.error(words('errors.not_mqtt5'));
    this.agent = new Agent(broker, base, this.id, words);
    this.dot = (account) => dot(this.agent, account, words);
    this.agent.start();
    this.on('close', (removed, done) => this.agent.stop(removed, done));
  }

  RED.nodes.registerType('oauth2mqtt-agent', AgentNode);
  serve(RED);
};
