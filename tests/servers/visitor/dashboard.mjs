// The sign-in on a dashboard, with the sign-in page and the editor of Node-RED open beside it: all of them come alive
// when somebody approves, and go when somebody signs out.
import assert from 'node:assert/strict';

export async function play(visitor, { page: pageAddress, dashboard: dashboardAddress, editor: editorAddress, account }) {
  const editor = await visitor.open(editorAddress, { height: 760, strict: false });
  await editor.locator('.red-ui-flow-node-button').first().waitFor();
  await editor.evaluate("RED.sidebar.show('debug')");
  for (const width of [390, 1280]) {
    const name = (state) => `dashboard-${width}-${state}`;
    const page = await visitor.open(pageAddress, { width });
    const dashboard = await visitor.open(dashboardAddress, { width });
    const section = page.locator(`#account-${account}`);
    const widget = dashboard.locator('.sign-in');
    await widget.getByText('Signed out').waitFor();
    await visitor.picture(dashboard, name('signed-out'));

    await widget.getByRole('button', { name: 'Sign in' }).click();
    await widget.locator('.code').waitFor();
    await section.locator('.user-code').waitFor();
    const code = await widget.locator('.code').textContent();
    assert.equal(await section.locator('.user-code').textContent(), code);
    const scanned = await visitor.scan(dashboard, name('waiting'));
    assert.ok(scanned.includes(encodeURIComponent(code)), `${scanned} has not ${code} in it`);
    await widget.getByText('It expires in').waitFor();

    await widget.getByRole('button', { name: 'New code' }).click();
    await dashboard.waitForFunction((before) => {
      const shown = document.querySelector('.sign-in .code');
      return shown && shown.textContent !== before;
    }, code);
    await visitor.approve(await visitor.scan(dashboard, name('waiting')), 'ann');
    await widget.getByText('Signed in').waitFor();
    await section.locator('.state', { hasText: 'Signed in' }).waitFor();
    await visitor.picture(dashboard, name('signed-in'));

    // The flow has the token too.
    const before = await editor.locator('.red-ui-debug-msg').count();
    await editor.locator('.red-ui-flow-node-button-button').first().click();
    await editor.locator('.red-ui-debug-msg').nth(before).waitFor();
    const shown = await editor.locator('.red-ui-debug-msg').nth(before).textContent();
    assert.match(shown, /object|email/);
    await editor.evaluate("document.querySelectorAll('.red-ui-debug-msg .red-ui-debug-msg-type-meta, .red-ui-debug-msg-object-header').forEach((e) => e.click())");
    await visitor.picture(editor, name('editor'), { fullPage: false });

    await widget.getByRole('button', { name: 'Sign out' }).click();
    await widget.getByRole('button', { name: 'Stay signed in' }).click();
    await widget.getByText('Signed in').waitFor();
    await widget.getByRole('button', { name: 'Sign out' }).click();
    await widget.getByRole('button', { name: 'Sign out now' }).click();
    await widget.getByText('Signed out').waitFor();
    await section.locator('.state', { hasText: 'Signed out' }).waitFor();
    await page.context().close();
    await dashboard.context().close();
  }
}
