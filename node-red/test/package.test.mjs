// The package as it is installed: what is in it, and the rules of Node-RED's own scorecard.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import vm from 'node:vm';

import { packageFolder } from './support/flow.mjs';
import { OWN, further } from '../lib/settings.js';
import { isBase } from '../lib/topics.js';

const read = (file) => fs.readFileSync(path.join(packageFolder, file), 'utf8');
const manifest = JSON.parse(read('package.json'));
const sets = Object.keys(manifest['node-red'].nodes);
const LANGUAGES = ['en-US', 'de'];
const files = (folder) => fs.readdirSync(path.join(packageFolder, folder));

/** What `RED.nodes.registerType` is called with in a node's HTML, once the editor has run the script that it names first. */
function definitions(set) {
  const found = new Map();
  const scripts = [...read(`nodes/${set}.html`).matchAll(/<script type="text\/javascript">([\s\S]*?)<\/script>/g)];
  const RED = { nodes: { registerType: (type, definition) => found.set(type, definition) }, validators: { regex: () => {}, number: () => {}, typedInput: () => {} } };
  const element = { attr: () => element, appendTo: () => element };
  const editor = vm.createContext({ RED, window: {}, $: () => element });
  assert.match(read(`nodes/${set}.html`), /^<script src="resources\/@oauth2mqtt\/node-red\/editor\.js"><\/script>/);
  [['', read('resources/editor.js')], ...scripts].forEach(([, script]) => vm.runInContext(script, editor));
  return found;
}

test('the scorecard: licence, contact, name, keyword, versions, dependencies', () => {
  assert.equal(manifest.license, 'MIT OR Apache-2.0');
  assert.ok(manifest.bugs?.email || manifest.bugs?.url || manifest.repository?.url, 'P03');
  assert.match(manifest.name, /^@[a-z0-9-]+\/[a-z0-9-]+$/, 'P04: a new package has a scoped name');
  assert.ok(manifest.keywords.includes('node-red'), 'P05');
  assert.equal(manifest['node-red'].version, '>=4.1.0', 'P06');
  assert.equal(manifest.engines.node, '>=20', 'P07');
  assert.ok(Object.keys(manifest.dependencies ?? {}).length <= 6, 'D01');
  assert.match(manifest.version, /^\d+\.\d+\.\d+$/);
  assert.ok(manifest.description);
});

test('the scorecard: node types are of this package alone, and each is in an example', () => {
  const types = sets.flatMap((set) => [...definitions(set)].map(([type, { category }]) => ({ type, category })));
  assert.deepEqual(types.map(({ type }) => type).sort(), ['oauth2mqtt-account', 'oauth2mqtt-agent', 'oauth2mqtt-sign-in', 'oauth2mqtt-token']);
  const used = files('examples').flatMap((file) => JSON.parse(read(`examples/${file}`)).map(({ type }) => type));
  for (const { type, category } of types) assert.ok(category === 'config' || used.includes(type), `N02: no example has ${type}`);
});

test('each node has a help, labels, an icon and a credential only where it is one', () => {
  for (const set of sets) {
    for (const [type, definition] of definitions(set)) {
      for (const language of LANGUAGES) assert.ok(read(`nodes/locales/${language}/${set}.html`).includes(`data-help-name="${type}"`), `${type} ${language}`);
      if (definition.category === 'config') continue;
      assert.ok(definition.icon && files('nodes/icons').includes(definition.icon), type);
      assert.ok(definition.paletteLabel && definition.inputLabels && definition.outputLabels, type);
      assert.ok(definition.oneditsave && definition.oneditcancel && definition.oneditdelete, `${type}: its dialog does not end`);
      const hidden = Object.keys(definition.defaults).filter((name) => /^(password|secret|formerSecret)$/.test(name));
      assert.deepEqual(hidden, [], `${type}: a secret among the defaults would be in flows.json`);
    }
  }
});

test('the fields of the dialogs take what the nodes take', () => {
  const { base } = definitions('agent').get('oauth2mqtt-agent').defaults;
  const isValid = (text) => base.validate.call({ _: (key) => key }, text, {}) === true;
  const good = ['oauth2mqtt', 'plant/gateway 7', 'a', 'a$', 'a'.repeat(200)];
  const bad = ['a//b', 'a/', '/a', '/', '$a', 'a/+', 'a#', 'a\0', 'a'.repeat(201)];
  for (const text of [...good, ...bad]) assert.deepEqual([isValid(text), isBase(text)], [good.includes(text), good.includes(text)], text);

  const { more } = definitions('account').get('oauth2mqtt-account').defaults;
  const settings = ['', ' ', '{}', '{"grant":"client_credentials"}'];
  const none = ['null', '[]', '[1]', '1', '"text"', '{', ...OWN.map((key) => `{"${key}":"x"}`)];
  for (const text of [...settings, ...none]) {
    assert.deepEqual([more.validate(text), further(text) !== null], [settings.includes(text), settings.includes(text)], text);
  }
});

