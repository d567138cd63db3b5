// What the programs of FlowFuse that run Node-RED ask the platform for: settings, modules, flows, and where the log goes. They are the
// real ones, and so is their Node-RED: the launcher, which runs instances, and the device agent.
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, until } from './broker.mjs';
import { nodeRed } from './flow.mjs';
import { Process } from './world.mjs';

const script = fileURLToPath(new URL('../node_modules/@flowfuse/nr-launcher/index.js', import.meta.url));
const onLoopback = `--require ${fileURLToPath(new URL('loopback.cjs', import.meta.url))}`;
const INSTANCE = 'pumps';
const TOKEN = 'ffi_of_this_test';

export class FlowFuse {
  /** @param {string} folder where the instance has its files */
  static async start(folder) {
    const platform = new this();
    Object.assign(platform, { folder, number: 0, received: [], stored: { credentials: {}, settings: {}, sessions: {} } });
    platform.server = http.createServer((request, response) => platform.#take(request, response)).listen(0, '127.0.0.1');
    await once(platform.server, 'listening');
    platform.address = `http://127.0.0.1:${platform.server.address().port}`;
    return platform;
  }

  /** How long a snapshot may take, in seconds. */
  get patience() { return 90; }

  /** The folder of Node-RED. */
  get instance() { return path.join(this.folder, 'instance'); }

  async #take(request, response) {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    const { pathname } = new URL(request.url, this.address);
    this.received.push(`${request.method} ${pathname} ${body}`);
    const answer = request.headers.authorization === `Bearer ${TOKEN}` ? this.answer(request.method, pathname, body) : undefined;
    const [status, content] = Array.isArray(answer) && typeof answer[0] === 'number' ? answer : [answer ? 200 : 404, answer ?? {}];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
  }

  answer(method, pathname, body) {
    if (`${method} ${pathname}` === `GET /api/v1/projects/${INSTANCE}/settings`) return this.#settings();
    if ([`/api/v1/projects/${INSTANCE}/update-state`, `/logging/${INSTANCE}/audit`].includes(pathname)) return {};
    const [, kind] = pathname.match(`^/storage/${INSTANCE}/(flows|credentials|settings|sessions)$`) ?? [];
    if (!kind) return undefined;
    if (method === 'POST') this.stored[kind] = JSON.parse(body);
    return kind === 'flows' ? this.snapshot.flows : this.stored[kind];
  }

  #settings() {
    return {
      baseURL: `http://127.0.0.1:${this.port}`, forgeURL: this.address, storageURL: `${this.address}/storage`, auditURL: `${this.address}/logging`,
      projectID: INSTANCE, port: this.port, rootDir: this.folder, userDir: 'instance', state: 'running', healthCheckInterval: 4000,
      env: { ...this.snapshot.env, NODE_OPTIONS: onLoopback }, stack: {}, features: {},
      settings: { palette: { modules: this.snapshot.modules }, timeZone: 'UTC' },
    };
  }

  /** Applies a snapshot: the launcher is started with it, or has Node-RED stop, installs the modules, and starts it again. */
  async apply(snapshot) {
    this.snapshot = snapshot;
    if (!this.launcher) return this.#launch();
    await until('a Node-RED that can be started again', async () => (await this.#ask('info')).state === 'running', 60);
    await this.#ask('command', { cmd: 'restart' });
    return undefined;
  }

  async #launch() {
    fs.mkdirSync(path.join(this.instance, 'storage'), { recursive: true });
    fs.writeFileSync(path.join(this.instance, 'package.json'), '{"name":"instance","private":true,"dependencies":{}}');
    [this.port, this.adminPort] = [await freePort(), await freePort()];
    const options = { port: this.adminPort, forgeURL: this.address, team: 'team', project: INSTANCE, token: TOKEN, nodeRedPath: path.join(nodeRed, '../..') };
    this.launcher = new Process(process.execPath, [script, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])], {
      env: { ...process.env, NODE_OPTIONS: onLoopback, FORGE_CLIENT_ID: 'client', FORGE_CLIENT_SECRET: 'of-this-test', FORGE_NR_SECRET: 'of-this-test' },
    });
    await until('the launcher', () => this.log().catch(() => { if (this.launcher.isOver) throw new Error(this.launcher.log); }), 60);
  }

  async #ask(what, body) {
    const more = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await fetch(`http://127.0.0.1:${this.adminPort}/flowforge/${what}`, more);
    if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
    return answer.json();
  }

  /** What launcher and Node-RED have logged, each line with its time in milliseconds; the launcher puts a number after that. */
  async log() {
    return (await this.#ask('logs')).map(({ ts, msg }) => ({ at: Number(String(ts).slice(0, 13)), text: typeof msg === 'string' ? msg : JSON.stringify(msg) }));
  }

  async stop() {
    await this.launcher?.stop();
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The same for the device agent, whose folder `FLOWFUSE_DEVICE_AGENT` names. It fetches Node-RED from the registry, as it does on a device. */
export class DeviceFlowFuse extends FlowFuse {
  get patience() { return 400; }

  get instance() { return path.join(this.folder, 'device/project'); }

  answer(method, pathname, body) {
    const device = `/api/v1/devices/${INSTANCE}/live`;
    if (pathname === `/logging/device/${INSTANCE}/audit`) return {};
    if (pathname === `${device}/snapshot`) return this.snapshot;
    if (pathname === `${device}/settings`) return { hash: this.snapshot.id, env: {}, features: {} };
    if (pathname !== `${device}/state`) return undefined;
    const wanted = { project: INSTANCE, snapshot: this.snapshot.id, settings: this.snapshot.id };
    const isSame = Object.entries(wanted).every(([key, value]) => JSON.parse(body)[key] === value);
    return isSame ? {} : [409, wanted];
  }

  async apply({ flows, modules, env }) {
    const id = `snapshot-${++this.number}`;
    const { version } = JSON.parse(fs.readFileSync(path.join(nodeRed, 'package.json'), 'utf8'));
    this.snapshot = { id, name: id, flows, modules: { 'node-red': version, ...modules }, env: { ...env, FF_PROJECT_NAME: INSTANCE, NODE_OPTIONS: onLoopback } };
    if (this.launcher) return;
    const folder = path.join(this.folder, 'device');
    fs.mkdirSync(folder);
    const config = { deviceId: INSTANCE, token: TOKEN, credentialSecret: 'of-this-test', forgeURL: this.address, intervalJitter: 1, port: await freePort(), jsonLogging: true };
    fs.writeFileSync(path.join(folder, 'device.yml'), JSON.stringify(config));
    this.launcher = new Process(process.execPath, [path.join(process.env.FLOWFUSE_DEVICE_AGENT, 'index.js'), '--dir', folder, '--config', 'device.yml', '--interval', '2'], {
      env: { ...process.env, NODE_OPTIONS: onLoopback },
    });
  }

  async log() {
    const lines = this.launcher.log.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    return lines.map(({ ts, msg }) => ({ at: ts, text: msg }));
  }
}
