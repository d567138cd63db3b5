// Somebody with a real browser: looks at pages, scans QR codes off the screen, approves at the provider.
import { execFileSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

import { chromium } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Every size and colour that the pages are looked at in. */
export const SCREENS = [360, 768, 1280].flatMap((width) => ['light', 'dark'].map((colours) => ({ width, colours })));

export class Visitor {
  /**
   * @param {string} output the folder for pictures
   * @param {string} traffic the file for everything that servers sent to the browser
   * @param {{ hosts?: Record<string, number>, trusted?: string }} world the ports of this device at which the browser finds hosts, and
   *   the file of a certificate that it trusts
   */
  static async start(output, traffic, { hosts = {}, trusted } = {}) {
    const map = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`).join(',');
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync',
        ...(map ? [`--host-resolver-rules=${map}`] : []),
        ...(trusted ? [`--ignore-certificate-errors-spki-list=${fingerprint(trusted)}`] : []),
      ],
    });
    fs.mkdirSync(output, { recursive: true });
    return new Visitor(browser, output, traffic);
  }

  constructor(browser, output, traffic) {
    Object.assign(this, { browser, output, traffic, troubles: [] });
  }

  /** Opens an address in a browser of its own. */
  async open(address, { width = 1280, colours = 'light', height = 900, ours = true, strict = true, ...more } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height }, colorScheme: colours, ...more });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    if (ours) this.#watch(page, strict);
    await page.goto(address);
    return page;
  }

  /** Keeps what arrives, and what the browser complains of. */
  #watch(page, strict) {
    const keep = (text) => fs.appendFileSync(this.traffic, `${text}\n`);
    page.on('console', (message) => {
      // A refusal that the page tells its user of is no trouble of the page.
      const isTold = /4(03|09|29) \((Forbidden|Conflict|Too Many Requests)\)/.test(message.text());
      if (strict && !isTold && ['error', 'warning'].includes(message.type())) this.troubles.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.troubles.push(`${page.url()}: ${error.stack}`));
    page.on('response', async (response) => {
      const body = await response.text().catch(() => '');
      keep(`${response.url()} ${JSON.stringify(await response.allHeaders().catch(() => ({})))}\n${body}`);
    });
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => keep(String(payload))));
  }

  /** Takes a picture of the page, and returns its file. */
  async picture(page, name, options = {}) {
    const file = path.join(this.output, `${name}.png`);
    await page.screenshot({ path: file, fullPage: true, animations: 'disabled', ...options });
    return file;
  }

  /**
   * Looks at the page on every screen, and keeps a picture of each. `also` looks at more on each of them.
   * @param {{ screens?: typeof SCREENS, also?: (file: string) => unknown }} more
   */
  async look(page, name, { screens = SCREENS, also = () => {} } = {}) {
    const before = page.viewportSize();
    for (const { width, colours } of screens) {
      const what = `${name}-${width}-${colours}`;
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: colours });
      await this.audit(page, what);
      await also(await this.picture(page, what));
    }
    await page.setViewportSize(before);
  }

  /** What the QR code on the screen leads to. */
  async scan(page, name) {
    return this.decode(await this.picture(page, name));
  }

  /** What the QR code in a picture leads to. */
  decode(file) {
    return execFileSync('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', file], { encoding: 'utf8' }).trim();
  }

  /** What is hard or impossible to use with a keyboard, a screen reader or weak eyes. */
  async audit(page, what) {
    // The policy of the page lets no script in from outside; the debugger's own way does.
    const source = fs.readFileSync(AXE, 'utf8');
    const { violations } = await page.evaluate(`${source}; axe.run()`);
    for (const { id, help, nodes } of violations) {
      this.troubles.push(`${what}: ${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`);
    }
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    if (wide > 0) this.troubles.push(`${what}: it is ${wide} pixels wider than the screen`);
  }

  /** Opens the provider's address on a phone, confirms the code, signs in and consents. */
  async approve(address, login) {
    const phone = await this.open(address, { width: 390, height: 844, ours: false });
    await phone.locator('button[type=submit]:not([name=abort])').first().click();
    await this.signInOn(phone, login);
    await phone.getByText('Sign-in Success').waitFor();
    await phone.context().close();
  }

  /** Has a code approved at a provider for tests, without a phone. */
  async approveAt(provider, code, login) {
    const answer = await fetch(`${provider}/test/approve?user_code=${encodeURIComponent(code)}&login=${login}`, { method: 'POST' });
    if (!answer.ok) throw new Error(`the approval failed: ${answer.status}`);
  }

  /** The same for a provider that sends the browser back; returns where it then is. */
  async signIn(address, login) {
    const phone = await this.open(address, { width: 390, height: 844, ours: false });
    await this.signInOn(phone, login);
    return phone;
  }

  /** The same where the browser cannot reach that; returns the address that it shows. */
  async approveAndComeBack(address, login) {
    const context = await this.browser.newContext();
    const phone = await context.newPage();
    await context.route('https://flows.example.com/**', (route) => route.fulfill({ body: 'Nobody is here.' }));
    await phone.goto(address);
    await this.signInOn(phone, login);
    await phone.getByText('Nobody is here.').waitFor();
    const shown = phone.url();
    await context.close();
    return shown;
  }

  /** Signs in and consents on the page of the provider. */
  async signInOn(page, login) {
    await this.signInAgainOn(page, login);
    await page.locator('button[type=submit]').first().click();
  }

  /** The same of somebody who has consented before. */
  async signInAgainOn(page, login) {
    await page.fill('input[name=login]', login);
    await page.fill('input[name=password]', 'any');
    await page.locator('button[type=submit]').first().click();
  }

  /** Everything that servers have sent to the browser so far. */
  received() {
    return fs.readFileSync(this.traffic, 'utf8');
  }

  async leave() {
    await this.browser.close();
  }
}

/** The hash of the key of a certificate, by which the browser is told to trust it. */
function fingerprint(file) {
  const key = new X509Certificate(fs.readFileSync(file)).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}
