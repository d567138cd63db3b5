// The node token: what a flow relies on.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from './support/broker.mjs';
import { agent, broker, setUp } from './support/fixture.mjs';
import { follow, start, tokenNode } from './support/flow.mjs';

setUp(async () => {
  await agent.state('online');
  await agent.info('google', 'plant');
});

const next = (messages, number = 1) => until(`message ${number}`, () => messages[number - 1]);

test('a message gets the token of the account, and keeps its other headers', async () => {
  await agent.active('plant', 'of-plant');
  await agent.active('google', 'of-google');
  const flow = await start(broker.port, [tokenNode()]);
  flow.node('token').receive({ payload: 1, headers: { 'x-request': '7', Authorization: 'Basic of-old' } });
  const msg = await next(flow.out);
  assert.deepEqual(msg.headers, { 'x-request': '7', authorization: 'Bearer of-google' });
  assert.equal(msg.payload, 1);
});

test('the token goes into the property that the node names', async () => {
  await agent.active('google', 'of-google');
  const flow = await start(broker.port, [tokenNode({ property: 'mail.token', value: 'access_token' })]);
  flow.node('token').receive({ headers: { accept: 'text/plain' } });
  const msg = await next(flow.out);
  assert.deepEqual([msg.mail, msg.headers], [{ token: 'of-google' }, { accept: 'text/plain' }]);
});

test('what goes with the token is in msg.oauth2mqtt: of this account, of this token, and each message has its own', async () => {
  const extra = { instance_url: 'https://plant.example', ids: [1, { of: null }] };
  await agent.status('google', {});
  await agent.status('plant', {});
  await agent.token('google', 'of-google', 600, { extra: { ...extra, long: 'x'.repeat(5000) } });
  await agent.token('plant', 'of-plant');
  const flow = await start(broker.port, [tokenNode(), tokenNode({ id: 'other', account: 'plant' })]);
  flow.node('token').receive({ oauth2mqtt: { account: 'plant', extra: { realm_id: 'of another account' } } });
  const first = await next(flow.out);
  assert.deepEqual(first.oauth2mqtt, { account: 'google', extra });
  first.oauth2mqtt.extra.ids.length = 0;
  flow.node('token').receive({});
  assert.deepEqual((await next(flow.out, 2)).oauth2mqtt.extra, extra);
  flow.node('other').receive(first);
  assert.deepEqual((await next(flow.out, 3)).oauth2mqtt, { account: 'plant', extra: {} });

  await agent.token('google', 'another', 600, { extra: { instance_url: 'https://moved.example' } });
  await until('the new token', () => flow.node('agent').agent.token('google')?.access_token === 'another');
  flow.node('token').receive({});
  assert.deepEqual((await next(flow.out, 4)).oauth2mqtt.extra, { instance_url: 'https://moved.example' });
});

for (const extra of [null, [], 'text', 7, '{"__proto__":{"polluted":true}}']) {
  test(`a token with ${JSON.stringify(extra)} for extra is taken without it`, async () => {
    await agent.status('google', {});
    await agent.token('google', 'of-google', 600, { extra: typeof extra === 'string' && extra.startsWith('{') ? JSON.parse(extra) : extra });
    const flow = await start(broker.port, [tokenNode()]);
    flow.node('token').receive({});
    const { oauth2mqtt, headers } = await next(flow.out);
    assert.deepEqual([oauth2mqtt, headers.authorization], [{ account: 'google', extra: {} }, 'Bearer of-google']);
    assert.deepEqual([{}.polluted, oauth2mqtt.extra.polluted, Object.keys(oauth2mqtt.extra)], [undefined, undefined, []]);
  });
}

test('messages wait in their order until there is a token', async () => {
  await agent.status('google', { state: 'awaiting_user', needs_user: true });
  const flow = await start(broker.port, [tokenNode()]);
  for (let number = 0; number < 5; number += 1) flow.node('token').receive({ payload: number });
  await agent.active('google', 'of-google');
  await next(flow.out, 5);
  assert.deepEqual(flow.out.map(({ payload }) => payload), [0, 1, 2, 3, 4]);
  assert.ok(flow.out.every(({ headers }) => headers.authorization === 'Bearer of-google'));
});

