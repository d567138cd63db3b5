// What the package asks the gate, and what it makes of the answers.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { until } from './support/broker.mjs';
import { FakeGate, person } from './support/gate.mjs';
import { Gate } from '../lib/gate.js';

let fake;
beforeEach(async () => { fake = await FakeGate.start(); });
afterEach(() => fake.stop());

const ANN = { userId: 'ann@example.com', username: 'ann@example.com', email: 'ann@example.com', name: 'Ann', groups: ['operators'] };

describe('the gate is asked', () => {
  const told = [];
  const log = { info: (text) => told.push(['info', text]), warn: (text) => told.push(['warn', text]) };
  const visitors = [];
  /** A visitor of the session, once the gate has been asked. */
  async function enter(gate, reference) {
    const ends = [];
    const { visitor, asked } = gate.enter(reference, (isSignedOut) => ends.push(isSignedOut));
    visitors.push(visitor);
    await asked;
    return { visitor, ends };
  }
  beforeEach(() => {
    told.length = 0;
    fake.people.set('of-ann', person('ann', { name: 'Ann', groups: ['operators'] }));
  });
  afterEach(() => visitors.splice(0).forEach((visitor) => visitor.leave()));

  test('once for a session, on one connection, while somebody is there, and no longer', async () => {
    const gate = new Gate(fake.address, log, { every: 20 });
    const all = await Promise.all(Array.from({ length: 10 }, () => enter(gate, 'of-ann')));
    for (const { visitor } of all) assert.deepEqual(visitor.user, ANN);
    assert.equal(fake.asked.length, 1);
    await until('more questions', () => fake.asked.length > 5);
    assert.equal(fake.connections, 1);
    all.forEach(({ visitor }) => visitor.leave());
    // The next one asks afresh.
    fake.people.set('of-ann', person('ann', { name: 'Ann B.' }));
    const before = fake.asked.length;
    const { visitor } = await enter(gate, 'of-ann');
    assert.equal(visitor.user.name, 'Ann B.');
    assert.ok(fake.asked.length > before);
    visitor.leave();
    const last = await enter(gate, 'of-nobody');
    assert.deepEqual(last.ends, [true]);
    const asked = fake.asked.length;
    await new Promise((done) => { setTimeout(done, 100); });
    assert.equal(fake.asked.length, asked, 'it asks for nobody');
  });

  test('with the news that somebody did something, which an outage does not lose', async () => {
    const gate = new Gate(fake.address, log, { every: 20 });
    const { visitor } = await enter(gate, 'of-ann');
    await until('idle questions', () => fake.asked.length > 3);
    assert.deepEqual([...new Set(fake.asked.map(({ url }) => url))], ['/oauth2mqtt/who']);
    fake.fault = () => [503, ''];
    visitor.act();
    await until('the news', () => fake.asked.some(({ url }) => url === '/oauth2mqtt/who?active'));
    fake.fault = () => null;
    const before = fake.asked.length;
    await until('the news again', () => fake.asked.slice(before).some(({ url }) => url === '/oauth2mqtt/who?active'));
    const since = fake.asked.length;
    await until('idle questions', () => fake.asked.length > since + 3);
    assert.ok(fake.asked.slice(since + 1).every(({ url }) => url === '/oauth2mqtt/who'));
  });

  test('and one that is silent costs new people their user at once and open sockets later, with one warning', async () => {
    const gate = new Gate(fake.address, log, { every: 20, patience: 600 });
    const { visitor, ends } = await enter(gate, 'of-ann');
    await fake.stop();
    await until('the warning', () => told.length > 0);
    const late = await enter(gate, 'of-ann');
    assert.deepEqual([visitor.user, late.visitor.user, ends], [ANN, null, []]);
    await until('the end', () => visitor.isOver && late.visitor.isOver);
    assert.deepEqual([ends, late.ends, visitor.user], [[false], [false], null]);
    assert.equal(told.length, 1);
    const [[level, text]] = told;
    assert.equal(level, 'warn');
    assert.match(text, /the gate at http:\/\/127\.0\.0\.1:\d+ does not say who uses the dashboard: connect ECONNREFUSED .*\. New connections have no user/);
    assert.doesNotMatch(text, /of-ann/);

    const during = await enter(gate, 'of-ann');
    await fake.listen();
    await until('the user', () => during.visitor.user);
    assert.deepEqual(told.slice(1).map(([, line]) => line), [`oauth2mqtt: the gate at ${fake.address} answers again.`]);
  });

  test('and what it cannot mean is no answer', async () => {
    const answers = [
      [302, ''], [404, '{}'], [500, ''], [200, ''], [200, 'null'], [200, '[]'], [200, '{"user":""}'], [200, '{"user":"ann","groups":"operators"}'],
      [200, '{"user":"ann","groups":[{}]}'], [200, '{"user":"ann","email":1,"groups":[]}'], [200, ' '.repeat(100_000)], 'none',
    ];
    for (const answer of answers) {
      const gate = new Gate(fake.address, log, { every: 60_000, answer: 200 });
      fake.fault = () => answer;
      const { visitor, ends } = await enter(gate, 'of-ann');
      assert.deepEqual([visitor.user, ends], [null, []], String(answer));
      visitor.leave();
    }
    assert.deepEqual(told.map(([level]) => level), answers.map(() => 'warn'));
    for (const address of ['nowhere', 'ftp://127.0.0.1']) {
      const { visitor } = await enter(new Gate(address, log), 'of-ann');
      assert.equal(visitor.user, null);
    }
  });

  test('never about what no session can be called', async () => {
    const gate = new Gate(fake.address, log);
    for (const reference of ['', ' ', 'a b', 'a\nb', 'ä', 'a'.repeat(257)]) {
      const { visitor, ends } = await enter(gate, reference);
      assert.deepEqual([visitor.isOver, ends], [true, [true]]);
    }
    assert.equal(fake.asked.length, 0);
  });

  test('again where it has closed the connection meanwhile', async () => {
    const gate = new Gate(fake.address, log, { every: 20 });
    let isToClose = false;
    fake.fault = (request) => {
      if (!isToClose) return null;
      isToClose = false;
      request.socket.resetAndDestroy();
      return 'none';
    };
    await enter(gate, 'of-ann');
    for (let round = 0; round < 3; round += 1) {
      isToClose = true;
      const before = fake.asked.length;
      await until('more questions', () => fake.asked.length > before + 3);
    }
    assert.deepEqual(told, []);
  });
});

