import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type BodyLimits, createBodyStore } from '../../../src/host/machine/held-bytes.js';
import { RoomFault } from '../../../src/host/ports/faults.js';
import type { HeldBytes } from '../../../src/host/ports/machine.js';
import { openFolder } from '../../kit/plain/folder.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';
import { until } from '../../kit/plain/until.js';

function limitsOf(folder: string, more: Partial<BodyLimits> = {}): BodyLimits {
  const all = { storedBytesMax: Infinity, storedBytesPerPrincipalMax: Infinity, freeBytesMin: 0 };
  return { folder, ...all, isMemoryFull: false, ...more };
}

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

void test('what was added is read back from any place, in memory and in a file', async (t) => {
  const folder = join(openFolder(t), 'state');
  const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => at % 251));
  for (const size of [700_000, 2_000_000]) {
    const held = createBodyStore(() => limitsOf(folder))('panel@http');
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
      assert.deepEqual(await readAll(held, from, to), bytes.subarray(from, to), `${size}: ${from} to ${to}`);
    await assert.rejects(held.read(size, 1), RangeError);
    held.close();
  }
});

void test('the file has no name, is nobody else’s, and is made only when it is needed', async (t) => {
  const folder = join(openFolder(t), 'state');
  let isFull = false;
  const held = createBodyStore(() => limitsOf(folder, { isMemoryFull: isFull }))('panel@http');
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
  const held = createBodyStore(() => limitsOf(join(file, 'state'), { isMemoryFull: true }))('panel@http');
  await assert.rejects(held.append(Buffer.from('a')));
  held.close();
});

const mebibyte = 1024 * 1024;

async function fillUp(held: HeldBytes, most: number): Promise<{ bytes: number; fault: unknown }> {
  const chunk = Buffer.alloc(65_536);
  for (;;) {
    if (held.length >= most) return { bytes: held.length, fault: undefined };
    try {
      await held.append(chunk);
    } catch (fault) {
      return { bytes: held.length, fault };
    }
  }
}

void test('bodies of one principal, and all together, have a size on disk, and give it back', async (t) => {
  const folder = openFolder(t);
  const limits = { storedBytesMax: 5 * mebibyte, storedBytesPerPrincipalMax: 3 * mebibyte };
  const hold = createBodyStore(() => limitsOf(folder, limits));
  const one = hold('one@http');
  assert.deepEqual(await fillUp(one, 2 * mebibyte), { bytes: 2 * mebibyte, fault: undefined });
  const again = hold('one@http');
  await assert.rejects(again.expect(mebibyte + 1), RoomFault);
  const { bytes, fault } = await fillUp(again, 2 * mebibyte);
  assert.match(String(fault), /^RoomFault: requests of this account hold/);
  assert.equal(bytes, mebibyte, 'what fits into memory');
  again.close();

  const other = hold('other@http');
  assert.equal((await fillUp(other, 3 * mebibyte)).bytes, 3 * mebibyte);
  const third = hold('third@http');
  const refused = await fillUp(third, 2 * mebibyte);
  assert.match(String(refused.fault), /^RoomFault: all requests hold/);
  one.close();
  other.close();
  third.close();
  const free = hold('one@http');
  assert.equal((await fillUp(free, 3 * mebibyte)).bytes, 3 * mebibyte);
  free.close();
});

// bounds.httpStoredBytes, bounds.httpStoredPerPrincipal
void test('by default a principal stores 128 MiB, and all together 512 MiB', async (t) => {
  const folder = openFolder(t);
  for (const [limit, most, who] of [
    [
      { storedBytesPerPrincipalMax: bounds.httpStoredPerPrincipal },
      128 * mebibyte,
      'requests of this account',
    ],
    [{ storedBytesMax: bounds.httpStoredBytes }, 512 * mebibyte, 'all requests'],
  ] as const) {
    const body = createBodyStore(() => limitsOf(folder, limit))('one');
    await body.expect(most);
    const why = new RegExp(`^RoomFault: ${who} hold 0 bytes, and may hold ${most}`);
    await assert.rejects(body.expect(most + 1), why);
  }
});

void test('on a real disk room for audit records stays free, also when many bodies come at once', async (t) => {
  const isDone = await withSmallDisk('ext4', async (place) => {
    const folder = join(place, 'state');
    const freeBytesMin = 8 * mebibyte;
    const free = (): number => {
      const { bsize, bavail } = statfsSync(place);
      return bsize * bavail;
    };
    const hold = createBodyStore(() => limitsOf(folder, { freeBytesMin }));
    const bodies = Array.from({ length: 20 }, (_, at) => hold(`p${at}@http`));
    const ends = await Promise.all(bodies.map((body) => fillUp(body, 16 * mebibyte)));
    assert.ok(ends.every(({ fault }) => fault instanceof RoomFault));
    const left = free() - freeBytesMin;
    assert.ok(left >= -mebibyte && left < 4 * mebibyte, `${left} bytes above what stays free`);
    await assert.rejects(hold('late@http').expect(4 * mebibyte), RoomFault);
    for (const body of bodies) body.close();
    await until(() => free() > 16 * mebibyte, 'the room is back');
    const later = hold('later@http');
    assert.equal((await fillUp(later, 4 * mebibyte)).fault, undefined);
    later.close();
  });
  if (!isDone) t.skip('no file system can be mounted here (needs root)');
});
