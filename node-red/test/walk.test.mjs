// A user with a browser at the editor: drags the node, chooses the account, signs in, deploys, sees the answer; and is told what
// is wrong when the account is renamed, the token ends, and the agent is gone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { AgentAtTheBroker, until } from './support/broker.mjs';
import { agentNode, brokerNode, packageFolder } from './support/flow.mjs';
import { World, chromium } from './support/world.mjs';

// Of the access tokens, in seconds: long enough for what is done with one, short enough to see one end.
const TOKEN_LIFE = 12;
const pictures = process.env.PICTURES ?? path.join(packageFolder, '../tests/output');
let world;
let browser;
let page;
/** Everything that Node-RED has sent to the browser. */
const traffic = [];

const flows = (issuer, port) => [
  { id: 'flow', type: 'tab', label: 'Who am I?' },
  brokerNode(port, { name: 'local broker' }), agentNode({ name: 'this device' }),
  { id: 'press', z: 'flow', type: 'inject', name: 'get the profile', props: [{ p: 'payload' }], repeat: '', crontab: '', once: false, onceDelay: 0.1, topic: '', x: 130, y: 100, wires: [['call']] },
  { id: 'call', z: 'flow', type: 'http request', name: 'userinfo', method: 'GET', ret: 'obj', paytoqs: 'ignore', url: `${issuer}/me`, headers: [], x: 540, y: 100, wires: [['shown']] },
  { id: 'shown', z: 'flow', type: 'debug', name: 'answer', active: true, tosidebar: true, complete: 'payload', targetType: 'msg', x: 690, y: 100, wires: [] },
  { id: 'catch', z: 'flow', type: 'catch', name: '', scope: null, x: 130, y: 180, wires: [['why']] },
  { id: 'why', z: 'flow', type: 'debug', name: 'why not', active: true, tosidebar: true, complete: 'error', targetType: 'msg', x: 300, y: 180, wires: [] },
];

before(async () => {
  world = await World.start({ google: 'identity = true' }, { tokenLife: TOKEN_LIFE });
  await world.startNodeRed(flows(world.issuer, world.broker.port));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
  page = await browser.newPage({ viewport: { width: 1280, height: 760 }, locale: 'en-US' });
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => traffic.push(`pageerror ${error.stack}`));
  page.on('response', async (response) => traffic.push(await response.text().catch(() => '')));
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => traffic.push(String(payload))));
  fs.mkdirSync(pictures, { recursive: true });
  await page.goto(world.editor);
  await page.locator('.red-ui-flow-node').first().waitFor();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

// One step leads to the next: after one that fails, the rest would only wait.
let isLost = false;
const step = (what, walk) => test(what, async (context) => {
  if (isLost) return context.skip('an earlier step failed');
  isLost = true;
  try {
    await walk();
    isLost = false;
  } finally {
    if (isLost) await picture('failed');
  }
});

const picture = (name) => page.screenshot({ path: path.join(pictures, `node-red-${name}.png`), animations: 'disabled' });
const dialog = () => page.locator('.red-ui-tray').last();
const panel = () => dialog().locator('.oauth2mqtt-panel');
const dot = (text) => page.locator('.red-ui-flow-node-status-group', { hasText: text }).first().waitFor({ state: 'attached', timeout: 40_000 });
const press = () => page.evaluate(() => $.ajax({ url: 'inject/press', method: 'POST', contentType: 'application/json', data: '{}' }));
const debugged = (text) => page.locator('.red-ui-debug-msg', { hasText: text }).first().waitFor();
/** Presses until the debug sidebar has it: the runtime learns of a change when it gets to it. */
const pressUntil = (text) => until(text, async () => {
  await press();
  return page.locator('.red-ui-debug-msg', { hasText: text }).first().waitFor({ timeout: 2000 }).then(() => true, () => false);
}, 40);

