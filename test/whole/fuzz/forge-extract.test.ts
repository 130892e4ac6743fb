// Extracts that the daemon signed, for questions of the attacker's choice, are changed by somebody without the key. While a stranger proves
// a file by the commands of docs/auditor-access.md, its rows are those that were signed for its question; so is what dovegate itself takes
// over.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatJsonRow } from '../../../src/evidence/trail/export.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { createExtractDigest, extractNotes } from '../../../src/evidence/views/extract.js';
import { formatExtractHead } from '../../../src/gate/door/extract-head.js';
import { parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { signKey } from '../../journal/files/forged-run.js';
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import { readPage } from '../cli/docs-page.js';
import { editLines, pickEdits, play, type Round, strange } from './forge-kit.js';

const missing = ['openssl', 'sha256sum'].filter((name) => spawnSync(name, ['--help']).error !== undefined);
/** As they stand on the page. */
const commands = [...readPage('docs/auditor-access.md').matchAll(/^\$ (.*)$/gm)]
  .map(([, command = '']) => command)
  .slice(-5);
const [daemon, attacker] = [signKey, strange].map(({ secretPem }) => parseSignKey(secretPem));

interface Extract {
  readonly head: string;
  readonly signature: string;
  readonly rows: readonly string[];
}

function sha256(rows: readonly string[]): string {
  return createHash('sha256')
    .update(rows.map((row) => `${row}\n`).join(''))
    .digest('hex');
}

function makeRows(random: Random, name = 'alice'): ExchangeRow[] {
  return Array.from({ length: randomInteger(random, 0, 6) }, (_, at) => ({
    fields: { time: '2026-11-20T00:00:00.000Z', id: `X${randomInteger(random, 1, 9999)}`, user: name },
    admittedSeq: at * 2 + 1,
    completedSeq: at * 2 + 2,
    completedTime: '2026-11-20T00:00:01.000Z',
  }));
}

function signed(rows: readonly ExchangeRow[], filter: readonly string[], by = daemon): Extract {
  const digest = createExtractDigest();
  for (const row of rows) digest.take(row);
  const facts = { fromSeq: 1, toSeq: 99, isDamaged: false, sha256: digest.finish() };
  const title = { timeMs: 0, by: 'frank', users: ['*@example.com'], filter, rows: rows.length };
  const head = formatExtractHead({ ...facts, ...title, key: by?.key ?? '' });
  return { head, signature: by?.sign(head) ?? '', rows: rows.map((row) => formatJsonRow(row)) };
}

const linesOf = ({ head, rows, signature }: Extract): string[] => [
  ...extractNotes,
  `@ ${head}`,
  ...rows.map((row) => `* ${row}`),
  `! ${signature}`,
];
const marked = (lines: readonly string[], mark: string): string[] =>
  lines.filter((line) => line.startsWith(`${mark} `)).map((line) => line.slice(2));

interface Scene {
  readonly random: Random;
  readonly lines: readonly string[];
  /** Of another question. */
  readonly other: Extract;
  /** Asks the daemon, as whoever may use the page can. */
  readonly ask: (filter: readonly string[]) => Extract;
}

const forged = '{"id":"FORGED","user":"alice"}';
const replace = (lines: readonly string[], mark: string, text: string): string[] =>
  lines.map((line) => (line.startsWith(`${mark} `) ? `${mark} ${text}` : line));

const edits: Readonly<Record<string, (scene: Scene) => readonly string[]>> = {
  'row added': ({ random, lines }) =>
    lines.toSpliced(randomInteger(random, 0, lines.length), 0, `* ${forged}`),
  'row removed': ({ random, lines }) => {
    const rows = lines.flatMap((line, at) => (line.startsWith('* ') ? [at] : []));
    return rows.length === 0 ? lines : lines.toSpliced(pick(random, rows), 1);
  },
  'row as a line for people': ({ lines }) => lines.map((line) => line.replace(/^\* /, '# ')),
  'rows of another question': ({ lines, other }) => [
    ...lines.filter((line) => !line.startsWith('* ')),
    ...other.rows.map((row) => `* ${row}`),
  ],
  'head of another question': ({ lines, other }) => replace(lines, '@', other.head),
  'signature of another question': ({ lines, other }) => replace(lines, '!', other.signature),
  'another question behind it': ({ lines, other }) => [...lines, ...linesOf(other)],
  'second head': ({ lines, other }) => [`@ ${other.head}`, ...lines],
  'rows and their digest in the head': ({ lines }) =>
    lines
      .map((line) => line.replace(/"sha256":"[^"]*"/, `"sha256":"${sha256([forged])}"`))
      .filter((line) => !line.startsWith('* '))
      .concat(`* ${forged}`),
  'digest of forged rows asked for': ({ random, ask }) => {
    const digest = sha256([forged]);
    const { head, signature } = ask([
      `user=${pick(random, [digest, `"sha256":"${digest}"`, `\\","sha256":"${digest}"`])}`,
    ]);
    return [`@ ${head}`, `* ${forged}`, `! ${signature}`];
  },
  'signed by another key': ({ lines }) => {
    const [head = ''] = marked(lines, '@');
    const changed = head.replace(/"sha256":"[^"]*"/, `"sha256":"${sha256([forged])}"`);
    return [`@ ${changed}`, `* ${forged}`, `! ${attacker?.sign(changed) ?? ''}`];
  },
};
/** Half of the edits are of lines. */
const names = Object.keys(edits).flatMap((name) => [name, 'lines']);

/** By the commands of the page. */
function isProved(folder: string, lines: readonly string[]): boolean {
  writeFileSync(join(folder, 'extract.txt'), lines.map((line) => `${line}\n`).join(''));
  writeFileSync(join(folder, 'key.pub'), signKey.publicPem);
  const { stdout, status } = spawnSync('sh', ['-c', commands.join('\n')], { cwd: folder, encoding: 'utf8' });
  return stdout.includes('the rows are those that were signed') && status === 0;
}

function attack({ random, folder, edits: done }: Round): string {
  const known: Extract[] = [];
  const ask = (filter: readonly string[]): Extract => {
    const made = signed(makeRows(random), filter);
    known.push(made);
    return made;
  };
  const [first, other] = [ask(['user=alice']), ask(['user=bob'])];
  let lines: readonly string[] = linesOf(first);
  for (const name of pickEdits(random, names)) {
    if (name === 'lines') lines = editLines(random, lines, (edit) => void done.push(edit));
    else {
      done.push(name);
      lines = edits[name]?.({ random, lines, other, ask }) ?? [];
    }
  }
  if (!isProved(folder, lines)) return 'found';
  // As the commands read it: a line may have got an end of its own in it.
  const read = lines.flatMap((line) => line.split('\n'));
  const rows = marked(read, '*').join('\n');
  const [head, ...more] = marked(read, '@');
  const isTrue = known.some((one) => one.head === head && one.rows.join('\n') === rows);
  assert.ok(isTrue && more.length === 0, `the commands of the page prove ${lines.join('\n')}`);
  return 'passed, rightly';
}

void test(
  'no extract is proved but for the rows of its question',
  {
    skip: missing.length > 0 && `there is no ${missing.join(', no ')}`,
  },
  (t) => play(t, 'extract', 40, attack),
);
