// One command on one backend: waits for a lease, looks again at what was judged if things have changed meanwhile, sends, relays.
// A script. It does not know why this backend was chosen, what the peer is told at the end, or what is recorded then.
// The rules: nothing is sent before the admission is on disk; whatever is odd closes the upstream; how far it came is told
// also when it broke off.

import type { AuditRecord } from '../audit/record.js';
import { type LeaseEnd, type LeaseOptions, LeaseRefusal } from '../backend/lease.js';
import type { Upstream } from '../backend/upstream-options.js';
import type { Series } from '../catalog/series.js';
import type { Destination } from '../destination/router.js';
import type { Abortable } from '../engine/abortable.js';
import type { Ending } from '../engine/outcome.js';
import { sha256Hex } from '../identity/digest.js';
import type { Judged } from '../judgement/judge.js';
import { TransportFault } from '../ports/transport-fault.js';
import { emptyCount } from '../relay/converse.js';
import type { RelayCount } from '../relay/relay.js';
import type { RelayTarget } from '../relay/reply-writer.js';
import type { CommandLine } from '../wire/command.js';
import type { LogLine } from '../wire/log-line.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';
import type { ExchangeInput } from './exchange-input.js';
import { behindSearch, countMatches } from './matches.js';
import { outgoingCommand, rowsUnknown, usernameEvery } from './outgoing.js';
import { tellWaiting } from './tell.js';

/** What a carriage needs of its exchange. */
export interface CarryOptions {
  readonly context: ExchangeContext;
  readonly session: ExchangeSession;
  readonly line: CommandLine;
  readonly judgement: Judged;
  readonly destination: Destination;
  /** Id of the exchange. */
  readonly id: string;
  /** Aborted when the exchange is given up. */
  readonly abortable: Abortable;
  /** What follows the line, gathered. */
  readonly input: ExchangeInput;
  /** Where the reply goes. */
  readonly target: RelayTarget;
  /** A read that ends an upstream which had served others is tried again, and not blamed yet. */
  readonly mayTryAgain: boolean;
  /** The admission as it stands, for a search that is made before it is written. */
  readonly admission: AuditRecord;
  /** Only with max_matches is the admission not on disk before this begins. The search found so many mails; the admission is to say so. */
  readonly noteMatches: (matches: number | undefined) => void;
  /** Puts it on disk then, where its effect asks for that; rejects with a JournalFault. */
  readonly admit: () => Promise<void>;
  /** Judges again, for this series and by the policy of now. Undefined: what was judged still holds. */
  readonly lookAgain: (series: Series) => Ending | undefined;
  readonly onLog: (upstream: Upstream, line: LogLine, count: RelayCount) => void;
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

/** A carriage that has not begun. */
export function createCarriage(options: CarryOptions): Carriage {
  return new OneWay(options);
}

class OneWay implements Carriage {
  readonly backend: string;
  readonly #options: CarryOptions;
  upstream: string | undefined;
  isReused = false;
  isSent = false;
  waitMs: number | undefined;
  count: RelayCount | undefined;
  /** Only while it is leased to us. */
  #leased: Upstream | undefined;

  constructor(options: CarryOptions) {
    this.#options = options;
    this.backend = options.destination.pool.backend;
  }

  cut(): void {
    this.#leased?.close('aborted', true);
  }

