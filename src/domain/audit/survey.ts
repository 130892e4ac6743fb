// What a search without a hit by name looked through: how many records, from when to when, and which users have a name like the one that was
// looked for. Reads lines by their bytes; damage is stepped over.

import { foldAscii } from '../identity/user-name.js';
import { quote } from './encode.js';
import { eventOpening, formatTime, parseLine, timeAtMax, timeChars, timeOpening } from './record.js';
import { noteRetired, type RetiredRecords } from './verify.js';

/** What was looked through. Times are those of records. */
export interface Surveyed {
  /** Of all events, in the time that was asked for. */
  readonly records: number;
  /** Of the whole trail. */
  readonly all: number;
  readonly firstTime: string | undefined;
  readonly lastTime: string | undefined;
  /** Users whose name is the one that was looked for, and a domain: the first few. */
  readonly names: readonly string[];
}

/** Fed with a trail in its order, in pieces of whole lines. */
export interface Survey {
  take(piece: Buffer): void;
  finish(): Surveyed;
}

const namesMax = 3;
/** A name that stands in many lines and is nobody's user is not looked at for ever. */
const parsedMax = 10_000;
const timeText = Buffer.from(timeOpening);

/** `user`: the name that was looked for; times in Unix milliseconds, from and before. */
export function createSurvey(asked: {
  readonly user?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}): Survey {
  const since = asked.sinceMs === undefined ? '' : formatTime(asked.sinceMs);
  const until = asked.untilMs === undefined ? '~' : formatTime(asked.untilMs);
  const wanted = foldAscii(asked.user ?? '');
  const needle = wanted === '' || wanted.includes('*') ? undefined : Buffer.from(quote(wanted).slice(0, -1));
  const names = new Set<string>();
  let parsed = 0;
  let records = 0;
  let all = 0;
  let firstTime: string | undefined;
  let lastTime: string | undefined;

  function findNames(piece: Buffer): void {
    if (needle === undefined) return;
    for (let at = piece.indexOf(needle); at >= 0; at = piece.indexOf(needle, at + 1)) {
      if (names.size >= namesMax || parsed >= parsedMax) return;
      parsed += 1;
      const lf = piece.indexOf(0x0a, at);
      const record = parseLine(
        piece.toString('utf8', piece.lastIndexOf(0x0a, at) + 1, lf < 0 ? piece.length : lf),
      );
      const users = record?.['users'];
      for (const user of [record?.['user'], ...(Array.isArray(users) ? users : [])]) {
        if (typeof user === 'string' && user.startsWith(`${wanted}@`)) names.add(user);
      }
    }
  }

  return {
    take(piece) {
      for (let at = 0; at < piece.length; ) {
        const lf = piece.indexOf(0x0a, at);
        const end = lf < 0 ? piece.length : lf;
        const timeAt = piece.indexOf(timeText, at);
        if (timeAt >= 0 && timeAt < Math.min(at + timeAtMax, end)) {
          const start = timeAt + timeText.length;
          const time = piece.toString('latin1', start, start + timeChars);
          firstTime ??= time;
          lastTime = time;
          all += 1;
          if (time >= since && time < until) records += 1;
        }
        at = end + 1;
      }
      findNames(piece);
    },
    finish: () => ({ records, all, firstTime, lastTime, names: [...names].slice(0, namesMax) }),
  };
}

const retireText = Buffer.from(`${eventOpening}retire"`);

/** What retention removed, by the retire records of the pieces that are searched. */
export function createRetirements(): {
  take(piece: Buffer): void;
  /** What was removed and may be of that time or later. */
  since(timeMs: number | undefined): RetiredRecords[];
} {
  const retired = new Map<RetiredRecords['by'], RetiredRecords>();
  return {
    take(piece) {
      for (let at = piece.indexOf(retireText); at >= 0; at = piece.indexOf(retireText, at + 1)) {
        const lf = piece.indexOf(0x0a, at);
        const start = piece.lastIndexOf(0x0a, at) + 1;
        const record = parseLine(piece.toString('utf8', start, lf < 0 ? piece.length : lf));
        if (record !== undefined) noteRetired(retired, record);
      }
    },
    since(timeMs) {
      const from = timeMs === undefined ? '' : formatTime(timeMs);
      return [...retired.values()].filter(({ until }) => until === undefined || until > from);
    },
  };
}
