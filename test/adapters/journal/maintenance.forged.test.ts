// Ages of segments that were changed on the disk: retention takes them only from records that prove themselves.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { JournalOptions } from '../../../src/adapters/journal/journal.js';
import { makeSignKey, sealLine } from '../../../src/domain/audit/ledger.js';
import { admission, completion, keepAll, openFor, type Watched } from './opening.js';
import { segmentFiles, temporaryDirectory } from './reading.js';

const key = makeSignKey();
const year = 365 * 86_400_000;

/** A run with so many segments, which is stopped. */
async function run(
  t: TestContext,
  directory: string,
  segments: number,
  more: Partial<JournalOptions>,
): Promise<void> {
  const { journal } = await openFor(t, directory, { segmentBytes: 8192, ...more });
  for (let count = 0; segmentFiles(directory).length < segments; count += 1) {
    await journal.appendDurable(admission(`E${count}`), false);
    await journal.appendDurable(completion(`E${count}`), false);
  }
  await journal.close();
}

/** Says in the first record of a segment that the one before ended two years ago; without a key, but with a right hash. */
function age(directory: string, name: string): void {
  const file = segmentFiles(directory).find((each) => each.startsWith(name)) ?? '';
  const path = join(directory, file);
  const isCompressed = file.endsWith('.gz');
  const text = (isCompressed ? gunzipSync(readFileSync(path)) : readFileSync(path)).toString();
  const [head = '', ...rest] = text.split('\n');
  const [, seq, body, prev] = /^\{"seq":(\d+),(.*),"prev":"([0-9a-f]{64})","hash":/.exec(head) ?? [];
  const old = body?.replace(/^"time":"\d{4}/, (time) => `"time":"${Number(time.slice(-4)) - 2}`) ?? '';
  assert.notEqual(old, body);
  const changed = sealLine(Number(seq), old, prev ?? '').line + rest.join('\n');
  rmSync(path);
  writeFileSync(path, isCompressed ? gzipSync(changed) : changed);
}

/** Events of the first look of a run that keeps a year; or as much as asked. */
async function look(t: TestContext, directory: string, more: Partial<JournalOptions>): Promise<Watched> {
  const limits = { ...keepAll, keepMs: year };
  const watched = await openFor(t, directory, { segmentBytes: 8192, limits: () => limits, ...more });
  await watched.seen('tended');
  return watched;
}

function retiredOf({ events }: Watched): readonly string[] {
  return events.flatMap((event) => (event.kind === 'tended' ? event.tended.retired : []));
}

function textsOf({ events }: Watched): readonly string[] {
  return events.flatMap((event) => (event.kind === 'not-tended' ? [event.text] : []));
}

void test('a first record that was made older retires nothing, and is reported', async (t) => {
  const directory = temporaryDirectory(t);
  await run(t, directory, 5, { signKey: key.secretPem });
  age(directory, '00000002.jsonl');
  const watched = await look(t, directory, { signKey: key.secretPem });
  assert.deepEqual(retiredOf(watched), []);
  assert.deepEqual(textsOf(watched), [
    '00000001.jsonl or the segment after it was changed or is damaged: nothing from there on is retired',
  ]);
  await watched.journal.close();
});

void test('a first record of another journal with the same key counts for nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const other = temporaryDirectory(t);
  await run(t, directory, 4, { signKey: key.secretPem });
  await run(t, other, 4, { signKey: key.secretPem });
  const [head = ''] = readFileSync(join(other, '00000002.jsonl'), 'utf8').split('\n');
  const path = join(directory, '00000002.jsonl');
  const [, ...rest] = readFileSync(path, 'utf8').split('\n');
  writeFileSync(path, [head, ...rest].join('\n'));
  const limits = { ...keepAll, keepMs: -1 };
  const watched = await look(t, directory, { signKey: key.secretPem, limits: () => limits });
  assert.deepEqual(retiredOf(watched), []);
  assert.equal(textsOf(watched).length, 1);
  await watched.journal.close();
});

for (const isChanged of [false, true]) {
  const what = isChanged ? 'a changed one retires nothing' : 'whole ones are retired';
  void test(`records of a key before are read up to one that counts: ${what}`, async (t) => {
    const directory = temporaryDirectory(t);
    await run(t, directory, 4, { signKey: makeSignKey().secretPem });
    if (isChanged) age(directory, '00000002.jsonl');
    const limits = { ...keepAll, keepMs: isChanged ? year : -1 };
    // The new key has not begun a segment: the last record on disk is all that is known.
    const watched = await look(t, directory, { signKey: key.secretPem, limits: () => limits });
    const names = ['00000001.jsonl', '00000002.jsonl', '00000003.jsonl'];
    assert.deepEqual(retiredOf(watched), isChanged ? [] : names);
    assert.equal(textsOf(watched).length, isChanged ? 1 : 0);
    await watched.journal.close();
  });
}
