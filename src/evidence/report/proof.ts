// Proofs: records of a journal with all lines between each and the next signed checkpoint, so that somebody with nothing but the file and
// the public key can recompute the chain up to the signature, as `createProofChecker` does, and examples/check-proof.py by itself. Lines of
// the journal are given byte for byte. A changed byte breaks a hash, a line that was left out breaks `prev`, and the last line says how
// many there are, so a file that was cut does not pass.
//
//   # for people: proves nothing
//   * {"seq":17, ...}      a record that was asked for
//   - {"seq":18, ...}      a line between
//   = {"seq":20, ...}      a signed record: ends a run of lines. The next run begins anywhere later
//   % 1 records, 4 lines, 1 runs

import { hash } from 'node:crypto';
import {
  isSignedBy,
  type Link,
  readClaim,
  readLink,
  readNext,
  unsignedLine,
} from '../../journal/records/ledger.js';
import { readHead, readWord } from '../../journal/records/record.js';
import { publicKeyDer } from '../../rules/keys/sign-key.js';
import { createCountsInFile } from '../views/only-counted.js';

/** A set of record numbers, in 8 KiB for every 65,536 numbers with at least one member: there may be many. */
export type SeqSet = ReturnType<typeof createSeqSet>;

const pageBits = 65_536;

