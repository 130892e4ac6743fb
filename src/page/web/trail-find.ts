// Asks for pages of the trail until there is something to show, and for whole files of it.

import { type Exclusion, isLeftOut } from '../../evidence/story/leave-out.js';
import type { AccessTold } from '../../evidence/story/row.js';
import type { AskTrail, Cursor } from '../../evidence/views/asked.js';
import type { TrailEnd, TrailLine } from '../../evidence/views/trail.js';
import type { StoredRecord } from '../../host/values/values.js';
import { onlyCountedWords } from '../../host/words/words.js';
import { type Api, type Ask, AskFault } from './api.js';
import { type Looked, lookedWith, type ShownRow } from './trail-rows.js';

export const pageRows = 50;
/** Each request is a record of its own, so an empty search does not go on by itself for ever. */
const triesMax = 40;

export interface Finding {
  readonly rows: readonly ShownRow[];
  readonly leftOut: number;
  readonly looked: Looked | undefined;
  readonly notes: readonly string[];
  readonly retired: NonNullable<TrailEnd['retired']>;
  /** Where the search continues; undefined: it is complete. */
  readonly before: number | undefined;
  /** Names like the one that was looked for, where nothing was found. */
  readonly meant: readonly string[];
}

const nothing: Finding = {
  rows: [],
  leftOut: 0,
  looked: undefined,
  notes: [],
  retired: [],
  before: undefined,
  meant: [],
};

interface FindOptions {
  readonly api: Pick<Api, 'lines'>;
  readonly filter: AskTrail['filter'];
  readonly signal: AbortSignal;
  readonly not?: readonly Exclusion[] | undefined;
  readonly onChange: (found: Finding) => void;
}

/** The next page: asks until it is full, the journal is through, or too many answers had nothing. Rejects with an AskFault. */
export async function findMore(options: FindOptions, known: Finding | undefined): Promise<Finding> {
  const { api, filter, signal, not = [], onChange } = options;
  let found = known ?? nothing;
  const wanted = found.rows.length + pageRows;
  for (let tries = 0; tries < triesMax && found.rows.length < wanted; tries += 1) {
    const { before } = found;
    const rows = wanted - found.rows.length;
    const newest = before === undefined ? { rows } : { before, rows };
    const page = await askTrail(api, 'POST /api/trail/search', { filter, newest }, signal);
    const kept = page.rows.filter((row) => !isLeftOut(row, not));
    found = {
      rows: [...found.rows, ...kept],
      leftOut: found.leftOut + page.rows.length - kept.length,
      looked: lookedWith(found.looked, page.end),
      notes: [...new Set([...found.notes, ...(page.end.notes ?? [])])],
      retired: [...found.retired, ...(page.end.retired ?? [])],
      before: page.end.before,
      meant: [],
    };
    signal.throwIfAborted();
    onChange(found);
    if (found.before === undefined) break;
  }
  if (found.rows.length > 0 || found.before !== undefined || filter.user === undefined) return found;
  // Nothing was found: look for similar names.
  const { end } = await askTrail(api, 'POST /api/trail/survey', { filter }, signal);
  return { ...found, meant: end.surveyed?.names ?? [] };
}

/** An answer of the trail, with what its lines hold in lists. */
export interface TrailAnswer {
  readonly rows: readonly ShownRow[];
  readonly lines: readonly string[];
  readonly records: readonly StoredRecord[];
  readonly requests: readonly AccessTold[];
  readonly end: TrailEnd;
  readonly signed: Extract<TrailLine, { readonly signed: unknown }> | undefined;
}

