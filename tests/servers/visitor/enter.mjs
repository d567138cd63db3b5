// The page behind an access code.
import assert from 'node:assert/strict';

import { SCREENS } from './visitor.mjs';

export async function play(visitor, { page: address, account, code }) {
  for (const { width, colours } of SCREENS) {
    const page = await visitor.open(address, { width, colours });
    await visitor.audit(page, `enter-${width}-${colours}`);
    assert.equal(await page.getByText(account).count(), 0);
    await page.locator('#code').fill('nonsense');
    await page.keyboard.press('Enter');
    await page.getByText('That is not the access code.').waitFor();
    await visitor.audit(page, `enter-${width}-${colours}-refused`);
    await visitor.picture(page, `enter-${width}-${colours}`);
    await page.context().close();
  }
  // Four wrong ones are within bounds; the code is the fifth.
  const page = await visitor.open(address, { width: 390 });
  await page.locator('#code').fill(code);
  await page.getByRole('button', { name: 'Enter' }).click();
  const section = page.locator(`#account-${account}`);
  await section.getByRole('button', { name: 'Sign in' }).click();
  await section.locator('.user-code').waitFor();
  await page.reload();
  await section.locator('.user-code').waitFor();
  await page.context().close();
}
