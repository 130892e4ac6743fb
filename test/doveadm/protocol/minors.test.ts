// What each minor means, by what was measured on Dovecot 2.2.33 to 2.4.5 (PROTOCOL.md): a row that is wrong here is a client that hangs
// or a command that is read for the wrong series.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  minorForBackends,
  minorForClients,
  newestMinor,
  ofMinor,
} from '../../../src/doveadm/protocol/minors.js';

const announced = [undefined, 0, 1, 2, 3, 4, 5, 4294967295];

function column<Key extends keyof ReturnType<typeof ofMinor>>(key: Key): ReturnType<typeof ofMinor>[Key][] {
  return announced.map((each) => ofMinor(each)[key]);
}

void test('one row for each minor; nothing announced is 0, and what is newer is as the newest', () => {
  const [no, yes] = [false, true];
  assert.equal(column('framing').join(' '), 'none none packet packet packet stream stream stream');
  assert.equal(column('logs').join(' '), 'never never always always asked asked asked asked');
  assert.deepEqual(column('readsVersion'), [no, no, yes, yes, yes, yes, yes, yes]);
  assert.deepEqual(column('asksForColumn'), [yes, yes, yes, yes, no, no, no, no]);
  assert.deepEqual([newestMinor, minorForClients, minorForBackends], [4, 3, 4]);
});

void test('trap 3: STREAM only where both sides have minor 4, no framing where one has 0', () => {
  for (const client of announced.slice(1))
    for (const server of announced.slice(1)) {
      const { framing } = ofMinor(Math.min(client ?? 0, server ?? 0));
      assert.equal(framing === 'stream', (client ?? 0) >= 4 && (server ?? 0) >= 4);
      assert.equal(framing === 'none', client === 0 || server === 0);
    }
});
