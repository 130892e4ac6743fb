// Goal: no record, no answer; a reload meanwhile is told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { systemNumbers } from '../../src/host/machine/accounts.js';
import { type AccessParts, createAccessHandlers } from '../../src/page/access-answers.js';
import type { Endpoint } from '../../src/page/answers/endpoints.js';
import type { Note } from '../../src/page/daemon.js';
import { type PageCaller, type PageHandlers, Refusal, replyOf } from '../../src/page/http/page-request.js';
import { createReviewHandlers, type ReviewParts } from '../../src/page/review-answers.js';
import type { ReviewAnswer } from '../../src/page/review-task.js';
import { doorHead } from '../kit/gate/now.js';
import { createFakeClock } from '../kit/plain/fake-clock.js';
import { withoutDirectory } from '../kit/plain/names.js';
import { settingsOf, sound } from '../rules/config/sound.js';

function desk(
  append: () => Promise<void> = () => Promise.resolve(),
  review?: (signal: AbortSignal) => ReviewAnswer | Promise<ReviewAnswer>,
) {
  const settings = settingsOf(sound);
  const clock = createFakeClock();
  const records: (Note & { readonly by: string })[] = [];
  const logged: string[] = [];
  const tasks: unknown[] = [];
  const log = { report: ({ text }: { readonly text?: string | undefined }) => void logged.push(text ?? '') };
  const parts: AccessParts & ReviewParts = {
    clock,
    names: withoutDirectory,
    daemon: {
      told: { head: doorHead, settings, numbers: systemNumbers },
      flush: () => Promise.resolve(),
      async record({ name: by }, note) {
        await append();
        records.push({ by, ...note });
      },
      facts: () =>
        Promise.resolve({
          atMs: 0,
          seq: 1,
          receivers: [],
          notices: [],
          series: {},
          certificates: [],
          used: [],
        }),
    },
    certificates: () => [],
    pastUses: () => Promise.resolve(new Map()),
    looks: {
      review: (task, _, signal) => {
        tasks.push(task);
        const looked = { records: 5, isAll: true, notes: [] };
        const value = { policy: 'support', place: 'd.yaml:1', looked, before: [], after: [], groups: [] };
        return Promise.resolve(review?.(signal) ?? { kind: 'suggested', value });
      },
    },
  };
  const handlers: PageHandlers = { ...createAccessHandlers(parts), ...createReviewHandlers(parts) };
  const who: PageCaller = { name: 'alice', roles: ['audit'], users: undefined, from: ['address=192.0.2.1'] };
  const ask = async (endpoint: Endpoint, body = '') => {
    const { signal } = new AbortController();
    const request = { endpoint, params: [], body, who, isStill: () => true, signal };
    const reply = await replyOf(handlers, request, log);
    assert.ok('body' in reply);
    return { status: reply.status, value: JSON.parse(reply.body) };
  };
  return { ask, records, logged, tasks, clock };
}

const listener = settingsOf(sound).listeners[0]?.name;
const question = JSON.stringify({ listener, user: 'anna@example.com', words: ['quota', 'get'] });

void test('a user of this host is meant by a name only if the configuration has it', async () => {
  const { ask, records } = desk();
  const asking = (uidName: unknown): string =>
    JSON.stringify({ listener: 'support', words: ['quota', 'get'], user: 'bob@example.com', uidName });
  const unknown = await ask('explain', asking('nobody-has-this-name'));
  assert.deepEqual([unknown.status, records.length], [404, 0]);
  assert.match(unknown.value.text, /names no user "nobody-has-this-name" of this host; give the uid/);
  assert.equal((await ask('explain', asking(7))).status, 400);
  const { value } = await ask('explain', asking('root'));
  assert.match(JSON.stringify(value), /uid:0@support|root@support|uid 0/);
});

void test('a question is recorded before it is answered', async () => {
  const { ask, records } = desk();
  const { status, value } = await ask('explain', question);
  assert.equal(status, 200, JSON.stringify(value));
  const [record] = records;
  assert.equal(record?.action, 'explain');
  assert.equal(record?.by, 'alice');
  assert.deepEqual(record?.args?.slice(0, 2), [`listener=${listener}`, `principal=${value.principal}`]);
  assert.equal((await ask('explain', '{')).status, 400);
  assert.equal(records.length, 1);
});

void test('no record, no answer', async () => {
  const { ask, logged } = desk(() => Promise.reject(new Error('the disk is full')));
  assert.deepEqual((await ask('explain', question)).status, 503);
  assert.deepEqual(logged, ['explain: the disk is full']);
});

const isFull = () => Promise.reject(new Error('full'));
const week = JSON.stringify({ policy: 'support', sinceMs: 0 });

void test('a review of the journal is recorded before it is shown, a check of a text is not', async () => {
  const { ask, records, tasks } = desk();
  assert.equal((await ask('suggest', week)).status, 200);
  const args = ['policy=support', 'since=1970-01-01T00:00:00.000Z'];
  assert.deepEqual(records, [{ action: 'audit-suggest', by: 'alice', args, rows: 5 }]);
  const text = JSON.stringify({ policy: 'support', yaml: 'policies: {}' });
  assert.equal((await ask('check', text)).status, 200);
  assert.equal(records.length, 1);
  assert.equal(tasks.length, 2);
});

