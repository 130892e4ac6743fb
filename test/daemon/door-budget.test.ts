// Goal: each kind of call has calls and bytes of its own, and what is refused takes nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../src/bounds/bounds.js';
import { DoorBudget, doorBodyMax } from '../../src/daemon/door-budget.js';
import { type DoorCall, doorCalls } from '../../src/domain/door/door.js';

const isCall = (text: string): text is DoorCall => Object.hasOwn(doorCalls, text);
const kinds = Object.keys(doorCalls).filter(isCall);

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

// bounds.doorLists, bounds.doorListMs, bounds.doorSteps, bounds.doorStepMs
void test('lists of requests for access take nothing from steps, whatever the step', () => {
  const budget = new DoorBudget();
  assert.equal(
    takenOf(() => budget.takeAccess('list', 0)),
    bounds.doorLists,
  );
  assert.equal(budget.takeAccess('list', 0), bounds.doorListMs);
  let at = 0;
  const steps = ['approve', 'refuse', 'revoke', 'review'] as const;
  const any = () => steps[(at += 1) % steps.length] ?? 'approve';
  assert.equal(
    takenOf(() => budget.takeAccess(any(), 0)),
    bounds.doorSteps,
  );
  assert.equal(budget.takeAccess('refuse', bounds.doorStepMs), undefined);
});
