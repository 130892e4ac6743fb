// The access records of one grant in a trail: its request, approvals, end. Copies at the heads of segments are no events, and are skipped.

import { quote } from '../audit/encode.js';
import { isCount, parseLine } from '../audit/record.js';

const historyKeys: ReadonlySet<string> = new Set(['grant', 'sinceMs', 'untilMs']);

export function historyOf(filter: { readonly grant?: string | undefined }): string | undefined {
  const asked: [string, unknown][] = Object.entries(filter);
  return asked.every(([key, value]) => value === undefined || historyKeys.has(key))
    ? filter.grant
    : undefined;
}

interface AccessRow {
  /** Without seq and hashes. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly admittedSeq: number;
  readonly completedSeq: number;
  readonly completedTime: string;
}

export function grantTexts(id: string): Buffer[] {
  return ['grant', 'request'].map((key) => Buffer.from(`,"${key}":${quote(id)}`));
}

/** `access`, and neither `admission` nor `arguments`. */
export function isAccess(piece: Buffer, eventAt: number): boolean {
  return piece[eventAt] === 0x61 && piece[eventAt + 1] === 0x63;
}

/** Undefined: a copy, or of another grant. `since`, `until`: times as in records. */
export function accessRow(line: Buffer, id: string, since: string, until: string): AccessRow | undefined {
  const { prev: _, hash: _h, seq, ...fields } = parseLine(line.toString('utf8')) ?? {};
  const { time, carried, grant, request } = fields;
  if ((grant ?? request) !== id || carried === true) return undefined;
  if (!isCount(seq) || typeof time !== 'string' || time < since || time >= until) return undefined;
  return { fields, admittedSeq: seq, completedSeq: seq, completedTime: time };
}
