// The newest segments back to a time: as many as hold it and no more, compressed and damaged ones too.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { formatTime } from '../../../src/host/words/instants.js';
import { readPolicyText } from '../../../src/journal/files/kept-policies.js';
import { findRecent } from '../../../src/journal/files/trail.js';
import { temporaryDirectory } from './reading.js';

const hour = 3_600_000;
const nowMs = 1_795_000_000_000;

/** Segments that begin so many hours ago, oldest first, with the sum of the clock's steps in hours; the second compressed. */
function written(t: TestContext, segments: readonly (readonly [ago: number, steps: number])[]): string {
  const directory = temporaryDirectory(t);
  for (const [at, [ago, steps]] of segments.entries()) {
    const more = at === 0 ? '' : `,"steps_ms":${steps * hour}`;
    const time = formatTime(nowMs - ago * hour);
    const text = `{"seq":${at + 1},"time":"${time}","event":"checkpoint"${more}}\n`;
    const path = join(directory, `0000000${at + 1}.jsonl`);
    if (at === 1) writeFileSync(`${path}.gz`, gzipSync(text));
    else writeFileSync(path, text);
  }
  return directory;
}

async function found(directory: string, sinceMs: number, filesMax = 10): Promise<string> {
  const { files, stepsMs, isWhole } = await findRecent(directory, sinceMs, filesMax);
  const numbers = files.map(({ name }) => Number.parseInt(name, 10)).join('');
  return `${numbers} ${stepsMs / hour} ${isWhole ? 'whole' : 'part'}`;
}

void test('back to the segment that began before the time, and no further', async (t) => {
  const directory = written(t, [
    [9, 0],
    [5, 0],
    [3, 0],
    [1, 0],
  ]);
  assert.equal(await found(directory, nowMs), '4 0 whole');
  assert.equal(await found(directory, nowMs - 2 * hour), '34 0 whole');
  assert.equal(await found(directory, nowMs - 4 * hour), '234 0 whole');
  assert.equal(await found(directory, nowMs - 40 * hour), '1234 0 whole');
  assert.equal(await found(directory, nowMs - 40 * hour, 2), '34 0 part');
});

void test('by the time without the steps of the clock', async (t) => {
  // The clock was set two hours ahead between the third and the fourth.
  const directory = written(t, [
    [9, 0],
    [5, 0],
    [3, 0],
    [0.5, 2],
  ]);
  assert.equal(await found(directory, nowMs - 2 * hour - hour), '34 0 whole');
  assert.equal(await found(directory, nowMs - 2 * hour), '4 2 whole');
});

void test('a segment that does not tell when it began is read, with the one before', async (t) => {
  const directory = written(t, [
    [9, 0],
    [5, 0],
    [3, 0],
    [1, 0],
  ]);
  writeFileSync(join(directory, '00000003.jsonl'), 'x\n');
  writeFileSync(join(directory, '00000002.jsonl.gz'), 'no gzip');
  assert.equal(await found(directory, nowMs - 2 * hour), '1234 0 whole');
});

void test('the text of a policy is read up to a limit', (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'policies'));
  for (const bytes of [1024 ** 2, 1024 ** 2 + 1]) {
    const text = 'x'.repeat(bytes);
    const version = hash('sha256', text);
    writeFileSync(join(directory, 'policies', `${version}.yaml`), text);
    assert.equal(readPolicyText(directory, version)?.length, bytes > 1024 ** 2 ? undefined : bytes);
  }
});
