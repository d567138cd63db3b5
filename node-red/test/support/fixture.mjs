// What each test of a node starts from: a broker with nothing retained, and the agent at it. Its flow is stopped afterwards.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';

import { AgentAtTheBroker, Broker } from './broker.mjs';
import { stop } from './flow.mjs';

export let broker;
export let agent;

const warnings = [];
process.on('warning', (warning) => warnings.push(String(warning)));

/** Has every test of the file start from there, after what `prepare` does. */
export function setUp(prepare = () => {}) {
  before(async () => { broker = await Broker.start(); });
  after(async () => {
    await broker.stop();
    assert.deepEqual(warnings.filter((warning) => /listener/i.test(warning)), []);
  });
  beforeEach(async () => {
    await broker.restart();
    agent = await AgentAtTheBroker.connect(broker.port);
    await prepare();
  });
  afterEach(async () => {
    await stop();
    await agent.stop();
  });
}
