// The stream of "now": taken up again after it broke or fell silent, never after the session ended, and never more often than is good.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Now, NowHead } from '../../../src/gate/now/now.js';
import { AskFault, type StreamEvent } from '../../../src/page/web/api.js';
import {
  applied,
  createSteadyClock,
  follow,
  isStale,
  type Live,
  pressing,
  staleMs,
} from '../../../src/page/web/follow.js';
import { emptyNow } from '../../kit/gate/now.js';

type Attempt = (signal: AbortSignal) => AsyncGenerator<StreamEvent, void, void>;

/** Runs attempts one after another under a clock that only moves when everything waits; the last attempt ends it all. */
async function run(attempts: Attempt[]) {
  const end = new AbortController();
  const seen: Live[] = [];
  const pauses: number[] = [];
  let timeMs = 0;
  let at = 0;
  await follow({
    api: {
      events(ask, { signal } = {}) {
        assert.equal(ask, 'GET /api/now');
        assert.ok(signal !== undefined);
        const attempt = attempts[at];
        at += 1;
        if (attempt === undefined) end.abort();
        return (attempt ?? nothing)(signal);
      },
    },
    signal: end.signal,
    nowMs: () => timeMs,
    pause: async (ms, signal) => {
      if (signal === end.signal) pauses.push(ms);
      // The other waiters have their turn.
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
      if (!signal.aborted) timeMs += ms;
    },
    random: () => 0,
    onChange: (live) => seen.push(live),
  });
  return { seen, pauses, attempts: at };
}

async function* nothing(): AsyncGenerator<StreamEvent, void, void> {
  // Ends at once.
}

function saying(...events: [string, unknown][]): Attempt {
  return async function* () {
    for (const [name, data] of events) yield { name, data: JSON.stringify(data) };
  };
}

function failing(fault: Error): Attempt {
  // oxlint-disable-next-line require-yield
  return async function* () {
    throw fault;
  };
}

const silent: Attempt = async function* (signal) {
  yield { name: 'snapshot', data: '{"at":"1"}' };
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve);
  });
  throw new DOMException('aborted', 'AbortError');
};

void test('a snapshot and changes make what is known; each part stands for the whole part', async () => {
  const { seen } = await run([
    saying(['snapshot', { at: '1', running: [1], troubles: [2] }], ['change', { at: '2', running: [] }]),
  ]);
  assert.deepEqual(seen[1]?.now, { at: '2', running: [], troubles: [2] });
  assert.equal(seen[1].trouble, undefined);
  assert.match(seen[2]?.trouble ?? '', /ended the stream/);
});

void test('a change before a snapshot, and an event of another name, are nothing', () => {
  assert.equal(applied(undefined, 'change', '{"at":"1"}'), undefined);
  assert.equal(applied(undefined, 'other', '{}'), undefined);
});

void test('what is known stays when the stream breaks, with the reason, and pauses grow until something comes', async () => {
  const away = failing(new AskFault(0, 'No answer.'));
  const { seen, pauses } = await run([
    saying(['snapshot', { at: '1' }]),
    ...Array<Attempt>(6).fill(away),
    saying(['snapshot', { at: '2' }]),
  ]);
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000, 250]);
  const broken = seen.find(({ trouble }) => trouble === 'No answer.');
  assert.deepEqual(broken?.now, { at: '1' });
  assert.equal(broken.heardMs, 0);
  assert.deepEqual(seen.at(-2), { now: { at: '2' }, heardMs: seen.at(-2)?.heardMs, trouble: undefined });
});

void test('a stream that falls silent is given up and taken up again', async () => {
  const { seen, attempts } = await run([silent, saying(['snapshot', { at: '2' }])]);
  assert.equal(attempts, 3);
  assert.match(seen[1]?.trouble ?? '', /Nothing has come/);
  assert.deepEqual(seen[2]?.now, { at: '2' });
});

void test('the end of the session ends it', async () => {
  const { attempts, pauses } = await run([failing(new AskFault(401, 'The session has ended.'))]);
  assert.equal(attempts, 1);
  assert.deepEqual(pauses, []);
});

void test('a clock that is set back makes nothing young, and sleep makes it old', () => {
  let [wallMs, runMs] = [1_000_000, 10];
  const clock = createSteadyClock(
    () => wallMs,
    () => runMs,
  );
  const heardMs = clock();
  const live: Live = { now: undefined, heardMs, trouble: undefined };
  // Set back by an hour, and the daemon is silent from then on.
  wallMs -= 3_600_000;
  assert.equal(isStale(live, clock()), false);
  runMs += staleMs + 1;
  wallMs += staleMs + 1;
  assert.equal(isStale(live, clock()), true);
  const again: Live = { ...live, heardMs: clock() };
  // Sleep: the other clock rests.
  wallMs += staleMs + 1;
  assert.equal(isStale(again, clock()), true);
});

void test('what was heard more than 5 s ago is old; what was never heard is not', () => {
  const live: Live = { now: undefined, heardMs: 1000, trouble: undefined };
  assert.equal(isStale(live, 1000 + staleMs), false);
  assert.equal(isStale(live, 1001 + staleMs), true);
  assert.equal(isStale({ ...live, heardMs: undefined }, 1e9), false);
  assert.equal(isStale(live, 0), false);
});

void test('another problem and another state are drawn at once; a number that moves in a sentence is not', () => {
  const text = '36 commands wait for mail1.';
  const problem = {
    code: 'queue-grows',
    key: 'queue-grows mail1',
    backend: 'mail1',
    text,
    isDegrading: true,
  };
  const head: NowHead = { ...emptyNow.head, state: 'degraded', problems: [problem] };
  const pressingOf = (change: Partial<NowHead>, trouble?: string): string => {
    const now: Pick<Now, 'head'> = { head: { ...head, ...change } };
    return pressing({ now: applied(undefined, 'snapshot', JSON.stringify(now)), heardMs: 1, trouble });
  };
  const known = pressingOf({});
  assert.equal(pressingOf({ problems: [{ ...problem, text: '35 commands wait for mail1.' }] }), known);
  const others = [
    pressingOf({ state: 'not serving' }),
    pressingOf({ problems: [] }),
    pressingOf({ problems: [problem, problem] }),
    pressingOf({ problems: [{ ...problem, backend: 'mail2' }] }),
    pressingOf({ problems: [{ ...problem, code: 'backend-down' }] }),
    pressingOf({}, 'The process of the page ended the stream.'),
    pressing({ now: undefined, heardMs: undefined, trouble: undefined }),
  ];
  assert.equal(new Set([...others, known]).size, others.length + 1);
});
