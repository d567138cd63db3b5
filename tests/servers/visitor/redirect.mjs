// The sign-in page where the provider sends the browser to an address that it cannot reach: the user pastes it.
import assert from 'node:assert/strict';

export async function play(visitor, { page: address, account }) {
  const page = await visitor.open(address);
  const section = page.locator(`#account-${account}`);
  await section.getByRole('button', { name: 'Sign in' }).click();
  const field = section.locator('input[name=address]');
  await field.waitFor();
  const link = await section.locator('.code a.address').getAttribute('href');
  await visitor.look(page, 'redirect-waiting', { also: (picture) => assert.equal(visitor.decode(picture), link) });

  await field.fill('https://flows.example.com/oauth2/redirect?nothing=here');
  await field.press('Enter');
  await section.locator('.said').filter({ hasText: /./ }).waitFor();
  await visitor.look(page, 'redirect-refused');

  await field.fill(await visitor.approveAndComeBack(link, 'ann'));
  await section.getByRole('button', { name: 'Finish' }).click();
  await section.getByText('Signed in as ann@example.com').waitFor();
  assert.equal(await section.locator('.said').isVisible(), false);
  await visitor.look(page, 'redirect-signed-in');
  await section.locator('.sign-out summary').click();
  await section.getByRole('button', { name: 'Sign out' }).click();
  await section.getByText('Signed out').waitFor();
  await page.context().close();
}
