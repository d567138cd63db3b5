// The node sign-in: what it tells, and what it takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from './support/broker.mjs';
import { agent, broker, setUp } from './support/fixture.mjs';
import { start } from './support/flow.mjs';

setUp(async () => {
  await agent.state('online');
  await agent.info('google', 'plant');
});

const signInNode = (more = {}) => ({ id: 'sign-in', z: 'flow', type: 'oauth2mqtt-sign-in', name: '', agent: 'agent', account: 'google', wires: [['out'], ['answers']], ...more });
const answers = { id: 'answers', z: 'flow', type: 'helper', wires: [] };
const told = (flow, state) => until(state, () => flow.out.find(({ payload }) => payload.state === state));
const QR = `data:image/svg+xml;base64,${'PHN2Zy8+'.repeat(9)}`;

test('the state is told once for each change, with a sentence for a dashboard', async () => {
  await agent.status('google', { state: 'signed_out', needs_user: true });
  const flow = await start(broker.port, [signInNode(), answers]);
  assert.equal((await told(flow, 'signed_out')).payload.text, 'Signed out');
  await agent.publish('oauth2mqtt/google/signin', {
    account: 'google', pending: true, verification_uri: 'https://id.example/device', verification_uri_complete: 'https://id.example/device?user_code=ABCD',
    user_code: 'ABCD', redirect_uri: null, expires_at: 2_000_000_000, qr: QR,
  });
  await agent.status('google', { state: 'awaiting_user', needs_user: true });
  const { sign_in: signIn, text } = (await told(flow, 'awaiting_user')).payload;
  assert.deepEqual([text, signIn.user_code, signIn.qr, signIn.expires_at], ['Waiting for approval', 'ABCD', QR, 2_000_000_000]);
  await agent.publish('oauth2mqtt/google/signin', { account: 'google', pending: false });
  await agent.token('google', 'of-google');
  await agent.status('google', { user: 'ann@example.com' });
  assert.equal((await told(flow, 'active')).payload.text, 'Signed in (ann@example.com)');
  await agent.status('google', { user: 'ann@example.com' });
  await agent.state('offline');
  await told(flow, 'no_agent');
  assert.equal(flow.out.filter(({ payload }) => payload.state === 'active').length, 1);
  assert.ok(!JSON.stringify(flow.out).includes('of-google'), 'a token is in what it tells');
});

test('without an account it tells of all, and of one that is gone', async () => {
  await agent.status('google', {});
  await agent.status('plant', { state: 'signed_out', needs_user: true });
  const flow = await start(broker.port, [signInNode({ account: '' }), answers]);
  await until('both', () => ['google', 'plant'].every((name) => flow.out.some(({ topic, payload }) => topic === name && payload.state !== 'unknown')));
  await agent.info('google');
  await until('the end of one', () => flow.out.some(({ topic, payload }) => topic === 'plant' && payload.state === 'no_account'));
});

test('each request reaches the agent, and its answer the flow', async () => {
  for (const verb of ['login', 'cancel', 'complete', 'refresh', 'logout']) agent.answer(verb, ({ account }) => ({ data: { account, access_token: 'hidden' } }));
  await agent.status('google', {});
  const flow = await start(broker.port, [signInNode(), answers]);
  const answered = [];
  flow.node('answers').on('input', (msg) => answered.push(msg));
  await told(flow, 'active');
  for (const payload of ['login', 'cancel', 'refresh', { verb: 'logout' }]) flow.node('sign-in').receive({ payload });
  flow.node('sign-in').receive({ topic: 'complete', payload: 'http://127.0.0.1:8629/?code=hunter2&state=s' });
  await until('five answers', () => answered.length === 5);
  assert.deepEqual(agent.requests.map(({ verb }) => verb).sort(), ['cancel', 'complete', 'login', 'logout', 'refresh']);
  assert.ok(agent.requests.every(({ account }) => account === 'google'));
  // Two answers of a provider, of 30 seconds each; the broker counts down.
  assert.ok(agent.requests.every(({ verb, seconds }) => verb === 'cancel' || seconds > 60), 'given up before the agent does');
  assert.equal(agent.asked('complete')[0].redirected_to, 'http://127.0.0.1:8629/?code=hunter2&state=s');
  assert.ok(answered.every(({ payload }) => payload.status === 'ok'));
  assert.ok(!/hunter2|hidden/.test(JSON.stringify(answered)), 'a code or a token goes on');
});

