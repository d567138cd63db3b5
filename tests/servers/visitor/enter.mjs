// The page behind an access code.
import assert from 'node:assert/strict';

export async function play(visitor, { page: address, account, code }) {
  const stranger = await visitor.open(address);
  await visitor.look(stranger, 'enter');
  assert.equal(await stranger.getByText(account).count(), 0);
  await stranger.locator('#code').fill('nonsense');
  await stranger.keyboard.press('Enter');
  await stranger.getByText('That is not the access code.').waitFor();
  await visitor.look(stranger, 'enter-refused');
  await stranger.context().close();

  const page = await visitor.open(address, { width: 390 });
  await page.locator('#code').fill(code);
  await page.getByRole('button', { name: 'Enter' }).click();
  const section = page.locator(`#account-${account}`);
  await section.getByRole('button', { name: 'Sign in' }).click();
  await section.locator('.user-code').waitFor();
  await page.reload();
  await section.locator('.user-code').waitFor();
  await page.context().close();

  const guesser = await visitor.open(address);
  const tooMany = guesser.getByText('Too many tries.');
  while (!(await tooMany.isVisible())) {
    await guesser.locator('#code').fill('another');
    await Promise.all([guesser.waitForNavigation(), guesser.keyboard.press('Enter')]);
  }
  await visitor.look(guesser, 'enter-too-many');
  await guesser.context().close();
}
