// The whole: a broker, the real test provider, the built agent, and a Node-RED with the package as it is installed.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

import mqtt from 'mqtt';

import { Broker, freePort, until } from './broker.mjs';
import { startChild } from './child.mjs';
import { nodeRed, packageFolder } from './flow.mjs';

const root = path.join(packageFolder, '..');
const servers = path.join(root, 'tests/servers');
const binary = process.env.OAUTH2MQTT_BIN ?? path.join(root, 'target/release/oauth2mqtt');
export const { chromium } = createRequire(path.join(servers, 'package.json'))('playwright-core');

/** A process whose output is kept, ended by its own id. */
export class Process {
  constructor(command, args, options = {}) {
    this.log = '';
    this.process = startChild(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.ended = once(this.process, 'close');
    for (const stream of [this.process.stdout, this.process.stderr]) stream.setEncoding('utf8').on('data', (text) => { this.log += text; });
  }

  get isOver() { return this.process.exitCode !== null || this.process.signalCode !== null; }

  async says(text, seconds = 60) {
    await until(`"${text}"`, () => { if (this.isOver) throw new Error(this.log); return this.log.includes(text); }, seconds);
  }

  async stop() {
    if (!this.isOver) this.process.kill();
    await this.ended;
  }
}

export class World {
  /**
   * @param {Record<string, string>} accounts further settings of each account of the provider `oidc.mjs`
   * @param {object} more the life of a token, sections of the configuration, and another provider with its settings and with the files
   *   that its accounts need; `{issuer}` and `{folder}` stand for these
   */
  static async start(accounts, { tokenLife = 3600, sections = '', provider = 'oidc.mjs', settings = {}, files = () => ({}) } = {}) {
    const world = new World();
    world.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'oauth2mqtt-node-red-'));
    world.broker = await Broker.start();
    const program = provider.endsWith('.py') ? path.join(servers, 'venv/bin/python') : 'node';
    world.provider = new Process(program, [path.join(servers, provider), JSON.stringify({ access_token_ttl: tokenLife, ...settings })]);
    await world.provider.says('"issuer"');
    const told = JSON.parse(world.provider.log.split('\n').find((line) => line.startsWith('{')));
    world.issuer = told.issuer;
    for (const [name, text] of Object.entries({ ...told.files, ...files(world.issuer) })) fs.writeFileSync(path.join(world.folder, name), text, { mode: 0o600 });
    world.accounts = accounts;
    world.sections = sections;
    world.configure();
    await world.startAgent();
    return world;
  }

  configure() {
    const account = ([name, more]) => `[accounts.${name}]\nissuer = "${this.issuer}"\nclient_id = "device-public"\nscopes = ["openid", "email", "profile", "offline_access"]\n${more}\n`;
    const text = `[mqtt]\nurl = "mqtt://127.0.0.1:${this.broker.port}"\n[store]\npath = "${this.folder}/store"\n${this.sections.replaceAll('{issuer}', this.issuer).replaceAll('{folder}', this.folder)}\n`;
    fs.writeFileSync(path.join(this.folder, 'config.toml'), text + Object.entries(this.accounts).map(account).join(''));
  }

  async startAgent() {
    this.agent = new Process(binary, ['--config', path.join(this.folder, 'config.toml'), '--log', 'debug', 'run']);
    const watcher = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.broker.port}`, { protocolVersion: 5 });
    let state = '';
    watcher.on('message', (topic, payload) => { state = String(payload); });
    await watcher.subscribeAsync('oauth2mqtt/bridge/state');
    await until('the agent', () => { if (this.agent.isOver) throw new Error(this.agent.log); return state.includes('online'); }, 60);
    await watcher.endAsync(true);
  }

  /** Other accounts from now on. */
  reload(accounts) {
    this.accounts = accounts;
    this.configure();
    execFileSync(binary, ['--config', path.join(this.folder, 'config.toml'), 'reload']);
  }

  async approve(userCode, login) {
    const answer = await fetch(`${this.issuer}/test/approve?user_code=${encodeURIComponent(userCode)}&login=${login}`, { method: 'POST' });
    if (!answer.ok) throw new Error(await answer.text());
  }

  /** Signs in to an account, as somebody does who scans its code. */
  async signIn(account, login) {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.broker.port}`, { protocolVersion: 5 });
    let code = null;
    let isActive = false;
    client.on('message', (topic, payload) => {
      const news = JSON.parse(payload);
      if (topic.endsWith('/signin')) code = news.user_code;
      else isActive = news.state === 'active';
    });
    await client.subscribeAsync([`oauth2mqtt/${account}/signin`, `oauth2mqtt/${account}/status`]);
    await client.publishAsync('oauth2mqtt/bridge/request/login', JSON.stringify({ account }));
    await until('a code', () => code);
    await this.approve(code, login);
    await until('the sign-in', () => isActive);
    await client.endAsync(true);
  }

  /** What the provider's token endpoint was asked so far. */
  async asked() { return (await fetch(`${this.issuer}/test/log`)).json(); }

  /** Every token and secret that the provider has given out. */
  async secrets() {
    const secrets = await (await fetch(`${this.issuer}/test/secrets`)).json();
    return Object.values(secrets).flat().filter((secret) => secret.length > 8);
  }

  /** Starts a Node-RED with these flows, and has it install the tarball of the package, as the editor's upload does. */
  async startNodeRed(flows, { install = true, credentials, settings = '' } = {}) {
    this.userDir = path.join(this.folder, 'node-red');
    fs.mkdirSync(this.userDir, { recursive: true });
    fs.writeFileSync(path.join(this.userDir, 'settings.js'), `module.exports = {
      flowFile: 'flows.json', credentialSecret: 'of-this-test', uiHost: '127.0.0.1', telemetry: { enabled: false, updateNotification: false },
      editorTheme: { tours: false, palette: { catalogues: [] } }, logging: { console: { level: 'info', metrics: false, audit: false } }, ${settings}
    };`);
    fs.writeFileSync(path.join(this.userDir, 'package.json'), '{"name":"flows","private":true}');
    fs.writeFileSync(path.join(this.userDir, 'flows.json'), JSON.stringify(flows));
    this.#link();
    await this.#runNodeRed();
    if (install) await this.install();
    await this.nodeRed.says('Started flows');
    if (credentials) await this.deploy(flows, credentials);
  }

  /** Has it find what no `npm install` has put there, and what one takes away again. */
  #link() {
    for (const [name, from] of Object.entries(this.modules ?? {})) {
      const link = path.join(this.userDir, 'node_modules', name);
      fs.mkdirSync(path.dirname(link), { recursive: true });
      fs.rmSync(link, { force: true });
      fs.symlinkSync(from, link);
    }
  }

  /** Another process may take a free port before Node-RED does. */
  async #runNodeRed(attempts = 3, wanted = null) {
    const script = path.join(path.dirname(createRequire(import.meta.url).resolve(`${nodeRed}/package.json`)), 'red.js');
    const port = wanted ?? await freePort();
    const args = [script, '--userDir', this.userDir, '--settings', path.join(this.userDir, 'settings.js'), '--port', String(port)];
    this.nodeRed = new Process(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
    this.editor = `http://127.0.0.1:${port}`;
    try {
      await this.nodeRed.says('Server now running');
    } catch (error) {
      if (attempts === 1 || !this.nodeRed.log.includes('port in use')) throw error;
      await this.nodeRed.stop();
      await this.#runNodeRed(attempts - 1);
    }
  }

  /** Stops Node-RED, and starts it again at the same port. */
  async restartNodeRed() {
    await this.nodeRed.stop();
    this.#link();
    await this.#runNodeRed(1, new URL(this.editor).port);
    await this.nodeRed.says('Started flows');
  }

  /** Deploys all at once, as the editor does. Node-RED answers before the flows have started. */
  async deploy(flows, credentials) {
    const starts = () => this.nodeRed.log.split('Started flows').length;
    const before = starts();
    const { rev } = await (await fetch(`${this.editor}/flows`, { headers: { 'Node-RED-API-Version': 'v2' } })).json();
    const answer = await fetch(`${this.editor}/flows`, {
      method: 'POST', headers: { 'content-type': 'application/json', 'Node-RED-API-Version': 'v2' }, body: JSON.stringify({ rev, flows, credentials }),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}\n${this.nodeRed.log}`);
    await until('the start of the flows', () => starts() > before, 60).catch((error) => { throw new Error(`${error.message}\n${this.nodeRed.log}`); });
  }

  /** The package as it is installed; its path. */
  pack() {
    const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', this.folder], { cwd: packageFolder, encoding: 'utf8' }));
    return path.join(this.folder, filename.replace('@', '').replace('/', '-'));
  }

  async install() {
    const tarball = this.pack();
    const form = new FormData();
    form.append('tarball', new Blob([fs.readFileSync(tarball)], { type: 'application/x-compressed' }), path.basename(tarball));
    const answer = await fetch(`${this.editor}/nodes`, { method: 'POST', body: form });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}\n${this.nodeRed.log}`);
  }

  async stop() {
    for (const process of [this.nodeRed, this.agent, this.provider]) await process?.stop();
    await this.broker.stop();
    fs.rmSync(this.folder, { recursive: true });
  }
}
