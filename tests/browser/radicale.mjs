// Signs in with a browser, uses Radicale behind the gateway, signs out.
import { check, same, signIn, site, withBrowser } from './browser.mjs';

const whoAmI = (page) => page.evaluate(async () => {
  const body = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>';
  const answer = await fetch('/', { method: 'PROPFIND', headers: { Depth: '0', 'Remote-User': 'mallory' }, body });
  return `${answer.status} ${await answer.text()}`;
});

await withBrowser(async (open) => {
  const page = await open();
  await page.goto(`${site.url}/.web/`);
  check(page.url().startsWith(`${site.url}/login?return_to=`), `a stranger is sent to the login, not ${page.url()}`);

  await signIn(page, 'alice', 'wrong password');
  await page.getByRole('alert').waitFor();
  await signIn(page, 'alice', site.password);
  await page.waitForURL(`${site.url}/.web/`);
  check(/Radicale/i.test(await page.title()), `Radicale's page is shown, not ${await page.title()}`);

  const me = await whoAmI(page);
  check(me.startsWith('207') && me.includes('/alice/'), `Radicale takes alice for alice: ${me}`);
  const made = await page.evaluate(async () => (await fetch('/alice/work/', { method: 'MKCALENDAR' })).status);
  same(made, 201, 'a calendar is made');
  const theirs = await page.evaluate(async () => (await fetch('/bob/work/', { method: 'MKCALENDAR' })).status);
  same(theirs, 403, 'and none for somebody else');
  const cookies = await page.context().cookies();
  same(cookies.map((c) => [c.httpOnly, c.sameSite]), [[true, 'Lax']], 'one cookie that no script reads');

  await page.goto(`${site.url}/logout`);
  await page.waitForURL(`${site.url}/login`);
  same(await page.context().cookies(), [], 'no cookie is left');
  // Not the page itself: the browser may keep Radicale's answers for a while.
  await page.goto(`${site.url}/alice/`);
  check(page.url().startsWith(`${site.url}/login?return_to=`), 'after the logout the login is asked for again');
  const other = await open();
  const headers = { 'Remote-User': 'alice' };
  const refused = await other.request.fetch(`${site.url}/alice/`, { method: 'PROPFIND', headers });
  same(refused.status(), 401, 'and nobody else reaches Radicale');
});
