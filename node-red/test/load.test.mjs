// Many nodes on one agent, and how quick one is.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { AgentAtTheBroker, Broker, until } from './support/broker.mjs';
import { nodeRed, start, stop, tokenNode } from './support/flow.mjs';

const NODES = 200;
const MESSAGES = 3_000;

const fromNodeRed = createRequire(createRequire(import.meta.url).resolve(nodeRed));
const changeNode = fromNodeRed(path.join(path.dirname(fromNodeRed.resolve('@node-red/nodes/package.json')), 'core/function/15-change.js'));

const warnings = [];
process.on('warning', (warning) => warnings.push(String(warning)));

test('two hundred token nodes have one connection and its few subscriptions, and no listener too many', async (context) => {
  const broker = await Broker.start();
  const agent = await AgentAtTheBroker.connect(broker.port);
  await agent.state('online');
  await agent.info('google');
  await agent.active('google', 'of-google');
  const before = broker.log.length;
  const nodes = Array.from({ length: NODES }, (_, number) => tokenNode({ id: `token-${number}` }));
  const change = {
    id: 'change', z: 'flow', type: 'change', wires: [['out']],
    rules: [{ t: 'set', p: 'headers.authorization', pt: 'msg', to: 'token.authorization', tot: 'flow' }],
  };
  const kept = { id: 'kept', z: 'flow', type: 'change', wires: [[]], rules: [{ t: 'set', p: 'token', pt: 'flow', to: 'payload', tot: 'msg' }] };
  const incoming = { id: 'in', z: 'flow', type: 'mqtt in', topic: 'oauth2mqtt/google/token', qos: '1', datatype: 'json', broker: 'broker', nl: false, rap: true, rh: 0, inputs: 0, wires: [['kept']] };
  const flow = await start(broker.port, [...nodes, change, kept, incoming], {}, [changeNode]);
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

  const rate = async (id) => {
    flow.out.length = 0;
    const began = performance.now();
    for (let number = 0; number < MESSAGES; number += 1) flow.node(id).receive({ payload: number });
    await until('all messages', () => flow.out.length === MESSAGES, 60);
    return Math.round(MESSAGES / ((performance.now() - began) / 1000));
  };
  for (const id of ['token-0', 'change']) await rate(id);
  context.diagnostic(`messages a second: ${await rate('token-0')} through token, ${await rate('change')} through mqtt in and change`);
  await stop();
  await agent.stop();
  await broker.stop();
});
