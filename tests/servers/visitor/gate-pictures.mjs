// The pictures of the gate, from the real thing.
export async function play(visitor, { panel, provider }) {
  const settings = { strict: false, deviceScaleFactor: 2 };
  const narrow = { width: 600, height: 700, ...settings };
  /** A picture of the page down to its last line. */
  const picture = async (page, name) => {
    const { width } = page.viewportSize();
    const height = Math.ceil(await page.evaluate('document.body.getBoundingClientRect().bottom'));
    await visitor.picture(page, `picture-gate-${name}`, { fullPage: false, clip: { x: 0, y: 0, width, height } });
  };
  const approve = async (page, login) => {
    const code = (await page.locator('.user-code').textContent()).trim();
    await visitor.approveAt(provider, code, login);
  };

  const ann = await visitor.open(`${panel}/dashboard/tank`, narrow);
  await ann.getByRole('button', { name: 'Sign in here' }).waitFor();
  await picture(ann, 'sign-in');
  await ann.getByRole('button', { name: 'Sign in with a phone' }).click();
  await ann.locator('.user-code').waitFor();
  await picture(ann, 'phone');
  await approve(ann, 'ann');
  await ann.getByRole('button', { name: 'Who am I?' }).waitFor();
  await ann.goto(`${panel}/oauth2mqtt/`);
  await ann.getByText('ann@example.com').first().waitFor();
  await picture(ann, 'signed-in');

  const bob = await visitor.open(`${panel}/dashboard/tank`, narrow);
  await bob.getByRole('button', { name: 'Sign in here' }).click();
  await visitor.signInOn(bob, 'bob');
  await bob.getByText('may not see this page').waitFor();
  await picture(bob, 'refused');

  const screen = await visitor.open(`${panel}/oauth2mqtt/kiosk?to=%2Fdashboard%2Ftank`, { width: 800, height: 420, ...settings });
  await screen.locator('.user-code').waitFor();
  await approve(screen, 'ann');
  const dashboard = screen.frameLocator('iframe');
  await dashboard.getByRole('button', { name: 'Who am I?' }).click();
  await dashboard.getByText('You are ann').waitFor();
  await picture(screen, 'kiosk');
}
