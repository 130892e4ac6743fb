// Proofs from real journals on the disk: which lines they hold, and when there is none.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { auditProof, type ProofFlags } from '../../../src/evidence/cli/audit-proof.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import {
  journalLines,
  keepScreen,
  placesAt,
  printed,
  seqOf,
  signKey,
  tamper,
  writeJournal,
} from './shown.js';
import { keyFile } from './verifying.js';

const prove = (t: TestContext, directory: string, filter: TrailFilter, flags: Partial<ProofFlags> = {}) =>
  printed((screen) => auditProof(screen, placesAt(directory), filter, { key: [keyFile(t)], ...flags }));

void test('both records of a command, and the lines up to a signature, as they stand in the journal', async (t) => {
  const directory = await writeJournal(t, 40);
  const { code, lines, complaints } = await prove(t, directory, { text: 'E7' });
  assert.equal(code, 0, complaints);
  assert.match(complaints, /^dovegate: 2 records with proof, signed by /);
  const body = lines.filter((line) => !line.startsWith('#'));
  const journal = journalLines(directory);
  for (const line of body.slice(0, -1)) assert.equal(line.slice(2), journal.get(seqOf(line.slice(2))));
  const chosen = body.filter((line) => line.startsWith('* ')).map((line) => JSON.parse(line.slice(2)));
  assert.deepEqual(
    chosen.map(({ id, event }) => `${id} ${event}`),
    ['E7 admission', 'E7 completion'],
  );
  assert.match(body.at(-2) ?? '', /^= .*"signature":"/);
  assert.match(body.at(-1) ?? '', /^% 2 records, \d+ lines, 1 runs$/);
  const title = lines.filter((line) => line.startsWith('#')).join('\n');
  assert.ok(title.includes(signKey.key) && title.includes('--text "E7"'));
});

void test('compressed segments give the same proof', async (t) => {
  const directory = await writeJournal(t, 40);
  const before = await prove(t, directory, { text: 'E7' }, { whole: true });
  const name = join(directory, '00000001.jsonl');
  writeFileSync(`${name}.gz`, gzipSync(readFileSync(name)));
  rmSync(name);
  const after = await prove(t, directory, { text: 'E7' }, { whole: true });
  assert.deepEqual(after.lines, before.lines);
});

void test('nothing is proved from a journal with a fault, without a signature, or of another key', async (t) => {
  const directory = await writeJournal(t, 40);
  const changed = tamper(t, directory, ({ segments }) => {
    const lines = segments[0]?.lines ?? [];
    lines[3] = (lines[3] ?? '').replace('"time":"2', '"time":"3');
  });
  await assert.rejects(prove(t, changed, {}), /this journal has 1 fault/);
  const beside = await prove(t, directory, { text: 'E7' }, { key: [] });
  assert.equal(beside.complaints, `dovegate: 2 records with proof, signed by ${signKey.key}\n`);
  rmSync(join(directory, 'key.pub'));
  const { complaints } = await prove(t, directory, { text: 'E7' }, { key: [] });
  assert.match(complaints, /no --key was given/);
});

// The first line that is printed comes after the check and the search: what is replaced then is copied into the proof.
void test('a file that is replaced after the check is an error', async (t) => {
  const directory = await writeJournal(t, 40);
  const name = join(directory, '00000001.jsonl');
  const screen = keepScreen();
  const print = (text: string): Promise<void> => {
    if (screen.lines().length === 0)
      writeFileSync(name, readFileSync(name, 'utf8').replace(/"seq":2,/, '"seq":2, '));
    return screen.print(text);
  };
  const flags = { key: [keyFile(t)] };
  const made = auditProof({ ...screen, print }, placesAt(directory), { text: 'E30' }, flags);
  await assert.rejects(made, { code: 'unreadable', message: /is not what it was when it was checked/ });
});
