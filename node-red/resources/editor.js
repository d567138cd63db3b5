/**
 * What the dialogs and the sidebar have in common: the list of accounts, and the panel to sign in.
 *
 * What comes from the runtime was said by whoever may publish over MQTT: it is put into the page as text, and an address
 * becomes a link only if it is one of http or https.
 */
/* global RED, $ */
window.oauth2mqtt = window.oauth2mqtt || (() => {
  'use strict';
  const INTERVAL = 1500;
  const MODULE = '@oauth2mqtt/node-red';
  /** As in `lib/settings.js`, which runs where Node-RED does. */
  const OWN = ['client_secret', 'client_id', 'scopes', 'provider', 'issuer', 'sign_in'];
  const ACCOUNT = /^(?!bridge$)[a-z0-9][a-z0-9_-]{0,62}$/;
  const say = (key, values) => RED._(`${MODULE}/agent:editor.${key}`, values);
  $('<link rel="stylesheet">').attr('href', `resources/${MODULE}/editor.css`).appendTo('head');
  const isLink = (text) => /^https?:\/\//.test(text || '');
  const isQr = (text) => /^data:image\/svg\+xml;base64,[A-Za-z0-9+/=]+$/.test(text || '');

  /** Asks the runtime; the promise is refused with `{ code, message }`. */
  function call(agent, path, body) {
    const url = `oauth2mqtt/${encodeURIComponent(agent)}/accounts${path}`;
    const settings = body ? { method: 'POST', contentType: 'application/json', data: JSON.stringify(body) } : { method: 'GET' };
    return new Promise((resolve, reject) => {
      $.ajax({ url, dataType: 'json', ...settings }).done(resolve).fail(({ status, responseJSON }) => {
        const known = { 401: 'no_permission', 403: 'no_permission', 404: 'not_deployed' };
        const code = known[status] || (responseJSON && responseJSON.code) || 'no_runtime';
        reject({ code, message: responseJSON && responseJSON.message });
      });
    });
  }

  function words({ code, message }) {
    return message || say(`errors.${['no_permission', 'not_deployed', 'no_runtime'].includes(code) ? code : 'other'}`, { code });
  }

  // One question at a time for each agent, whatever the number of panels that wait for the answer.
  const watches = new Map();

  function ask(agent) {
    const watch = watches.get(agent);
    if (!watch || watch.isAsking) return;
    watch.isAsking = true;
    call(agent, '').then((seen) => ({ seen }), (failed) => ({ failed })).then((told) => {
      watch.isAsking = false;
      for (const listener of [...watch.listeners]) listener(told);
    });
  }

  /** Has `listener` told `{ seen }` or `{ failed }` while `element` is on the screen, until the returned function is called. */
  function watch(agent, element, listener) {
    if (!watches.has(agent)) {
      const elements = new Map();
      const isSeen = () => !document.hidden && [...elements.values()].some((one) => one.is(':visible'));
      watches.set(agent, { listeners: new Set(), elements, timer: setInterval(() => { if (isSeen()) ask(agent); }, INTERVAL) });
    }
    const watched = watches.get(agent);
    watched.listeners.add(listener);
    watched.elements.set(listener, element);
    ask(agent);
    return () => {
      watched.listeners.delete(listener);
      watched.elements.delete(listener);
      if (watched.listeners.size > 0) return;
      clearInterval(watched.timer);
      watches.delete(agent);
    };
  }

  /** Seconds as minutes and seconds. */
  function countdown(until) {
    const left = Math.max(0, Math.round(until - Date.now() / 1000));
    return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  }

  function state({ seen, failed }, name) {
    if (failed) return { kind: 'failed', text: words(failed) };
    if (!seen.connected) return { kind: 'away', text: say('states.no_broker') };
    if (!seen.online) return { kind: 'away', text: say('states.no_agent') };
    const account = seen.accounts.find((other) => other.name === name);
    if (!account) return { kind: 'unknown', text: say('states.no_account', { account: name }) };
    const { status, sign_in: signIn } = account;
    const kind = (signIn && signIn.pending) ? 'pending' : (status && status.state) || 'unknown';
    let text = say(`states.${kind}`);
    if (['active', 'expired'].includes(kind) && status.user) text = say(`states.${kind}_as`, {}) + ' ' + status.user;
    if (kind === 'active' && status.sign_in_needed) text += `. ${say('states.sign_in_needed')}`;
    return { kind, text, account, error: status && status.error && kind !== 'active' ? status.error : null };
  }

  /**
   * The state of one account with its buttons, and QR code, link, code and countdown while a sign-in waits.
   *
   * @param {JQuery} container
   * @param {{ agent: () => string, account: () => string }} of read anew at each change of the dialog
   * @returns {{ follow: () => void, end: () => void }}
   */
  function panel(container, of) {
    const root = $('<div class="oauth2mqtt-panel">').appendTo(container);
    const line = $('<p role="status">').appendTo(root);
    const code = $('<div class="oauth2mqtt-code">').appendTo(root).hide();
    const image = $('<img>').attr('alt', say('qr')).appendTo(code);
    const how = $('<p>').appendTo(code);
    const link = $('<a target="_blank" rel="noreferrer noopener">');
    const typed = $('<strong class="oauth2mqtt-user-code">').appendTo(code);
    const left = $('<span class="oauth2mqtt-left">').appendTo(code);
    const redirect = $('<div class="oauth2mqtt-redirect">').appendTo(code).hide();
    const pasted = $('<input type="text">').attr({ placeholder: say('paste'), 'aria-label': say('paste') }).appendTo(redirect);
    const trouble = $('<p class="oauth2mqtt-trouble">').appendTo(root).hide();
    const buttons = $('<div class="oauth2mqtt-buttons">').appendTo(root);
    const button = (key, press) => $('<button type="button" class="red-ui-button red-ui-button-small">')
      .attr('data-verb', key).text(say(`buttons.${key}`)).on('click', press).appendTo(buttons).hide();
    let told = null;
    let refused = null;
    let unwatch = () => {};
    let isConfirming = false;

    const press = (verb, body = {}) => {
      refused = null;
      isConfirming = false;
      const [agent, account] = [of.agent(), of.account()];
      return call(agent, `/${encodeURIComponent(account)}/${verb}`, body).then((seen) => {
        told = { seen };
        show();
      }, (failed) => {
        refused = failed;
        show();
      });
    };
    const login = button('login', () => press('login'));
    const renew = button('renew', () => press('cancel').then(() => press('login')));
    const complete = button('complete', () => press('complete', { redirected_to: pasted.val() }).then(() => pasted.val('')));
    const cancel = button('cancel', () => press('cancel'));
    const refresh = button('refresh', () => press('refresh'));
    const logout = button('logout', () => { isConfirming = true; show(); });
    const sure = button('sure', () => press('logout'));
    const keep = button('keep', () => { isConfirming = false; show(); });

    function show() {
      const { kind, text, account, error } = told ? state(told, of.account()) : { kind: 'unknown', text: '…' };
      root.attr('data-state', kind);
      if (line.text() !== text) line.text(text);
      const signIn = kind === 'pending' ? account.sign_in : null;
      code.toggle(Boolean(signIn));
      if (signIn) showCode(signIn);
      const isIn = ['active', 'expired'].includes(kind);
      login.toggle(kind === 'signed_out' || (kind === 'unknown' && Boolean(account)) || Boolean(account && account.status && account.status.sign_in_needed && !signIn));
      renew.toggle(Boolean(signIn));
      cancel.toggle(Boolean(signIn) || kind === 'awaiting_user');
      complete.toggle(Boolean(signIn && signIn.redirect_uri));
      refresh.toggle(isIn && !isConfirming);
      logout.toggle(isIn && !isConfirming);
      sure.toggle(isIn && isConfirming);
      keep.toggle(isIn && isConfirming);
      const why = refused ? words(refused) : error && error.message;
      trouble.toggle(Boolean(why)).text(why || '');
    }

    function showCode(signIn) {
      const address = [signIn.verification_uri_complete, signIn.verification_uri].find(isLink);
      if (isQr(signIn.qr)) {
        if (image.attr('src') !== signIn.qr) image.attr('src', signIn.qr);
        image.show();
      } else {
        image.hide();
      }
      const key = signIn.user_code ? 'how_code' : 'how_link';
      if (how.data('key') !== `${key} ${address}`) {
        how.data('key', `${key} ${address}`).empty().append(document.createTextNode(`${say(key)} `));
        if (address) how.append(link.attr('href', address).text(signIn.verification_uri || address));
      }
      typed.toggle(Boolean(signIn.user_code)).text(signIn.user_code || '');
      left.toggle(Boolean(signIn.expires_at)).text(signIn.expires_at ? say('left', { time: countdown(signIn.expires_at) }) : '');
      redirect.toggle(Boolean(signIn.redirect_uri));
    }

    let followed = null;
    function follow() {
      const [agent, account] = [of.agent(), of.account()];
      root.toggle(Boolean(agent) && ACCOUNT.test(account || ''));
      refused = null;
      isConfirming = false;
      if (agent !== followed) {
        unwatch();
        followed = agent;
        told = null;
        unwatch = agent ? watch(agent, container, (news) => { told = news; show(); }) : () => {};
      }
      show();
    }
    const tick = setInterval(() => { if (root.attr('data-state') === 'pending') show(); }, 1000);
    follow();
    return { follow, end() { unwatch(); clearInterval(tick); root.remove(); } };
  }

  /** Makes a text field a list of the accounts of the agent that is chosen in another; anything else can be typed. */
  function accounts(field, agent) {
    let names = [];
    let unwatch = () => {};
    let followed = null;
    const options = (part) => names.filter((name) => name.includes(part)).map((name) => ({ value: name, label: $('<span>').text(name) }));
    field.autoComplete({ minLength: 0, search: (part) => options(part) });
    const arrow = $('<button type="button" class="red-ui-button oauth2mqtt-accounts">').attr('aria-label', say('choose'))
      .append('<i class="fa fa-caret-down">').insertAfter(field);
    arrow.on('click', () => {
      if (names.length === 0) return RED.notify(say('no_accounts'), { type: 'warning', timeout: 4000 });
      return RED.popover.menu({
        width: field.outerWidth(),
        options: options(''),
        onselect: ({ value }) => field.val(value).trigger('change'),
      }).show({ target: field });
    });
    const follow = () => {
      if (agent() === followed) return;
      unwatch();
      followed = agent();
      names = [];
      unwatch = followed ? watch(followed, field, ({ seen }) => {
        if (seen) names = seen.accounts.map(({ name }) => name).filter((name) => ACCOUNT.test(name));
      }) : () => {};
    };
    follow();
    return { follow, end() { unwatch(); } };
  }

  /** The list of accounts and the panel of a dialog; returns what ends both when the dialog closes. */
  function dialog(prefix, { list = true } = {}) {
    const value = (name) => () => {
      const found = $(`#${prefix}-${name}`).val();
      return found && found !== '_ADD_' ? found : '';
    };
    const [agent, account] = [value('agent'), value('account')];
    const parts = [panel($(`#${prefix}-sign-in`), { agent, account })];
    if (list) parts.push(accounts($(`#${prefix}-account`), agent));
    $(`#${prefix}-agent, #${prefix}-account`).on('change.oauth2mqtt input.oauth2mqtt', () => parts.forEach((part) => part.follow()));
    return () => parts.forEach((part) => part.end());
  }

  /** What may stand in the field of an account: a name, or an environment variable that is its whole value. */
  function isAccountField(value) {
    return ACCOUNT.test(value) || /^\$\{[^}]+\}$/.test(value);
  }

  /** What may stand in the field of the base topic, as `lib/topics.js` has it; the node has a default of its own. */
  function isBaseField(value) {
    if (!value) return true;
    return value.length <= 200 && /^[^$/+#\0][^+#\0]*$/.test(value) && !/\/(\/|$)/.test(value);
  }

  /** What may stand in the field of further settings, as `lib/settings.js` has it: nothing, or an object as JSON. */
  function isSettingsField(value) {
    if (!value || !value.trim()) return true;
    try {
      const more = JSON.parse(value);
      return more !== null && typeof more === 'object' && !Array.isArray(more) && !OWN.some((key) => Object.hasOwn(more, key));
    } catch {
      return false;
    }
  }

  /** What the definitions of all nodes with such a dialog have in common; `oneditprepare` keeps in `endDialog` what `dialog` returns. */
  const common = {
    labelStyle() { return this.name ? 'node_label_italic' : ''; },
    oneditsave() { this.endDialog(); },
    oneditcancel() { this.endDialog(); },
    oneditdelete() { this.endDialog(); },
  };

  return { common, dialog, isAccountField, isBaseField, isSettingsField, panel, say, watch };
})();
