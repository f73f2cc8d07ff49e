// Pictures of the page, taken of the running demo: node docs/images/dashboard.mjs, after `make build` and a first
// `make test`. It needs pngquant to make them small.

import { execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(path.join(here, '../../tests/browser/'))('playwright-core');
const PROXY = process.env.LLM_PROXY ?? path.join(here, '../../target/release/llm-proxy');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** Resolves to the demo's address when its tour is over. */
function toured(demo) {
  return new Promise((resolve) => {
    let base;
    createInterface({ input: demo.stdout }).on('line', (line) => {
      if (line.startsWith('listening on ')) base = line.split(' ').at(-1);
      if (line.startsWith('The proxy goes on serving')) resolve(base);
    });
  });
}

async function ask(base, model, stream) {
  const messages = [{ role: 'user', content: 'Hello' }];
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${base}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify({ model, stream, messages }) });
  await answer.text();
}

async function picture(browser, base, colorScheme) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 760 }, deviceScaleFactor: 1.5, colorScheme });
  const page = await context.newPage();
  await page.goto(base);
  await page.waitForFunction(() => document.querySelectorAll('#feed > li').length > 6 && document.querySelector('#chart rect'));
  const file = path.join(here, `dashboard-${colorScheme}.png`);
  await page.screenshot({ path: file });
  execFileSync('pngquant', ['--force', '--strip', '--output', file, '128', file]);
  await context.close();
}

const demo = spawn(PROXY, ['demo', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const base = await toured(demo);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  await pause(32_000); // until the first provider is open again
  for (const model of ['default', 'gpt-4o']) await ask(base, model, true);
  await pause(1000);
  for (const scheme of ['light', 'dark']) await picture(browser, base, scheme);
  await browser.close();
} finally {
  demo.kill('SIGINT');
}
