// What each minor means, by what was measured on Dovecot 2.2.33 to 2.4.5 (PROTOCOL.md): a row that is wrong here is a client that hangs
// or a command that is read for the wrong series.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  lateFields,
  minorForBackends,
  minorForClients,
  minorsOf,
  newestMinor,
  ofMinor,
} from '../../src/protocol/minors.js';

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
  assert.deepEqual(column('series'), ['2.3', '2.3', '2.3', '2.3', '2.4', '2.4', '2.4', '2.4']);
  assert.deepEqual(column('hasStartTls'), [no, no, no, yes, yes, yes, yes, yes]);
  assert.deepEqual(column('hasOptions'), [no, no, no, no, yes, yes, yes, yes]);
  assert.deepEqual(column('mayAnswerTwice'), [yes, yes, yes, yes, no, no, no, no]);
  assert.equal(column('lateFields').join('|'), '|||||deleted|deleted|deleted');
  assert.deepEqual([minorsOf('2.3'), minorsOf('2.4'), [...lateFields]], [[0, 1, 2], [3, 4], ['deleted']]);
  assert.deepEqual([newestMinor, minorForClients, minorForBackends], [4, 3, 2]);
});

void test('a row has the late fields of the row before', () => {
  for (let minor = 1; minor <= newestMinor; minor += 1)
    for (const field of ofMinor(minor - 1).lateFields)
      assert.ok(ofMinor(minor).lateFields.includes(field), `${field} in ${minor}`);
});

void test('trap 3: STREAM only where both sides have minor 4, no framing where one has 0', () => {
  for (const client of announced.slice(1))
    for (const server of announced.slice(1)) {
      const { framing } = ofMinor(Math.min(client ?? 0, server ?? 0));
      assert.equal(framing === 'stream', (client ?? 0) >= 4 && (server ?? 0) >= 4);
      assert.equal(framing === 'none', client === 0 || server === 0);
    }
});
