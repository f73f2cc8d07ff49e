// The connection to the proxy: calls, and the stream of events that outlives restarts.

const KEY = 'llm-proxy-key';

/** The proxy wants a key, or another one. */
export class Locked extends Error {}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export function keepKey(key) {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/** Calls the proxy. A fault becomes an error that says what the proxy said. */
export async function call(path, options = {}) {
  const headers = { ...options.headers };
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers.authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: 'no-store', credentials: 'omit' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('the proxy is not running');
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Locked('the proxy wants a key');
  const told = await answer.json().catch(() => null);
  throw new Error(told?.error?.message ?? `the proxy answered ${answer.status}`);
}

/** Reads JSON. */
export const read = async (path) => (await call(path)).json();

/** Tells the proxy to do something, and returns what it says. */
export async function tell(path, body = {}) {
  const headers = { 'content-type': 'application/json' };
  const answer = await call(path, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await answer.json()).message ?? 'done';
}

const PATIENCE = { first: 300, most: 3000 };
// The proxy sends a comment more often than that, so longer silence is a dead connection.
const SILENCE = 45_000;
// A tab that nobody looks at gives its connection back: browsers have only six for one host.
const UNSEEN = 30_000;

/**
 * Follows the events for good. `heard(name, data)` gets each event, `opened()` is called with each
 * new connection, `changed(state, words)` when the state of the connection changes. Returns a
 * function that tries again at once.
 */
export function follow({ heard, opened, changed }) {
  let stop = new AbortController();
  let wake = () => {};
  const pause = (millis) => new Promise((resolve) => {
    wake = resolve;
    if (millis !== null) setTimeout(resolve, millis);
  });
  const again = () => {
    stop.abort();
    wake();
  };
  letGoWhileHidden(() => stop.abort(), () => wake());
  addEventListener('online', again);
  (async () => {
    let wait = PATIENCE.first;
    for (;;) {
      if (document.hidden) await pause(null);
      stop = new AbortController();
      try {
        const answer = await call('events', { signal: stop.signal });
        changed('live', 'live');
        wait = PATIENCE.first;
        opened();
        await readEvents(answer.body, heard, stop);
      } catch (error) {
        if (error instanceof Locked) {
          changed('locked', 'waiting for the key');
          await pause(null);
          continue;
        }
        if (error.name !== 'AbortError' && wait > PATIENCE.first) {
          changed('down', `${error.message}; trying again`);
        }
      }
      await pause(wait);
      wait = Math.min(wait * 2, PATIENCE.most);
    }
  })();
  return again;
}

function letGoWhileHidden(letGo, takeUp) {
  let timer = null;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(letGo, UNSEEN);
    else takeUp();
  });
}

async function readEvents(body, heard, stop) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let watch = null;
  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => stop.abort(), SILENCE);
  };
  try {
    for (alive(); ; alive()) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).replaceAll('\r\n', '\n').split('\n\n');
      rest = parts.pop();
      for (const part of parts) hear(part, heard);
    }
  } finally {
    clearTimeout(watch);
    reader.cancel().catch(() => {});
  }
}

function hear(part, heard) {
  let name = 'message';
  const data = [];
  for (const line of part.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5));
  }
  if (data.length === 0) return;
  try {
    heard(name, JSON.parse(data.join('\n')));
  } catch (error) {
    reportError(error); // A fault of the page is none of the connection.
  }
}
