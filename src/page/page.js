// Keeps the page current while it is open. Without it the page works too: its buttons are forms.
'use strict';

const said = document.getElementById('said');
const news = document.createElement('p');
news.className = 'hidden';
news.setAttribute('role', 'status');
document.body.append(news);

// Times come as seconds from now on, because the device's clock and the browser's need not agree.
function stamp(root) {
  for (const shown of root.querySelectorAll('[data-in]')) shown.due = Date.now() + shown.dataset.in * 1000;
}

function tick() {
  for (const shown of document.querySelectorAll('[data-in]')) {
    const seconds = Math.round((shown.due - Date.now()) / 1000);
    const text = shown.dataset.as === 'countdown' ? countdown(Math.max(0, seconds)) : relative(seconds);
    if (shown.textContent !== text) shown.textContent = text;
  }
}

function countdown(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function relative(seconds) {
  const length = Math.abs(seconds);
  const [unit, name] = [[86400, 'days'], [3600, 'h'], [60, 'min'], [1, 's']].find(([unit]) => length >= 2 * unit) ?? [1, 's'];
  const span = `${Math.floor(length / unit)} ${name}`;
  return seconds > 0 ? `in ${span}` : seconds < 0 ? `${span} ago` : 'now';
}

// Says something of the whole page, or of one account, beside a button that takes it away.
function say(text, place = said) {
  place.replaceChildren(text);
  place.hidden = !text;
  if (!text || place === said) return;
  const close = document.createElement('button');
  close.type = 'button';
  close.className = 'close';
  close.textContent = '×';
  close.setAttribute('aria-label', 'Close');
  close.addEventListener('click', () => say('', place));
  place.append(close);
}

// Says in the tab how many accounts need somebody.
const title = document.title.replace(/^.*?·/, '·');
function announce() {
  const waiting = document.querySelectorAll('section.attention').length;
  document.title = `${waiting ? `(${waiting}) Sign-in needed` : 'Sign-in'} ${title}`;
  const icon = document.getElementById('icon');
  const href = icon.href.replace(/icon-\w+/, waiting ? 'icon-attention' : 'icon-good');
  if (icon.href !== href) icon.href = href;
}

function element(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  stamp(template.content);
  offerCopies(template.content);
  return template.content.firstElementChild;
}

// A browser copies by itself only where the page came over TLS or from the device itself.
function offerCopies(root) {
  for (const button of root.querySelectorAll('[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(button.closest('.code').querySelector('.user-code'));
        button.textContent = document.execCommand('copy') ? 'Copied' : 'Select and copy it';
      }
    });
  }
}

// Puts the new state of an account in the place of the old one; what the user is about to do stays as it is.
function replace(html) {
  const fresh = element(html);
  const old = document.getElementById(fresh.id);
  // The account came after the page was loaded.
  if (!old) return location.reload();
  const text = (section, selector) => section.querySelector(selector)?.textContent ?? '';
  for (const input of old.querySelectorAll('input:not([type=hidden])')) {
    const same = fresh.querySelector(`#${input.id}`);
    if (same) same.value = input.value;
  }
  for (const { className } of old.querySelectorAll('details[open]')) {
    const same = fresh.querySelector(`details.${className}`);
    if (same) same.open = true;
  }
  // What was said of the last press goes with the next one, not with a change.
  const before = old.querySelector('.said');
  if (!before.hidden) fresh.querySelector('.said').replaceWith(before);
  const focused = old.contains(document.activeElement) && document.activeElement;
  const place = focused && (focused.id ? `#${focused.id}` : focused.form ? `[action="${focused.form.getAttribute('action')}"] button` : 'summary');
  if (text(old, '.state') !== text(fresh, '.state')) news.textContent = `${text(fresh, 'h2')}: ${text(fresh, '.state')}`;
  old.replaceWith(fresh);
  announce();
  if (place) (fresh.querySelector(place) ?? fresh.querySelector('.buttons button, summary'))?.focus();
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector('button');
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  const id = form.closest('section')?.id;
  const noticeOf = () => document.getElementById(id)?.querySelector('.said') ?? said;
  say('', noticeOf());
  try {
    const answer = await fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)), headers: { accept: 'text/plain' } });
    if (answer.status === 403) location.reload();
    else if (!answer.ok) say(await answer.text(), noticeOf());
    else form.reset();
  } catch {
    say('The agent cannot be reached.', noticeOf());
  }
  button.removeAttribute('aria-busy');
});

let lost;
const events = new EventSource('/events');
events.addEventListener('account', (event) => replace(event.data));
events.addEventListener('broker', (event) => document.getElementById('broker').replaceWith(element(event.data)));
events.addEventListener('reload', () => location.reload());
events.onopen = () => {
  if (lost === 'said') say('');
  clearTimeout(lost);
  lost = undefined;
};
events.onerror = () => {
  lost ??= setTimeout(() => { lost = 'said'; say('The agent cannot be reached. This page tries again by itself.'); }, 5000);
  // A refusal ends the stream for good, as when the time of an access code is over.
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 10000);
};

stamp(document);
offerCopies(document);
setInterval(tick, 1000);
