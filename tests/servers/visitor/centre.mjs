// The operator of a fleet at the dashboard of the centre: finds devices, asks for all codes and approves them; or signs one out; or
// asks for the code of one that waits already, of which this dashboard knows no more.
import assert from 'node:assert/strict';

export async function play(visitor, { dashboard: address, provider, devices, signs_out: signsOut, asks_for_code: asksForCode }) {
  const page = await visitor.open(address, { width: 1280 });
  page.on('dialog', (dialog) => dialog.accept());
  const rows = page.locator('.fleet tbody tr');
  const found = (text) => page.locator('.fleet [role=status]', { hasText: text });
  await found(`${devices} of ${devices}`).waitFor();
  assert.equal(await rows.count(), Math.min(devices, 25));
  if (signsOut) {
    const row = rows.filter({ hasText: signsOut });
    await row.getByRole('button', { name: 'Sign out' }).click();
    await row.getByRole('button', { name: 'Sign in' }).waitFor();
    return page.context().close();
  }

  if (asksForCode) {
    const row = rows.filter({ hasText: asksForCode });
    await row.getByText('waits for approval').waitFor();
    await row.getByRole('button', { name: 'Sign in' }).click();
    await row.locator('img').waitFor();
    return page.context().close();
  }

  await page.getByLabel('Search').fill('device-02');
  await found(`1 of ${devices}`).waitFor();
  assert.match(await rows.first().textContent(), /device-02/);
  await page.getByLabel('Search').fill('');
  await page.getByLabel('State').selectOption('signed_out');
  await found(`${devices} of ${devices}`).waitFor();
  await page.getByLabel('State').selectOption('');

  await page.getByLabel('Select all that are found').check();
  await page.locator('.fleet .tools').getByRole('button', { name: 'Sign in' }).click();
  await rows.locator('.code').nth(devices - 1).waitFor();
  await rows.locator('img').nth(devices - 1).waitFor();
  await visitor.picture(page, 'centre-waiting');
  for (let number = 0; number < devices; number += 1) {
    const name = `device-${String(number).padStart(2, '0')}`;
    const row = rows.filter({ hasText: name });
    const code = await row.locator('.code').textContent();
    await visitor.approveAt(provider, code, name);
  }
  await page.getByLabel('State').selectOption('active');
  await found(`${devices} of ${devices}`).waitFor();
  await visitor.picture(page, 'centre-signed-in');
  return page.context().close();
}
