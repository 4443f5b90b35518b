// Starts Debian's Chromium without what would look for the world outside, and says what
// failed. What may not come in: what a page should be like.
import { chromium } from 'playwright-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Run by the tests as root in a container too, where Chromium's own sandbox cannot be.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

// Several processes that start on a machine which does much else.
const PATIENCE = 120_000;

// One browser with an empty profile for `work`, which is given a function that opens a
// page in a context of its own.
export async function withBrowser(work) {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-browser-'));
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({
    executablePath,
    args: FLAGS,
    env: { ...process.env, HOME: folder },
    timeout: PATIENCE,
  });
  const contexts = [];
  const open = async (options = {}) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(PATIENCE);
    contexts.push(context);
    const page = await context.newPage();
    page.complaints = [];
    // What a page's policy refuses, and what Chromium finds wrong with its forms.
    page.on('console', (message) => {
      const text = message.text();
      if (/Refused to|Content Security Policy|\[DOM\]/.test(text)) page.complaints.push(text);
    });
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    return page;
  };
  try {
    await work(open);
  } finally {
    for (const context of contexts) await context.close();
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

export function same(found, wanted, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  check(a === b, `${what}: found ${a}, wanted ${b}`);
}

export async function signIn(page, name, password) {
  await page.getByLabel('Name or e-mail').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

// What the test that runs this script says about its gateway.
export const site = JSON.parse(process.env.SITE ?? '{}');
