// In a flood, `limit` records only count refused commands, refused requests to the page, and commands that were not sent for another
// reason. A count says who and when. Whether it matches the other fields of a search is unknown, and reported as such. An exported file has
// these records among its rows, so its signature covers the counts, too.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { notOk } from '../../gate/outcome/class.js';
import { asCount, asList, isText, parseLine, type StoredRecord } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { countWords, refusedWords } from '../../host/words/words.js';
import { countedCommand, textIn } from '../../journal/records/stored.js';
import type { Exclusion } from '../story/leave-out.js';
import { isFitting, isPerson } from '../story/row.js';
import type { Certainty } from '../story/story.js';
import { type ExchangeRow, kindsOf, recordAround } from '../trail/search.js';
import { createUserSearch } from '../trail/user-search.js';

export interface OnlyCounted {
  /** Counts that match: `refused` ones were denied, `unsent` ones not sent for another reason. */
  readonly refused: number;
  readonly unsent: number;
  /** The records do not say whether these match. */
  readonly unsure: number;
  /** Number of `limit` records with these counts. */
  readonly records: number;
}

const limitText = Buffer.from('"event":"limit"');
/** Counted commands have no id and used no grant. */
const ofRecords = ['id', 'grant'] as const;
const untold = ['backend', 'policy', 'effect', 'session', 'reason', 'text', 'would', 'shadow'] as const;
/** By `action` of a count: the outcomes that its commands may have had, with the words of their classes. */
const endsOf: ReadonlyMap<string, readonly string[]> = new Map([
  ['refused', ['denied', 'limited', 'unparsable', notOk]],
  ['unsent', ['failed', 'timeout', 'aborted', 'unknown', notOk]],
  ['page-refused', ['denied', notOk]],
]);

export type OnlyCounter = ReturnType<typeof createOnlyCounted>;

export function createOnlyCounted(filter: TrailFilter, not: readonly Exclusion[] = []) {
  const sum = { refused: 0, unsent: 0, unsure: 0, records: 0 };
  return {
    /** Whole lines, as a view shows them. Returns the records that match, and those that may match. */
    take(piece: Buffer): ExchangeRow[] {
      const rows: ExchangeRow[] = [];
      for (let at = piece.indexOf(limitText); at >= 0; at = piece.indexOf(limitText, at + 1)) {
        const record = recordAround(piece, at) ?? {};
        const count = countIn(record);
        const fit = count === undefined ? 'no' : fitOf(record, filter, not);
        if (count === undefined || fit === 'no') continue;
        if (fit === 'maybe') sum.unsure += count;
        else sum[classOfCount(record)] += count;
        sum.records += 1;
        const { prev: _, hash: _h, seq, ...fields } = record;
        const [ofSeq, time] = [asCount(seq), textIn(record, 'time')];
        rows.push({ fields, admittedSeq: ofSeq, completedSeq: ofSeq, completedTime: time });
      }
      return rows;
    },
    add({ refused, unsent, unsure, records }: OnlyCounted): void {
      sum.records += records;
      sum.refused += refused;
      sum.unsent += unsent;
      sum.unsure += unsure;
    },
    /** Undefined: no counts. */
    finish: (): OnlyCounted | undefined =>
      sum.refused + sum.unsent + sum.unsure === 0 ? undefined : { ...sum },
  };
}

/** How many commands a record counts. Undefined: it is not a count. */
export function countIn(record: StoredRecord): number | undefined {
  return record['event'] === 'limit' ? asCount(record['count']) : undefined;
}

function classOfCount(record: StoredRecord): 'refused' | 'unsent' {
  return record['action'] === 'unsent' ? 'unsent' : 'refused';
}

/** The rows of a search, with the rows of counts among them in the order of the journal. Empties `counts`. */
export async function* withCounts(
  rows: AsyncIterable<ExchangeRow> | Iterable<ExchangeRow>,
  counts: ExchangeRow[],
): AsyncGenerator<ExchangeRow> {
  for await (const row of rows) {
    while ((counts[0]?.completedSeq ?? Infinity) < (row.completedSeq ?? Infinity)) yield* counts.splice(0, 1);
    yield row;
  }
  yield* counts.splice(0);
}

/** Counts in an exported file, for those who check it. */
export type CountsInFile = Readonly<typeof none>;

export function createCountsInFile() {
  let found: CountsInFile | undefined;
  return {
    take(line: Buffer): void {
      if (!line.includes(limitText)) return;
      const record = parseLine(line.toString('utf8')) ?? {};
      const count = countIn(record);
      if (count === undefined) return;
      const seq = asCount(record['seq']) ?? 0;
      const { records, refused, unsent, fromSeq } = found ?? none;
      const sum = { records: records + 1, refused, unsent, fromSeq: Math.min(fromSeq, seq), toSeq: seq };
      sum[classOfCount(record)] += count;
      found = sum;
    },
    /** Undefined: no counts. */
    finish: (): CountsInFile | undefined => found,
  };
}

