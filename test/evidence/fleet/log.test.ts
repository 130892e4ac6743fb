// Goal: the lines of several verifiers are one chain each, and each believes of the others only what a listed key, or one that it named,
// has signed. For each thing that is believed a forger tries to bring it about without the right key, or with one that was replaced.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCheckpoint, type SignedHead } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { Desk, first, forger, found, gate, headsOf, open, own, reopened, second, take } from './desk.js';
import { blocks, optionsOf, PaperGate, started, takeAll } from './paper-store.js';

void test('two verifiers, each with its own chain in one stream', () => {
  const here = new Desk(own.secretPem).sign().sign();
  const there = new Desk(first.secretPem).sign().sign().sign();
  const [h1 = '', h2 = ''] = here.lines;
  const [t1 = '', t2 = '', t3 = ''] = there.lines;
  const fleet = take(open({ there: [first.key] }), [h1, t1, t2, h2, t3]);
  assert.deepEqual(found(fleet), []);
  assert.deepEqual([fleet.signed.seq, fleet.status(started).verifiers?.[0]?.seq], [2, 3]);
  // Without the entry it is a stranger, and each line of it a finding.
  const alone = take(open({}), [h1, t1, t2, h2]);
  assert.deepEqual(found(alone), ['untrusted - 1', 'untrusted - 2']);
  assert.equal(alone.signed.seq, 2);
});

void test('a stranger is listed: what was found of it ends, also what was accepted', () => {
  const there = new Desk(first.secretPem).sign().sign();
  const other = new Desk(second.secretPem).sign();
  const fleet = take(open({}), [...there.lines, ...other.lines]);
  assert.deepEqual(found(fleet), ['untrusted - 1', 'untrusted - 1', 'untrusted - 2']);
  const listed = reopened(fleet, { there: [first.key] });
  assert.deepEqual(found(listed), ['untrusted - 1'], 'the other one is a stranger still');
  fleet.accept(started);
  const accepted = reopened(fleet, { there: [first.key] });
  assert.deepEqual(found(accepted), []);
  assert.deepEqual(
    accepted.accepted().map(({ kind, seq }) => [kind, seq]),
    [['untrusted', 1]],
  );
  assert.deepEqual(found(take(accepted, there.sign().lines.slice(2))), [], 'its next line');
});

// bounds.fleetFindings
void test('many lines of a stranger take no room of another one, and end all when it is listed', () => {
  const there = new Desk(first.secretPem);
  for (let count = 0; count < bounds.fleetFindings + 5; count += 1) there.sign();
  const fleet = take(open({}), [...there.lines, ...new Desk(second.secretPem).sign().lines]);
  assert.equal(found(fleet).length, bounds.fleetFindings);
  assert.deepEqual(found(reopened(fleet, { there: [first.key] })), ['untrusted - 1']);
  const stranger = take(open({ there: [first.key] }), new Desk(second.secretPem).sign().lines);
  assert.deepEqual(found(stranger), ['untrusted - 1']);
  // Read a second time, what was accepted stays accepted.
  fleet.accept(started);
  fleet.rewind([]);
  assert.deepEqual(found(take(fleet, there.lines)), []);
});

void test('what is wrong with the file of checkpoints is told once, and can be accepted', () => {
  const here = new Desk(own.secretPem).sign().sign().sign().sign();
  const [one = '', , , four = ''] = here.lines;
  let fleet = take(open({}), here.lines.slice(0, 3));
  // An older copy of the state was put back, and the next line went into it.
  const file = [one];
  assert.deepEqual(fleet.takeLog(file).length, 1);
  assert.deepEqual(fleet.takeLog(file), []);
  assert.deepEqual(found(fleet), ['cut-at-host here 2']);
  file.push(four);
  for (let runs = 0; runs < 3; runs += 1) fleet.takeLog(file);
  assert.deepEqual(found(fleet), ['cut-at-host here 2', 'unlinked here 4']);
  fleet.accept(started);
  fleet = reopened(fleet, {});
  assert.deepEqual(fleet.takeLog(file), []);
  assert.deepEqual(found(fleet), []);
  // Another line in the same place, and the file cut again.
  const forged = here.fork(3).sign(5).lines.at(-1) ?? '';
  fleet.takeLog([one, forged]);
  assert.deepEqual(found(fleet), ['unlinked here 4']);
  fleet.accept(started);
  take(fleet, [four]);
  fleet.takeLog([one]);
  assert.deepEqual(found(fleet), ['cut-at-host here 2']);
});

void test('an own line that was kept elsewhere must be found in the stream, not only in the file', () => {
  const here = new Desk(own.secretPem).sign().sign().sign();
  const kept = readCheckpoint(here.lines[2] ?? '') ?? assert.fail();
  const readAgain = (lines: readonly string[], file = here.lines): string[] => {
    const fleet = take(open({}), here.lines);
    fleet.rewind([], kept);
    take(fleet, lines);
    fleet.takeLog(file);
    return found(fleet);
  };
  assert.deepEqual(readAgain(here.lines), []);
  assert.deepEqual(readAgain(here.lines.slice(0, 2)), ['cut-in-store here 3']);
  const forged = here.fork(2).sign(9).lines;
  assert.deepEqual(readAgain(here.lines.slice(0, 2), forged), ['forked here 3'], 'another one in the file');
});

