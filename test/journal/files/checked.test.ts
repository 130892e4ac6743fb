// A journal that was checked is searched as it was checked: what a daemon does to it meanwhile changes nothing, and what somebody else does
// to it is an error.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { checkTrail, searchTrail } from '../../../src/evidence/reading/search-trail.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { signKey, writeJournal } from '../../evidence/cli/shown.js';
import { segmentFiles } from './reading.js';

const request = { trustedKeys: [signKey.key], ownKey: undefined, faultsMax: 9 };

async function idsOf(trail: Parameters<typeof searchTrail>[0]): Promise<unknown[]> {
  const ids: unknown[] = [];
  for await (const { fields } of searchTrail(trail, {})) ids.push(fields['id']);
  return ids;
}

void test('what a daemon does meanwhile: it appends to the last segment, and compresses others', async (t) => {
  const directory = await writeJournal(t, 40);
  const { verdict, trail } = await checkTrail(findTrail([directory]), request);
  assert.deepEqual(verdict.faults, []);
  const ids = await idsOf(trail);
  assert.equal(ids.length, 40);
  const files = segmentFiles(directory);
  const [first = '', last = ''] = [files[0], files.at(-1)];
  const text = readFileSync(join(directory, first));
  writeFileSync(join(directory, `${first}.gz`), gzipSync(text));
  rmSync(join(directory, first));
  appendFileSync(join(directory, last), text);
  assert.deepEqual(await idsOf(trail), ids);
});

void test('what somebody else does: a file that is changed, shorter, or another one', async (t) => {
  const changes: readonly ((path: string) => void)[] = [
    (path) => truncateSync(path, readFileSync(path).length - 1),
    (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('alice@', 'elice@')),
    (path) => {
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path).subarray(0, -100)));
      rmSync(path);
    },
    (path) => {
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)).subarray(0, -100));
      rmSync(path);
    },
    (path) => writeFileSync(path, ''),
  ];
  for (const change of changes) {
    const directory = await writeJournal(t, 40);
    const { trail } = await checkTrail(findTrail([directory]), request);
    change(join(directory, segmentFiles(directory)[1] ?? ''));
    await assert.rejects(idsOf(trail), { code: 'unreadable' }, String(change));
  }
});
