// What each test of a node starts from: a broker with nothing retained, and the agent at it. Its flow is stopped afterwards.
import { after, afterEach, before, beforeEach } from 'node:test';

import { AgentAtTheBroker, Broker } from './broker.mjs';
import { stop } from './flow.mjs';

export let broker;
export let agent;

/** Has every test of the file start from there, after what `prepare` does. */
export function setUp(prepare = () => {}) {
  before(async () => { broker = await Broker.start(); });
  after(() => broker.stop());
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
