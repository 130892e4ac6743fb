// Goal: the lines of several verifiers are one chain each, and each believes of the others only what a listed key, or one that it named,
// has signed. For each thing that is believed a forger tries to bring it about without the right key, or with one that was replaced.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SignedHead } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { Desk, first, found, open, own, reopened, second, take } from './desk.js';
import { optionsOf, started } from './paper-store.js';

const listsFirst = { there: [first.key] };

void test('two verifiers, each with its own chain in one stream', () => {
  const here = new Desk(own).sign().sign();
  const there = new Desk(first).sign().sign().sign();
  const [h1 = '', h2 = ''] = here.lines;
  const [t1 = '', t2 = '', t3 = ''] = there.lines;
  const fleet = take(open(listsFirst), [h1, t1, t2, h2, t3]);
  assert.deepEqual(found(fleet), []);
  assert.deepEqual([fleet.log.own.seq, fleet.status(started).verifiers?.[0]?.seq], [2, 3]);
  // Without the entry it is a stranger, and each line of it a finding.
  const alone = take(open({}), [h1, t1, t2, h2]);
  assert.deepEqual(found(alone), ['untrusted - 1', 'untrusted - 2']);
  assert.equal(alone.log.own.seq, 2);
});

// bounds.fleetFindings
void test('many lines of a stranger take no room of another one, and end all when it is listed', () => {
  const there = new Desk(first);
  for (let count = 0; count < bounds.fleetFindings + 5; count += 1) there.sign();
  const fleet = take(open({}), [...there.lines, ...new Desk(second).sign().lines]);
  assert.equal(found(fleet).length, bounds.fleetFindings);
  assert.deepEqual(found(reopened(fleet, listsFirst)), ['untrusted - 1']);
  const stranger = take(open(listsFirst), new Desk(second).sign().lines);
  assert.deepEqual(found(stranger), ['untrusted - 1']);
  // Read a second time, what was accepted stays accepted.
  fleet.accept(started);
  fleet.rewind([]);
  assert.deepEqual(found(take(fleet, there.lines)), []);
});

// bounds.fleetVerifierKeys
void test('so many replaced keys of a verifier are remembered; the oldest goes first', () => {
  const there = new Desk(first).sign();
  for (let count = 0; count <= bounds.fleetVerifierKeys; count += 1) there.replace(makeSignKey());
  const fleet = take(open(listsFirst), there.sign().lines);
  const { others } = JSON.parse(JSON.stringify(fleet.save()));
  const { past } = others[0][1];
  assert.deepEqual([past.length, past[0][1]], [bounds.fleetVerifierKeys, 3]);
});

// bounds.fleetAwaitedForOthers
void test('journals that another verifier invents take no room of those that this one has signed for', () => {
  const head = { host: 'gate1', from: 1, seq: 1, hash: 'ab'.repeat(32), storedMs: started };
  const bogus = (count: number, from: number): SignedHead[] =>
    Array.from({ length: count }, (_, at) => {
      const journal = (from + at).toString(16).padStart(32, '0');
      return { ...head, journal };
    });
  const many = new Desk(first, bogus(bounds.fleetAwaitedForOthers + 100, 0)).sign().lines;
  const fleet = take(open(listsFirst), many);
  // One place is that of the journal that was read.
  assert.equal(found(fleet).length, bounds.fleetAwaitedForOthers - 1);
  take(fleet, new Desk(own, bogus(1, 1e9)).sign().lines);
  assert.equal(found(fleet).length, bounds.fleetAwaitedForOthers);
});

void test('this verifier replaced its key: its own list says so, and a new state reads all of it', () => {
  const here = new Desk(own).sign().replace(second).sign();
  const keys = [own.key, second.key];
  const fleet = take(new Fleet(optionsOf(undefined, { verifier: { name: undefined, keys } })), here.lines);
  assert.deepEqual([found(fleet), fleet.log.own.key], [[], second.key]);
  assert.deepEqual(fleet.takeLog(here.lines), []);
});
