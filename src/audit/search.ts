// Finds exchanges in a trail: pairs each admission with its completion and gives one row. A decoder over pieces of whole
// lines; what cannot match is skipped without being parsed, since journals are searched by the GiB.
// The rule: damage is stepped over. What a damaged journal still says can be found; what can be trusted, verify says.

import { quote } from './encode.js';
import { isObject, parseLine } from './line.js';
import { parseTime } from './time.js';

/** All that are given must match. */
export interface TrailFilter {
  /** `*` stands for any characters. */
  readonly user?: string | undefined;
  readonly principal?: string | undefined;
  /** A command's name, or the words that it begins with: `mailbox` finds `mailbox list`. */
  readonly command?: string | undefined;
  readonly listener?: string | undefined;
  readonly backend?: string | undefined;
  readonly decision?: string | undefined;
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

interface Admitted {
  readonly record: Stored;
  readonly hasText: boolean;
}

/** Exchanges that wait for their completion; a forged journal shall not fill the memory. */
const waitingMax = 200_000;

/** A search that has seen nothing yet. */
export function createSearch(filter: TrailFilter): TrailSearch {
  const waiting = new Map<string, Admitted>();
  const needle = needleOf(filter);
  const textNeedle = filter.text === undefined ? undefined : Buffer.from(quote(filter.text).slice(1, -1));
  const isUser = filter.user === undefined ? undefined : glob(filter.user);
  const isPrincipal = filter.principal === undefined ? undefined : glob(filter.principal);

  return {
    take(piece) {
      const rows: ExchangeRow[] = [];
      let hit = -1;
      for (let at = 0; at < piece.length; ) {
        if (needle !== undefined && hit < at) hit = from(piece.indexOf(needle, at));
        if (waiting.size === 0 && hit > at) {
          // Nothing before the next hit can matter.
          if (hit === Infinity) break;
          at = piece.lastIndexOf(0x0a, hit) + 1;
        }
        const end = from(piece.indexOf(0x0a, at), piece.length);
        const kind = kindAt(piece, at);
        if (kind === 'admission' && (needle === undefined || hit < end)) admit(piece.subarray(at, end));
        else if (kind === 'completion') complete(piece.subarray(at, end), rows);
        at = end + 1;
      }
      return rows;
    },
    finish() {
      const rows = [...waiting.values()].map((admitted) => row(admitted, undefined, false));
      waiting.clear();
      return rows.filter((one) => one !== undefined);
    },
  };

  function admit(line: Buffer): void {
    const record = parseLine(line.toString('utf8'));
    if (record === undefined || !isAdmissionWanted(record) || waiting.size >= waitingMax) return;
    const { id } = record;
    if (typeof id === 'string') waiting.set(id, { record, hasText: hasText(line) });
  }

  function complete(line: Buffer, rows: ExchangeRow[]): void {
    if (waiting.size === 0) return;
    const at = line.indexOf(idText) + idText.length;
    const id = line.toString('latin1', at, line.indexOf(0x22, at));
    const admitted = waiting.get(id);
    if (admitted === undefined) return;
    waiting.delete(id);
    const found = row(admitted, parseLine(line.toString('utf8')), hasText(line));
    if (found !== undefined) rows.push(found);
  }

  function hasText(line: Buffer): boolean {
    return textNeedle === undefined || line.includes(textNeedle);
  }

  function isAdmissionWanted(record: Stored): boolean {
    if (isUser?.(shown(record['user'])) === false) return false;
    if (isPrincipal?.(shown(record['principal'])) === false) return false;
    for (const key of ['listener', 'decision', 'id', 'session'] as const) {
      if (filter[key] !== undefined && record[key] !== filter[key]) return false;
    }
    const { command } = filter;
    const name = shown(record['command']);
    if (command !== undefined && name !== command && !name.startsWith(`${command} `)) return false;
    if (filter.sinceMs === undefined && filter.untilMs === undefined) return true;
    const timeMs = parseTime(shown(record['time'])) ?? 0;
    return timeMs >= (filter.sinceMs ?? 0) && timeMs < (filter.untilMs ?? Infinity);
  }

  /** Undefined: the filter asks for another end. */
  function row(
    admitted: Admitted,
    completion: Stored | undefined,
    isTextLater: boolean,
  ): ExchangeRow | undefined {
    if (!admitted.hasText && !isTextLater) return undefined;
    const { seq, time, event: _, prev: _p, hash: _h, ...more } = completion ?? {};
    const { event: _e, prev: _q, hash: _i, seq: admittedSeq, ...fields } = admitted.record;
    const merged = { ...fields, ...more };
    const outcome = completion === undefined ? 'open' : merged['outcome'];
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

/** What is shown of a recorded text: itself, or the start of one that was cut. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isObject(value)) return '';
  return typeof value['cut'] === 'string' ? value['cut'] : '';
}

const idText = Buffer.from(',"id":"');

/** Bytes that stand in every admission that the filter wants; undefined: there is nothing so sure. */
function needleOf(filter: TrailFilter): Buffer | undefined {
  for (const key of ['id', 'user', 'session', 'principal', 'listener', 'decision'] as const) {
    const value = filter[key];
    if (value === undefined || value.includes('*')) continue;
    return Buffer.from(`,"${key}":${quote(value)}`);
  }
  return undefined;
}

/** A pattern with `*` for any characters, in linear time; cut values match as far as they go. */
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

function from(at: number, otherwise = Infinity): number {
  return at < 0 ? otherwise : at;
}

/** The event of the line that begins at `at`, as far as it matters here, by where it must stand. */
function kindAt(piece: Buffer, at: number): 'admission' | 'completion' | undefined {
  let comma = at + 8;
  while (piece[comma] !== 0x2c) {
    comma += 1;
    if (comma > at + 24) return undefined;
  }
  const eventAt = comma + 44;
  if (piece[eventAt] === 0x61) return 'admission';
  return piece[eventAt] === 0x63 && piece[eventAt + 1] === 0x6f ? 'completion' : undefined;
}
