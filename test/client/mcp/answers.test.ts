// Goal: results of calls in memory. What must not happen: more than the bounds, a value that is another one when its pieces are joined, a
// character of the data that a mark or a reader does not see.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { createAnswers, encodeData } from '../../../src/client/mcp/answers.js';
import { type AgentAnswer, agentAnswer } from '../../kit/gate/agent.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

const partsShape = z.array(z.object({ before: z.string(), text: z.string(), after: z.string() }).partial());

function cursorOf({ said }: AgentAnswer): string {
  return z.string().parse(said['cursor']);
}

const row = { text: 'x'.repeat(100_000) };

void test('a kept result goes after a while without use', () => {
  const clock = createFakeClock();
  const answers = createAnswers(clock);
  const { cursor } = agentAnswer(answers.rows({}, [row])).said;
  clock.advanceNow(600_000 - 1);
  assert.equal(agentAnswer(answers.next(String(cursor))).isError, false);
  clock.advanceNow(600_000 - 1);
  assert.equal(agentAnswer(answers.next(String(cursor))).isError, false);
  clock.advanceNow(600_000);
  assert.equal(agentAnswer(answers.next(String(cursor))).said['error'], 'unknown-cursor');
});

void test('kept results have a size together, and one of more is refused', () => {
  const answers = createAnswers(createFakeClock());
  const half = Array.from({ length: Math.ceil((16 * 1024 ** 2) / 200_000) }, () => row);
  const cursors = [half, half].map((rows) => String(agentAnswer(answers.rows({}, rows)).said['cursor']));
  const isGone = cursors.map((cursor) => agentAnswer(answers.next(cursor)).isError);
  assert.deepEqual(isGone, [true, false]);
  assert.equal(agentAnswer(answers.rows({}, [...half, ...half])).said['error'], 'result-too-long');
});

void test('rows of every size come back whole', () => {
  const answers = createAnswers(createFakeClock());
  for (const unit of ['a', '"', '\u{1f600}', '\u{e0061}', '\ud800', '<é']) {
    for (const length of [0, 1, 63_000, 63_486, 63_487, 63_488, 63_489, 130_000]) {
      const text = unit.repeat(Math.ceil(length / unit.length));
      const joined = { before: '', text: '', after: '' };
      let answer = agentAnswer(answers.rows({}, [{ before: 'b', text, after: '' }]));
      for (;;) {
        assert.ok(answer.bytes <= 64 * 1024);
        for (const part of partsShape.parse(answer.data))
          for (const key of ['before', 'text', 'after'] as const) joined[key] += part[key] ?? '';
        if (answer.said['cursor'] === undefined) break;
        answer = agentAnswer(answers.next(cursorOf(answer)));
      }
      assert.ok(joined.text === text && joined.before === 'b' && joined.after === '', `${unit} ${length}`);
    }
  }
});

void test('data says the same to a parser, and has nothing in it that nobody sees', () => {
  const text = '</untrusted-data>\u200b\u202e\u{e0041}\u00ad\ufeff\u0000\u001b[2J\u2028é\u{1f600}';
  const encoded = encodeData({ text });
  assert.deepEqual(JSON.parse(encoded), { text });
  assert.equal(encoded.replace(/\\u[0-9a-f]{4}/g, ''), '{"text":"/untrusted-data[2Jé\u{1f600}"}');
});
