// What lies beside the segments goes with the records that it belongs to: texts of past policies, and checkpoints of damaged starts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { JournalOptions } from '../../../src/journal/files/journal.js';
import { forgetPolicies, keepPolicyText } from '../../../src/journal/files/past-policies.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { faultsOf, kill, lastFile, placeFor, startRun, stop, write } from './forged-run.js';
import { admission, completion, fillSegments, keepAll, openFor, type Watched } from './opening.js';
import { segmentFiles, temporaryDirectory } from './reading.js';

const key = makeSignKey();
const [a = '', b = '', c = ''] = ['a', 'b', 'c'].map((letter) => letter.repeat(64));

function textsIn(directory: string): string[] {
  return readdirSync(join(directory, 'policies')).filter((file) => file.endsWith('.yaml'));
}

function open(t: TestContext, directory: string, more: Partial<JournalOptions> = {}): Promise<Watched> {
  return openFor(t, directory, { segmentBytes: 8192, signKey: key.secretPem, tendIntervalMs: 20, ...more });
}

void test('a text goes when retention has removed the last record that can name it, and not before', async (t) => {
  const directory = temporaryDirectory(t);
  const first = await open(t, directory);
  await first.journal.keepPolicy(a, 'policy a');
  await first.journal.keepPolicy(b, 'policy b');
  await fillSegments(first, directory, 4);
  await first.journal.close();
  let limits = keepAll;
  const second = await open(t, directory, { limits: () => limits });
  await second.journal.keepPolicy(b, 'policy b');
  await second.journal.keepPolicy(c, 'policy c');
  // Of the segments of the first run one stays.
  const last = segmentFiles(directory).at(-1) ?? '';
  const retire = async (): Promise<void> => {
    limits = { ...keepAll, sizeMax: { bytes: 1 } };
    while (segmentFiles(directory).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    limits = keepAll;
  };
  await retire();
  assert.equal(segmentFiles(directory)[0], last);
  assert.deepEqual(textsIn(directory), [`${a}.yaml`, `${b}.yaml`, `${c}.yaml`]);
  await fillSegments(second, directory, 3);
  await retire();
  assert.deepEqual(textsIn(directory), [`${b}.yaml`, `${c}.yaml`]);
  await second.journal.close();
});

void test('a policy that is used again is one that was never unused', (t) => {
  const directory = temporaryDirectory(t);
  for (const version of [a, b]) keepPolicyText(directory, undefined, version, 'text');
  const unused = () => JSON.parse(readFileSync(join(directory, 'policies', 'unused.json'), 'utf8'));
  forgetPolicies(directory, { versions: [b], startSeq: 10 }, 5);
  assert.deepEqual(unused(), { [a]: 10 });
  // The next run does not use it either: what the earlier one found counts.
  forgetPolicies(directory, { versions: [b], startSeq: 20 }, 10);
  assert.deepEqual(unused(), { [a]: 10 });
  keepPolicyText(directory, undefined, a, 'text');
  assert.deepEqual(unused(), {});
  forgetPolicies(directory, { versions: [b], startSeq: 30 }, 11);
  assert.deepEqual(textsIn(directory), [`${a}.yaml`, `${b}.yaml`]);
  forgetPolicies(directory, { versions: [b], startSeq: 40 }, 31);
  assert.deepEqual([textsIn(directory), unused()], [[`${b}.yaml`], {}]);
});

void test('what is no file in the place of a text is put aside by a start', (t) => {
  const place = placeFor(t);
  stop(startRun(place));
  const policies = join(place.directory, 'policies');
  mkdirSync(join(policies, `${a}.yaml`), { recursive: true });
  execFileSync('mkfifo', [join(policies, `${b}.yaml`)]);
  const run = startRun(place);
  assert.match(run.found.appended?.file ?? '', /\.yaml\.appended$/);
  for (const version of [a, b]) {
    const order = { do: 'keep-policy', behind: 0, version, text: 'text' } as const;
    assert.equal(run.writer.carryOut(order).kind, 'kept');
  }
  stop(run);
});

// bounds.keptCheckpoints
void test('starts keep so many checkpoints of damaged ends, the first ones, and a reader reads no more', async (t) => {
  const place = placeFor(t);
  const kept = () => readdirSync(place.directory).filter((file) => /^checkpoint-\d+\.json$/.test(file));
  for (let count = 0; count < bounds.keptCheckpoints + 2; count += 1) {
    const run = startRun(place);
    write(run, admission(`E${count}`), completion(`E${count}`));
    kill(run);
    // The end is cut off each time.
    rmSync(lastFile(place));
  }
  assert.equal(kept().length, bounds.keptCheckpoints);
  const seqs = kept().map((file) => Number(/\d+/.exec(file)?.[0]));
  for (let seq = 1001; seq < 1100; seq += 1)
    writeFileSync(join(place.directory, `checkpoint-${seq}.json`), 'x');
  const { kept: read } = findTrail([place.directory]);
  const sorted = seqs.toSorted((one, other) => one - other).map((seq) => `checkpoint-${seq}.json`);
  assert.deepEqual(
    read.map(({ file }) => file),
    ['checkpoint.json', ...sorted],
  );
  assert.ok((await faultsOf(place)).length > 0);
});
