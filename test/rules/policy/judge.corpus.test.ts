// Goal: every trick of the corpus beside this file is refused, or is sent as what it means. From bytes to bytes: the line is cut,
// read, judged and written as the daemon does it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { type CommandLine, parseCommandLine } from '../../../src/doveadm/protocol/command.js';
import { LineSplitter } from '../../../src/doveadm/protocol/lines.js';
import { serverOf } from '../../../src/doveadm/protocol/releases.js';
import { outgoingCommand } from '../../../src/gate/command/backend-attempt.js';
import { WireFault } from '../../../src/host/ports/faults.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { projectRoot } from '../../kit/plain/root.js';

const text = readFileSync(new URL('test/rules/policy/parsing.corpus', projectRoot), 'utf8');
const [head = '', table = ''] = text.split(/^-{5,}$/m);

const parsed = parseSettings('corpus.yaml', { readText: () => head, glob: () => [] });
const settings = parsed.settings ?? assert.fail(JSON.stringify(parsed.problems));
const policy = settings.policies.get('desk') ?? assert.fail();
const userNames = createUserNames(settings.mailUsers);
/** 2026-11-20T12:00:00Z */
const nowMs = 1_795_176_000_000;
const long = 'x'.repeat(40_000);

interface Trick {
  readonly section: string;
  readonly trick: string;
  readonly series: Series;
  readonly minor: number;
  readonly line: string;
  readonly becomes: string;
}

const tricks: readonly Trick[] = readTricks();

function readTricks(): Trick[] {
  let section = '';
  return table.split('\n').flatMap((row): Trick[] => {
    if (row.startsWith('# ')) section = row.slice(2);
    if (row === '' || row.startsWith('#')) return [];
    const [trick = '', which = '', line = '', becomes = ''] = row.split(/ ?\| ?/);
    const [name = '', minor = '4'] = which.split('/');
    const all = allSeries.filter((each) => name === 'both' || name === each);
    assert.ok(becomes !== '' && all.length > 0, row);
    return all.map((series) => ({ section, trick, series, minor: Number(minor), line, becomes }));
  });
}

/** The bytes that a row shows. */
function bytesOf(shown: string): Buffer {
  const parts = shown
    .replaceAll('→', '\t')
    .replaceAll('…', long)
    .split(/\\x([0-9a-f]{2})/);
  return Buffer.concat(
    parts.map((part, at) => (at % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex'))),
  );
}

/** The line as the daemon reads it; undefined: the session ends. */
function readLine(bytes: Buffer): CommandLine | undefined {
  const splitter = new LineSplitter({ lineBytesMax: settings.limits.lineBytesMax });
  splitter.push(Buffer.concat([bytes, Buffer.from('\n')]));
  try {
    const read = parseCommandLine(splitter.next() ?? assert.fail());
    assert.equal(read.kind, 'command');
    return read.kind === 'command' ? read.command : undefined;
  } catch (error) {
    if (error instanceof WireFault) return undefined;
    throw error;
  }
}

/** What becomes of it, in the words of the table; what is sent as bytes. */
function outcome({ series, minor, line }: Trick): string | Buffer {
  const command = readLine(bytesOf(line));
  if (command === undefined) return 'closed';
  const { sharedNamespaces } = settings.backends[0] ?? assert.fail();
  const context = judgeContext(policy, { clientMinor: minor, userNames, sharedNamespaces, nowMs });
  const judgement = judge(command, [series], context);
  const then = { none: '', dot: ' then skipped', unknown: ' then closed' }[judgement.input];
  if (judgement.kind === 'unparsable') return `refused ${judgement.code}${then}`;
  if (judgement.decision.kind === 'deny') return `denied ${judgement.decision.code}${then}`;
  const sent = outgoingCommand(
    { ...judgement, wantsUsernameCell: false },
    command,
    policy.debug,
    serverOf(4),
  );
  return sent.line;
}

for (const each of tricks) {
  void test(`${each.section}: ${each.trick} (${each.series}): ${each.becomes}`, () => {
    const became = outcome(each);
    if (typeof became === 'string') assert.equal(became, each.becomes);
    else {
      assert.match(each.becomes, /^sent /, became.toString());
      const wanted = Buffer.concat([bytesOf(each.becomes.slice('sent '.length)), Buffer.from('\n')]);
      assert.equal(became.toString('latin1'), wanted.toString('latin1'));
    }
  });
}

void test('no trick has two names, and every section has some', () => {
  const names = tricks.map(({ section, trick, series }) => `${section} ${series} ${trick}`);
  assert.equal(new Set(names).size, names.length);
  const sections = new Set(tricks.map(({ section }) => section.slice(0, 1)));
  assert.deepEqual([...sections], ['1', '2', '3', '4', '5', '6', '7', '8']);
});

void test('nothing of the corpus is sent for the one who is excepted', () => {
  for (const each of tricks) {
    const became = outcome(each);
    if (typeof became === 'string') continue;
    const [, user] = became.toString().split('\t');
    assert.equal(user, 'bob@example.com', each.trick);
  }
});
