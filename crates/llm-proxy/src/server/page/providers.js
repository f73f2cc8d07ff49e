// The table of providers, in chain order: state, until when, what is left, today's counts.

import { chip, compact, find, h, icon, keyed, many, number, plain, say, set, show } from './dom.js';
import { withoutStart } from './route.js';
import { clockOf, countDown, sayBefore, span } from './time.js';

/** The states of a provider or deployment, as a word, a shape and a tone. */
export const states = {
  open: { word: 'available', tone: 'good' },
  limited: { word: 'limited', tone: 'warn' },
  failing: { word: 'failing', tone: 'bad' },
  busy: { word: 'busy', tone: 'busy' },
  parked: { word: 'parked', tone: 'bad' },
  off: { word: 'switched off', tone: 'off' },
};

const LIMITS = new Set(['rate_limited', 'tokens_limited', 'daily_limit', 'out_of_credit', 'no_allowance', 'limit_used_up']);
const ORIGINS = { stated: 'stated', learned: 'from its headers', declared: 'your limit', guessed: 'our guess', person: 'set by hand' };
const NARROW = matchMedia('(max-width: 699px)');
const MOST_ROWS = 12;
// Rising: who is limited comes first, then who fails; the others stay in the order of the chain.
const URGENT = ['failing', 'limited'];
const LONG = 70;
const MOST_CLOSED = 3;
const MOST_LEFT_OUT = 3;
const MOST_QUOTAS = 2;

const wantedStates = new Set();
let providers = [];
let allRows = false;
let folded = [];
let onAct = () => {};

/** The state of a deployment. */
export function stateOf(deployment) {
  if (deployment.available) return 'open';
  if (deployment.kind === 'disabled') return 'off';
  if (deployment.state === 'parked' || deployment.state === 'unfit') return 'parked';
  if (deployment.state === 'busy' || deployment.state === 'half_open') return 'busy';
  return LIMITS.has(deployment.kind) ? 'limited' : 'failing';
}

/** The state of a provider: the one of those of its deployments that lets in most. */
export function providerState(provider) {
  if (provider.disabled) return 'off';
  if (provider.available) return 'open';
  const found = new Set(provider.deployments.map(stateOf));
  return ['busy', 'limited', 'failing', 'parked', 'off'].find((state) => found.has(state)) ?? (provider.rate_limited_until ? 'limited' : 'failing');
}

/** A provider's deployment as a short name, empty where it has only one. */
export function shortName(provider, deployment) {
  const { deployments } = provider;
  if (deployments.length < 2) return '';
  const names = [];
  if (deployments.some((one) => one.model !== deployment.model)) names.push(deployment.model);
  if (deployments.some((one) => one.key !== deployment.key)) names.push(`key ${deployment.key ?? 'none'}`);
  return names.join(', ');
}

/** Wires the table; `act(path, provider, button)` carries out a button. */
export function startProviders(act) {
  onAct = act;
  NARROW.addEventListener('change', render);
  find('#all-rows').addEventListener('click', () => {
    allRows = !allRows;
    // Whoever asks for the few anew has no finger on the old ones.
    folded = [];
    render();
    if (allRows) find(`#rows > :nth-child(${MOST_ROWS + 1}) button`)?.focus();
  });
}

/** Shows the providers of a status. */
export function showProviders(status) {
  providers = status.providers;
  render();
  notes(status);
}

function render() {
  const counts = {};
  for (const provider of providers) counts[providerState(provider)] = (counts[providerState(provider)] ?? 0) + 1;
  for (const state of wantedStates) if (!counts[state]) wantedStates.delete(state);
  const chosen = Object.keys(states).filter((state) => counts[state]).map((state) => ({
    state, label: states[state].word, tone: states[state].tone, count: counts[state], pressed: wantedStates.has(state),
  }));
  keyed(find('#states'), chosen.length > 1 ? chosen : [], (one) => one.state, () => chip(({ state }) => {
    if (!wantedStates.delete(state)) wantedStates.add(state);
    render();
  }));
  const listed = providers.map((provider, place) => ({ provider, place }))
    .filter(({ provider }) => wantedStates.size === 0 || wantedStates.has(providerState(provider)));
  const foldable = NARROW.matches && listed.length > MOST_ROWS;
  const cut = foldable && !allRows;
  keyed(find('#rows'), cut ? foremost(listed) : listed, ({ provider }) => provider.name, row);
  show(find('#all-rows'), foldable);
  say(find('#all-rows'), cut ? `Show all ${listed.length}` : 'Show fewer');
  set(find('#all-rows'), 'aria-expanded', String(!cut));
  say(find('#providers-order'), cut ? 'limited ones first' : 'in the order of the chain');
  set(find('#providers'), 'data-many', listed.length > 8);
}