void test('a look at what was changed in the policies is recorded before it is shown', async () => {
  const value = { looked: { records: 7, isAll: true, notes: [] }, periods: [] };
  const { ask, records, tasks } = desk(undefined, () => ({ kind: 'policies', value }));
  const noJson = { text: 'the request is not JSON' };
  assert.deepEqual(await ask('policies', 'all'), { status: 400, value: noJson });
  assert.deepEqual(await ask('policies', '{}'), { status: 200, value });
  assert.equal((await ask('policies', '{"sinceMs":0}')).status, 200);
  for (const wrong of ['{"sinceMs":"x"}', '{"form":"pdf"}'])
    assert.equal((await ask('policies', wrong)).status, 400, wrong);
  assert.equal(tasks.length, 2);
  const looked = { action: 'audit-policies', by: 'alice', rows: 7 };
  assert.deepEqual(records, [
    { ...looked, args: [] },
    { ...looked, args: ['since=1970-01-01T00:00:00.000Z'] },
  ]);
});

void test('who reaches a mailbox, and a statement, are recorded as questions before they are answered', async () => {
  const reached = { user: 'bob@example.com', rows: [], others: [], notes: [] };
  const { ask, records } = desk(undefined, () => ({ kind: 'mailbox', value: reached }));
  const of = { user: 'Bob@example.com' };
  assert.deepEqual(await ask('mailbox', JSON.stringify(of)), { status: 200, value: reached });
  assert.equal((await ask('prove', '{"statement":"nobody may destroy"}')).status, 200);
  for (const body of ['{}', '{"user":""}', '{"user":7}', `{"user":"${'x'.repeat(5000)}"}`])
    assert.equal((await ask('mailbox', body)).status, 400);
  for (const body of ['{}', '{"statement":""}', `{"statement":"${'x'.repeat(5000)}"}`])
    assert.equal((await ask('prove', body)).status, 400);
  const asked = records.map(({ action, args, rows }) => [action, args, rows]);
  assert.deepEqual(asked, [
    ['explain', ['mailbox=Bob@example.com'], undefined],
    ['explain', ['statement=nobody may destroy'], undefined],
  ]);
  const full = desk(isFull, () => ({ kind: 'mailbox', value: reached }));
  assert.equal((await full.ask('mailbox', JSON.stringify(of))).status, 503);
});

void test('a review without a record, without a thread, of what there is not', async () => {
  assert.equal((await desk(isFull).ask('suggest', week)).status, 503);
  const busy = desk(undefined, () => {
    throw new Refusal(503, 'too many');
  });
  assert.deepEqual(await busy.ask('suggest', week), { status: 503, value: { text: 'too many' } });
  const broken = desk(undefined, () => ({ kind: 'refused', text: 'd.yaml has errors' }));
  assert.deepEqual(await broken.ask('suggest', week), { status: 409, value: { text: 'd.yaml has errors' } });
  const { ask, records } = desk();
  const bodies: readonly (readonly [Endpoint, unknown, number])[] = [
    ['suggest', { policy: 'suport' }, 404],
    ['suggest', { policy: '__proto__' }, 404],
    ['suggest', {}, 400],
    ['suggest', [], 400],
    ['suggest', { policy: 'support', sinceMs: 'x' }, 400],
    ['check', { policy: 'support' }, 400],
    ['check', { policy: 'support', yaml: 'x'.repeat(262_145) }, 400],
    ['replay', { policy: 'support', yaml: 7 }, 400],
  ];
  for (const [endpoint, body, status] of bodies)
    assert.equal((await ask(endpoint, JSON.stringify(body))).status, status, JSON.stringify(body));
  assert.equal((await ask('suggest', '{')).status, 400);
  assert.deepEqual(records, []);
});

void test('the text of a policy has a bound', async () => {
  const { ask, tasks } = desk(undefined, () => ({ kind: 'checked', value: { problems: [] } }));
  const check = (chars: number) =>
    ask('check', JSON.stringify({ policy: 'support', yaml: 'x'.repeat(chars) }));
  await check(256 * 1024);
  assert.equal(tasks.length, 1);
  const refused = await check(256 * 1024 + 1);
  assert.equal(refused.status, 400);
  assert.match(JSON.stringify(refused.value), /at most 262144 characters/);
  assert.equal(tasks.length, 1);
});

void test('a text that takes too long to read is given up, and its thread ended', async () => {
  const { ask, clock } = desk(undefined, async (signal) => {
    const ended = once(signal, 'abort');
    clock.advanceNow(5_000);
    await ended;
    throw signal.reason;
  });
  const { status, value } = await ask('check', JSON.stringify({ policy: 'support', yaml: 'x' }));
  assert.deepEqual(
    [status, value],
    [409, { text: 'it takes too long: ask about less, or use the commands of dovegate' }],
  );
});
