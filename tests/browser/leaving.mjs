// Where the gateway sends a browser that asked to go elsewhere, read as Chromium reads
// addresses: hundreds of ways to write another origin, and none leads there.
import { check, site, withBrowser } from './browser.mjs';

const BEGINNINGS = [
  '/', '//', '///', '////', '/\\', '\\', '\\\\', '/\\/', '\\/', '/%2f', '/%2F/', '/%5c', '/%09/', '/\t/', '/\n/', '/\r/', '\t//', ' //',
  '/./', '/.//', '/..//', '/;//', '/%2e%2f/', '//%2f', '/%252f', '/?//', '/#//', '/\u2044/', '/\u3000/', '/%00/',
  'https://', 'HTTPS://', 'https:', 'https:/', 'https:\\', 'http:///', 'http:\\\\', 'javascript:', 'data:text/html,', 'ftp://', '//https://',
];
const HOSTS = [
  'evil.test', 'evil.test:80', 'user@evil.test', 'evil\u3002test', 'evil%E3%80%82test', '[::1]', '0x7f000001', 'evil.test%00.x', '127.0.0.1@evil.test',
];
const ENDS = ['', '/app', '?x=/'];

await withBrowser(async (open) => {
  const page = await open();
  await page.goto(`${site.url}/login`);
  const asked = BEGINNINGS.flatMap((a) => HOSTS.flatMap((b) => ENDS.map((c) => a + b + c)));
  check(asked.length > 1000, `${asked.length} ways`);
  const targets = [];
  for (const way of asked) {
    const url = `${site.url}/logout?return_to=${encodeURIComponent(way)}`;
    const answer = await page.context().request.fetch(url, { maxRedirects: 0, headers: { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Site': 'none' } });
    targets.push(answer.headers().location ?? 'https://nowhere.test');
  }
  const origins = await page.evaluate((all) => all.map((text) => new URL(text, location.href).origin), targets);
  const left = asked.filter((_, at) => origins[at] !== site.url);
  check(left.length === 0, `${left.length} of ${asked.length}:\n${left.slice(0, 20).map((way) => JSON.stringify(way)).join('\n')}`);
});
