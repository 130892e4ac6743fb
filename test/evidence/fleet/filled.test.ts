// Blocks that come late, or once more: they fill the holes that they fit, and nothing else is believed of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import {
  block,
  blocks,
  fleetWith,
  hashOf,
  journal,
  PaperGate,
  type PaperObject,
  seqOf,
  standing,
  started,
  takeAll,
} from './paper-store.js';

const gate = new PaperGate();
gate.exchanges(700);
gate.checkpoint();
const all = blocks(gate.lines, 4);

const at = (index: number): PaperObject => all[index] ?? assert.fail();

const drifts = { driftMs: undefined };
const foundIn = (stream: readonly PaperObject[]) => standing(fleetWith(stream, drifts), started + 4000);

void test('lines that only fit the beginning of a hole are not believed: the true ones fill it afterwards', () => {
  const forger = new PaperGate();
  const { stepsMs, oldestSeq, timeMs } = forger.ledger;
  const place = { journal, seq: 12, hash: hashOf(gate.lines[11]), open: new Map<string, never>() };
  forger.ledger.resume({ stepsMs, oldestSeq, timeMs, ...place });
  forger.end('E6');
  forger.exchanges(1);
  const forged = forger.lines.slice(2);
  assert.deepEqual(forged.map(seqOf), [13, 14, 15]);
  const holed = all.filter((_, index) => index !== 3);
  const fleet = fleetWith(holed, drifts);
  const { records } = fleet;
  takeAll(fleet, [block(forged)]);
  assert.deepEqual([fleet.records, fleet.late], [records, undefined]);
  takeAll(fleet, [at(3)]);
  assert.deepEqual([fleet.records, fleet.late], [records + 4, { first: 13, last: 16 }]);
  assert.deepEqual(standing(fleet, started + 4000), []);
});

// bounds.fleetGaps
void test('of more holes than the bound the newest can be filled', () => {
  const count = bounds.fleetGaps + 2;
  const lost = Array.from({ length: count }, (_, index) => 2 + 2 * index);
  const holed = all.filter((_, index) => !lost.includes(index));
  const found = foundIn([...holed, ...lost.map((index) => at(index))]);
  assert.deepEqual(found, ['missing gate1 9', 'missing gate1 17']);
});

void test('other records than the missing ones fill no hole', () => {
  const other = new PaperGate();
  other.admit('other');
  other.exchanges(60);
  const forged = blocks(other.lines, 4);
  const holed = all.filter((_, index) => index !== 3);
  assert.deepEqual(foundIn([...holed, forged[3] ?? assert.fail()]), ['missing gate1 13', 'forked gate1 16']);
  // The right beginning without its end, as anybody could make one.
  const cut = block(gate.lines.slice(12, 15));
  assert.deepEqual(foundIn([...holed, cut]), ['missing gate1 13']);
  // The right ones, behind others that were in the place of those before them.
  const before = block(other.lines.slice(8, 12));
  const moved = foundIn([...holed.slice(0, 2), before, ...holed.slice(3), at(3)]);
  assert.deepEqual(moved, ['cut-at-host gate1 9', 'unlinked gate1 13']);
  // A record of now that is another one.
  const late = new PaperGate();
  late.exchanges(701);
  assert.match(JSON.stringify(foundIn([...all, block(late.lines.slice(1402, 1403))])), /forked/);
});
