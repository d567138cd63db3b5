// The example flows for sheets and calendars, as they are, with the token of a service account that the agent has got from the provider.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { until } from './support/broker.mjs';
import { packageFolder } from './support/flow.mjs';
import { Google } from './support/google.mjs';
import { World } from './support/world.mjs';

const SHEET = '1AbC-d_E';
const CALENDAR = 'pumps@group.calendar.example';
const SCOPES = 'https://www.googleapis.com/auth';
const key = fs.readFileSync(path.join(packageFolder, '../tests/keys/rsa-2048.pem'), 'utf8');
const address = (account) => `${account}@plant.iam.example`;
const accounts = { sheets: 'spreadsheets', calendar: 'calendar.readonly' };
let world;
let google;

/** An example, with the addresses of this test. */
function example(name) {
  const flows = JSON.parse(fs.readFileSync(path.join(packageFolder, 'examples', name), 'utf8'));
  const values = { SHEET, CALENDAR, SHEETS: `${google.address}/v4/spreadsheets`, CALENDARS: `${google.address}/calendar/v3/calendars` };
  for (const node of flows) {
    if (node.type === 'mqtt-broker') node.port = String(world.broker.port);
    if (node.type === 'debug') node.console = true;
    node.env?.forEach((variable) => { variable.value = values[variable.name]; });
  }
  return flows;
}

before(async () => {
  const account = ([name, scope]) => `[accounts.${name}]\ngrant = "jwt_bearer"\nservice_account_file = "{folder}/${name}.json"\n`
    + `scopes = ["${SCOPES}/${scope}"]\nextra = { granted = "scope" }\n`;
  const file = (name, issuer) => JSON.stringify({
    type: 'service_account', private_key_id: 'k1', private_key: key, client_email: address(name), token_uri: `${issuer}/token`,
  });
  world = await World.start({}, {
    provider: 'authlib_server.py',
    settings: { service_accounts: Object.fromEntries(Object.keys(accounts).map((name) => [address(name), createPublicKey(key).export({ type: 'spki', format: 'pem' })])) },
    files: (issuer) => Object.fromEntries(Object.keys(accounts).map((name) => [`${name}.json`, file(name, issuer)])),
    sections: Object.entries(accounts).map(account).join(''),
  });
  google = await Google.start(async (authorization) => {
    const answer = await fetch(`${world.issuer}/api/me`, { headers: { authorization } });
    return answer.ok ? (await answer.json()).sub : null;
  });
  google.sheets.set(SHEET, { rows: [], sharedWith: [address('sheets')] });
  const event = (summary, start, end) => ({ kind: 'calendar#event', status: 'confirmed', summary, start, end });
  google.calendars.set(CALENDAR, {
    sharedWith: [address('calendar')],
    events: [
      event('Long ago', { dateTime: '2020-01-01T08:00:00Z' }, { dateTime: '2020-01-01T09:00:00Z' }),
      event('Inspection', { dateTime: '2090-01-01T08:00:00+01:00', timeZone: 'Europe/Berlin' }, { dateTime: '2090-01-01T09:00:00+01:00', timeZone: 'Europe/Berlin' }),
      event('Shutdown', { date: '2090-01-02' }, { date: '2090-01-03' }),
    ],
  });
  world.flows = [...example('Write a row to a sheet.json'), ...example('Read a calendar.json')];
  const tab = world.flows.find(({ type }) => type === 'tab').id;
  const token = world.flows.find(({ type }) => type === 'oauth2mqtt-token');
  const beside = [
    { id: 'beside', z: tab, type: 'inject', name: 'what goes with it', props: [], x: 110, y: 300, wires: [['extra']] },
    { ...token, id: 'extra', x: 250, y: 300, wires: [['granted']] },
    { id: 'granted', z: tab, type: 'debug', name: '', active: true, tosidebar: false, console: true, complete: 'oauth2mqtt', targetType: 'msg', x: 400, y: 300, wires: [] },
    { id: 'lost', z: tab, type: 'inject', name: 'no agent', props: [], x: 110, y: 360, wires: [['without']] },
    { ...token, id: 'without', agent: '', x: 250, y: 360, wires: [['granted']] },
  ];
  await world.startNodeRed([...world.flows, ...beside]);
  world.flows.push(...beside);
});
after(async () => {
  google?.stop();
  await world?.stop();
});

/** Presses a button, and waits for what the debug node then shows. */
async function press(name, text) {
  const { id } = world.flows.find((node) => node.type === 'inject' && node.name === name);
  const before = world.nodeRed.log.length;
  const answer = await fetch(`${world.editor}/inject/${id}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  assert.equal(answer.status, 200);
  const shown = () => world.nodeRed.log.slice(before);
  await until(text, () => shown().includes(text), 30).catch((error) => { throw new Error(`${error.message}\n${shown()}\n${JSON.stringify(google.requests)}\n${world.agent.log}`); });
  return shown();
}

test('a row is written to a sheet, after those that it has', async () => {
  await press('a reading', "updatedRange: 'Sheet1!A1:B1'");
  await press('a reading', "updatedRange: 'Sheet1!A2:B2'");
  const { rows } = google.sheets.get(SHEET);
  assert.equal(rows.length, 2);
  for (const [time, value] of rows) {
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);
    assert.ok(value >= 20 && value <= 25, value);
  }
  const { method, pathname, parameters, headers } = google.requests.at(-1);
  assert.deepEqual([method, pathname, parameters], ['POST', `/v4/spreadsheets/${SHEET}/values/A1:append`, { valueInputOption: 'USER_ENTERED' }]);
  assert.match(headers.authorization, /^Bearer \S{40}$/);
});

test('the next events of a calendar are read', async () => {
  const shown = await press('what comes next?', 'Shutdown');
  assert.match(shown, /summary: 'Inspection', start: '2090-01-01T08:00:00\+01:00'/);
  assert.match(shown, /summary: 'Shutdown', start: '2090-01-02'/);
  assert.ok(!shown.includes('Long ago'));
  const { method, pathname } = google.requests.at(-1);
  assert.deepEqual([method, pathname], ['GET', `/calendar/v3/calendars/${encodeURIComponent(CALENDAR)}/events`]);
});

test('what an API refuses is shown with the body of its answer', async () => {
  google.sheets.get(SHEET).sharedWith = [];
  await press('a reading', 'The API answered 403: {"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}');
  google.isOverLimit = true;
  const shown = await press('what comes next?', 'The API answered 403: ');
  assert.match(shown, /rateLimitExceeded/);
  google.calendars.get(CALENDAR).sharedWith = [];
  await press('what comes next?', 'The API answered 404: {"error":{"code":404,"message":"Not Found"');
  assert.equal(google.sheets.get(SHEET).rows.length, 2);
});

test('a flow gets what the provider said beside the token, and hears in words that a node has no agent', async () => {
  const shown = await press('what goes with it', "account: 'sheets'");
  assert.match(shown, new RegExp(`granted: '${SCOPES}/spreadsheets'`));
  await press('no agent', "Choose the agent in the node, and check that the agent's configuration node has no error.");
});

test('no token and no key is in what Node-RED logs or keeps', async () => {
  const secrets = [...await world.secrets(), key.split('\n')[1]];
  assert.ok(secrets.length >= 3);
  for (const secret of secrets) {
    assert.ok(!world.nodeRed.log.includes(secret));
    assert.ok(!fs.readFileSync(path.join(world.userDir, 'flows.json'), 'utf8').includes(secret));
  }
});
