// The example flows for mail, as they are, with the real mail node, against Dovecot and Postfix that take OAuth 2.0 alone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { AgentAtTheBroker, until } from './support/broker.mjs';
import { packageFolder } from './support/flow.mjs';
import { MailServer, isRoot } from './support/mail.mjs';
import { World } from './support/world.mjs';

const require = createRequire(import.meta.url);
let world;
let mail;
let agent;

/** An example, with the addresses of this test. */
function example(name) {
  const flows = JSON.parse(fs.readFileSync(path.join(packageFolder, 'examples', name), 'utf8'));
  for (const node of flows) {
    if (node.type === 'mqtt-broker') node.port = String(world.broker.port);
    if (node.type === 'e-mail') Object.assign(node, { server: '127.0.0.1', port: String(mail.smtp), secure: false, tls: false });
    if (node.type === 'e-mail in') Object.assign(node, { server: '127.0.0.1', port: String(mail.imap), useSSL: false });
    node.rules?.forEach((rule) => { if (rule.to === 'somebody@example.com') rule.to = 'ann@example.com'; });
    if (node.type === 'oauth2mqtt-token') node.timeout = 3;
    if (node.type === 'debug') node.console = true;
  }
  return flows;
}

before(async () => {
  assert.ok(isRoot, 'Postfix and Dovecot change users: run this as root');
  world = await World.start({ mail: 'identity = true' }, { tokenLife: 12 });
  mail = await MailServer.start(`${world.issuer}/me`);
  world.modules = { 'node-red-node-email': path.dirname(require.resolve('node-red-node-email/package.json')) };
  const flows = [...example('Send a mail by SMTP.json'), ...example('Read mail by IMAP.json')];
  const ids = flows.filter(({ type }) => ['e-mail', 'e-mail in'].includes(type)).map(({ id }) => [id, { userid: 'ann@example.com' }]);
  await world.startNodeRed(flows, { credentials: Object.fromEntries(ids) });
  world.flows = flows;
});
after(async () => {
  await agent?.stop();
  await world?.stop();
  await mail?.stop();
});

const press = async (name) => {
  const { id } = world.flows.find((node) => node.type === 'inject' && node.name === name);
  const answer = await fetch(`${world.editor}/inject/${id}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  assert.equal(answer.status, 200);
};
const shows = (text, seconds = 30) => until(text, () => world.nodeRed.log.includes(text), seconds).catch((error) => { throw new Error(`${error.message}\n${world.nodeRed.log}\n${mail.log()}`); });

/** What the IMAP server says to this token. */
async function signsIn(token) {
  const socket = net.connect(mail.imap, '127.0.0.1').setEncoding('utf8');
  let said = '';
  socket.on('data', (text) => { said += text; });
  await until('the greeting', () => said.includes('* OK'));
  socket.write(`a AUTHENTICATE XOAUTH2 ${Buffer.from(`user=ann@example.com\x01auth=Bearer ${token}\x01\x01`).toString('base64')}\r\n`);
  await until('an answer', () => /^(a |\+)/m.test(said));
  if (said.includes('\n+')) socket.write('\r\n');
  await until('the end', () => /^a /m.test(said));
  socket.destroy();
  return /^a OK/m.test(said);
}

test('a mail is sent and read, and read again when the first token has ended', async () => {
  agent = await AgentAtTheBroker.connect(world.broker.port);
  const tokens = [];
  agent.client.on('message', (topic, payload) => { if (topic === 'oauth2mqtt/mail/token') tokens.push(JSON.parse(payload).access_token); });
  await agent.client.subscribeAsync('oauth2mqtt/mail/token');
  // Nobody has signed in: the flow hears why.
  await press('every five minutes');
  await shows('sudo oauth2mqtt login mail');
  await world.signIn('mail', 'ann');
  await until('a token', () => tokens.find(Boolean));
  const first = tokens.find(Boolean);
  assert.equal(await signsIn(first), true);

  await press('send a mail');
  await shows('The pump is running');
  await until('the mail in the box', () => fs.existsSync(path.join(mail.folder, 'mail/ann@example.com/new')) && fs.readdirSync(path.join(mail.folder, 'mail/ann@example.com/new')).length > 0, 20)
    .catch(() => { throw new Error(mail.log()); });
  await press('every five minutes');
  await shows('It was started at 20 °C.');

  await until('the end of the first token', async () => !await signsIn(first), 30);
  const isRead = () => world.nodeRed.log.slice(before).includes('It was started at 20 °C.');
  const isSent = () => fs.readdirSync(path.join(mail.folder, 'mail/ann@example.com/new')).length > 0;
  const before = world.nodeRed.log.length;
  await press('send a mail');
  await until('the second mail', isSent, 20).catch(() => { throw new Error(`${world.nodeRed.log}\n${mail.log()}`); });
  await press('every five minutes');
  await until('that it is read', isRead, 20).catch(() => { throw new Error(`${world.nodeRed.log}\n${mail.log()}`); });

  // What was debugged, logged and kept has no token in it.
  for (const secret of await world.secrets()) {
    assert.ok(!world.nodeRed.log.includes(secret) && !mail.log().includes(secret));
    for (const file of ['flows.json', 'flows_cred.json']) assert.ok(!fs.readFileSync(path.join(world.userDir, file), 'utf8').includes(secret), file);
  }
});
