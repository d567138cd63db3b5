// The sign-in page as it is, and with `opens` also with all that can be opened open.
export async function play(visitor, { page: address, name, shows, opens }) {
  const page = await visitor.open(address);
  for (const text of shows) await page.getByText(text).first().waitFor();
  await visitor.look(page, name);
  if (opens) {
    await page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })");
    await visitor.look(page, `${name}-open`);
  }
  await page.context().close();
}