test('each language has the same keys with the same values to fill in, and every key that is used', () => {
  const keys = (value, at = '') => Object.entries(value).flatMap(([key, text]) => (typeof text === 'object' ? keys(text, `${at}${key}.`) : [[`${at}${key}`, (text.match(/__\w+__/g) ?? []).sort().join()]]));
  for (const set of sets) {
    const [first, ...others] = LANGUAGES.map((language) => keys(JSON.parse(read(`nodes/locales/${language}/${set}.json`))));
    for (const other of others) assert.deepEqual(other, first, set);
    const known = first.map(([key]) => key);
    const used = [...read(`nodes/${set}.html`).matchAll(/data-i18n="(?:\[\w+\])?([\w.-]+)"/g)].map(([, key]) => key);
    for (const key of used) assert.ok(known.includes(key), `${set}: ${key}`);
  }
  // The texts of the agent that other nodes use too.
  const shared = [...read('lib/no-agent.js').matchAll(/\{TEXTS\}\.([\w.]+)/g)].map(([, key]) => `agent.${key}`);
  const ofAgent = keys(JSON.parse(read('nodes/locales/en-US/agent.json'))).map(([key]) => key);
  assert.deepEqual([shared.length, shared.filter((key) => !ofAgent.includes(key))], [2, []]);
  const said = [...`${read('resources/editor.js')}${read('nodes/sidebar.html')}`.matchAll(/say\('([\w.]+)'/g)].map(([, key]) => key);
  const known = keys(JSON.parse(read('nodes/locales/en-US/agent.json')).editor).map(([key]) => key);
  for (const key of said) assert.ok(known.includes(key), key);
});

test('the tarball holds what is needed and nothing else', () => {
  const [{ files: packed, filename, unpackedSize }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: packageFolder, encoding: 'utf8' }));
  const names = packed.map(({ path: name }) => name);
  assert.equal(filename, 'oauth2mqtt-node-red-0.1.0.tgz');
  for (const name of names) assert.match(name, /^(lib|nodes|resources|examples)\/|^(package\.json|README\.md|LICENSE-(MIT|APACHE))$/);
  for (const name of ['nodes/token.js', 'nodes/token.html', 'nodes/locales/de/token.html', 'nodes/icons/oauth2mqtt.svg', 'resources/editor.js', 'lib/agent.js', 'nodes/sidebar.html']) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(unpackedSize < 250_000, `${unpackedSize} bytes`);
});

const exampleFiles = [
  ...files('examples').map((file) => `examples/${file}`),
  ...fs.readdirSync(path.join(packageFolder, '../examples/node-red')).filter((file) => file.endsWith('.json'))
    .map((file) => `../examples/node-red/${file}`),
  '../examples/fleet/centre-flow.json', '../examples/fleet/device-flow.json',
];

/** About how wide the editor draws a node, from its label. */
function width({ type, name, topic }) {
  const label = name || topic || type;
  return type === 'comment' ? label.length * 7 + 40 : Math.max(100, 20 * Math.ceil((label.length * 6.6 + 60) / 20));
}

test('every example fits between palette and sidebar on a screen of 1,280 pixels', () => {
  for (const file of exampleFiles) {
    for (const node of JSON.parse(read(file)).filter(({ x }) => x !== undefined)) {
      const [left, right] = [node.x - width(node) / 2, node.x + width(node) / 2];
      assert.ok(left >= 0 && right <= 785, `${file}: ${node.type} ${node.name || ''} reaches from ${left} to ${right}`);
    }
  }
});

test('no example shares a node with another, and none has a credential', () => {
  const seen = new Map();
  for (const file of exampleFiles) {
    const nodes = JSON.parse(read(file));
    const text = read(file);
    for (const { id, credentials } of nodes) {
      assert.ok(!seen.has(id), `${id} is in ${seen.get(id)} and ${file}`);
      assert.equal(credentials, undefined);
    }
    nodes.forEach(({ id }) => seen.set(id, file));
    const wired = nodes.flatMap(({ wires = [], z, scope, links = [] }) => [...wires.flat(), ...(z ? [z] : []), ...(scope ?? []), ...links]);
    for (const id of wired) assert.ok(nodes.some((node) => node.id === id), `${file}: nothing has the id ${id}`);
    const comment = nodes.find(({ type }) => type === 'comment').name;
    for (const [type, need] of [['ui-', '@flowfuse/node-red-dashboard'], ['e-mail', 'node-red-node-email']]) {
      if (nodes.some((node) => node.type.startsWith(type))) assert.ok(comment.includes(need), `${file}: its comment does not name ${need}`);
    }
    assert.doesNotMatch(text, /ya29\.|GOCSPX/);
  }
});
