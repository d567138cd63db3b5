// Many nodes on one agent, and how quick one is.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AgentAtTheBroker, Broker, until } from './support/broker.mjs';
import { agentNode, brokerNode, start, stop, tokenNode } from './support/flow.mjs';
import { World } from './support/world.mjs';

const NODES = 200;
const MESSAGES = 5_000;
const ROUNDS = 7;

const mqttIn = { id: 'in', z: 'flow', type: 'mqtt in', topic: 'oauth2mqtt/google/token', qos: '1', datatype: 'json', broker: 'broker', nl: false, rap: true, rh: 0, inputs: 0 };

const warnings = [];
process.on('warning', (warning) => warnings.push(String(warning)));

test('two hundred token nodes have one connection and its few subscriptions, and no listener too many', async () => {
  const broker = await Broker.start();
  const agent = await AgentAtTheBroker.connect(broker.port);
  await agent.state('online');
  await agent.info('google');
  await agent.active('google', 'of-google');
  const before = broker.log.length;
  const nodes = Array.from({ length: NODES }, (_, number) => tokenNode({ id: `token-${number}` }));
  const incoming = { ...mqttIn, wires: [['kept']] };
  const kept = { id: 'kept', z: 'flow', type: 'helper', wires: [] };
  const flow = await start(broker.port, [...nodes, incoming, kept]);
  for (let number = 0; number < NODES; number += 1) flow.node(`token-${number}`).receive({ number });
  await until('a message of each', () => flow.out.length === NODES);
  assert.equal(new Set(flow.out.map(({ number }) => number)).size, NODES);

  await agent.active('google', 'another');
  await until('the new token', () => flow.node('agent').agent.token('google')?.access_token === 'another');
  flow.node('token-199').receive({});
  await until('another', () => flow.out.at(-1).headers.authorization === 'Bearer another');

  const log = broker.log.slice(before);
  assert.equal(log.match(/New client connected/g).length, 1, log);
  // One for the agent's topics, two for tokens and answers that stay on the device, one for answers; and one of `mqtt in`.
  assert.equal(log.match(/Received SUBSCRIBE/g).length, 4 + 1, log);
  assert.deepEqual(warnings.filter((warning) => /listener/i.test(warning)), []);
  await stop();
  await agent.stop();
  await broker.stop();
});

test('messages go through in a Node-RED of its own, each with the token, and how many a second is reported', async (context) => {
  const account = `issuer = "{issuer}"\ngrant = "client_credentials"\nclient_id = "machine +/:%41&=?"
    client_secret_file = "{folder}/machine.secret"\nclient_auth = "client_secret_basic"\nscopes = ["measure"]\n`;
  const world = await World.start({}, { sections: `[accounts.google]\n${account}` });
  context.after(() => world.stop());
  const change = (id, rules, wires) => ({ id, z: 'flow', type: 'change', rules, wires });
  const code = (id, func, wires) => ({ id, z: 'flow', type: 'function', func, outputs: 3, wires });
  const nodes = [
    { ...mqttIn, wires: [['keep']] },
    change('keep', [{ t: 'set', p: 'token', pt: 'flow', to: 'payload', tot: 'msg' }], [['ready']]),
    // Each round begins with the end of the one before; the first of each way is not counted.
    code('ready', "if (!msg.payload.access_token || flow.get('round') !== undefined) return null;\nflow.set('round', 0);\nreturn [{}];", [['send'], [], []]),
    code('send', `
      const way = flow.get('round') % 3;
      flow.set('begun', Date.now());
      for (let number = 0; number < ${MESSAGES}; number += 1) node.send([null, null, null].fill({ payload: number }, way, way + 1));
    `, [['token'], ['change'], ['count']]),
    tokenNode({ wires: [['count']] }),
    change('change', [{ t: 'set', p: 'headers.authorization', pt: 'msg', to: 'token.authorization', tot: 'flow' }], [['count']]),
    code('count', `
      const round = flow.get('round');
      const isGood = round % 3 === 2 || msg.headers.authorization === flow.get('token').authorization;
      if (!isGood) node.error('a message without the token');
      context.count = (context.count ?? 0) + 1;
      if (context.count < ${MESSAGES}) return null;
      node.warn('round ' + round + ': ' + Math.round(${MESSAGES} / (Date.now() - flow.get('begun')) * 1000) + ' a second');
      context.count = 0;
      flow.set('round', round + 1);
      return round + 1 < ${3 * (ROUNDS + 1)} ? [{}] : null;
    `, [['send'], [], []]),
  ];
  // What has no place on a tab is a configuration node.
  const placed = nodes.map((node, number) => ({ ...node, x: 100, y: 40 * (number + 1) }));
  await world.startNodeRed([{ id: 'flow', type: 'tab', label: 'flow' }, brokerNode(world.broker.port), agentNode(), ...placed]);
  const rounds = () => [...world.nodeRed.log.matchAll(/round \d+: (\d+) a second/g)].map(([, rate]) => Number(rate));
  await until('all rounds', () => rounds().length === 3 * (ROUNDS + 1), 150).catch((error) => { throw new Error(`${error.message}\n${world.nodeRed.log}`); });
  assert.ok(!world.nodeRed.log.includes('without the token'), world.nodeRed.log);
  const told = ['token', 'mqtt in and change', 'a wire alone'].map((what, way) => {
    const rates = rounds().filter((_, round) => round % 3 === way).slice(1).sort((one, other) => one - other);
    return `${rates[(ROUNDS - 1) / 2]} (${rates[0]} to ${rates.at(-1)}) through ${what}`;
  });
  context.diagnostic(`messages a second, the median of ${ROUNDS} rounds: ${told.join(', ')}`);
});
