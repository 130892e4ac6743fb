// Goal: each kind of call has calls and bytes of its own, and what is refused takes nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DoorBudget, doorBodyMax } from '../../../src/gate/daemon/door-budget.js';
import { DoorNotes } from '../../../src/gate/daemon/door-notes.js';
import { type DoorCall, type DoorRefusal, doorCalls } from '../../../src/gate/door/door.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

const isCall = (text: string): text is DoorCall => Object.hasOwn(doorCalls, text);
/** Judged after they were read. */
const decisions: readonly string[] = ['operate', 'access'];
const kinds = Object.keys(doorCalls)
  .filter(isCall)
  .filter((call) => !decisions.includes(call));

const costly: ReadonlySet<DoorCall> = new Set(['settings', 'now', 'traffic']);

/** How many are taken before the first refusal. */
function takenOf(take: () => number | undefined): number {
  for (let taken = 0; ; taken += 1) if (take() !== undefined) return taken;
}

// bounds.doorCalls, bounds.doorCallMs
void test('calls of each kind, also when all the others are used up', () => {
  const budget = new DoorBudget();
  for (const kind of kinds) {
    const isStream = costly.has(kind);
    const taken = takenOf(() => budget.take(kind, 0, 0));
    assert.equal(taken, isStream ? bounds.doorStreamOpens : bounds.doorCalls, kind);
    const refillMs = isStream ? bounds.doorStreamMs : bounds.doorCallMs;
    assert.equal(budget.take(kind, 0, 0), refillMs);
    assert.equal(budget.take(kind, 0, refillMs), undefined);
  }
});

void test('bytes of each kind: the longest body can be read, and then it takes its time', () => {
  const budget = new DoorBudget();
  for (const kind of kinds) {
    const bytes = doorBodyMax(kind);
    const taken = takenOf(() => budget.take(kind, bytes, 0));
    const most = Math.floor(bounds.doorCallBytes / 1024 / Math.ceil(bytes / 1024));
    const calls = costly.has(kind) ? bounds.doorStreamOpens : bounds.doorCalls;
    assert.equal(taken, Math.min(most, calls), kind);
    assert.ok(taken > 0);
  }
});

// bounds.doorLists, bounds.doorListMs, bounds.doorSteps, bounds.doorStepMs, bounds.doorLocks, bounds.doorLockMs
void test('lists of requests for access take nothing from steps, nor these or locks from others; no decision is refused before it is read', () => {
  const budget = new DoorBudget();
  const most = {
    list: [bounds.doorLists, bounds.doorListMs],
    step: [bounds.doorSteps, bounds.doorStepMs],
    lock: [bounds.doorLocks, bounds.doorLockMs],
    enable: [bounds.doorCalls, bounds.doorCallMs],
    nothing: [bounds.doorCalls, bounds.doorCallMs],
  } as const;
  for (const what of ['list', 'step', 'lock', 'enable', 'nothing'] as const) {
    const [times, refillMs] = most[what];
    const taken = takenOf(() => budget.takeDecided(what, 0));
    assert.equal(taken, times, what);
    assert.equal(budget.takeDecided(what, 0), refillMs, what);
    assert.equal(budget.takeDecided(what, refillMs), undefined, what);
  }
  for (const call of ['operate', 'access'] as const)
    for (let at = 0; at < 10 * bounds.doorCalls; at += 1)
      assert.equal(budget.take(call, 10_000, 0), undefined);
});

// Goal: nothing is done for a record of the page that has no room, and what one person or kind takes is missing to no other.
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
