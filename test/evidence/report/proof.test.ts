// Goal: a proof passes a checker that knows nothing but the file and the public key, and no mutation of it does.

import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import { test } from 'node:test';
import {
  createProofChecker,
  createProofWriter,
  createSeqSet,
  formatProofTitle,
  keyFingerprint,
  type ProofVerdict,
  proofKindOf,
} from '../../../src/evidence/report/proof.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey, parsePublicKey } from '../../../src/rules/keys/sign-key.js';
import { key, makeTrail } from '../trail/paper-trail.js';

const lines = makeTrail().segments.flatMap((segment) => segment.lines);

function setOf(seqs: readonly number[]) {
  const set = createSeqSet();
  for (const seq of seqs) set.add(seq);
  return set;
}

function prove(
  seqs: readonly number[],
  more: Partial<Parameters<typeof createProofWriter>[0]> = {},
  given: readonly string[] = lines,
) {
  const writer = createProofWriter({ chosen: setOf(seqs), keys: [key.key], signedSeq: 30, ...more });
  const body = given.map((line) => writer.take(Buffer.from(line))).filter((line) => line !== undefined);
  const end = writer.finish();
  return { lines: end === undefined ? body : [...body, end], end, fault: writer.fault };
}

/** The stranger and dovegate's own checker agree. Undefined: proved. */
function check(file: readonly string[], pem: string): string | undefined {
  const why = checkAlone(file, pem);
  const { fault } = verdictOn(file, [parsePublicKey(pem) ?? '']);
  assert.equal(fault === undefined, why === undefined, `${why}, ${fault?.text}`);
  return why;
}

/** As a stranger would write it: from the words at the top of the file, without a line of this program. Undefined: proved. */
function checkAlone(file: readonly string[], pem: string): string | undefined {
  let before: { readonly seq: number; readonly hash: string } | undefined;
  let records = 0;
  let runs = 0;
  let isEnded = false;
  const body = file.filter((line) => !line.startsWith('#'));
  for (const [at, text] of body.entries()) {
    if (isEnded) return `line ${at}: after the end`;
    const [mark, line] = [text.slice(0, 2), text.slice(2)];
    if (mark === '% ') {
      if (before !== undefined || line !== `${records} records, ${at} lines, ${runs} runs`)
        return 'wrong count';
      isEnded = true;
      continue;
    }
    if (!['* ', '- ', '= '].includes(mark)) return `line ${at}: mark`;
    const parts = /^(\{"seq":(\d+),.*"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"\}$/.exec(line);
    if (parts === null) return `line ${at}: no record`;
    const [, open = '', seq = '', prev, hash = ''] = parts;
    if (createHash('sha256').update(`${open}}`).digest('hex') !== hash) return `line ${at}: hash`;
    if (before !== undefined && (before.hash !== prev || before.seq + 1 !== Number(seq)))
      return `line ${at}: prev`;
    before = { seq: Number(seq), hash };
    if (mark === '* ') records += 1;
    if (mark !== '= ') continue;
    const signed = /^(.*),"signature":"([^"]*)"(.*)$/.exec(`${open}}`);
    if (signed === null) return `line ${at}: unsigned`;
    const [, head = '', signature = '', rest = ''] = signed;
    const bytes = Buffer.from(signature, 'base64');
    if (!verifySignature(null, Buffer.from(head + rest), createPublicKey(pem), bytes))
      return `line ${at}: signature`;
    runs += 1;
    before = undefined;
  }
  return isEnded ? undefined : 'no end';
}

