// Goal: a bulk run with senders that are told what to say: who is sent again and when, what stops the run, and what the state has then.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPace } from '../../../src/client/bulk/pace.js';
import { type RunOptions, runForUsers } from '../../../src/client/bulk/run.js';
import { forgetfulState, type RunState } from '../../../src/client/bulk/run-state.js';
import type { TryAgain, UserResult, UserSender } from '../../../src/client/bulk/send-user.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

type Came = UserResult | TryAgain | Error | 'hang';

const ok: UserResult = { kind: 'ok', rows: [], isCut: false };
const again = (why: TryAgain['why'], afterMs?: number): TryAgain => ({
  kind: 'again',
  why,
  afterMs,
  message: `${why}!`,
  code: 'TEMPFAIL',
  id: undefined,
});

/** `say`: what comes of the attempt-th command for a user. */
function open(count: number, say: (user: string, attempt: number) => Came, more: Partial<RunOptions> = {}) {
  const clock = createFakeClock();
  const startMs = clock.now();
  const users = new Map(Array.from({ length: count }, (_, at) => [`u${at}`, `U${at}`]));
  const log: string[] = [];
  const sentAt: [string, number][] = [];
  const attempts = new Map<string, number>();
  const stop = new AbortController();
  const cancel = new AbortController();
  const base = forgetfulState();
  const state: RunState = {
    ...base,
    async begin(name) {
      const number = await base.begin(name);
      log.push(`> ${number} ${name}`);
      return number;
    },
    end: (number, how, code) => void log.push(`${how} ${number}${code === undefined ? '' : ` ${code}`}`),
  };
  const results: string[] = [];
  const createSender = (): UserSender => ({
    close: () => Promise.resolve(),
    async send(user, begin, signal) {
      const attempt = (attempts.get(user) ?? 0) + 1;
      attempts.set(user, attempt);
      const came = say(user, attempt);
      if (came instanceof Error && came.message === 'before') throw came;
      if (!(came instanceof Error) && came !== 'hang' && came.kind === 'again' && came.why === 'away')
        return came;
      const tag = await begin();
      assert.match(tag, /^bulk-x-\d+$/);
      sentAt.push([user, clock.now() - startMs]);
      if (came === 'hang')
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      if (came instanceof Error) throw came;
      return came;
    },
  });
  const ended = runForUsers({
    clock,
    state,
    id: 'bulk-x',
    users,
    isDone: () => false,
    isHarmless: false,
    jobs: 1,
    pace: createPace(clock, undefined),
    createSender,
    onResult: async (user, tag, result) => {
      results.push(`${user} ${result.kind}${tag === undefined ? ' without' : ''}`);
      await settle();
    },
    onWait: (ms, why) => void log.push(`wait ${Math.round(ms)} ${why}`),
    stop: stop.signal,
    cancel: cancel.signal,
    ...more,
  });
  /** Turns the clock from timer to timer for so long, or until it is over. */
  const pass = async (ms: number): Promise<void> => {
    let isOver = false;
    void ended
      .finally(() => {
        isOver = true;
      })
      .catch(() => undefined);
    const untilMs = clock.now() + ms;
    for (;;) {
      for (let turn = 0; turn < 20; turn += 1) await settle();
      const nextMs = clock.nextTimerMs;
      if (isOver || nextMs === undefined || clock.now() + nextMs > untilMs) return;
      clock.advanceNow(nextMs);
    }
  };
  return { clock, log, sentAt, results, ended, stop, cancel, pass };
}

void test('one user after the other, each with its end; those that are done are not sent', async () => {
  const run = open(3, () => ok, { isDone: (name) => name === 'u1' });
  await run.pass(1_000);
  assert.deepEqual(await run.ended, { fault: undefined, left: 0, givenUp: 0 });
  assert.deepEqual(run.results, ['U0 ok', 'U2 ok']);
  assert.deepEqual(run.log, ['> 1 u0', 'ok 1', '> 2 u2', 'ok 2']);
});

