// Flows with the nodes of this package in the runtime of Node-RED, by node-red-node-test-helper.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { until } from './broker.mjs';

const require = createRequire(import.meta.url);
export const packageFolder = fileURLToPath(new URL('../..', import.meta.url));
// The version under test; by default the one that the other tests of the project use.
export const nodeRed = process.env.NODE_RED ?? path.join(packageFolder, '../tests/servers/node_modules/node-red');
export const helper = require('node-red-node-test-helper');
helper.init(require.resolve(nodeRed));

const fromNodeRed = createRequire(require.resolve(nodeRed));
const core = path.dirname(fromNodeRed.resolve('@node-red/nodes/package.json'));
const mqttNodes = require(path.join(core, 'core/network/10-mqtt.js'));
const nodes = ['agent', 'token', 'sign-in', 'account'].map((name) => require(path.join(packageFolder, `nodes/${name}.js`)));

/** Texts as Node-RED makes them from the catalogue; the helper makes none. */
export function words(key, values = {}) {
  // The catalogue of another node stands before its key.
  const levels = key.replace(/^@oauth2mqtt\/node-red\/[\w-]+:/, '').split('.');
  const file = path.join(packageFolder, `nodes/locales/en-US/${levels[0]}.json`);
  const catalogue = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {};
  const text = levels.reduce((part, level) => part?.[level], catalogue);
  if (typeof text !== 'string') return key;
  return text.replace(/__(\w+)__/g, (whole, name) => values[name] ?? whole);
}

/** What permissions the admin routes asked for, and who may. */
export const permissions = { asked: [], isAllowed: () => true };

function withWords(RED) {
  RED._ = words;
  RED.auth = {
    needsPermission: (permission) => (request, response, next) => {
      permissions.asked.push(permission);
      return permissions.isAllowed(permission) ? next() : response.status(401).end();
    },
  };
}

export const brokerNode = (port, more = {}) => ({
  id: 'broker', type: 'mqtt-broker', name: '', broker: '127.0.0.1', port: String(port), clientid: '', autoConnect: true, usetls: false,
  protocolVersion: '5', keepalive: '60', cleansession: true, autoUnsubscribe: true, ...more,
});
export const agentNode = (more = {}) => ({ id: 'agent', type: 'oauth2mqtt-agent', name: '', broker: 'broker', base: 'oauth2mqtt', ...more });
export const tokenNode = (more = {}) => ({
  id: 'token', z: 'flow', type: 'oauth2mqtt-token', name: '', agent: 'agent', account: 'google', property: 'headers.authorization',
  value: 'authorization', timeout: 5, wires: [['out']], ...more,
});

/** Starts a flow of these nodes, with a `catch` node and helpers that keep what reaches them. */
export async function start(port, flow, credentials = {}, more = [], brokerSettings = {}) {
  await helper.startServer();
  const whole = [
    { id: 'flow', type: 'tab', label: 'flow' },
    brokerNode(port, brokerSettings), agentNode(),
    { id: 'catch', z: 'flow', type: 'catch', scope: null, wires: [['errors']] },
    { id: 'errors', z: 'flow', type: 'helper', wires: [] },
    { id: 'out', z: 'flow', type: 'helper', wires: [] },
    ...flow,
  ].map((node) => (node.z ? { x: 0, y: 0, ...node } : node));
  await helper.load([withWords, mqttNodes, ...more, ...nodes], whole, credentials);
  const kept = (id) => {
    const messages = [];
    helper.getNode(id).on('input', (msg) => messages.push(msg));
    return messages;
  };
  return { out: kept('out'), errors: kept('errors'), node: (id) => helper.getNode(id) };
}

export async function stop() {
  await helper.unload();
  await helper.stopServer();
}

/** Keeps the statuses of a node from now on. */
export function follow(node) {
  const seen = [];
  node.on('call:status', (call) => seen.push(call.args[0]));
  return { seen, text: (text) => until(`the status ${text}`, () => seen.some((status) => status.text?.includes(text))) };
}