const none = { records: 0, refused: 0, unsent: 0, fromSeq: Infinity, toSeq: 0 };

/** `2 of these rows are counts (seq 90 to 120): of 15 refusals that a flood limit only counted` */
export function countsInFileText(
  { records, refused, unsent, fromSeq, toSeq }: CountsInFile,
  what: 'row' | 'record',
): string {
  const are =
    records === 1 ? `1 of these ${what}s is a count` : `${countWords(records)} of these ${what}s are counts`;
  const where = fromSeq === toSeq ? `seq ${fromSeq}` : `seq ${fromSeq} to ${toSeq}`;
  return `${are} (${where}) of ${refusedWords(refused, unsent)} that a flood limit only counted`;
}

/** The last argument says what is unknown of one command, and of several. */
export function onlyCountedText(
  { refused, unsent, unsure }: OnlyCounted,
  { by, principal = '' }: TrailFilter,
  [isOne, areMany]: readonly [string, string] = ['it matches', 'they match'],
): string {
  const who = by ?? principal.replace(/@\*$/, '');
  const sure = refusedWords(refused, unsent, 'more ');
  const were = refused + unsent === 1 ? 'was' : 'were';
  const texts = [
    ...(sure === '' ? [] : [`${sure}${who && ` of ${who}`} ${were} counted only: a flood limit`]),
    ...(unsure === 0
      ? []
      : [
          unsure === 1
            ? `1 more that was refused or not sent was counted only (a flood limit), and no count says whether ${isOne}`
            : `${countWords(unsure)} more that were refused or not sent were counted only (a flood limit), and no count says whether ${areMany}`,
        ]),
  ];
  return texts.join('; and ');
}

/** Compares with all commands that the record counts, if it names them. */
function fitOfCommand({ args }: StoredRecord, { command }: TrailFilter): Certainty {
  if (command === undefined) return 'yes';
  const all = asList(args);
  if (all === undefined || !all.every(isText)) return 'maybe';
  const wanted = `${countedCommand}${command}`;
  const fitting = all.filter((text) => text === wanted || text.startsWith(`${wanted} `));
  return fitting.length === 0 ? 'no' : fitting.length === all.length ? 'yes' : 'maybe';
}

/** Compares with all users of the counted commands. A mask, or a list that was cut, may stand for anybody. */
function fitOfUser(record: StoredRecord, { user }: TrailFilter): Certainty {
  if (user === undefined || /^\*+$/.test(user)) return user === undefined ? 'yes' : 'maybe';
  return record['users'] === undefined || createUserSearch(user).isWanted(record) ? 'maybe' : 'no';
}

function fitOf(record: StoredRecord, filter: TrailFilter, not: readonly Exclusion[] = []): Certainty {
  const action = textIn(record, 'action');
  const { sinceMs = -Infinity, untilMs = Infinity, outcome, principal, by, listener } = filter;
  if (!kindsOf(filter).has(action === 'page-refused' ? 'session' : 'command')) return 'no';
  const ends = endsOf.get(action) ?? [];
  if (!ends.includes(outcome ?? notOk) || ofRecords.some((key) => filter[key] !== undefined)) return 'no';
  // A search finds a backend only in commands that were sent to it, so not in refused ones.
  if (filter.backend !== undefined && action !== 'unsent') return 'no';
  const timeMs = parseTime(textIn(record, 'time')) ?? 0;
  if (timeMs < sinceMs || timeMs >= untilMs) return 'no';
  let isSure = untold.every((key) => filter[key] === undefined);
  isSure &&= [undefined, notOk, 'denied'].includes(outcome);
  // Counts of a person with several names have no principal, and those of the page no listener.
  const who = textIn(record, 'principal');
  const isWho =
    (principal === undefined || isFitting(who, principal)) &&
    (by === undefined || isPerson(who, by)) &&
    (listener === undefined || who.endsWith(`@${listener}`));
  if (!isWho && who !== '') return 'no';
  isSure &&= isWho;
  for (const fit of [fitOfCommand(record, filter), fitOfUser(record, filter)]) {
    if (fit === 'no') return 'no';
    isSure &&= fit === 'yes';
  }
  for (const { key, value } of not) {
    const wanted = key === 'principal' && !/[@*]/.test(value) ? `${value}@*` : value;
    const fit = fitOf(record, { kind: 'all', [key]: wanted });
    if (fit === 'yes') return 'no';
    isSure &&= fit === 'no';
  }
  return isSure ? 'yes' : 'maybe';
}
