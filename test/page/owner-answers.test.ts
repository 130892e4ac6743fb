// What an owner gets for a token: the gate decides what it opens, a report that takes too long is given up, only some are made at once, and
// nothing is shown that the configuration in force does not show.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { LongPart, LongTask } from '../../src/evidence/reading/read-long.js';
import { DoorFault } from '../../src/gate/door/door-client.js';
import { createLoginGuard } from '../../src/gate/login/logins.js';
import { systemNumbers } from '../../src/host/machine/accounts.js';
import type { OwnerCall } from '../../src/page/http/page-server.js';
import { createOwnerAnswers } from '../../src/page/owner-answers.js';
import { keyBytes, makeKey, reportTokenPrefix } from '../../src/rules/keys/key.js';
import { doorHead } from '../kit/gate/now.js';
import { createFakeClock, settle } from '../kit/plain/fake-clock.js';
import { settingsOf, sound } from '../rules/config/sound.js';

const token = makeKey(new Uint8Array(keyBytes).fill(3), reportTokenPrefix);
const counts = { without_effect: 0, left_out: 0, made_at: '', rows: [] };
const report = {
  user: 'alice@example.com',
  from: '',
  to: '',
  complete: true,
  sentences: ['whole'],
  ...counts,
};
const made: LongPart = { part: 'owner', made: { report, fromSeq: 1, toSeq: 2, isDamaged: false } };

function open(more: { fault?: DoorFault; parts?: (signal: AbortSignal) => AsyncGenerator<LongPart> } = {}) {
  const clock = createFakeClock();
  const tasks: LongTask[] = [];
  const opened: (readonly string[])[] = [];
  const refused: string[] = [];
  let generation = 7;
  const settings = settingsOf(sound);
  const answer = createOwnerAnswers({
    clock,
    log: { report: () => undefined },
    guard: createLoginGuard(clock),
    refused: ({ address }) => void refused.push(address ?? ''),
    daemon: {
      get told() {
        return { head: { ...doorHead, generation }, settings, numbers: systemNumbers };
      },
      flush: () => Promise.resolve(),
      openReport: async (...asked) => {
        await settle();
        opened.push(asked.map(String));
        if (more.fault !== undefined) throw more.fault;
        return { user: 'alice@example.com', until: '' };
      },
    },
    looks: {
      async *readLong(task, _, signal) {
        tasks.push(task);
        if (more.parts === undefined) yield made;
        else yield* more.parts(signal);
      },
    },
  });
  const ask = async (given: Partial<OwnerCall> = {}) => {
    const reply = await answer({
      token,
      query: '',
      accept: '*/*',
      peer: { address: '192.0.2.1', certificate: undefined },
      known: () => undefined,
      signal: new AbortController().signal,
      ...given,
    });
    assert.ok('body' in reply);
    return reply;
  };
  return { clock, ask, tasks, opened, refused, reload: () => void (generation += 1) };
}

void test('the mailbox is the one that the gate says; the time is that of the query', async () => {
  const { clock, ask, tasks, opened } = open();
  const nowMs = clock.wallMs();
  assert.equal((await ask()).status, 200);
  assert.deepEqual(opened, [[token, '192.0.2.1', '7']]);
  await ask({ query: 'since=2026-01-01&user=bob@example.com' });
  const asked = tasks.map((task) => (task.long === 'owner' ? task.asked : undefined));
  const common = { mailbox: 'alice@example.com', nowMs };
  assert.deepEqual(asked, [
    { ...common, fromMs: nowMs - 7_776_000_000 },
    { ...common, fromMs: Date.UTC(2026, 0, 1) },
  ]);
  assert.equal((await ask({ query: 'since=2027-01-01' })).status, 400);
  assert.equal((await ask({ query: 'since=' })).status, 400);
  assert.equal((await ask({ accept: 'text/html' })).type, 'text/html; charset=utf-8');
});

void test('what opens nothing is refused, counted for its network, and reaches no journal', async () => {
  const { ask, tasks, opened, refused } = open({ fault: new DoorFault('person', 'over') });
  for (const wrong of [undefined, 'x', token.replace('dvr_', 'dvg_'), `${token.slice(0, -1)}!`])
    assert.equal((await ask({ token: wrong })).status, 401);
  assert.deepEqual([opened, tasks], [[], []]);
  assert.equal(refused.length, 4);
});

void test('each answer of the door has its status', async () => {
  for (const [code, status] of [
    ['person', 401],
    ['stale', 409],
    ['busy', 429],
    ['away', 503],
    ['unrecorded', 503],
  ] as const) {
    const { ask, tasks } = open({ fault: new DoorFault(code, 'why') });
    assert.deepEqual([(await ask()).status, tasks], [status, []], code);
  }
});

void test('a configuration that came meanwhile: nothing is shown', async () => {
  const { ask, reload } = open({
    // oxlint-disable-next-line typescript/require-await -- parts of a thread come one by one
    async *parts() {
      reload();
      yield made;
    },
  });
  assert.equal((await ask()).status, 409);
});

void test('so many at once, and so long', async () => {
  const { clock, ask } = open({
    // oxlint-disable-next-line require-yield -- a disk that hangs
    async *parts(signal) {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const all = Array.from({ length: 2 }, () => ask());
  for (let turns = 0; turns < 20; turns += 1) await settle();
  assert.equal((await ask()).status, 503);
  for (let at = all.length; at < 8; at += 1)
    all.push(ask({ token: makeKey(randomBytes(keyBytes), reportTokenPrefix) }));
  for (let turns = 0; turns < 20; turns += 1) await settle();
  const crowded = await ask({ token: makeKey(randomBytes(keyBytes), reportTokenPrefix) });
  assert.deepEqual([crowded.status, crowded.headers?.['Retry-After']], [503, '5']);
  await clock.advance(60_000);
  for (const each of await Promise.all(all)) assert.equal(each.status, 503);
});