for (const [what, property, bad] of [
  ['lies within a text', 'payload.token', 'text'],
  ['is no valid expression', 'payload[', {}],
]) {
  test(`a message whose property ${what} is an error, at once and after waiting, and the others go on`, async () => {
    await agent.status('google', { state: 'awaiting_user', needs_user: true });
    const flow = await start(broker.port, [tokenNode({ property })]);
    for (const payload of [bad, {}, bad]) flow.node('token').receive({ payload });
    await agent.active('google', 'of-google');
    await until('an answer to each', () => flow.out.length + flow.errors.length === 3);
    flow.node('token').receive({ payload: bad });
    await until('the answer at once', () => flow.out.length + flow.errors.length === 4);
    assert.deepEqual(flow.out.map(({ payload }) => payload.token), bad === 'text' ? ['Bearer of-google'] : []);
    for (const { error } of flow.errors) {
      assert.deepEqual([error.code, error.message], ['bad_property', `The property ${property} of this message cannot be set.`]);
    }
    assert.ok(!JSON.stringify(flow.errors).includes('of-google'), 'a token is in an error');
  });
}

for (const [what, prepare, code, part] of [
  ['nobody is signed in', () => agent.status('google', { state: 'signed_out', needs_user: true }), 'sign_in_needed', 'sudo oauth2mqtt login google'],
  ['the provider has ended the sign-in', () => agent.status('google', { state: 'signed_out', needs_user: true, error: { code: 'invalid_grant', message: 'Sign in again.', since: 1, retry_at: null } }), 'invalid_grant', 'Sign in again.'],
  ['the provider cannot be reached', () => agent.status('google', { state: 'expired', error: { code: 'provider_unreachable', message: 'Check the network.', since: 1, retry_at: 2 } }), 'provider_unreachable', 'Check the network.'],
  ['the agent has no such account', () => agent.info('plant'), 'no_account', 'It has: plant'],
  ['the agent has gone', async () => { await agent.active('google', 'of-google'); await agent.state('offline'); }, 'no_agent', 'systemctl status oauth2mqtt'],
  ['the token has ended', async () => { await agent.status('google', { state: 'expired' }); await agent.token('google', 'of-google', 600, { expires_at: Math.round(Date.now() / 1000) - 1 }); }, 'no_token', 'no good token'],
  ['the token is that of another account', () => agent.token('google', 'of-plant', 600, { account: 'plant' }), 'no_status', 'Nothing is known'],
  ['the token would begin another header', async () => { await agent.status('google', {}); await agent.token('google', 'of\r\nx-evil: 1'); }, 'no_token', 'no good token'],
]) {
  test(`while ${what}, a message is an error with its code and the next step`, async () => {
    await prepare();
    const flow = await start(broker.port, [tokenNode({ timeout: 0.4 })]);
    flow.node('token').receive({ payload: 1 });
    const { error, payload } = await next(flow.errors);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(part), error.message);
    assert.equal(error.source.type, 'oauth2mqtt-token');
    assert.deepEqual([payload, flow.out.length], [1, 0]);
    assert.ok(!JSON.stringify(error).includes('of-'), 'no token is in an error');
  });
}

test('a token is not used past its end, even if the agent says nothing more', async () => {
  const end = Date.now() + 3000;
  await agent.active('google', 'of-google', 3);
  const flow = await start(broker.port, [tokenNode({ timeout: 0.2 })]);
  flow.node('token').receive({});
  await next(flow.out);
  await until('the first error', async () => {
    flow.node('token').receive({ at: Date.now() });
    return flow.errors[0];
  });
  assert.ok(flow.out.slice(1).every(({ at }) => at < end), 'used after its end');
  flow.node('token').receive({});
  assert.equal((await next(flow.errors, 2)).error.code, 'no_token');
});