step('from the palette to the answer', async () => {
  const chart = await page.locator('#red-ui-workspace-chart').boundingBox();
  const node = page.locator('.red-ui-palette-node[data-palette-type="oauth2mqtt-token"]');
  await node.scrollIntoViewIfNeeded();
  // On the wire between the button and the request.
  const from = await node.boundingBox();
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(chart.x + 300, chart.y + 200, { steps: 8 });
  await page.mouse.move(chart.x + 335, chart.y + 100, { steps: 8 });
  await page.locator('.red-ui-flow-link-splice').waitFor({ state: 'attached' });
  await page.mouse.up();
  const dropped = page.locator('.red-ui-flow-node', { hasText: 'token' }).first();
  await dropped.waitFor();
  const at = await dropped.boundingBox();
  await page.mouse.dblclick(at.x + at.width / 2, at.y + at.height / 2);

  await dialog().locator('#node-input-agent').selectOption({ label: 'this device' });
  await dialog().locator('.oauth2mqtt-accounts').click();
  await page.locator('.red-ui-menu:visible').getByText('google', { exact: true }).last().click();
  assert.equal(await dialog().locator('#node-input-account').inputValue(), 'google');
  await panel().getByText('Signed out.').waitFor();
  await panel().getByRole('button', { name: 'Sign in' }).click();
  await panel().getByText('expires in').waitFor();
  const code = await panel().locator('.oauth2mqtt-user-code').textContent();
  assert.match(await panel().locator('img').getAttribute('src'), /^data:image\/svg\+xml;base64,/);
  await picture('sign-in');
  await world.approve(code, 'ann');
  await panel().getByText('Signed in as').waitFor();
  await panel().getByText('ann@example.com').waitFor();
  await picture('signed-in');
  await page.locator('#node-dialog-ok').click();

  const wires = await page.evaluate(() => {
    const node = RED.nodes.filterNodes({ type: 'oauth2mqtt-token' })[0];
    return [RED.nodes.getNodeLinks(node, 1).map(({ source }) => source.id), RED.nodes.getNodeLinks(node, 0).map(({ target }) => target.id)];
  });
  assert.deepEqual(wires, [['press'], ['call']], 'it was dropped on the wire');
  await page.locator('#red-ui-header-button-deploy').click();
  await dot('until');
  await page.evaluate(() => RED.sidebar.show('debug'));
  await pressUntil('ann@example.com');
  await picture('answer');
});

step('the sidebar shows all accounts, and nothing that came over MQTT runs in the editor', async () => {
  await page.evaluate(() => RED.sidebar.show('oauth2mqtt'));
  const sidebar = page.locator('.oauth2mqtt-sidebar');
  await sidebar.locator('[data-account=google]').getByText('Signed in as ann@example.com').waitFor();
  await picture('sidebar');
  const intruder = await AgentAtTheBroker.connect(world.broker.port);
  const markup = '<img src=x onerror="window.pwned = 1">';
  const accounts = ['__proto__', markup, '"><script>window.pwned = 1</script>', 'google', 'plant'].map((name) => ({ name, provider: markup, grant: markup, scopes: [markup] }));
  await intruder.publish('oauth2mqtt/bridge/info', { version: markup, started_at: 1, accounts });
  await intruder.status('plant', { state: 'signed_out', needs_user: true, user: markup, error: { code: markup, message: markup } });
  await intruder.publish('oauth2mqtt/plant/signin', { account: 'plant', pending: true, verification_uri: 'javascript:window.pwned=1', user_code: markup, qr: `data:image/svg+xml,${markup}` });
  const plant = sidebar.locator('[data-account=plant]');
  await plant.locator('.oauth2mqtt-user-code', { hasText: markup }).waitFor();
  assert.deepEqual(await sidebar.locator('section').evaluateAll((all) => all.map((one) => one.dataset.account)), ['google', 'plant']);
  assert.equal(await sidebar.locator('a[href^="javascript"], img[src="x"], script').count(), 0);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await intruder.stop();
});

step('a renamed account is told, and signed in again from the sidebar', async () => {
  world.reload({ drive: 'identity = true' });
  await dot('no account google');
  await page.evaluate(() => RED.sidebar.show('debug'));
  await pressUntil('no_account');
  world.reload({ google: 'identity = true' });
  await page.evaluate(() => RED.sidebar.show('oauth2mqtt'));
  const google = page.locator('.oauth2mqtt-sidebar [data-account=google]');
  await google.locator('[data-state=signed_out], [data-state=active]').first().waitFor();
  if (await google.locator('[data-state=signed_out]').count() > 0) {
    await google.getByRole('button', { name: 'Sign in' }).click();
    await google.getByText('expires in').waitFor();
    await world.approve(await google.locator('.oauth2mqtt-user-code').textContent(), 'ann');
  }
  await google.getByText('Signed in as ann@example.com').waitFor();
  await dot('until');
});

step('a token that ends, and an agent that is gone, are told', async () => {
  world.given = await world.secrets();
  await world.provider.stop();
  await dot('token expired');
  await page.evaluate(() => RED.sidebar.show('debug'));
  await pressUntil('provider_unreachable');
  await picture('told');
  await world.agent.stop();
  await dot('no agent');
  await pressUntil('no_agent');
});

step('no token and no secret is in flows.json, in the answers to the editor, or in its debug sidebar', async () => {
  const secrets = world.given;
  assert.ok(secrets.length > 3);
  const files = fs.readdirSync(world.userDir).filter((name) => fs.statSync(path.join(world.userDir, name)).isFile());
  const kept = files.map((name) => fs.readFileSync(path.join(world.userDir, name), 'utf8')).join('\n');
  const shown = await page.locator('#red-ui-sidebar').textContent();
  for (const secret of secrets) {
    assert.ok(!kept.includes(secret), 'in a file of Node-RED');
    assert.ok(!traffic.some((text) => text.includes(secret)), 'in what the editor was sent');
    assert.ok(!shown.includes(secret), 'in the sidebar');
    assert.ok(!world.nodeRed.log.includes(secret), 'in the log of Node-RED');
  }
  assert.deepEqual(traffic.filter((text) => text.startsWith('pageerror')), []);
});
