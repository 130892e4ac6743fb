// The explorer: every state within the depth once, the shortest trace to what breaks, an end where bounds are reached; all sequences of
// decisions, each once; and a step of the code that the model has not is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Beside, eachRun, explore, type Model } from './explore.js';

/** A counter from 0 to 9, by one or two. */
function counter(holds: (count: number) => boolean = () => true): Model<number> {
  return {
    initial: 0,
    actions: (count) =>
      [1, 2].filter((by) => count + by <= 9).map((by) => [`${by} more`, count + by] as const),
    invariants: { 'it holds': holds },
    keyOf: String,
  };
}

void test('all states are found once, and the search ends by itself', () => {
  assert.deepEqual(explore(counter(), { depth: 99 }), {
    states: 10,
    steps: 17,
    depth: 6,
    isWhole: true,
    broken: undefined,
  });
});

void test('a broken invariant is told with a shortest trace, the initial state included', () => {
  const { broken, isWhole } = explore(
    counter((count) => count !== 5),
    { depth: 99 },
  );
  assert.deepEqual(broken, { invariant: 'it holds', trace: ['1 more', '2 more', '2 more'] });
  assert.equal(isWhole, false);
  const never = explore(
    counter(() => false),
    { depth: 99 },
  );
  assert.deepEqual(never.broken?.trace, []);
});

void test('at a bound the search ends, and says how far it came', () => {
  const deep = explore(
    counter((count) => count !== 5),
    { depth: 2 },
  );
  assert.deepEqual([deep.depth, deep.states, deep.isWhole, deep.broken], [2, 5, false, undefined]);
  const wide = explore(counter(), { depth: 99, statesMax: 3 });
  assert.deepEqual([wide.isWhole, wide.states < 6], [false, true]);
  assert.equal(explore(counter(), { depth: 99, isOver: () => true }).isWhole, false);
});

void test('each sequence of decisions is run once, also where a run ends by itself', async () => {
  const found: string[] = [];
  const runs = await eachRun(3, (choose) => {
    let path = '';
    for (let choice = choose(['a', 'b']); choice !== undefined; choice = choose(['a', 'b'])) {
      path += choice;
      if (path.endsWith('bb')) break;
    }
    found.push(path);
  });
  assert.deepEqual(found, ['aaa', 'aab', 'aba', 'abb', 'baa', 'bab', 'bb']);
  assert.equal(runs, 7);
});

void test('a step that the model does not have here is an error, with the trace before it', async () => {
  const beside = new Beside(counter());
  beside.go('2 more');
  await assert.rejects(
    beside.told(() => beside.go('3 more')),
    /^Error: after 2 more; 3 more: Error: the model has no "3 more" here, but 1 more, 2 more/,
  );
});
