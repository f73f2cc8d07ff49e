// The proxy before a provider that was not written here: aimock, an imitation of OpenAI.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { QUESTION, Simulated, clientOf, proxyBefore } from './processes.mjs';

// Debian 12 still has Node 18, for which aimock is not made.
const skip = parseInt(process.versions.node) < 20 && 'aimock needs Node 20';

async function rotating(t) {
  const { LLMock } = await import('@copilotkit/aimock');
  const mock = new LLMock({ port: 0, logLevel: 'silent', chunkSize: 5 });
  mock.onMessage(/weather/, {
    toolCalls: [{ name: 'weather', arguments: '{"city":"Zürich"}' }],
  });
  mock.onMessage(/Grüße/, { content: 'Grüße zurück, Welt 🌍' });
  const base = await mock.start();
  t.after(() => mock.stop());
  const first = await Simulated.start(t);
  await first.order({ requests_per_minute: 1 });
  const client = clientOf(await proxyBefore(t, [first, `${base}/v1`]));
  await client.chat.completions.create(QUESTION);
  return client;
}

test('plain calls rotate from a limited provider to aimock', { skip }, async (t) => {
  const client = await rotating(t);
  const { data, response } = await client.chat.completions.create(QUESTION).withResponse();
  assert.equal(response.headers.get('x-provider'), 'second');
  assert.equal(data.choices[0].message.content, 'Grüße zurück, Welt 🌍');
});

test('streams rotate from a limited provider to aimock', { skip }, async (t) => {
  const client = await rotating(t);
  const stream = client.chat.completions.stream(QUESTION);
  assert.equal(await stream.finalContent(), 'Grüße zurück, Welt 🌍');
});

test('streamed tool calls of aimock arrive whole', { skip }, async (t) => {
  const client = await rotating(t);
  const messages = [{ role: 'user', content: 'How is the weather?' }];
  const stream = client.chat.completions.stream({ ...QUESTION, messages });
  const [call] = (await stream.finalMessage()).tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Zürich' });
});
