// The node account: it declares an account, and says whether somebody has to sign in.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { until } from './support/broker.mjs';
import { agent, broker, setUp } from './support/fixture.mjs';
import { follow, start } from './support/flow.mjs';

setUp();
afterEach(() => { delete process.env.TEST_CLIENT_SECRET; });

const accountNode = (more = {}) => ({
  id: 'account', z: 'flow', type: 'oauth2mqtt-account', name: '', agent: 'agent', account: 'plant', provider: 'https://id.example.com/realms/plant',
  clientId: 'gateway', secretFrom: 'credential', secretEnv: '', scopes: 'openid  offline_access', more: '', offer: false, wires: [['out']], ...more,
});
const takes = (data) => agent.answer('declare', ({ account }) => ({ data: { account, changed: true, sign_in_needed: false, ...data } }));

test('the account is declared when the agent comes, and again when it comes back', async () => {
  takes({ sign_in_needed: true });
  const flow = await start(broker.port, [accountNode()], { account: { secret: 'hush', formerSecret: 'hush-before' } });
  assert.equal(agent.requests.length, 0);
  await agent.state('online');
  const { payload, topic } = await until('the answer', () => flow.out[0]);
  assert.deepEqual([topic, payload], ['plant', { verb: 'declare', account: 'plant', changed: true, sign_in_needed: true }]);
  const { settings } = agent.asked('declare')[0];
  assert.deepEqual(settings, {
    issuer: 'https://id.example.com/realms/plant', client_id: 'gateway', scopes: ['openid', 'offline_access'], sign_in: 'on_request', client_secret: ['hush', 'hush-before'],
  });
  await agent.info('plant');
  await agent.status('plant', { sign_in_needed: false });
  await until('that nobody is needed any more', () => flow.out.some((msg) => msg.payload.sign_in_needed === false));
  await agent.state('offline');
  await agent.state('online');
  await until('another declaration', () => agent.asked('declare').length === 2);
});

test('the secret comes from an environment variable, and further settings as JSON', async () => {
  process.env.TEST_CLIENT_SECRET = 'of-the-group';
  takes({});
  await agent.state('online');
  const flow = await start(broker.port, [accountNode({ provider: 'google', secretFrom: 'env', secretEnv: 'TEST_CLIENT_SECRET', offer: true, more: '{"grant":"client_credentials"}' })]);
  await until('the answer', () => flow.out[0]);
  assert.deepEqual(agent.asked('declare')[0].settings, {
    grant: 'client_credentials', provider: 'google', client_id: 'gateway', scopes: ['openid', 'offline_access'], sign_in: 'offer', client_secret: 'of-the-group',
  });
});

for (const [what, more, code, text] of [
  ['the agent refuses it', {}, 'not_permitted', 'refused: not_permitted'],
  ['the environment variable is missing', { secretFrom: 'env', secretEnv: 'TEST_CLIENT_SECRET' }, 'no_secret', 'refused: no_secret'],
  ['the settings are no object', { more: '[1]' }, 'bad_settings', 'refused: bad_settings'],
  ['the settings are nothing', { more: 'null' }, 'bad_settings', 'refused: bad_settings'],
  ['the settings would hide a secret in the flow', { more: '{"client_secret":"x"}' }, 'bad_settings', 'refused: bad_settings'],
]) {
  test(`while ${what}, it is an error with its code, and a red dot`, async () => {
    agent.answer('declare', () => ({ code: 'not_permitted', error: 'No [provisioning].' }));
    const flow = await start(broker.port, [accountNode(more)]);
    const dot = follow(flow.node('account'));
    await agent.state('online');
    assert.equal((await until('the error', () => flow.errors[0])).error.code, code);
    await dot.text(text);
    assert.equal(flow.out.length, 0);
  });
}

test('a message has it declared again, or forgotten', async () => {
  takes({ changed: false });
  agent.answer('forget', () => ({ data: {} }));
  await agent.state('online');
  const flow = await start(broker.port, [accountNode()]);
  await until('the first', () => flow.out[0]);
  flow.node('account').receive({ payload: 'forget' });
  assert.deepEqual((await until('the second', () => flow.out[1])).payload, { verb: 'forget', account: 'plant' });
  flow.node('account').receive({ payload: '' });
  await until('the third', () => flow.out[2]);
  assert.deepEqual(agent.requests.map(({ verb }) => verb), ['declare', 'forget', 'declare']);
  assert.ok(agent.asked('forget')[0].seconds > 60, 'given up before the agent does');
});
