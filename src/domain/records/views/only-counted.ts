// What a flood left without records: `limit` records count commands and requests to the page that were refused, and commands that were not
// sent for another reason. A count says who and when. Whether it fits what else a search asks for is unknown, and told as such.

import type { Exclusion } from '../../admin/page/leave-out.js';
import { countWords, plural } from '../../language/words/words.js';
import { parseTime } from '../audit/record.js';
import { asNumber, type StoredRecord, textIn } from '../audit/stored.js';
import { classOfOutcome, isFitting, isPerson } from '../story/row.js';
import type { Certainty } from '../story/story.js';
import { kindsOf, recordAround, type TrailFilter } from '../trail/search.js';

export interface OnlyCounted {
  /** Those that fit: counted as denied, and not sent for another reason. */
  readonly refused: number;
  readonly unsent: number;
  /** Nobody can say whether they fit. */
  readonly unsure: number;
}

const limitText = Buffer.from('"event":"limit"');
/** What is only counted has no id, and used no grant. */
const ofRecords = ['id', 'grant'] as const;
const untold = ['user', 'command', 'backend', 'policy', 'decision', 'effect', 'session', 'text'] as const;

export type OnlyCounter = ReturnType<typeof createOnlyCounted>;

export function createOnlyCounted(filter: TrailFilter, not: readonly Exclusion[] = []) {
  const sum = { refused: 0, unsent: 0, unsure: 0 };
  return {
    /** Whole lines, as a view shows them. */
    take(piece: Buffer): void {
      for (let at = piece.indexOf(limitText); at >= 0; at = piece.indexOf(limitText, at + 1)) {
        const record = recordAround(piece, at) ?? {};
        const count = asNumber(record['count']) ?? 0;
        const fit = fitOf(record, filter, not);
        if (fit === 'maybe') sum.unsure += count;
        else if (fit === 'yes') sum[record['action'] === 'unsent' ? 'unsent' : 'refused'] += count;
      }
    },
    add({ refused, unsent, unsure }: OnlyCounted): void {
      sum.refused += refused;
      sum.unsent += unsent;
      sum.unsure += unsure;
    },
    /** Undefined: all has records. */
    finish: (): OnlyCounted | undefined =>
      sum.refused + sum.unsent + sum.unsure === 0 ? undefined : { ...sum },
  };
}

/** `isOne`: what nobody can say of one; `areMany`: of several. */
export function onlyCountedText(
  { refused, unsent, unsure }: OnlyCounted,
  { by, principal = '' }: TrailFilter,
  [isOne, areMany]: readonly [string, string] = ['it matches', 'they match'],
): string {
  const who = by ?? principal.replace(/@\*$/, '');
  const sure = [
    ...(refused === 0 ? [] : [plural(refused, 'more refusal')]),
    ...(unsent === 0
      ? []
      : [plural(unsent, 'more command that was not sent', 'more commands that were not sent')]),
  ].join(' and ');
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

function fitOf(record: StoredRecord, filter: TrailFilter, not: readonly Exclusion[] = []): Certainty {
  const action = textIn(record, 'action');
  const { sinceMs = -Infinity, untilMs = Infinity, outcome, principal, by, listener } = filter;
  const isCommand = action === 'refused' || action === 'unsent';
  if (!isCommand && action !== 'page-refused') return 'no';
  if (!kindsOf(filter).has(isCommand ? 'command' : 'session')) return 'no';
  if (ofRecords.some((key) => filter[key] !== undefined)) return 'no';
  const timeMs = parseTime(textIn(record, 'time')) ?? 0;
  if (timeMs < sinceMs || timeMs >= untilMs) return 'no';
  let isSure = untold.every((key) => filter[key] === undefined);
  if (outcome !== undefined) {
    const group = classOfOutcome(outcome);
    if (group === 'ok' || (group === 'denied') !== (action !== 'unsent')) return 'no';
    isSure &&= outcome === 'denied';
  }
  // Events of several names of one human have none, and those of the page no listener.
  const who = textIn(record, 'principal');
  const isWho =
    (principal === undefined || isFitting(who, principal)) &&
    (by === undefined || isPerson(who, by)) &&
    (listener === undefined || who.endsWith(`@${listener}`));
  if (!isWho && who !== '') return 'no';
  isSure &&= isWho;
  for (const { key, value } of not) {
    const wanted = key === 'principal' && !/[@*]/.test(value) ? `${value}@*` : value;
    const fit = fitOf(record, { kind: 'all', [key]: wanted });
    if (fit === 'yes') return 'no';
    isSure &&= fit === 'no';
  }
  return isSure ? 'yes' : 'maybe';
}
