// Calls that are answered in one piece.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NotFoundError } from 'openai';

import { QUESTION, one, refusal, two } from './processes.mjs';

test('a plain answer arrives whole', async (t) => {
  const { first, client } = await one(t);
  const reply = await client.chat.completions.create({ ...QUESTION, unknown_field: [1.5] });
  assert.equal(reply.choices[0].message.content, 'Hello there.');
  const [sent] = (await first.order()).requests;
  assert.deepEqual(sent.body, { ...QUESTION, model: 'first-model', unknown_field: [1.5] });
  assert.equal(sent.headers.authorization, 'Bearer secret-of-first');
});

test('the headers say who served', async (t) => {
  const { first, client } = await two(t);
  await first.script(refusal(429, { headers: { 'retry-after': '30' } }));
  const { data, response } = await client.chat.completions.create(QUESTION).withResponse();
  assert.equal(data.choices[0].message.content, 'Hello there.');
  assert.equal(response.headers.get('x-provider'), 'second');
  assert.equal(response.headers.get('x-attempts'), '2');
  assert.equal(response.headers.get('x-rotation'), 'first=429;retry=30s, second=200');
});

test('rotation is invisible to the application', async (t) => {
  const { first, second, client } = await two(t);
  await first.order({ requests_per_minute: 2 });
  for (let call = 0; call < 6; call += 1) {
    assert.ok((await client.chat.completions.create(QUESTION)).choices[0].message.content);
  }
  assert.equal((await first.order()).count, 3); // two answers and one refusal
  assert.equal((await second.order()).count, 4);
});

test('twenty calls at once are all served', async (t) => {
  const { client } = await one(t);
  const calls = Array.from({ length: 20 }, () => client.chat.completions.create(QUESTION));
  for (const reply of await Promise.all(calls)) assert.equal(reply.usage.completion_tokens, 3);
});

test('a tool call keeps its arguments', async (t) => {
  const { first, client } = await one(t);
  const call = {
    id: 'call_1',
    type: 'function',
    function: { name: 'weather', arguments: '{"city": "Zürich"}' },
  };
  const message = { role: 'assistant', content: null, tool_calls: [call] };
  const choice = { index: 0, message, finish_reason: 'tool_calls' };
  await first.script({ json: { object: 'chat.completion', choices: [choice] } });
  const reply = await client.chat.completions.create(QUESTION);
  assert.deepEqual(reply.choices[0].message.tool_calls, [call]);
});

test('legacy completions work, plain and streamed', async (t) => {
  const { client } = await one(t);
  const asked = { model: 'any', prompt: 'Once' };
  assert.equal((await client.completions.create(asked)).choices[0].text, 'Hello there.');
  let text = '';
  for await (const chunk of await client.completions.create({ ...asked, stream: true })) {
    text += chunk.choices[0]?.text ?? '';
  }
  assert.equal(text, 'Hello there.');
});

test('the models can be listed and retrieved', async (t) => {
  const { client } = await one(t);
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ['default', 'first/first-model']);
  assert.equal((await client.models.retrieve('first/first-model')).owned_by, 'first');
  await assert.rejects(client.models.retrieve('nobody'), NotFoundError);
});
