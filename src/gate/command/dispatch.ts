// Sends an allowed and recorded command to one backend, to the one that this refers to, or to several at once, whose rows are joined as
// they come and whose endings become one. A change is never sent twice; a read is sent once more if no byte of its reply came. A referral
// is followed once, to a configured backend, for the same user. Two commands on one user's mail never run on two backends at once. Rows of
// several backends go out whole. If the number of cells in a row is unknown, backends are used one after the other, and one that breaks off
// within its reply ends the command. Results are never silently partial: if a backend failed, the status is a failure that names those that
// answered and those that did not.

import { statusMeaning } from '../../doveadm/codes/codes.js';
import { replyShape } from '../../doveadm/meaning/columns.js';
import { namesSeveral } from '../../doveadm/meaning/reach.js';
import { TransportFault, UpstreamFault } from '../../host/ports/faults.js';
import type { RecordedOutcome, RecordedPart } from '../../journal/records/keys.js';
import type { Judged, Judgement } from '../../rules/policy/judge.js';
import { type Ending, isEnding, judgeEnding, type Verdict } from '../outcome/outcome.js';
import { RelayCount } from '../relay/relay.js';
import { createJoinedTarget } from '../relay/reply-writer.js';
import type { Destination } from './assessment.js';
import { type AttemptProgress, BackendAttempt, type DispatchedCommand } from './backend-attempt.js';
import { recheckAt } from './recheck.js';

export interface Part {
  readonly attempt: AttemptProgress;
  readonly ending: Ending;
}

/**
 * Runs the first attempt, or the attempts at all backends. `attempts`: every attempt is added when it begins. Never rejects. Pass the
 * ending to `followUp`; nearly always it is `replied`, and nothing follows.
 */
export function dispatch(command: DispatchedCommand, attempts: BackendAttempt[]): Promise<Ending> {
  const [first] = command.destinations;
  if (first === undefined) throw new Error('a command was dispatched to nobody');
  if (command.destinations.length > 1) return dispatchToAll(command, attempts);
  return attemptAt(command, attempts, first);
}

/** Continues after a single attempt: repeats it, or follows a referral. Never rejects. */
export async function followUp(
  command: DispatchedCommand,
  attempts: BackendAttempt[],
  ended: Ending,
): Promise<Ending> {
  const [first] = command.destinations;
  let attempt = attempts[0];
  if (first === undefined || attempt === undefined || command.destinations.length > 1) return ended;
  let ending = ended;
  if (shouldTryAgain(command, attempt, ending)) {
    ending = await attemptAt(command, attempts, first);
    attempt = attempts.at(-1) ?? attempt;
  }
  if (!isEnding(ending, 'referral')) return ending;
  const next = follow(command, first, ending.target, attempt);
  if ('reason' in next) return { ...ending, reason: next.reason };
  const refusal = recheckAt(command, next);
  if (refusal !== undefined) return refusal;
  try {
    await command.records.referred(command.session.names, command.id, first.name, next.name);
  } catch (fault) {
    return { kind: 'fault', fault, isSent: false, backend: next.name };
  }
  ending = await attemptAt(command, attempts, next);
  return isEnding(ending, 'referral') ? { ...ending, reason: 'a referral leads to a referral' } : ending;
}

/**
 * In a dry run: how many mails the command would affect now, at all its backends, found by searches that have records of their own.
 * Resolves to undefined if the command selects no mails of a user by a query, and to an ending if it would not run. Never rejects.
 */
export async function countMails(
  command: DispatchedCommand,
  attempts: BackendAttempt[],
): Promise<number | Ending | undefined> {
  const { parsed, command: asked } = command.judgement.attempt;
  // `import` takes mails from another store.
  if (parsed.query === undefined || asked.scope !== 'user' || asked.name === 'import') return undefined;
  const made = command.destinations.map(
    (destination) => new BackendAttempt(command, destination, command.session.writer),
  );
  attempts.push(...made);
  const endings = await Promise.all(made.map((attempt) => attempt.run()));
  const failed = endings.find(({ kind }) => kind !== 'answered');
  return failed ?? made.reduce((mails, { matches = 0 }) => mails + matches, 0);
}

async function dispatchToAll(command: DispatchedCommand, attempts: BackendAttempt[]): Promise<Ending> {
  const { destinations, judgement, session } = command;
  const cells = joinableCells(judgement);
  const ask = async (destination: Destination): Promise<Part> => {
    const target = createJoinedTarget(session.writer, cells);
    const attempt = new BackendAttempt(command, destination, target);
    attempts.push(attempt);
    return { attempt, ending: await attempt.run() };
  };
  const parts: Part[] = [];
  if (cells !== undefined) {
    parts.push(...(await Promise.all(destinations.map(ask))));
  } else {
    for (const destination of destinations) {
      const part = await ask(destination);
      parts.push(part);
      // Rows after a cut row would be read as its cells.
      const isCut = !isEnding(part.ending, 'replied') && (part.attempt.count?.bytesIn ?? 0) > 0;
      if (isCut || isOver(part.ending)) break;
    }
  }
  const backends = destinations.map(({ name }) => name);
  return joinEndings(parts, backends, changesOf(judgement));
}

