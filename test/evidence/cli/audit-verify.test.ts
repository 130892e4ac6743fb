// What verify says of real journals on the disk, how it is asked, and what it refuses to judge.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { openFor } from '../../journal/files/opening.js';
import { signKey, tamper, writeJournal } from './shown.js';
import { keyFile, report, run } from './verifying.js';

void test('an untouched journal passes, also compressed, as segments, and named by a private key', async (t) => {
  const directory = await writeJournal(t);
  const keys = [keyFile(t)];
  const { code, lines } = await run([directory], { key: keys });
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines[0] ?? '', /^\/.*\/audit: \d+ records, seq 1 to \d+, journal [0-9a-f]{32}$/);
  assert.equal(lines.at(-1), 'passed');
  assert.equal((await run([directory], { key: [keyFile(t, signKey.secretPem)] })).code, 0);
  assert.equal((await run([directory], { key: [keyFile(t, `${signKey.key}\n`)] })).code, 0);
  const names = ['00000001', '00000002', '00000003', '00000004', '00000005'];
  const files = names.map((name) => join(directory, `${name}.jsonl`));
  const all = await report([directory], { key: keys });
  const part = await report(files, { key: keys, from: 1 });
  assert.deepEqual([part['first_seq'], part['journal'], part.faults], [1, all['journal'], []]);
  const first = join(directory, '00000001.jsonl');
  writeFileSync(`${first}.gz`, gzipSync(readFileSync(first)));
  rmSync(first);
  assert.deepEqual(await report([directory], { key: keys }), all);
});

void test('several journals are verified one by one, and one that fails is enough to fail', async (t) => {
  const keys = [keyFile(t)];
  const one = await writeJournal(t, 3);
  const other = tamper(t, one, ({ segments }) => segments[0]?.lines.splice(2, 1));
  const { code, lines } = await run([one, other, one], { key: keys });
  assert.equal(code, 1);
  const verdicts = lines.filter((line) => /^(passed|failed)/.test(line));
  assert.deepEqual(verdicts, ['passed', 'failed: 1 fault', 'passed']);
});

void test('without a key it says so and fails, unless that is accepted', async (t) => {
  const directory = await writeJournal(t, 3);
  const { code, lines } = await run([directory]);
  assert.equal(code, 1);
  const text = lines.join('\n');
  assert.match(
    text,
    /signatures were not checked: no --key was given \(signed by .{44}, according to the journal itself\)/,
  );
  assert.match(text, /failed: nothing is changed or missing, but no signature was checked/);
  assert.equal((await run([directory], { unsigned: true })).code, 0);
  const told = await report([directory], { unsigned: true });
  assert.deepEqual([told.passed, told['signatures_checked'], told['keys']], [true, false, [signKey.key]]);
});

// Whoever could write to the directory before the first start with a key can have written what an earlier key signed.
void test('an earlier key that was not given is named, and no longer when it is given', async (t) => {
  const directory = await writeJournal(t, 3);
  const next = makeSignKey();
  const { journal } = await openFor(t, directory, { signKey: next.secretPem });
  await journal.close();
  const [first, second] = [keyFile(t), keyFile(t, next.publicPem)];
  const { code, lines } = await run([directory], { key: [second] });
  const text = lines.join('\n');
  assert.equal(code, 0, text);
  assert.ok(text.includes(`warning: key ${signKey.key} signed first and was not given`), text);
  assert.deepEqual((await report([directory], { key: [second] }))['earlier_keys'], [signKey.key]);
  const both = await run([directory], { key: [first, second] });
  assert.doesNotMatch(both.lines.join('\n'), /was not given/);
  assert.equal(both.code, 0);
});
