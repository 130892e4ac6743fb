// One command from its line to its completion record: judge, record, lease, send, relay, tell. A script.
// It does not know how a policy decides, how a record gets on disk, or how an upstream is found.
// The rules: nothing goes upstream before the admission is on disk; nothing a client sent is forwarded, the line is
// encoded afresh; every admission gets one completion; whatever is odd closes the upstream.

import type { AuditRecord } from '../audit/record.js';
import { type LeaseEnd, LeaseRefusal } from '../backend/lease.js';
import type { Pool } from '../backend/pool-options.js';
import type { Upstream } from '../backend/upstream.js';
import type { Effect } from '../catalog/catalog.js';
import type { Series } from '../catalog/series.js';
import { type Abortable, createAbortable } from '../engine/abortable.js';
import { appendQuietly } from '../engine/append.js';
import { type Ending, judgeEnding } from '../engine/outcome.js';
import type { CloseReason } from '../ports/close-reason.js';
import { converse, emptyCount } from '../relay/converse.js';
import { type RelayCount, waitForPeer } from '../relay/relay.js';
import type { CommandLine } from '../wire/command.js';
import type { LogLine } from '../wire/log-line.js';
import type {
  AbortReason,
  Destination,
  ExchangeContext,
  ExchangeSession,
  RunningExchange,
  SkipInput,
} from './exchange-context.js';
import {
  admissionOf,
  backendLogOf,
  type CompletionFacts,
  completionOf,
  endedOf,
  logRecordOf,
} from './exchange-records.js';
import { isServerCommand, type Judged, type Judgement, judge } from './judge.js';
import { countMatches } from './matches.js';
import { outgoingCommand, rowsUnknown, usernameEvery } from './outgoing.js';
import { noRoute, refusalOf, refusalOnSecondLook, refuseByLimits } from './refusal.js';
import { tellEnding } from './tell.js';

/** How much a peer may leave unread before its next command is looked at. */
const unreadBytesMax = 16 * 1024;

/** Starts an exchange; it runs up to its first wait at once. */
export function startExchange(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
  skipInput: SkipInput,
): RunningExchange {
  const exchange = new Exchange(context, session, line, skipInput);
  return { done: exchange.run(), abort: (reason) => exchange.abort(reason) };
}

const bothSeries: readonly Series[] = ['2.3', '2.4'];

class Exchange {
  readonly #context: ExchangeContext;
  readonly #session: ExchangeSession;
  readonly #line: CommandLine;
  readonly #skipInput: SkipInput;
  readonly #id: string;
  readonly #startMs: number;
  readonly #abortable: Abortable = createAbortable();
  #judgement: Judgement | undefined;
  /** The admission that is still to be written. */
  #admission: AuditRecord | undefined;
  /** Only while it is leased to us. */
  #leased: Upstream | undefined;
  #upstream: string | undefined;
  #isReading = true;
  #isSent = false;
  #waitMs: number | undefined;
  #count: RelayCount | undefined;

  constructor(context: ExchangeContext, session: ExchangeSession, line: CommandLine, skipInput: SkipInput) {
    this.#context = context;
    this.#session = session;
    this.#line = line;
    this.#skipInput = skipInput;
    this.#id = context.newId();
    this.#startMs = context.clock.now();
  }

