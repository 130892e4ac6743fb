// Goal: a fleet search follows 1000 journals at once. Of more, the one that was silent for longest ends: its open exchanges are given
// out once, and all others are still put together.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FollowedJournals, type HostRows } from '../../../src/cli/fleet/stream-rows.js';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { Ledger } from '../../../src/domain/audit/ledger.js';

/** The lines of one journal, a block each: an admission and its completion. */
function journalOf(id: string): readonly [Buffer, Buffer] {
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const admission = { time: 1, event: 'admission', id, users: ['a@b'], args: [] } as const;
  const completion = { time: 2, event: 'completion', id, outcome: 'ok' } as const;
  return [Buffer.from(ledger.seal(encodeBody(admission))), Buffer.from(ledger.seal(encodeBody(completion)))];
}

function shown(found: Iterable<HostRows>): string[] {
  return [...found].flatMap(({ host, rows }) =>
    rows.map(({ fields }) => `${host} ${String(fields['id'])} ${String(fields['outcome'])}`),
  );
}

// bounds.fleetSearched
void test('of 1001 journals the one that was silent for longest ends', () => {
  const followed = new FollowedJournals({});
  const journals = Array.from({ length: 1001 }, (_, at) => journalOf(`X${at}`));
  const take = (at: number, block: 0 | 1): string[] =>
    shown(followed.take(`subject${at}`, `host${at}`, journals[at]?.[block] ?? Buffer.alloc(0)));
  for (let at = 0; at < 1000; at += 1) assert.deepEqual(take(at, 0), []);
  assert.equal(followed.count, 1000);
  // The first one is heard again, so the second one was silent for longest.
  assert.deepEqual(take(0, 1), ['host0 X0 ok']);
  assert.deepEqual(take(1000, 0), ['host1 X1 undefined']);
  assert.equal(followed.count, 1000);
  assert.deepEqual(take(1000, 1), ['host1000 X1000 ok']);
  assert.deepEqual(take(2, 1), ['host2 X2 ok']);
  const open = shown(followed.finish());
  assert.equal(open.length, 997);
  assert.ok(open.includes('host3 X3 undefined') && open.includes('host999 X999 undefined'));
});
