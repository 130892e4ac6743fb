// What verify says of real journals on the disk, how it is asked, and what it refuses to judge.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CommandFault } from '../../../src/host/output/output.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { openFor } from '../../journal/files/opening.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { rehash } from '../trail/paper-trail.js';
import { signKey, tamper, writeJournal } from './shown.js';
import { keyFile, report, run } from './verifying.js';

void test('an untouched journal passes, also compressed, as segments, and named by a private key', async (t) => {
  const directory = await writeJournal(t);
  const keys = [keyFile(t)];
  const { code, screen } = await run([directory], { key: keys });
  assert.equal(code, 0, screen.lines().join('\n'));
  assert.match(screen.lines()[0] ?? '', /^\/.*\/audit: \d+ records, seq 1 to \d+, journal [0-9a-f]{32}$/);
  assert.equal(screen.lines().at(-1), 'passed');
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
  const { code, screen } = await run([one, other, one], { key: keys });
  assert.equal(code, 1);
  const verdicts = screen.lines().filter((line) => /^(passed|failed)/.test(line));
  assert.deepEqual(verdicts, ['passed', 'failed: 1 fault', 'passed']);
});

void test('without a key it says so and fails, unless that is accepted', async (t) => {
  const directory = await writeJournal(t, 3);
  const { code, screen } = await run([directory]);
  assert.equal(code, 1);
  const text = screen.lines().join('\n');
  assert.match(
    text,
    /signatures were not checked: no --key was given \(signed by .{44}, according to the journal itself\)/,
  );
  assert.match(text, /failed: nothing is changed or missing, but no signature was checked/);
  assert.equal((await run([directory], { unsigned: true })).code, 0);
  const told = await report([directory], { unsigned: true });
  assert.deepEqual([told.passed, told['signatures_checked'], told['keys']], [true, false, [signKey.key]]);
});

void test('verifying may begin at a record, which must be there', async (t) => {
  const keys = [keyFile(t)];
  const directory = await writeJournal(t);
  const all = await report([directory], { key: keys });
  const part = await report([directory], { key: keys, from: 50 });
  assert.equal(part.passed, true);
  assert.ok(Number(part['first_seq']) > 1 && Number(part['first_seq']) <= 50);
  assert.equal(part['last_seq'], all['last_seq']);
  const beyond = await report([directory], { key: keys, from: 5000 });
  assert.deepEqual([beyond.passed, beyond.faults.at(-1)?.seq], [false, 5000]);
});

void test('what damage before the place where it begins is not looked at', async (t) => {
  const directory = tamper(t, await writeJournal(t), ({ segments }) => segments[0]?.lines.splice(3, 1));
  const keys = [keyFile(t)];
  assert.equal((await run([directory], { key: keys })).code, 1);
  assert.equal((await run([directory], { key: keys, from: 60 })).code, 0);
});

void test('a record that commands the terminal is told without doing so', async (t) => {
  const directory = tamper(t, await writeJournal(t, 3), ({ segments }) => {
    const [first] = segments;
    if (first !== undefined)
      first.lines[0] = (first.lines[0] ?? '').replace(/"journal":"[^"]*"/, '"journal":"\\u001b[31m"');
    rehash({ segments, kept: [] }, 0, 0);
    segments.push({ name: '00000009.jsonl', lines: ['{"seq":\u001b[2J'] });
  });
  for (const json of [true, false]) {
    const { screen } = await run([directory], { key: [keyFile(t)], json });
    assert.doesNotMatch(screen.lines().join(''), /[\u0000-\u001f]/);
  }
});

void test('what cannot be read is not a verdict', async (t) => {
  const empty = temporaryDirectory(t);
  const directory = await writeJournal(t, 1);
  const code = (wanted: number) => (fault: unknown) =>
    wanted === (fault instanceof CommandFault ? fault.exitCode : fault instanceof JournalFault ? 78 : 0);
  await assert.rejects(run([empty]), code(78));
  await assert.rejects(run([join(empty, 'none')]), code(78));
  await assert.rejects(run([], { places: { config: join(empty, 'none.yaml'), paths: [] } }), code(78));
  await assert.rejects(run([directory], { places: { config: 'x', paths: [directory] } }), code(64));
  await assert.rejects(run([directory], { key: [join(directory, 'checkpoint.json')] }), code(78));
  await assert.rejects(run([directory], { key: [join(empty, 'none')] }), code(78));
});

// Whoever could write to the directory before the first start with a key can have written what an earlier key signed.
void test('an earlier key that was not given is named, and no longer when it is given', async (t) => {
  const directory = await writeJournal(t, 3);
  const next = makeSignKey();
  const { journal } = await openFor(t, directory, { signKey: next.secretPem });
  await journal.close();
  const [first, second] = [keyFile(t), keyFile(t, next.publicPem)];
  const { code, screen } = await run([directory], { key: [second] });
  const text = screen.lines().join('\n');
  assert.equal(code, 0, text);
  assert.ok(text.includes(`warning: key ${signKey.key} signed first and was not given`), text);
  assert.deepEqual((await report([directory], { key: [second] }))['earlier_keys'], [signKey.key]);
  const both = await run([directory], { key: [first, second] });
  assert.doesNotMatch(both.screen.lines().join('\n'), /was not given/);
  assert.equal(both.code, 0);
});
