// What the page does, before a stand-in for the proxy.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PHONE, counts, fastest, open, overflow, reads, row, violations } from './browser.mjs';
import { closed, deployment, hop, moment, provider, quota, request, skip, statusOf } from './mock.mjs';
import { WORDS, mocked, rotated, sixty, three, traffic } from './states.mjs';

test('a change of state is seen within a second', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await reads(page, `${row('openrouter')} .state`, /^available$/);
  const [groq, cerebras, openrouter] = mock.status.providers;
  const took = await fastest(async (round) => {
    const until = Date.now() + 600_000 + round * 60_000;
    mock.tell(statusOf([groq, cerebras, provider('openrouter', [deployment(closed('rate_limited', until, 'Slow down.'))])]));
    const time = await reads(page, `${row('openrouter')} .state`, new RegExp(`^limited until ${moment(until).slice(11, 19)} in \\d+ min`));
    mock.tell(statusOf([groq, cerebras, openrouter]));
    return Math.max(time, await reads(page, `${row('openrouter')} .state`, /^available$/));
  });
  assert.ok(took < 1000, `${took} ms`);
  assert.match(await page.title(), /^2 of 3 available/);
});

test('a countdown runs, and what is due is asked for', async (t) => {
  const status = statusOf([provider('groq', [deployment(closed('rate_limited', Date.now() + 9000, 'Slow down.'))])]);
  const mock = await mocked(t, status);
  const page = await open(t, mock.base);
  const count = `${row('groq')} .until .count`;
  await reads(page, count, /^in [4-9] s$/);
  await reads(page, count, /^in [1-3] s$/, 9000);
  mock.status = statusOf([provider('groq')]);
  await reads(page, `${row('groq')} .state`, /^available$/);
});

test('times are those of the proxy, not of the browser', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base, { timezoneId: 'Asia/Tokyo' });
  await reads(page, '#time', new RegExp(`^${moment(Date.now()).slice(11, 15)}`));
  await reads(page, '#zone', /Europe\/Berlin/);
  await reads(page, `${row('groq')} .clock`, new RegExp(mock.status.providers[0].rate_limited_until.slice(11, 19)));
});

test('every hop, the provider’s words and what was skipped are in the feed', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await reads(page, '#feed-none', /No request yet/);
  mock.ended(rotated());
  await reads(page, '#feed > li', /rotated gpt-4o chat, stream groq 429, back in 30 s → then cerebras 200, 412 ms/);
  const text = (await page.locator('#feed > li').first().innerText()).replace(/\s+/g, ' ');
  assert.ok(text.includes(`rate limited until `) && text.includes(WORDS), text);
  assert.match(text, /skipped mistral some-model \(key …a1b2\) daily limit until \S+( \S+)?: Used up\./);
  assert.match(text, /first token 184 ms · 1\.2 s in all · 1,032 tokens/);
  const took = await fastest(async (round) => {
    mock.ended(rotated({ asked: `model-${round}` }));
    return reads(page, '#feed > li', new RegExp(`model-${round}`));
  });
  assert.ok(took < 1000, `${took} ms`);
});

test('the feed is filtered by outcome and provider, and cleared', async (t) => {
  const mock = await mocked(t, three(), { requests: traffic(three(), 200).reverse() });
  const page = await open(t, mock.base);
  const rows = page.locator('#feed > li');
  await page.getByRole('button', { name: /^refused/ }).click();
  assert.deepEqual(new Set(await rows.evaluateAll((list) => list.map((one) => one.dataset.outcome))), new Set(['refused']));
  await page.locator('#by-provider').getByRole('button', { name: /^groq/ }).click();
  for (const text of await rows.locator('.route').allInnerTexts()) assert.match(text, /groq/);
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await counts(rows, 50);
  await counts(page.locator('#filters [aria-pressed="true"]'), 0);
});

