// The history as people get it: from samples every 10 s, with gaps and a sentence while the daemon cannot be asked or is too old.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DoorTraffic } from '../../src/gate/door/door.js';
import { DoorFault } from '../../src/gate/door/door-client.js';
import type { History } from '../../src/page/answers/history.js';
import { createHistoryAnswers } from '../../src/page/history-answers.js';
import { type PageCaller, replyOf } from '../../src/page/http/page-request.js';
import { createFakeClock, settle } from '../kit/plain/fake-clock.js';

const viewer: PageCaller = { name: 'vera', roles: ['view'], users: undefined, from: [] };
const limited: PageCaller = { name: 'lim', roles: ['audit'], users: ['*@example.org'], from: [] };

function open(t: TestContext, at: { readonly away?: string; readonly fault?: Error } = {}) {
  const clock = createFakeClock();
  const daemon = {
    away: at.away,
    asked: 0,
    ended: 0,
    fault: at.fault,
    bounds: [0.01] as readonly number[],
    traffic(): Promise<DoorTraffic> {
      daemon.asked += 1;
      if (daemon.fault !== undefined) return Promise.reject(daemon.fault);
      const { ended, bounds } = daemon;
      const counts = { ended, denied: 0, failed: 0, buckets: [...bounds, 0].map(() => 0) };
      const teams = [{ ...counts, name: 'support' }];
      return Promise.resolve({ run: 'a', bounds, teams });
    },
  };
  const answers = createHistoryAnswers(clock, daemon);
  t.after(() => answers.close());
  const ask = async (span: string, who = viewer) => {
    const { signal } = new AbortController();
    const isStill = (): boolean => true;
    const request = { endpoint: 'history', params: [span], body: '', who, isStill, signal } as const;
    const reply = await replyOf(answers, request, { report: () => undefined });
    return 'body' in reply ? reply : assert.fail('in pieces');
  };
  const history = async (who = viewer): Promise<History> => JSON.parse((await ask('10m', who)).body);
  return { clock, daemon, answers, ask, history };
}

void test('samples come every 10 s, also while nobody asks; the last one ends at the end of a step', async (t) => {
  const { clock, daemon, history, answers } = open(t);
  const nothing = await history();
  assert.deepEqual([nothing.series, nothing.since === nothing.until, nothing.step], [[], true, 10]);
  assert.match(nothing.trouble ?? '', /nothing was counted yet/);
  await settle();
  for (let step = 1; step <= 30; step += 1) {
    daemon.ended += 20;
    await clock.advance(10_000);
  }
  assert.equal(daemon.asked, 31);
  const { series, since, until, trouble } = await history();
  assert.deepEqual([since, until], ['2026-01-02T03:04:05.000Z', '2026-01-02T03:09:05.000Z']);
  assert.equal(trouble, undefined);
  assert.deepEqual(series[0]?.rate, Array<number>(30).fill(2));
  answers.close();
  await clock.advance(60_000);
  assert.equal(daemon.asked, 31);
  assert.equal(clock.timers, 0);
});

void test('a step of the wall clock moves the labels, and no step', async (t) => {
  const { clock, daemon, history } = open(t);
  await settle();
  daemon.ended = 10;
  await clock.advance(10_000);
  clock.leap(-3_600_000);
  daemon.ended = 30;
  await clock.advance(10_000);
  const { series, until } = await history();
  assert.deepEqual([series[0]?.rate, until], [[1, 2], '2026-01-02T02:04:25.000Z']);
});

void test('an answer is made once for each step', async (t) => {
  const { clock, ask } = open(t);
  await settle();
  await clock.advance(10_000);
  const { body } = await ask('1h');
  assert.equal((await ask('1h')).body, body);
  await clock.advance(10_000);
  assert.notEqual((await ask('1h')).body, body);
});

void test('a daemon that does not tell: nothing is shown, and why; when it does there are charts', async (t) => {
  const fault = new DoorFault('busy', 'too much at once');
  const { clock, daemon, history } = open(t, { fault });
  await clock.advance(60_000);
  assert.ok(daemon.asked <= 7, 'it is not asked faster');
  const { series, trouble } = await history();
  assert.deepEqual(series, []);
  assert.match(trouble ?? '', /^too much at once/);
  daemon.fault = undefined;
  await clock.advance(30_000);
  assert.deepEqual((await history()).series[0]?.rate, [0, 0]);
  // Another one has other buckets.
  daemon.fault = fault;
  await clock.advance(20_000);
  assert.match((await history()).trouble ?? '', /too much at once/);
  daemon.fault = undefined;
  daemon.bounds = [0.5, 1];
  await clock.advance(20_000);
  const { series: others, trouble: none } = await history();
  assert.deepEqual([others[0]?.rate, none], [[0], undefined]);
});

void test('a daemon that is away: the history is kept, with a gap and a sentence', async (t) => {
  const { clock, daemon, history } = open(t);
  await settle();
  daemon.ended = 10;
  await clock.advance(10_000);
  daemon.away = 'dovegate does not answer';
  daemon.fault = new DoorFault('away', 'dovegate does not answer');
  await clock.advance(30_000);
  const { series, trouble } = await history();
  assert.deepEqual([series[0]?.rate, trouble], [[1, null, null], 'dovegate does not answer']);
  daemon.away = undefined;
  daemon.fault = undefined;
  await clock.advance(20_000);
  const back = await history();
  assert.deepEqual([back.series[0]?.rate, back.trouble], [[1, null, null, null, null, 0], undefined]);
});

void test('a daemon that is not there at the start is asked each second', async (t) => {
  const away = 'dovegate was not asked yet';
  const { clock, daemon, history } = open(t, { away, fault: new DoorFault('away', away) });
  await clock.advance(3_500);
  assert.equal(daemon.asked, 4);
  assert.equal((await history()).trouble, away);
  daemon.away = undefined;
  daemon.fault = undefined;
  await clock.advance(11_000);
  assert.equal(daemon.asked, 6);
  assert.equal((await history()).trouble, undefined);
});

void test('no such history, and who sees no names of teams', async (t) => {
  const { clock, ask, history } = open(t);
  await settle();
  await clock.advance(10_000);
  for (const span of ['1w', '__proto__', '']) assert.equal((await ask(span)).status, 404, span);
  const hidden = await history(limited);
  assert.deepEqual(hidden.series, []);
  assert.match(hidden.trouble ?? '', /"view" or "operate"/);
  assert.equal((await history({ ...limited, roles: ['audit', 'view'] })).series.length, 1);
});