  async run(): Promise<Ending> {
    const { context, session, destination, abortable, judgement } = this.#options;
    const { clock, poison } = context;
    const shape = (): string => shapeOf(judgement);
    const { principal } = session.names;
    const retryAfterMs = poison.pauseMs(principal, shape, clock.now());
    if (retryAfterMs > 0) return { kind: 'held-back', backend: this.backend, retryAfterMs };
    try {
      const waitStartMs = clock.now();
      const ending = await destination.pool.withLease(
        abortable,
        async (upstream): Promise<LeaseEnd<Ending>> => {
          this.waitMs = clock.now() - waitStartMs;
          this.upstream = upstream.id;
          this.isReused = upstream.exchanges > 1;
          this.#leased = upstream;
          try {
            return await this.#use(upstream);
          } finally {
            this.#leased = undefined;
          }
        },
        this.#ask(),
      );
      const isExcused = this.#options.mayTryAgain && judgement.attempt.effect === 'read' && this.isReused;
      if (ending.kind === 'poison' && !isExcused) poison.died(principal, shape(), clock.now());
      else if (ending.kind === 'replied') poison.survived(principal, shape);
      return ending;
    } catch (fault) {
      if (fault instanceof LeaseRefusal) {
        if (fault.why === 'backend-drained') return { kind: 'drained', backend: this.backend };
        return { kind: 'refused', why: fault.why };
      }
      if (abortable.isAborted && (fault === abortable.reason || isOurCut(fault))) {
        return cutOff(abortable, this.isSent);
      }
      return { kind: 'fault', fault, isSent: this.isSent, backend: this.backend };
    }
  }

  /** Whose turn it is. */
  #ask(): LeaseOptions {
    const { session, judgement, input } = this.#options;
    const { names, policy, writer } = session;
    return {
      principal: names.principal,
      weight: policy.weight,
      isFresh: judgement.attempt.command.scope === 'server' || input.isDuplex,
      onWaiting: (position) => tellWaiting(writer, this.backend, position),
    };
  }

  async #use(upstream: Upstream): Promise<LeaseEnd<Ending>> {
    const { context, session, line, judgement, abortable, input, target } = this.#options;
    // Nothing was sent: the upstream may serve another.
    if (abortable.isAborted) return { value: cutOff(abortable, this.isSent), closeFor: undefined };
    const refusal = this.#options.lookAgain(upstream.series);
    if (refusal !== undefined) return { value: refusal, closeFor: undefined };
    const { clock, limits } = context;
    const { effect } = judgement.attempt;
    const most = judgement.decision.obligations?.maxMatches;
    if (most !== undefined) {
      const { names, policy } = session;
      const { admission, id } = this.#options;
      const asked = { context, upstream, names, judgement, admission, exchange: id };
      const found = await countMatches({ ...asked, most, policy: policy.name });
      this.#options.noteMatches(found.matches);
      if (found.kind === 'refused') return found.end;
      await this.#options.admit();
      // Counting and recording took their time, and we may have closed the upstream meanwhile.
      if (abortable.isAborted) return { value: cutOff(abortable, false), closeFor: undefined };
      if (!upstream.isClean) throw behindSearch();
    }
    const rowCells = usernameEvery(judgement, upstream.serverMinor);
    if (rowCells === undefined) {
      return { value: { kind: 'unroutable', reason: rowsUnknown }, closeFor: undefined };
    }
    const count = emptyCount();
    this.count = count;
    this.isSent = true;
    return input.carryOut({
      upstream,
      command: outgoingCommand(judgement, line, session.policy.debug, rowCells),
      writer: target,
      logs: session.policy.logs,
      clock,
      limits: { ...limits, deadlineMs: limits.deadlineMs[effect] },
      count,
      cutOff: () => (abortable.isAborted ? cutOff(abortable, true) : undefined),
      onLog: (logLine) => this.#options.onLog(upstream, logLine, count),
    });
  }
}

/** Of an upstream that we have closed. */
function isOurCut(fault: unknown): boolean {
  return fault instanceof TransportFault && fault.code === 'closed';
}

/** What equal commands have in common, whomever they name: a script goes through users, and its mistake stays the same. */
function shapeOf({ attempt, args }: Judged): string {
  return sha256Hex([attempt.command.name, ...args.map((word) => word.text)].join('\0'));
}

/** The ending of an exchange that was given up from outside. */
export function cutOff(abortable: Abortable, isSent: boolean): Ending {
  if (abortable.reason === 'draining') return { kind: 'cut-off', isSent };
  if (abortable.reason === 'killed') return { kind: 'cut-off', isSent, by: 'operator' };
  return { kind: 'client-gone', isSent };
}