void test('what would make everybody unknown ends the run, with that user unknown and the others not begun', async () => {
  const run = open(3, () => ({
    kind: 'unknown',
    message: 'the server answered 504',
    id: undefined,
    endsRun: true,
  }));
  await run.pass(1_000);
  const { fault, left } = await run.ended;
  assert.deepEqual([fault?.message, left], ['no further user is sent: the server answered 504', 2]);
  assert.deepEqual(run.log, ['> 1 u0', 'unknown 1']);
});

void test('a limit holds everybody for the time that it says, and is no failure', async () => {
  const run = open(3, (user, attempt) => (user === 'U1' && attempt < 4 ? again('limited', 60_000) : ok));
  await run.pass(200_000);
  assert.deepEqual(await run.ended, { fault: undefined, left: 0, givenUp: 0 });
  assert.deepEqual(run.results.toSorted(), ['U0 ok', 'U1 ok', 'U2 ok']);
  assert.ok(run.sentAt.every(([user, at]) => user !== 'U2' || at >= 60_000));
  assert.equal(run.log.filter((line) => line.startsWith('wait 60000 limited!')).length, 3);
  assert.equal(run.log.filter((line) => line.startsWith('released')).length, 3);
});

void test('what one user needs and is not there holds nobody else, and is given up in the end', async () => {
  const run = open(3, (user) => (user === 'U0' ? again('busy') : ok));
  await run.pass(10);
  assert.deepEqual(run.results, ['U1 ok', 'U2 ok']);
  await run.pass(200_000);
  assert.deepEqual(await run.ended, { fault: undefined, left: 0, givenUp: 1 });
  assert.deepEqual(run.results.at(-1), 'U0 failed');
  const times = run.sentAt.filter(([user]) => user === 'U0').map(([, at]) => Math.round(at / 1000));
  assert.deepEqual(times, [0, 1, 3, 7, 15, 31, 61, 91]);
  // To the next run it is somebody who was not sent.
  assert.equal(run.log.at(-1), 'released 10');
});

void test('what stops the run stops it before the next user, and what runs ends', async () => {
  const lasting = open(3, (user) => (user === 'U1' ? new CommandFault(65, 'the text') : ok));
  assert.deepEqual(await lasting.ended, { fault: new CommandFault(65, 'the text'), left: 2, givenUp: 0 });
  assert.equal(lasting.log.at(-1), 'released 2', 'nothing was sent');
  const before = open(2, () => new CommandFault(75, 'before'));
  assert.equal((await before.ended).left, 2);
  const bug = open(2, () => new Error('a bug'));
  await assert.rejects(bug.ended, /a bug/);
  assert.deepEqual(bug.results, ['U0 unknown']);
});

void test('a stop begins nobody; a cancel leaves what ran unknown, and a read free', async () => {
  for (const isHarmless of [false, true]) {
    const run = open(4, (user) => (user === 'U1' ? 'hang' : ok), { isHarmless });
    await settle();
    await run.pass(10);
    run.stop.abort(new CommandFault(75, 'stopped'));
    await run.pass(1_000);
    assert.deepEqual(run.results, ['U0 ok']);
    run.cancel.abort(new CommandFault(75, 'stopped'));
    const { fault, left } = await run.ended;
    assert.equal(fault, undefined);
    assert.deepEqual(run.results, isHarmless ? ['U0 ok'] : ['U0 ok', 'U1 unknown']);
    assert.equal(left, isHarmless ? 3 : 2);
    assert.equal(run.log.at(-1), isHarmless ? 'released 2' : 'unknown 2');
  }
});

void test('several at once: as many as are asked for, and nobody twice', async () => {
  let running = 0;
  let most = 0;
  const run = open(50, () => ok, {
    jobs: 8,
    onResult: async () => {
      running += 1;
      most = Math.max(most, running);
      await settle();
      running -= 1;
    },
  });
  await run.pass(10_000);
  assert.deepEqual(await run.ended, { fault: undefined, left: 0, givenUp: 0 });
  assert.equal(most, 8);
  assert.equal(new Set(run.sentAt.map(([user]) => user)).size, 50);
  assert.equal(run.sentAt.length, 50);
});
