// The pictures of the README, from the real thing.
import { play as showTerminals } from './terminal.mjs';

export async function play(visitor, { page: pageAddress, dashboard: dashboardAddress, editor: editorAddress, account, provider, screens }) {
  await showTerminals(visitor, { screens });
  const sharp = { deviceScaleFactor: 2 };

  const page = await visitor.open(pageAddress, { width: 390, height: 760, ...sharp });
  await page.locator('.user-code').waitFor();
  await visitor.picture(page, 'picture-page', { fullPage: false, clip: await upTo(page, 'section', 390) });

  const dashboard = await visitor.open(dashboardAddress, { width: 390, height: 760, ...sharp });
  await dashboard.locator('.sign-in .code').waitFor();
  await dashboard.getByText('It expires in').waitFor();
  await visitor.picture(dashboard, 'picture-dashboard', { fullPage: false, clip: await upTo(dashboard, '.nrdb-ui-group', 390) });

  const code = await page.locator('.user-code').textContent();
  await visitor.approveAt(provider, code, 'ann');
  await page.locator(`#account-${account} .state`, { hasText: 'Signed in' }).waitFor();
  const editor = await visitor.open(editorAddress, { width: 1440, height: 400, deviceScaleFactor: 1.5, strict: false });
  await editor.locator('.red-ui-flow-node-button').first().waitFor();
  await editor.evaluate("RED.sidebar.show('debug')");
  await editor.evaluate("RED.actions.invoke('core:toggle-palette')");
  await editor.locator('.red-ui-flow-node-button-button').first().click();
  await editor.locator('.red-ui-debug-msg').first().waitFor();
  await editor.locator('.red-ui-debug-msg .red-ui-debug-msg-object-header, .red-ui-debug-msg-row').first().click().catch(() => {});
  // The note that the button was pressed goes by itself.
  await editor.locator('.red-ui-notification').first().waitFor({ state: 'detached' });
  await visitor.picture(editor, 'picture-flow', { fullPage: false });
}

/** The part of the page down to this element. */
async function upTo(page, selector, width) {
  const { y, height } = await page.locator(selector).boundingBox();
  return { x: 0, y: 0, width, height: Math.min(760, Math.ceil(y + height) + 16) };
}