test('the feed is shown by fifties, holds 200 and can be paused', async (t) => {
  const mock = await mocked(t, three(), { requests: traffic(three(), 200).reverse() });
  const page = await open(t, mock.base);
  const rows = page.locator('#feed > li');
  await page.waitForFunction(() => document.querySelectorAll('#feed > li').length === 50);
  const more = page.getByRole('button', { name: 'Show older requests' });
  for (const count of [100, 150, 200]) {
    await more.click();
    await counts(rows, count);
  }
  assert.equal(await more.isVisible(), false);
  await page.getByRole('button', { name: 'Pause' }).click();
  const first = await rows.first().innerText();
  mock.ended(rotated({ asked: 'while paused' }));
  await reads(page, '#pause', /^Resume \(1 new\)$/);
  assert.equal(await rows.first().innerText(), first);
  await page.locator('#pause').click();
  await reads(page, '#feed > li', /while paused/);
  await counts(rows, 200);
});

test('a burst of requests leaves the page quick', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await reads(page, '#link', /live/);
  for (let round = 0; round < 10; round += 1) mock.ended(...traffic(three(), 300));
  mock.ended(rotated({ asked: 'the last one' }));
  await reads(page, '#feed > li', /the last one/);
  assert.ok(await page.locator('#feed > li').count() <= 50);
});

test('requests that come before the first state are shown', async (t) => {
  const mock = await mocked(t, three(), { late: true, requests: [rotated()] });
  const page = await open(t, mock.base);
  await reads(page, '#feed > li', new RegExp(`^${mock.requests[0].time.slice(11, 19)} rotated`));
  await reads(page, `${row('groq')} .state`, /^limited/);
  assert.equal(await page.locator('#failed').innerText(), '');
});

test('what the stream could not carry is asked for', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await reads(page, '#link', /live/);
  mock.requests.unshift(rotated({ asked: 'not told' }));
  mock.send('missed', null);
  await reads(page, '#feed > li', /not told/);
});

test('the chart and its table tell the same figures', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await page.waitForSelector('#chart rect');
  assert.match(await page.locator('#chart svg').getAttribute('aria-label'), /^requests by day and provider, 7 days/);
  await page.getByText('The same as a table').click();
  const table = page.locator('#figures table');
  await page.waitForSelector('#figures tbody tr:nth-child(7)');
  await counts(table.locator('tbody tr'), 7);
  const today = moment(Date.now()).slice(0, 10);
  const groq = mock.usage.find((one) => one.day === today && one.provider === 'groq').requests;
  const column = (await table.locator('thead th').allInnerTexts()).indexOf('groq');
  assert.equal(await table.locator('tbody tr').first().locator('th, td').nth(column).innerText(), String(groq));
  const bars = await page.locator('#chart rect title').allTextContents();
  assert.ok(bars.some((text) => text.includes(`groq: ${groq} requests`)), bars.join('; '));
  await page.getByLabel('tokens', { exact: true }).check();
  await reads(page, '#figures caption', /tokens, 7 days/);
  await page.getByLabel('24 hours').check();
  await reads(page, '#figures caption', /tokens, 24 hours/);
  await counts(table.locator('tbody tr'), 24);
});

test('the buttons act, with the keyboard too', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await page.getByRole('button', { name: 'Reload the configuration' }).click();
  await reads(page, '#said', /Configuration reloaded: 3 providers/);
  const toggle = page.locator(`${row('cerebras')} .act button`).first();
  await toggle.focus();
  await page.keyboard.press('Enter');
  await reads(page, `${row('cerebras')} .state`, /^switched off/);
  assert.equal(await toggle.getAttribute('aria-label'), 'Enable cerebras');
  assert.ok(await toggle.evaluate((node) => node === document.activeElement), 'focus stays');
  await page.keyboard.press('Space');
  await reads(page, `${row('cerebras')} .state`, /^available/);
  await page.getByRole('button', { name: 'Reset groq' }).click();
  await page.getByRole('button', { name: 'Reset all' }).click();
  await reads(page, '#said', /^reset done$/);
  assert.deepEqual(mock.done, ['reload', 'disable cerebras', 'enable cerebras', 'reset groq', 'reset']);
});