/** The few that a phone shows first. While one of them has the focus, none moves under a finger. */
function foremost(listed) {
  const rank = ({ provider }) => URGENT.indexOf(providerState(provider));
  const rows = find('#rows');
  if (rows.contains(document.activeElement)) {
    const kept = folded.map((name) => listed.find(({ provider }) => provider.name === name)).filter(Boolean);
    if (kept.length === MOST_ROWS) return kept;
  }
  const first = [...listed].sort((one, other) => rank(other) - rank(one)).slice(0, MOST_ROWS);
  folded = first.map(({ provider }) => provider.name);
  return first;
}

function row({ provider: first }) {
  const { name } = first;
  const cells = [nameCell(name), stateCell(), leftCell(), todayCell(), actCell(name)];
  const node = h('tr', { role: 'row' }, ...cells.map((one) => one.node));
  node.show = ({ provider, place }) => {
    set(node, 'data-state', providerState(provider));
    for (const one of cells) one.show(provider, place);
  };
  return node;
}

const cell = (kind, ...children) => h('td', { role: 'cell', class: kind }, ...children);

function nameCell(name) {
  const place = h('span', { class: 'order quiet' });
  const model = h('span', { class: 'model quiet' });
  const node = h('th', { role: 'rowheader', scope: 'row', class: 'provider' }, place, h('span', { class: 'who' }, h('b', {}, name), model));
  return {
    node,
    show(provider, index) {
      say(place, `${index + 1}`);
      set(place, 'title', `priority ${provider.priority}`);
      const models = new Set(provider.deployments.map((one) => one.model));
      const more = models.size > 1 ? ` and ${models.size - 1} more` : '';
      say(model, [provider.tier, `${provider.model ?? ''}${more}`].filter(Boolean).join(' · '));
      set(model, 'title', [...models].join(', '));
    },
  };
}

function stateCell() {
  const shape = icon('open');
  const word = h('span');
  const mark = h('span', { class: 'mark' }, shape, word);
  const until = untilText();
  const reason = h('p', { class: 'reason quiet' });
  const parts = h('ul', { class: 'parts' });
  const all = everything();
  const closedOf = ({ deployments, disabled }) => (disabled || deployments.length < 2 ? [] : deployments.filter((one) => !one.available));
  return {
    node: cell('state', h('p', { class: 'now' }, mark, until), reason, parts, all),
    show(provider) {
      const state = providerState(provider);
      const closed = closedOf(provider);
      shape.show(state);
      set(mark, 'data-tone', states[state].tone);
      say(word, states[state].word);
      until.show(provider.disabled ? null : provider.rate_limited_until, originOf(provider));
      say(reason, reasonOf(provider, state, closed));
      keyed(parts, closed.slice(0, MOST_CLOSED), (one) => `${one.model} ${one.key}`, () => part(provider));
      all.show(provider);
    },
  };
}

function originOf(provider) {
  const same = provider.deployments.find((one) => one.until !== undefined && one.until === provider.rate_limited_until);
  return same?.origin;
}