/** The ending of a command whose overdue attempts have ended. `destinations`: where it had to go at first. */
export function endingOf(
  attempts: readonly BackendAttempt[],
  destinations: readonly { readonly name: string }[],
  judgement: Judgement,
): Ending {
  const parts = attempts.flatMap((attempt) =>
    attempt.ending === undefined ? [] : { attempt, ending: attempt.ending },
  );
  const last = parts.at(-1);
  if (last === undefined) throw new Error('a command without an attempt was overdue');
  // With one destination, an attempt after the first follows a referral.
  if (destinations.length < 2) return last.ending;
  const backends = destinations.map(({ name }) => name);
  return joinEndings(parts, backends, changesOf(judgement));
}

/** Cells of a row, equal at all these backends; undefined: unknown, or there are no rows. */
function joinableCells({ attempt, series }: Judged): number | undefined {
  // With all users, some releases put the user's name in front, others do not.
  if (attempt.command.scope === 'user') return undefined;
  const [cells, ...others] = series.map(
    (one) => replyShape({ ...attempt.parsed, series: one })?.columns.length,
  );
  return cells === undefined || cells === 0 || others.some((other) => other !== cells) ? undefined : cells;
}

function attemptAt(
  command: DispatchedCommand,
  attempts: BackendAttempt[],
  destination: Destination,
): Promise<Ending> {
  const attempt = new BackendAttempt(command, destination, command.session.writer);
  attempts.push(attempt);
  return attempt.run();
}

/** Returns true if the upstream of a command that only reads ended before any reply: it was idle, and ended just when it was leased. */
function shouldTryAgain(
  { judgement: { attempt }, most }: DispatchedCommand,
  { isReused, count }: AttemptProgress,
  ending: Ending,
): boolean {
  if (attempt.effect !== 'read' || attempt.command.input !== 'none') return false;
  if (most !== undefined) return false;
  // An upstream opened for this command cannot have ended before it.
  if (!isReused || !isEnding(ending, 'fault') || !ending.isSent) return false;
  const { fault } = ending;
  const hasEnded =
    fault instanceof TransportFault || (fault instanceof UpstreamFault && fault.code === 'closed-early');
  return hasEnded && count?.firstByteMs === undefined && count?.bytesIn === 0 && count.logs === undefined;
}

/** The configured backend that a referral points to, or why the referral is not followed. */
function follow(
  { context: { router }, judgement, most }: DispatchedCommand,
  from: Destination,
  target: Extract<Ending, { kind: 'referral' }>['target'],
  { count }: AttemptProgress,
): Destination | { readonly reason: string } {
  if (target === undefined) return { reason: 'which cannot be read' };
  if ((count?.bytesIn ?? 0) > 0) return { reason: 'behind rows of its own' };
  if (judgement.attempt.command.input !== 'none') return { reason: 'after the input was read' };
  if (most !== undefined) return { reason: 'after mails were counted here' };
  const user = router.table.userNames.normalise(target.user);
  if (user.kind === 'refused' || user.name !== judgement.user) return { reason: 'for another user' };
  const next = router.atHost(target.host);
  if (next === undefined) return { reason: 'to a host that is no backend here' };
  return next.name === from.name ? { reason: 'to itself' } : next;
}

/** The client is gone or the daemon stops: no further backend is used. */
function isOver({ kind }: Ending): boolean {
  if (kind === 'client-gone' || kind === 'client-stall' || kind === 'client-slow') return true;
  return kind === 'over-share' || kind === 'cut-off';
}