test('an answer that was overtaken by news covers nothing', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base);
  await reads(page, `${row('cerebras')} .state`, /^available/);
  let release;
  mock.held = new Promise((resolve) => { release = resolve; });
  const asked = page.waitForRequest(/\/status$/);
  await page.getByRole('button', { name: 'Reset groq' }).click();
  await asked;
  mock.tell(statusOf(mock.status.providers.map((one) => (one.name === 'cerebras' ? { ...one, disabled: true, available: false } : one))));
  await reads(page, `${row('cerebras')} .state`, /^switched off/);
  const answered = page.waitForResponse(/\/status$/);
  release();
  await (await answered).finished();
  await page.waitForSelector('[aria-busy]', { state: 'detached' });
  await reads(page, `${row('cerebras')} .state`, /^switched off/);
});

test('a failed action says why and stays until it is dismissed', async (t) => {
  const mock = await mocked(t, three(), { fault: 'the configuration stays as it was: config.yaml:3:5: unknown key `prioritty`, did you mean `priority`?' });
  const page = await open(t, mock.base, { faults: true });
  await page.getByRole('button', { name: 'Reload the configuration' }).click();
  await reads(page, '[role=alert]#failed', /Could not reload: .*config\.yaml:3:5: unknown key `prioritty`/);
  await page.getByRole('button', { name: 'Dismiss' }).click();
  assert.equal(await page.locator('#failed').isVisible(), false);
});

test('a configuration that is not taken is told until it is', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base, { faults: true });
  const reload = page.getByRole('button', { name: 'Reload the configuration' });
  await reload.click();
  await reads(page, '#said', /^Configuration reloaded/);
  const fault = 'config.yaml:3:5: unknown key `prioritty`';
  mock.tell({ ...three(), config_error: fault });
  await reads(page, '[role=status]#config-fault', /^The configuration stays as it was: config\.yaml:3:5: unknown key `prioritty`$/);
  assert.equal(await page.locator('#said').innerText(), '');
  mock.fault = `the configuration stays as it was: ${fault}`;
  await reload.click();
  await reads(page, '#failed', /^Could not reload: .*prioritty/);
  mock.tell({ ...three(), config_error: mock.fault });
  await reads(page, '#config-fault', /^The configuration stays as it was: config\.yaml/);
  assert.deepEqual(await violations(page), []);
  mock.tell(three());
  await reads(page, '#config-fault', /^$/);
  await reads(page, '#failed', /^$/);
});

test('a reload that failed for want of a proxy is forgotten when it is back', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base, { faults: true });
  await reads(page, '#link', /live/);
  const { port } = mock;
  await mock.stop();
  await reads(page, '#link', /the proxy is not running/);
  await page.getByRole('button', { name: 'Reload the configuration' }).click();
  await reads(page, '#failed', /^Could not reload: the proxy is not running/);
  await mock.listen(port);
  await reads(page, '#link', /^live$/);
  await reads(page, '#failed', /^$/);
});

test('what is left is told of the scarcest budgets, also of those without a known span', async (t) => {
  const past = moment(Date.now() - 5000);
  const mock = await mocked(t, statusOf([
    provider('minutes', [deployment({ quotas: [quota(1, 30, { per: 'minute', resets_at: moment(Date.now() + 4000) })] })]),
    provider('full', [deployment({ quotas: [quota(1000, 1000)] })]),
    provider('daily', [deployment({ quotas: [quota(500, 1000)] })]),
    provider('spanless', [deployment({ quotas: [quota(212, 1000, { per: 'unknown', resets_at: past })] })]),
  ]));
  const page = await open(t, mock.base);
  await reads(page, '#glance-left', /^spanless 212 of 1,000 requests left daily 500 of 1,000 requests resets .* minutes 1 of 30 requests this minute resets \S+ 1,648 calls to providers today/);
  await reads(page, `${row('spanless')} .left`, /^212 of 1,000 requests left ?$/);
  await reads(page, '#glance-left', /minutes 1 of 30 requests this minute 1,648 calls/, 8000);
  assert.doesNotMatch(await page.locator('main').innerText(), /unknown/);
});

