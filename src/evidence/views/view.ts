// The journal as an auditor of only some mail users may see it: a decoder from stored lines to shown lines. Search, show and count read
// only its output. A record is shown if all users that it touches are covered; otherwise only its seq, time and event are. A field is shown
// only because a list names it. No answer may depend on hidden data, so every filter, count and order is made from the output: a hidden
// record is the same line for every filter, and has no field that a filter could match.
//
//   {"seq":17,"time":"2026-11-20T08:22:34.123Z","event":"admission"}      a hidden record
//
// `prev` and `hash` are left out of shown records, too: with the hash of a hidden line, a reader could verify guesses of that line.

import { GlobList, isMask, isWithin } from '../../doveadm/names/glob.js';
import { asList, asText, isCount, isText, parseLine, type StoredRecord } from '../../host/values/values.js';
import { formatRecorded } from '../../host/words/text.js';
import { namesOf, recordKeys, rowOf } from '../../journal/records/keys.js';
import {
  asTimeMs,
  eventOpening,
  isDistanceMs,
  type JournalRecord,
  readHead,
  readWord,
} from '../../journal/records/record.js';

type Event = JournalRecord['event'];
/**
 * How an event is treated: its record is shown if the users of its exchange permit it; always hidden, because it may name anybody (an
 * operator, an address, a filter); or shown with these keys, which contain no names.
 */
type Decision = 'by-users' | 'hidden' | readonly (keyof typeof harmless)[];

/** Keys of records that concern no user, with their permitted values. */
const harmless = {
  program: (value: unknown) => /^dovegate [\w.+-]{1,40}$/.test(asText(value) ?? ''),
  segment: (value: unknown) => /^\d{8,15}\.jsonl$/.test(asText(value) ?? ''),
  until: (value: unknown) => asTimeMs(value) !== undefined,
  by: (value: unknown) => value === 'age' || value === 'size',
  step_ms: isDistanceMs,
  steps_ms: isDistanceMs,
  oldest_seq: isCount,
  recovered: isCount,
  lost: (value: unknown) => isCount(value) || value === 'unknown',
} as const;

/** Complete: a new event does not compile without a row here. */
export const decisions: Readonly<Record<Event, Decision>> = {
  admission: 'by-users',
  arguments: 'by-users',
  completion: 'by-users',
  log: 'by-users',
  access: 'by-users',
  reload: 'hidden',
  operator: 'hidden',
  lock: 'hidden',
  'session-open': 'hidden',
  'session-close': 'hidden',
  limit: 'hidden',
  backend: 'hidden',
  journal: 'hidden',
  start: ['program', 'recovered', 'lost'],
  stop: [],
  clock: ['step_ms'],
  checkpoint: ['oldest_seq', 'segment', 'steps_ms'],
  retire: ['segment', 'until', 'by'],
};

export const allEvents: readonly Event[] = namesOf(decisions);

/** All keys that may be shown in a record of an exchange or of access. `prev` and `hash` are not among them. */
export const shownKeys: ReadonlySet<string> = new Set([
  'seq',
  'time',
  'event',
  ...recordKeys.filter((key) => rowOf(key).isShown === true),
]);

export interface View {
  /** For a piece of whole lines, the same lines in their visible form, in order, each with its LF. The piece is not kept. */
  take(piece: Buffer): Buffer;
}

