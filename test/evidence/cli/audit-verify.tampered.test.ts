// Tampering with a real journal is found, and named by file, line, seq and kind; and what cannot be found, and how it can. The table of
// every kind of tampering is test/evidence/trail/verify.test.ts.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandFault } from '../../../src/host/output/output.js';
import { openFor } from '../../journal/files/opening.js';
import { segmentFiles, temporaryDirectory } from '../../journal/files/reading.js';
import { type PaperTrail, rehash } from '../trail/paper-trail.js';
import { seqOf, tamper, writeJournal } from './shown.js';
import { keyFile, report, run } from './verifying.js';

/** A fault as it must be told. */
interface Expected {
  readonly kind: string;
  readonly file: string;
  readonly line: number;
  readonly seq: number;
}

function linesOf(trail: PaperTrail, segment: number): string[] {
  return trail.segments[segment]?.lines ?? [];
}

/** Place of a line as it lies there. */
function placeOf(trail: PaperTrail, segment: number, line: number): Omit<Expected, 'kind'> {
  const { name, lines } = trail.segments[segment] ?? { name: '', lines: [] };
  return { file: name, line: line + 1, seq: seqOf(lines[line]) };
}

/** Each changes the trail and says what must be told first. */
const tampering: Readonly<Record<string, (trail: PaperTrail) => Expected>> = {
  'a flipped byte': (trail) => {
    const lines = linesOf(trail, 1);
    const at = lines.findIndex((line, index) => index > 2 && line.includes('alice@'));
    lines[at] = (lines[at] ?? '').replace('alice@', 'blice@');
    return { kind: 'changed', ...placeOf(trail, 1, at) };
  },
  'the first segment removed': (trail) => {
    const lines = linesOf(trail, 0);
    const seq = seqOf(lines.at(-1));
    trail.segments.shift();
    return { kind: 'segment-missing', file: '00000001.jsonl', line: 0, seq };
  },
  'the end rewritten with a right chain but no key': (trail) => {
    const lines = linesOf(trail, 2);
    const at = lines.findIndex((line, index) => index > 1 && line.includes('alice@'));
    lines[at] = (lines[at] ?? '').replace('alice@', 'blice@');
    rehash(trail, 2, at);
    // The record itself is right by the chain: the first checkpoint behind it cannot be.
    const found = lines.findIndex((line, index) => index > at && line.includes('"event":"checkpoint"'));
    const segment = found < 0 ? 3 : 2;
    return { kind: 'bad-signature', ...placeOf(trail, segment, found < 0 ? 0 : found) };
  },
};

for (const [name, change] of Object.entries(tampering)) {
  void test(`found and named: ${name}`, async (t) => {
    const keys = [keyFile(t)];
    let expected: Expected | undefined;
    const directory = tamper(t, await writeJournal(t), (trail) => {
      assert.ok(trail.segments.length > 4);
      expected = change(trail);
    });
    const { passed, faults } = await report([directory], { key: keys });
    assert.equal(passed, false);
    const [first] = faults;
    const { file = '', line, seq, kind } = first ?? {};
    const told = { kind, file: file.replace(`${directory}/`, ''), line, seq };
    assert.deepEqual(told, expected);
    // The same, for people: the line that they would jump to.
    const { code, screen } = await run([directory], { key: keys });
    assert.equal(code, 1);
    const where = line === 0 ? '' : `:${line}`;
    assert.ok(screen.lines()[1]?.startsWith(`  ${file}${where}: seq ${seq}: ${kind}: `), screen.lines()[1]);
  });
}

void test('found and named: the clock set back', async (t) => {
  const directory = await writeJournal(t, 30, (record, count) => {
    return count === 20 && record.event === 'admission'
      ? { ...record, time: record.time - 3_600_000 }
      : record;
  });
  const { faults } = await report([directory], { key: [keyFile(t)] });
  assert.equal(faults.length, 1);
  const [fault] = faults;
  assert.equal(fault?.kind, 'clock-back');
  const line = readFileSync(fault.file, 'utf8').split('\n')[fault.line - 1] ?? '';
  assert.equal(seqOf(line), fault.seq);
  assert.match(line, /"event":"admission".*"id":"E20"/);
});

void test('found and named: a tail cut together with its checkpoint, at the next start', async (t) => {
  const directory = tamper(t, await writeJournal(t, 10), ({ segments }) => {
    const lines = segments.at(-1)?.lines ?? [];
    lines.splice(0, lines.length, ...lines.slice(0, 1));
  });
  rmSync(join(directory, 'checkpoint.json'));
  const last = segmentFiles(directory).at(-1) ?? '';
  const { journal } = await openFor(t, directory);
  assert.equal(journal.found.damage, 'unvouched');
  await journal.close();
  const { passed, faults } = await report([directory], { key: [], unsigned: true });
  const lines = readFileSync(join(directory, last), 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"event":"start"'));
  const [fault] = faults;
  assert.deepEqual(
    [passed, fault?.kind, fault?.file, fault?.line, fault?.seq],
    [false, 'cut', join(directory, last), at + 1, seqOf(lines[at])],
  );
});

void test('a tail cut together with its checkpoint is found by a checkpoint kept elsewhere, and only by that', async (t) => {
  const keys = [keyFile(t)];
  const directory = await writeJournal(t, 10);
  const elsewhere = join(temporaryDirectory(t), 'log');
  const text = readFileSync(join(directory, 'checkpoint.json'), 'utf8').trimEnd();
  const log = { level: 'info', event: 'audit-checkpoint', text };
  writeFileSync(elsewhere, `{"event":"started"}\n${JSON.stringify(log)}\n{"event":"stopped"}\n`);
  let last = 0;
  const cut = tamper(t, directory, ({ segments }) => {
    const lines = segments.at(-1)?.lines ?? [];
    lines.splice(0, lines.length, ...lines.slice(0, 1));
    last = seqOf(lines[0]);
  });
  // The intruder puts the checkpoint of the cut place beside the segments: it is signed, so here is nothing to see.
  const name = readFileSync(join(cut, '00000002.jsonl'), 'utf8').split('\n')[0] ?? '';
  writeFileSync(join(cut, 'checkpoint.json'), `${name}\n`);
  assert.equal((await report([cut], { key: keys })).passed, true);
  const told = await report([cut], { key: keys, checkpoint: elsewhere });
  assert.deepEqual([told.passed, told.faults[0]?.kind, told.faults[0]?.seq], [false, 'cut', last + 1]);
  assert.equal((await report([directory], { key: keys, checkpoint: elsewhere })).passed, true);
  writeFileSync(elsewhere, 'nothing\n');
  await assert.rejects(run([directory], { key: keys, checkpoint: elsewhere }), CommandFault);
});
