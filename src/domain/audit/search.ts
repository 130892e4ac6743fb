// Finds exchanges in a trail: pairs each admission with its completion and gives one row. A decoder over pieces of whole
// lines; what cannot match is skipped without being parsed, since journals are searched by the GiB.
// The rule: damage is stepped over. What a damaged journal still says can be found; what can be trusted, verify says.

import { quote } from './encode.js';
import { parseLine } from './line.js';
import { createUserSearch, glob, shown, type UserSearch } from './search-user.js';
import { formatTime, parseTime } from './time.js';

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
        const time = piece.toString('latin1', eventAt - timeBytesBefore, eventAt - timeBytesBefore + 24);
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
/** From the time's text to the event's: the 24 characters, and `","event":"`. */
const timeBytesBefore = 24 + 11;

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
  let comma = at + 8;
  while (piece[comma] !== 0x2c) {
    comma += 1;
    if (comma > at + 24) return Infinity;
  }
  return comma + 44;
}
