// Goal: each kind of call has calls and bytes of its own, and what is refused takes nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DoorBudget, doorBodyMax } from '../../../src/gate/daemon/door-budget.js';
import { type DoorCall, doorCalls } from '../../../src/gate/door/door.js';
import { bounds } from '../../../src/host/bounds/bounds.js';

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
    assert.equal(
      takenOf(() => budget.takeDecided(what, 0)),
      times,
      what,
    );
    assert.equal(budget.takeDecided(what, 0), refillMs, what);
    assert.equal(budget.takeDecided(what, refillMs), undefined, what);
  }
  for (const call of ['operate', 'access'] as const)
    for (let at = 0; at < 10 * bounds.doorCalls; at += 1)
      assert.equal(budget.take(call, 10_000, 0), undefined);
});
