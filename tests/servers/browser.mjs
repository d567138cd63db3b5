// A user with a browser: follows redirects, keeps cookies, fills in the forms of the provider's own pages.
import http from 'node:http';

export class Browser {
  #cookies = new Map();

  constructor(issuer) {
    this.issuer = issuer;
  }

  /** Types the code (or opens the address that holds it), signs in, and consents. */
  async approve({ user_code, uri, login = 'somebody' }) {
    let page = await this.#confirm(user_code, uri);
    for (const step of ['login', 'consent']) {
      if (!page.html.includes(`value="${step}"`)) throw new Error(`no page for ${step}: ${page.html}`);
      page = await this.#submit(page, step === 'login' ? { login, password: 'any' } : {});
    }
    if (!page.html.includes('Sign-in Success')) throw new Error(`no success: ${page.html}`);
    return { login };
  }

  /** Types the code, and says no. */
  async deny({ user_code, uri }) {
    const page = await this.#code(user_code, uri);
    await this.#submit(page, { abort: 'yes' }, ['confirm']);
    return {};
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
    return headers.location ? this.#open(new URL(headers.location, url)) : { url, html };
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
      resolve({ headers: response.headers, html });
    });
    request.on('error', reject);
    request.end(form?.toString());
  });
}

function attribute(tag, name) {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return value?.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
