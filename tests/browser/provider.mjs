// The whole way through a real OpenID provider: the button on the login page, the
// provider's own pages, back to the protected page, the profile, and out again at both.
import { check, same, site, withBrowser } from './browser.mjs';

// Signs in at the provider, which shows its form and asks for consent.
async function atProvider(page) {
  check(page.url().startsWith(`${site.provider}/interaction/`), `the provider's page, not ${page.url()}`);
  await page.getByLabel('Name').fill('alice');
  await page.getByLabel('Secret').fill('alice-pass');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('wants to know who you are').waitFor();
  await page.getByRole('button', { name: 'Allow' }).click();
}

async function journey(open, gateway) {
  const page = await open({ ignoreHTTPSErrors: true });
  await page.goto(`${gateway}/app/page?x=1`);
  check(page.url().startsWith(`${gateway}/login?return_to=`), `a stranger is sent to the login, not ${page.url()}`);
  await page.getByRole('link', { name: 'Example ID' }).click();
  await atProvider(page);
  await page.waitForURL(`${gateway}/app/page?x=1`);
  same(await page.textContent('body'), 'ok', 'the protected page');

  const own = (await page.context().cookies(gateway)).filter((c) => c.name.startsWith('portcullis'));
  same(own.map((c) => [c.name, c.httpOnly, c.sameSite]).filter(([name]) => name === 'portcullis'), [['portcullis', true, 'Lax']], 'the session cookie');
  const scripts = await page.evaluate(() => document.cookie);
  check(!scripts.includes('portcullis'), `no script reads a cookie: ${scripts}`);

  await page.goto(`${gateway}/auth/me`);
  check((await page.textContent('main')).includes('alice'), 'the profile says who it is');
  check((await page.textContent('main')).includes('alice@example.org'), 'and which address');

  // Going back over the way does not sign in twice, and is no bare refusal.
  const again = await page.goto(`${gateway}/login/op/callback?code=x&state=y`);
  same(again.status(), 400, 'a made-up answer of the provider');
  check((await page.getByRole('link').count()) + (await page.getByRole('button').count()) > 0, 'a way to start again');

  await page.goto(`${gateway}/logout?return_to=/login`);
  const ask = page.getByRole('button', { name: 'Sign out' });
  if (await ask.count()) await ask.click();
  await page.waitForURL(`${site.provider}/session/end?**`);
  await page.waitForLoadState();
  const yes = page.getByRole('button', { name: 'Yes, sign me out' });
  check(await yes.count() === 1, `the provider asks: ${await page.content()}`);
  await yes.click();
  await page.waitForURL(`${gateway}/login`);
  same((await page.context().cookies(gateway)).filter((c) => c.name === 'portcullis'), [], 'no session is left');

  // Signed out there too: the provider asks who it is.
  await page.goto(`${gateway}/app/page`);
  await page.getByRole('link', { name: 'Example ID' }).click();
  await page.getByLabel('Secret').waitFor();
  same(page.complaints, [], 'what the browser refused');
}

// Two tabs of one browser start a login each, and both arrive where they wanted to go.
async function tabs(open) {
  const one = await open({ ignoreHTTPSErrors: true });
  const two = await one.context().newPage();
  for (const [page, path] of [[one, '/app/one'], [two, '/app/two']]) {
    await page.goto(`${site.url}${path}`);
    await page.getByRole('link', { name: 'Example ID' }).click();
    await page.getByLabel('Name').waitFor();
  }
  await atProvider(one);
  await one.waitForURL(`${site.url}/app/one`);
  await two.getByLabel('Name').fill('alice');
  await two.getByLabel('Secret').fill('alice-pass');
  await two.getByRole('button', { name: 'Sign in' }).click();
  await two.waitForURL(`${site.url}/app/two`);
}

// The provider's no is a page of ours, in which nothing that it wrote runs.
async function refused(open) {
  const page = await open({ ignoreHTTPSErrors: true });
  await page.goto(`${site.url}/login/op`);
  await page.getByLabel('Name').fill('nobody');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${site.url}/login/op/callback**`);
  const text = await page.textContent('body');
  check(text.includes('access_denied') && !text.includes('CANARY'), `the code and no more: ${text}`);
}

await withBrowser(async (open) => {
  await journey(open, site.url);
  await journey(open, site.posted);
  await tabs(open);
  await refused(open);
});
