// Checks a proof (proof.ts has the form of the file) with public keys alone, as a person would who has nothing else.
// The rule: memory does not grow with the file, and what lines with # say is not believed.

import { isSignedBy, readLink, unsignedLine } from '../audit/ledger.js';
import { readHead, readWord } from '../audit/record.js';

/** What a file is, by its first bytes; undefined: something else. */
export function proofKindOf(beginning: string): 'proof' | 'extract' | 'journal' | undefined {
  if (/^(?:# dovegate audit proof |[*=-] \{"seq":)/.test(beginning)) return 'proof';
  if (/^(?:# dovegate audit extract |@ \{"extract":)/.test(beginning)) return 'extract';
  return beginning.startsWith('{"seq":') ? 'journal' : undefined;
}

/** What a proof holds, up to its first fault. */
export interface ProofVerdict {
  /** Undefined: every line is what it should be. */
  readonly fault: { readonly line: number; readonly text: string } | undefined;
  /** Records that were asked for; lines with those between; runs of lines, each with a signature at its end. */
  readonly records: number;
  readonly lines: number;
  readonly runs: number;
  /** Of the lines; undefined: there is none. */
  readonly fromSeq: number | undefined;
  readonly toSeq: number | undefined;
  /** As the signed lines name it. */
  readonly journal: string | undefined;
  /** The keys that signed. Where no key was given: the first one, and whether there are others. */
  readonly keys: readonly string[];
  readonly isMoreKeys: boolean;
}

export interface ProofChecker {
  /** The next line of the file, without LF. `isWhole`: it has an end. Nobody else may read `line` meanwhile. */
  take(line: Buffer, isWhole: boolean): void;
  finish(): ProofVerdict;
}

/** `trusted`: public keys in base64; none: a signature of any key ends a run, which proves nothing by itself. */
export function createProofChecker(trusted: readonly string[]): ProofChecker {
  const count = { '* ': 0, '- ': 0, '= ': 0 };
  const keys = new Set<string>();
  let isMoreKeys = false;
  let number = 0;
  let end: string | undefined;
  let before: { readonly seq: number; readonly hash: string } | undefined;
  let journal: string | undefined;
  let fromSeq: number | undefined;
  let toSeq: number | undefined;
  let fault: ProofVerdict['fault'];

  return {
    take(line, isWhole) {
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
      const numbers = { records: count['* '], lines, runs: count['= '], fromSeq, toSeq };
      return { fault, ...numbers, journal, keys: [...keys], isMoreKeys };
    },
  };

  /** Takes a line of the form; else says what is wrong with it. */
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
    const { seq, prev, hash, isIntact } = link;
    if (!isIntact) return `record ${seq} was changed: its text does not fit its hash`;
    if (before !== undefined && (seq !== before.seq + 1 || prev !== before.hash))
      return `record ${seq} does not continue the line before it: one is missing, or was changed`;
    if (seq <= (toSeq ?? 0)) return `record ${seq} comes a second time, or too late`;
    const why = mark === '= ' ? whyNotSigned(record.toString('utf8')) : undefined;
    if (why !== undefined) return why;
    count[mark] += 1;
    before = mark === '= ' ? undefined : { seq, hash };
    fromSeq ??= seq;
    toSeq = seq;
    return undefined;
  }

  function whyNotSigned(text: string): string | undefined {
    const event = readHead(text)?.event;
    const key = readWord(text, 'key');
    const signed = unsignedLine(text);
    const isSeal = event === 'checkpoint' || event === 'retire';
    if (!isSeal || key === undefined || signed === undefined) return 'this record is not signed';
    if (trusted.length > 0 && !trusted.includes(key)) return 'this record is signed by another key';
    if (!isSignedBy(key, signed.text, signed.signature)) return 'the signature is not right';
    const of = readWord(text, 'journal');
    if (journal !== undefined && of !== undefined && of !== journal)
      return 'this record is of another journal';
    journal ??= of;
    if (trusted.length > 0 || keys.size === 0) keys.add(key);
    else if (!keys.has(key)) isMoreKeys = true;
    return undefined;
  }
}
