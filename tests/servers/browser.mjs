// A user with a browser: follows redirects, keeps cookies, fills in the forms of the provider's own pages.
import http from 'node:http';

export class Browser {
  #cookies = new Map();

  constructor(issuer) {
    this.issuer = issuer;
  }

  /** Types the code (or opens the address that holds it), signs in, and consents. */
  async approve({ user_code, uri, login = 'somebody' }) {
    const page = await this.#signIn(await this.#confirm(user_code, uri), login);
    if (!page.html.includes('Sign-in Success')) throw new Error(`no success: ${page.html}`);
    return { login };
  }

  /**
   * Opens an authorization request, signs in and consents, or says no.
   *
   * Answers with the address that the browser is then sent to, away from the provider. With `follow` it goes there, and
   * the answer has what it was shown.
   */
  async authorize({ uri, login = 'somebody', deny = false, follow = false }) {
    let page = await this.#open(new URL(uri));
    if (!page.left) page = deny ? await this.#abort(page) : await this.#signIn(page, login);
    if (!page.left) throw new Error(`not sent back: ${page.html}`);
    if (!follow) return { redirected_to: page.left.href };
    const { status, headers, html } = await exchange(page.left, undefined, new Map());
    return { redirected_to: page.left.href, status, headers, html };
  }

  /** Types the code, and says no. */
  async deny({ user_code, uri }) {
    const page = await this.#code(user_code, uri);
    await this.#submit(page, { abort: 'yes' }, ['confirm']);
    return {};
  }

  async #signIn(page, login) {
    for (const step of ['login', 'consent']) {
      if (!page.html.includes(`value="${step}"`)) throw new Error(`no page for ${step}: ${page.html}`);
      page = await this.#submit(page, step === 'login' ? { login, password: 'any' } : {});
    }
    return page;
  }

  async #abort(page) {
    const link = /href="([^"]*\/abort)"/.exec(page.html)?.[1];
    if (!link) throw new Error(`nowhere to say no: ${page.html}`);
    return this.#open(new URL(link, page.url));
  }

  async #confirm(user_code, uri) {
    return this.#submit(await this.#code(user_code, uri), {});
  }

  async #code(user_code, uri) {
    // An address with the code in it leads to a form that submits itself.
    const page = await this.#open(uri ?? new URL('/device', this.issuer));
    const confirm = await this.#submit(page, uri ? {} : { user_code });
    if (!confirm.html.includes('name="confirm"')) throw new Error(`the code was not taken: ${confirm.html}`);
    return confirm;
  }

  async #submit(page, fields, without = []) {
    const form = /<form\b[^>]*>[\s\S]*?<\/form>/.exec(page.html)?.[0];
    if (!form) throw new Error(`no form: ${page.html}`);
    const body = new URLSearchParams();
    for (const [input] of form.matchAll(/<input\b[^>]*>/g)) {
      if (attribute(input, 'type') === 'hidden') body.set(attribute(input, 'name'), attribute(input, 'value'));
    }
    without.forEach((name) => body.delete(name));
    Object.entries(fields).forEach(([name, value]) => body.set(name, value));
    return this.#open(new URL(attribute(form, 'action'), page.url), body);
  }

  async #open(url, body) {
    const { headers, html } = await exchange(url, body, this.#cookies);
    for (const cookie of headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      if (value) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    if (!headers.location) return { url, html };
    const next = new URL(headers.location, url);
    return next.origin === new URL(this.issuer).origin ? this.#open(next) : { url, html, left: next };
  }
}

/** GET, or POST if there is a form to send. */
function exchange(url, form, cookies) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const headers = form ? { cookie, 'content-type': 'application/x-www-form-urlencoded' } : { cookie };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: form ? 'POST' : 'GET', headers }, async (response) => {
      let html = '';
      for await (const chunk of response.setEncoding('utf8')) html += chunk;
      resolve({ status: response.statusCode, headers: response.headers, html });
    });
    request.on('error', reject);
    request.end(form?.toString());
  });
}

function attribute(tag, name) {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return value?.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
