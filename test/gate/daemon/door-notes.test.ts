// Goal: nothing is done for a record of the page that has no room, and what one person or kind takes is missing to no other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DoorNotes } from '../../../src/gate/daemon/door-notes.js';
import type { DoorRefusal } from '../../../src/gate/door/door.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

type Again = Parameters<DoorNotes['note']>[5];

function open() {
  const clock = createFakeClock();
  const records: unknown[] = [];
  let digests = 0;
  let synced = Promise.resolve();
  const notes = new DoorNotes({
    clock,
    journal: {
      appendDurable(record) {
        records.push(record);
        return synced;
      },
    },
    redact(word) {
      digests += 1;
      return { hmac: word.length.toString(16) };
    },
    onError: (text) => assert.fail(text),
  });
  const note = (
    name: string,
    args: readonly (string | { secret: string })[],
    again: Again = () => undefined,
  ) => notes.note({ name, roles: ['audit'] }, 'audit-search', args, 0, { uid: 1 }, again);
  const hold = (until: Promise<void>): void => void (synced = until);
  return { clock, notes, note, records, hold, digests: () => digests };
}

/** Of all, and an eighth of it of a person. */
const burstBytes = bounds.doorBytes / 8;

void test('20,000 secret words without room: no digest is made', async () => {
  const { note, records, digests } = open();
  const words = Array.from({ length: 20_000 }, () => ({ secret: 'x' }));
  assert.equal(await note('ann', words), undefined, 'one that is larger than all of it takes all of it');
  assert.equal(records.length, 1);
  const made = digests();
  assert.ok(made > 0 && made <= 128 + 1);
  assert.equal((await note('ann', words))?.code, 'busy');
  assert.equal(digests(), made);
  assert.equal(records.length, 1);
  assert.equal(await note('ben', ['a']), undefined, 'others go on');
});

void test('who is locked while a look is recorded does not look', async () => {
  const { note, records, hold } = open();
  let [sync, lock]: [() => void, DoorRefusal | undefined] = [() => undefined, undefined];
  hold(new Promise((resolve) => void (sync = resolve)));
  const asked = note('ann', ['a'], () => lock);
  assert.equal(records.length, 1);
  lock = { code: 'person', text: 'ann is locked' };
  sync();
  assert.deepEqual(await asked, lock);
});

// bounds.doorBytes
void test('refusals and acts have bytes of their own', () => {
  const { notes } = open();
  const big = ['x'.repeat(burstBytes / 8)];
  const fill = (noted: 'looks' | 'acts' | 'refusals'): number => {
    for (let person = 0; ; person += 1)
      if (notes.whyNot(noted, noted === 'refusals' ? undefined : `p${person}`, big) !== undefined)
        return person;
  };
  assert.deepEqual([fill('refusals'), fill('acts'), fill('looks')], [7, 7, 7]);
  assert.match(notes.whyNot('refusals', undefined, big)?.text ?? '', /^the page has had too much recorded; /);
});
