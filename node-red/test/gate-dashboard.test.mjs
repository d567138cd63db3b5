// Who uses a dashboard behind the gate: what the gate says, and nothing that a browser or a local program claims.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Broker, until } from './support/broker.mjs';
import { packageFolder } from './support/flow.mjs';
import { FakeGate, Tab, person } from './support/gate.mjs';
import { World, chromium } from './support/world.mjs';

const ANN = { userId: 'ann@example.com', username: 'ann@example.com', email: 'ann@example.com', name: 'Ann', groups: ['operators'] };

const read = () => JSON.parse(fs.readFileSync(path.join(packageFolder, '../examples/node-red/only-these-people.json'), 'utf8'));

/** A Node-RED to start, with a broker for the flow and the dashboard, and with the package if it is to be there from the start. */
async function prepare(...modules) {
  const world = new World();
  world.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'oauth2mqtt-gate-'));
  world.broker = await Broker.start();
  world.modules = { '@flowfuse/node-red-dashboard': path.join(packageFolder, '../tests/servers/node_modules/@flowfuse/node-red-dashboard'), ...Object.assign({}, ...modules) };
  const flows = read().map((node) => (node.type === 'mqtt-broker' ? { ...node, port: String(world.broker.port) } : node));
  return { world, flows };
}

async function browse(context, address, reference) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  context.after(() => browser.close());
  const page = await browser.newPage({ extraHTTPHeaders: reference ? { 'remote-session': reference } : {} });
  page.setDefaultTimeout(20_000);
  await page.goto(address);
  return page;
}

