// Verifying what really lies on the disk: plain and compressed segments, damage, what a start does about it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { verifyTrail } from '../../../src/evidence/reading/search-trail.js';
import type { Verdict } from '../../../src/evidence/trail/verify.js';
import { readPolicyText } from '../../../src/journal/files/kept-policies.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { openWatched, written } from './opening.js';
import { segmentFiles, temporaryDirectory } from './reading.js';

const key = makeSignKey();

function verify(directory: string, fromSeq?: number): Promise<Verdict> {
  return verifyTrail(findTrail([directory]), { trustedKeys: [key.key], fromSeq, faultsMax: 20 });
}

const signed = (t: TestContext, exchanges?: number) => written(t, { signKey: key.secretPem }, exchanges);

/** Unless the journal has done it already. */
function compress(directory: string, name: string): void {
  const file = name.replace(/\.gz$/, '');
  if (existsSync(join(directory, `${file}.gz`))) return;
  writeFileSync(join(directory, `${file}.gz`), gzipSync(readFileSync(join(directory, file))));
  rmSync(join(directory, file));
}

void test('a compressed segment that is damaged is told with its place', async (t) => {
  const directory = await signed(t);
  compress(directory, '00000002.jsonl');
  const path = join(directory, '00000002.jsonl.gz');
  const bytes = readFileSync(path);
  truncateSync(path, bytes.length - 20);
  const lines = gunzipSync(bytes).toString().split('\n').length - 1;
  const [first] = (await verify(directory)).faults;
  assert.deepEqual([first?.kind, first?.file], ['malformed', '00000002.jsonl']);
  assert.ok((first?.line ?? 0) <= lines + 1);
});

void test('a line longer than any buffer, and a file of nothing, are damage and not an accident', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, '00000001.jsonl'), Buffer.alloc(5 << 20, 0x61));
  writeFileSync(join(directory, '00000002.jsonl'), '');
  writeFileSync(join(directory, '00000003.jsonl'), `\n\n${'x'.repeat(10)}\n`);
  const request = { trustedKeys: [], fromSeq: undefined, faultsMax: 99 };
  const verdict = await verifyTrail(findTrail([directory]), request);
  assert.ok(verdict.faultCount > 3);
  assert.ok(verdict.faults.every(({ kind }) => kind === 'malformed'));
});

void test('the text of a policy counts only if it has the hash that records name', (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'policies'));
  const text = 'policy: support\n';
  const version = createHash('sha256').update(text).digest('hex');
  const path = join(directory, 'policies', `${version}.yaml`);
  writeFileSync(path, text);
  assert.equal(readPolicyText(directory, version), text);
  writeFileSync(path, 'policy: everything\n');
  assert.equal(readPolicyText(directory, version), undefined);
});

void test('a start notices that the end was rewritten, and its own checkpoints do not cover that up', async (t) => {
  const directory = await signed(t, 10);
  const path = join(directory, segmentFiles(directory).at(-1) ?? '');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  let prev = '';
  const forged = lines.map((line, at) => {
    const isFrom = at >= lines.length - 5;
    const text = line.replace('alice', 'mallory');
    const { seq, hash } = JSON.parse(line);
    const body = text.slice(text.indexOf('"time"'), text.indexOf(',"prev"'));
    const sealed = isFrom ? sealLine(seq, body, prev) : { line: `${line}\n`, hash };
    prev = sealed.hash;
    return sealed.line;
  });
  writeFileSync(path, forged.join(''));
  const { journal } = await openWatched(directory, { signKey: key.secretPem });
  await journal.close();
  assert.equal(journal.found.damage, 'rewritten');
  const kinds = (await verify(directory)).faults.map(({ kind }) => kind);
  assert.ok(kinds.includes('rewritten'), kinds.join());
});

void test('when all segments are gone, the numbers go on where the checkpoint says', async (t) => {
  const directory = await signed(t, 3);
  const { seq, journal: id } = JSON.parse(readFileSync(join(directory, 'checkpoint.json'), 'utf8'));
  for (const file of segmentFiles(directory)) rmSync(join(directory, file));
  const { journal } = await openWatched(directory, { signKey: key.secretPem });
  await journal.close();
  assert.deepEqual([journal.found.journal, journal.found.damage], [id, 'cut']);
  const { faults, firstSeq } = await verify(directory);
  const [told] = faults.map(({ kind, file, line }) => `${kind} ${file} ${line}`);
  assert.deepEqual([told, firstSeq], ['segment-missing 00000001.jsonl 1', seq + 1]);
});
