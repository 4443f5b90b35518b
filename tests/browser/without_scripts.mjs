// Everything with JavaScript off, and what a password manager looks for.
import { check, same, signIn, site, withBrowser } from './browser.mjs';

const attributes = (page, selector, names) =>
  Promise.all(names.map((name) => page.locator(selector).getAttribute(name)));

async function passwordManager(page) {
  same(await page.locator('form').count(), 1, 'one form');
  same(await attributes(page, 'form', ['method', 'action']), ['post', '/login/local'], 'the form');
  same(
    await attributes(page, 'form input[name=username]', ['type', 'autocomplete', 'autocapitalize', 'spellcheck']),
    ['text', 'username', 'none', 'false'],
    'the name field',
  );
  same(
    await attributes(page, 'form input[name=password]', ['type', 'autocomplete', 'maxlength', 'onpaste']),
    ['password', 'current-password', null, null],
    'the password field',
  );
  const order = await page.locator('form input:not([type=hidden])').all();
  same(await Promise.all(order.map((o) => o.getAttribute('name'))), ['username', 'password'], 'their order');
}

await withBrowser(async (open) => {
  const page = await open({ javaScriptEnabled: false });
  await page.goto(`${site.url}/app/page?x=1`);
  await passwordManager(page);
  await signIn(page, 'alice', 'wrong');
  await page.getByRole('alert').waitFor();
  await passwordManager(page);
  same(await page.getByLabel('Name or e-mail').inputValue(), 'alice', 'the name is kept');
  same(await page.getByLabel('Password').inputValue(), '', 'the password is not');

  // By the keyboard alone: the focus waits in the password field.
  await page.keyboard.type(site.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${site.url}/app/page?x=1`);
  same(await page.textContent('body'), 'ok', 'the application is reached');

  await page.goto(`data:text/html,<a href="${site.url}/logout">out</a>`);
  await page.getByRole('link').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${site.url}/login`);
  await page.goto(`${site.url}/app/page?x=1`);
  check(page.url().startsWith(`${site.url}/login?`), 'signed out');
  await page.goto(`${site.chooser}/login`);
  await page.getByRole('link', { name: 'Zoe' }).click();
  check(page.url().startsWith(`${site.chooser}/login/zoe`), 'the chooser leads to a form');
  await page.getByLabel('Password').waitFor();
});