test('a budget that is full or switched off is not taken for an unknown one', async (t) => {
  const used = provider('used', [deployment({ quotas: [quota(10, 1000)] })], { disabled: true, available: false });
  const mock = await mocked(t, statusOf([used, provider('full', [deployment({ quotas: [quota(1000, 1000)] })])]));
  const page = await open(t, mock.base);
  await reads(page, '#glance-left', /^Nothing used of the budgets that are known\./);
  mock.tell(statusOf([used, provider('other')]));
  await reads(page, '#glance-left', /^Only budgets of providers that are switched off are known\./);
  mock.tell(statusOf([provider('other')]));
  await reads(page, '#glance-left', /^No budget is known yet\./);
});

test('who was passed over was not asked, so the request did not rotate', async (t) => {
  const one = request([hop('cerebras', '200')], { skipped: [skip('groq', 'rate_limited', Date.now() + 60_000, 'rate limited: Slow down.')] });
  const mock = await mocked(t, three(), { requests: [one, rotated()] });
  const page = await open(t, mock.base);
  await reads(page, '#feed > li', /passed over gpt-4o .*cerebras 200, 412 ms skipped groq/);
  await page.getByRole('button', { name: /^rotated 1/ }).click();
  await counts(page.locator('#feed > li'), 1);
});

test('the direction of a text from outside turns nothing beside it, and controls are seen', async (t) => {
  const turned = 'gpt\u202e4o\u2066\u0007 \u05d0\u05d1';
  const status = statusOf([provider(turned, [deployment({ model: turned, key: turned, ...closed('rate_limited', Date.now() + 60_000, turned) }), deployment({ model: 'b' })])], { skipped_providers: [{ name: turned, reason: turned }], config_error: turned });
  const mock = await mocked(t, status, { requests: [request([hop(turned, '429', { kind: turned, detail: turned, model: turned, key: turned }), hop(turned, '200')], { asked: turned, skipped: [skip(turned, turned, null, turned)] })] });
  const page = await open(t, mock.base);
  await reads(page, '#feed .asked', /^gpt‹U\+202E›4o‹U\+2066›‹U\+0007› אב chat, stream$/);
  const [asked, endpoint] = await page.locator('#feed .asked > *').evaluateAll((list) => list.map((node) => node.getBoundingClientRect().left));
  assert.ok(asked < endpoint);
  assert.doesNotMatch(await page.content(), /[\u202a-\u202e\u2066-\u2069\u0007]/);
  const loose = await page.evaluate(() => [...document.querySelectorAll('main :not(title)')]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.includes('202E')))
    .filter((node) => getComputedStyle(node).unicodeBidi !== 'isolate').map((node) => node.outerHTML.slice(0, 120)));
  assert.deepEqual(loose, []);
});