  abort(reason: AbortReason): void {
    this.#abortable.abort(reason);
    if (reason === 'draining' || this.#isReading) this.#leased?.close('aborted', true);
  }

  async run(): Promise<CloseReason | undefined> {
    const { clock, redact } = this.#context;
    const { names, policy, reason } = this.#session;
    const bytesBefore = this.#session.writer.bytesOut;
    const destination = this.#route();
    const pool = destination?.pool;
    const judgement = this.#judge(pool?.series === undefined ? bothSeries : [pool.series], destination);
    this.#judgement = judgement;
    const isAllowed = judgement.kind === 'judged' && judgement.decision.kind === 'allow';
    const backend = isAllowed ? pool?.backend : undefined;
    const asked = { time: clock.wallMs(), names, id: this.#id, policy, reason, redact };
    this.#admission = admissionOf({ ...asked, judgement, backend });
    let ending: Ending;
    let closeFor: CloseReason | undefined;
    if (!isAllowed) {
      this.#admitQuietly();
      ending = refusalOf(judgement, policy.name);
      if (judgement.input === 'dot') {
        const skipped = await this.#skipInput();
        if (skipped !== 'skipped') closeFor = skipped;
      } else if (judgement.input === 'unknown') {
        closeFor = 'input-unknown';
      }
    } else if (pool === undefined) {
      ending = noRoute(judgement);
    } else {
      const refusal = refuseByLimits(judgement, this.#session, this.#context);
      ending = refusal ?? (await this.#serve(judgement, pool));
    }
    return this.#finish(ending, backend, bytesBefore, closeFor);
  }

  #judge(series: readonly Series[], destination: Destination | undefined): Judgement {
    const { names, policy, clientMinor } = this.#session;
    return judge(this.#line, series, {
      listener: names.listener,
      principal: names.principal,
      clientMinor,
      policy,
      userNames: this.#context.userNames,
      sharedNamespaces: destination?.sharedNamespaces,
      nowMs: this.#context.clock.wallMs(),
    });
  }

  /** By the user that a mail command names; other commands do not look at that field, so neither may their route. */
  #route(): Destination | undefined {
    if (isServerCommand(this.#line)) return this.#context.routeServer();
    const user = this.#context.userNames.normalise(this.#line.user);
    return this.#context.route(user.kind === 'name' ? user.name : '');
  }

  /** Records, leases, sends and relays an allowed command. */
  async #serve(judgement: Judged, pool: Pool): Promise<Ending> {
    const { clock } = this.#context;
    const { effect } = judgement.attempt;
    this.#isReading = effect === 'read';
    const backend = pool.backend;
    try {
      if (this.#line.proxyTtl !== undefined && this.#line.proxyTtl <= 1) {
        return { kind: 'unroutable', reason: 'the command went over too many proxies (proxy-ttl)' };
      }
      // With max_matches the search comes first, and the admission says what it found.
      if (judgement.decision.obligations?.maxMatches === undefined) await this.#admit(effect);
      const waitStartMs = clock.now();
      const giveBack = await this.#takeTurn();
      try {
        return await pool.withLease(
          () => this.#abortable.signal,
          async (upstream): Promise<LeaseEnd<Ending>> => {
            this.#waitMs = clock.now() - waitStartMs;
            this.#upstream = upstream.id;
            this.#leased = upstream;
            try {
              return await this.#use(upstream, judgement);
            } finally {
              this.#leased = undefined;
            }
          },
          judgement.attempt.command.scope === 'server',
        );
      } finally {
        giveBack?.();
      }
    } catch (fault) {
      if (fault instanceof LeaseRefusal) return { kind: 'refused', why: fault.why };
      if (this.#abortable.isAborted && fault === this.#abortable.reason) return this.#cutOff();
      return { kind: 'fault', fault, isSent: this.#isSent, backend };
    }
  }

  /** Waits until fewer than `at_once` commands of this principal run; undefined: there is no such limit. */
  #takeTurn(): Promise<() => void> | undefined {
    const { names, policy } = this.#session;
    const most = policy.limits.atOnce;
    if (most === undefined) return undefined;
    return this.#context.turns.take(`${names.principal}\0${policy.name}`, most, this.#abortable.signal);
  }

  async #use(upstream: Upstream, judgement: Judged): Promise<LeaseEnd<Ending>> {
    // Nothing was sent: the upstream may serve another.
    if (this.#abortable.isAborted) return { value: this.#cutOff(), closeFor: undefined };
    if (!judgement.series.includes(upstream.series)) {
      const again = this.#judge([upstream.series], this.#route());
      const refusal = refusalOnSecondLook(again, judgement, this.#session.policy.name);
      if (refusal !== undefined) return { value: refusal, closeFor: undefined };
    }
    const { clock, limits } = this.#context;
    const { effect } = judgement.attempt;
    const most = judgement.decision.obligations?.maxMatches;
    const admission = this.#admission;
    if (most !== undefined && admission !== undefined) {
      const { names, policy } = this.#session;
      const asked = { context: this.#context, upstream, names, judgement, admission, exchange: this.#id };
      const found = await countMatches({ ...asked, most, policy: policy.name });
      this.#admission = { ...admission, matches: found.matches };
      if (found.kind === 'refused') return found.end;
      await this.#admit(effect);
    }
    const rowCells = usernameEvery(judgement, upstream.serverMinor);
    if (rowCells === undefined) {
      return { value: { kind: 'unroutable', reason: rowsUnknown }, closeFor: undefined };
    }
    this.#isSent = true;
    this.#count = emptyCount();
    return converse({
      upstream,
      command: outgoingCommand(judgement, this.#line, this.#session.policy.debug, rowCells),
      writer: this.#session.writer,
      logs: this.#session.policy.logs,
      clock,
      limits: { ...limits, deadlineMs: limits.deadlineMs[effect] },
      count: this.#count,
      cutOff: () => (this.#abortable.isAborted ? this.#cutOff() : undefined),
      onLog: (line) => this.#toldByBackend(upstream, line),
    });
  }

  #cutOff(): Ending {
    if (this.#abortable.reason === 'draining') return { kind: 'cut-off', isSent: this.#isSent };
    return { kind: 'client-gone', isSent: this.#isSent };
  }

  /** A line of channel L within this exchange: to the observer and to the records. */
  #toldByBackend(upstream: Upstream, line: LogLine): void {
    const { observe, clock, limits } = this.#context;
    const facts = { names: this.#session.names, id: this.#id, judgement: this.#judgement, upstream, line };
    observe(backendLogOf(facts));
    let told = 0;
    for (const count of this.#count?.logs.values() ?? []) told += count;
    if (told <= limits.logRecordsMax) this.#append(logRecordOf(facts, clock.wallMs()));
  }

  /** Tells the peer, records the completion, tells the observers. */
  async #finish(
    ending: Ending,
    backend: string | undefined,
    bytesBefore: number,
    closeFor: CloseReason | undefined,
  ): Promise<CloseReason | undefined> {
    const { clock, observe, limits } = this.#context;
    const { writer, names } = this.#session;
    const verdict = judgeEnding(ending);
    const judgement = this.#judgement;
    if (judgement === undefined) throw new Error('an exchange ended before it was judged');
    this.#admitQuietly();
    const told = tellEnding(writer, ending, verdict, this.#id);
    const close = told.closeFor ?? closeFor;
    const facts: CompletionFacts = {
      time: clock.wallMs(),
      names,
      id: this.#id,
      judgement,
      backend,
      upstream: this.#upstream,
      verdict,
      status: told.status,
      isSent: this.#isSent,
      count: this.#count,
      bytesOut: writer.bytesOut - bytesBefore,
      waitMs: this.#waitMs,
      durationMs: clock.now() - this.#startMs,
    };
    this.#append(completionOf(facts));
    observe(endedOf(facts));
    if (close === 'client-stall' || close === 'peer-gone') return close;
    const drained = writer.flush(unreadBytesMax);
    if (drained === undefined) return close;
    const peer = await waitForPeer(drained, clock, limits.clientStallMs);
    return peer === 'ready' ? close : peer === 'client-gone' ? 'peer-gone' : 'client-stall';
  }

  #append(record: AuditRecord): void {
    appendQuietly(this.#context.journal, this.#context.observe, record);
  }

  /** What must be on disk before anything is sent is awaited; rejects with a JournalFault. */
  async #admit(effect: Effect): Promise<void> {
    const admission = this.#admission;
    if (admission === undefined || !this.#context.strict.has(effect)) return this.#admitQuietly();
    this.#admission = undefined;
    await this.#context.journal.append(admission, { durable: true });
  }

  /** Of an exchange that sends nothing, or nothing more: before its completion, if it has none yet. */
  #admitQuietly(): void {
    if (this.#admission !== undefined) this.#append(this.#admission);
    this.#admission = undefined;
  }
}
