// One command on one backend: waits for a lease, looks again at what was judged if things have changed meanwhile, sends, relays.
// A script. It does not know why this backend was chosen, what the peer is told at the end, or what is recorded then.
// The rules: nothing is sent before the admission is on disk; whatever is odd closes the upstream; how far it came is told
// also when it broke off.

import type { Abortable } from '../../concurrency/abortable.js';
import type { AuditRecord } from '../../domain/audit/record.js';
import type { Series } from '../../domain/commands/catalog.js';
import type { Judged } from '../../domain/policy/judge.js';
import type { Clock } from '../../ports/clock.js';
import { TransportFault } from '../../ports/transport-fault.js';
import type { LogLine } from '../../protocol/log-line.js';
import type { Ending } from '../outcome/outcome.js';
import { type LeaseEnd, type LeaseOptions, LeaseRefusal } from '../pool/lease.js';
import type { Upstream } from '../pool/upstream.js';
import { type Conversation, emptyCount, type OutgoingCommand } from '../relay/converse.js';
import type { RelayCount, RelayLimits } from '../relay/relay.js';
import type { RelayTarget } from '../relay/reply-writer.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';
import type { ExchangeInput } from './exchange-input.js';
import { behindSearch, countMatches } from './matches.js';
import { rowsUnknown } from './outgoing.js';
import type { Destination } from './router.js';
import { tellWaiting } from './tell.js';

/** The exchange, as far as its ways need it. An object with methods, because closures for each command add up. */
export interface CarriedExchange {
  readonly context: ExchangeContext;
  readonly session: ExchangeSession;
  readonly judgement: Judged;
  readonly id: string;
  /** Aborted when the exchange is given up. */
  readonly abortable: Abortable;
  /** What follows the line, gathered. */
  readonly input: ExchangeInput;
  /** The admission as it stands, for a search that is made before it is written. */
  readonly admission: AuditRecord;
  /** Only with max_matches is the admission not on disk before this begins. The search found so many mails; the admission is to say so. */
  noteMatches(matches: number | undefined): void;
  /** Puts it on disk then, where its effect asks for that; rejects with a JournalFault. */
  admit(): Promise<void> | undefined;
  /** Judges again, for this series and by the policy of now. Undefined: what was judged still holds. */
  lookAgain(destination: Destination, series: Series): Ending | undefined;
  /** The command as an upstream of that minor gets it; undefined: nobody knows how many cells its rows have. */
  outgoing(serverMinor: number): OutgoingCommand | undefined;
  toldByBackend(upstream: Upstream, line: LogLine, count: RelayCount): void;
}

/** A command on its way to one backend. The fields tell how far it came, also while it runs. */
export interface Carriage {
  readonly backend: string;
  /** Of the last lease. */
  readonly upstream: string | undefined;
  /** That one had served others before: it may have died unseen in the moment in which it was leased. */
  readonly isReused: boolean;
  /** Whether a byte of the command went upstream. */
  readonly isSent: boolean;
  /** From asking for an upstream to having it. */
  readonly waitMs: number | undefined;
  readonly count: RelayCount | undefined;
  /** Never rejects. To be called once. */
  run(): Promise<Ending>;
  /** Closes the upstream that it has, if it has one. */
  cut(): void;
}

/** A carriage that has not begun. `target`: where the reply goes. */
export function createCarriage(
  exchange: CarriedExchange,
  destination: Destination,
  target: RelayTarget,
): Carriage {
  return new OneWay(exchange, destination, target);
}

/** Whether it has no turn soon, wherever it goes. Whose records lie with the journal then need not stay there when it has. */
export function isBacklogged(exchange: CarriedExchange, destinations: readonly Destination[]): boolean {
  const { context, session } = exchange;
  const { principal } = session.names;
  const isFresh = needsFresh(exchange);
  return destinations.every(({ pool }) => pool.isBacklogged(principal, isFresh, context.journal.hurry));
}

class OneWay implements Carriage {
  readonly backend: string;
  readonly #exchange: CarriedExchange;
  readonly #destination: Destination;
  readonly #target: RelayTarget;
  upstream: string | undefined = undefined;
  isReused = false;
  isSent = false;
  waitMs: number | undefined = undefined;
  count: RelayCount | undefined = undefined;
  #startMs = 0;
  /** Leased to us for this turn of it; in its next one it is somebody else's, which may be before we hear of our end. */
  #leased: Upstream | undefined;
  #turn = 0;

  constructor(exchange: CarriedExchange, destination: Destination, target: RelayTarget) {
    this.#exchange = exchange;
    this.#destination = destination;
    this.#target = target;
    this.backend = destination.pool.backend;
  }

