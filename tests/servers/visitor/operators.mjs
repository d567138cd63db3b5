// A group of the dashboard that is there only while an allowed person has signed the device in.
import assert from 'node:assert/strict';

export async function play(visitor, { page: pageAddress, dashboard: dashboardAddress, editor, inject, account }) {
  const measure = () => fetch(`${editor}/inject/${inject}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  for (const width of [390, 1280]) {
    const name = (state) => `operators-${width}-${state}`;
    const page = await visitor.open(pageAddress, { width });
    const section = page.locator(`#account-${account}`);
    let dashboard = await visitor.open(dashboardAddress, { width });
    await dashboard.getByText('An operator has to sign in').waitFor();
    await measure();
    assert.equal(await dashboard.getByText('Boiler').isVisible(), false);
    await visitor.picture(dashboard, name('closed'));

    // Somebody who is not on the list can approve, and changes nothing.
    await section.getByRole('button', { name: 'Sign in' }).click();
    await visitor.approve(await section.locator('.code a.address').getAttribute('href'), 'eve');
    await section.locator('.error').waitFor();
    await measure();
    assert.equal(await dashboard.getByText('Boiler').isVisible(), false);

    await section.getByRole('button', { name: 'Sign in' }).click();
    await visitor.approve(await section.locator('.code a.address').getAttribute('href'), 'ann');
    await dashboard.getByText('Signed in: ann@example.com').waitFor();
    await dashboard.getByText('Boiler').waitFor();
    await measure();
    await dashboard.getByText(/[0-9.]+ °C/).waitFor();
    await visitor.picture(dashboard, name('open'));
    // Whoever comes now sees it too.
    await dashboard.context().close();
    dashboard = await visitor.open(dashboardAddress, { width });
    await dashboard.getByText(/[0-9.]+ °C/).waitFor();

    await section.locator('.sign-out summary').click();
    await section.getByRole('button', { name: 'Sign out' }).click();
    await dashboard.getByText('An operator has to sign in').waitFor();
    await dashboard.getByText('Boiler').waitFor({ state: 'hidden' });
    await dashboard.context().close();
    // What stood there before is not kept for whoever comes later.
    const before = visitor.received();
    dashboard = await visitor.open(dashboardAddress, { width });
    await dashboard.getByText('An operator has to sign in').waitFor();
    assert.doesNotMatch(visitor.received().slice(before.length), /[0-9.]+ °C/);
    await dashboard.context().close();
    await page.context().close();
  }
}
