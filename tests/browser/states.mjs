// States of the proxy that take long to bring about for real: many providers, a day of traffic.

import { later } from './browser.mjs';
import { Mock, closed, deployment, hop, moment, provider, quota, request, skip, statusOf } from './mock.mjs';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const WORDS = 'Rate limit reached for model `llama-3.3-70b-versatile` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Used 11893, Requested 420. Please try again in 30s.';

/** Three providers: one limited, one with little left, one with plenty. */
export function three() {
  const now = Date.now();
  const runsOut = moment(now + 95 * MINUTE);
  return statusOf([
    provider('groq', [deployment({
      model: 'llama-3.3-70b-versatile', ...closed('rate_limited', now + 182_000, WORDS), quotas: [quota(212, 1000, { runs_out_at: runsOut }), quota(40_200, 100_000, { counts: 'tokens' }), quota(3, 30, { per: 'minute', resets_at: moment(now + 40_000) })],
    })], { tier: 'free', forecast: '212 of 1000 requests left today, at this pace until 18:20', consecutive_errors: 1 }),
    provider('cerebras', [
      deployment({ model: 'llama-3.3-70b', key: '…77f0', request_count: 140, quotas: [quota(13_020, 14_400)] }),
      deployment({ model: 'llama-3.3-70b', key: '…c9d2', request_count: 99, ...closed('daily_limit', now + 7 * HOUR, 'Tokens per day limit exceeded - too many tokens processed.'), quotas: [quota(0, 1_000_000, { counts: 'tokens' })] }),
    ], { priority: 2, tier: 'free', first_token_ms: 92, request_count: 239, total_tokens_used: 1_204_551, estimated_tokens: 1400 }),
    provider('openrouter', [deployment({ model: 'meta-llama/llama-3.3-70b-instruct' })], { priority: 3, tier: 'paid', request_count: 4, total_tokens_used: 9120, first_token_ms: 1240 }),
  ], { skipped_providers: [{ name: 'mistral', reason: 'MISTRAL_API_KEY is not set' }] });
}

/** Sixty providers in every state, some with many keys and models. */
export function sixty() {
  const now = Date.now();
  const list = Array.from({ length: 60 }, (_, index) => {
    const name = `provider-${String(index + 1).padStart(2, '0')}`;
    const model = `vendor/a-model-with-a-long-name-${index}-instruct`;
    const budget = { model, quotas: [quota((index * 37) % 1000, 1000)] };
    const open = deployment(budget);
    const kind = index % 10;
    const deployments = kind < 4 ? [open]
      : kind === 4 ? [deployment({ ...budget, ...closed('rate_limited', now + index * 20_000, WORDS) })]
      : kind === 5 ? [deployment({ ...budget, ...closed('key_rejected', null, 'Invalid API Key') })]
      : kind === 6 ? [deployment({ ...budget, ...closed('server_error', now + 8000, 'upstream connect error', { origin: 'guessed' }) })]
      : kind === 7 ? Array.from({ length: 8 }, (__, place) => deployment({ ...budget, key: `…k${place}`, ...(place % 2 ? closed('daily_limit', now + 9 * HOUR, 'Requests per day used up') : {}) }))
      : kind === 8 ? [deployment({ ...budget, available: false, state: 'busy', kind: 'busy', reason: 'as many requests under way as allowed', until: null, origin: null })]
      : [open];
    return provider(name, deployments, { priority: index + 1, tier: index % 3 ? 'free' : 'paid', disabled: kind === 9, available: kind === 9 ? false : deployments.some((one) => one.available) });
  });
  return statusOf(list, { skipped_providers: Array.from({ length: 9 }, (_, index) => ({ name: `spare-${index}`, reason: `SPARE_${index}_API_KEY is not set` })) });
}

/** A request of every sort over the providers of a status, the newest last. */
export function traffic(status, count, from = Date.now()) {
  const names = status.providers.map((one) => one.name);
  const pick = (index) => names[index % names.length];
  return Array.from({ length: count }, (_, index) => {
    const ended = from - (count - index) * 7300;
    const more = { time: moment(ended), asked: ['gpt-4o', 'default', 'fast', 'claude-sonnet-4'][index % 4], stream: index % 3 > 0, duration_ms: 300 + (index * 613) % 4000, cost_usd: index % 5 ? null : 0.0012 };
    const limited = hop(pick(index), '429', { kind: 'rate_limited', detail: WORDS, until: moment(ended + 30_000), took_ms: 141, model: 'llama-3.3-70b-versatile' });
    const good = hop(pick(index + 1), '200', { took_ms: 412 });
    if (index % 11 === 7) return request([limited, hop(pick(index + 1), 'timeout', { kind: 'timed_out', detail: 'silence for 12 s', took_ms: 12_000 })], { ...more, first_token_ms: null });
    if (index % 13 === 5) return request([good], { ...more, outcome: 'interrupted' });
    if (index % 17 === 3) return request([good], { ...more, outcome: 'left', status: 499 });
    if (index % 3 === 2) return request([limited, good], { ...more, skipped: [skip(pick(index + 2), 'daily_limit', ended + 9 * HOUR, 'daily limit: Tokens per day limit exceeded'), skip(pick(index + 4), 'disabled', null, 'switched off')] });
    if (index % 7 === 4) return request([good], { ...more, skipped: names.slice(0, 12).map((name) => skip(name, 'rate_limited', ended + 60_000, 'rate limited: Slow down.')) });
    return request([good], more);
  });
}

/** Usage by day and by hour of the providers of a status. */
export function usage(status, now = Date.now()) {
  const rows = [];
  const add = (name, place, slot, size) => {
    const requests = Math.round(size * (1 + Math.sin(slot * 1.7 + place)) / (place + 1));
    rows.push({
      ...name, provider: status.providers[place].name, attempts: requests + place, requests, failures: Math.round(requests / 9), prompt_tokens: requests * 700, completion_tokens: requests * 210,
      total_tokens: requests * 910, estimated_tokens: place === 1 ? requests * 10 : 0, cost_usd: place % 3 === 2 ? requests * 0.0004 : null, average_first_token_ms: 210, average_duration_ms: 1400,
    });
  };
  status.providers.forEach((_, place) => {
    for (let day = 0; day < 30; day += 1) add({ day: moment(now - day * 24 * HOUR).slice(0, 10) }, place, day, 400);
    for (let hour = 0; hour < 24; hour += 1) add({ hour: `${moment(now - hour * HOUR).slice(0, 13)}:00:00+01:00` }, place, hour, 40);
  });
  return rows;
}

/** A request that rotated, and one provider was skipped. */
export const rotated = (more = {}) => {
  const now = Date.now();
  return request([
    hop('groq', '429', { kind: 'rate_limited', detail: WORDS, until: moment(now + 30_000), took_ms: 0 }),
    hop('cerebras', '200', { took_ms: 412 }),
  ], { time: moment(now), skipped: [skip('mistral', 'daily_limit', now + 7_200_000, 'daily limit: Used up.')], ...more });
};

/** A stand-in for the proxy that is in this state. */
export async function mocked(t, status = three(), fields = {}) {
  const mock = await Mock.start({ status, usage: usage(status), ...fields });
  later(t, () => mock.stop());
  return mock;
}
