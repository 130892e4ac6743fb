// Finds exchanges in a trail: pairs each admission with its completion and gives one row. A decoder over pieces of whole
// lines; what cannot match is skipped without being parsed, since journals are searched by the GiB.
// The rules: damage is stepped over; verify says what can be trusted. A record that does not name all users it touches is a hit: a
// user must not be missed because a list was too long to be recorded.

import { foldAscii } from '../identity/user-name.js';
import { GlobList, globLengthMax, maskCovers, mayOverlap } from '../names/glob.js';
import { quote } from './encode.js';
import {
  eventOpening,
  formatTime,
  isObject,
  parseLine,
  parseTime,
  timeAtMax,
  timeChars,
  timeOpening,
} from './record.js';

/** All that are given must match. */
export interface TrailFilter {
  /** Whom the command touches, in arguments, too, and through a mask that covers it; `*` stands for any characters. */
  readonly user?: string | undefined;
  readonly principal?: string | undefined;
  /** A command's name, or the words that it begins with: `mailbox` finds `mailbox list`. */
  readonly command?: string | undefined;
  readonly listener?: string | undefined;
  readonly backend?: string | undefined;
  readonly decision?: string | undefined;
  /** What the command could do at most, a word of the catalog's list. */
  readonly effect?: string | undefined;
  /** A word of the closed list, or `open`: without completion. */
  readonly outcome?: string | undefined;
  readonly id?: string | undefined;
  readonly session?: string | undefined;
  /** Milliseconds since 1970 of the admission: from, and before. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Stands anywhere in one of the two records, as it is written there. */
  readonly text?: string | undefined;
}

type Stored = Readonly<Record<string, unknown>>;

/** One exchange: the keys of its admission, then what its completion adds. Values as they were recorded, cut ones too. */
export interface ExchangeRow {
  readonly fields: Stored;
  /** Seq of the two records; undefined: it was not found. */
  readonly admittedSeq: number | undefined;
  readonly completedSeq: number | undefined;
  readonly completedTime: string | undefined;
}

/** One search, fed with the trail in its order. */
export interface TrailSearch {
  /** A piece of whole lines; rows come when their completion does. */
  take(piece: Buffer): ExchangeRow[];
  /** The exchanges that are still open. */
  finish(): ExchangeRow[];
}

/** Exchanges that wait for their completion; a forged journal shall not fill the memory. */
const waitingMax = 200_000;

