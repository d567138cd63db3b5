// The operator of a thousand devices: finds them, asks for many codes at once, and goes on working while everything changes.
import assert from 'node:assert/strict';

/** How long the page may take for anything, on a machine that does much else, and how long it may not answer at all; in ms. */
const SOON = 5_000;
const FROZEN = 500;

/** What all changes may cost of a network, in bytes: all rows, once, would be more. */
const MOST_TRAFFIC = 200_000;

export async function play(visitor, { dashboard: address, states }) {
  const figures = {};
  const timed = async (what, act) => {
    const began = performance.now();
    await act();
    figures[what] = Math.round(performance.now() - began);
    assert.ok(figures[what] < SOON, `${what} took ${figures[what]} ms`);
  };
  const page = await visitor.open('about:blank', { width: 1280 });
  const rows = page.locator('.fleet tbody tr');
  const found = (text) => page.locator('.fleet [role=status]', { hasText: text }).waitFor();
  await timed('listed', async () => {
    await page.goto(address);
    await found('1000 of 1000');
  });
  assert.equal(await rows.count(), 25);
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: 'longtask' });
  });

  await timed('searched', async () => {
    await page.getByLabel('Search').fill('device-0777');
    await found('1 of 1000');
  });
  assert.match(await rows.textContent(), /device-0777/);
  await page.getByLabel('Search').fill('');
  for (const [state, count] of Object.entries(states)) {
    await timed(`filtered by ${state}`, async () => {
      await page.getByLabel('State').selectOption(state);
      await found(`${count} of 1000`);
    });
  }
  await page.getByLabel('State').selectOption('awaiting_user');
  await found(`${states.awaiting_user} of 1000`);
  await timed('codes shown', () => rows.locator('img').nth(24).waitFor());
  await page.getByLabel('State').selectOption('signed_out');
  await timed('turned a page', async () => {
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('Page 2 of').waitFor();
  });

  await timed('asked for many', async () => {
    await page.getByLabel('Select all that are found').check();
    await found(`${states.signed_out} selected`);
    await page.locator('.fleet .tools').getByRole('button', { name: 'Sign in' }).click();
  });

  // From the press on, all devices report again and again, while somebody looks for one of them.
  const before = visitor.received().length;
  await page.getByLabel('State').selectOption('');
  await timed('searched in a burst', async () => {
    await page.getByLabel('Search').fill('device-0999');
    await found('1 of 1000');
  });
  await page.getByLabel('Search').fill('');
  await timed('burst shown', async () => {
    await page.getByLabel('State').selectOption('expired');
    await found('1000 of 1000');
  });
  figures['longest task'] = Math.round(await page.evaluate('window.longest'));
  figures['bytes in the burst'] = visitor.received().length - before;
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  assert.ok(figures['longest task'] < FROZEN, `the page did not answer for ${figures['longest task']} ms`);
  assert.ok(figures['bytes in the burst'] < MOST_TRAFFIC, `the page was sent ${figures['bytes in the burst']} bytes`);
  return page.context().close();
}
