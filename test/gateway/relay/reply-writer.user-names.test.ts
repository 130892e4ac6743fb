import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRowPrefixer } from '../../../src/gateway/relay/reply-writer.js';
import { chunkings } from '../../kit/chunkings.js';

test('the name stands in front of each row, however the reply is cut', () => {
  const body = Buffer.from('a\t\tlong cell\td\te\tf\t');
  let count = 0;
  for (const { chunks } of chunkings(body)) {
    const reshape = createRowPrefixer('bo\tb', 3);
    const whole = Buffer.concat(chunks.flatMap((chunk) => reshape(chunk)));
    assert.equal(whole.toString(), 'bo\x01tb\ta\t\tlong cell\tbo\x01tb\td\te\tf\t');
    count += 1;
  }
  assert.ok(count > body.length);
});

test('no rows, no name', () => {
  assert.deepEqual(createRowPrefixer('bob', 2)(Buffer.alloc(0)), []);
});
