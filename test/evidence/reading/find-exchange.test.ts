// One command in a large journal: found near the time in its id, with its session, its neighbors and the checkpoint after it; a limited
// view has none of these.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findExchange, seqOf } from '../../../src/evidence/reading/find-exchange.js';
import { foldStory } from '../../../src/evidence/story/fold.js';
import { rightWords } from '../../../src/evidence/story/words.js';
import { createView } from '../../../src/evidence/views/view.js';
import { createUlidSource } from '../../../src/gate/daemon/ulid.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { openedOf } from './written-journal.js';

const startMs = Date.UTC(2026, 10, 20);
const hourMs = 3_600_000;
const alice = 'alice@example.org';
// A source each, since one never goes back in time.
const idAt = (timeMs: number): string => createUlidSource()(timeMs, randomBytes(10));

/** Three segments, an hour each: the session begins in the first, its commands are in the second, the third has a checkpoint. */
function opened(t: TestContext) {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const write = (name: string, records: readonly JournalRecord[]): void =>
    writeFileSync(join(directory, name), records.map((each) => ledger.seal(encodeBody(each))).join(''));
  const session = idAt(startMs);
  const time = startMs + hourMs + 120_000;
  const ids = [1, 2, 3].map((count) => idAt(time + count));
  write('00000001.jsonl', [
    { time: startMs, event: 'session-open', session },
    { time: startMs + 1, event: 'checkpoint', head: 'x' },
  ]);
  const asked = { command: 'quota get', user: alice, users: [alice], args: [] };
  write('00000002.jsonl', [
    { time: startMs + hourMs, event: 'stop' },
    ...ids.flatMap((id): JournalRecord[] => [
      { time: time + 5, event: 'admission', session, id, ...asked },
      { time: time + 6, event: 'completion', session, id, outcome: 'ok' },
    ]),
  ]);
  const checkpoint: JournalRecord = { time: startMs + 2 * hourMs, event: 'checkpoint', head: 'x' };
  write('00000003.jsonl', [checkpoint, checkpoint]);
  return { directory, trail: findTrail([directory]), ids };
}

void test('a command that a drained backend did not take has the drain that it met, with both of its records', async (t) => {
  const done = (
    action: string,
    backend: string,
    at: number,
    outcome: 'ok' | 'failed' = 'ok',
  ): JournalRecord[] => {
    const deed = {
      time: startMs + at,
      event: 'operator',
      action,
      backend,
      by: 'erin',
      deed: `D${at}`,
    } as const;
    return [deed, { ...deed, outcome }];
  };
  const id = idAt(startMs + 10);
  const directory = openedOf(t, [
    ...done('drain', 'mail1', 1),
    ...done('enable', 'mail1', 2),
    ...done('drain', 'mail1', 3),
    ...done('drain', 'mail2', 4),
    ...done('drain', 'mail1', 5, 'failed'),
    { time: startMs + 10, event: 'admission', id, command: 'fetch', users: ['a@example.org'], args: [] },
    {
      time: startMs + 11,
      event: 'completion',
      id,
      outcome: 'failed',
      error: 'backend-drained',
      backend: 'mail1',
    },
    ...done('drain', 'mail1', 12),
  ]);
  const trail = findTrail([directory]);
  const find = async (wanted: string, isWhole = true): Promise<readonly number[]> => {
    const users = isWhole ? undefined : ['*@example.org'];
    const found = await findExchange(trail, wanted, createView(users), { nearBytes: 1 << 20, isWhole });
    return found.all.map(seqOf);
  };
  assert.deepEqual(await find(id), [5, 6, 11, 12]);
  assert.deepEqual(await find(id, false), [11, 12]);
  assert.deepEqual(await find('6'), [5, 6]);
});

