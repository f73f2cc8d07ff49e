// The proxy under test and the simulated providers behind it, each as a process of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import OpenAI from 'openai';

const release = fileURLToPath(new URL('../../../target/release', import.meta.url));
const PROXY = process.env.LLM_PROXY ?? path.join(release, 'llm-proxy');
const UPSTREAM = process.env.SIMULATED_UPSTREAM ?? path.join(release, 'examples', 'upstream');

/** A simulated provider; see crates/simulated/examples/upstream.rs for what it takes. */
export class Simulated {
  static async start(test) {
    const simulated = new Simulated();
    simulated.process = spawn(UPSTREAM, { stdio: ['pipe', 'pipe', 'inherit'] });
    simulated.lines = createInterface({ input: simulated.process.stdout })[Symbol.asyncIterator]();
    simulated.baseURL = (await simulated.lines.next()).value;
    test.after(() => simulated.process.stdin.end());
    return simulated;
  }

  async order(order = {}) {
    this.process.stdin.write(`${JSON.stringify(order)}\n`);
    return JSON.parse((await this.lines.next()).value);
  }

  script(...script) {
    return this.order({ script });
  }

  async waitForCancellation() {
    for (let look = 0; look < 500; look += 1) {
      if ((await this.order()).cancelled) return;
      await sleep(10);
    }
    assert.fail('the call to the provider was not cancelled');
  }
}

/** Starts the built binary before the given providers and returns its base URL. */
export async function proxyBefore(test, providers, settings = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), 'llm-proxy-'));
  const config = path.join(folder, 'config.yaml');
  const list = providers.map((provider, index) => {
    const name = ['first', 'second', 'third'][index];
    const base_url = provider.baseURL ?? provider;
    return { name, base_url, api_key: `secret-of-${name}`, model: `${name}-model` };
  });
  await writeFile(config, JSON.stringify({ providers: list, ...settings })); // JSON is YAML
  const args = ['serve', '--config', config, '--port', '0', '--state', folder, '--exit-with-parent'];
  const options = { cwd: folder, env: { HOME: folder, PATH: process.env.PATH } };
  const proxy = spawn(PROXY, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  const log = [];
  const address = new Promise((resolve, reject) => {
    createInterface({ input: proxy.stdout }).on('line', (line) => {
      log.push(line);
      if (line.startsWith('listening on ')) resolve(line.split(' ').at(-1));
    });
    proxy.on('exit', () => reject(new Error(`the proxy did not start: ${log.join('\n')}`)));
  });
  test.after(async () => {
    proxy.kill('SIGTERM');
    const [code] = proxy.exitCode === null ? await once(proxy, 'exit') : [proxy.exitCode];
    await rm(folder, { recursive: true });
    assert.equal(code, 0, log.join('\n'));
    assert.doesNotMatch(log.join('\n'), /panicked|secret-of-/);
  });
  return `${await address}/v1`;
}

/** A client that does not retry unless told to. */
export function clientOf(baseURL, options = {}) {
  return new OpenAI({ baseURL, apiKey: 'any string', maxRetries: 0, timeout: 20_000, ...options });
}

/** A provider, a proxy before it and a client. */
export async function one(test, { settings, ...options } = {}) {
  const first = await Simulated.start(test);
  return { first, client: clientOf(await proxyBefore(test, [first], settings), options) };
}

/** Two providers, a proxy before them and a client. */
export async function two(test, { settings, ...options } = {}) {
  const first = await Simulated.start(test);
  const second = await Simulated.start(test);
  const base = await proxyBefore(test, [first, second], settings);
  return { first, second, client: clientOf(base, options) };
}

/** A refusal in OpenAI's shape. */
export function refusal(status, { message = 'Slow down.', headers = {}, ...more } = {}) {
  const error = { message, type: 'simulated', param: null, code: null, ...more };
  return { status, headers, json: { error } };
}

export const QUESTION = {
  model: 'gpt-4o',
  messages: [{ role: 'user', content: 'Grüße, 世界 🌍' }],
};
