// People before the gate of a dashboard: one signs in here, one with a phone, and one may not come in. Each is told apart from the
// others, and whoever signs out is out.
import assert from 'node:assert/strict';

const DASHBOARD = '/dashboard/tank';

export async function play(visitor, { panel, looks }) {
  const look = (page, name, more) => (looks ? visitor.look(page, `gate-${name}`, more) : visitor.picture(page, `gate-${name}-caddy`));
  const come = async (settings = {}) => {
    const page = await visitor.open(`${panel}${DASHBOARD}?from=outside`, { strict: false, ...settings });
    await page.getByRole('button', { name: 'Sign in here' }).waitFor();
    const { pathname, searchParams } = new URL(page.url());
    assert.deepEqual([pathname, searchParams.get('to')], ['/oauth2mqtt/sign-in', `${DASHBOARD}?from=outside`]);
    return page;
  };
  const isThere = (page) => page.waitForURL(`${panel}${DASHBOARD}?from=outside`);
  /** Presses the button of the dashboard, which then shows whom the flow takes the person for. */
  const press = async (page, name) => {
    await page.getByRole('button', { name: 'Who am I?' }).click();
    await page.getByText(`You are ${name}`).waitFor();
  };

  const ann = await come();
  let sentToAnn = '';
  ann.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => { sentToAnn += payload; }));
  await look(ann, 'sign-in');
  await ann.getByRole('button', { name: 'Sign in here' }).click();
  await visitor.signInOn(ann, 'ann');
  await isThere(ann);
  await press(ann, 'ann');

  const bob = await come({ width: 768 });
  await bob.getByRole('button', { name: 'Sign in with a phone' }).click();
  await bob.locator('.user-code').waitFor();
  const code = await bob.locator('.user-code').textContent();
  const isSeen = (picture) => assert.ok(visitor.decode(picture).includes(encodeURIComponent(code.trim())), `${code} on ${picture}`);
  await look(bob, 'phone', { also: isSeen });
  await visitor.approve(await visitor.scan(bob, 'gate-phone-seen'), 'bob');
  await isThere(bob);
  await press(bob, 'bob');
  // Her own answer comes after whatever his has sent to her.
  await press(ann, 'ann');
  assert.match(sentToAnn, /You are ann/);
  assert.doesNotMatch(sentToAnn, /You are bob/);

  const eve = await come();
  await eve.getByRole('button', { name: 'Sign in here' }).click();
  await visitor.signInOn(eve, 'eve');
  await eve.getByText('may not see this page').waitFor();
  await look(eve, 'refused');
  await eve.goto(`${panel}${DASHBOARD}`);
  await eve.getByRole('button', { name: 'Sign in here' }).waitFor();

  // The dashboard installs itself in the browser, and then answers in place of the server when somebody opens it.
  await ann.evaluate('navigator.serviceWorker.ready.then(() => true)');
  const account = await ann.context().newPage();
  await account.goto(`${panel}/oauth2mqtt/`);
  await account.getByText('ann@example.com').first().waitFor();
  await look(account, 'signed-in');
  await account.getByRole('button', { name: 'Sign out' }).click();
  await account.getByRole('button', { name: 'Sign in here' }).waitFor();
  // The dashboard that she has open goes as well, and so does one that she opens.
  await ann.getByRole('button', { name: 'Sign in here' }).waitFor();
  await account.goto(`${panel}${DASHBOARD}`);
  await account.getByRole('button', { name: 'Sign in here' }).click();
  // The provider knows her still, and asks all the same: somebody else may sit there now.
  await visitor.signInAgainOn(account, 'ann');
  await press(account, 'ann');
  assert.equal(new URL(account.url()).pathname, DASHBOARD);
  await press(bob, 'bob');
}
