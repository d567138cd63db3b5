// The example with a dashboard, in a browser: signed in and out, asked once, and no token in what a widget keeps for its viewers.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { packageFolder } from './support/flow.mjs';
import { World, chromium } from './support/world.mjs';

let world;
let browser;
const traffic = [];
const read = () => JSON.parse(fs.readFileSync(path.join(packageFolder, 'examples/Sign in on a dashboard.json'), 'utf8'));

before(async () => {
  world = await World.start({ google: 'identity = true' });
  world.modules = { '@flowfuse/node-red-dashboard': path.join(packageFolder, '../tests/servers/node_modules/@flowfuse/node-red-dashboard') };
  await world.startNodeRed(read().map((node) => (node.type === 'mqtt-broker' ? { ...node, port: String(world.broker.port) } : node)));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'] });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('an account is signed in and out on a dashboard, and no token is in a widget', async () => {
  const page = await browser.newPage({ viewport: { width: 390, height: 760 } });
  page.setDefaultTimeout(30_000);
  page.on('response', async (response) => traffic.push(await response.text().catch(() => '')));
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => traffic.push(String(payload))));
  await page.goto(`${world.editor}/dashboard/account`);
  const widget = page.locator('.sign-in');
  await widget.getByText('Signed out').waitFor();
  await widget.getByRole('button', { name: 'Sign in' }).click();
  await widget.getByText('It expires in').waitFor();
  assert.match(await widget.locator('img').getAttribute('src'), /^data:image\/svg\+xml;base64,/);
  await world.approve(await widget.locator('.code').textContent(), 'ann');
  await widget.getByText('Signed in (ann@example.com)').waitFor();

  const stored = await Promise.all(read().map(async ({ id }) => (await fetch(`${world.editor}/dashboard/_debug/datastore/${id}`)).text()));
  assert.ok(stored.some((text) => text.includes('ann@example.com')), 'the store of the widgets is not read');
  const secrets = await world.secrets();
  assert.ok(secrets.length > 3);
  for (const secret of secrets) assert.ok(![...stored, ...traffic].some((text) => text.includes(secret)), 'a secret is on the dashboard');

  await widget.getByRole('button', { name: 'Sign out' }).click();
  await widget.getByRole('button', { name: 'Stay signed in' }).click();
  await widget.getByText('Signed in (ann@example.com)').waitFor();
  await widget.getByRole('button', { name: 'Sign out' }).click();
  await widget.getByRole('button', { name: 'Sign out now' }).click();
  await widget.getByText('Signed out').waitFor();
  await world.agent.stop();
  await widget.getByText('The agent is not there').waitFor();
  assert.equal(await widget.getByRole('button').count(), 0, 'a button that does nothing');
});
