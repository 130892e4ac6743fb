// What each release can do, by what was measured or stands in its source: a row that is wrong here is a command that kills a server, or one
// that is read for the wrong series.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  minorForBackends,
  minorForClients,
  newestMinor,
  ofMinor,
} from '../../../src/doveadm/protocol/minors.js';
import {
  everyLate,
  isSince,
  lateFields,
  minorOfRelease,
  minorsOf,
  releaseForm,
  type Server,
  serverOf,
  serverOfRelease,
} from '../../../src/doveadm/protocol/releases.js';

/** release as `dovecot --version` prints it, row, minor, STARTTLS, OPTION, two status lines, late fields */
const facts: readonly (readonly [string, string, number, boolean, boolean, boolean, string])[] = [
  ['2.3.0', '2.3.0', 1, false, false, true, ''],
  ['2.3.8', '2.3.8', 1, false, false, true, ''],
  ['2.3.9.3', '2.3.9', 2, true, false, true, ''],
  ['2.3.13', '2.3.13', 2, true, false, true, ''],
  ['2.3.16', '2.3.16', 2, true, false, true, ''],
  ['2.3.17.1', '2.3.17', 2, true, false, false, ''],
  ['2.3.19.1', '2.3.19', 2, true, false, false, ''],
  ['2.3.21.1', '2.3.21', 2, true, false, false, ''],
  ['2.4.0', '2.4.0', 3, true, true, false, ''],
  ['2.4.1', '2.4.1', 3, true, true, false, ''],
  ['2.4.2', '2.4.2', 3, true, true, false, 'deleted'],
  ['2.4.3', '2.4.3', 3, true, true, false, 'deleted'],
  ['2.4.4', '2.4.4', 3, true, true, false, 'deleted'],
  ['2.4.5', '2.4.5', 4, true, true, false, 'deleted'],
  // Its row is that of the newest known one: a later release that announces the same minor.
  ['2.4.12', '2.4.5', 4, true, true, false, 'deleted'],
];

const announced = [undefined, 0, 1, 2, 3, 4, 5, 4_294_967_295];

/** The late fields of `mailbox status`, by what its releases differ in. */
function fieldsOf({ late }: Server): readonly string[] {
  return late.map((one) => one['mailbox status']?.join() ?? '');
}

for (const [release, row, minor, hasStartTls, hasOptions, answersTwice, late] of facts)
  test(`${release} is read in row ${row}`, () => {
    assert.match(release, releaseForm);
    const server = serverOfRelease(release);
    assert.deepEqual(server.releases, [row]);
    assert.equal(server.series, release.slice(0, 3));
    assert.equal(minorOfRelease(release), minor);
    assert.deepEqual([server.hasStartTls, server.hasOptions], [hasStartTls, hasOptions]);
    assert.equal(server.mayAnswerTwice, answersTwice);
    assert.equal(fieldsOf(server).join('|'), late);
    assert.equal(server.isBeyond, release === '2.4.12');
    assert.ok(!server.isNewer);
    // One object for one knowledge.
    assert.equal(serverOf(minor, release), server);
  });

test('what a minor leaves open is what its releases do not share', () => {
  const column = <Key extends keyof Server>(key: Key): Server[Key][] =>
    announced.map((minor) => serverOf(minor)[key]);
  const [no, yes] = [false, true];
  assert.deepEqual(column('series'), ['2.3', '2.3', '2.3', '2.3', '2.4', '2.4', '2.4', '2.4']);
  assert.deepEqual(column('hasStartTls'), [no, no, no, yes, yes, yes, yes, yes]);
  assert.deepEqual(column('hasOptions'), [no, no, no, no, yes, yes, yes, yes]);
  assert.deepEqual(column('mayAnswerTwice'), [yes, yes, yes, yes, no, no, no, no]);
  assert.deepEqual(column('isNewer'), [no, no, no, no, no, no, yes, yes]);
  assert.equal(serverOf(2).releases.join(' '), '2.3.9 2.3.13 2.3.16 2.3.17 2.3.19 2.3.20 2.3.21');
  assert.deepEqual(fieldsOf(serverOf(3)), ['deleted', '']);
  assert.deepEqual(fieldsOf(serverOf(5)), ['deleted']);
  assert.equal(serverOf(3).releases.join(' '), '2.4.0 2.4.1 2.4.2 2.4.3 2.4.4');
  assert.deepEqual(serverOf(4).releases, ['2.4.5']);
  assert.equal(serverOf(5), serverOf(9));
});

test('a release of another minor narrows nothing: the caller refuses it', () => {
  assert.equal(serverOf(3, '2.4.5'), serverOf(3));
  assert.equal(serverOf(4, '2.3.21'), serverOf(4));
});

test('what `dovecot --version` prints, and nothing else, has its numbers; they are compared one by one', () => {
  const releases = ['2.3.19.1', '2.4.1-4', '2.3.19.1 (9b53102964)', '2.4.123.456-4+deb13u2~a_b (7d8c0e5759)'];
  for (const text of releases) assert.equal(releaseForm.exec(text)?.[1], text.split(/[- ]/)[0], text);
  for (const text of '2.4|2.5.0|2.4.1.2.3|newer|2.4.x||2.4.1234|2.4.1.|2.4.1.1234|2.4.1-'.split('|'))
    assert.doesNotMatch(text, releaseForm);
  for (const text of 'v2.4.1|2.4.1 |2.4.1 ()|2.4.1 (x)|2.4.1(a)|2x4.1|2.4.1-4/|2.4x1|2.4.1x1'.split('|'))
    assert.doesNotMatch(text, releaseForm);
  const sorted = ['2.3.0', '2.3.9', '2.3.19', '2.3.19.1', '2.3.21', '2.4.0', '2.4.1'];
  for (const [at, one] of sorted.entries())
    for (const [since, other] of sorted.entries())
      assert.equal(isSince(one, other), at >= since, `${one} ${other}`);
});

test('series and minors', () => {
  assert.deepEqual(minorsOf('2.3'), [1, 2]);
  assert.deepEqual(minorsOf('2.4'), [3, 4]);
  assert.equal(Math.max(...minorsOf('2.4')), newestMinor);
  assert.deepEqual([...lateFields], ['deleted']);
  assert.deepEqual(everyLate.map(Object.keys), [
    ['service status', 'replicator status', 'mailbox status'],
    ['service status', 'replicator status'],
    ['service status'],
    [],
  ]);
});

// What each minor means, by what was measured on Dovecot 2.2.33 to 2.4.5 (PROTOCOL.md): a row that is wrong here is a client that hangs
// or a command that is read for the wrong series.

type Minor = ReturnType<typeof ofMinor>;

void test('one row for each minor; nothing announced is 0, and what is newer is as the newest', () => {
  const column = <Key extends keyof Minor>(key: Key): Minor[Key][] =>
    announced.map((each) => ofMinor(each)[key]);
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
