// The sign-in page where the provider sends the browser to an address that it cannot reach: the user pastes it.
import assert from 'node:assert/strict';

import { SCREENS } from './visitor.mjs';

export async function play(visitor, { page: address, account }) {
  for (const { width, colours } of SCREENS) {
    const name = (state) => `redirect-${width}-${colours}-${state}`;
    const page = await visitor.open(address, { width, colours });
    const section = page.locator(`#account-${account}`);
    await section.getByRole('button', { name: 'Sign in' }).click();
    const field = section.locator('input[name=address]');
    await field.waitFor();
    await visitor.audit(page, name('waiting'));
    const link = await section.locator('.code a.address').getAttribute('href');
    assert.equal(await visitor.scan(page, name('waiting')), link);

    await field.fill('https://flows.example.com/oauth2/redirect?nothing=here');
    await field.press('Enter');
    await section.locator('.said').filter({ hasText: /./ }).waitFor();
    await visitor.audit(page, name('refused'));
    await visitor.picture(page, name('refused'));

    await field.fill(await visitor.approveAndComeBack(link, 'ann'));
    await section.getByRole('button', { name: 'Finish' }).click();
    await section.getByText('Signed in as ann@example.com').waitFor();
    assert.equal(await section.locator('.said').isVisible(), false);
    await visitor.picture(page, name('signed-in'));
    await section.locator('.sign-out summary').click();
    await section.getByRole('button', { name: 'Sign out' }).click();
    await section.getByText('Signed out').waitFor();
    await page.context().close();
  }
}
