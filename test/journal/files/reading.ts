// Reads a journal with nothing of ours: the standard library's JSON and hashes, so that writer and reader cannot agree on
// the same mistake. Throws at the first line that is not what the documentation says.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { memoryPlace } from '../../kit/plain/folder.js';

export type StoredRecord = Readonly<Record<string, unknown>> & {
  readonly seq: number;
  readonly event: string;
};

const closers = new WeakMap<TestContext, (() => Promise<unknown>)[]>();

/** What must be closed before its directory goes: an open journal would make it again. */
export function closeBefore(t: TestContext, close: () => Promise<unknown>): void {
  closers.set(t, [...(closers.get(t) ?? []), close]);
}

/** Closes what is still open, whatever becomes of it. */
export async function closeAll(t: TestContext): Promise<void> {
  await Promise.allSettled((closers.get(t) ?? []).map((close) => close()));
}

/** An empty directory that goes with the test; in memory, because thousands of syncs would only test the disk's patience. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(memoryPlace(), 'dovegate-journal-'));
  t.after(async () => {
    await closeAll(t);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** In their order; a crash while compressing may leave a segment in both forms, and then the plain one counts. */
export function segmentFiles(directory: string): string[] {
  const files = readdirSync(directory).filter((name) => /\.jsonl(\.gz)?$/.test(name));
  return files.filter((name) => !name.endsWith('.gz') || !files.includes(name.slice(0, -3))).toSorted();
}

/** All records of a journal whose chain is whole from its first segment to its last byte. */
export function readWhole(directory: string): StoredRecord[] {
  const records: StoredRecord[] = [];
  let prev: string | undefined;
  for (const file of segmentFiles(directory)) {
    const bytes = readFileSync(join(directory, file));
    const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
    assert.ok(text.endsWith('\n'), `${file} ends within a line`);
    for (const line of text.slice(0, -1).split('\n')) {
      const record: StoredRecord & { prev: string; hash: string } = JSON.parse(line);
      const without = line.replace(/,"hash":"[0-9a-f]{64}"(?=}$)/, '');
      assert.equal(createHash('sha256').update(without).digest('hex'), record.hash, `${file}: ${line}`);
      assert.equal(record.prev, prev ?? '0'.repeat(64), `${file}: ${line}`);
      assert.equal(record.seq, (records.at(-1)?.seq ?? 0) + 1, `${file}: ${line}`);
      assert.ok(Buffer.byteLength(line) < 7168);
      prev = record.hash;
      records.push(record);
    }
  }
  return records;
}

/** The events of a whole journal, without its checkpoints. */
export function eventsIn(directory: string): string[] {
  return readWhole(directory)
    .map(({ event }) => event)
    .filter((event) => event !== 'checkpoint');
}

/** Ids of exchanges with an admission; every one has exactly one completion behind it, or an assertion fails. */
export function pairedIds(records: readonly StoredRecord[]): Set<unknown> {
  const open = new Set<unknown>();
  const all = new Set<unknown>();
  for (const { event, id } of records) {
    if (event === 'admission') {
      assert.ok(!all.has(id), `two admissions of ${String(id)}`);
      open.add(id);
      all.add(id);
    }
    if (event === 'completion') assert.ok(open.delete(id), `a completion of ${String(id)} without admission`);
  }
  assert.deepEqual([...open], [], 'admissions without completion');
  return all;
}
