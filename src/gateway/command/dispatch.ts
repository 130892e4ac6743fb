// Where an allowed and recorded command is taken: to one backend, to the one that this refers to, once more when a read got no byte
// of an answer, or to several at once. A script. It does not judge for itself, and records only where a
// referral leads.
// The rules: a change is never sent twice; only what reads, and of whose reply not one byte came, is tried again, once; a referral
// is followed once, to a configured backend, for the same user; two commands on one user's mail never run on two backends at once.

import type { Abortable } from '../../concurrency/abortable.js';
import { replyShape } from '../../domain/commands/columns.js';
import type { Judged } from '../../domain/policy/judge.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { UpstreamFault } from '../../ports/upstream-fault.js';
import { appendQuietly } from '../outcome/append.js';
import { type Ending, judgeEnding } from '../outcome/outcome.js';
import { LeaseRefusal } from '../pool/lease.js';
import type { RelayTarget } from '../relay/reply-writer.js';
import { type Carriage, cutOff } from './carry.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';
import { referralRecordOf } from './exchange-records.js';
import { fanOut, joinEndings, type Part } from './fan-out.js';
import type { Destination } from './router.js';
import { tellWaiting } from './tell.js';

/** The exchange, as far as its dispatch needs it. */
export interface DispatchedExchange {
  readonly context: ExchangeContext;
  readonly session: Pick<ExchangeSession, 'names'>;
  readonly id: string;
  readonly judgement: Judged;
  readonly abortable: Abortable;
  start(destination: Destination, target: RelayTarget): Carriage;
  /** Judges for another backend than the command was judged for. Undefined: it means the same there and is allowed. */
  lookThere(destination: Destination): Ending | undefined;
}

/** What is dispatched, and where. */
export interface DispatchOptions {
  readonly exchange: DispatchedExchange;
  /** Not empty. */
  readonly destinations: readonly Destination[];
  /** Whoever is touched by name. */
  readonly users: readonly string[];
  readonly writer: RelayTarget;
}

/** How it ended, and every way that was taken. */
export interface Dispatched {
  readonly ending: Ending;
  readonly parts: readonly Part[];
}

/** Never rejects. */
export function dispatch(options: DispatchOptions): Promise<Dispatched> {
  const { destinations } = options;
  const only = destinations[0];
  if (only === undefined) throw new Error('a command was dispatched to nobody');
  return destinations.length === 1 ? dispatchToOne(options, only) : dispatchToAll(options);
}

async function dispatchToAll({ exchange, destinations, writer }: DispatchOptions): Promise<Dispatched> {
  const cells = joinableCells(exchange.judgement);
  const starts = destinations.map((each) => (target: RelayTarget) => exchange.start(each, target));
  const parts = await fanOut(starts, writer, cells);
  const backends = destinations.map(({ pool }) => pool.backend);
  return { ending: joinEndings(parts, backends), parts };
}

/** Cells of a row, whichever of these backends it comes from; undefined: nobody knows, or there are no rows. */
function joinableCells({ attempt, series }: Judged): number | undefined {
  // With all users, releases put the user's name in front or do not.
  if (attempt.command.scope === 'user') return undefined;
  const [cells, ...others] = series.map(
    (one) => replyShape({ ...attempt.parsed, series: one }, undefined)?.columns.length,
  );
  return cells === undefined || cells === 0 || others.some((other) => other !== cells) ? undefined : cells;
}

function dispatchToOne(options: DispatchOptions, first: Destination): Promise<Dispatched> {
  return take(options, first).then((part) => {
    const { ending } = part;
    if (ending.kind === 'replied') return { ending, parts: [part] };
    return goOn(options, first, part);
  });
}