void test('what is near an id is what reading everything finds', async (t) => {
  const { directory, trail, ids } = opened(t);
  const wanted = ids[1] ?? '';
  for (const nearBytes of [undefined, 1]) {
    const read = new Set<string>();
    const look = ({ path }: { readonly path: string }) => void read.add(path.slice(directory.length + 1));
    const found = await findExchange(trail, wanted, createView(undefined), {
      look,
      nearBytes,
      isWhole: true,
    });
    assert.equal(found.id, wanted);
    assert.deepEqual(found.all.map(seqOf), [1, 6, 7]);
    const { before, after, checkpoint } = found.around;
    assert.deepEqual([before?.['id'], after?.['id'], checkpoint?.seq], [ids[0], ids[2], 10]);
    assert.equal(read.has('00000001.jsonl'), nearBytes === undefined);
    // By the seq of its end, too.
    const bySeq = await findExchange(trail, '7', createView(undefined), { nearBytes, isWhole: true });
    assert.deepEqual(bySeq, found);
  }
});

void test('a limited view has the records of the command and nothing around them', async (t) => {
  const { trail, ids } = opened(t);
  const options = { nearBytes: 1 << 20, isWhole: false };
  const seen = await findExchange(trail, ids[1] ?? '', createView(['*@example.org']), options);
  assert.deepEqual([seen.all.map(seqOf), seen.around], [[6, 7], {}]);
  const hidden = await findExchange(trail, ids[1] ?? '', createView(['*@example.com']), options);
  assert.deepEqual(hidden, { id: undefined, all: [], around: {} });
});

void test('a command under a grant has the steps of the grant beside it; of a step that is retired, one copy', async (t) => {
  const [grant, id] = [idAt(startMs), idAt(startMs + hourMs)];
  const of = { user: alice, users: [alice] };
  const [anna, carol] = ['anna@support', 'carol@leads'];
  const until = formatTime(startMs + 2 * hourMs);
  const step = (action: string, principal: string, more: object = {}): JournalRecord => {
    const which = action === 'requested' ? { request: grant, approvals: 1, args: [] } : { grant, to: anna };
    return { time: startMs, event: 'access', action, principal, until, ...which, ...of, ...more };
  };
  const steps = [step('requested', anna), step('approved', carol), step('granted', anna)];
  const copies = steps.map((record): JournalRecord => ({ ...record, carried: true }));
  const time = startMs + hourMs;
  const command: readonly JournalRecord[] = [
    { time, event: 'admission', id, grant, command: 'quota get', args: [], decision: 'allow', ...of },
    { time, event: 'completion', id, grant, outcome: 'ok', sent: true },
    step('ended', anna, { time: time + 1 }),
    step('reviewed', carol, { time: time + 2 }),
  ];
  const before = [true, false].flatMap((sent, at): JournalRecord[] => [
    { time, event: 'admission', id: idAt(startMs + at), grant, command: 'quota get', ...of },
    { time, event: 'completion', id: idAt(startMs + at), grant, outcome: sent ? 'ok' : 'failed', sent },
  ]);
  for (const [records, seqs, second] of [
    // What was not sent was no use.
    [[...steps, ...before, ...copies, ...command], [1, 2, 3, 11, 12, 14], 2],
    [[...copies, ...copies, ...command], [1, 2, 3, 7, 8, 10], undefined],
    [command.slice(0, 2), [1, 2], undefined],
  ] as const) {
    const directory = openedOf(t, records);
    for (const [nearBytes, users] of [
      [undefined, undefined],
      [1 << 20, ['*@example.org']],
    ] as const) {
      const options = { nearBytes, isWhole: users === undefined };
      const { all, use } = await findExchange(findTrail([directory]), id, createView(users), options);
      assert.deepEqual(all.map(seqOf), seqs);
      assert.equal(use, users === undefined ? second : undefined);
      const kept = all.map(({ record }) => record);
      const { decided } = foldStory(kept, id);
      const gone = 'approvers are no longer in the kept records';
      const approved = seqs.length === 2 ? gone : `${anna} asked, approved by ${carol}`;
      assert.equal(rightWords(decided), `grant ${grant}: ${approved}`);
    }
  }
});
