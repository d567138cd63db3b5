// A broker on loopback, and the agent as far as a broker can see it: what it publishes, and what it answers.
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import mqtt from 'mqtt';

import { startChild } from './child.mjs';

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Looks again and again, for at most `seconds`, until `look` returns something. */
export async function until(what, look, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(10);
  }
}

export class Broker {
  static async start() {
    for (let attempt = 0; ; attempt += 1) {
      const broker = new Broker(await freePort());
      if (await broker.run()) return broker;
      if (attempt === 2) throw new Error(`mosquitto does not start: ${broker.log}`);
    }
  }

  constructor(port) {
    this.port = port;
    this.log = '';
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'oauth2mqtt-broker-'));
  }

  async run() {
    const file = path.join(this.folder, 'mosquitto.conf');
    fs.writeFileSync(file, `listener ${this.port} 127.0.0.1\nallow_anonymous true\nlog_type all\nmax_queued_messages 0\n`);
    const broker = startChild('mosquitto', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.log = '';
    broker.stderr.setEncoding('utf8').on('data', (text) => { this.log += text; });
    this.process = broker;
    this.ended = once(broker, 'close');
    const isOver = () => broker.exitCode !== null || broker.signalCode !== null;
    await until('mosquitto', () => isOver() || this.log.includes('running'));
    return !isOver();
  }

  /** Ends the process, and starts it again at the same port with nothing retained. */
  async restart() {
    await this.end();
    if (!await this.run()) throw new Error(this.log);
  }

  async end() {
    this.process.kill();
    await this.ended;
  }

  async stop() {
    await this.end();
    fs.rmSync(this.folder, { recursive: true });
  }
}

export class AgentAtTheBroker {
  static async connect(port, base = 'oauth2mqtt') {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, reconnectPeriod: 20 });
    const agent = new AgentAtTheBroker(client, base);
    client.on('message', (topic, payload, packet) => agent.#asked(topic, payload, packet));
    await client.subscribeAsync(`${base}/bridge/request/+`, { qos: 1 });
    return agent;
  }

  constructor(client, base) {
    Object.assign(this, { client, base, requests: [], answers: new Map() });
  }

  publish(topic, payload, properties = {}) {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    return this.client.publishAsync(topic, text, { qos: 1, retain: true, properties });
  }

  state(state) { return this.publish(`${this.base}/bridge/state`, { state }); }

  info(...names) {
    const accounts = names.map((name) => ({ name, provider: 'google', grant: 'device_code', scopes: ['openid'] }));
    return this.publish(`${this.base}/bridge/info`, { version: '0.1.0', started_at: 1, accounts });
  }

  status(account, status) {
    return this.publish(`${this.base}/${account}/status`, {
      account, state: 'active', needs_user: false, expires_at: null, next_refresh_at: null, last_refresh_at: null, scope: null,
      grant: 'device_code', signed_in_at: 1, user: null, user_changed_at: null, declared: 'file', sign_in_needed: false, error: null, ...status,
    });
  }

  /** A token of so many seconds, or none. */
  token(account, token, seconds = 600, { topic, ...more } = {}) {
    const authorization = token && `Bearer ${token}`;
    const expires_at = token ? Math.round(Date.now() / 1000 + seconds) : null;
    const payload = { account, access_token: token, token_type: 'Bearer', authorization, expires_at, scope: null, ...more };
    return this.publish(topic ?? `${this.base}/${account}/token`, payload, token ? { messageExpiryInterval: Math.ceil(seconds) } : {});
  }

  /** Signed in and with a token. */
  async active(account, token, seconds) {
    await this.status(account, { expires_at: Math.round(Date.now() / 1000 + (seconds ?? 600)) });
    await this.token(account, token, seconds);
  }

  /** Answers a verb by what `answer(request)` returns: data, or an error with a code. */
  answer(verb, answer) { this.answers.set(verb, answer); }

  /** The requests of a verb so far. */
  asked(verb) { return this.requests.filter((request) => request.verb === verb); }

  async #asked(topic, payload, { properties = {} }) {
    const verb = topic.split('/').at(-1);
    const request = { verb, ...JSON.parse(payload), responseTopic: properties.responseTopic, seconds: properties.messageExpiryInterval };
    this.requests.push(request);
    const answer = this.answers.get(verb);
    if (!answer) return;
    const { error, code, data } = await answer(request);
    const result = error ? { status: 'error', error, code } : { status: 'ok', data };
    const body = { ...result, verb, account: request.account ?? null, transaction: null };
    await this.client.publishAsync(properties.responseTopic, JSON.stringify(body), {
      qos: 1, properties: { correlationData: properties.correlationData },
    });
  }

  stop() { return this.client.endAsync(true); }
}
