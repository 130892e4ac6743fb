// A look at a file of somebody else: whatever lies there, it is short.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSmallFile } from '../../../src/host/machine/small-file.js';
import { openFolder } from '../../kit/plain/folder.js';

void test('a text up to the limit, and why there is none', async (t) => {
  const folder = openFolder(t);
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('full'), 'ü'.repeat(50));
  writeFileSync(at('more'), 'x'.repeat(101));
  writeFileSync(at('empty'), '');
  mkdirSync(at('folder'));
  // Without a writer it would be waited for without end.
  execFileSync('mkfifo', [at('pipe')]);
  assert.deepEqual(await readSmallFile(at('full'), 100), { kind: 'text', text: 'ü'.repeat(50) });
  assert.deepEqual(await readSmallFile(at('empty'), 100), { kind: 'text', text: '' });
  const kinds: readonly (readonly [string, string])[] = [
    [at('more'), 'too-large'],
    [at('folder'), 'no-file'],
    [at('pipe'), 'no-file'],
    ['/dev/zero', 'no-file'],
    [at('none'), 'absent'],
    [at('full/below'), 'absent'],
  ];
  for (const [path, kind] of kinds) assert.equal((await readSmallFile(path, 100)).kind, kind, path);
  const long = at('x'.repeat(300));
  assert.deepEqual(await readSmallFile(long, 100), { kind: 'fault', text: 'ENAMETOOLONG' });
});
