// Goal: what is held, owed and read for mails to owners stays within its bounds, however many grants and open commands the journal has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../../src/bounds/bounds.js';
import { formatTime } from '../../../../src/domain/records/audit/record.js';
import { createOwnerDigest, type OwnerPlan } from '../../../../src/domain/records/report/owner-digest.js';
import { createOwnerView, isQuiet } from '../../../../src/domain/records/story/owner-view.js';
import { accessLine } from '../../../kit/access-record.js';

const nowMs = Date.UTC(2026, 10, 29, 7);
const plan: OwnerPlan = { day: '', told: 0, start: 0, sinceMs: 0, owed: new Map(), held: new Map() };
const options = { nowMs, upTo: 1e9, isNew: true, seesPeople: () => false, isExcepted: () => false };
const users = ['bob@example.com'];

function lineOf(seq: number, event: string, facts: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ seq, time: formatTime(nowMs - 1000), event, prev: '0', ...facts, hash: '1' });
}

/** A grant that is kept from the owner, as its records are. */
function quietGrant(id: string): string[] {
  const terms = { users, until: formatTime(nowMs + 1000), quiet_ms: 60_000, approvals: 2, request: id };
  return [
    accessLine(1, nowMs - 2000, { action: 'requested', ...terms }),
    accessLine(1, nowMs - 2000, { action: 'granted', ...terms, grant: id }),
  ];
}

void test('so many grants are held, and so many commands are open', () => {
  const digest = createOwnerDigest(plan, options);
  let seq = 1;
  const take = (line: string): void => assert.ok(digest.take(line, (seq += 1), 1));
  for (let at = 0; at <= bounds.ownerQuiet; at += 1) {
    const grant = `Q${at}`;
    // The book of live access has fewer places for requests than for grants.
    for (const line of quietGrant(grant)) take(line);
    take(lineOf(seq, 'admission', { id: `E${at}`, users, user: users[0], grant, command: 'fetch' }));
    take(lineOf(seq, 'completion', { id: `E${at}`, grant, sent: true, outcome: 'ok' }));
  }
  const { plan: next, mails } = digest.finish();
  assert.equal(next.held.size, bounds.ownerQuiet);
  assert.equal(mails.size, 0);

  const other = createOwnerDigest(plan, options);
  for (let at = 0; at <= bounds.ownerOpen; at += 1)
    other.take(lineOf(at, 'admission', { id: `E${at}`, users, grant: 'G1', command: 'fetch' }), at, 7);
  const ended = { grant: 'G1', sent: true, outcome: 'ok' };
  other.take(lineOf(2, 'completion', { id: `E${bounds.ownerOpen}`, ...ended }), 2e4, 9);
  assert.equal(other.finish().mails.size, 0, 'there was no place for it');
  other.take(lineOf(2, 'completion', { id: 'E1', ...ended }), 2e4, 9);
  const { plan: open, mails: made } = other.finish();
  assert.equal(made.size, 1);
  assert.equal(open.start, 7, 'the next mails begin where open commands do');
});

void test('until when it is quiet, and what is alike', () => {
  const granted = { time: nowMs, event: 'access', action: 'granted' } as const;
  const entry = { granted: { ...granted, quiet_ms: 5 } };
  assert.deepEqual(
    [
      isQuiet(entry, nowMs),
      isQuiet(entry, nowMs + 4),
      isQuiet(entry, nowMs + 5),
      isQuiet({ granted }, nowMs),
    ],
    [true, true, false, false],
  );
  const view = createOwnerView((team) => team === 'named', 2);
  const touch = {
    class: 'content',
    policy: 'support',
    principal: 'anna@support',
    reason: '',
    grant: 'G1',
    given: undefined,
  };
  for (const time of ['2026-11-29T08:00:00.000Z', '2026-11-29T07:00:00.000Z']) view.take({ ...touch, time });
  view.take({ ...touch, time: '2026-11-30T08:00:00.000Z', policy: 'named' });
  view.take({ ...touch, time: '2026-11-30T08:00:00.000Z' });
  assert.equal(view.more, 1);
  assert.deepEqual(
    view.rows.map(({ from, until, team, person, approvedBy, count }) => [
      from,
      until,
      team,
      person,
      approvedBy,
      count,
    ]),
    [
      ['2026-11-29T07:00:00.000Z', '2026-11-29T08:00:00.000Z', 'support', undefined, undefined, 2],
      ['2026-11-30T08:00:00.000Z', '2026-11-30T08:00:00.000Z', 'named', 'anna@support', undefined, 1],
    ],
  );
});
