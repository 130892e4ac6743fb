// Goal: whether a file can be mapped as memory at a path is known without making it.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ourselves } from '../../../src/adapters/host/accounts.js';
import { whyPoorMemory } from '../../../src/adapters/host/files.js';
import { openFolder, removeAfter } from '../../kit/folder.js';

const shared = '/dev/shm';
const hasShared = existsSync(shared) && statfsSync(shared).type === 0x01021994;

function openShared(t: TestContext): string {
  const folder = mkdtempSync(join(shared, 'dovegate-test-'));
  removeAfter(t, folder);
  return folder;
}

test('a directory in memory with room is good', { skip: !hasShared }, (t) => {
  const path = join(openShared(t), 'audit.ring');
  assert.equal(whyPoorMemory(path, 64 * 1024, ourselves()), undefined);
});

test('a file that is there already with its size needs no more room', { skip: !hasShared }, (t) => {
  const path = join(openShared(t), 'audit.ring');
  const bytes = 2 ** 50;
  const found = whyPoorMemory(path, bytes, ourselves());
  assert.equal(found?.isUsable, false);
  assert.match(found?.text ?? '', /^it needs 1125899906842624 bytes, and \/dev\/shm\/\S+ has \d+ left$/);
  writeFileSync(path, '');
  truncateSync(path, 2 ** 40);
  assert.equal(whyPoorMemory(path, 2 ** 40, ourselves()), undefined);
});

test('no directory, a file instead of one, no right to write', (t) => {
  const folder = openFolder(t);
  const text = (path: string, who: Parameters<typeof whyPoorMemory>[2] = ourselves()): string | undefined => {
    const found = whyPoorMemory(path, 4096, who);
    return found?.isUsable === false ? found.text.replaceAll(folder, 'F') : found?.text;
  };
  assert.equal(text(join(folder, 'none', 'ring')), 'there is no directory F/none');
  writeFileSync(join(folder, 'file'), '');
  assert.equal(text(join(folder, 'file', 'ring')), 'F/file is not a directory');
  const own = join(folder, 'own');
  mkdirSync(own);
  chmodSync(own, 0o750);
  // Somebody else, as root checks for the user of the daemon.
  const other = { uid: ourselves().uid + 4711, gids: [] };
  chmodSync(folder, 0o777);
  assert.equal(text(join(folder, 'ring')), 'every user may replace files in F (mode 0777)');
  assert.match(text(join(own, 'ring'), other) ?? '', /^uid \d+ may not make files in F\/own \(mode 0750\)$/);
});

test('elsewhere than in memory it can be had, and may be slow', (t) => {
  const folder = openFolder(t);
  if (hasShared && statfsSync(folder).type === statfsSync(shared).type)
    return t.skip('the folder is in memory');
  const found = whyPoorMemory(join(folder, 'ring'), 4096, ourselves());
  assert.equal(found?.isUsable, true);
  assert.match(found?.text ?? '', /use a file system in memory \(tmpfs\)$/);
});
