// The sign-in page, from signed out to signed in and back, on a phone and at a desk.
import assert from 'node:assert/strict';

import { SCREENS } from './visitor.mjs';

const DEVICES = {
  phone: { screen: { width: 360, hasTouch: true, isMobile: true }, screens: SCREENS.filter(({ width }) => width === 360) },
  desk: { screen: { width: 1280 }, screens: SCREENS },
};

export async function play(visitor, { page: address, account }) {
  for (const [device, { screen, screens }] of Object.entries(DEVICES)) {
    const look = (state, also) => visitor.look(page, `page-${device}-${state}`, { screens, also });
    const page = await visitor.open(address, screen);
    const section = page.locator(`#account-${account}`);
    await section.getByText('Signed out').waitFor();
    await look('signed-out');
    // It stays this page from now on: what changes came by itself.
    await page.evaluate('window.isStillHere = true');

    // By keyboard alone.
    await page.keyboard.press('Tab');
    assert.match(await page.evaluate('document.activeElement.textContent'), /^Sign in/);
    await page.keyboard.press('Enter');
    await section.locator('.user-code').waitFor();
    const scanned = await section.locator('.code a.address').getAttribute('href');
    await look('waiting', (picture) => assert.equal(visitor.decode(picture), scanned));
    assert.equal(await section.locator('.code a.button').isVisible(), device === 'phone');
    const code = await section.locator('.user-code').textContent();
    assert.ok(scanned.includes(encodeURIComponent(code)), `${scanned} has not ${code} in it`);
    const left = await section.locator('[role=timer]').textContent();
    await page.waitForFunction((before) => document.querySelector('[role=timer]').textContent !== before, left);

    // Another code, and the focus is still on a button.
    await section.getByRole('button', { name: 'New code' }).click();
    await page.waitForFunction((before) => {
      const shown = document.querySelector('.user-code');
      return shown && shown.textContent !== before;
    }, code);
    assert.match(await page.evaluate('document.activeElement.textContent'), /^(New code|Sign in)/);

    await visitor.approve(await section.locator('.code a.address').getAttribute('href'), 'ann');
    await section.locator('.state', { hasText: 'Signed in' }).waitFor();
    await section.locator('.facts summary').click();
    await section.locator('dt', { hasText: 'Access token' }).waitFor();
    await look('signed-in');

    await section.locator('.sign-out summary').click();
    await look('sign-out');
    await section.getByRole('button', { name: 'Sign out' }).click();
    await section.getByText('Signed out').waitFor();
    assert.equal(await page.evaluate('window.isStillHere'), true);
    await page.context().close();
  }
  await withoutScripts(visitor, address, account);
}

async function withoutScripts(visitor, address, account) {
  const page = await visitor.open(address, { width: 390, javaScriptEnabled: false });
  const section = page.locator(`#account-${account}`);
  await section.getByRole('button', { name: 'Sign in' }).click();
  await section.locator('.user-code').waitFor();
  await section.getByRole('button', { name: 'Cancel' }).click();
  await section.getByText('Signed out').waitFor();
  await section.getByRole('button', { name: 'Sign in' }).click();
  const scanned = await visitor.scan(page, 'page-without-scripts');
  await visitor.approve(scanned, 'ann');
  // The browser looks again by itself.
  await section.locator('.state', { hasText: 'Signed in' }).waitFor();
  await section.locator('.sign-out summary').click();
  await section.getByRole('button', { name: 'Sign out' }).click();
  await section.getByText('Signed out').waitFor();
  await page.context().close();
}
