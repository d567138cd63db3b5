// A stand-in for the gate of the agent, and a browser's tab of a dashboard, which sends whatever headers and messages a test wants.
import { once } from 'node:events';
import http from 'node:http';

import { until } from './broker.mjs';

export const person = (user, more = {}) => ({ user: `${user}@example.com`, email: `${user}@example.com`, name: null, groups: [], expires_at: 2_000_000_000, ...more });

export class FakeGate {
  /** Who is signed in, by the reference of the session. */
  people = new Map();
  /** What was asked so far. */
  asked = [];
  connections = 0;
  /** Answers in place of the right one, if there is something to return. */
  fault = () => null;

  static async start() {
    const gate = new FakeGate();
    await gate.listen(0);
    return gate;
  }

  async listen(port = this.port) {
    this.server = http.createServer((request, response) => this.#answer(request, response));
    this.server.on('connection', () => { this.connections += 1; });
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
    this.address = `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((done) => { this.server.close(done); });
  }

  of(reference) { return this.asked.filter((question) => question.reference === reference); }

  #answer(request, response) {
    const { headers: { 'remote-session': reference }, url } = request;
    this.asked.push({ reference, url });
    const fault = this.fault(request, response);
    if (fault === 'none') return;
    const who = this.people.get(reference);
    const [status, body] = fault ?? (who ? [200, JSON.stringify(who)] : [401, '']);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }
}

/** One connection of a dashboard, by socket.io's own protocol over long polling. */
export class Tab {
  received = [];
  isOpen = false;
  isOver = false;

  /** Opens one, and returns when the dashboard has taken or refused it. */
  static async open(dashboard, headers = {}) {
    const tab = new Tab(dashboard, headers);
    await tab.connect();
    await until('the connection', () => tab.isOpen || tab.isOver);
    return tab;
  }

  constructor(dashboard, headers) { Object.assign(this, { dashboard, headers }); }

  /** Asks for a connection, and returns while the dashboard looks at that. */
  async connect() {
    const [open] = await this.#exchange();
    this.sid = JSON.parse(open.slice(1)).sid;
    await this.#exchange('40');
    this.listening = this.#listen();
  }

  send(event, ...args) { return this.#exchange(`42${JSON.stringify([event, ...args])}`); }

  events(name) { return this.received.filter(([event]) => event === name); }

  async close() {
    this.isOver = true;
    await this.#exchange('1');
    await this.listening;
  }

  async #listen() {
    while (!this.isOver) {
      for (const packet of await this.#exchange().catch(() => ['1'])) {
        if (packet === '2') await this.#exchange('3');
        else if (packet.startsWith('40')) Object.assign(this, { isOpen: true, id: JSON.parse(packet.slice(2)).sid });
        else if (packet.startsWith('42')) this.received.push(JSON.parse(packet.slice(2)));
        else if (/^(1|41|44)/.test(packet)) this.isOver = true;
      }
    }
  }

  async #exchange(body) {
    const url = `${this.dashboard}/socket.io/?EIO=4&transport=polling${this.sid ? `&sid=${this.sid}` : ''}`;
    const answer = await fetch(url, { method: body ? 'POST' : 'GET', headers: this.headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${text}`);
    return text.split('\x1e');
  }
}