export function createSeqSet() {
  const pages = new Map<number, Uint8Array>();
  let size = 0;
  return {
    add(seq: number): void {
      const number = Math.floor(seq / pageBits);
      let page = pages.get(number);
      if (page === undefined) {
        page = new Uint8Array(pageBits / 8);
        pages.set(number, page);
      }
      const at = seq % pageBits;
      const bit = 1 << (at & 7);
      if (((page[at >> 3] ?? 0) & bit) !== 0) return;
      page[at >> 3] = (page[at >> 3] ?? 0) | bit;
      size += 1;
    },
    has(seq: number): boolean {
      const at = seq % pageBits;
      return ((pages.get(Math.floor(seq / pageBits))?.[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
    },
    get size(): number {
      return size;
    },
  };
}

export interface ProofRequest {
  readonly chosen: SeqSet;
  /** Public keys in base64 whose signatures end a run; none: any signature does. */
  readonly keys: readonly string[];
  /** The last record that such a key signed, by the verification: later ones cannot be proven. */
  readonly signedSeq: number;
  /** All lines between these two are included, in one run, so nothing can be missing. Undefined: only what the chosen records need. */
  readonly whole?: { readonly fromSeq: number; readonly toSeq: number } | undefined;
}

export function createProofWriter({ chosen, keys, signedSeq, whole }: ProofRequest) {
  let before: Link | undefined;
  let isRunning = false;
  let records = 0;
  let lines = 0;
  let runs = 0;
  let fault: { readonly seq: number; readonly text: string } | undefined;

  return {
    /** Takes the next line of the journal, without LF, in the order of the chain; returns the line for the file, or undefined. */
    take(line: Buffer): string | undefined {
      const claim = readClaim(line);
      if (claim === undefined || fault !== undefined) return undefined;
      const { seq } = claim;
      const isWhole = whole !== undefined && seq >= whole.fromSeq && seq <= whole.toSeq;
      const isChosen = chosen.has(seq);
      if (seq > signedSeq || (!isRunning && !isChosen && !isWhole)) return undefined;
      // Hashing costs most of the time, and most lines are in no run.
      const link = readNext(line, isRunning ? before?.hash : undefined);
      if (link === undefined || (isRunning && seq !== (before?.seq ?? 0) + 1)) {
        fault = { seq, text: 'the record does not follow the one before it' };
        return undefined;
      }
      if (!isRunning) runs += 1;
      const text = line.toString('utf8');
      const isEnd = !(whole !== undefined && seq < whole.toSeq) && whyNoSeal(text, keys) === undefined;
      isRunning = !isEnd;
      before = link;
      lines += 1;
      if (isChosen) records += 1;
      return `${isEnd ? '=' : isChosen ? '*' : '-'} ${text}`;
    },
    /** The last line of the file. Undefined: it is not a proof, see `fault`. */
    finish(): string | undefined {
      if (isRunning) fault ??= { seq: (before?.seq ?? 0) + 1, text: 'no signed checkpoint follows' };
      return fault === undefined ? `% ${records} records, ${lines} lines, ${runs} runs` : undefined;
    },
    /** The chain differs from the verified one: the file must not be used. */
    get fault() {
      return fault;
    },
    get records() {
      return records;
    },
  };
}

/** Why the line is not a record of the journal with a valid signature of one of the keys. Undefined: it is one. */
function whyNoSeal(text: string, keys: readonly string[]): string | undefined {
  const event = readHead(text)?.event;
  const key = readWord(text, 'key');
  const signed = unsignedLine(text);
  if ((event !== 'checkpoint' && event !== 'retire') || key === undefined || signed === undefined)
    return 'this record is not signed';
  if (keys.length > 0 && !keys.includes(key)) return 'this record is signed by another key';
  return isSignedBy(key, signed.text, signed.signature) ? undefined : 'the signature is not right';
}

/** SHA-256 over the DER of a public key (SubjectPublicKeyInfo), as `openssl pkey -pubin -outform DER | sha256sum` prints it. */
export function keyFingerprint(key: string): string {
  return hash('sha256', publicKeyDer(key), 'hex');
}

export interface ProofTitle {
  readonly journal: string | undefined;
  readonly keys: readonly string[];
  readonly question: string;
  readonly isWhole: boolean;
}

/** The lines for people at its beginning; texts are harmless for a terminal. */
export function formatProofTitle({ journal, keys, question, isWhole }: ProofTitle): string[] {
  const lines = [
    'dovegate audit proof 1',
    `journal ${journal ?? '-'}`,
    `records asked for: ${question}`,
    ...keys.map((key) => `signed by ${key}, SHA-256 of its DER ${keyFingerprint(key)}`),
    '',
    'Lines with * are the records, - lines between, = signed records. After these two characters a line is the journal, unchanged.',
    'hash is SHA-256 over the line without ,"hash":"..."; prev is the hash of the line before; a run ends in a signed line.',
    'A signature (Ed25519) is over the line without ,"signature":"..." and ,"hash":"...".',
    'Check it with: dovegate audit check-proof FILE --key KEY; or with examples/check-proof.py of dovegate, python3 and openssl.',
    'KEY is the public key, from another place than this file.',
    isWhole
      ? 'It proves that these records stand in the journal, and that nothing is missing between the first line and the last.'
      : 'It proves that these records stand in the journal. It does not prove that there are no others: see --whole.',
    'A record "limit" is for so many refusals, or commands that were not sent, without records: a flood limit only counted them.',
    'Lines with # are not signed and prove nothing.',
  ];
  return lines.map((line) => `# ${line}`.trimEnd());
}

/** The kind of a file, by its first bytes; undefined: another one. */
export function proofKindOf(beginning: string): 'proof' | 'extract' | 'journal' | undefined {
  if (/^(?:# dovegate audit proof |[*=-] \{"seq":)/.test(beginning)) return 'proof';
  if (/^(?:# dovegate audit extract |@ \{"extract":)/.test(beginning)) return 'extract';
  return beginning.startsWith('{"seq":') ? 'journal' : undefined;
}

export type ProofVerdict = ReturnType<ReturnType<typeof createProofChecker>['finish']>;

/** `trusted`: public keys in base64; none: a signature of any key ends a run, which proves nothing by itself. */
export function createProofChecker(trusted: readonly string[]) {
  const count = { '* ': 0, '- ': 0, '= ': 0 };
  const keys = new Set<string>();
  let isMoreKeys = false;
  let number = 0;
  let end: string | undefined;
  let before: Link | undefined;
  let journal: string | undefined;
  let fromSeq: number | undefined;
  let toSeq: number | undefined;
  let fault: { readonly line: number; readonly text: string } | undefined;
  const counts = createCountsInFile();

  return {
    /** The next line of the file, without LF. `isWhole`: it ends in LF. The caller may reuse `line` afterwards. */
    take(line: Buffer, isWhole: boolean): void {
      number += 1;
      if (fault !== undefined) return;
      const text = whyNot(line, isWhole);
      if (text !== undefined) fault = { line: number, text };
    },
    finish() {
      const lines = count['* '] + count['- '] + count['= '];
      const total = `${count['* ']} records, ${lines} lines, ${count['= ']} runs`;
      if (fault === undefined && (before !== undefined || end !== total))
        fault = { line: number, text: 'the end of the file is missing, or counts other lines' };
      if (fault === undefined && lines === 0) fault = { line: number, text: 'there is no record in it' };
      return {
        /** Undefined: every line is right. */
        fault,
        /** Requested records; all lines; runs of lines, each with a signature at its end. */
        records: count['* '],
        lines,
        runs: count['= '],
        fromSeq,
        toSeq,
        journal,
        /** Counts among the requested records. */
        counted: counts.finish(),
        /** The signing keys. If no key was given: the first one, and whether there are others. */
        keys: [...keys],
        isMoreKeys,
      };
    },
  };

  /** Takes a line of the right form; otherwise returns its fault. */
  function whyNot(line: Buffer, isWhole: boolean): string | undefined {
    const mark = line.toString('latin1', 0, 2);
    if (!isWhole) return 'the line has no end, or is longer than any record';
    if (end !== undefined) return 'this stands after the end';
    if (mark.startsWith('#')) return undefined;
    if (mark === '% ') {
      end = line.toString('utf8', 2);
      return undefined;
    }
    if (mark !== '* ' && mark !== '- ' && mark !== '= ') return 'this is not a line of a proof';
    const record = line.subarray(2);
    const link = readLink(record);
    if (link === undefined) return 'this is not a line of a proof';
    const { seq, prev } = link;
    if (!link.isIntact) return `record ${seq} was changed: its text does not fit its hash`;
    if (before !== undefined && (seq !== before.seq + 1 || prev !== before.hash))
      return `record ${seq} does not continue the line before it: one is missing, or was changed`;
    if (seq <= (toSeq ?? 0)) return `record ${seq} comes a second time, or too late`;
    const why = mark === '= ' ? whyNotSigned(record.toString('utf8')) : undefined;
    if (why !== undefined) return why;
    count[mark] += 1;
    if (mark === '* ') counts.take(record);
    before = mark === '= ' ? undefined : link;
    fromSeq ??= seq;
    toSeq = seq;
    return undefined;
  }

  function whyNotSigned(text: string): string | undefined {
    const why = whyNoSeal(text, trusted);
    if (why !== undefined) return why;
    const key = readWord(text, 'key') ?? '';
    const of = readWord(text, 'journal');
    if (journal !== undefined && of !== undefined && of !== journal)
      return 'this record is of another journal';
    journal ??= of;
    if (trusted.length > 0 || keys.size === 0) keys.add(key);
    else if (!keys.has(key)) isMoreKeys = true;
    return undefined;
  }
}
