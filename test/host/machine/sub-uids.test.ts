// Goal: the owners of a subordinate uid are those of all lines whose ranges hold it; broken lines count for nothing; a change of the file
// counts at once.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openAccountFiles } from '../../../src/host/machine/account-files.js';
import { parseSubUidAnswer, parseSubUids, SubUidTable } from '../../../src/host/machine/sub-uids.js';
import { openFolder } from '../../kit/plain/folder.js';

function tableOf(text: string): SubUidTable {
  return new SubUidTable(parseSubUids(text));
}

void test('the range that holds a uid, with its ends', () => {
  const table = tableOf('alice:100000:65536\nbob:165536:65536\n1003:300000:1\n');
  const owners = [99_999, 100_000, 165_535, 165_536, 231_071, 231_072, 300_000, 300_001].map((uid) =>
    table.ownersOf(uid).join(),
  );
  assert.deepEqual(owners, ['', 'alice', 'alice', 'bob', 'bob', '', '1003', '']);
  assert.deepEqual(tableOf('').ownersOf(0), []);
});

// bounds.subUidOwners
void test('where ranges overlap, all lines count in their order: the answer is that of a walk along the lines', () => {
  const texts = [
    'a:10:10\nb:5:20\n',
    'b:5:20\na:10:10\n',
    'a:10:5\nb:20:5\nc:0:40\n',
    'a:10:5\nb:12:5\nc:14:5\nd:8:20\n',
    'a:10:5\na:10:5\nb:15:1\nc:9:1\nd:9:7\n',
  ];
  for (const text of texts) {
    const ranges = parseSubUids(text);
    const table = new SubUidTable(ranges);
    for (let uid = 0; uid < 50; uid += 1) {
      const holding = ranges.filter((range) => range.first <= uid && uid <= range.last);
      const owners = [...new Set(holding.map(({ owner }) => owner))];
      assert.deepEqual(table.ownersOf(uid), owners, `${text} ${uid}`);
    }
  }
  const crowd = Array.from({ length: 2 * bounds.subUidOwners }, (_, n) => `u${n}:5:1`).join('\n');
  assert.equal(tableOf(crowd).ownersOf(5).length, bounds.subUidOwners);
});

void test('lines of another form are left out; no range ends above the last uid', () => {
  const broken = [
    ...'|# a comment|alice|alice:1|alice:a:1|alice:1:b|:1:1|alice:-1:5|alice:1:0'.split('|'),
    ...'alice:0x:5|alice:08:5|alice:1e3:5'.split('|'),
  ];
  assert.deepEqual(parseSubUids(broken.join('\n')), []);
  for (const [text, owner, first, last] of [
    ['EXAMPLE\\dora:4294967290:100', 'EXAMPLE\\dora', 4_294_967_290, 4_294_967_294],
    // As newuidmap reads them.
    ['alice:0x493e0:010\n', 'alice', 300_000, 300_007],
    ['alice: +5:99999999999999999999\r\n', 'alice', 5, 4_294_967_294],
  ] as const)
    assert.deepEqual(parseSubUids(text), [{ owner, first, last }]);
  const answer = parseSubUidAnswer('dora', '0: dora 200000 65536');
  assert.deepEqual(answer, [{ owner: 'dora', first: 200_000, last: 265_535 }]);
  assert.deepEqual(parseSubUidAnswer('dora', 'Error fetching ranges'), []);
});

void test('a file that is changed, replaced or removed counts as it is now', (t) => {
  const folder = openFolder(t);
  const files = openAccountFiles(folder);
  const path = join(folder, 'subuid');
  assert.deepEqual(files.subUidOwners(100_000), []);
  writeFileSync(path, 'alice:100000:1\n');
  assert.deepEqual(files.subUidOwners(100_000), ['alice']);
  // As an editor does: the same length, and another inode.
  writeFileSync(`${path}.new`, 'bruno:100000:1\n');
  renameSync(`${path}.new`, path);
  assert.deepEqual(files.subUidOwners(100_000), ['bruno']);
  writeFileSync(path, '');
  assert.deepEqual(files.subUidOwners(100_000), []);
});

// bounds.subUidBytes
void test('a file that cannot be read whole says nothing of anybody: it is not as an empty one', (t) => {
  const folder = openFolder(t);
  const path = join(folder, 'subuid');
  const line = 'alice:100000:1\n';
  const files = openAccountFiles(folder);
  writeFileSync(path, `${line}${'#'.repeat(bounds.subUidBytes - line.length)}`);
  assert.deepEqual(files.subUidOwners(100_000), ['alice']);
  writeFileSync(path, `${line}${'#'.repeat(bounds.subUidBytes)}`);
  assert.equal(files.subUidOwners(100_000), undefined);
  rmSync(path);
  mkdirSync(path);
  assert.equal(files.subUidOwners(100_000), undefined);
  rmSync(path, { recursive: true });
  assert.deepEqual(files.subUidOwners(100_000), []);
});
