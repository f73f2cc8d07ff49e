// The page of the proxy: what it knows, live. It shows no key and no prompt, for it is sent none.

import { find, h, keyed, say, set, show } from './dom.js';
import { addRequest, catchUp, startFeed } from './feed.js';
import { showGlance, showLatest, startGlance } from './glance.js';
import { Locked, follow, hasKey, keepKey, read, tell } from './link.js';
import { showProviders, startProviders } from './providers.js';
import { withoutStart } from './route.js';
import { clockOf, inZone, proxyNow, setClock, watchTime } from './time.js';
import { startUsage, usageChanged } from './usage.js';

const HISTORY = 200;
const GOOD_NEWS = 6000;
const AGAIN = { first: 2000, most: 30_000 };
const MISSED = 2000;

let status = null;
const again = { at: 0, wait: 0 };
let missed = null;
let quiet = null;
let announced = { path: null, isBad: false };
let lastFault = null;

function showStatus(next) {
  status = next;
  setClock(next.now, next.today);
  showClock(inZone(proxyNow()));
  say(find('#zone'), zoneOf(next));
  const none = next.providers.length === 0;
  show(find('#empty'), none);
  show(find('#columns'), !none);
  show(find('#glance'), !none);
  show(find('nav'), !none);
  show(find('header .buttons'), true);
  document.title = `${next.available_providers} of ${next.total_providers} available · llm-proxy`;
  empty(next);
  configFault(next.config_error ?? null);
  showProviders(next);
  showGlance(next);
  about(next);
}

/** What helps differs by whether there is a file to write a key beside. */
function empty({ config, skipped_providers: skipped }) {
  show(find('#empty-listed'), config !== null);
  show(find('#empty-bare'), config === null);
  say(find('#empty-config'), config ?? '');
  keyed(find('#empty-skipped'), skipped, ({ name, reason }) => `${name} ${reason}`,
    ({ name, reason }) => h('li', {}, h('b', {}, name), ' is left out: ', h('bdi', {}, reason)));
}

/** Why a saved configuration was not taken; what was said of another one before is no longer true. */
function configFault(fault) {
  if (fault !== lastFault && announced.path === 'reload' && announced.isBad === (fault === null)) announce('', false);
  lastFault = fault;
  const kept = 'the configuration stays as it was: ';
  say(find('#config-fault'), fault === null ? '' : `T${kept.slice(1)}${withoutStart(fault, kept)}`);
}

/** Its name, or its offset where it has none. */
const zoneOf = (told) => told.time_zone ?? `UTC${told.now.slice(19)}`;

function about(told) {
  const { version, config, state, streams_saved: saved } = told;
  say(find('#about'), [
    `llm-proxy ${version}`,
    config ? `configuration ${config}` : 'no configuration file',
    state.mode === 'file' ? `state in ${state.file}` : '',
    `times in ${zoneOf(told)}`,
    saved > 0 ? `${saved} cut streams continued` : '',
  ].filter(Boolean).join(' · '));
}

/** Says the outcome of an action: good news for a while, bad news until it is dismissed. */
function announce(text, isBad, path = null) {
  clearTimeout(quiet);
  announced = { path, isBad };
  say(find('#said'), isBad ? '' : text);
  say(find('#failed'), isBad ? text : '');
  set(find('#word'), 'data-empty', text === '');
  show(find('#dismiss'), text !== '');
  if (!isBad && text !== '') quiet = setTimeout(announce, GOOD_NEWS, '', false);
}

async function act(path, provider, button) {
  if (button.getAttribute('aria-busy')) return;
  set(button, 'aria-busy', 'true');
  const what = [path, provider ?? ''].join(' ').trim();
  try {
    const said = await tell(path, provider ? { provider } : {});
    announce(provider ? `${provider}: ${said}` : said, false, path);
    await refresh();
  } catch (error) {
    if (error instanceof Locked) locked();
    else announce(`Could not ${what}: ${error.message}`, true, path);
  } finally {
    set(button, 'aria-busy', null);
  }
}

const showClock = (now) => say(find('#time'), status ? now.slice(11) : '');

/** What was told while the answer was on its way is newer, or will be followed by what is. */
async function refresh() {
  const before = status;
  const next = await read('status');
  if (status === before) showStatus(next);
}

/**
 * When a countdown is over, or the day, it asks what is true now, should the proxy have had no
 * reason to say so; ever more seldom if that changes nothing.
 */
function second(now, due) {
  showClock(now);
  if (!due) again.wait = AGAIN.first;
  if (!due || Date.now() < again.at || document.body.dataset.link !== 'live') return;
  again.at = Date.now() + again.wait;
  again.wait = Math.min(again.wait * 2, AGAIN.most);
  refresh().catch(() => {});
}

function heard(name, data) {
  if (name === 'status') showStatus(data);
  // More came than the stream could carry.
  if (name === 'missed') missed ??= setTimeout(opened, MISSED);
  if (name === 'request') {
    addRequest(data);
    usageChanged();
  }
}

/** After a start or a break: what was missed is read. */
async function opened() {
  clearTimeout(missed);
  missed = null;
  try {
    // Only with a status is it known which day it is for the proxy.
    if (status === null) await refresh();
    await catchUp(async () => (await read(`requests?limit=${HISTORY}`)).requests);
  } catch (error) {
    if (error instanceof Locked) return;
    announce(`The past requests cannot be read: ${error.message}`, true);
  }
  usageChanged();
}

function linked(state, words) {
  const isBack = state === 'live' && document.body.dataset.link === 'down';
  // It failed for want of a proxy; why a file is not taken is in the state.
  if (isBack && announced.path === 'reload' && announced.isBad) announce('', false);
  document.body.dataset.link = state;
  set(find('#link'), 'data-state', state);
  const since = state === 'down' && status ? `; this is the state of ${clockOf(status.now)}` : '';
  say(find('#link .word'), words + since);
  if (state === 'locked') locked();
  if (state === 'live') {
    show(find('#lock'), false);
    say(find('#lock-fault'), '');
  }
}

function locked() {
  for (const part of ['#glance', '#columns', '#empty', 'nav', 'header .buttons']) show(find(part), false);
  say(find('#config-fault'), '');
  if (hasKey()) say(find('#lock-fault'), 'This key was refused.');
  keepKey(null);
  if (!find('#lock').hidden) return;
  show(find('#lock'), true);
  find('#key').focus();
}

function start() {
  say(find('#base'), `${location.origin}${location.pathname.replace(/\/$/, '')}/v1`);
  startProviders(act);
  startGlance();
  startFeed(showLatest);
  startUsage();
  watchTime(second);
  const retry = follow({ heard, opened, changed: linked });
  find('#reload').addEventListener('click', (event) => act('reload', null, event.currentTarget));
  find('#reset').addEventListener('click', (event) => act('reset', null, event.currentTarget));
  find('#dismiss').addEventListener('click', () => announce('', false));
  find('#lock form').addEventListener('submit', (event) => {
    event.preventDefault();
    keepKey(find('#key').value.trim());
    find('#key').value = '';
    retry();
  });
}

start();
