// What a syslog receiver stored, as the program reads it: heads before the records, other people's lines between them, the same
// records twice after a reconnect, files cut anywhere.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { runProgram } from '../../kit/plain/program.js';
import { journalLines, seqOf, writeJournal } from './shown.js';
import { keyFile, report } from './verifying.js';

/** All lines of a journal. */
const written = async (t: TestContext): Promise<string[]> => [
  ...journalLines(await writeJournal(t)).values(),
];

function syslog(line: string): string {
  // The main keys stand in structured data, quotes escaped.
  const data = `[dovegate@32473 seq="${seqOf(line)}" user="{\\"seq\\":1,\\"x\\"@example.com"]`;
  return `<110>1 2026-11-20T08:22:34.123Z gate1 dovegate 812 admission ${data} \ufeff${line}`;
}

const stranger = '<30>1 2026-11-20T08:22:34Z gate1 cron 1 - - {"seq of nothing"}';

function store(t: TestContext, lines: readonly string[], name = 'received.log'): string {
  const file = join(temporaryDirectory(t), name);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

void test('copies and lines of others are left out, whatever head the receiver wrote', async (t) => {
  const lines = await written(t);
  const keys = [keyFile(t)];
  const again = [...lines.slice(0, 40), ...lines.slice(25, 60), ...lines.slice(50)];
  for (const head of [
    syslog,
    (line: string) => `Nov 20 08:22:34 gate1 dovegate[812]: ${line}`,
    (line: string) => line,
  ]) {
    const file = store(
      t,
      again.flatMap((line, at) => (at % 7 === 0 ? [stranger, head(line)] : [head(line)])),
    );
    const told = await report([file], { key: keys, received: true });
    assert.deepEqual(told.faults, []);
    assert.deepEqual(
      [told.passed, told['records'], told['copies'], told['last_seq']],
      [true, lines.length, 25, lines.length],
    );
    assert.equal(told['others'], Math.ceil(again.length / 7));
  }
});

void test('a file of a receiver is not passed as a journal: copies and strangers are faults there', async (t) => {
  const lines = await written(t);
  const keys = [keyFile(t)];
  const [before, after] = [lines.slice(0, 10), lines.slice(10)];
  for (const [what, stored, fault] of [
    ['heads are no fault', lines.map(syslog), undefined],
    ['a copy', [...before, ...lines.slice(9)].map(syslog), 'duplicated 11'],
    ['a stranger', [...before, stranger, ...after], 'malformed 11'],
    ['only a head of syslog is one', lines.map((line) => `x ${line}`), 'malformed 1'],
  ] as const) {
    const { passed, faults } = await report([store(t, stored)], { key: keys });
    const [first] = faults.map(({ kind, line }) => `${kind} ${line}`);
    assert.deepEqual([passed, first], [fault === undefined, fault], what);
  }
});

const damages: Readonly<Record<string, (lines: string[]) => readonly [kind: string, line: number]>> = {
  'a gap': (lines) => {
    lines.splice(45, 3);
    return ['missing', 46];
  },
  'a changed record': (lines) => {
    lines[45] = (lines[45] ?? '').replace('"event"', '"evens"');
    return ['changed', 46];
  },
  'a changed copy': (lines) => {
    lines.splice(46, 0, (lines[45] ?? '').replace('"event"', '"evens"'));
    return ['changed', 47];
  },
  'another record in the place of a copy': (lines) => {
    lines.splice(46, 0, (lines[45] ?? '').replace(/"hash":"./, '"hash":"x'));
    return ['changed', 47];
  },
  'a record made unreadable': (lines) => {
    lines[45] = (lines[45] ?? '').replace('{"seq":', '{"SEQ":');
    return ['missing', 47];
  },
};

for (const [name, damage] of Object.entries(damages)) {
  void test(`found in what a receiver stored: ${name}`, async (t) => {
    const lines = (await written(t)).map(syslog);
    const [kind, line] = damage(lines);
    const file = store(t, [stranger, ...lines]);
    const { passed, faults } = await report([file], { key: [keyFile(t)], received: true });
    assert.equal(passed, false);
    assert.deepEqual([faults[0]?.kind, faults[0]?.file, faults[0]?.line], [kind, file, line + 1]);
  });
}

void test('standard input, through the built program', async (t) => {
  const lines = (await written(t)).map(syslog);
  const key = keyFile(t);
  const run = (args: readonly string[], stdin: string) =>
    runProgram(process.execPath, [builtProgram, 'audit', 'verify', ...args], { stdin });
  const good = await run(['-', '--received', '--key', key], `${[...lines, lines.at(-1)].join('\n')}\n`);
  assert.equal(good.exit, 0, good.text);
  assert.match(
    good.text,
    /^standard input: \d+ records.*\n {2}from \S+ to \S+\n {2}1 repeated record and 0 lines of other programs skipped\n/,
  );
  const cut = await run(['-', '--key', key], lines.join('\n').slice(0, -20));
  assert.equal(cut.exit, 0, 'a record that is on its way is no fault');
  assert.match(cut.text, /the last line has no end[^]*signed up to seq \d+/);
  const nothing = await run(['-', '--unsigned'], '');
  assert.equal(nothing.exit, 1);
  assert.match(nothing.text, /seq 1: missing: there is no record/);
});
