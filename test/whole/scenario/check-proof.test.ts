// Goal: the independent checker says what is wrong with what it was given, and never calls a proof false because a key cannot be read.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  createExtractChecker,
  createExtractDigest,
  formatExtract,
} from '../../../src/evidence/views/extract.js';
import { formatExtractHead } from '../../../src/gate/door/extract-head.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger, sealLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { readPage } from '../cli/docs-page.js';

/** Runs a checker for many arguments in one process: to start Python takes longer than a check does. */
const manyChecks = `
import contextlib, io, json, runpy, sys
results = []
for words in json.load(sys.stdin):
    sys.argv, exit, out, err = words, 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try: runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            exit = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str): print(end.code, file=err)
    results.append({"exit": exit, "stdout": out.getvalue(), "stderr": err.getvalue()})
print(json.dumps(results))
`;

interface Checked {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** For each of these argument lists; the last one in a process of its own as well, as an auditor runs it, with the same result. */
async function runChecks(cwd: string, cases: readonly (readonly string[])[]): Promise<readonly Checked[]> {
  const many = await runProgram('python3', ['-c', manyChecks], { cwd, stdin: JSON.stringify(cases) });
  assert.equal(many.exit, 0, many.text);
  const checked: readonly Checked[] = JSON.parse(many.stdout.toString());
  assert.equal(checked.length, cases.length);
  const { exit, stdout, stderr } = await runProgram('python3', cases.at(-1) ?? [], { cwd });
  assert.deepEqual({ exit, stdout: stdout.toString(), stderr }, checked.at(-1));
  return checked;
}

const missing = ['python3', 'openssl'].filter((name) => spawnSync(name, ['--help']).error !== undefined);

test('a key or a proof that cannot be read is not a false proof', {
  skip: missing.length > 0 && `there is no ${missing.join(', no ')}`,
}, async (t) => {
  const cwd = openFolder(t);
  const write = (name: string, text: string | Buffer): void => writeFileSync(`${cwd}/${name}`, text);
  write('check-proof.py', readPage('examples/check-proof.py'));
  write('proof.txt', 'x\n');
  write('text.pub', 'no key\n');
  write('key.pub', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
  const cases: readonly (readonly [args: readonly string[], exit: number, says: RegExp])[] = [
    [[], 2, /^usage: python3 check-proof\.py PROOF KEY\n$/],
    [['proof.txt'], 2, /^usage: /],
    [['proof.txt', 'gone.pub'], 2, /^the key cannot be read: gone\.pub\n$/],
    [['proof.txt', 'text.pub'], 2, /^the key cannot be read: text\.pub\n$/],
    [['gone.txt', 'key.pub'], 2, /^the proof cannot be read: gone\.txt\n$/],
    [['.', 'key.pub'], 2, /^the proof cannot be read: \.\n$/],
    [['proof.txt', 'key.pub'], 1, /^NOT PROVED: line 1: /],
  ];
  const checked = await runChecks(
    cwd,
    cases.map(([args]) => ['check-proof.py', ...args]),
  );
  for (const [at, [, exit, says]] of cases.entries()) {
    assert.equal(checked[at]?.exit, exit, checked[at]?.stderr);
    assert.match(checked[at]?.stderr ?? '', says);
  }
});

/** A proof of one run: an admission, and the checkpoint behind it. */
function prove(secretPem: string, journal: string, after = 0): readonly string[] {
  const ledger = new Ledger('p', secretPem, journal);
  const admission = encodeBody({ time: 0, event: 'admission', session: 'S', id: 'A' });
  for (let seq = 1; seq <= after; seq += 1) ledger.seal(admission);
  const record = ledger.seal(admission);
  return [`* ${record}`, `= ${ledger.sealSigned(ledger.checkpoint(0))}`];
}

test('a signed line counts only as it was written, and a proof is of one journal', {
  skip: missing.length > 0 && `there is no ${missing.join(', no ')}`,
}, async (t) => {
  const cwd = openFolder(t);
  const { secretPem, publicPem } = makeSignKey();
  const write = (name: string, text: string | Buffer): void => writeFileSync(`${cwd}/${name}`, text);
  write('check-proof.py', readPage('examples/check-proof.py'));
  write('key.pub', publicPem);
  const [record = '', signed = ''] = prove(secretPem, 'ab'.repeat(16));
  const [, body = '', prev = ''] = /^= \{"seq":2,(.*),"prev":"(\w{64})"/.exec(signed) ?? [];
  // With the right hash.
  const changed = (how: (text: string) => string): string[] => [
    record,
    `= ${sealLine(2, how(body), prev).line}`,
  ];
  const [signature = ''] = /,"signature":"[^"]*"/.exec(body) ?? [];
  const cases: readonly (readonly [what: string, lines: readonly string[], says: RegExp])[] = [
    ['as it was written', [record, signed], /^proved: 1 records, 1 runs\n$/],
    ['moved', changed((text) => text.replace(signature, '').replace(/(?=,"key":)/, signature)), /not right/],
    ['without its padding', changed((text) => text.replace(/==(?="$)/, '')), /not right/],
    [
      'with other bits behind its bytes',
      changed((text) => text.replace(/.(?===")/, (last) => String.fromCharCode(last.charCodeAt(0) + 1))),
      /not right/,
    ],
    ['two journals', [record, signed, ...prove(secretPem, 'cd'.repeat(16), 2)], /several journals/],
    ['no record', [], /there is no record/],
  ];
  for (const [at, [, lines]] of cases.entries()) {
    const count = (mark: string): number => lines.filter((line) => line.startsWith(mark)).length;
    write(
      `proof${at}.txt`,
      `${lines.join('')}% ${count('*')} records, ${lines.length} lines, ${count('=')} runs\n`,
    );
  }
  const checked = await runChecks(
    cwd,
    cases.map((_, at) => ['check-proof.py', `proof${at}.txt`, 'key.pub']),
  );
  for (const [at, [what, , says]] of cases.entries()) {
    const { exit, stdout, stderr } = checked[at] ?? assert.fail(what);
    assert.equal(exit, what === 'as it was written' ? 0 : 1, `${what}: ${stdout}${stderr}`);
    assert.match(stdout + stderr, says, what);
  }
});

const signer = parseSignKey(makeSignKey().secretPem);

/** A part of an extract, as the page's process makes it. */
function partOf(
  users: readonly string[],
  fromSeq: number,
  more: { by?: string; key?: typeof signer } = {},
): string[] {
  const { by = 'frank', key: signing = signer } = more;
  const rows = users.map((user, at) => ({
    fields: { time: '2026-11-20T00:00:00.000Z', id: `X${fromSeq + at}`, user },
    admittedSeq: fromSeq + at,
    completedSeq: undefined,
    completedTime: undefined,
  }));
  const digest = createExtractDigest();
  for (const row of rows) digest.take(row);
  const range = { fromSeq, toSeq: fromSeq + 9, isDamaged: false };
  const question = { by, users: ['*@example.com'], filter: ['user=alice@example.com'] };
  const head = formatExtractHead({
    ...range,
    ...question,
    timeMs: 0,
    rows: rows.length,
    key: signing.key,
    sha256: digest.finish(),
  });
  return formatExtract({ head, signature: signing.sign(head) }, rows) ?? [];
}

test('an extract: both checkers take what was signed, whole, for one question and by this key, and nothing else', {
  skip: missing.length > 0 && `there is no ${missing.join(', no ')}`,
}, async (t) => {
  const cwd = openFolder(t);
  writeFileSync(`${cwd}/check-extract.py`, readPage('examples/check-extract.py'));
  writeFileSync(`${cwd}/key.pub`, signer.publicPem);
  const one = partOf(['alice@example.com', 'b@example.com'], 1);
  const two = partOf(['alice@example.com'], 11);
  const without = (lines: readonly string[], mark: string): string[] =>
    lines.filter((line) => !line.startsWith(mark));
  const [signature = ''] = one.slice(-1);
  const other = signature.replace(/.(?===$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
  const cases: readonly (readonly [what: string, lines: readonly string[], isProved: boolean])[] = [
    ['one part', one, true],
    ['two parts', [...one, ...two], true],
    ['no rows', partOf([], 1), true],
    ['nothing', [], false],
    ['only notes', one.filter((line) => line.startsWith('#')), false],
    ['a row less', one.toSpliced(one.length - 2, 1), false],
    ['a row more', [...one.slice(0, -1), one.at(-2) ?? '', signature], false],
    ['a changed row', one.map((line) => line.replace('b@example.com', 'c@example.com')), false],
    ['another asker', one.map((line) => line.replace('frank', 'erika')), false],
    ['no signature', without(one, '!'), false],
    ['other bits behind the signature', [...one.slice(0, -1), other], false],
    ['no head', without(one, '@'), false],
    ['another key', partOf(['alice@example.com'], 1, { key: parseSignKey(makeSignKey().secretPem) }), false],
    ['another question behind it', [...one, ...partOf(['alice@example.com'], 11, { by: 'erika' })], false],
    ['a second part without its signature', [...one, ...without(two, '!')], false],
    ['a line of a proof', [...one, '= {"seq":2}'], false],
    ['a row behind the signature', [...one, one.at(-2) ?? ''], false],
  ];
  for (const [at, [what, lines, isProved]] of cases.entries()) {
    const checker = createExtractChecker([signer.key]);
    for (const line of lines) checker.take(Buffer.from(line), true);
    assert.equal(checker.finish().fault === undefined, isProved, what);
    writeFileSync(`${cwd}/extract${at}.txt`, lines.map((line) => `${line}\n`).join(''));
  }
  const checked = await runChecks(
    cwd,
    cases.map((_, at) => ['check-extract.py', `extract${at}.txt`, 'key.pub']),
  );
  for (const [at, [what, , isProved]] of cases.entries())
    assert.equal(checked[at]?.exit, isProved ? 0 : 1, `${what}: ${checked[at]?.stderr}`);
  const gap = createExtractChecker([signer.key]);
  for (const line of [...one, ...partOf([], 40)]) gap.take(Buffer.from(line), true);
  const { parts, rows, gaps, fromSeq, toSeq } = gap.finish();
  assert.deepEqual(
    { parts, rows, gaps, fromSeq, toSeq },
    { parts: 2, rows: 2, gaps: 1, fromSeq: 1, toSeq: 49 },
  );
});
