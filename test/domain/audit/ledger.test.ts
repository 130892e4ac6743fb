import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import {
  genesisHash,
  isSignedBy,
  Ledger,
  makeSignKey,
  unsignedLine,
} from '../../../src/domain/audit/ledger.js';

const journal = 'ab'.repeat(16);

function admission(id: string): string {
  return encodeBody({ time: 0, event: 'admission', session: 'S', id });
}

function completion(id: string): string {
  return encodeBody({ time: 0, event: 'completion', session: 'S', id });
}

void test('every record follows the one before', () => {
  const ledger = new Ledger('p', undefined, journal);
  const lines = [admission('A'), completion('A')].map((body) => JSON.parse(ledger.seal(body)));
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    [1, 2],
  );
  assert.equal(lines[0].prev, genesisHash);
  assert.equal(lines[1].prev, lines[0].hash);
  assert.deepEqual([ledger.seq, ledger.hash], [2, lines[1].hash]);
});

void test('it knows which exchanges are open, and where the oldest began', () => {
  const ledger = new Ledger('p', undefined, journal);
  assert.equal(ledger.openSeq, 1);
  for (const body of [admission('A'), admission('B'), completion('A')]) ledger.seal(body);
  assert.deepEqual([...ledger.open], [['B', { seq: 2, session: 'S' }]]);
  assert.equal(ledger.openSeq, 2);
  ledger.seal(completion('B'));
  assert.equal(ledger.openSeq, 5, 'none: where the next one would be');
});

void test('steps of the clock are summed up', () => {
  const ledger = new Ledger('p', undefined, journal);
  for (const step of [5000, -2000]) ledger.seal(encodeBody({ time: 0, event: 'clock', step_ms: step }));
  assert.equal(ledger.stepsMs, 3000);
});

void test('a checkpoint is signed for the place where it stands', () => {
  const [first, second] = [makeSignKey(), makeSignKey()];
  const ledger = new Ledger('p', first.secretPem, journal);
  ledger.seal(admission('A'));
  const head = ledger.hash;
  const line = ledger.sealSigned({ ...ledger.checkpoint(0), next_key: second.key });
  const record = JSON.parse(line);
  assert.deepEqual(
    [record.head, record.prev, record.key, record.next_key],
    [head, head, first.key, second.key],
  );
  const unsigned = unsignedLine(line.trimEnd());
  assert.ok(unsigned !== undefined && isSignedBy(first.key, unsigned.text, unsigned.signature));
});

void test('without a key a checkpoint is not signed', () => {
  const ledger = new Ledger('p', undefined, journal);
  const record = JSON.parse(ledger.sealSigned(ledger.checkpoint(0)));
  assert.deepEqual([record.key, record.signature], [undefined, undefined]);
});

void test('it can be set back to what is on disk', () => {
  const ledger = new Ledger('p', undefined, journal);
  ledger.seal(admission('A'));
  const { seq, hash, stepsMs, open, oldestSeq } = ledger;
  const onDisk = { journal, seq, hash, stepsMs, open: new Map(open), oldestSeq, timeMs: 0 };
  const lost = ledger.seal(admission('B'));
  ledger.resume(onDisk);
  assert.equal(ledger.seal(admission('B')), lost);
});

void test('bytes are booked as text is', () => {
  const [text, bytes] = [new Ledger('p', undefined, journal), new Ledger('p', undefined, journal)];
  const into = Buffer.alloc(4096);
  let at = 0;
  let lines = '';
  const clock = encodeBody({ time: 1000, event: 'clock', step_ms: 5000 });
  for (const body of [admission('A'), clock, admission('B'), completion('A')]) {
    lines += text.seal(body);
    at = bytes.sealInto(into, at, Buffer.from(body));
  }
  assert.equal(into.toString('utf8', 0, at), lines);
  assert.deepEqual(
    [bytes.seq, bytes.hash, bytes.stepsMs, bytes.timeMs, bytes.openSeq, [...bytes.open]],
    [text.seq, text.hash, text.stepsMs, text.timeMs, text.openSeq, [...text.open]],
  );
});
