// The page before the real proxy.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fastest, open, reads, row, violations } from './browser.mjs';
import { Proxy } from './processes.mjs';

const limited = { script: [{ status: 429, headers: { 'retry-after': '30' }, json: { error: { message: 'Slow down, <b>friend</b>.' } } }] };

test('a rotation is seen as it happens', async (t) => {
  const proxy = await Proxy.start(t, 2);
  const page = await open(t, proxy.base);
  await reads(page, `${row('first')} .state`, /^available$/);
  await proxy.upstreams[0].order(limited);
  assert.equal(await proxy.ask(), 200);
  await reads(page, '#feed > li', /rotated gpt-4o chat first 429, back in (29|30) s → then second 200, \d+ m?s/);
  await reads(page, `${row('first')} .state`, /^limited until \d\d:\d\d:\d\d in (2\d|30) s \(stated\)/);
  await reads(page, '#feed > li .why', /first first-model .*rate limited until .*: “?Slow down, <b>friend<\/b>\./);
  await reads(page, '#glance-limited', /first until/);
  assert.equal(await proxy.ask(), 200);
  await reads(page, '#feed > li .why', /skipped first first-model .*rate limited until/);
  await reads(page, '#feed > li .mark', /^passed over$/);
  await reads(page, `${row('second')} .today`, /^2 calls/);
  const took = await fastest(async (round) => {
    assert.equal(await proxy.ask(`model-${round}`), 200);
    const feed = await reads(page, '#feed > li', new RegExp(`model-${round}`));
    return feed + await reads(page, `${row('second')} .today`, new RegExp(`^${3 + round} calls`));
  });
  assert.ok(took < 1000, `${took} ms`);
  assert.doesNotMatch(await page.content(), /secret-of|a prompt that/);
  assert.deepEqual(await violations(page), []);
});

test('usage is charted', async (t) => {
  const proxy = await Proxy.start(t, 1);
  for (let call = 0; call < 3; call += 1) assert.equal(await proxy.ask(), 200);
  const page = await open(t, proxy.base);
  await reads(page, '#usage-total', /7 days: 3 requests answered, 0 failed attempts/, 15_000);
  assert.match(await page.locator('#chart rect title').first().textContent(), /first: 3 requests/);
  for (const span of ['24 hours', '30 days']) {
    await page.getByLabel(span).check();
    await reads(page, '#usage-total', new RegExp(`${span}: 3 requests answered`));
  }
});

test('the buttons act on the proxy', async (t) => {
  const proxy = await Proxy.start(t, 2);
  const page = await open(t, proxy.base, { faults: true });
  await page.getByRole('button', { name: 'Disable first' }).click();
  await reads(page, `${row('first')} .state`, /^switched off/);
  assert.equal(await proxy.ask(), 200);
  await reads(page, '#feed > li', /second 200/);
  await page.getByRole('button', { name: 'Enable first' }).click();
  await reads(page, `${row('first')} .state`, /^available$/);
  await proxy.upstreams[0].order(limited);
  await proxy.ask();
  await reads(page, `${row('first')} .state`, /^limited/);
  await page.getByRole('button', { name: 'Reset first' }).click();
  await reads(page, `${row('first')} .state`, /^available/);
  await proxy.write('providers: [');
  await page.getByRole('button', { name: 'Reload the configuration' }).click();
  await reads(page, '#failed', /Could not reload: .*config\.yaml/);
  await proxy.configure(['first']);
  await page.getByRole('button', { name: 'Reload the configuration' }).click();
  await reads(page, '#said', /reloaded: 1 provider/);
  await page.waitForFunction(() => document.querySelectorAll('#rows > tr').length === 1);
});

test('the page outlives the proxy', async (t) => {
  const proxy = await Proxy.start(t, 1);
  assert.equal(await proxy.ask('before'), 200);
  const page = await open(t, proxy.base, { faults: true });
  await reads(page, '#feed > li', /before/);
  await proxy.stop();
  await reads(page, '#link', /the proxy is not running; trying again/);
  await proxy.run(proxy.port);
  assert.equal(await proxy.ask('after'), 200);
  await reads(page, '#link', /^live$/);
  await reads(page, '#feed > li', /after/);
});

test('a proxy with keys shows nothing without one', async (t) => {
  const proxy = await Proxy.start(t, 1, { server: { api_keys: ['open-sesame'] } });
  proxy.key = 'open-sesame';
  assert.equal(await proxy.ask(), 200);
  const page = await open(t, proxy.base, { faults: true });
  await page.getByLabel('Key of the proxy').fill('open-sesame');
  await page.keyboard.press('Enter');
  await reads(page, '#feed > li', /first 200/);
});

test('the page’s files are served with strict headers, and once', async (t) => {
  const proxy = await Proxy.start(t, 1);
  for (const name of ['', 'page/app.js', 'page/style.css']) {
    const headers = { accept: 'text/html' };
    const answer = await fetch(proxy.base + name, { headers });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-security-policy'), /^default-src 'none'; script-src 'self';/);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    const again = await fetch(proxy.base + name, { headers: { ...headers, 'if-none-match': answer.headers.get('etag') } });
    assert.equal(again.status, 304);
  }
  assert.equal((await fetch(`${proxy.base}page/home.rs`)).status, 404);
});
