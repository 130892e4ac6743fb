// What the screens "now" and "backends" say of what runs and of what went wrong, in words.

import type { BackendNow, JournalNow, NowTiles, RunningCommand, Trouble } from '../../gate/now/now.js';
import { countWords, daysWords, durationWords } from '../../host/words/words.js';
import { dayWords } from './wording.js';

/** A state in words, and how bad that is. */
export interface Toned {
  readonly tone: 'good' | 'warn' | 'bad' | 'quiet';
  readonly word: string;
}

/** The requester and the listener: a principal includes its listener; a client that is not logged in has no principal. */
export function whoAsked({ principal, listener }: Pick<Trouble, 'principal' | 'listener'>): string {
  if (listener === undefined || principal.endsWith(`@${listener}`)) return principal;
  return `${principal}@${listener}`;
}

/** Denials and failures of one cause, with those that are the same in one row each. */
export interface CauseRow extends Trouble {
  readonly count: number;
  readonly since: string;
  readonly rows: readonly Trouble[];
}

/** Groups by cause: the sentence and where. Within a cause, one requester and command make one row. Newest first, causes and rows. */
export function causesOf(troubles: readonly Trouble[]): readonly CauseRow[] {
  const causes = new Map<string, CauseRow>();
  for (const row of troubles) {
    const { kind, text, backend = '', owner, policy = '', count = 1, at, since = at } = row;
    const key = [kind, text, backend, owner, policy].join('\n');
    const cause = causes.get(key);
    causes.set(key, {
      ...(cause ?? row),
      count: (cause?.count ?? 0) + count,
      since: cause === undefined || since < cause.since ? since : cause.since,
      rows: [...(cause?.rows ?? []), row],
    });
  }
  return [...causes.values()];
}

/** The value that all rows have in common, or how many different ones there are. */
export function commonWords(rows: readonly Trouble[], of: (row: Trouble) => string, many: string): string {
  const all = new Set(rows.map(of));
  const [only = ''] = all;
  return all.size === 1 ? only : `${countWords(all.size)} ${many}`;
}

export function runningLine(command: RunningCommand): string {
  const { user, backend, isOverdue, durationMs } = command;
  const whom = user === undefined ? '' : ` for ${user}`;
  const where =
    backend === undefined
      ? ', not yet at a backend'
      : command.isWaiting === true
        ? `, waiting for ${backend}`
        : ` at ${backend}`;
  const late = isOverdue === true ? ', overdue' : '';
  return `${command.command} of ${whoAsked(command)}${whom}${where}, for ${durationWords(durationMs)}${late}`;
}

/** A shorter wait is normal for a pool that is in use. */
const waitMsMin = 1000;

export function waitingTone({ waiting, oldestWaitMs }: NowTiles): 'good' | 'warn' {
  return waiting > 0 && oldestWaitMs > waitMsMin ? 'warn' : 'good';
}

/** Some commands always fail, such as for unknown users: red only from this number on, and from a share of all. */
const failuresMin = 5;
const failuresShareMin = 0.01;
const stepSeconds = 5;

export function failedTone({ failed, history }: NowTiles): 'bad' | 'good' {
  const ended = history.reduce((sum, perSecond) => sum + perSecond * stepSeconds, 0);
  return failed >= failuresMin && failed >= ended * failuresShareMin ? 'bad' : 'good';
}

export function journalState({ state, missingSeq }: Pick<JournalNow, 'state' | 'missingSeq'>): Toned {
  const word = { writable: 'written', reserve: 'on its reserve', failed: 'cannot be written' }[state];
  const tone = ({ writable: 'good', reserve: 'warn', failed: 'bad' } as const)[state];
  return { tone: missingSeq === undefined ? tone : 'bad', word };
}

export function backendState(backend: BackendNow): Toned {
  if (backend.health === 'drained') return { tone: 'warn', word: 'drained' };
  if (!backend.isUp) return { tone: 'bad', word: 'down' };
  if (backend.waiting > 0) return { tone: 'warn', word: 'up, full' };
  return { tone: 'good', word: 'up' };
}

/** States of the boxes for a backend's upstreams, in drawing order. */
export type Box = 'leased' | 'idle' | 'dialing' | 'free';

/** At most `max` boxes; undefined: there are more, so only words are shown. */
export function boxesOf({ connections, leased, idle, dialing }: BackendNow, max: number): Box[] | undefined {
  const open = leased + idle + dialing;
  const whole = Math.max(connections, open);
  if (whole > max) return undefined;
  const of = (box: Box, count: number): Box[] => Array<Box>(Math.max(0, count)).fill(box);
  return [
    ...of('leased', leased),
    ...of('idle', idle),
    ...of('dialing', dialing),
    ...of('free', whole - open),
  ];
}

export function boxesWords({ connections, leased, idle, dialing }: BackendNow): string {
  const parts = [
    `${countWords(leased)} busy`,
    `${countWords(idle)} idle`,
    ...(dialing > 0 ? [`${countWords(dialing)} dialing`] : []),
  ];
  return `${parts.join(', ')}, of ${countWords(connections)}`;
}

const stepWords: Readonly<Record<string, string>> = {
  dial: 'connecting',
  tls: 'TLS',
  greeting: 'greeting',
  authentication: 'password',
  reply: 'reply',
};

/** Failed dials by step, the most first; empty: none failed. */
export function failedDials({ failed }: BackendNow): { readonly step: string; readonly count: number }[] {
  return Object.entries(failed)
    .filter(([, count]) => count > 0)
    .map(([step, count]) => ({ step: stepWords[step] ?? step, count }))
    .toSorted((one, other) => other.count - one.count);
}

/** What is left of a certificate, and whether that is little. Both are RFC 3339. */
export function certificateLeft(ends: string, now: string): Toned {
  const leftMs = Date.parse(ends) - Date.parse(now);
  if (Number.isNaN(leftMs)) return { tone: 'quiet', word: ends };
  if (leftMs < 0) return { tone: 'bad', word: `its last day was ${dayWords(ends)}` };
  const days = Math.floor(leftMs / 86_400_000);
  const word = `${daysWords(leftMs)} left, until ${dayWords(ends)}`;
  return { tone: days < 3 ? 'bad' : days < 21 ? 'warn' : 'quiet', word };
}
