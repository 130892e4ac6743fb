// Goal: policies that permit more than those that were seen last are a thing to look at, with words for whom sees all mail users; each pair
// is compared once, and one that cannot be compared is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReviewAnswer, ReviewTask } from '../../src/page/review-task.js';
import { createWider } from '../../src/page/wider.js';
import { doorHead } from '../kit/gate/now.js';
import { settle } from '../kit/plain/fake-clock.js';

void test('each pair is compared once', async () => {
  const tasks: ReviewTask[] = [];
  const signals: AbortSignal[] = [];
  let found: Promise<ReviewAnswer> = Promise.resolve({ kind: 'wider', value: ['desk may now: expunge'] });
  const told = { head: doorHead, settings: Object(undefined), numbers: undefined };
  const wider = createWider(
    { told },
    {
      review: (task, _, signal) => {
        tasks.push(task);
        signals.push(signal);
        return found;
      },
    },
  );
  const ask = async (seen: string, served: string, seesAll = true) => {
    wider({ policies: { seen, served } }, seesAll);
    await settle();
    return wider({ policies: { seen, served } }, seesAll);
  };
  assert.deepEqual(await ask('a', 'a'), []);
  assert.deepEqual(tasks, []);
  const [problem] = await ask('a', 'b');
  assert.equal(problem?.key, 'wider a b');
  assert.equal(problem?.isDegrading, false);
  const text = 'The policies may permit more than those that were seen last';
  assert.equal(problem?.text, `${text}: desk may now: expunge.`);
  assert.equal((await ask('a', 'b', false))[0]?.text, `${text}.`);
  assert.deepEqual(tasks, [{ kind: 'wider', was: 'a', now: 'b', directory: doorHead.directory }]);
  assert.ok(signals.every(({ aborted }) => aborted));
  found = Promise.resolve({ kind: 'wider', value: [] });
  assert.deepEqual(await ask('b', 'c'), []);
  found = Promise.reject(new Error('EIO'));
  assert.match((await ask('b', 'd'))[0]?.text ?? '', /cannot be said: EIO/);
});
