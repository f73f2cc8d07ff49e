// A stand-in for the proxy: it serves the page's own files with the proxy's headers and answers
// its calls from plain data, for states that are hard to bring about.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const PAGE = new URL('../../crates/llm-proxy/src/server/page/', import.meta.url);
const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript' };
const OFFSET = 3_600_000;

export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
  + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
  + "require-trusted-types-for 'script'; trusted-types 'none'";

/** A moment as the proxy writes it, in a zone that is an hour ahead. */
export const moment = (millis) => `${new Date(millis + OFFSET).toISOString().slice(0, 19)}+01:00`;

const today = () => moment(Date.now()).slice(0, 10);

/** A deployment that is open, with what `more` says. */
export const deployment = (more = {}) => ({
  model: 'some-model', key: '…a1b2', in_flight: 0, request_count: 0, total_tokens_used: 0, first_token_ms: 180,
  available: true, state: 'open', quotas: [], ...more,
});

/** What is closed until a moment that the provider stated. */
export const closed = (kind, until, reason, more = {}) => ({
  available: false, state: until === null ? 'parked' : 'cooling', kind, scope: 'deployment', reason: `${kind.replaceAll('_', ' ')}: ${reason}`,
  until: until === null ? null : moment(until), origin: until === null ? null : 'stated', ...more,
});

/** A budget of a day. */
export const quota = (remaining, limit, more = {}) => ({
  counts: 'requests', per: 'day', limit, remaining, resets_at: moment(Date.parse(`${today()}T23:00:00Z`)), origin: 'learned', pace_per_hour: null, runs_out_at: null, ...more,
});

/** A provider made of its deployments. */
export function provider(name, deployments = [deployment()], more = {}) {
  const waiting = deployments.filter((one) => !one.available);
  const available = waiting.length < deployments.length;
  const until = available ? null : waiting.map((one) => one.until).filter(Boolean).sort()[0] ?? null;
  return {
    name, priority: 1, model: deployments[0].model, tier: null, available, disabled: false,
    reason: available ? null : waiting[0].reason, is_rate_limited: until !== null, rate_limited_until: until,
    request_count: 412, success_count: 400, last_reset: today(), consecutive_errors: 0, last_error: null, last_error_at: null,
    total_tokens_used: 183_204, estimated_tokens: 0, first_token_ms: 184, forecast: null, deployments, ...more,
  };
}

/** The /status document of some providers. */
export const statusOf = (providers, more = {}) => ({
  providers, total_providers: providers.length, available_providers: providers.filter((one) => one.available && !one.disabled).length, streams_saved: 0,
  skipped_providers: [], today: today(), now: moment(Date.now()), time_zone: 'Europe/Berlin', version: '0.1.0',
  state: { mode: 'file', file: '/home/me/.local/state/llm-proxy/llm-proxy.db', error: null, lag_ms: 0, dropped_records: 0 },
  config: '/home/me/.config/llm-proxy/config.yaml', config_error: null, ...more,
});

export const hop = (name, result, more = {}) => ({ provider: name, key: '…a1b2', model: 'some-model', result, kind: null, detail: '', until: null, took_ms: 412, ...more });

export const skip = (name, reason, until, detail = '') => ({ provider: name, key: '…a1b2', model: 'some-model', reason, detail, until: until === null ? null : moment(until) });

let lastId = 1000;

/** A request that went over these hops. */
export function request(hops, more = {}) {
  const last = hops.at(-1);
  const answered = last?.result === '200';
  lastId += 1;
  return {
    id: lastId, time: moment(Date.now()), endpoint: 'chat', asked: 'gpt-4o', stream: true, status: answered ? 200 : 429, outcome: answered ? 'answered' : 'refused',
    provider: answered ? last.provider : null, key: null, model: answered ? last.model : null, prompt_tokens: 812, completion_tokens: 220, total_tokens: answered ? 1032 : null,
    estimated: false, cost_usd: null, first_token_ms: answered ? 184 : null, duration_ms: 1240, hops, skipped: [], ...more,
  };
}

/** The stand-in itself. Its fields may be changed while it runs. */
export class Mock {
  status = statusOf([]);
  requests = [];
  usage = [];
  key = null;
  done = [];
  fault = null;
  late = false;
  /** As long as this is pending, an answer about the state that was made is not sent. */
  held = null;
  #streams = new Set();

  static async start(fields = {}) {
    const mock = Object.assign(new Mock(), fields);
    await mock.listen(0);
    return mock;
  }

  async listen(port) {
    this.server = createServer((asked, answer) => this.#answer(asked, answer));
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
    this.base = `http://127.0.0.1:${this.port}/`;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    this.#streams.clear();
  }

  tell(status = this.status) {
    this.status = status;
    this.send('status', { ...status, now: moment(Date.now()) });
  }

  ended(...requests) {
    for (const one of requests) {
      this.requests.unshift(one);
      this.send('request', one);
    }
    this.requests.length = Math.min(this.requests.length, 200);
  }

  send(name, data, streams = this.#streams) {
    for (const stream of streams) stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  async #answer(asked, answer) {
    const { pathname, searchParams } = new URL(asked.url, this.base);
    const file = pathname === '/' ? 'index.html' : /^\/page\/([a-z]+\.(?:js|css))$/.exec(pathname)?.[1];
    if (file) {
      const type = `${TYPES[file.split('.')[1]]}; charset=utf-8`;
      answer.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff', 'cache-control': 'no-cache', 'referrer-policy': 'no-referrer' });
      answer.end(await readFile(new URL(file, PAGE)));
      return;
    }
    const json = (status, body) => {
      answer.writeHead(status, { 'content-type': 'application/json' });
      answer.end(JSON.stringify(body));
    };
    if (this.key !== null && asked.headers.authorization !== `Bearer ${this.key}`) {
      json(401, { error: { message: 'give one of the keys of server.api_keys' } });
    } else if (asked.method === 'POST') {
      let body = '';
      for await (const piece of asked) body += piece;
      if (asked.headers['content-type'] !== 'application/json') json(415, { error: { message: 'not JSON' } });
      else if (this.fault) json(400, { error: { message: this.fault } });
      else this.#act(pathname.slice(1), JSON.parse(body), json);
    } else if (pathname === '/status') {
      const body = { ...this.status, now: moment(Date.now()) };
      await this.held;
      json(200, body);
    } else if (pathname === '/requests') json(200, { requests: this.requests.slice(0, searchParams.get('limit')) });
    else if (pathname === '/usage') json(200, { by: searchParams.get('by'), since: moment(0), until: moment(Date.now()), rows: this.usage.filter((row) => searchParams.get('by').split(',')[0] in row) });
    else if (pathname === '/events') {
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      this.#streams.add(answer);
      asked.on('close', () => this.#streams.delete(answer));
      answer.flushHeaders();
      if (!this.late) this.send('status', { ...this.status, now: moment(Date.now()) }, [answer]);
    } else json(404, { error: { message: 'unknown path' } });
  }

  #act(action, { provider: name }, json) {
    this.done.push(name ? `${action} ${name}` : action);
    if (action === 'disable' || action === 'enable') {
      const disabled = action === 'disable';
      const providers = this.status.providers.map((one) => (one.name === name ? { ...one, disabled, available: !disabled } : one));
      this.tell({ ...this.status, providers });
    }
    json(200, { status: 'success', message: action === 'reload' ? 'Configuration reloaded: 3 providers' : `${action} done` });
  }
}