test('a phone shows a dozen of sixty providers, the limited ones first, and all when asked', async (t) => {
  const mock = await mocked(t, sixty());
  const page = await open(t, mock.base, { viewport: PHONE, isMobile: true, hasTouch: true });
  await page.waitForSelector('#rows > tr');
  const rows = page.locator('#rows > tr');
  const first = ['limited', 'limited', 'limited', 'limited', 'limited', 'limited', 'failing', 'failing', 'failing', 'failing', 'failing', 'failing'];
  assert.deepEqual(await rows.evaluateAll((list) => list.map((one) => one.dataset.state)), first);
  await reads(page, '#providers-order', /^limited ones first$/);
  const names = await rows.locator('th b').allInnerTexts();
  // The browser makes a click of a tap in its own time, so each is waited for.
  await rows.nth(6).getByRole('button', { name: /^Reset/ }).tap();
  await page.waitForSelector('#rows button:focus');
  mock.tell(statusOf(mock.status.providers.map((one) => ({ ...one, available: true, deployments: [deployment()] }))));
  await reads(page, '#rows', /available/);
  assert.deepEqual(await rows.locator('th b').allInnerTexts(), names, 'nothing moves under a finger');
  await page.getByRole('button', { name: 'Show all 60' }).tap();
  await page.waitForSelector('#rows > tr:nth-child(60)');
  assert.equal(await overflow(page), '');
  await page.getByRole('button', { name: 'Show fewer' }).tap();
  await page.waitForSelector('#rows > tr:nth-child(13)', { state: 'detached' });
  await counts(rows, 12);
  assert.equal(await rows.first().locator('th b').innerText(), 'provider-01');
});

test('the page outlives a restart of the proxy and catches up', async (t) => {
  const mock = await mocked(t, three(), { requests: [rotated({ asked: 'before' })] });
  const page = await open(t, mock.base, { faults: true });
  await reads(page, '#feed > li', /before/);
  const { port } = mock;
  await mock.stop();
  await reads(page, '#link', /the proxy is not running; trying again; this is the state of \d\d:\d\d:\d\d/);
  assert.ok(await page.locator('#columns').isVisible(), 'what was known stays');
  mock.requests.unshift(rotated({ asked: 'meanwhile' }));
  await mock.listen(port);
  await reads(page, '#link', /^live$/);
  await reads(page, '#feed > li', /meanwhile/);
  mock.ended(rotated({ asked: 'afterwards' }));
  await reads(page, '#feed > li', /afterwards/);
  await counts(page.locator('#feed > li'), 3);
});

test('nothing from outside becomes markup', async (t) => {
  const evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title=\'owned\'</script>' + 'x'.repeat(150);
  const status = statusOf([provider(evil, [deployment({ model: evil, key: evil, ...closed('rate_limited', Date.now() + 60_000, evil) }), deployment({ model: 'b', key: evil })], { forecast: evil })], {
    skipped_providers: [{ name: evil, reason: evil }], config: evil, time_zone: evil, version: evil,
  });
  const bad = rotated({ asked: evil, endpoint: evil, skipped: [skip(evil, evil, null, evil)], hops: [hop(evil, evil, { detail: evil, model: evil, key: evil, kind: evil }), hop(evil, '200', { model: evil })] });
  const mock = await mocked(t, status, { requests: [bad] });
  const page = await open(t, mock.base);
  await page.setViewportSize(PHONE);
  assert.equal(await overflow(page), '');
  await page.getByText('The same as a table').click();
  mock.ended({ ...bad, id: 1 });
  await page.waitForFunction(() => document.querySelectorAll('#feed > li').length === 2);
  await counts(page.locator('img, body script'), 0);
  assert.notEqual(await page.title(), 'owned');
  assert.ok((await page.locator('#rows').innerText()).includes(evil));
});

test('a proxy with keys asks for one and forgets it with the tab', async (t) => {
  const mock = await mocked(t, three(), { key: 'right', requests: [rotated()] });
  const page = await open(t, mock.base, { faults: true });
  const field = page.getByLabel('Key of the proxy');
  await field.fill('wrong');
  await page.keyboard.press('Enter');
  await reads(page, '#lock-fault', /This key was refused/);
  assert.deepEqual(await violations(page), []);
  await field.fill('right');
  await page.getByRole('button', { name: 'Unlock' }).click();
  await reads(page, '#feed > li', /cerebras 200/);
  await page.reload();
  await reads(page, '#feed > li', /cerebras 200/);
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie, Object.keys(sessionStorage).length]), [0, '', 1]);
  mock.key = 'changed';
  await page.getByRole('button', { name: 'Reset all' }).click();
  await field.waitFor();
  assert.equal(await page.locator('#columns').isVisible(), false);
});

