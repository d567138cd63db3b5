// What the editor asks of the runtime: permissions of its own, and no token in any answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from './support/broker.mjs';
import { agent, broker, setUp } from './support/fixture.mjs';
import { helper, permissions, start, tokenNode } from './support/flow.mjs';

setUp(async () => {
  await agent.state('online');
  await agent.info('google');
  await agent.active('google', 'of-google');
  permissions.asked = [];
  permissions.isAllowed = () => true;
});

const isThere = (flow) => until('the token', () => flow.node('agent').agent.token('google'));
const press = (verb, account = 'google') => helper.request().post(`/oauth2mqtt/agent/accounts/${account}/${verb}`);

test('the accounts are listed, without a token', async () => {
  const flow = await start(broker.port, [tokenNode()]);
  await isThere(flow);
  const { body, text } = await helper.request().get('/oauth2mqtt/agent/accounts').expect(200).expect('cache-control', 'no-store');
  assert.deepEqual([body.online, body.version, body.accounts.map(({ name, status }) => [name, status.state])], [true, '0.1.0', [['google', 'active']]]);
  assert.ok(!text.includes('of-google'));
});

test('a thousand accounts with their scopes are all listed', async () => {
  const scopes = ['openid', 'email', 'profile', 'offline_access', 'https://outlook.office.com/SMTP.Send', 'https://outlook.office.com/IMAP.AccessAsUser.All'];
  const accounts = Array.from({ length: 1000 }, (_, number) => ({
    name: `machine-${number}`, provider: 'https://login.microsoftonline.com/common/v2.0', grant: 'device_code', scopes, publish: 'on_request',
  }));
  await agent.publish('oauth2mqtt/bridge/info', { version: '0.1.0', started_at: 1, accounts });
  for (const { name } of accounts) await agent.status(name, {});
  const flow = await start(broker.port, [tokenNode()]);
  await until('the last account', () => flow.node('agent').agent.view('machine-999').status);
  const { body } = await helper.request().get('/oauth2mqtt/agent/accounts').expect(200);
  assert.equal(body.accounts.filter(({ scopes: of, status }) => of.length === scopes.length && status?.state === 'active').length, 1000);
});

test('no answer to any button has a token in it', async () => {
  for (const verb of ['login', 'cancel', 'complete', 'refresh', 'logout']) {
    agent.answer(verb, () => ({ data: { account: 'google', access_token: 'of-google', authorization: 'Bearer of-google' } }));
  }
  agent.answer('token', () => ({ data: { account: 'google', access_token: 'of-google', authorization: 'Bearer of-google' } }));
  const flow = await start(broker.port, [tokenNode()]);
  await isThere(flow);
  for (const verb of ['login', 'cancel', 'complete', 'refresh', 'logout']) {
    const { text } = await press(verb).send(verb === 'complete' ? { redirected_to: 'http://127.0.0.1/?code=x' } : {}).expect(200);
    assert.ok(!text.includes('of-google'), verb);
  }
  for (const verb of ['token', 'declare', 'reload', '__proto__']) await press(verb).send({}).expect(400);
  assert.equal(agent.asked('token').length, 0);
});

test('reading and pressing need a permission each', async () => {
  const flow = await start(broker.port, [tokenNode()]);
  await isThere(flow);
  permissions.isAllowed = (permission) => permission === 'oauth2mqtt-agent.read';
  await helper.request().get('/oauth2mqtt/agent/accounts').expect(200);
  await press('logout').send({}).expect(401);
  permissions.isAllowed = () => false;
  await helper.request().get('/oauth2mqtt/agent/accounts').expect(401);
  assert.deepEqual(permissions.asked, ['oauth2mqtt-agent.read', 'oauth2mqtt-agent.write', 'oauth2mqtt-agent.read']);
  assert.equal(agent.requests.length, 0);
});

test('a form of another site, a strange name and another node are refused', async () => {
  const flow = await start(broker.port, [tokenNode()]);
  await isThere(flow);
  await press('logout').type('form').send({ a: 1 }).expect(415);
  await press('logout', '..%2F..').send({}).expect(400);
  await press('complete').send({ redirected_to: ['x'] }).expect(400);
  for (const id of ['token', 'broker', 'nothing', '__proto__']) await helper.request().get(`/oauth2mqtt/${id}/accounts`).expect(404);
  assert.equal(agent.requests.length, 0);
});

test('what the agent refuses is told with its code', async () => {
  agent.answer('refresh', () => ({ code: 'rate_limited', error: 'Wait.' }));
  const flow = await start(broker.port, [tokenNode()]);
  await isThere(flow);
  const { body } = await press('refresh').send({}).expect(409);
  assert.deepEqual(body, { code: 'rate_limited', message: 'Wait.' });
});
