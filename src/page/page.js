// Keeps the page true while it is open. Without it the page works too: its buttons are forms.
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

function say(text) {
  said.textContent = text;
  said.hidden = !text;
}

function element(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  stamp(template.content);
  return template.content.firstElementChild;
}

// Puts the new state of an account in the place of the old one; what the user is about to do stays as it is.
function replace(html) {
  const fresh = element(html);
  const old = document.getElementById(fresh.id);
  // The account came after the page was loaded.
  if (!old) return location.reload();
  const text = (section, selector) => section.querySelector(selector)?.textContent ?? '';
  for (const input of old.querySelectorAll('input')) {
    const same = fresh.querySelector(`#${input.id}`);
    if (same) same.value = input.value;
  }
  if (old.querySelector('details')?.open && fresh.querySelector('details')) fresh.querySelector('details').open = true;
  const focused = old.contains(document.activeElement) && document.activeElement;
  const place = focused && (focused.id ? `#${focused.id}` : focused.form ? `[action="${focused.form.getAttribute('action')}"] button` : 'summary');
  if (text(old, '.state') !== text(fresh, '.state')) news.textContent = `${text(fresh, 'h2')}: ${text(fresh, '.state')}`;
  old.replaceWith(fresh);
  if (place) (fresh.querySelector(place) ?? fresh.querySelector('button, summary'))?.focus();
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector('button');
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  say('');
  try {
    const answer = await fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)), headers: { accept: 'text/plain' } });
    if (answer.status === 403) location.reload();
    else if (!answer.ok) say(await answer.text());
    else form.reset();
  } catch {
    say('The agent cannot be reached.');
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
setInterval(tick, 1000);
