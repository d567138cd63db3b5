// A snapshot with the package and a flow, applied twice: the device stays signed in, and the flow has its token. FlowFuse's launcher applies
// it, or the device agent whose folder FLOWFUSE_DEVICE_AGENT names.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { until } from './support/broker.mjs';
import { DeviceFlowFuse, FlowFuse } from './support/flowfuse.mjs';
import { agentNode, brokerNode, tokenNode } from './support/flow.mjs';
import { World } from './support/world.mjs';

let world;
let flowfuse;

before(async () => {
  world = await World.start({ google: 'identity = true' });
  flowfuse = await (process.env.FLOWFUSE_DEVICE_AGENT ? DeviceFlowFuse : FlowFuse).start(world.folder);
});
after(async () => {
  await flowfuse?.stop();
  await world?.stop();
});

/** A flow that asks the provider who it is as soon as it runs; the account and what it says come from the environment. */
function snapshot(name) {
  const nodes = [
    { id: 'start', type: 'inject', name: '', props: [], repeat: '', crontab: '', once: true, onceDelay: 0.1, topic: '', wires: [['token']] },
    tokenNode({ account: '${ACCOUNT}', wires: [['who']] }),
    { id: 'who', type: 'http request', name: '', method: 'GET', ret: 'obj', paytoqs: 'ignore', url: `${world.issuer}/me`, headers: [], wires: [['say']] },
    { id: 'say', type: 'function', name: '', func: `node.warn('${name}: ' + msg.payload.email);`, outputs: 0, wires: [] },
    { id: 'catch', type: 'catch', name: '', scope: null, wires: [['why']] },
    { id: 'why', type: 'function', name: '', func: `node.warn('${name}: ' + msg.error.message);`, outputs: 0, wires: [] },
  ];
  return {
    flows: [
      { id: 'flow', type: 'tab', label: 'flow' }, brokerNode(world.broker.port), agentNode(),
      ...nodes.map((node, number) => ({ ...node, z: 'flow', x: 100, y: 40 * (number + 1) })),
    ],
    modules: { '@oauth2mqtt/node-red': `file:${world.tarball}` },
    env: { ACCOUNT: 'google' },
  };
}

/** Waits for what the flow of a snapshot says, and returns how long after the start of the flows it was said. */
async function says(text) {
  const find = async () => (await flowfuse.log().catch(() => [])).find((line) => line.text.startsWith(text));
  const said = await until(text, find, flowfuse.patience).catch(async (error) => { throw new Error(`${error.message}\n${JSON.stringify(await flowfuse.log(), null, 1)}\n${flowfuse.launcher.log}`); });
  const starts = (await flowfuse.log()).filter(({ at, text: line }) => line === 'Started flows' && at <= said.at);
  return said.at - starts.at(-1).at;
}

test('a snapshot brings the package, and the device stays signed in through the next one', async (t) => {
  world.tarball = world.pack();
  await world.signIn('google', 'ann');
  const asked = await world.asked();

  await flowfuse.apply(snapshot('first'));
  await says('first: ann@example.com');
  assert.ok(fs.existsSync(path.join(flowfuse.instance, 'node_modules/@oauth2mqtt/node-red/package.json')));

  await flowfuse.apply(snapshot('second'));
  const milliseconds = await says('second: ann@example.com');
  t.diagnostic(`the answer of the API came ${milliseconds} ms after the start of the flows`);
  assert.deepEqual(await world.asked(), asked, 'the provider was asked for a token');
});

test('no token is in what the platform and the files of the instance have', async () => {
  const secrets = await world.secrets();
  assert.ok(secrets.length > 2);
  const files = ['settings.js', 'package.json'].map((name) => fs.readFileSync(path.join(flowfuse.instance, name), 'utf8'));
  const log = JSON.stringify(await flowfuse.log());
  for (const secret of secrets) assert.ok(![...flowfuse.received, ...files, log].some((text) => text.includes(secret)), 'a secret has left the device');
});
