// Refusals, as the SDK's errors and its own retries see them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadRequestError, InternalServerError, NotFoundError, RateLimitError } from 'openai';

import { QUESTION, one, refusal, two } from './processes.mjs';

const AT_ONCE = { rotation: { max_wait: '0s' } };
const SOON = { headers: { 'retry-after': '1' } };

for (const status of [429, 503]) {
  test(`the SDK waits as told by a ${status} and then succeeds`, async (t) => {
    const { first, client } = await one(t, { settings: AT_ONCE, maxRetries: 2 });
    await first.script(refusal(status, SOON), { answer: ['At last.'] });
    const began = performance.now();
    const reply = await client.chat.completions.create(QUESTION);
    const took = performance.now() - began;
    assert.equal(reply.choices[0].message.content, 'At last.');
    assert.ok(took > 900 && took < 3000, `${took} ms`);
    assert.equal((await first.order()).count, 2);
  });
}

test('everybody limited is a RateLimitError with a true time', async (t) => {
  const { first, second, client } = await two(t, { settings: AT_ONCE });
  await first.script(refusal(429, { headers: { 'retry-after': '70' } }));
  await second.script(refusal(429, { headers: { 'retry-after': '40' } }));
  await assert.rejects(client.chat.completions.create(QUESTION), (error) => {
    assert.ok(error instanceof RateLimitError);
    const seconds = Number(error.headers.get('retry-after'));
    assert.ok(seconds >= 38 && seconds <= 40, `${seconds} s`);
    return true;
  });
});

test('a fault of the request keeps the provider\'s words', async (t) => {
  const { first, second, client } = await two(t, { maxRetries: 2 });
  const message = "messages[0].role: 'usr' is not one of 'user', 'assistant'";
  await first.script(refusal(400, { message, param: 'messages' }));
  await assert.rejects(client.chat.completions.create(QUESTION), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.error.message, message);
    assert.equal(error.param, 'messages');
    return true;
  });
  assert.equal((await first.order()).count, 1);
  assert.equal((await second.order()).count, 0);
});

test('a refused key of ours is not the application\'s fault', async (t) => {
  const { first, client } = await one(t, { maxRetries: 2 });
  await first.script(refusal(401, { message: 'Incorrect API key provided' }));
  await assert.rejects(client.chat.completions.create(QUESTION), InternalServerError);
  assert.equal((await first.order()).count, 1);
});

test('an unknown model can be rejected', async (t) => {
  const settings = { rotation: { unknown_model: 'reject' } };
  const { client } = await one(t, { settings });
  await assert.rejects(client.chat.completions.create(QUESTION), NotFoundError);
});
