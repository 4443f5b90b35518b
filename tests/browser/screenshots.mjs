// Makes docs/images/*.png from `portcullis demo`. From the top of the repository:
//   cargo build && npm ci --prefix tests/browser && node tests/browser/screenshots.mjs
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { signIn, withBrowser } from './browser.mjs';

const program = process.env.PORTCULLIS_PROGRAM ?? 'target/debug/portcullis';
const folder = process.env.IMAGES ?? 'docs/images';
const demo = spawn(program, ['demo', '--listen', '127.0.0.1:0', '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
const line = await new Promise((found) => createInterface({ input: demo.stdout }).once('line', found));
const { url, name, password } = JSON.parse(line);

try {
  await withBrowser(async (open) => {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open({ colorScheme, viewport: { width: 640, height: 520 } });
      const shot = (what) => page.screenshot({ path: `${folder}/${what}-${colorScheme}.png`, caret: 'hide' });
      await page.goto(`${url}/login`);
      await shot('login');
      await signIn(page, name, 'not the password');
      await page.getByRole('alert').waitFor();
      await page.setViewportSize({ width: 320, height: 640 });
      await shot('phone');
    }
  });
} finally {
  demo.kill();
}