test('a token is not used after the agent is gone, and is again when it is back', async () => {
  await agent.active('google', 'of-google');
  const flow = await start(broker.port, [tokenNode({ timeout: 0.3 })]);
  const dot = follow(flow.node('token'));
  flow.node('token').receive({});
  await next(flow.out);
  await agent.state('offline');
  await dot.text('no agent');
  flow.node('token').receive({});
  assert.equal((await next(flow.errors)).error.code, 'no_agent');
  await agent.state('online');
  await agent.token('google', 'of-google');
  flow.node('token').receive({});
  await next(flow.out, 2);
});

test('a token is not used while the broker is away', async () => {
  await agent.active('google', 'of-google');
  const flow = await start(broker.port, [tokenNode({ timeout: 0.3 })]);
  const dot = follow(flow.node('token'));
  flow.node('token').receive({});
  await next(flow.out);
  await broker.end();
  await dot.text('no agent');
  flow.node('token').receive({});
  assert.equal((await next(flow.errors)).error.code, 'no_broker');
});

test('a token that is not retained is asked for, once for all who wait, and again after a refresh', async () => {
  let number = 0;
  agent.answer('token', ({ account }) => {
    number += 1;
    return {
      data: {
        account, access_token: `asked-${number}`, token_type: 'Bearer', authorization: `Bearer asked-${number}`,
        expires_at: Math.round(Date.now() / 1000) + 600, scope: null, extra: { number },
      },
    };
  });
  await agent.status('google', { last_refresh_at: 5 });
  const flow = await start(broker.port, [tokenNode(), tokenNode({ id: 'other' })]);
  for (const id of ['token', 'other', 'token']) flow.node(id).receive({});
  await next(flow.out, 3);
  assert.equal(agent.asked('token').length, 1);
  assert.deepEqual(flow.out.map(({ oauth2mqtt }) => oauth2mqtt.extra), [{ number: 1 }, { number: 1 }, { number: 1 }]);
  assert.match(agent.asked('token')[0].responseTopic, /^oauth2mqtt\/bridge\/response\/node-red-/);
  await agent.status('google', { last_refresh_at: 6 });
  await until('the other token', () => {
    flow.node('token').receive({});
    return flow.out.some(({ headers }) => headers.authorization === 'Bearer asked-2');
  });
  await agent.status('google', { state: 'signed_out', needs_user: true });
  await until('no token any more', () => flow.node('agent').agent.token('google') === null);
});

test('a token that stays on the device is found on $local, and asked for there', async () => {
  await agent.status('google', {});
  await agent.token('google', 'local', 600, { topic: '$local/oauth2mqtt/google/token' });
  agent.answer('token', ({ account, responseTopic }) => (responseTopic.startsWith('$local/')
    ? { data: { account, access_token: 'asked', token_type: 'Bearer', authorization: 'Bearer asked', expires_at: null, scope: null } }
    : { code: 'token_is_local', error: 'Ask below $local/.' }));
  await agent.status('plant', {});
  const flow = await start(broker.port, [tokenNode(), tokenNode({ id: 'other', account: 'plant' })]);
  flow.node('token').receive({});
  assert.equal((await next(flow.out)).headers.authorization, 'Bearer local');
  flow.node('other').receive({});
  assert.equal((await next(flow.out, 2)).headers.authorization, 'Bearer asked');
});

