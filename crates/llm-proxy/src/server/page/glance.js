// Three questions, answered on the first screen: who is limited until when, what is left today,
// and why the latest request went where it went.

import { compact, find, h, icon, keyed, many, say, set, show } from './dom.js';
import { fullness, isShort, providerState, quotaItem, quotasOf, shortName, stateOf, states, untilText } from './providers.js';
import { figures, outcomeMark, outcomeOf, route, why } from './route.js';
import { clockOf, sayBefore } from './time.js';

const MOST = 3;

const parts = {};

/** Wires the three tiles. */
export function startGlance() {
  parts.limited = tile('limited');
  parts.left = tile('left');
  say(find('#glance-latest'), 'None yet.');
}

function tile(name) {
  const lead = h('p', { class: 'lead' });
  const list = h('ul');
  const rest = h('p', { class: 'quiet' });
  find(`#glance-${name}`).append(lead, list, rest);
  return { lead, list, rest };
}

const put = (node, text) => {
  say(node, text);
  show(node, text !== '');
};

/** Shows the first two answers. */
export function showGlance(status) {
  limited(status);
  left(status);
}

function limited({ providers, available_providers: available, total_providers: total }) {
  const closed = providers.filter((one) => !one.disabled).flatMap(closings);
  const isLimited = (one) => Number(one.state === 'limited');
  const waiting = closed.filter((one) => one.until)
    .sort((one, other) => isLimited(other) - isLimited(one) || Date.parse(one.until) - Date.parse(other.until));
  const standing = closed.filter((one) => !one.until);
  const off = providers.filter((one) => one.disabled).length;
  put(parts.limited.lead, available === 0 ? 'No provider can take a request now.'
    : closed.length > 0 ? '' : `Nobody. ${available} of ${total} can take requests.`);
  const listed = [...waiting, ...standing].slice(0, MOST);
  keyed(parts.limited.list, listed, (one) => one.name, closing);
  const more = closed.length - listed.length;
  put(parts.limited.rest, [
    more > 0 ? `and ${more} more` : '',
    closed.length > 0 && available > 0 ? `${available} of ${total} providers available` : '',
    off > 0 ? `${off} switched off` : '',
  ].filter(Boolean).join(' · '));
}

/** What of a provider is shut: it all, or some of its keys and models. */
function closings(provider) {
  const { name } = provider;
  if (!provider.available) return [{ name, state: providerState(provider), until: provider.rate_limited_until }];
  return provider.deployments.filter((one) => !one.available)
    .map((one) => ({ name: `${name} ${shortName(provider, one)}`, state: stateOf(one), until: one.until }));
}

function closing() {
  const shape = icon('limited');
  const name = h('b');
  const word = h('span', { class: 'quiet' });
  const until = untilText();
  const node = h('li', { class: 'mark' }, shape, h('span', {}, name, ' ', word, ' ', until));
  node.show = (one) => {
    shape.show(one.state);
    set(node, 'data-tone', states[one.state].tone);
    say(name, one.name);
    say(word, one.until && one.state === 'limited' ? '' : states[one.state].word);
    until.show(one.until);
  };
  return node;
}

function left({ providers }) {
  const used = budgetsOf(providers.filter((one) => !one.disabled));
  const budgets = used.filter(({ quota }) => fullness(quota) !== 1);
  budgets.sort((one, other) => isShort(one.quota) - isShort(other.quota) || fullness(one.quota) - fullness(other.quota));
  const listed = budgets.slice(0, MOST);
  const calls = providers.reduce((sum, one) => sum + one.request_count, 0);
  const tokens = providers.reduce((sum, one) => sum + one.total_tokens_used, 0);
  put(parts.left.lead, budgets.length > 0 ? '' : used.length > 0 ? 'Nothing used of the budgets that are known.'
    : budgetsOf(providers).length > 0 ? 'Only budgets of providers that are switched off are known.' : 'No budget is known yet.');
  keyed(parts.left.list, listed, ({ quota, label }) => `${label} ${quota.counts} ${quota.per} ${quota.origin}`, budget);
  put(parts.left.rest, [
    budgets.length > listed.length ? `and ${budgets.length - listed.length} more` : '',
    `${many(calls, 'call')} to providers today, ${compact(tokens)} tokens`,
  ].filter(Boolean).join(' · '));
}

/** The budgets of which it is known what is left. */
const budgetsOf = (providers) => providers.flatMap((provider) => quotasOf(provider)
  .filter(({ quota }) => fullness(quota) <= 1.5)
  .map(({ quota, label }) => ({ quota, label: [provider.name, label].filter(Boolean).join(' ') })));

function budget(first) {
  const node = quotaItem(first);
  const soon = h('span', { class: 'quiet' });
  node.querySelector('.what').append(' ', soon);
  const base = node.show;
  node.show = (one) => {
    base(one);
    sayBefore(soon, (time) => `· at this pace until ${clockOf(time)}`, one.quota.runs_out_at);
  };
  return node;
}

/** Shows the third. */
export function showLatest(request) {
  const time = h('time', { datetime: request.time, class: 'clock' }, clockOf(request.time));
  find('#glance-latest').replaceChildren(
    h('p', { class: 'line' }, time, ' ', outcomeMark(request), ' ', h('span', { class: 'asked' }, request.asked || 'default')),
    route(request),
    why(request) ?? h('p', { class: 'quiet' }, outcomeOf(request) === 'once' ? 'The first of its chain was free to take it.' : ''),
    h('p', { class: 'quiet' }, figures(request)),
  );
}

