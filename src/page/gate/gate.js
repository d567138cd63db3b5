// Waits for what happens elsewhere. Without it the pages work too, but for the kiosk.
'use strict';

// The clock of the device may be set at any time; this one goes on.
const seconds = () => performance.now() / 1000;

// Loads the page again, or submits a form, once the gate answers: the browser's own page about an error has no script that would
// try again.
async function whenThere(act) {
  const answer = await fetch('/oauth2mqtt/gate.js', { cache: 'no-store' }).catch(() => null);
  if (answer?.ok) act();
  else setTimeout(whenThere, 2000, act);
}
const reload = () => whenThere(() => location.reload());
const submit = (form) => whenThere(() => form.requestSubmit());

// Does the work every so many seconds until it says that it is done.
function every(pause, work) {
  const timer = setInterval(async () => {
    if (await work()) clearInterval(timer);
  }, pause * 1000);
}

// The code for a phone: counts down, and goes on when somebody has approved.
if (document.querySelector('[data-phone]')) {
  const shown = document.querySelector('[data-left]');
  const due = seconds() + Number(shown.dataset.left);
  every(1, () => {
    const left = Math.max(0, Math.round(due - seconds()));
    shown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  });
  every(2, async () => {
    const answer = await fetch('/oauth2mqtt/phone/waits', { cache: 'no-store' }).catch(() => null);
    const isOver = answer?.ok && (await answer.text()) === 'over';
    if (isOver) reload();
    return isOver;
  });
}

// A kiosk asks for a code by itself, and for another one where that failed.
const start = document.querySelector('[data-start] form');
if (start) submit(start);
const retry = document.querySelector('[data-retry]');
if (retry) setTimeout(submit, retry.dataset.retry * 1000, retry.querySelector('form[action$="/phone"]'));

// A kiosk signs out when nobody has touched it for so long, and shows the code when the session is over.
const kiosk = document.querySelector('[data-kiosk]');
if (kiosk) {
  const frame = kiosk.querySelector('iframe');
  const idle = Number(kiosk.dataset.kiosk);
  let touched = seconds();
  let told = touched;
  const touch = () => { touched = seconds(); };
  const watch = (target) => {
    for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart']) {
      target.addEventListener(kind, touch, { passive: true, capture: true });
    }
  };
  const watchFrame = () => {
    try {
      watch(frame.contentDocument);
    } catch {
      // A page of another site: its use cannot be seen.
    }
  };
  watch(document);
  frame.addEventListener('load', watchFrame);
  watchFrame();
  every(1, () => {
    const isIdle = seconds() - touched >= idle;
    if (isIdle) submit(kiosk.querySelector('form'));
    return isIdle;
  });
  every(5, async () => {
    const active = touched > told;
    told = seconds();
    const answer = await fetch(`/oauth2mqtt/state${active ? '?active' : ''}`, { cache: 'no-store' }).catch(() => null);
    const isOver = answer?.status === 401;
    if (isOver) reload();
    return isOver;
  });
}