void test('records that only another verifier has read are missed', () => {
  const more = headsOf().map((head) => ({ ...head, seq: head.seq + 5 }));
  const behind = take(open({ there: [first.key] }), new Desk(first.secretPem, more).sign().lines);
  assert.deepEqual(found(behind), [`cut-in-store ${gate.id} ${gate.ledger.seq + 5}`]);
});

void test('a key is replaced: found until the new one is listed, and the chain goes on', () => {
  const there = new Desk(first.secretPem).sign().replace(second).sign().sign();
  const fleet = take(open({ there: [first.key] }), there.lines);
  assert.deepEqual(found(fleet), ['key-replaced there 2']);
  assert.deepEqual(found(reopened(fleet, { there: [first.key, second.key] })), [], 'listed now');
  const accepted = reopened(fleet, { there: [first.key] });
  accepted.accept(started);
  assert.deepEqual(found(reopened(accepted, { there: [first.key] })), [], 'or accepted');
  // Listed before: nothing to tell. Read from the beginning again: the old key still counts for its own lines.
  const listed = take(open({ there: [first.key, second.key] }), there.lines);
  assert.deepEqual(found(listed), []);
  listed.rewind([]);
  assert.deepEqual(found(take(listed, there.lines)), []);
  // The line that named the new key is lost: what a person listed counts.
  const gap = take(open({ there: [first.key, second.key] }), [there.lines[0] ?? '', ...there.lines.slice(2)]);
  assert.deepEqual(found(gap), ['missing there 2']);
});

void test('this verifier replaced its key: its own list says so, and a new state reads all of it', () => {
  const here = new Desk(own.secretPem).sign().replace(second).sign();
  const keys = [own.key, second.key];
  const fleet = take(new Fleet(optionsOf(undefined, { verifier: { name: undefined, keys } })), here.lines);
  assert.deepEqual([found(fleet), fleet.signed.key], [[], second.key]);
  assert.deepEqual(fleet.takeLog(here.lines), []);
});

void test('where another key is listed after a theft, nothing that the stolen one named counts', () => {
  const fleet = take(
    open({ there: [first.key] }),
    new Desk(first.secretPem).sign().replace(forger).sign().lines,
  );
  const fresh = reopened(fleet, { there: [second.key] });
  const thief = new Desk(forger.secretPem, headsOf(), []).sign();
  take(fresh, [...thief.lines, ...new Desk(second.secretPem).sign().lines]);
  assert.deepEqual(found(fresh), ['untrusted - 1']);
});

// bounds.fleetVerifierKeys
void test('so many replaced keys of a verifier are remembered; the oldest goes first', () => {
  const there = new Desk(first.secretPem).sign();
  for (let count = 0; count <= bounds.fleetVerifierKeys; count += 1) there.replace(makeSignKey());
  const fleet = take(open({ there: [first.key] }), there.sign().lines);
  const { others } = JSON.parse(JSON.stringify(fleet.save()));
  const { past } = others[0][1];
  assert.deepEqual([past.length, past[0][1]], [bounds.fleetVerifierKeys, 3]);
});

void test("a gate's key is replaced: untrusted until the new one is listed, and then it vouches for all before it", () => {
  const keyed = (listed: string, saved?: unknown) =>
    new Fleet({ ...optionsOf(), hosts: new Map([['gate1', { key: listed, silentMs: 3_600_000 }]]) }, saved);
  const old = new PaperGate(first.secretPem);
  old.exchanges(2);
  old.checkpoint();
  const next = new PaperGate(second.secretPem);
  next.ledger.resume(old.ledger);
  const from = next.lines.length;
  next.exchanges(2);
  next.checkpoint();
  const [before, after] = [blocks(old.lines, 100), blocks(next.lines.slice(from), 100)];
  const fleet = keyed(first.key);
  takeAll(fleet, [...before, ...after]);
  assert.deepEqual(found(fleet), [`untrusted ${old.id} ${next.ledger.seq}`]);
  const listed = keyed(second.key, JSON.parse(JSON.stringify(fleet.save())));
  const seen = next.lines.length;
  next.checkpoint();
  takeAll(listed, blocks(next.lines.slice(seen)));
  assert.deepEqual(found(listed), []);
});

// bounds.fleetAwaitedForOthers
void test('journals that another verifier invents take no room of those that this one has signed for', () => {
  const bogus = (count: number, from: number): SignedHead[] =>
    Array.from({ length: count }, (_, number) => ({
      host: 'gate1',
      journal: (from + number).toString(16).padStart(32, '0'),
      from: 1,
      seq: 1,
      hash: 'ab'.repeat(32),
      storedMs: started,
    }));
  const many = new Desk(first.secretPem, bogus(bounds.fleetAwaitedForOthers + 100, 0)).sign().lines;
  const fleet = take(open({ there: [first.key] }), many);
  // One place is that of the journal that was read.
  assert.equal(found(fleet).length, bounds.fleetAwaitedForOthers - 1);
  take(fleet, new Desk(own.secretPem, bogus(1, 1e9)).sign().lines);
  assert.equal(found(fleet).length, bounds.fleetAwaitedForOthers);
});