/** A search that has seen nothing yet. */
export function createSearch(filter: TrailFilter): TrailSearch {
  /** Admissions that may be wanted, by id: where in this piece, and copies of those of earlier ones. */
  const here = new Map<string, number>();
  const before = new Map<string, Buffer>();
  // Everybody's commands are wanted, also those that touch nobody.
  const user =
    filter.user === undefined || /^\*+$/.test(filter.user) ? undefined : createUserSearch(filter.user);
  const byBytes = createByteTests(filter, user);
  const isPrincipal = filter.principal === undefined ? undefined : glob(filter.principal);

  return {
    take(piece) {
      const rows: ExchangeRow[] = [];
      const { needles } = byBytes;
      const hits = needles?.map(() => -1);
      let hit = -1;
      for (let at = 0; at < piece.length; ) {
        if (needles !== undefined && hits !== undefined && hit < at) hit = nextHit(piece, at, needles, hits);
        if (here.size + before.size === 0 && hit > at) {
          // Nothing before the next hit can matter.
          if (hit === Infinity) break;
          at = piece.lastIndexOf(0x0a, hit) + 1;
        }
        const end = from(piece.indexOf(0x0a, at), piece.length);
        const eventAt = eventPlace(piece, at);
        if (piece[eventAt] === 0x61 && (needles === undefined || hit < end)) admit(piece, at, end, eventAt);
        else if (piece[eventAt] === 0x63 && piece[eventAt + 1] === 0x6f)
          complete(piece, at, end, eventAt, rows);
        at = end + 1;
      }
      // Whoever gave the piece has it back now.
      for (const [id, at] of here) before.set(id, Buffer.from(lineAt(piece, at)));
      here.clear();
      return rows;
    },
    finish() {
      const rows = [...before.values()].map((line) => row(line, undefined));
      before.clear();
      return rows.filter((one) => one !== undefined);
    },
  };

  function admit(piece: Buffer, at: number, end: number, eventAt: number): void {
    if (here.size + before.size >= waitingMax || !byBytes.isWanted(piece, at, end, eventAt)) return;
    const id = idBehind(piece, eventAt, end);
    if (id !== undefined) here.set(id, at);
  }

  function complete(piece: Buffer, at: number, end: number, eventAt: number, rows: ExchangeRow[]): void {
    if (here.size + before.size === 0) return;
    const id = idBehind(piece, eventAt, end) ?? '';
    const place = here.get(id);
    const admission = place === undefined ? before.get(id) : lineAt(piece, place);
    if (admission === undefined) return;
    if (place === undefined) before.delete(id);
    else here.delete(id);
    const completion = piece.subarray(at, end);
    if (!byBytes.isPairWanted(admission, completion)) return;
    const found = row(admission, completion);
    if (found !== undefined) rows.push(found);
  }

  function isAdmissionWanted(record: Stored): boolean {
    if (user?.isWanted(record) === false) return false;
    if (isPrincipal?.(shown(record['principal'])) === false) return false;
    for (const key of ['listener', 'decision', 'effect', 'id', 'session'] as const) {
      if (filter[key] !== undefined && record[key] !== filter[key]) return false;
    }
    const { command } = filter;
    const name = shown(record['command']);
    if (command !== undefined && name !== command && !name.startsWith(`${command} `)) return false;
    if (filter.sinceMs === undefined && filter.untilMs === undefined) return true;
    const timeMs = parseTime(shown(record['time'])) ?? 0;
    return timeMs >= (filter.sinceMs ?? 0) && timeMs < (filter.untilMs ?? Infinity);
  }

  /** Undefined: it is not what the filter asks for, or not what it seemed to be. */
  function row(admission: Buffer, completion: Buffer | undefined): ExchangeRow | undefined {
    const admitted = parseLine(admission.toString('utf8'));
    if (admitted === undefined || typeof admitted['id'] !== 'string' || !isAdmissionWanted(admitted))
      return undefined;
    const ended = completion === undefined ? undefined : parseLine(completion.toString('utf8'));
    if (!byBytes.hasText(admission) && (completion === undefined || !byBytes.hasText(completion)))
      return undefined;
    const { seq, time, event: _, prev: _p, hash: _h, ...more } = ended ?? {};
    const { event: _e, prev: _q, hash: _i, seq: admittedSeq, ...fields } = admitted;
    const merged = { ...fields, ...more };
    const outcome = ended === undefined ? 'open' : merged['outcome'];
    if (filter.outcome !== undefined && outcome !== filter.outcome) return undefined;
    if (filter.backend !== undefined && merged['backend'] !== filter.backend) return undefined;
    return {
      fields: merged,
      admittedSeq: typeof admittedSeq === 'number' ? admittedSeq : undefined,
      completedSeq: typeof seq === 'number' ? seq : undefined,
      completedTime: typeof time === 'string' ? time : undefined,
    };
  }
}

/** What the bytes of a line tell of it: no is certain, yes is to be looked at again once it is parsed. */
interface ByteTests {
  /** One of these stands in every admission that is wanted; undefined: there is nothing so sure. */
  readonly needles: readonly Buffer[] | undefined;
  isWanted(piece: Buffer, at: number, end: number, eventAt: number): boolean;
  isPairWanted(admission: Buffer, completion: Buffer): boolean;
  hasText(line: Buffer): boolean;
}