/** Limit of exchanges without a completion: a forged journal must not fill the memory. */
const openMax = 200_000;
/** Completed exchanges that may still get log lines. */
const endedMax = 1000;
const seqPattern = /^\{"seq":(\d{1,16}),/;
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const usersOpening = ',"users":["';
const argumentsHead = `${eventOpening}arguments"`;
const plainNames = /^[ !#-[\]-z|~]+(?:","[ !#-[\]-z|~]+)*$/;
/** A foreign line may contain anything. */
const damagedLine = '{}\n';

/** Shows only exchanges that concern these users. `users`: patterns of policies, in lower case; undefined: everything, as stored. */
export function createView(users: readonly string[] | undefined): View {
  if (users === undefined) return { take: (piece) => piece };
  const covers = createCover(users);
  const globs = new GlobList(users);
  const open = new Set<string>();
  const ended = new Set<string>();

  return {
    take(piece) {
      let shown = '';
      for (let at = 0; at < piece.length; ) {
        const lf = piece.indexOf(0x0a, at);
        const end = lf < 0 ? piece.length : lf;
        shown += line(piece, at, end);
        at = end + 1;
      }
      return Buffer.from(shown);
    },
  };

  function line(piece: Buffer, at: number, end: number): string {
    const text = piece.toString('latin1', at, end);
    const head = readHead(text);
    const seq = seqPattern.exec(text)?.[1];
    if (head === undefined || seq === undefined || !timePattern.test(head.time)) return damagedLine;
    const event = allEvents.find((each) => each === head.event);
    const bare = `{"seq":${Number(seq)},"time":"${head.time}","event":"${event ?? 'unknown'}"`;
    const decision = event === undefined ? 'hidden' : decisions[event];
    // Most lines of a large journal are hidden, and parsing one costs ten times as much as detecting that.
    if (decision === 'hidden' || (decision === 'by-users' && isSurelyHidden(text))) return `${bare}}\n`;
    const record = parseLine(piece.toString('utf8', at, end));
    if (record === undefined) return `${bare}}\n`;
    if (decision !== 'by-users') return `${bare}${membersOf(record, decision)}}\n`;
    if (!isShown(record)) return `${bare}}\n`;
    const shown = Object.entries(record).filter(([key]) => shownKeys.has(key));
    return `${formatRecorded(Object.fromEntries(shown))}\n`;
  }

  /** For a line of an exchange. False: the parsed record decides. */
  function isSurelyHidden(text: string): boolean {
    const at = text.indexOf(usersOpening);
    // Completions and log lines have no users, and argument records follow their admission.
    if (at < 0 || text.startsWith(argumentsHead, text.indexOf(eventOpening))) {
      const id = readWord(text, 'id');
      return id === undefined || (!open.has(id) && !ended.has(id));
    }
    const names = text.slice(at + usersOpening.length, text.indexOf('"]', at));
    // Names with escapes or bytes beyond ASCII, and lists that were cut, need the parser.
    if (!plainNames.test(names)) return false;
    return names.split('","').some((name) => !isMask(name) && !globs.matches(name));
  }

  /** Completions, log lines and argument records follow their admission; without it they are hidden. */
  function isShown(record: StoredRecord): boolean {
    const { event, id } = record;
    // Each step names the users of its request, since a reader may begin at any of them.
    if (event === 'access') return covers(record);
    if (!isText(id)) return false;
    if (event === 'admission') {
      if (!covers(record) || open.size >= openMax) return false;
      open.add(id);
      return true;
    }
    if (!open.has(id)) return ended.has(id);
    if (event === 'completion') {
      open.delete(id);
      ended.add(id);
      if (ended.size > endedMax) for (const oldest of ended) return ended.delete(oldest);
    }
    return true;
  }
}

/**
 * Whether an admission, or a step of access, certainly concerns these users and no others. Not covered: admissions without named users
 * (commands for a server, questions to dovegate), with cut lists, and of unparsed lines, which have no `args`: their users are unknown.
 */
export function createCover(users: readonly string[]): (record: StoredRecord) => boolean {
  const globs = new GlobList(users);
  // A mask with two @ matches no user, and may contain any name before the second one.
  const isMaskCovered = (mask: string): boolean =>
    mask.indexOf('@') === mask.lastIndexOf('@') && isWithin(mask, globs);
  const isCovered = (user: unknown): boolean =>
    isText(user) && user !== '' && (isMask(user) ? isMaskCovered(user) : globs.matches(user));
  return ({ event, user, users: touched, args }) => {
    const all = asList(touched) ?? [];
    if ((event !== 'access' && asList(args) === undefined) || all.length === 0) return false;
    return all.every(isCovered) && (user === undefined || user === '' || isCovered(user));
  };
}

function membersOf(record: StoredRecord, keys: readonly (keyof typeof harmless)[]): string {
  let members = '';
  for (const key of keys) {
    const value = record[key];
    if (value !== undefined && harmless[key](value)) members += `,"${key}":${JSON.stringify(value)}`;
  }
  return members;
}
