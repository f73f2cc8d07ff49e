// Streams, as the SDK's iterators see them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { APIError } from 'openai';

import { QUESTION, one, refusal, two } from './processes.mjs';

const STREAM = { ...QUESTION, stream: true };

function chunk(delta, finish_reason = null) {
  const choices = [{ index: 0, delta, finish_reason }];
  return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices };
}

test('a stream arrives piece by piece', async (t) => {
  const { first, client } = await one(t);
  const pieces = ['Grüße', ', ', '世界', ' 🌍'];
  await first.script({ answer: pieces });
  const got = [];
  for await (const part of await client.chat.completions.create(STREAM)) {
    assert.equal(part.usage ?? null, null);
    got.push(part.choices[0].delta.content);
  }
  assert.deepEqual(got.filter(Boolean), pieces);
});

test('the streaming helper gathers text and usage', async (t) => {
  const { client } = await one(t);
  const stream = client.chat.completions.stream({
    ...QUESTION,
    stream_options: { include_usage: true },
  });
  assert.equal(await stream.finalContent(), 'Hello there.');
  assert.equal((await stream.totalUsage()).completion_tokens, 3);
});

test('streamed tool arguments are put together', async (t) => {
  const { first, client } = await one(t);
  const part = (call) => chunk({ tool_calls: [{ index: 0, ...call }] });
  const opening = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } };
  const pieces = ['{"ci', 'ty": "Zü', 'rich"}'];
  await first.script({
    events: [
      chunk({ role: 'assistant', content: null }),
      part(opening),
      ...pieces.map((piece) => part({ function: { arguments: piece } })),
      chunk({}, 'tool_calls'),
      '[DONE]',
    ],
  });
  const message = await client.chat.completions.stream(QUESTION).finalMessage();
  assert.equal(message.tool_calls[0].function.arguments, pieces.join(''));
});

test('a limit rotates a stream', async (t) => {
  const { first, client } = await two(t);
  await first.script(refusal(429));
  const { data, response } = await client.chat.completions.create(STREAM).withResponse();
  assert.equal(response.headers.get('x-provider'), 'second');
  let text = '';
  for await (const part of data) text += part.choices[0]?.delta.content ?? '';
  assert.equal(text, 'Hello there.');
});

test('a cut stream is an error and never looks finished', async (t) => {
  const { first, client } = await one(t);
  await first.script({ answer: ['Once', ' upon'], ending: 'cut' });
  let text = '';
  const read = async () => {
    for await (const part of await client.chat.completions.create(STREAM)) {
      text += part.choices[0].delta.content ?? '';
    }
  };
  await assert.rejects(read, (error) => {
    assert.ok(error instanceof APIError);
    assert.equal(error.code, 'upstream_stream_interrupted');
    return true;
  });
  assert.equal(text, 'Once upon');
});

test('an aborted stream closes the provider\'s', async (t) => {
  const { first, client } = await one(t);
  await first.script({ answer: Array(500).fill('word '), gap_ms: 20 });
  const stream = await client.chat.completions.create(STREAM);
  for await (const part of stream) {
    if (part.choices[0].delta.content) break;
  }
  stream.controller.abort();
  await first.waitForCancellation();
});