test('what the agent refuses, and what is no request, is an error', async () => {
  agent.answer('login', () => ({ code: 'too_many_requests', error: 'Wait 60 s.' }));
  await agent.status('google', {});
  const flow = await start(broker.port, [signInNode(), answers]);
  await told(flow, 'active');
  flow.node('sign-in').receive({ payload: 'login' });
  const { error } = await until('the refusal', () => flow.errors[0]);
  assert.deepEqual([error.code, error.message], ['too_many_requests', 'Wait 60 s.']);
  flow.node('sign-in').receive({ payload: 'declare' });
  flow.node('sign-in').receive({ payload: { verb: 'complete' } });
  await until('two more', () => flow.errors[2]);
  assert.ok(flow.errors.slice(1).every((msg) => msg.error.code === 'invalid_request'));
  assert.equal(agent.requests.length, 1);
});

test('nothing that a dashboard would run comes through', async () => {
  await agent.publish('oauth2mqtt/google/signin', {
    account: 'google', pending: true, verification_uri: 'javascript:alert(1)', verification_uri_complete: 'data:text/html,x',
    user_code: '<img src=x>\u202e', redirect_uri: 7, expires_at: 'soon', qr: 'data:text/html;base64,PHNjcmlwdD4=',
  });
  await agent.status('google', { state: 'awaiting_user', user: { toString: 'x' }, error: { code: '<b>', message: 5 } });
  const flow = await start(broker.port, [signInNode(), answers]);
  const { sign_in: signIn, user, error } = (await told(flow, 'awaiting_user')).payload;
  assert.deepEqual(signIn, { pending: true, verification_uri: null, verification_uri_complete: null, user_code: '<img src=x> ', redirect_uri: null, expires_at: null, qr: null });
  assert.deepEqual([user, error.code, error.message], [null, 'unknown', '']);
});

test('no nesting ends Node-RED, wherever it stands', async () => {
  const deep = (depth) => `${'['.repeat(depth)}"a"${']'.repeat(depth)}`;
  const harmful = deep(3000);
  const flow = await start(broker.port, [signInNode({ wires: [['out', 'answers'], ['answers']] }), answers]);
  for (const member of ['state', 'user', 'scope', 'expires_at', 'error', 'more']) {
    await agent.publish('oauth2mqtt/google/status', `{"account":"google","state":"active","${member}":${harmful}}`);
  }
  for (const member of ['code', 'message', 'since']) {
    for (const value of [harmful, deep(1)]) {
      await agent.publish('oauth2mqtt/google/status', `{"account":"google","state":"active","error":{"code":"x","${member}":${value}}}`);
    }
  }
  await agent.publish('oauth2mqtt/google/signin', `{"account":"google","pending":true,"user_code":${harmful}}`);
  await agent.publish('oauth2mqtt/bridge/info', `{"version":${harmful},"accounts":[]}`);
  await agent.status('google', { error: { code: 'provider_unavailable', message: 'x' } });
  const news = await until('the news', () => flow.out.find(({ payload }) => payload.error?.code === 'provider_unavailable'));
  assert.equal(news.payload.state, 'active');
  assert.ok(flow.out.every(({ payload }) => ['string', 'undefined'].includes(typeof payload.error?.code)));
});

test('the answer to another request is not taken for that of this one', async () => {
  await agent.status('google', {});
  const flow = await start(broker.port, [signInNode(), answers]);
  const answered = [];
  flow.node('answers').on('input', (msg) => answered.push(msg));
  await told(flow, 'active');
  const others = [{ verb: 'logout', account: 'plant' }, { verb: 'login', account: 'google' }, { account: 'google' }, {}];
  agent.client.on('message', (topic, payload, { properties = {} }) => {
    if (!topic.endsWith('/request/logout')) return;
    const { responseTopic, correlationData } = properties;
    const reply = (body) => agent.client.publish(responseTopic, JSON.stringify({ transaction: null, ...body }), { properties: { correlationData } });
    for (const other of others) reply({ status: 'ok', data: {}, ...other });
    reply({ status: 'error', code: 'not_signed_in', error: 'Nobody is signed in.', verb: 'logout', account: 'google' });
  });
  flow.node('sign-in').receive({ payload: 'logout' });
  const { error } = await until('the refusal', () => flow.errors[0]);
  assert.deepEqual([error.code, answered.length], ['not_signed_in', 0]);
});
