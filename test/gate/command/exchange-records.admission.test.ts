// Goal: whoever asks for the admission, and however often: nobody goes on before it is on disk, or without it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExchangeRecords } from '../../../src/gate/command/exchange-records.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';

function strictTrail() {
  const engine = openMemoryEngine();
  const context = engine.context.exchanges();
  const trail = new ExchangeRecords(context, { time: 0, event: 'admission', id: 'A' }, true);
  return { engine, trail };
}

void test('a second way waits for the same admission as the first', async () => {
  const { engine, trail } = strictTrail();
  engine.setJournal('hold');
  const first = trail.admit();
  const second = trail.admit();
  assert.ok(first !== undefined && second !== undefined);
  engine.setJournal('take');
  await Promise.all([first, second]);
  assert.deepEqual(
    engine.records.map(({ record, durable }) => [record.id, durable]),
    [['A', true]],
  );
});

void test('an admission that did not get there holds up every way', async () => {
  const { engine, trail } = strictTrail();
  engine.setJournal('refuse');
  await assert.rejects(trail.admit() ?? Promise.resolve(), JournalFault);
  engine.setJournal('take');
  await assert.rejects(trail.admit() ?? Promise.resolve(), JournalFault);
});
