// A browser for the tests. Whatever a test does, its page must log no error, ask no other host
// and keep within the rules of its content security policy.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after } from 'node:test';

import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

const cleanups = new WeakMap();

/** Does something when the test is over, the latest first. */
export function later(t, cleanup) {
  if (!cleanups.has(t)) {
    cleanups.set(t, []);
    t.after(async () => {
      for (const one of cleanups.get(t).reverse()) await one();
    });
  }
  cleanups.get(t).push(cleanup);
}

let browser = null;
after(() => browser?.close());

/** Opens an address; `faults` says that the test makes calls fail, which the browser logs. */
export async function open(t, address, { viewport = DESKTOP, scheme = 'light', faults = false, script, ...more } = {}) {
  browser ??= await chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });
  const context = await browser.newContext({ viewport, colorScheme: scheme, ...more });
  if (script) await context.addInitScript(script);
  const page = await context.newPage();
  const wrong = [];
  page.on('console', (message) => {
    const expected = faults && message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !expected) wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('request', (request) => {
    const { origin } = new URL(request.url());
    if (origin !== new URL(address).origin && !request.url().startsWith('data:')) wrong.push(`asked ${request.url()}`);
  });
  page.setDefaultTimeout(10_000);
  later(t, async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  await page.goto(address);
  return page;
}

/** Waits until there are so many of a locator's elements; a click takes effect in its own time. */
export async function counts(locator, expected, timeout = 5000) {
  const started = Date.now();
  let seen = await locator.count();
  while (seen !== expected && Date.now() - started <= timeout) {
    await locator.page().waitForTimeout(20);
    seen = await locator.count();
  }
  assert.equal(seen, expected, String(locator));
}

/** Waits until an element's text matches; says what it was if it never does. */
export async function reads(page, selector, pattern, timeout = 5000) {
  const started = Date.now();
  for (;;) {
    const text = (await page.locator(selector).first().innerText({ timeout }).catch(() => '')).replace(/\s+/g, ' ');
    if (pattern.test(text)) return Date.now() - started;
    if (Date.now() - started > timeout) assert.match(text, pattern, selector);
    await page.waitForTimeout(20);
  }
}

/** The rules of accessibility that a page breaks. */
export async function violations(page) {
  // The policy of the page forbids a script of ours, so it comes in from outside.
  const { readFile } = await import('node:fs/promises');
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations: found } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
  return found.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
}

/** Whether anything sticks out. */
export const overflow = (page) => page.evaluate(() => {
  const root = document.documentElement;
  const end = Math.max(...[...document.body.children].map((node) => node.getBoundingClientRect().bottom + scrollY));
  if (root.scrollHeight > Math.max(end, root.clientHeight) + 1) return `the page is ${root.scrollHeight} high`;
  if (root.scrollWidth > root.clientWidth) return `the page is ${root.scrollWidth} wide`;
  const scrolled = (node) => node && (getComputedStyle(node).overflowX === 'auto' || scrolled(node.parentElement));
  const visible = [...document.querySelectorAll('body *')].filter((node) => node.checkVisibility() && !node.closest('.unseen, .skip, svg'));
  const out = visible.find((node) => node.getBoundingClientRect().right > root.clientWidth + 1 && !scrolled(node.parentElement));
  return out ? `${out.tagName} ${out.className} ${out.textContent.slice(0, 40)}` : '';
});

/** The row of a provider in the table. */
export const row = (name) => `#rows > tr:has(th b:text-is("${name}"))`;

/** The least time of three that something took, since a loaded machine may hold up any one. */
export async function fastest(measure) {
  const times = [];
  for (let round = 0; round < 3; round += 1) times.push(await measure(round));
  return Math.min(...times);
}
