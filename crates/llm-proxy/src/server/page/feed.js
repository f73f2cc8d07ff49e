// The live list of requests. It holds the newest 200, shows them by fifties, and touches the
// document at most four times a second.

import { chip, find, h, keyed, number, say, set, show } from './dom.js';
import { figures, outcomeMark, outcomeOf, outcomes, route, why } from './route.js';
import { clockOf } from './time.js';

const MOST = 200;
const PAGE = 50;
const EVERY = 250;
const MOST_CHIPS = 8;

let requests = [];
let waiting = [];
let shown = PAGE;
let paused = false;
let catching = false;
let allChips = false;
let timer = null;
let onLatest = () => {};
const wanted = { provider: new Set(), outcome: new Set() };

const keyOf = (request) => `${request.id} ${request.time}`;

/** Wires the feed; `latest(request)` is called with the newest one. */
export function startFeed(latest) {
  onLatest = latest;
  find('#pause').addEventListener('click', () => {
    paused = !paused;
    set(find('#pause'), 'aria-pressed', String(paused));
    flush();
  });
  find('#more').addEventListener('click', () => {
    shown += PAGE;
    render();
  });
  find('#filters').append(
    h('div', { class: 'chips', id: 'by-outcome', role: 'group', 'aria-label': 'Show requests by outcome' }),
    h('div', { class: 'chips', id: 'by-provider', role: 'group', 'aria-label': 'Show requests by provider' }),
  );
  render();
}

/** Takes one request that has just ended. */
export function addRequest(request) {
  waiting.push(request);
  if (waiting.length > 2 * MOST) waiting = waiting.slice(-MOST);
  timer ??= setTimeout(flush, EVERY);
}

/** Takes the list of the newest ones, after a start or a break; events wait for it meanwhile. */
export async function catchUp(load) {
  catching = true;
  try {
    waiting = [...await load()].reverse().concat(waiting);
  } finally {
    catching = false;
    flush();
  }
}

function flush() {
  clearTimeout(timer);
  timer = null;
  if (catching) return;
  // Newest first. Numbers may begin anew with the proxy, so the order is that of coming.
  const all = [...new Map([...waiting].reverse().concat(requests).map((one) => [keyOf(one), one])).values()];
  if (all.length > 0) onLatest(all[0]);
  if (paused) {
    label();
    return;
  }
  waiting = [];
  requests = all.slice(0, MOST);
  render();
}

const touches = (request, provider) => request.provider === provider || request.hops.some((hop) => hop.provider === provider);

const passes = (request) => (wanted.outcome.size === 0 || wanted.outcome.has(outcomeOf(request)))
  && (wanted.provider.size === 0 || [...wanted.provider].some((provider) => touches(request, provider)));

function render() {
  const matching = requests.filter(passes);
  const page = matching.slice(0, shown);
  const feed = find('#feed');
  // What a person is reading is not taken away below the end of the page.
  const held = feed.contains(document.activeElement) ? document.activeElement.closest('#feed > li').request : null;
  if (held && !page.includes(held)) page.push(held);
  keyed(feed, page, keyOf, item);
  show(find('#more'), matching.length > shown);
  const filtered = wanted.outcome.size + wanted.provider.size > 0;
  say(find('#feed-none'), matching.length > 0 ? '' : nothing(filtered));
  show(find('#feed-none'), matching.length === 0);
  chips(filtered);
  label();
}

const nothing = (filtered) => (filtered
  ? 'None of the newest requests matches these filters.'
  : 'No request yet. The next one appears here, with each provider that was tried and why.');

function label() {
  const known = new Set(requests.map(keyOf));
  const count = waiting.filter((one) => !known.has(keyOf(one))).length;
  say(find('#pause'), !paused ? 'Pause' : count === 0 ? 'Resume' : `Resume (${number(Math.min(count, MOST))} new)`);
}

function item(request) {
  const asked = request.asked || 'default';
  const node = h('li', { 'data-outcome': outcomeOf(request) },
    h('p', { class: 'line' },
      h('time', { datetime: request.time }, clockOf(request.time)),
      outcomeMark(request),
      h('span', { class: 'asked' }, h('bdi', {}, asked), ' ', h('span', { class: 'quiet' }, `${request.endpoint}${request.stream ? ', stream' : ''}`))),
    route(request),
    why(request),
    h('p', { class: 'quiet figures' }, figures(request)));
  node.request = request;
  return node;
}

function chips(filtered) {
  const byOutcome = Object.entries(outcomes).map(([value, { word, tone }]) => ({
    value, label: word, tone, pressed: wanted.outcome.has(value), count: requests.filter((one) => outcomeOf(one) === value).length,
  }));
  const kept = byOutcome.filter((one) => one.count > 0 || one.pressed);
  if (filtered) kept.push({ value: 'clear', label: 'Clear filters', clear: true });
  keyed(find('#by-outcome'), requests.length > 0 || filtered ? kept : [], (one) => one.value, (one) => (one.clear ? clearButton() : chip(toggle('outcome'))));
  keyed(find('#by-provider'), providerChips(), (one) => one.value, (one) => (one.more ? moreButton() : chip(toggle('provider'))));
}

function providerChips() {
  const counts = new Map([...wanted.provider].map((name) => [name, 0]));
  for (const request of requests) {
    for (const name of new Set(request.hops.map((hop) => hop.provider))) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const all = [...counts].map(([name, count]) => ({ value: `p ${name}`, label: name, name, count, pressed: wanted.provider.has(name) }));
  // In the order of the alphabet, so that no chip jumps away under a finger.
  const byName = (one, other) => one.name.localeCompare(other.name);
  if (all.length <= MOST_CHIPS || allChips) {
    const list = all.sort(byName);
    return all.length > MOST_CHIPS ? [...list, { value: 'more', more: true, label: 'Fewer' }] : list;
  }
  const often = all.sort((one, other) => other.pressed - one.pressed || other.count - one.count).slice(0, MOST_CHIPS);
  return [...often.sort(byName), { value: 'more', more: true, label: `${all.length - MOST_CHIPS} more` }];
}

const toggle = (group) => (chosen) => {
  const value = chosen.name ?? chosen.value;
  if (!wanted[group].delete(value)) wanted[group].add(value);
  shown = PAGE;
  render();
};

function clearButton() {
  return button(() => {
    wanted.provider.clear();
    wanted.outcome.clear();
    find('#by-outcome button').focus();
    render();
  });
}

function moreButton() {
  const node = button(() => {
    allChips = !allChips;
    render();
  });
  const { show: relabel } = node;
  node.show = (one) => {
    relabel(one);
    set(node, 'aria-expanded', String(allChips));
  };
  return node;
}

function button(onPress) {
  const node = h('button', { type: 'button', class: 'link' });
  node.addEventListener('click', onPress);
  node.show = (one) => say(node, one.label);
  return node;
}
