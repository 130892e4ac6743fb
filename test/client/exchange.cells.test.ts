import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCellDecoder, createRowDecoder } from '../../src/client/exchange.js';
import { chunkings } from '../kit/chunkings.js';

void test('cells are the same at every cut, escapes too', () => {
  const body = Buffer.from('a\x01tb\t\t\x011\x01n\tüx\x01\x01\tno tab');
  const wanted = ['a\tb', '', '\x01\n', 'üx\x01', 'no tab'];
  for (const { name, chunks } of chunkings(body)) {
    const decoder = createCellDecoder();
    const cells: string[] = [];
    let held: Buffer[] = [];
    for (const piece of [...chunks.flatMap((chunk) => decoder.push(chunk)), ...decoder.end()]) {
      held.push(piece.bytes);
      if (!piece.endsCell) continue;
      cells.push(Buffer.concat(held).toString());
      held = [];
    }
    assert.deepEqual(cells, wanted, name);
  }
});

void test('rows hold as many cells as were said', () => {
  const decoder = createCellDecoder();
  const rows = createRowDecoder({ columns: 2, rowBytesMax: 100 });
  assert.deepEqual(rows.push(decoder.push(Buffer.from('a\tb\tc'))), [['a', 'b']]);
  assert.throws(() => createRowDecoder({ columns: 0, rowBytesMax: 1 }), RangeError);
  assert.deepEqual(rows.push(decoder.push(Buffer.from('\t'))), []);
  assert.throws(() => rows.end(), /1 of 2/);
});
