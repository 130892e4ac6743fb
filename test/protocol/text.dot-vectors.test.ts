// What Dovecot stored of an input, as a fetch on the same connection tells it, against what our decoder makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DotDecoder } from '../../src/protocol/text.js';
import { connectionsOf, vectorsIn } from '../kit/vectors.js';

for (const family of ['save-dots', 'save-lf', 'save-binary']) {
  void test(`${family}: the mail that was stored`, () => {
    const vectors = vectorsIn(family);
    assert.equal(vectors.length, 5);
    for (const vector of vectors) {
      const [steps = []] = connectionsOf(vector);
      const writes = steps.flatMap(({ dir, hex }) => (dir === 'c2s' && hex ? [Buffer.from(hex, 'hex')] : []));
      const save = writes.find((bytes) => bytes.includes('\tsave\t'));
      assert.ok(save !== undefined);
      const { parts, isDone } = new DotDecoder({ inputBytesMax: 1000 }).push(
        save.subarray(save.indexOf('\n') + 1),
      );
      assert.ok(isDone);
      const cell = vector.expect?.replies?.[1]?.cells?.[0];
      assert.ok(typeof cell === 'string' || (cell !== undefined && 'hex' in cell), vector.name);
      const stored = typeof cell === 'string' ? cell : Buffer.from(cell.hex, 'hex').toString('latin1');
      // These servers store and fetch lines with a bare LF.
      assert.equal(Buffer.concat(parts).toString('latin1').replaceAll('\r\n', '\n'), stored, vector.name);
    }
  });
}
