// A screen on a wall: it shows a code, the dashboard once somebody has approved that, and the code again when nobody uses it.
import assert from 'node:assert/strict';

export async function play(visitor, { panel }) {
  const screen = await visitor.open(`${panel}/oauth2mqtt/kiosk?to=%2Fdashboard%2Ftank`, { strict: false, width: 1280, height: 800 });
  await screen.locator('.user-code').waitFor();
  const before = await screen.locator('.user-code').textContent();
  await visitor.approve(await visitor.scan(screen, 'gate-kiosk-waiting'), 'bob');
  const dashboard = screen.frameLocator('iframe');
  await dashboard.getByRole('button', { name: 'Who am I?' }).click();
  await dashboard.getByText('You are bob').waitFor();
  await visitor.audit(screen, 'gate-kiosk');
  await visitor.picture(screen, 'gate-kiosk');

  // Nobody touches it any more.
  await screen.locator('.user-code').waitFor();
  assert.notEqual(await screen.locator('.user-code').textContent(), before);
  assert.equal(await screen.locator('iframe').count(), 0);
}