/** Rejects with an AskFault, also where the end is missing. */
export async function askTrail(
  api: Pick<Api, 'lines'>,
  endpoint: Ask,
  body: AskTrail | { readonly wanted: string },
  signal: AbortSignal,
): Promise<TrailAnswer> {
  const rows: ShownRow[] = [];
  const lines: string[] = [];
  const records: StoredRecord[] = [];
  const requests: AccessTold[] = [];
  let end: TrailEnd | undefined;
  let signed: TrailAnswer['signed'];
  for await (const line of api.lines<TrailLine>(endpoint, { body, signal })) {
    if ('row' in line) {
      const { row, ...more } = line;
      rows.push({ ...row, ...more });
    } else if ('line' in line) lines.push(line.line);
    else if ('found' in line) records.push(line.found.record);
    else if ('access' in line) requests.push(line.access);
    else if ('end' in line) ({ end } = line);
    else signed = line;
  }
  if (end === undefined) throw new AskFault(0, 'The answer ended too early; ask again.');
  return { rows, lines, records, requests, end, signed };
}

export type SaveForm = 'csv' | 'json' | 'extract';

/** More is for the command line: a browser holds the whole file. */
const savedRowsMax = 200_000;

/** The header of `dovegate audit export`, which the daemon does not repeat in each part. */
export const csvHeader =
  'time,id,session,listener,principal,decision,outcome,status,command,args,user,effect,backend,upstream,policy,rule,would,' +
  'reason,sent,rows,cells,bytes_in,bytes_out,wait_ms,first_byte_ms,duration_ms,error,seq,completed_seq,' +
  'completed_time,users,grant,action,for,denial,shadow,count';

export interface Saved {
  readonly texts: readonly string[];
  /** Without those that a flood limit only counted: `counted` has their number in words, or ''. */
  readonly rows: number;
  readonly counted: string;
  /** False: there are more, which only the command line gives. */
  readonly isWhole: boolean;
  readonly notes: readonly string[];
}

/** All that is found, in the order of the journal, as the text of a file. Rejects with an AskFault. */
export async function collectFile(
  options: Pick<FindOptions, 'api' | 'filter' | 'signal'> & { readonly onRows: (rows: number) => void },
  form: SaveForm,
): Promise<Saved> {
  const texts: string[] = form === 'csv' ? [`${csvHeader}\r\n`] : [];
  const notes = new Set<string>();
  let rows = 0;
  const only = { refused: 0, unsent: 0, unsure: 0, records: 0 };
  for (let cursor: Cursor | undefined; ; ) {
    const body: AskTrail = {
      filter: options.filter,
      as: form === 'csv' ? 'csv' : 'json',
      ...(cursor === undefined ? {} : { cursor }),
    };
    const endpoint = form === 'extract' ? 'POST /api/trail/extract' : 'POST /api/trail/export';
    const part = await askTrail(options.api, endpoint, body, options.signal);
    texts.push(
      form === 'extract'
        ? extractText(part)
        : part.lines.map((line) => `${line}${form === 'csv' ? '\r' : ''}\n`).join(''),
    );
    for (const note of part.end.notes ?? []) notes.add(note);
    rows += part.lines.length;
    for (const key of ['refused', 'unsent', 'unsure', 'records'] as const)
      only[key] += part.end.counted?.[key] ?? 0;
    options.onRows(rows);
    ({ cursor } = part.end);
    if (cursor === undefined || rows >= savedRowsMax)
      return {
        texts,
        rows: rows - only.records,
        counted: onlyCountedWords(only),
        isWhole: cursor === undefined,
        notes: [...notes],
      };
  }
}

/** As `dovegate audit export --with-proof --socket` writes it. */
function extractText({ lines, signed }: TrailAnswer): string {
  if (signed === undefined) throw new AskFault(0, 'The answer is not signed; do not use it.');
  const { head, signature } = signed.signed;
  const all = [...(signed.notes ?? []), `@ ${head}`, ...lines.map((line) => `* ${line}`), `! ${signature}`];
  return `${all.join('\n')}\n`;
}

/** `dovegate-mail1-trail-2026-11-21.csv` */
export function fileNameOf(host: string, form: SaveForm, nowMs: number): string {
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const end = { csv: 'csv', json: 'jsonl', extract: 'extract.txt' }[form];
  return `dovegate-${host.replace(/[^A-Za-z0-9.-]/g, '_').slice(0, 60)}-trail-${day}.${end}`;
}