function createByteTests(filter: TrailFilter, user: UserSearch | undefined): ByteTests {
  const single = needlesOf(filter);
  // Ids and sessions are the most particular, then users.
  const isByUser = user?.needles !== undefined && filter.id === undefined && filter.session === undefined;
  const [needle] = single;
  const others = isByUser ? single : single.slice(1);
  const { sinceMs, untilMs, outcome, backend } = filter;
  const since = sinceMs === undefined ? undefined : formatTime(Math.floor(sinceMs));
  const until = untilMs === undefined ? undefined : formatTime(Math.ceil(untilMs));
  const text = filter.text === undefined ? undefined : Buffer.from(quote(filter.text).slice(1, -1));
  const ended = outcome === undefined ? undefined : Buffer.from(`,"outcome":${quote(outcome)}`);
  const served = backend === undefined ? undefined : Buffer.from(`,"backend":${quote(backend)}`);
  const hasText = (line: Buffer): boolean => text === undefined || line.includes(text);
  return {
    needles: isByUser ? user.needles : needle && [needle],
    hasText,
    isWanted(piece, at, end, eventAt) {
      if (since !== undefined || until !== undefined) {
        const time = piece.toString('latin1', eventAt - eventAfterTime, eventAt - eventOpening.length);
        if (since !== undefined && time < since) return false;
        if (until !== undefined && time > until) return false;
      }
      if (others.length === 0 && user === undefined) return true;
      const line = piece.subarray(at, end);
      if (user?.isLineWanted(line) === false) return false;
      return others.every((other) => line.includes(other));
    },
    isPairWanted(admission, completion) {
      if (ended !== undefined && !completion.includes(ended)) return false;
      if (served !== undefined && !completion.includes(served) && !admission.includes(served)) return false;
      return hasText(completion) || hasText(admission);
    },
  };
}

const idText = Buffer.from(',"id":"');
const eventAfterTime = timeChars + eventOpening.length;

/** What is most particular comes first: the search goes from one to the next. */
function needlesOf(filter: TrailFilter): Buffer[] {
  const needles: Buffer[] = [];
  for (const key of ['id', 'session', 'principal', 'command', 'listener', 'decision', 'effect'] as const) {
    const value = filter[key];
    if (value === undefined) continue;
    const isGlob = key === 'principal' && value.includes('*');
    if (key === 'command') needles.push(Buffer.from(`,"command":${quote(value).slice(0, -1)}`));
    else if (!isGlob) needles.push(Buffer.from(`,"${key}":${quote(value)}`));
    else needles.push(...partsOf(value));
  }
  return needles;
}

/** The parts of a pattern as they stand in a line: the first behind a quote, the last before one, also in a value that was cut. */
function partsOf(pattern: string): Buffer[] {
  const parts = pattern.split('*');
  return parts.flatMap((part, at) => {
    if (part === '') return [];
    return [Buffer.from(quote(part).slice(at === 0 ? 0 : 1, at === parts.length - 1 ? undefined : -1))];
  });
}

/** Where the next needle stands; `hits`: where each was found last, before which it stands nowhere. */
function nextHit(piece: Buffer, at: number, needles: readonly Buffer[], hits: number[]): number {
  let first = Infinity;
  for (const [index, needle] of needles.entries()) {
    const known = hits[index] ?? -1;
    const hit = known < at ? from(piece.indexOf(needle, at)) : known;
    hits[index] = hit;
    if (hit < first) first = hit;
  }
  return first;
}

function from(at: number, otherwise = Infinity): number {
  return at < 0 ? otherwise : at;
}

/** The line that begins at a place, without its LF. */
function lineAt(piece: Buffer, at: number): Buffer {
  return piece.subarray(at, from(piece.indexOf(0x0a, at), piece.length));
}

/** The id of a line, which stands behind its event. */
function idBehind(piece: Buffer, eventAt: number, end: number): string | undefined {
  const at = piece.indexOf(idText, eventAt) + idText.length;
  if (at < idText.length || at >= end) return undefined;
  const close = piece.indexOf(0x22, at);
  return close < 0 || close > end ? undefined : piece.toString('latin1', at, close);
}

/** Where the text of the event of the line at `at` must begin; beyond the piece: this is no line of ours. */
function eventPlace(piece: Buffer, at: number): number {
  let comma = at + '{"seq":0'.length;
  while (piece[comma] !== 0x2c) {
    comma += 1;
    if (comma > at + timeAtMax) return Infinity;
  }
  return comma + timeOpening.length + eventAfterTime;
}

/** Answers for one pattern: a name, in which `*` stands for any characters. */
export interface UserSearch {
  /** One of these stands in the line of every admission that is wanted; undefined: there is nothing so sure. */
  readonly needles: readonly Buffer[] | undefined;
  /** Of the line of an admission: no is certain, yes is to be looked at again once it is parsed. */
  isLineWanted(line: Buffer): boolean;
  isWanted(record: Readonly<Record<string, unknown>>): boolean;
  /** Whether it names such a user, and not only a mask or a list without an end that covers one. */
  isNamed(record: Readonly<Record<string, unknown>>): boolean;
}