test('the dot tells what a user has to know', async () => {
  const end = Math.round(Date.now() / 1000) + 600;
  await agent.status('google', { state: 'signed_out', needs_user: true });
  const flow = await start(broker.port, [tokenNode()]);
  const dot = follow(flow.node('token'));
  await agent.publish('oauth2mqtt/google/signin', { account: 'google', pending: true, verification_uri: 'https://a.example/', user_code: 'ABCD', expires_at: end, qr: null });
  await agent.status('google', { state: 'awaiting_user', needs_user: true });
  await dot.text('scan to sign in');
  await agent.publish('oauth2mqtt/google/signin', { account: 'google', pending: false });
  await agent.active('google', 'of-google');
  const at = new Date(end * 1000);
  await dot.text(`until ${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`);
  await agent.status('google', { state: 'signed_out', needs_user: true });
  await dot.text('needs somebody');
  await agent.info('plant');
  await dot.text('no account google');
  await agent.state('offline');
  await dot.text('no agent');
  assert.deepEqual(dot.seen.map(({ fill }) => fill).filter((fill, at, all) => fill !== all[at - 1]).slice(-4), ['yellow', 'green', 'red', 'grey']);
});

test('names and messages that are made to harm do nothing', async () => {
  const flow = await start(broker.port, [tokenNode({ timeout: 0.3 })]);
  for (const name of ['__proto__', 'constructor', '<img src=x onerror=alert(1)>', 'A', 'a'.repeat(64)]) {
    await agent.status(name, { polluted: true });
    await agent.token(name, 'evil');
  }
  await agent.publish('oauth2mqtt/google/status', '{"account":"__proto__","state":"active"}');
  await agent.publish('oauth2mqtt/google/signin', 'no JSON');
  await agent.publish('oauth2mqtt/bridge/info', '{"accounts":{"length":1e9}}');
  await agent.publish('oauth2mqtt/bridge/info', '{"accounts":[null,{"name":"__proto__"},{"name":"google"}]}');
  await agent.active('google', 'of-google');
  flow.node('token').receive({});
  await next(flow.out);
  assert.equal({}.polluted, undefined);
  assert.deepEqual(flow.node('agent').agent.accounts().map(({ name }) => name), ['google']);
});

test('accounts that the agent does not name neither pile up nor keep out those that it names', async () => {
  const flow = await start(broker.port, [tokenNode(), tokenNode({ id: 'other', account: 'plant' })]);
  const { agent: followed } = flow.node('agent');
  const stray = (number) => `stray-${number}`;
  const flood = async (from, to) => {
    await Promise.all(Array.from({ length: to - from }, (_, index) => agent.status(stray(from + index), {})));
    await until('the last of them', () => followed.view(stray(to - 1)).status);
  };
  await agent.active('plant', 'of-plant');
  await flood(0, 3000);
  await agent.active('google', 'of-google');
  flow.node('token').receive({});
  flow.node('other').receive({});
  await next(flow.out, 2);
  assert.deepEqual(flow.out.map(({ headers }) => headers.authorization).sort(), ['Bearer of-google', 'Bearer of-plant']);
  const kept = Array.from({ length: 3000 }, (_, number) => stray(number)).filter((name) => followed.view(name).status);
  assert.ok(kept.length <= 2048, `${kept.length} are kept`);
  assert.deepEqual(followed.accounts().map(({ name }) => name), ['google', 'plant']);

  // A new account has a status before it is named.
  await agent.active('new', 'of-new');
  await agent.info('google', 'plant', 'new');
  await until('the new account', () => followed.token('new'));
  assert.equal(followed.view(stray(2999)).status, null);
});

test('a broker without MQTT 5 is refused with the setting to change', async () => {
  const flow = await start(broker.port, [tokenNode()], {}, [], { protocolVersion: '4' });
  flow.node('token').receive({});
  const { error } = await next(flow.errors);
  assert.deepEqual([error.code, error.message], ['no_agent_node', "Choose the agent in the node, and check that the agent's configuration node has no error."]);
});

for (const data of [null, 7, [], {}, { account: 'plant' }, { account: 'google', access_token: [[]] }]) {
  test(`the answer ${JSON.stringify(data)} to a request for a token does not end Node-RED`, async () => {
    agent.answer('token', () => ({ data }));
    await agent.status('google', {});
    const flow = await start(broker.port, [tokenNode({ timeout: 1 })]);
    flow.node('token').receive({});
    assert.equal((await next(flow.errors)).error.code, 'no_token');
    assert.equal(agent.asked('token').length, 1);
  });
}
