// Searching what really lies on the disk, also when it is damaged; and cutting any bytes into pieces of whole lines.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { searchTrail } from '../../../src/evidence/reading/search-trail.js';
import { cutPieces, findTrail } from '../../../src/journal/files/trail.js';
import { written } from './opening.js';

void test('every piece is shown before its rows come, and the end of what can be read of a damaged file', async (t) => {
  const directory = await written(t, {});
  const path = join(directory, '00000002.jsonl');
  // Unless the journal has compressed it already.
  if (existsSync(path)) writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)));
  rmSync(path, { force: true });
  truncateSync(`${path}.gz`, 200);
  const seen: string[] = [];
  const rows: unknown[] = [];
  const look = ({ name }: { readonly name: string }, piece: unknown) =>
    void seen.push(`${name} ${piece === undefined ? 'broken' : 'piece'}`);
  for await (const { fields } of searchTrail(findTrail([directory]), {}, look)) {
    if (rows.length === 0) assert.deepEqual(seen, ['00000001.jsonl piece']);
    rows.push(fields['id']);
  }
  assert.ok(seen.includes('00000002.jsonl broken') && seen.includes('00000003.jsonl piece'), seen.join());
  assert.ok(rows.includes('E0') && rows.includes('E39') && rows.length < 40);
});

async function* each(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

void test('chunks of any size become pieces of whole lines', async () => {
  const bytes = Buffer.from('one\ntwo\n\nthree\nfour');
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    let text = '';
    let last = true;
    for await (const piece of cutPieces(each(chunks))) {
      assert.ok(last, 'only the last piece may end without LF');
      text += piece.bytes.toString();
      last = piece.endsInLine;
    }
    assert.deepEqual([text, last], [bytes.toString(), false]);
  }
});
