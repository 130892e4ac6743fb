// Proofs: records of a journal with all lines between each and the next signed checkpoint, so that somebody with nothing but the file and
// the public key can recompute the chain up to the signature (check-proof.ts, and examples/check-proof.py, which knows nothing of us).
// The rule: lines of the journal are given byte for byte. A changed byte breaks a hash, a line that was left out breaks `prev`, and the
// last line says how many there are, so a file that was cut does not pass.
//
//   # for people: proves nothing
//   * {"seq":17, ...}      a record that was asked for
//   - {"seq":18, ...}      a line between
//   = {"seq":20, ...}      a signed record: ends a run of lines. The next run begins anywhere later
//   % 1 records, 4 lines, 1 runs

import { hash } from 'node:crypto';
import { isSignedBy, type Link, publicKeyDer, readClaim, readLink, unsignedLine } from '../audit/ledger.js';
import { readHead, readWord } from '../audit/record.js';

/** Numbers of records, in 8 KiB for every 65,536 numbers among which one was added: what is found may be many. */
export interface SeqSet {
  add(seq: number): void;
  has(seq: number): boolean;
  readonly size: number;
}

const pageBits = 65_536;

export function createSeqSet(): SeqSet {
  const pages = new Map<number, Uint8Array>();
  let size = 0;
  return {
    add(seq) {
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
    has(seq) {
      const at = seq % pageBits;
      return ((pages.get(Math.floor(seq / pageBits))?.[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
    },
    get size() {
      return size;
    },
  };
}

/** What is to be proved. */
export interface ProofRequest {
  readonly chosen: SeqSet;
  /** Public keys in base64 whose signatures end a run; none: any signature does. */
  readonly keys: readonly string[];
  /** The last record that such a key signed, as the verification said: nothing after it can be proved. */
  readonly signedSeq: number;
  /** Every line between these two is given, in one run: who reads it sees that nothing is missing. Undefined: only what the chosen need. */
  readonly whole?: { readonly fromSeq: number; readonly toSeq: number } | undefined;
}

/** The chain is not what the verification found: the file must not be used. */
export interface ProofFault {
  readonly seq: number;
  readonly text: string;
}

export interface ProofWriter {
  /** The next line of the journal, without LF, in the order of the chain; the line for the file, or undefined. */
  take(line: Buffer): string | undefined;
  /** The last line of the file. Undefined: it is no proof, see `fault`. */
  finish(): string | undefined;
  readonly fault: ProofFault | undefined;
  /** Records given so far that were asked for. */
  readonly records: number;
}

export function createProofWriter({ chosen, keys, signedSeq, whole }: ProofRequest): ProofWriter {
  let before: Link | undefined;
  let isRunning = false;
  let records = 0;
  let lines = 0;
  let runs = 0;
  let fault: ProofFault | undefined;

  return {
    take(line) {
      const claim = readClaim(line);
      if (claim === undefined || fault !== undefined) return undefined;
      const { seq } = claim;
      const isWhole = whole !== undefined && seq >= whole.fromSeq && seq <= whole.toSeq;
      const isChosen = chosen.has(seq);
      if (seq > signedSeq || (!isRunning && !isChosen && !isWhole)) return undefined;
      // Hashing costs most of the time, and most lines are in no run.
      const link = readLink(line);
      if (link?.isIntact !== true || (isRunning && (link.prev !== before?.hash || seq !== before.seq + 1))) {
        fault = { seq, text: 'the record does not follow the one before it' };
        return undefined;
      }
      if (!isRunning) runs += 1;
      const text = line.toString('utf8');
      const isEnd = !(whole !== undefined && seq < whole.toSeq) && isSeal(text, keys);
      isRunning = !isEnd;
      before = link;
      lines += 1;
      if (isChosen) records += 1;
      return `${isEnd ? '=' : isChosen ? '*' : '-'} ${text}`;
    },
    finish() {
      if (isRunning) fault ??= { seq: (before?.seq ?? 0) + 1, text: 'no signed checkpoint follows' };
      return fault === undefined ? `% ${records} records, ${lines} lines, ${runs} runs` : undefined;
    },
    get fault() {
      return fault;
    },
    get records() {
      return records;
    },
  };
}

/** Whether it is a record of the journal itself with a right signature of one of the keys. */
function isSeal(text: string, keys: readonly string[]): boolean {
  const event = readHead(text)?.event;
  if (event !== 'checkpoint' && event !== 'retire') return false;
  const key = readWord(text, 'key');
  const signed = unsignedLine(text);
  if (key === undefined || signed === undefined || (keys.length > 0 && !keys.includes(key))) return false;
  return isSignedBy(key, signed.text, signed.signature);
}

/** SHA-256 over the DER of a public key (SubjectPublicKeyInfo), as `openssl pkey -pubin -outform DER | sha256sum` prints it. */
export function keyFingerprint(key: string): string {
  return hash('sha256', publicKeyDer(key), 'hex');
}

/** What a proof says of itself. */
export interface ProofTitle {
  readonly journal: string | undefined;
  readonly keys: readonly string[];
  /** The question, as it was asked. */
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
    'Lines with # are not signed and prove nothing.',
  ];
  return lines.map((line) => `# ${line}`.trimEnd());
}