describe('a dashboard', () => {
  const button = read().find(({ type }) => type === 'ui-button').id;
  let world;
  let dashboard;
  let gate;
  const lines = () => [...world.nodeRed.log.matchAll(/echo (\{.*\})/g)].map(([, text]) => JSON.parse(text));
  const logged = (text) => until(text, () => world.nodeRed.log.includes(text)).catch((error) => { throw new Error(`${error.message}\n${world.nodeRed.log}`); });

  before(async () => {
    gate = await FakeGate.start();
    const prepared = await prepare({ '@oauth2mqtt/node-red': packageFolder });
    const { flows } = prepared;
    world = prepared.world;
    const z = flows.find(({ type }) => type === 'tab').id;
    const ui = flows.find(({ type }) => type === 'ui-base').id;
    const group = flows.find(({ type }) => type === 'ui-group').id;
    // What a flow is told of whatever a browser sends, and by which way.
    const echo = { id: 'echo', z, type: 'function', func: "node.log('echo ' + JSON.stringify({ ...msg, _client: { ...msg._client, user: msg._client.user } }));", outputs: 0, wires: [], x: 500, y: 500 };
    const heard = (id, type, more) => ({ id, z, type, name: id, wires: [['copies']], x: 100, y: 500, ...more });
    // The second of two wires gets a copy.
    const copies = { id: 'copies', z, type: 'function', func: 'return msg;', outputs: 1, wires: [['nothing', 'echo']], x: 300, y: 500 };
    const nothing = { id: 'nothing', z, type: 'function', func: '', outputs: 0, wires: [], x: 500, y: 540 };
    const more = [
      heard('an-event', 'ui-event', { ui }),
      heard('a-template', 'ui-template', { group, order: 5, width: 0, height: 0, format: '<i></i>', storeOutMessages: true, passthru: false, resendOnRefresh: true, templateScope: 'local' }),
      heard('a-text', 'ui-text-input', { group, order: 6, width: 0, height: 0, mode: 'text', delay: 0, passthru: false }),
      { id: 'to-one', z, type: 'http in', url: '/to', method: 'post', wires: [['to-ann', 'yes']], x: 100, y: 600 },
      { id: 'yes', z, type: 'http response', statusCode: '200', wires: [], x: 300, y: 640 },
      { id: 'to-ann', z, type: 'function', func: 'return { payload: "for you", _client: msg.payload };', outputs: 1, wires: [['notify']], x: 300, y: 600 },
      { ...flows.find(({ type }) => type === 'ui-notification'), id: 'notify', x: 500, y: 600 },
      echo, copies, nothing,
    ];
    process.env.OAUTH2MQTT_GATE = gate.address;
    await world.startNodeRed([...flows, ...more], { install: false });
    dashboard = `${world.editor}/dashboard`;
  });
  after(async () => {
    await world?.stop();
    await gate?.stop();
  });
  const tabs = [];
  beforeEach(() => {
    gate.people.clear();
    gate.asked.length = 0;
    gate.people.set('of-ann', person('ann', { name: 'Ann', groups: ['operators'] }));
    gate.people.set('of-bob', person('bob'));
  });
  afterEach(async () => { for (const tab of tabs.splice(0)) if (!tab.isOver) await tab.close(); });
  async function open(headers) {
    const tab = await Tab.open(dashboard, headers);
    tabs.push(tab);
    return tab;
  }
  /** What the flow gets after a tab has sent something. */
  async function echoed(tab, ...event) {
    const before = lines().length;
    await tab.send(...event);
    return until('the message', () => lines().slice(before).find((message) => [message].flat(2)[0]._client.socketId === tab.id));
  }

  test('tells two people apart in every message, from the first', async () => {
    const [ann, bob] = [await open({ 'remote-session': 'of-ann' }), await open({ 'remote-session': 'of-bob' })];
    for (const event of [['ui-event', 'an-event', { topic: 'here' }], ['widget-send', 'a-template', { payload: 1 }], ['widget-action', 'a-template', { payload: 1 }], ['widget-change', 'a-text', 'x']]) {
      assert.deepEqual((await echoed(ann, ...event))._client.user, ANN);
      const client = (await echoed(bob, ...event))._client;
      assert.deepEqual([client.user.email, client.user.groups, client.socketId], ['bob@example.com', [], bob.id]);
    }
    // What has a page loaded again, when its session is over.
    assert.equal(ann.events('ui-config')[0][2].widgets['oauth2mqtt-gate-reload'].type, 'ui-control');
  });

  test('believes nothing that a browser or a local program says of itself', async () => {
    const claims = { 'remote-user': 'ann@example.com', 'remote-email': 'ann@example.com', 'remote-name': 'Ann', 'remote-groups': 'operators' };
    const ann = await open({ 'remote-session': 'of-ann' });
    await echoed(ann, 'widget-change', 'a-text', 'of Ann');
    const nobody = await open(claims);
    const bob = await open({ ...claims, 'remote-session': 'of-bob' });
    const forged = { payload: 1, _client: { user: ANN } };
    const hidden = JSON.parse(`{"payload":1,"_client":{"__proto__":${JSON.stringify({ user: ANN })}}}`);
    const above = JSON.parse(`{"payload":1,"__proto__":${JSON.stringify({ _client: { user: ANN } })}}`);
    const events = [
      ['ui-event', 'an-event', above], ['widget-send', 'a-template', above], ['widget-action', 'a-template', above],
      ['ui-event', 'an-event', forged], ['widget-send', 'a-template', forged], ['widget-action', 'a-template', forged], ['widget-change', 'a-text', forged],
      ['ui-event', 'an-event', hidden], ['widget-send', 'a-template', hidden], ['widget-action', 'a-template', [[forged]]],
    ];
    for (const event of events) {
      const client = (message) => [message].flat(2)[0]._client;
      assert.equal(client(await echoed(nobody, ...event)).user, undefined, JSON.stringify(event));
      assert.equal(client(await echoed(bob, ...event)).user.userId, 'bob@example.com', JSON.stringify(event));
    }
    await nobody.send('widget-action', button, forged);
    await logged('pump refused to nobody');
    await bob.send('widget-action', button, forged);
    await logged('pump refused to bob@example.com');
    assert.doesNotMatch(world.nodeRed.log, /pump started/);
    // Whatever else can be sent ends neither the dashboard nor the sockets.
    for (const odd of [null, 'x', 7, { _client: 'x' }, { _client: [] }, Array.from({ length: 200_000 }, () => 0), { _client: null }]) await bob.send('ui-event', 'an-event', odd);
    const deep = `42["ui-event","none",${'['.repeat(2_000)}${']'.repeat(2_000)}]`;
    await fetch(`${dashboard}/socket.io/?EIO=4&transport=polling&sid=${bob.sid}`, { method: 'POST', body: deep });
    assert.equal((await echoed(bob, 'ui-event', 'an-event', {}))._client.user.userId, 'bob@example.com');
  });

  test('without the header, asks for nobody', async () => {
    const nobody = await open({});
    assert.equal((await echoed(nobody, 'ui-event', 'an-event', {}))._client.user, undefined);
    assert.equal(gate.asked.length, 0);
  });

  test('ends a socket with a reference that is not known', async () => {
    for (const reference of ['made-up', 'of-ann, of-ann', '']) {
      const tab = await open({ 'remote-session': reference, 'remote-user': 'ann@example.com' });
      assert.deepEqual([tab.isOver, tab.isOpen, tab.received], [true, false, []], reference);
    }
  });

  test('ends every socket of a session within seconds of its end, and no other', async () => {
    const [first, second] = [await open({ 'remote-session': 'of-ann' }), await open({ 'remote-session': 'of-ann' })];
    const bob = await open({ 'remote-session': 'of-bob' });
    gate.people.delete('of-ann');
    await until('the end', () => first.isOver && second.isOver, 10);
    assert.ok(!bob.isOver);
    for (const tab of [first, second]) assert.deepEqual(tab.received.at(-1), ['ui-control:oauth2mqtt-gate-reload', { payload: { page: '' } }]);
    await until('no more questions', async () => {
      const before = gate.of('of-ann').length;
      const others = gate.of('of-bob').length;
      await until('the next ones', () => gate.of('of-bob').length > others + 1);
      return gate.of('of-ann').length === before;
    });
  });

  test('says that somebody is there only when they do something', async () => {
    const ann = await open({ 'remote-session': 'of-ann' });
    await ann.send('widget-load', 'a-text');
    await ann.send('ui-event', 'an-event', { topic: '$pageview' });
    // Twice the same page: it has connected again.
    for (let round = 0; round < 2; round += 1) await ann.send('ui-control', 'oauth2mqtt-gate-reload', 'change', { page: 0, name: 'Operator' });
    await until('three questions', () => gate.of('of-ann').length >= 3);
    assert.ok(gate.of('of-ann').every(({ url }) => url === '/oauth2mqtt/who'));
    const acts = [['widget-change', 'a-text', 'typed'], ['ui-control', 'oauth2mqtt-gate-reload', 'change', { page: 1, name: 'Another' }]];
    for (const act of acts) {
      const before = gate.of('of-ann').length;
      await ann.send(...act);
      await until('the news', () => gate.of('of-ann').slice(before).some(({ url }) => url === '/oauth2mqtt/who?active'));
    }
  });

  test('sends what is for one person to all their pages and to nobody else', async () => {
    const all = { ann: await open({ 'remote-session': 'of-ann' }), also: await open({ 'remote-session': 'of-ann' }), bob: await open({ 'remote-session': 'of-bob' }), nobody: await open({}) };
    const send = (client) => fetch(`${world.editor}/to`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(client) });
    const got = () => Object.entries(all).filter(([, tab]) => tab.events('msg-input:notify').length > 0).map(([name]) => name);
    await send({ user: ANN });
    await until('the message', () => got().length >= 2);
    const kept = async () => (await fetch(`${dashboard}/_debug/datastore/notify`)).text();
    assert.doesNotMatch(await kept(), /for you/);
    await send({ user: { userId: 'carl@example.com' } });
    await send({ user: {} });
    await send({ socketId: all.bob.id });
    await until('the last message', () => got().includes('bob'));
    assert.deepEqual(got(), ['ann', 'also', 'bob']);
    assert.deepEqual(Object.values(all).map((tab) => tab.events('msg-input:notify').length), [1, 1, 1, 0]);
  });

  test('shows its button to those of the list alone, greets each, and leaves the page when the session ends', async (context) => {
    const [ann, bob, nobody] = await Promise.all(['of-ann', 'of-bob', null].map((reference) => browse(context, `${dashboard}/operator`, reference)));
    await ann.getByText('Hello, Ann', { exact: true }).waitFor();
    await bob.getByText('Hello, bob@example.com').waitFor();
    await nobody.getByText('You are not signed in').waitFor();
    await ann.getByRole('button', { name: 'Start the pump' }).click();
    await logged('pump started by ann@example.com');
    for (const page of [bob, nobody]) assert.equal(await page.getByRole('button', { name: 'Start the pump' }).isVisible(), false);

    // A deployment later it is the same for those who are there; and whoever goes then is not asked for any more.
    gate.people.set('of-carl', person('carl'));
    const carl = await open({ 'remote-session': 'of-carl' });
    const { flows } = await (await fetch(`${world.editor}/flows`, { headers: { 'Node-RED-API-Version': 'v2' } })).json();
    await world.deploy(flows.map((node) => (node.type === 'comment' ? { ...node, name: `${node.name} ` } : node)));
    assert.equal((await echoed(carl, 'widget-send', 'a-template', {}))._client.user.userId, 'carl@example.com');
    await carl.close();
    const left = gate.of('of-carl').length;
    const before = gate.of('of-bob').length;
    await until('more questions', () => gate.of('of-bob').length > before + 1);
    assert.ok(gate.of('of-carl').length <= left + 1);
    // The dashboard forgets what single pages show, until they are loaded again.
    await ann.reload();
    await ann.getByRole('button', { name: 'Start the pump' }).click();
    await until('the second start', () => world.nodeRed.log.match(/pump started by ann/g).length === 2);

    const loads = { ann: [], bob: [] };
    const count = (page, by) => page.on('request', (request) => { if (request.isNavigationRequest()) loads[by].push(request.url()); });
    count(ann, 'ann');
    count(bob, 'bob');
    gate.people.delete('of-ann');
    // Which the proxy then sends to the sign-in.
    await until('the page to be asked for again', () => loads.ann.length > 0, 10);
    await ann.getByText('Hello, Ann').waitFor({ state: 'hidden' });
    assert.deepEqual(loads, { ann: [`${dashboard}/operator`], bob: [] });
  });

  test('keeps the sockets of a short outage, and knows everybody again', async () => {
    const ann = await open({ 'remote-session': 'of-ann' });
    const warnings = () => world.nodeRed.log.match(/does not say who uses the dashboard/g)?.length ?? 0;
    await gate.stop();
    await until('the warning', () => warnings() === 1);
    assert.deepEqual((await echoed(ann, 'ui-event', 'an-event', {}))._client.user, ANN);
    const bob = await open({ 'remote-session': 'of-bob' });
    assert.equal((await echoed(bob, 'ui-event', 'an-event', {}))._client.user, undefined);
    await gate.listen();
    await logged('answers again');
    await until('the user', async () => (await echoed(bob, 'ui-event', 'an-event', {}))._client.user, 10);
    assert.equal(warnings(), 1);
    assert.ok(!ann.isOver);
  });
});

test('a page that is open while the package is installed has its user after a restart of Node-RED', async (context) => {
  const fake = await FakeGate.start();
  context.after(() => fake.stop());
  const { world, flows } = await prepare();
  context.after(() => world.stop());
  const settings = `oauth2mqtt: { gate: '${fake.address}' }`;
  await world.startNodeRed(flows, { install: false, settings });
  fake.people.set('of-bob', person('bob')).set('of-ann', person('ann', { name: 'Ann' }));
  const open = (reference) => browse(context, `${world.editor}/dashboard/operator`, reference);
  const first = await open('of-bob');
  await first.getByText('You are not signed in').waitFor();
  await world.install();
  assert.equal(fake.asked.length, 0);
  // A page that comes now has it at once, and has the gate asked for the first one.
  await (await open('of-ann')).getByText('Hello, Ann').waitFor();
  await until('the question', () => fake.of('of-bob').length > 0);
  await world.restartNodeRed();
  await first.getByText('Hello, bob@example.com').waitFor();
  const left = first.waitForRequest((request) => request.isNavigationRequest());
  fake.people.delete('of-bob');
  await left;
});