function reasonOf(provider, state, closed) {
  if (provider.disabled) return 'No request goes there until it is switched on.';
  if (closed.length > MOST_CLOSED) return `${closed.length} of ${provider.deployments.length} keys and models cannot be used now, such as:`;
  if (closed.length > 0) return `${closed.length} of ${provider.deployments.length} keys and models cannot be used now:`;
  if (state !== 'open') return sentence(withoutStart(provider.reason ?? '', plain(provider.deployments[0]?.kind)));
  if (provider.consecutive_errors > 0 && provider.last_error) return `${many(provider.consecutive_errors, 'error')} in a row, the last: ${provider.last_error}`;
  return '';
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** `until 16:40:12, in 3 min 02 s`, and how that is known. */
export function untilText() {
  const clock = h('time', { class: 'clock' });
  const count = h('span', { class: 'count' });
  const origin = h('span', { class: 'quiet' });
  const node = h('span', { class: 'until' }, 'until ', clock, ' ', count, ' ', origin);
  node.show = (time, from) => {
    show(node, Boolean(time));
    countDown(count, time);
    if (!time) return;
    set(clock, 'datetime', time);
    say(clock, clockOf(time));
    say(origin, from ? `(${ORIGINS[from] ?? from})` : '');
  };
  node.show(null);
  return node;
}

function part(provider) {
  const shape = icon('open');
  const word = h('span');
  const name = h('b');
  const mark = h('span', { class: 'mark' }, shape, word);
  const until = untilText();
  const reason = h('p', { class: 'reason quiet' });
  const node = h('li', {}, mark, ' ', name, ' ', until, reason);
  node.show = (deployment) => {
    const state = stateOf(deployment);
    shape.show(state);
    set(mark, 'data-tone', states[state].tone);
    say(word, states[state].word);
    say(name, shortName(provider, deployment));
    until.show(deployment.until, deployment.origin);
    say(reason, deployment.available ? '' : withoutStart(deployment.reason ?? '', plain(deployment.kind)) || plain(deployment.kind));
  };
  return node;
}

/** Every key and model of a provider with all that is said of it, behind a fold. */
function everything() {
  const title = h('summary');
  const list = h('ul', { class: 'parts' });
  const node = h('details', {}, title, list);
  node.show = (provider) => {
    const { deployments } = provider;
    const hidden = deployments.length > 1 || (provider.reason ?? '').length > LONG || quotasOf(provider).length > MOST_QUOTAS || deployments.some((one) => one.known);
    show(node, hidden);
    if (!hidden) return;
    say(title, deployments.length > 1 ? `All ${deployments.length} keys and models` : 'Details');
    set(title, 'aria-label', `${title.textContent} of ${provider.name}`);
    keyed(list, deployments, (one) => `${one.model} ${one.key}`, () => deploymentItem(provider));
  };
  return node;
}

function deploymentItem(provider) {
  const state = part(provider);
  const used = h('span', { class: 'quiet' });
  const known = h('p', { class: 'reason quiet' });
  const quotas = h('ul', { class: 'quotas' });
  const node = h('li', {}, h('ul', { class: 'parts' }, state), used, known, quotas);
  node.show = (deployment) => {
    state.show(deployment);
    const first = deployment.first_token_ms ? `, first token ${span(deployment.first_token_ms)}` : '';
    say(used, `${many(deployment.request_count, 'call')}, ${many(deployment.total_tokens_used, 'token')} today${first}`);
    say(known, deployment.known ?? '');
    keyed(quotas, deployment.quotas.map((quota) => ({ quota, label: '' })), keyOfQuota, quotaItem);
  };
  return node;
}

const WINDOWS = ['month', 'week', 'day', 'unknown', 'hour', 'minute', 'second'];

/** All budgets of a provider that are known, the longest first, then the emptiest. */
export function quotasOf(provider) {
  const list = provider.deployments.flatMap((one) => one.quotas.map((quota) => ({ quota, label: shortName(provider, one) })));
  return list.sort((one, other) => WINDOWS.indexOf(one.quota.per) - WINDOWS.indexOf(other.quota.per) || fullness(one.quota) - fullness(other.quota));
}

/** Whether a budget renews itself so soon that it says little of the day. */
export const isShort = ({ per }) => WINDOWS.indexOf(per) >= WINDOWS.indexOf('minute');

/** How much is left, from 0 to 1; more than 1 where that is not known. */
export function fullness({ limit, remaining }) {
  if (remaining === null || remaining === undefined) return 2;
  if (!limit) return remaining > 0 ? 1.5 : 0;
  return Math.min(1, remaining / limit);
}

const keyOfQuota = ({ quota, label }) => `${label} ${quota.counts} ${quota.per} ${quota.origin}`;

function leftCell() {
  const list = h('ul', { class: 'quotas' });
  const rest = h('p', { class: 'quiet' });
  const forecast = h('p', { class: 'forecast' });
  return {
    node: cell('left', list, rest, forecast),
    show(provider) {
      const quotas = quotasOf(provider);
      const long = quotas.filter(({ quota }) => WINDOWS.indexOf(quota.per) < WINDOWS.indexOf('hour'));
      const first = (long.length > 0 ? long : quotas).slice(0, MOST_QUOTAS);
      keyed(list, first, keyOfQuota, quotaItem);
      const more = long.length - first.length;
      say(rest, quotas.length === 0 ? 'no limit known' : more > 0 ? `and ${more} more, beside` : '');
      show(rest, rest.textContent !== '');
      const told = forecastOf(provider, first);
      say(forecast, told);
      show(forecast, told !== '');
    },
  };
}

/** The forecast, without the amount where a budget above it says the same. */
function forecastOf({ forecast }, listed) {
  const text = forecast ?? '';
  return listed.length > 0 ? sentence(text.replace(/^[\d.,]+ of [\d.,]+ \w+ left (today|this \w+),? */, '')) : text;
}

/** `212 of 1,000 requests`, `3 of 30 requests this minute`; `… left` where no span of time is known. */
function quotaText({ counts, per, limit, remaining }) {
  const isSpan = WINDOWS.includes(per) && per !== 'unknown';
  const what = `${counts}${isSpan && per !== 'day' ? ` this ${per}` : ''}`;
  if (remaining === null || remaining === undefined) return limit ? `${compact(limit)} ${what} allowed` : `${what}: not known`;
  return `${compact(remaining)}${limit ? ` of ${compact(limit)}` : ''} ${what}${isSpan ? '' : ' left'}`;
}

/** A line of a budget with its bar. */
export function quotaItem() {
  const text = h('span', { class: 'amount' });
  const label = h('b');
  const renewed = h('span', { class: 'quiet' });
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' }, h('span'));
  const node = h('li', {}, h('span', { class: 'what' }, label, ' ', text, ' ', renewed), bar);
  node.show = ({ quota, label: name }) => {
    say(label, name);
    say(text, quotaText(quota));
    sayBefore(renewed, (time) => `resets ${clockOf(time)}`, quota.resets_at);
    const full = fullness(quota);
    show(bar, full <= 1);
    set(bar, 'data-tone', full > 0.25 ? 'good' : full > 0.05 ? 'warn' : 'bad');
    const width = `${Math.round(Math.min(1, full) * 100)}%`;
    if (bar.firstChild.style.width !== width) bar.firstChild.style.width = width;
  };
  return node;
}

function todayCell() {
  const calls = figure();
  set(calls.node, 'title', 'What was sent to this provider; a request that rotates is sent more than once');
  const tokens = figure();
  const first = figure();
  return {
    node: cell('today', calls.node, tokens.node, first.node),
    show(provider) {
      const { request_count: count, estimated_tokens: estimated } = provider;
      calls.show(number(count), count === 1 ? 'call' : 'calls');
      tokens.show(`${estimated > 0 ? '≈' : ''}${compact(provider.total_tokens_used)}`, 'tokens');
      set(tokens.node, 'title', estimated > 0 ? `${number(estimated)} of them estimated` : null);
      first.show(provider.first_token_ms ? span(provider.first_token_ms) : '–', 'first token');
    },
  };
}

function figure() {
  const value = h('span');
  const noun = h('span', { class: 'quiet' });
  return {
    node: h('p', {}, value, ' ', noun),
    show(text, name) {
      say(value, text);
      say(noun, name);
    },
  };
}

function actCell(name) {
  const toggle = h('button', { type: 'button' });
  const reset = h('button', { type: 'button', 'aria-label': `Reset ${name}`, title: 'Forget its cooldowns and parked marks' }, 'Reset');
  let disabled = false;
  toggle.addEventListener('click', () => onAct(disabled ? 'enable' : 'disable', name, toggle));
  reset.addEventListener('click', () => onAct('reset', name, reset));
  return {
    node: cell('act', toggle, reset),
    show(provider) {
      disabled = provider.disabled;
      say(toggle, disabled ? 'Enable' : 'Disable');
      set(toggle, 'aria-label', `${disabled ? 'Enable' : 'Disable'} ${name}`);
    },
  };
}

const note = ({ name, text, tone }) => h('p', { class: tone }, name ? h('b', {}, name) : null, h('bdi', {}, text));

const keyOfNote = ({ name, text }) => `${name ?? ''}${text}`;

function notes({ skipped_providers: skipped, state }) {
  const list = [];
  if (state.mode === 'memory') list.push({ tone: 'quiet', text: 'State and history are kept in memory only: a restart forgets them.' });
  if (state.mode === 'read_only') list.push({ tone: 'warn', text: 'The state file cannot be written: a restart forgets what happens now.' });
  if (state.error) list.push({ tone: 'warn', text: `State file: ${state.error}` });
  if (state.dropped_records > 0) list.push({ tone: 'warn', text: `${many(state.dropped_records, 'request')} came too fast to be listed; the counts are right.` });
  const leftOut = skipped.map(({ name, reason }) => ({ tone: 'quiet', name, text: ` is left out: ${reason}` }));
  const folded = leftOut.length > MOST_LEFT_OUT;
  keyed(find('#notes-plain'), folded ? list : [...list, ...leftOut], keyOfNote, note);
  show(find('#notes-folded'), folded);
  say(find('#notes-folded summary'), `${leftOut.length} configured providers are left out`);
  keyed(find('#notes-folded div'), folded ? leftOut : [], keyOfNote, note);
}

