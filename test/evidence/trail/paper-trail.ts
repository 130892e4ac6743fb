// A trail in memory, made by the ledger as the writer would make it: segments of lines with signed checkpoints, and the last
// checkpoint beside them. Tests tear it apart.

import { createSearch, type ExchangeRow } from '../../../src/evidence/trail/search.js';
import {
  createVerifier,
  type TrailOptions,
  type Verdict,
  type Verifier,
} from '../../../src/evidence/trail/verify.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';

export interface PaperSegment {
  readonly name: string;
  /** Without LF. */
  lines: string[];
}

export interface PaperTrail {
  segments: PaperSegment[];
  kept: { readonly file: string; readonly text: string }[];
}

export const key = makeSignKey();
export const started = Date.UTC(2026, 10, 20, 8);
const journal = 'ab'.repeat(16);

export function nameOf(number: number): string {
  return `${String(number).padStart(8, '0')}.jsonl`;
}

/**
 * Three segments of exchanges; seq 1 is the start, a checkpoint ends each segment, and the first record of the others is
 * one. `false`: unsigned.
 */
export function makeTrail(secretPem: string | false = key.secretPem, exchanges = 4): PaperTrail {
  const ledger = new Ledger('dovegate test', secretPem === false ? undefined : secretPem, journal);
  const trail: PaperTrail = { segments: [], kept: [] };
  for (let number = 1; number <= 3; number += 1) {
    const lines: string[] = [];
    const at = started + number * 60_000;
    if (number === 1)
      seal(lines, ledger, { time: at, event: 'start', journal, format: 1, program: 'dovegate test' });
    else {
      const place = { segment: nameOf(number - 1), segment_hash: ledger.hash };
      lines.push(ledger.sealSigned({ ...ledger.checkpoint(at), ...place }).trimEnd());
    }
    for (let count = 0; count < exchanges; count += 1) {
      const named = { session: 'S', id: `E${number}-${count}`, user: 'alice@example.com' };
      seal(lines, ledger, { time: at + count * 10, event: 'admission', ...named, decision: 'allow' });
      seal(lines, ledger, { time: at + count * 10 + 5, event: 'completion', ...named, outcome: 'ok' });
    }
    const line = ledger.sealSigned(ledger.checkpoint(at + 5000)).trimEnd();
    lines.push(line);
    trail.segments.push({ name: nameOf(number), lines });
    trail.kept = [{ file: 'checkpoint.json', text: line }];
  }
  return trail;
}

export function seal(lines: string[], ledger: Ledger, record: JournalRecord): void {
  lines.push(ledger.seal(encodeBody(record)).trimEnd());
}

/** Lines of these records, as a journal without a key has them. */
export function sealedLines(records: readonly JournalRecord[]): string[] {
  const ledger = new Ledger('dovegate test', undefined, journal);
  return records.map((record) => ledger.seal(encodeBody(record)));
}

export const sealedBytes = (records: readonly JournalRecord[]): Buffer =>
  Buffer.from(sealedLines(records).join(''));

/** All rows of a search through lines that come in these pieces. */
export function rowsIn(filter: TrailFilter, ...pieces: readonly (Buffer | string)[]): ExchangeRow[] {
  const search = createSearch(filter);
  return [...pieces.flatMap((piece) => search.take(Buffer.from(piece))), ...search.finish()];
}

export function verify(trail: PaperTrail, more: Partial<TrailOptions> = {}): Verdict {
  const options = { trustedKeys: [key.key], kept: trail.kept, isPart: false, faultsMax: 100, ...more };
  const steps = trail.segments.flatMap(({ name, lines }) => [
    (verifier: Verifier) => verifier.beginSegment(name),
    ...lines.map((line) => (verifier: Verifier) => verifier.takeLine(Buffer.from(line), true)),
  ]);
  return verifySteps(steps, options);
}

export function verifySteps(
  steps: readonly ((verifier: Verifier) => void)[],
  options: TrailOptions,
): Verdict {
  const verifier = createVerifier(options);
  for (const step of steps) step(verifier);
  return verifier.finish();
}

/** All lines of the trail from a place on, made again so that every hash and link is right: what an intruder can do. */
export function rehash(trail: PaperTrail, segment: number, line: number): void {
  const ledger = new Ledger('dovegate test', undefined, journal);
  let isBefore = true;
  for (const [number, { lines }] of trail.segments.entries()) {
    for (const [at, text] of lines.entries()) {
      const { seq, prev, hash: _, ...body } = JSON.parse(text);
      if (isBefore && number === segment && at === line) {
        isBefore = false;
        resumeBefore(ledger, seq, prev);
      }
      if (isBefore) continue;
      if (body.head !== undefined) body.head = ledger.hash;
      if (body.segment_hash !== undefined) body.segment_hash = ledger.hash;
      lines[at] = ledger.seal(encodeBody({ ...body, time: Date.parse(body.time) })).trimEnd();
    }
  }
}

/** Changes the text of a record, and its hash with it; the result has no signature of its own. */
export function forge(line: string, change: (record: Record<string, unknown>) => void): string {
  const { seq, prev, hash: _, ...body } = JSON.parse(line);
  change(body);
  const ledger = new Ledger('', undefined, '');
  resumeBefore(ledger, seq, prev);
  return ledger.seal(encodeBody({ ...body, time: Date.parse(body.time) })).trimEnd();
}

/** The next record gets this number, and this hash as that of the record before it. */
function resumeBefore(ledger: Ledger, seq: number, prev: string): void {
  const open = new Map();
  ledger.resume({ journal, seq: seq - 1, hash: prev, stepsMs: 0, open, oldestSeq: 1, timeMs: 0 });
}
