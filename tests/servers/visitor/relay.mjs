// A browser that comes back to the instance, which passes its address down to the device.
export async function play(visitor, { page: address, account }) {
  const page = await visitor.open(address, { width: 390 });
  const section = page.locator(`#account-${account}`);
  await section.getByRole('button', { name: 'Sign in' }).click();
  const phone = await visitor.signIn(await section.locator('.code a.address').getAttribute('href'), 'ann');
  await phone.getByText('Thank you.').waitFor();
  await section.getByText('Signed in as ann@example.com').waitFor();
  await visitor.picture(phone, 'relay-thanks');
}