/** What did not simply end with a status of its backend may go another way. */
async function goOn(options: DispatchOptions, first: Destination, tried: Part): Promise<Dispatched> {
  const { exchange } = options;
  let part = tried;
  const parts = [part];
  if (shouldTryAgain(part, exchange.judgement)) {
    part = await take(options, first);
    parts.push(part);
  }
  const { ending } = part;
  if (ending.kind !== 'referral') return { ending, parts };
  const next = follow(options, first, part);
  if ('reason' in next) return { ending: { ...ending, reason: next.reason }, parts };
  const refusal = exchange.lookThere(next);
  if (refusal !== undefined) return { ending: refusal, parts };
  const { backend } = next.pool;
  try {
    await recordReferral(exchange, first.pool.backend, backend);
  } catch (fault) {
    return { ending: { kind: 'fault', fault, isSent: false, backend }, parts };
  }
  part = await take(options, next);
  parts.push(part);
  if (part.ending.kind !== 'referral') return { ending: part.ending, parts };
  return { ending: { ...part.ending, reason: 'a referral leads to a referral' }, parts };
}

/** The admission names the first backend only: nothing goes to the other before a record says so. Rejects with a JournalFault. */
async function recordReferral(
  { context, session, id, judgement }: DispatchedExchange,
  from: string,
  to: string,
): Promise<void> {
  const { journal, observe, clock, strict } = context;
  const record = referralRecordOf(session.names, id, from, to, clock.wallMs());
  if (strict.has(judgement.attempt.effect)) await journal.append(record, { durable: true });
  else appendQuietly(journal, observe, record);
}

const none: readonly string[] = [];

/** One way, while its users are on no other backend. */
async function take(options: DispatchOptions, destination: Destination): Promise<Part> {
  const { exchange, users, writer } = options;
  const { context, abortable } = exchange;
  const carriage = exchange.start(destination, writer);
  // A server command touches no mail of the users that it names, and `kick` must not wait for a slow reader of their mail.
  const locked = exchange.judgement.attempt.command.scope === 'server' ? none : users;
  let unlock: () => void;
  try {
    const taken = context.userLock.take(locked, carriage.backend, {
      signal: () => abortable.signal,
      clock: context.clock,
      timeoutMs: context.limits.queueTimeoutMs,
      onWaiting: () => tellWaiting(writer, carriage.backend),
    });
    unlock = typeof taken === 'function' ? taken : await taken;
  } catch (fault) {
    const ending: Ending =
      fault instanceof LeaseRefusal ? { kind: 'refused', why: 'queue-timeout' } : cutOff(abortable, false);
    return { carriage, ending, verdict: judgeEnding(ending) };
  }
  try {
    const ending = await carriage.run();
    return { carriage, ending, verdict: judgeEnding(ending) };
  } finally {
    unlock();
  }
}

/** The upstream ended under a command that only reads, before it said anything: an idle one that died just then. */
function shouldTryAgain({ carriage, ending }: Part, { attempt, decision }: Judged): boolean {
  if (attempt.effect !== 'read' || attempt.command.input !== 'none') return false;
  if (decision.obligations?.maxMatches !== undefined) return false;
  // One that was opened for this command did not die before it.
  if (!carriage.isReused) return false;
  const hasEnded = ending.kind === 'fault' && ending.isSent && isEnd(ending.fault);
  if (!hasEnded) return false;
  const { count } = carriage;
  return count !== undefined && count.firstByteMs === undefined && count.bytesIn === 0 && !count.hasLogs;
}

function isEnd(fault: unknown): boolean {
  return fault instanceof TransportFault || (fault instanceof UpstreamFault && fault.code === 'closed-early');
}

/** The configured backend that a referral points to, or why it is not followed. */
function follow(
  { exchange: { context, judgement } }: DispatchOptions,
  from: Destination,
  { carriage, ending }: Part,
): Destination | { readonly reason: string } {
  const target = ending.kind === 'referral' ? ending.target : undefined;
  if (target === undefined) return { reason: 'which cannot be read' };
  if ((carriage.count?.bytesIn ?? 0) > 0) return { reason: 'behind rows of its own' };
  if (judgement.attempt.command.input !== 'none') return { reason: 'after the input was read' };
  if (judgement.decision.obligations?.maxMatches !== undefined)
    return { reason: 'after mails were counted here' };
  const user = context.router.table.userNames.normalise(target.user);
  if (user.kind === 'refused' || user.name !== judgement.user) return { reason: 'for another user' };
  const next = context.router.atHost(target.host);
  if (next === undefined) return { reason: 'to a host that is no backend here' };
  if (next.pool.backend === from.pool.backend) return { reason: 'to itself' };
  return next;
}
