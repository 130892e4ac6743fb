import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyRows } from '../../../src/doveadm/meaning/columns.js';
import { createRowPrefixer } from '../../../src/gate/relay/reply-writer.js';
import { accept } from '../../doveadm/commands/reading.js';
import { rowsOf } from '../../kit/gate/memory-backend.js';
import { chunkings } from '../../kit/plain/chunkings.js';

const rowsOfAll = replyRows(accept('2.4', ['mailbox status', 'all', '*'])) ?? rowsOf(0);

test('the name stands in front of each row, however the reply is cut', () => {
  const body = Buffer.from('a\t\tlong cell\td\te\tf\t');
  let count = 0;
  for (const { chunks } of chunkings(body)) {
    const prefixer = createRowPrefixer('bo\tb', rowsOf(3));
    const whole = Buffer.concat([...chunks.flatMap((chunk) => prefixer.push(chunk)), ...prefixer.end(true)]);
    assert.equal(whole.toString(), 'bo\x01tb\ta\t\tlong cell\tbo\x01tb\td\te\tf\t');
    count += 1;
  }
  assert.ok(count > body.length);
});

test('no rows, no name', () => {
  assert.deepEqual(createRowPrefixer('bob', rowsOf(2)).push(Buffer.alloc(0)), []);
  assert.deepEqual(createRowPrefixer('bob', rowsOf(2)).end(true), []);
  assert.deepEqual(createRowPrefixer('bob', rowsOfAll).end(true), []);
});

const guid = '0123456789abcdef0123456789abcdef';
const older = `INBOX\t3\t0\t4\t99\t3\t7\t1200\t${guid}\t1700000000\t`;
const newer = `INBOX\t3\t0\t1\t4\t99\t3\t7\t1200\t${guid}\t1700000000\t`;

test('mailbox status all: the first row shows how many cells it has', () => {
  for (const row of [older, newer])
    for (const { chunks } of chunkings(Buffer.from(row + row.replace('INBOX', guid)))) {
      const prefixer = createRowPrefixer('bob', rowsOfAll);
      const whole = Buffer.concat([
        ...chunks.flatMap((chunk) => prefixer.push(chunk)),
        ...prefixer.end(true),
      ]);
      assert.equal(whole.toString(), `bob\t${row}bob\t${row.replace('INBOX', guid)}`);
    }
});

test('cells that no known release sends are never split into rows', () => {
  const unknown = Buffer.from(newer.replace('INBOX', 'INBOX\t1').repeat(2));
  const isBad = { name: 'WireFault', code: 'bad-frame' };
  assert.throws(() => createRowPrefixer('bob', rowsOfAll).push(unknown), isBad);
  // A reply that ends within its first row.
  const prefixer = createRowPrefixer('bob', rowsOfAll);
  assert.deepEqual(prefixer.push(Buffer.from(older.slice(0, 20))), []);
  assert.throws(() => prefixer.end(true), isBad);
  // A whole number of rows, and one cell.
  const odd = createRowPrefixer('bob', rowsOf(2));
  odd.push(Buffer.from('a\tb\tc\t'));
  assert.deepEqual(odd.end(false), []);
  assert.throws(() => odd.end(true), isBad);
});

// bounds.rowBytes
test('the start of a first row is held up to a limit', () => {
  const prefixer = createRowPrefixer('bob', rowsOfAll);
  const megabyte = Buffer.alloc(1024 * 1024, 'x');
  for (let sent = 1; sent <= 4; sent += 1) assert.deepEqual(prefixer.push(megabyte), []);
  assert.throws(() => prefixer.push(megabyte), { name: 'WireFault', code: 'bad-frame' });
});
