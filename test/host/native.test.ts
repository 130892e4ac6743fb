import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadNative } from '../../src/host/native.js';

void test('a lock excludes a second open file, also of this process, and ends with its descriptor', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'dovegate-native-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const native = await loadNative();
  const path = join(directory, 'lock');
  const first = openSync(path, 'w');
  const second = openSync(path, 'w');
  assert.equal(native.lockExclusive(first), true);
  assert.equal(native.lockExclusive(first), true, 'the holder may ask again');
  assert.equal(native.lockExclusive(second), false);
  closeSync(first);
  assert.equal(native.lockExclusive(second), true);
  closeSync(second);
});

void test('a descriptor that is none is an error, not a refusal', async () => {
  const native = await loadNative();
  assert.throws(() => native.lockExclusive(1_000_000), /errno/);
});
