// Waits for what happens elsewhere. Without it the pages work too, but for the kiosk.
'use strict';

const every = (seconds, work) => setInterval(work, seconds * 1000);

// The code for a phone: counts down, and goes on when somebody has approved.
if (document.querySelector('[data-phone]')) {
  const shown = document.querySelector('[data-left]');
  const due = Date.now() + shown.dataset.left * 1000;
  every(1, () => {
    const left = Math.max(0, Math.round((due - Date.now()) / 1000));
    shown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  });
  every(2, async () => {
    const answer = await fetch('/oauth2mqtt/phone/waits', { cache: 'no-store' }).catch(() => null);
    if (answer && (await answer.text()) === 'over') location.reload();
  });
}

// A kiosk asks for a code by itself, and for another one where that failed.
document.querySelector('[data-start] form')?.requestSubmit();
const retry = document.querySelector('[data-retry]');
if (retry) setTimeout(() => retry.querySelector('form').requestSubmit(), retry.dataset.retry * 1000);

// A kiosk signs out when nobody has touched it for so long, and shows the code when the session is over.
const kiosk = document.querySelector('[data-kiosk]');
if (kiosk) {
  const frame = kiosk.querySelector('iframe');
  const idle = kiosk.dataset.kiosk * 1000;
  let touched = Date.now();
  let told = touched;
  const touch = () => { touched = Date.now(); };
  const watch = (target) => {
    for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart']) {
      target.addEventListener(kind, touch, { passive: true, capture: true });
    }
  };
  watch(document);
  frame.addEventListener('load', () => {
    try {
      watch(frame.contentDocument);
    } catch {
      // A page of another site: its use cannot be seen.
    }
  });
  frame.contentDocument && watch(frame.contentDocument);
  every(1, () => {
    if (Date.now() - touched >= idle) kiosk.querySelector('form').requestSubmit();
  });
  every(5, async () => {
    const active = touched > told;
    told = Date.now();
    const answer = await fetch(`/oauth2mqtt/state${active ? '?active' : ''}`, { cache: 'no-store' }).catch(() => null);
    if (answer && answer.status === 401) location.reload();
  });
}