void test('one record: the lines from it to the next checkpoint, byte for byte', () => {
  const { lines: file } = prove([14]);
  const marks = file.map((line) => line.replace(/\{"seq":(\d+),.*|,.*/, '$1')).join(' ');
  assert.equal(marks, '* 14 - 15 - 16 - 17 - 18 - 19 = 20 % 1 records');
  const texts = file.slice(0, -1).map((line) => line.slice(2));
  assert.deepEqual(texts, lines.slice(13, 20));
  assert.equal(check(file, key.publicPem), undefined);
});

void test('records far apart are runs of their own; those near each other share one', () => {
  const { lines: file, end } = prove([3, 5, 25]);
  assert.equal(end, '% 3 records, 14 lines, 2 runs');
  assert.equal(check(file, key.publicPem), undefined);
});

void test('whole: every line of a time, in one run', () => {
  const { lines: file, end } = prove([14], { whole: { fromSeq: 2, toSeq: 25 } });
  assert.equal(end, '% 1 records, 29 lines, 1 runs');
  assert.equal(check(file, key.publicPem), undefined);
});

void test('nothing found: a proof of no records, which passes', () => {
  assert.deepEqual(prove([]).lines, ['% 0 records, 0 lines, 0 runs']);
});

void test('every byte counts: in records, lines between, and checkpoints', () => {
  const { lines: file } = prove([14, 25]);
  let tried = 0;
  for (const [at, line] of file.entries()) {
    for (let place = 0; place < line.length; place += 1) {
      // Whether a line was asked for is not part of the journal; the count at the end holds it.
      const byte = line.charCodeAt(place) ^ 1;
      const changed = `${line.slice(0, place)}${String.fromCharCode(byte)}${line.slice(place + 1)}`;
      const mutant = file.with(at, changed);
      // A signature in another spelling of the same bytes is caught by the hash of its line.
      assert.notEqual(check(mutant, key.publicPem), undefined, changed);
      tried += 1;
    }
  }
  assert.ok(tried > 2000);
});

void test('every line counts: left out, twice, swapped, cut off, added', () => {
  const { lines: file } = prove([14, 25]);
  const fails = (mutant: readonly string[], what: string): void =>
    assert.notEqual(check(mutant, key.publicPem), undefined, what);
  for (const [at, line] of file.entries()) {
    fails(file.toSpliced(at, 1), `without ${at}`);
    fails(file.toSpliced(at, 0, line), `${at} twice`);
    fails(file.slice(0, at), `cut at ${at}`);
    if (at > 0) fails(file.toSpliced(at - 1, 2, line, file[at - 1] ?? ''), `${at} before ${at - 1}`);
  }
  fails([...file, `- ${lines[0]}`], 'a line after the end');
});

void test('a stranger who trusts another key is not convinced', () => {
  assert.match(check(prove([14]).lines, makeSignKey().publicPem) ?? '', /signature/);
});

void test('what is not signed yet is not given, and a checkpoint of another key ends nothing', () => {
  assert.equal(prove([25], { signedSeq: 20 }).end, '% 0 records, 0 lines, 0 runs');
  const other = prove([25], { keys: [makeSignKey().key] });
  assert.deepEqual([other.end, other.fault?.text], [undefined, 'no signed checkpoint follows']);
});

void test('a chain that broke since it was verified gives no proof', () => {
  const brokenAt = (given: readonly string[]) => {
    const { end, fault } = prove([14], {}, given);
    return end ?? fault?.seq;
  };
  assert.equal(brokenAt(lines.toSpliced(15, 1)), 17, 'a line is gone');
  assert.equal(brokenAt(lines.with(15, (lines[15] ?? '').replace('alice', 'alicf'))), 16, 'one is changed');
});

void test('a set of numbers holds what was added, and each once', () => {
  const added = [1, 8, 65_535, 65_536, 3e12];
  const set = setOf([...added, 8]);
  assert.equal(set.size, 5);
  assert.deepEqual(
    [...added, 2, 9, 65_537].filter((seq) => set.has(seq)),
    added,
  );
});

void test('the title says what is in it, in comments only', () => {
  const title = formatProofTitle({ journal: 'ab', keys: [key.key], question: '--user x', isWhole: false });
  assert.ok(title.every((line) => line.startsWith('#') && !line.includes('\n')));
  assert.ok(title.some((line) => line.includes(keyFingerprint(key.key))));
  const der = createPublicKey(key.publicPem).export({ type: 'spki', format: 'der' });
  assert.equal(keyFingerprint(key.key), createHash('sha256').update(der).digest('hex'));
});

// What is no proof is named.
const proved = (...seqs: number[]): string[] => ['# for people', ...prove(seqs).lines];

function verdictOn(file: readonly string[], keys: readonly string[] = [key.key]): ProofVerdict {
  const checker = createProofChecker(keys);
  for (const line of file) checker.take(Buffer.from(line), true);
  return checker.finish();
}

void test('what is proved: numbers, range, journal and key', () => {
  const { journal, ...rest } = verdictOn(proved(3, 5, 25));
  const numbers = { records: 3, lines: 14, runs: 2, fromSeq: 3, toSeq: 30, counted: undefined };
  assert.deepEqual(rest, { fault: undefined, ...numbers, keys: [key.key], isMoreKeys: false });
  assert.ok(lines.some((line) => line.includes(`"journal":"${journal}"`)));
});

void test('another key, no key, and one of several keys', () => {
  const other = makeSignKey().key;
  assert.match(verdictOn(proved(14), [other]).fault?.text ?? '', /signed by another key/);
  assert.deepEqual(verdictOn(proved(14), [other, key.key]).keys, [key.key]);
  const unknown = verdictOn(proved(14), []);
  assert.deepEqual([unknown.fault, unknown.keys], [undefined, [key.key]]);
});

const proof = proved(14);
const end = proof.findIndex((line) => line.startsWith('= '));
/** The signed line as somebody without the key can write it again: its hash is right. */
function signedLine(how: (body: string) => string): readonly string[] {
  const [, seq, body = '', before = ''] =
    /^= \{"seq":(\d+),(.*),"prev":"(\w{64})"/.exec(proof[end] ?? '') ?? [];
  return proof.with(end, `= ${sealLine(Number(seq), how(body), before).line.trimEnd()}`);
}
const spelled = (how: (last: string) => string) =>
  signedLine((body) => body.replace(/.==(?="$)/, (last) => how(last)));
const markedAs = (mark: string, at: number) => proof.with(at, `${mark} ${(proof[at] ?? '').slice(2)}`);
const moved = signedLine((body) => body.replace(/(,"key":.*)(,"signature":.*)/, '$2$1'));
const nextBit = spelled(([last = '']) => `${String.fromCharCode(last.charCodeAt(0) + 1)}==`);
const otherCount = proof.with(proof.length - 1, '% 2 records, 7 lines, 1 runs');
const faults: readonly [string, readonly string[], number, RegExp][] = [
  ['the same signature at another place', moved, end + 1, /not signed/],
  ['the same signature without its padding', spelled(([last = '']) => last), end + 1, /not signed/],
  ['the same signature with other bits behind its bytes', nextBit, end + 1, /not signed/],
  ['changed', proof.with(2, (proof[2] ?? '').replace('alice', 'alicf')), 3, /does not fit its hash/],
  ['left out', proof.toSpliced(3, 1), 4, /does not continue the line before/],
  ['the end left out', proof.slice(0, -1), proof.length - 1, /the end of the file is missing/],
  ['another count', otherCount, proof.length, /the end of the file/],
  ['after the end', [...proof, '# more'], proof.length + 1, /after the end/],
  ['the signed line as another one', markedAs('-', end), 9, /the end/],
  ['a record as a signed one', markedAs('=', 2), 3, /not signed/],
  ['all of it twice', [...proof.slice(0, -1), ...proof.slice(1)], 9, /a second time/],
  ['no record', ['% 0 records, 0 lines, 0 runs'], 1, /no record in it/],
  ['nothing', [], 0, /the end of the file/],
];
for (const [name, file, line, text] of faults)
  void test(`not proved: ${name}`, () => {
    const { fault } = verdictOn(file);
    assert.match(fault?.text ?? '', text);
    assert.equal(fault?.line, line);
  });

void test('a line without an end is none', () => {
  const checker = createProofChecker([]);
  checker.take(Buffer.from('# x'), false);
  assert.match(checker.finish().fault?.text ?? '', /has no end/);
});

void test('files by their first bytes', () => {
  const title = '# dovegate audit';
  const texts = [
    `${title} proof 1`,
    proof[1],
    `${title} extract 1: rows`,
    lines[0],
    '<14>1 2026-11-20T08:00:00Z',
  ];
  const kinds = texts.map((text = '') => proofKindOf(text));
  assert.deepEqual(kinds, ['proof', 'proof', 'extract', 'journal', undefined]);
});