/**
 * What may stand for anybody, in records of this release and of older ones. Needles of at most seven bytes that begin with a rare one are
 * found ten times faster than others (Node 20).
 */
const wildcards = ['*', '?', '{"more"', '{"cut"', '-A"'].map((text) => Buffer.from(text));
const usersText = Buffer.from(',"users":[');
const cutText = Buffer.from('{"');

/** For `pattern`, in any case: names are recorded in small letters, but not those that were refused for what they are. */
export function createUserSearch(pattern: string): UserSearch {
  const exact = createExactSearch(pattern);
  const folded = foldAscii(pattern);
  if (folded === pattern) return exact;
  const small = createExactSearch(folded);
  return {
    needles: exact.needles && small.needles && [...small.needles, ...exact.needles.slice(0, 1)],
    isLineWanted: (line) => small.isLineWanted(line) || exact.isLineWanted(line),
    isWanted: (record) => small.isWanted(record) || exact.isWanted(record),
    isNamed: (record) => small.isNamed(record) || exact.isNamed(record),
  };
}

function createExactSearch(pattern: string): UserSearch {
  const isNamed = glob(pattern);
  const covers = coverTest(pattern);
  const [longest = ''] = pattern.split('*').toSorted((one, other) => other.length - one.length);
  const name = longest === '' ? undefined : Buffer.from(quote(longest).slice(1, -1));

  function isTouched(value: unknown): boolean {
    if (typeof value === 'string') return /[*?]/.test(value) ? covers(value) : isNamed(value);
    // The rest of a list that was cut may hold anybody, and the rest of a name any text.
    if (!isObject(value)) return false;
    return 'more' in value || (typeof value['cut'] === 'string' && covers(`${value['cut']}*`));
  }

  /** Of a release that recorded no users: who stands in the arguments counts. */
  function isInArguments(args: unknown, user: unknown): boolean {
    if (!Array.isArray(args)) return false;
    return args.some((word: unknown) => {
      if (word === '-A') return true;
      if (typeof word !== 'string') return isTouched(word);
      const subject = word.startsWith('user=') ? word.slice('user='.length) : word;
      if (!/[*?]/.test(subject)) return subject !== '' && isNamed(subject);
      // Most masks of a command for one user are of mailboxes.
      return (user === undefined || user === '' || subject.includes('@')) && covers(subject);
    });
  }

  return {
    needles: name && [name, ...wildcards],
    isLineWanted(line) {
      if (name === undefined || line.includes(name)) return true;
      const at = line.indexOf(usersText);
      if (at < 0) return true;
      const rest = line.subarray(at + usersText.length);
      return rest.includes(0x2a) || rest.includes(0x3f) || rest.includes(cutText);
    },
    isWanted({ user, users, args }) {
      if (isNamed(shown(user))) return true;
      return Array.isArray(users) ? users.some(isTouched) : isInArguments(args, user);
    },
    isNamed({ user, users, args }) {
      const words: unknown[] = Array.isArray(users) ? users : Array.isArray(args) ? args : [];
      const isName = (word: unknown): boolean =>
        typeof word === 'string' && !/[*?]/.test(word) && isNamed(word.replace(/^user=/, ''));
      return isNamed(shown(user)) || words.some(isName);
    },
  };
}

/** Whether a mask of a command may mean somebody whom the pattern means. */
function coverTest(pattern: string): (mask: string) => boolean {
  if (!pattern.includes('*')) return (mask) => maskCovers(mask, pattern);
  if (pattern.length > globLengthMax) return () => true;
  const globs = new GlobList([pattern]);
  return (mask) => mayOverlap(mask, globs);
}

/** What is shown of a recorded text: itself, or the start of one that was cut. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isObject(value)) return '';
  return typeof value['cut'] === 'string' ? value['cut'] : '';
}

/** A pattern with `*` for any characters, in linear time; cut values match as far as they go. Unlike policies' patterns of any length. */
function glob(pattern: string): (text: string) => boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (text) => text === first;
  return (text) => {
    if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last))
      return false;
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= text.length - last.length;
  };
}