test('without a configuration file the page says how to get a provider', async (t) => {
  const mock = await mocked(t, statusOf([], { config: null }));
  const page = await open(t, mock.base);
  await reads(page, '#empty', /Stop the proxy, export a key.*export GROQ_API_KEY=.*llm-proxy init.*llm-proxy demo.*a service does not see the variables of a shell/);
  assert.doesNotMatch(await page.locator('#empty').innerText(), /llm-proxy check|Saving takes effect/);
});

test('without providers the page says what the configuration lacks', async (t) => {
  const mock = await mocked(t, statusOf([], { skipped_providers: [{ name: 'groq', reason: 'GROQ_API_KEY is not set' }] }));
  const page = await open(t, mock.base);
  await reads(page, '#empty', /the \.env beside \/home\/me\/\.config\/llm-proxy\/config\.yaml, such as: GROQ_API_KEY=.*under providers: in the configuration\. Saving takes effect at once\. groq is left out: GROQ_API_KEY is not set.*llm-proxy check.*a service does not see/);
  assert.doesNotMatch(await page.locator('#empty').innerText(), /export|llm-proxy init/);
  mock.tell(three());
  await reads(page, `${row('groq')} .state`, /limited/);
  assert.equal(await page.locator('#empty').isVisible(), false);
});

test('an update touches only what changed', async (t) => {
  const mock = await mocked(t, sixty());
  const page = await open(t, mock.base);
  await page.waitForSelector(row('provider-60'));
  const folded = page.locator(`${row('provider-08')} details`);
  await folded.locator('summary').first().click();
  await page.locator('#providers-scroll').evaluate((node) => { node.scrollTop = 400; });
  const button = page.locator(`${row('provider-12')} .act button`).last();
  await button.focus();
  const top = await page.locator('#providers-scroll').evaluate((node) => node.scrollTop);
  await page.evaluate(() => {
    globalThis.touched = 0;
    const isCount = (change) => change.target.parentElement?.closest('.count') || change.target.closest?.('.count');
    new MutationObserver((list) => { globalThis.touched += list.filter((change) => !isCount(change)).length; })
      .observe(document.querySelector('#rows'), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  const providers = mock.status.providers.map((one, place) => (place === 30 ? { ...one, request_count: 413 } : one));
  mock.tell({ ...mock.status, providers });
  await reads(page, `${row('provider-31')} .today`, /^413 calls/);
  assert.ok(await page.evaluate(() => globalThis.touched) <= 4);
  assert.ok(await button.evaluate((node) => node === document.activeElement), 'focus stays');
  assert.equal(await page.locator('#providers-scroll').evaluate((node) => node.scrollTop), top);
  assert.ok(await folded.evaluate((node) => node.open), 'what was unfolded stays so');
});

test('providers are shown by state', async (t) => {
  const mock = await mocked(t, sixty());
  const page = await open(t, mock.base);
  await page.locator('#states').getByRole('button', { name: /^parked/ }).click();
  for (const text of await page.locator('#rows > tr .state').allInnerTexts()) assert.match(text, /^\s*parked/);
  await counts(page.locator('#rows > tr'), 6);
});

test('a hidden tab does nothing', async (t) => {
  const mock = await mocked(t);
  const page = await open(t, mock.base, { script: "Object.defineProperty(document, 'hidden', { value: true, configurable: true })" });
  await reads(page, '#link', /connecting/);
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await hide(false);
  await reads(page, '#link', /live/);
  await hide(true);
  const count = await page.locator('#time').innerText();
  await page.waitForTimeout(1500);
  assert.equal(await page.locator('#time').innerText(), count);
  await hide(false);
  assert.notEqual(await page.locator('#time').innerText(), count);
});
