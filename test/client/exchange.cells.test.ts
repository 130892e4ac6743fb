import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CellPiece, Exchange, type Row, rowsOf } from '../../src/client/exchange.js';
import { chunkings } from '../kit/chunkings.js';

void test('cells are the same at every cut, escapes too', () => {
  const body = Buffer.from('a\x01tb\t\t\x011\x01n\tüx\x01\x01\tno tab');
  const wanted = ['a\tb', '', '\x01\n', 'üx\x01', 'no tab'];
  for (const { name, chunks } of chunkings(body)) {
    const exchange = new Exchange();
    const pieces: CellPiece[] = [];
    for (const chunk of chunks) {
      exchange.addBody(chunk);
      pieces.push(...exchange.takePieces());
    }
    exchange.end({ kind: 'ok', code: '', raw: Buffer.from('+') });
    const cells: string[] = [];
    let held: Buffer[] = [];
    for (const piece of [...pieces, ...exchange.takePieces()]) {
      held.push(piece.bytes);
      if (!piece.endsCell) continue;
      cells.push(Buffer.concat(held).toString());
      held = [];
    }
    assert.deepEqual(cells, wanted, name);
  }
});

void test('rows hold as many cells as were said', async () => {
  const exchange = new Exchange();
  const rows: (readonly Row[])[] = [];
  const batches = (async function* () {
    for (const body of ['a\tb\tc', '\t']) {
      exchange.addBody(Buffer.from(body));
      yield exchange.takePieces();
      await Promise.resolve();
    }
  })();
  await assert.rejects(async () => {
    for await (const batch of rowsOf(batches, 2, 100)) rows.push(batch);
  }, /1 of 2/);
  assert.deepEqual(rows, [[['a', 'b']], []]);
});
