// The built proxy with simulated providers behind it, each as a process of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { later } from './browser.mjs';

const release = fileURLToPath(new URL('../../target/release', import.meta.url));
const PROXY = process.env.LLM_PROXY ?? path.join(release, 'llm-proxy');
const UPSTREAM = process.env.SIMULATED_UPSTREAM ?? path.join(release, 'examples', 'upstream');

/** A simulated provider; see crates/simulated/examples/upstream.rs for what it takes. */
export class Simulated {
  static async start(t) {
    const simulated = new Simulated();
    simulated.process = spawn(UPSTREAM, { stdio: ['pipe', 'pipe', 'inherit'] });
    simulated.lines = createInterface({ input: simulated.process.stdout })[Symbol.asyncIterator]();
    simulated.baseURL = (await simulated.lines.next()).value;
    later(t, () => simulated.process.stdin.end());
    return simulated;
  }

  async order(order) {
    this.process.stdin.write(`${JSON.stringify(order)}\n`);
    return JSON.parse((await this.lines.next()).value);
  }
}

/** The proxy before simulated providers; it can be stopped and started again at its address. */
export class Proxy {
  static async start(t, count, settings = {}) {
    const proxy = new Proxy();
    proxy.folder = await mkdtemp(path.join(tmpdir(), 'llm-proxy-'));
    later(t, () => rm(proxy.folder, { recursive: true }));
    proxy.upstreams = [];
    while (proxy.upstreams.length < count) proxy.upstreams.push(await Simulated.start(t));
    await proxy.configure(['first', 'second', 'third'].slice(0, count), settings);
    await proxy.run(0);
    later(t, () => proxy.stop());
    return proxy;
  }

  configure(names, settings = {}) {
    const providers = names.map((name, index) => ({ name, base_url: this.upstreams[index].baseURL, api_key: `secret-of-${name}`, model: `${name}-model` }));
    return this.write(JSON.stringify({ providers, ...settings })); // JSON is YAML
  }

  write(text) {
    return writeFile(path.join(this.folder, 'config.yaml'), text);
  }

  async run(port) {
    const args = ['serve', '--config', path.join(this.folder, 'config.yaml'), '--port', String(port), '--state', this.folder, '--exit-with-parent'];
    this.process = spawn(PROXY, args, { cwd: this.folder, env: { HOME: this.folder, PATH: process.env.PATH, TZ: 'UTC' }, stdio: ['ignore', 'pipe', 'inherit'] });
    const log = [];
    const listening = new Promise((resolve, reject) => {
      createInterface({ input: this.process.stdout }).on('line', (line) => {
        log.push(line);
        if (line.startsWith('listening on ')) resolve(line.split(' ').at(-1));
      });
      this.process.on('exit', () => reject(new Error(`the proxy did not start: ${log.join('\n')}`)));
    });
    this.base = `${await listening}/`;
    this.port = new URL(this.base).port;
  }

  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    const [code] = await once(this.process, 'exit');
    if (signal === 'SIGTERM') assert.equal(code, 0);
  }

  async ask(model = 'gpt-4o') {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.key ?? 'any'}` };
    const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'a prompt that nobody is shown' }] });
    const answer = await fetch(`${this.base}v1/chat/completions`, { method: 'POST', headers, body });
    await answer.text();
    return answer.status;
  }
}
