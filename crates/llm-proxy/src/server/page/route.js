// Why a request went where it went: the hops, what each provider said, and who was passed over.

import { compact, dollars, h, icon, number, plain } from './dom.js';
import { clockOf, span } from './time.js';

const MOST_SKIPPED = 3;

/** The classes of requests that the feed can be filtered by. */
export const outcomes = {
  once: { word: 'first choice', icon: 'open', tone: 'good' },
  passed: { word: 'passed over', icon: 'over', tone: 'good', title: 'It went to the second choice or a later one: those before it were passed over' },
  rotated: { word: 'rotated', icon: 'turn', tone: 'good' },
  interrupted: { word: 'cut off', icon: 'failing', tone: 'bad' },
  refused: { word: 'refused', icon: 'parked', tone: 'bad' },
  left: { word: 'client left', icon: 'left', tone: 'off' },
};

/** Which of them a request belongs to. */
export function outcomeOf(request) {
  if (request.outcome !== 'answered') return request.outcome in outcomes ? request.outcome : 'refused';
  if (request.hops.length > 1) return 'rotated';
  return request.skipped.length > 0 ? 'passed' : 'once';
}

/** The word of a request's outcome with its shape. */
export function outcomeMark(request) {
  const kind = outcomes[outcomeOf(request)];
  const status = kind === outcomes.refused ? ` ${request.status}` : '';
  return h('span', { class: 'mark', 'data-tone': kind.tone, title: kind.title }, icon(kind.icon), `${kind.word}${status}`);
}

const failed = (hop) => hop.kind !== null || !/^2\d\d$/.test(hop.result);

/** `groq 429, back in 30 s` then `cerebras 200, 412 ms` */
export function route(request) {
  const line = h('p', { class: 'route' });
  let arrived = Date.parse(request.time);
  for (const hop of request.hops) {
    arrived += hop.took_ms;
    if (line.childElementCount > 0) {
      line.append(h('span', { class: 'then' }, h('span', { 'aria-hidden': 'true' }, '→'), h('span', { class: 'unseen' }, ' then ')));
    }
    line.append(hopMark(hop, arrived));
  }
  if (request.hops.length === 0) line.append(h('span', { class: 'hop', 'data-tone': 'bad' }, 'nobody could be asked'));
  return line;
}

function hopMark(hop, ended) {
  const bad = failed(hop);
  return h('span', { class: 'hop', 'data-tone': bad ? 'bad' : 'good' },
    h('b', {}, hop.provider), ' ', h('bdi', {}, hop.result), bad ? wait(hop, ended) : `, ${span(hop.took_ms)}`);
}

function wait(hop, ended) {
  if (hop.until === null) return hop.took_ms >= 1000 ? ` after ${span(hop.took_ms)}` : '';
  // Both times have lost their fractions, so the exact wait is better where it is told.
  const millis = hop.wait_ms ?? Date.parse(hop.until) - ended;
  return `, back in ${span(Math.max(1, Math.round(millis / 1000)) * 1000)}`;
}

/** The provider's own words, and who was passed over for what reason; null if there is nothing to say. */
export function why(request) {
  const said = request.hops.filter(failed).map(hopReason);
  const skipped = request.skipped.map(skipReason);
  if (said.length + skipped.length === 0) return null;
  const list = h('ul', { class: 'why' }, ...said, ...skipped.slice(0, MOST_SKIPPED));
  const rest = skipped.slice(MOST_SKIPPED);
  if (rest.length === 0) return list;
  list.append(h('li', {}, h('details', {}, h('summary', {}, `${number(rest.length)} more skipped`), h('ul', { class: 'why' }, ...rest))));
  return list;
}

const placeOf = (one) => h('span', { class: 'place' }, ' ', h('bdi', {}, one.model ?? ''), ...(one.key ? [' (key ', h('bdi', {}, one.key), ')'] : []));

const untilOf = (one) => (one.until === null ? '' : ` until ${clockOf(one.until)}`);

function hopReason(hop) {
  const words = hop.detail ? [': ', h('q', {}, hop.detail)] : [];
  return h('li', {}, h('b', {}, hop.provider), placeOf(hop), ' ', h('bdi', {}, plain(hop.kind ?? hop.result)), untilOf(hop), ...words);
}

function skipReason(skip) {
  const reason = skip.reason === 'disabled' ? 'switched off' : plain(skip.reason);
  const detail = withoutStart(skip.detail ?? '', reason);
  const words = detail ? [': ', h('bdi', {}, detail)] : [];
  return h('li', {}, 'skipped ', h('b', {}, skip.provider), placeOf(skip), ' ', h('bdi', {}, reason), untilOf(skip), ...words);
}

/** A reason often begins with its own word, which is told already. */
export const withoutStart = (text, start) => (text.startsWith(start) ? text.slice(start.length).replace(/^[:\s]+/, '') : text);

/** What a request cost: time, tokens, money. */
export function figures(request) {
  const told = [];
  if (request.first_token_ms !== null) told.push(`first token ${span(request.first_token_ms)}`);
  told.push(`${span(request.duration_ms)} in all`);
  if (request.total_tokens !== null) told.push(`${request.estimated ? 'about ' : ''}${compact(request.total_tokens)} tokens`);
  if (request.cost_usd) told.push(dollars(request.cost_usd));
  return told.join(' · ');
}
