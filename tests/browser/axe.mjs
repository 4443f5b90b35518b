// Every page, light and dark, wide and at 320 px: axe-core finds nothing, nothing is
// wider than the screen, the policy refuses nothing of ours.
import axe from 'axe-core';
import { check, same, signIn, site, withBrowser } from './browser.mjs';

const SIZES = [{ width: 1280, height: 800 }, { width: 320, height: 640 }];

async function examine(page, name) {
  await page.evaluate(axe.source);
  for (const colorScheme of ['light', 'dark']) {
    for (const size of SIZES) {
      const where = `${name}, ${colorScheme}, ${size.width} px`;
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
      const found = violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => `    ${n.html}`).join('\n')}`);
      check(found.length === 0, `${where}:\n${found.join('\n')}`);
      check(passes.length > 5, `${where}: axe looked at the page`);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      check(width <= size.width, `${where}: the page is ${width} px wide`);
    }
  }
  same(page.complaints, [], `${name}: what Chromium says`);
  console.log(`${name}: nothing found`);
}

async function visit(page, url, status, name) {
  const answer = await page.goto(url);
  same(answer.status(), status, `${name} at ${url}`);
  await examine(page, name);
}

await withBrowser(async (open) => {
  const page = await open({ reducedMotion: 'reduce' });
  await visit(page, `${site.url}/login`, 200, 'login');
  await signIn(page, 'alice', 'wrong');
  await page.getByRole('alert').waitFor();
  await examine(page, 'login after a failure');
  await visit(page, `${site.url}/login/nobody`, 404, 'unknown strategy');
  await visit(page, `${site.chooser}/login`, 200, 'chooser');
  await visit(page, `${site.url}/auth/register`, 200, 'register');
  await page.getByLabel('E-mail address').fill('zoe@example.org');
  await page.getByLabel('Password', { exact: true }).fill('password1');
  await page.getByLabel('Password again').fill('password1');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('alert').waitFor();
  await examine(page, 'register after a failure');
  await visit(page, `${site.url}/auth/recovery`, 200, 'recovery');
  await page.getByLabel('E-mail address').fill('zoe@example.org');
  await page.getByRole('button', { name: 'Send the mail' }).click();
  await page.getByRole('heading', { name: 'Check your mail' }).waitFor();
  await examine(page, 'recovery done');
  await visit(page, `${site.url}/auth/reset?token=x`, 200, 'reset');
  await visit(page, `${site.url}/auth/verify-email?token=x`, 200, 'verify-email');

  await page.goto(`${site.url}/login`);
  await signIn(page, 'alice', site.password);
  await visit(page, `${site.url}/auth/me`, 200, 'account');
  await page.getByLabel('Display name').fill('Alice');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  same(await page.getByLabel('Display name').inputValue(), 'Alice', 'the name that was saved');
  await page.locator('#current').fill('wrong password');
  await page.locator('#next').fill('another horse entirely 7');
  await page.locator('#next-confirm').fill('another horse entirely 7');
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByRole('alert').waitFor();
  await examine(page, 'account after a failure');
  await visit(page, `${site.url}/admin/`, 403, 'forbidden');
  await visit(page, `${site.url}/down/`, 502, 'nobody at home');
  await visit(page, `${site.url}/auth/nothing`, 404, 'not found');
  await visit(page, `${site.url}/a/%00`, 400, 'bad path');
  await page.goto(`data:text/html,<a href="${site.url}/logout">out</a>`);
  await page.getByRole('link').click();
  await page.getByRole('heading', { name: 'Sign out?' }).waitFor();
  await examine(page, 'sign out');

  const demo = await open({ reducedMotion: 'reduce' });
  await demo.goto(`${site.demo.url}/login`);
  await signIn(demo, site.demo.name, site.demo.password);
  await demo.getByText('remote-user').first().waitFor();
  await examine(demo, 'whoami');
});
