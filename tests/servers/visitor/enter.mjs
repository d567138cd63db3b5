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
  // An address has five tries at once, and one more after each pause. The right code has given it all of them back.
  let tries = 0;
  while (!(await tooMany.isVisible())) {
    tries += 1;
    assert.ok(tries <= 40, 'a code can be guessed without end');
    await guesser.locator('#code').fill('another');
    await Promise.all([guesser.waitForNavigation(), guesser.keyboard.press('Enter')]);
  }
  assert.ok(tries > 5, `already refused at try ${tries}`);
  await visitor.look(guesser, 'enter-too-many');
  await guesser.context().close();
}
