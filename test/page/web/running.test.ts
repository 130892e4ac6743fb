// What the screens say of commands, backends and the journal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendNow, Trouble } from '../../../src/gate/now/now.js';
import {
  backendState,
  boxesOf,
  boxesWords,
  causesOf,
  certificateLeft,
  commonWords,
  failedDials,
  failedTone,
  journalState,
  runningLine,
  waitingTone,
  whoAsked,
} from '../../../src/page/web/running.js';

const command = { id: '01J', principal: 'billing', listener: 'apps', command: 'expunge', durationMs: 4700 };

const backend: BackendNow = {
  name: 'mail1',
  address: 'mail1:24245',
  isUp: true,
  health: 'up',
  connections: 8,
  dialing: 1,
  idle: 2,
  leased: 3,
  waiting: 0,
  oldestWaitMs: 0,
  failed: {},
  countedSince: '2026-11-20T00:00:00Z',
  drained: [],
};

void test('a command in one line, as it is repeated before it is ended: where it is or waits, and whether it is overdue', () => {
  for (const [more, said] of [
    [{}, 'expunge of billing@apps, not yet at a backend, for 4.7 s'],
    [{ user: 'a@b.c', backend: 'mail1' }, 'expunge of billing@apps for a@b.c at mail1, for 4.7 s'],
    [{ backend: 'mail1', isWaiting: true }, 'expunge of billing@apps, waiting for mail1, for 4.7 s'],
    [{ backend: 'mail1', isOverdue: true }, 'expunge of billing@apps at mail1, for 4.7 s, overdue'],
  ] as const)
    assert.equal(runningLine({ ...command, ...more }), said);
});

void test('tiles: a short wait and a small share of failures are nothing', () => {
  const journal = { state: 'writable', seq: 1, unsyncedMs: 0, receivers: [] } as const;
  const counts = { perSecond: 1, history: [100, 100], failed: 0, denied: 0 };
  const tiles = { ...counts, waiting: 3, oldestWaitMs: 1000, journal };
  assert.equal(waitingTone(tiles), 'good');
  assert.equal(waitingTone({ ...tiles, oldestWaitMs: 1001 }), 'warn');
  assert.equal(failedTone({ ...tiles, failed: 9 }), 'good');
  assert.equal(failedTone({ ...tiles, failed: 10 }), 'bad');
  assert.equal(failedTone({ ...tiles, history: [], failed: 4 }), 'good');
});

void test('who asked is named once', () => {
  assert.equal(whoAsked({ principal: 'root@support', listener: 'support' }), 'root@support');
  assert.equal(whoAsked({ principal: 'x', listener: 'support' }), 'x@support');
  assert.equal(whoAsked({ principal: '203.0.113.9' }), '203.0.113.9');
});

void test('the state of a backend: taken out counts before down, down before full', () => {
  assert.deepEqual(backendState(backend), { tone: 'good', word: 'up' });
  assert.deepEqual(backendState({ ...backend, waiting: 2 }), { tone: 'warn', word: 'up, full' });
  assert.deepEqual(backendState({ ...backend, waiting: 2, isUp: false }), { tone: 'bad', word: 'down' });
  const drained = backendState({ ...backend, isUp: false, health: 'drained' });
  assert.deepEqual(drained, { tone: 'warn', word: 'drained' });
});

void test('boxes: one for each upstream that there may be, and none if they are too many', () => {
  assert.equal(boxesOf(backend, 8)?.join(' '), 'leased leased leased idle idle dialing free free');
  assert.equal(boxesOf(backend, 7), undefined);
  // After a reload to fewer, more may be open than there will be.
  assert.equal(boxesOf({ ...backend, connections: 2 }, 8)?.length, 6);
  assert.equal(boxesWords(backend), '3 busy, 2 idle, 1 dialing, of 8');
  assert.equal(boxesWords({ ...backend, dialing: 0 }), '3 busy, 2 idle, of 8');
});

void test('failed dials: the most first, in words where there are some', () => {
  assert.deepEqual(failedDials({ ...backend, failed: { dial: 2, tls: 0, other: 3 } }), [
    { step: 'other', count: 3 },
    { step: 'connecting', count: 2 },
  ]);
});

void test('a certificate: how long it lasts, and how urgent that is', () => {
  const now = '2026-11-21T12:00:00Z';
  const cases: [string, string, string][] = [
    ['2027-06-21T12:00:00Z', 'quiet', '212 days left, until 21 Jun 2027'],
    ['2026-12-11T12:00:00Z', 'warn', '20 days left, until 11 Dec 2026'],
    ['2026-11-22T13:00:00Z', 'bad', '1 day left, until 22 Nov 2026'],
    ['2026-11-21T13:00:00Z', 'bad', 'less than a day left, until 21 Nov 2026'],
    ['2026-11-21T11:59:59Z', 'bad', 'its last day was 21 Nov 2026'],
    ['soon', 'quiet', 'soon'],
  ];
  for (const [ends, tone, word] of cases) assert.deepEqual(certificateLeft(ends, now), { tone, word });
});

void test('the journal', () => {
  for (const [state, tone] of [
    ['writable', 'good'],
    ['reserve', 'warn'],
    ['failed', 'bad'],
  ] as const)
    assert.equal(journalState({ state }).tone, tone);
  assert.equal(journalState({ state: 'writable', missingSeq: 213 }).tone, 'bad');
});

void test('denied and failed by their cause: how many, of how many requesters, from when to when', () => {
  const row = (more: Partial<Trouble>): Trouble => ({
    at: '2026-11-21T07:45:39Z',
    kind: 'failed',
    principal: 'bob@support',
    listener: 'support',
    command: 'quota get',
    backend: 'mail2',
    text: 'Connection refused.',
    owner: 'server',
    ...more,
  });
  const early = '2026-11-21T07:45:00Z';
  const causes = causesOf([
    row({ count: 400, since: '2026-11-21T07:45:01Z' }),
    row({ principal: 'anna@support', at: '2026-11-21T07:45:30Z' }),
    row({ backend: 'mail1', at: '2026-11-21T07:45:20Z' }),
    row({ principal: 'job@panel', command: 'user', count: 11, at: early, since: '2026-11-21T07:44:57Z' }),
  ]);
  const told = causes.map(({ backend: where, count, since, at, rows }) =>
    [where, count, since.slice(11), at.slice(11), rows.length].join(' '),
  );
  assert.deepEqual(told, ['mail2 412 07:44:57Z 07:45:39Z 3', 'mail1 1 07:45:20Z 07:45:20Z 1']);
  const [{ rows } = { rows: [] }] = causes;
  const requesters = commonWords(rows, ({ principal }) => principal, 'requesters');
  const backends = commonWords(rows, (each) => each.backend ?? '', 'backends');
  assert.deepEqual([requesters, backends], ['3 requesters', 'mail2']);
});
