import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdBytes } from '../../../src/adapters/host/held-bytes.js';
import type { HeldBytes } from '../../../src/ports/machine.js';
import { openFolder } from '../../kit/folder.js';

async function readAll(held: HeldBytes, from: number, to: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = from; at < to; ) {
    const part = await held.read(at, Math.min(100_000, to - at));
    parts.push(part);
    at += part.length;
  }
  return Buffer.concat(parts);
}

/** Descriptors of this process that are files of that folder. */
function openIn(folder: string): string[] {
  const all = readdirSync('/proc/self/fd').map((fd) => join('/proc/self/fd', fd));
  return all.filter((fd) => existsSync(fd) && readlinkSync(fd).startsWith(folder));
}

// bounds.httpBodyMemory
void test('what was added is read back from any place, in memory and in a file', async (t) => {
  const folder = join(openFolder(t), 'state');
  const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => at % 251));
  for (const size of [700_000, 2_000_000]) {
    const held = holdBytes(folder, () => false);
    for (let at = 0; at < size; at += 65_536)
      await held.append(bytes.subarray(at, Math.min(size, at + 65_536)));
    assert.equal(held.length, size);
    assert.equal(held.memoryBytes > 0, size < 1024 * 1024);
    for (const [from, to] of [
      [0, size],
      [1, 2],
      [65_535, 65_537],
      [size - 1, size],
    ] as const)
      assert.ok(
        (await readAll(held, from, to)).equals(bytes.subarray(from, to)),
        `${size}: ${from} to ${to}`,
      );
    await assert.rejects(held.read(size, 1), RangeError);
    held.close();
  }
});

void test('the file has no name, is nobody else’s, and is made only when it is needed', async (t) => {
  const folder = join(openFolder(t), 'state');
  let isFull = false;
  const held = holdBytes(folder, () => isFull);
  await held.append(Buffer.from('a'));
  assert.equal(existsSync(folder), false);
  isFull = true;
  await held.append(Buffer.from('b'));
  assert.equal(held.memoryBytes, 0);
  assert.deepEqual(readdirSync(folder), []);
  const [file = ''] = openIn(folder);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal((await readAll(held, 0, 2)).toString(), 'ab');
  held.close();
});

void test('a folder that cannot be written to', async (t) => {
  const file = join(openFolder(t), 'file');
  writeFileSync(file, '');
  const held = holdBytes(join(file, 'state'), () => true);
  await assert.rejects(held.append(Buffer.from('a')));
  held.close();
});