/** The plug-in in a Node-RED that has nothing else, and a socket of a server with these others. */
function plugin(others = []) {
  const plugins = [];
  const RED = {
    settings: { oauth2mqtt: { gate: fake.address } }, log: { info() {}, warn() {} }, events: { on() {} }, nodes: { eachNode() {} },
    plugins: { registerPlugin: (id, one) => plugins.push({ id, ...one }), getByType: () => plugins },
  };
  createRequire(import.meta.url)('../nodes/gate.js')(RED);
  const server = { use() {}, sockets: { sockets: new Map(others.map((socket, number) => [number, socket])) } };
  return { plugins, hooks: plugins[0].hooks, socket: { handshake: { headers: {} }, use() {}, server } };
}

test('asks for those who were there before it too', async () => {
  const ends = [];
  const conn = { readyState: 'open', once: (event, end) => ends.push(end) };
  const { hooks, socket } = plugin([{ handshake: { headers: { 'remote-session': 'of-ann' } }, use() {}, conn }]);
  hooks.onIsValidConnection(socket, { _client: { user: {} } });
  await until('the question', () => fake.of('of-ann').length > 0);
  ends.forEach((end) => end());
});

test('where another plug-in says who somebody is, it says so of the sockets that have not come through the gate', () => {
  const { plugins, hooks, socket } = plugin();
  const ofAnother = { payload: 1, _client: { user: { userId: 'carl' } } };
  assert.equal(hooks.onIsValidConnection(socket, ofAnother), false);
  plugins.push({ id: 'another', hooks: { onAddConnectionCredentials: (one, msg) => msg } });
  assert.equal(hooks.onIsValidConnection(socket, ofAnother), true);
  assert.deepEqual(hooks.onAddConnectionCredentials(socket, ofAnother)._client.user, { userId: 'carl' });
  assert.equal(fake.asked.length, 0);
});
