// What an intruder, a disk or an operator can do to a stream of journals, and what is said about it: kind, host and seq.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocks, fleetOf, judged, PaperGate, started, takeAll, told } from './paper-stream.js';

void test('a stream as gates write it is clean, in blocks of any size', () => {
  const gate = new PaperGate();
  gate.exchanges(6);
  gate.checkpoint();
  for (const size of [1, 3, 100]) {
    const fleet = fleetOf();
    assert.deepEqual(takeAll(fleet, blocks(gate.lines, size)), []);
    assert.deepEqual(told(fleet.judge(started + 60_000)), []);
    assert.equal(fleet.records, 15);
    assert.deepEqual(
      fleet.heads().map(({ host, seq, hash }) => [host, seq, hash]),
      [['gate1', 15, gate.ledger.hash]],
    );
  }
  assert.deepEqual(judged([]), [['never-seen', 'gate1', undefined]]);
});
