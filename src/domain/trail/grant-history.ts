// The access records of one grant in a trail: its request, approvals, end. Copies at the heads of segments are no events, and are skipped.

import { quote } from '../audit/encode.js';
import { parseLine } from '../audit/record.js';
import type { ExchangeRow, TrailFilter } from './search.js';

/** Filters with which access records are found. */
const historyKeys: ReadonlySet<string> = new Set(['grant', 'sinceMs', 'untilMs']);

/** The grant whose access records a search finds; undefined: it finds exchanges only. */
export function historyOf(filter: TrailFilter): string | undefined {
  const asked = Object.entries(filter).filter(([, value]) => value !== undefined);
  return asked.every(([key]) => historyKeys.has(key)) ? filter.grant : undefined;
}

/** Every record of a grant contains one of these. */
export function grantTexts(id: string): Buffer[] {
  return ['grant', 'request'].map((key) => Buffer.from(`,"${key}":${quote(id)}`));
}

/** `access`, and neither `admission` nor `arguments`. */
export function isAccess(piece: Buffer, eventAt: number): boolean {
  return piece[eventAt] === 0x61 && piece[eventAt + 1] === 0x63;
}

/** Undefined: a copy, or of another grant. `since`, `until`: times as in records. */
export function accessRow(line: Buffer, id: string, since: string, until: string): ExchangeRow | undefined {
  const { prev: _, hash: _h, seq, ...fields } = parseLine(line.toString('utf8')) ?? {};
  const { time, carried, grant, request } = fields;
  if ((grant ?? request) !== id || carried === true) return undefined;
  if (typeof seq !== 'number' || typeof time !== 'string' || time < since || time >= until) return undefined;
  return { fields, admittedSeq: seq, completedSeq: seq, completedTime: time };
}