/** Makes one ending of all; `backends` are all that should have answered. */
export function joinEndings(
  ended: readonly Part[],
  backends: readonly string[],
  changes: Changes = 'nothing',
): Ending {
  const isSeveral = changes === 'several';
  const parts = ended.map((part) => ({ ...part, verdict: judgeEnding(part.ending, isSeveral) }));
  const outcomes = parts.map(({ verdict }) => verdict.outcome);
  const found = order.find((outcome) => outcomes.includes(outcome)) ?? 'failed';
  // One backend refused the command, another carried it out.
  const isDone = changes !== 'nothing' && outcomes.includes('ok');
  const outcome = found === 'failed' && isDone ? 'partly' : found;
  const over = parts.find(({ ending, verdict }) => isOver(ending) && verdict.outcome === outcome);
  if (over !== undefined) return over.ending;
  const codes = parts.map(({ ending, verdict }) =>
    isEnding(ending, 'replied') ? ending.status.code : (verdict.code ?? 'TEMPFAIL'),
  );
  const isAsked = parts.length === backends.length;
  const isOk = codes.includes('') && codes.every((code) => code === '' || code === 'NOTFOUND');
  // A client that did not take the whole reply gets no status; a failure elsewhere still counts as one.
  const unread = parts.find(({ ending }) => isEnding(ending, 'replied') && ending.peer !== 'ready');
  if (isAsked && isOk && unread !== undefined) return unread.ending;
  if (isAsked && isOk) return { kind: 'joined', code: '', outcome: 'ok', error: undefined, text: undefined };
  const failed = [...new Set(codes.filter((code) => code !== ''))];
  // A code on which all failed backends agree is passed on; otherwise the failure is a temporary one.
  const [only = 'TEMPFAIL'] = failed;
  const code = isAsked && failed.length === 1 && parts.every(isReplied) ? only : 'TEMPFAIL';
  const silent = parts.filter((part) => !isReplied(part));
  const error = (silent.find(({ verdict }) => verdict.outcome === outcome) ?? silent[0])?.verdict.error;
  const isQuoting = parts.some(({ verdict }) => verdict.isQuoting === true);
  return { kind: 'joined', code, outcome, error, text: sayWho(parts, backends), isQuoting };
}

interface JudgedPart extends Part {
  readonly verdict: Verdict;
}

function isReplied({ ending }: Part): boolean {
  return isEnding(ending, 'replied');
}

const order: readonly RecordedOutcome[] = ['unknown', 'timeout', 'aborted', 'partly', 'failed'];

/** `several`: a backend that reports a failure may have done a part. */
export type Changes = 'nothing' | 'one' | 'several';

export function changesOf(judgement: Judgement): Changes {
  if (judgement.kind !== 'judged' || judgement.attempt.effect === 'read') return 'nothing';
  const { command, masks, everybody, parsed } = judgement.attempt;
  // For a command of one user, a pattern only names who gets a right, or whose mails are read.
  const isMasked = command.scope === 'server' && masks.length > 0;
  const isForAll = everybody === 'option' || everybody === 'listing';
  return isMasked || isForAll || namesSeveral(parsed) ? 'several' : 'one';
}

/** `mail1 answered; mail2: -NOTFOUND; mail3 was not asked`. */
function sayWho(parts: readonly JudgedPart[], backends: readonly string[]): string {
  const said = parts.map(({ attempt, ending, verdict }) => {
    if (!isEnding(ending, 'replied')) return `${attempt.backend}: ${verdict.text ?? 'failed'}`;
    const { code } = ending.status;
    return `${attempt.backend}${code === '' ? ' answered' : `: ${statusMeaning(code)}`}`;
  });
  const asked = parts.map(({ attempt }) => attempt.backend);
  const others = backends.filter((name) => !asked.includes(name)).map((name) => `${name} was not asked`);
  return [...said, ...others].join('; ');
}

export function recordedParts(
  attempts: readonly BackendAttempt[],
  judgement: Judgement,
): readonly RecordedPart[] {
  return attempts.flatMap(({ ending, backend, upstream, isSent, count }) => {
    if (ending === undefined) return [];
    const { outcome, error } = judgeEnding(ending, changesOf(judgement) === 'several');
    return {
      backend,
      upstream,
      status: isEnding(ending, 'replied') ? ending.status.raw.toString('latin1') : undefined,
      outcome,
      sent: isSent,
      cells: count?.cells,
      bytes_in: count?.bytesIn,
      error,
    };
  });
}

export function progressOf(
  attempts: readonly AttemptProgress[],
): Omit<AttemptProgress, 'backend' | 'isReused'> {
  const only = attempts[0];
  if (only !== undefined && attempts.length === 1) return only;
  const waits = attempts.flatMap(({ waitMs }) => waitMs ?? []);
  const counts = attempts.flatMap(({ count }) => count ?? []);
  return {
    upstream: attempts.at(-1)?.upstream,
    isSent: attempts.some((attempt) => attempt.isSent),
    waitMs: waits.length === 0 ? undefined : Math.max(...waits),
    count: counts.length < 2 ? counts[0] : counts.reduce(sum),
  };
}

function sum(one: RelayCount, other: RelayCount): RelayCount {
  const both = new RelayCount();
  for (const { logs } of [one, other]) {
    for (const [type, lines] of logs ?? []) {
      both.logs ??= new Map();
      both.logs.set(type, (both.logs.get(type) ?? 0) + lines);
    }
  }
  const firsts = [one.firstByteMs, other.firstByteMs].filter((ms) => ms !== undefined);
  both.cells = one.cells + other.cells;
  both.bytesIn = one.bytesIn + other.bytesIn;
  both.firstByteMs = firsts.length === 0 ? undefined : Math.min(...firsts);
  return both;
}
