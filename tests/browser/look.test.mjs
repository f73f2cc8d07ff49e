// How the page looks and reads, before a stand-in for the proxy.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DESKTOP, PHONE, open, overflow, reads, violations } from './browser.mjs';
import { statusOf } from './mock.mjs';
import { mocked, rotated, sixty, three, traffic } from './states.mjs';

for (const [name, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  test(`the first screen of a ${name} answers the three questions`, async (t) => {
    const status = three();
    const mock = await mocked(t, status, { requests: [rotated()] });
    const page = await open(t, mock.base, { viewport });
    const until = status.providers[0].rate_limited_until.slice(11, 19);
    await reads(page, '#glance-limited', new RegExp(`groq until ${until} in \\d+ (min \\d\\d )?s`));
    await reads(page, '#glance-left', /groq 212 of 1,000 requests/);
    await reads(page, '#glance-latest', /groq 429, back in 30 s → then cerebras 200, 412 ms/);
    await reads(page, '#glance-latest', /skipped mistral .*daily limit until .*: Used up\./);
    const seen = await page.locator('#glance-latest').evaluate((node) => node.getBoundingClientRect().bottom);
    assert.ok(seen <= viewport.height, `${seen}`);
  });
}

const made = { 0: () => statusOf([], { config_error: 'config.yaml:3:5: unknown key `prioritty`' }), 3: three, 60: sixty };
for (const [count, make] of Object.entries(made)) {
  for (const scheme of ['light', 'dark']) {
    test(`${count} providers are accessible and fit a phone, ${scheme}`, async (t) => {
      const status = make();
      const requests = status.providers.length > 0 ? traffic(status, 60).reverse() : [];
      const mock = await mocked(t, status, { requests });
      const page = await open(t, mock.base, { scheme });
      await reads(page, '#link', /live/);
      if (requests.length > 0) await page.waitForSelector('#feed > li');
      await page.evaluate(() => [...document.querySelectorAll('details')].slice(-12).forEach((fold) => { fold.open = true; }));
      if (scheme === 'light') assert.deepEqual(await violations(page), []);
      for (const viewport of [PHONE, { width: 320, height: 600 }, { width: 768, height: 1024 }]) {
        await page.setViewportSize(viewport);
        await page.waitForTimeout(50);
        assert.equal(await overflow(page), '', `${viewport.width}`);
      }
      await page.setViewportSize(PHONE);
      if (scheme === 'dark') assert.deepEqual(await violations(page), []);
    });
  }
}