  cut(): void {
    if (this.#leased?.exchanges === this.#turn) this.#leased.close('aborted', true);
  }

  async run(): Promise<Ending> {
    const { abortable, context } = this.#exchange;
    this.#startMs = context.clock.now();
    try {
      const { pool } = this.#destination;
      return await pool.withLease(abortable, (upstream) => this.#take(upstream), this.#ask());
    } catch (fault) {
      return this.#endingOf(fault);
    } finally {
      this.#leased = undefined;
    }
  }

  #endingOf(fault: unknown): Ending {
    const { abortable } = this.#exchange;
    if (fault instanceof LeaseRefusal) {
      if (fault.why === 'backend-drained') return { kind: 'drained', backend: this.backend };
      return { kind: 'refused', why: fault.why };
    }
    if (abortable.isAborted && (fault === abortable.reason || isOurCut(fault))) {
      return cutOff(abortable, this.isSent);
    }
    return { kind: 'fault', fault, isSent: this.isSent, backend: this.backend };
  }

  /** Whose turn it is. */
  #ask(): LeaseOptions {
    const { names, policy, writer } = this.#exchange.session;
    return {
      principal: names.principal,
      weight: policy.weight,
      isFresh: needsFresh(this.#exchange),
      onWaiting: () => tellWaiting(writer, this.backend),
    };
  }

  #take(upstream: Upstream): Promise<LeaseEnd<Ending>> {
    const { context, abortable, judgement } = this.#exchange;
    this.waitMs = context.clock.now() - this.#startMs;
    this.upstream = upstream.id;
    this.isReused = upstream.exchanges > 1;
    this.#leased = upstream;
    this.#turn = upstream.exchanges;
    // Nothing was sent: the upstream may serve another.
    if (abortable.isAborted) return unsent(cutOff(abortable, this.isSent));
    const refusal = this.#exchange.lookAgain(this.#destination, upstream.series);
    if (refusal !== undefined) return unsent(refusal);
    const most = judgement.decision.obligations?.maxMatches;
    return most === undefined ? this.#send(upstream) : this.#countAndSend(upstream, most);
  }

  async #countAndSend(upstream: Upstream, most: number): Promise<LeaseEnd<Ending>> {
    const { context, session, judgement, admission, id, abortable } = this.#exchange;
    const { names, policy } = session;
    const asked = { context, upstream, names, judgement, admission, exchange: id };
    const found = await countMatches({ ...asked, most, policy: policy.name });
    this.#exchange.noteMatches(found.matches);
    if (found.kind === 'refused') return found.end;
    await this.#exchange.admit();
    // Counting and recording took their time: we may have closed the upstream meanwhile, and what allowed it may hold no more.
    if (abortable.isAborted) return { value: cutOff(abortable, false), closeFor: undefined };
    if (!upstream.isClean) throw behindSearch();
    const refusal = this.#exchange.lookAgain(this.#destination, upstream.series);
    if (refusal !== undefined) return { value: refusal, closeFor: undefined };
    return this.#send(upstream);
  }

  /** Up to its first wait at once: with an idle upstream the command is on its way in the turn in which it came. */
  #send(upstream: Upstream): Promise<LeaseEnd<Ending>> {
    const command = this.#exchange.outgoing(upstream.serverMinor);
    if (command === undefined) return unsent({ kind: 'unroutable', reason: rowsUnknown });
    const conversation = new SentCommand(this.#exchange, upstream, command, this.#target);
    this.count = conversation.count;
    this.isSent = true;
    return this.#exchange.input.carryOut(conversation);
  }
}

/** Nothing may have run on its upstream before. */
function needsFresh({ judgement, input }: CarriedExchange): boolean {
  return judgement.attempt.command.scope === 'server' || input.isDuplex;
}

/** The upstream may serve another. */
function unsent(value: Ending): Promise<LeaseEnd<Ending>> {
  return Promise.resolve({ value, closeFor: undefined });
}

class SentCommand implements Conversation {
  readonly upstream: Upstream;
  readonly command: OutgoingCommand;
  readonly writer: RelayTarget;
  readonly logs: Conversation['logs'];
  readonly clock: Clock;
  readonly limits: RelayLimits;
  readonly count = emptyCount();
  readonly #exchange: CarriedExchange;

  constructor(exchange: CarriedExchange, upstream: Upstream, command: OutgoingCommand, target: RelayTarget) {
    const { clock, limits } = exchange.context;
    const { deadlineMs, replyIdleMs, clientStallMs, logLinesMax } = limits;
    this.upstream = upstream;
    this.command = command;
    this.writer = target;
    this.logs = exchange.session.policy.logs;
    this.clock = clock;
    const { effect } = exchange.judgement.attempt;
    this.limits = { deadlineMs: deadlineMs[effect], replyIdleMs, clientStallMs, logLinesMax };
    this.#exchange = exchange;
  }

  cutOff(): Ending | undefined {
    const { abortable } = this.#exchange;
    return abortable.isAborted ? cutOff(abortable, true) : undefined;
  }

  onLog(line: LogLine): void {
    this.#exchange.toldByBackend(this.upstream, line, this.count);
  }
}

/** Of an upstream that we have closed. */
function isOurCut(fault: unknown): boolean {
  return fault instanceof TransportFault && fault.code === 'closed';
}

/** The ending of an exchange that was given up from outside. */
export function cutOff(abortable: Abortable, isSent: boolean): Ending {
  if (abortable.reason === 'draining') return { kind: 'cut-off', isSent };
  if (abortable.reason === 'killed') return { kind: 'cut-off', isSent, by: 'operator' };
  return { kind: 'client-gone', isSent };
}
