// One command on several backends: its rows joined, as they come, and one ending made of all of theirs. A script.
// It does not know how one backend is talked to. The rules: rows go out whole; where nobody can count the cells of a row, one
// backend is asked after the other, and one that breaks off within its reply ends the whole; never silently partial: when one
// of them failed the status is a failure, and the client hears who answered and who did not.

import type { RecordedPart } from '../../domain/audit/record.js';
import { type Ending, judgeEnding } from '../outcome/outcome.js';
import type { Outcome, Verdict } from '../outcome/verdict.js';
import { emptyCount } from '../relay/converse.js';
import type { RelayCount } from '../relay/relay.js';
import { createRowJoiner, createStatusKeeper, type RelayTarget } from '../relay/reply-writer.js';
import type { Carriage } from './carry.js';

/** One way, and where its reply goes, to be made when its turn comes. */
export type StartCarriage = (target: RelayTarget) => Carriage;

/** How one of them ended. */
export interface Part {
  readonly carriage: Carriage;
  readonly ending: Ending;
  readonly verdict: Verdict;
}

/** `cells` of a row of the reply; undefined: nobody knows. Never rejects. `starts` are not empty. */
export async function fanOut(
  starts: readonly StartCarriage[],
  writer: RelayTarget,
  cells: number | undefined,
): Promise<readonly Part[]> {
  if (cells !== undefined) {
    return Promise.all(starts.map((start) => carry(start(createRowJoiner(writer, cells)))));
  }
  const parts: Part[] = [];
  for (const start of starts) {
    const part = await carry(start(createStatusKeeper(writer)));
    parts.push(part);
    // Rows that come behind a cut one would be read as its cells.
    const isCut = part.ending.kind !== 'replied' && (part.carriage.count?.bytesIn ?? 0) > 0;
    if (isCut || isOver(part.ending)) break;
  }
  return parts;
}

async function carry(carriage: Carriage): Promise<Part> {
  const ending = await carriage.run();
  return { carriage, ending, verdict: judgeEnding(ending) };
}

/** The client is gone, or we stop: nobody else is asked. */
function isOver({ kind }: Ending): boolean {
  return kind === 'client-gone' || kind === 'client-stall' || kind === 'client-slow' || kind === 'cut-off';
}

/** The one ending; `backends` are all that should have answered. */
export function joinEndings(parts: readonly Part[], backends: readonly string[]): Ending {
  const outcome = worst(parts.map(({ verdict }) => verdict.outcome));
  const over = parts.find(({ ending, verdict }) => isOver(ending) && verdict.outcome === outcome);
  if (over !== undefined) return over.ending;
  const codes = parts.map(codeOf);
  const isAsked = parts.length === backends.length;
  const isOk = codes.includes('') && codes.every((code) => code === '' || code === 'NOTFOUND');
  // Who did not take all of it gets no status; but what went wrong elsewhere is not made good by that.
  const unread = parts.find(({ ending }) => ending.kind === 'replied' && ending.peer !== 'ready');
  if (isAsked && isOk && unread !== undefined) return unread.ending;
  if (isAsked && isOk) return { kind: 'joined', code: '', outcome: 'ok', error: undefined, text: undefined };
  const failed = [...new Set(codes.filter((code) => code !== ''))];
  // One word that all who failed said is theirs; whatever else is a failure that may pass.
  const [only = 'TEMPFAIL'] = failed;
  const code = isAsked && failed.length === 1 && parts.every(isReplied) ? only : 'TEMPFAIL';
  const silent = parts.filter((part) => !isReplied(part));
  const error = (silent.find(({ verdict }) => verdict.outcome === outcome) ?? silent[0])?.verdict.error;
  return { kind: 'joined', code, outcome, error, text: sayWho(parts, backends) };
}

function isReplied({ ending }: Part): boolean {
  return ending.kind === 'replied';
}

function codeOf({ ending, verdict }: Part): string {
  return ending.kind === 'replied' ? ending.status.code : (verdict.code ?? 'TEMPFAIL');
}

const order: readonly Outcome[] = ['unknown', 'timeout', 'aborted', 'failed'];

function worst(outcomes: readonly Outcome[]): Outcome {
  return order.find((outcome) => outcomes.includes(outcome)) ?? 'failed';
}

/** `mail1 answered; mail2: -NOTFOUND; mail3 was not asked`. */
function sayWho(parts: readonly Part[], backends: readonly string[]): string {
  const said = parts.map(({ carriage, ending, verdict }) => {
    if (ending.kind !== 'replied') return `${carriage.backend}: ${verdict.text ?? 'failed'}`;
    const { code } = ending.status;
    return code === '' ? `${carriage.backend} answered` : `${carriage.backend}: -${code}`;
  });
  const asked = parts.map(({ carriage }) => carriage.backend);
  const others = backends.filter((name) => !asked.includes(name)).map((name) => `${name} was not asked`);
  return [...said, ...others].join('; ');
}

/** The parts as the completion holds them. */
export function recordedParts(parts: readonly Part[]): readonly RecordedPart[] {
  return parts.map(({ carriage, ending, verdict }) => ({
    backend: carriage.backend,
    upstream: carriage.upstream,
    status: ending.kind === 'replied' ? ending.status.raw.toString('latin1') : undefined,
    outcome: verdict.outcome,
    sent: carriage.isSent,
    cells: carriage.count?.cells,
    bytes_in: carriage.count?.bytesIn,
    error: verdict.error,
  }));
}

/** The ways together. */
export interface Progress {
  /** Of the last way. */
  readonly upstream: string | undefined;
  /** Whether a byte of the command went upstream anywhere. */
  readonly isSent: boolean;
  /** The longest wait for an upstream; undefined: none was leased. */
  readonly waitMs: number | undefined;
  /** Of all replies; undefined: nothing was sent. */
  readonly count: RelayCount | undefined;
}

/** Of these ways, in the order in which they began. */
export function progressOf(carriages: readonly Carriage[]): Progress {
  const only = carriages[0];
  if (only !== undefined && carriages.length === 1) return only;
  let waitMs: number | undefined;
  let count: RelayCount | undefined;
  for (const carriage of carriages) {
    if (carriage.waitMs !== undefined) waitMs = Math.max(waitMs ?? 0, carriage.waitMs);
    if (carriage.count !== undefined)
      count = count === undefined ? carriage.count : sum(count, carriage.count);
  }
  return {
    upstream: carriages.at(-1)?.upstream,
    isSent: carriages.some((carriage) => carriage.isSent),
    waitMs,
    count,
  };
}

function sum(one: RelayCount, other: RelayCount): RelayCount {
  const both = emptyCount();
  for (const { logs } of [one, other]) {
    for (const [type, lines] of logs) both.logs.set(type, (both.logs.get(type) ?? 0) + lines);
  }
  const firsts = [one.firstByteMs, other.firstByteMs].filter((ms) => ms !== undefined);
  both.cells = one.cells + other.cells;
  both.bytesIn = one.bytesIn + other.bytesIn;
  both.firstByteMs = firsts.length === 0 ? undefined : Math.min(...firsts);
  return both;
}
