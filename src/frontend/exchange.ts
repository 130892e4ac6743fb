// One command from its line to its completion record: judge, record, lease, send, relay, tell. A script.
// It does not know how a policy decides, how a record gets on disk, or how an upstream is found.
// The rules: nothing goes upstream before the admission is on disk; nothing a client sent is forwarded, the line is
// encoded afresh; every admission gets one completion; whatever is odd closes the upstream.

import type { AuditRecord } from '../audit/record.js';
import { type LeaseEnd, LeaseRefusal } from '../backend/lease.js';
import type { Pool } from '../backend/pool-options.js';
import type { Upstream } from '../backend/upstream.js';
import type { Series } from '../catalog/series.js';
import { type Abortable, createAbortable } from '../engine/abortable.js';
import { type Ending, judgeEnding } from '../engine/outcome.js';
import type { CloseReason } from '../ports/close-reason.js';
import type { CommandLine } from '../wire/command.js';
import type { LogLine } from '../wire/log-line.js';
import { converse, emptyCount } from './converse.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';
import {
  admissionOf,
  backendLogOf,
  type CompletionFacts,
  completionOf,
  endedOf,
  logRecordOf,
} from './exchange-records.js';
import { type Judged, type Judgement, judge } from './judge.js';
import { refusalOf, refusalOnSecondLook } from './refusal.js';
import { type RelayCount, waitForPeer } from './relay.js';

/** An exchange that runs; the session may cancel it. */
export interface RunningExchange {
  /** How the session goes on: undefined: with the next command; else it is closed for that reason. */
  readonly done: Promise<CloseReason | undefined>;
  /**
   * The peer is gone: a command that waits or reads is given up, a change is left to finish.
   * We are stopping and cannot wait longer: everything is given up, and told so.
   */
  abort(reason: AbortReason): void;
}

/** Why an exchange is given up from outside. */
export type AbortReason = 'client-gone' | 'draining';

/** How a refused command with input is answered: after the input was thrown away, or not at all. */
export type SkipInput = () => Promise<'skipped' | CloseReason>;

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
    const { clock, route } = this.#context;
    const { names, policy } = this.#session;
    const bytesBefore = this.#session.writer.bytesOut;
    const pool = route(this.#routeUser());
    const judgement = this.#judge(pool?.series === undefined ? bothSeries : [pool.series]);
    this.#judgement = judgement;
    const isAllowed = judgement.kind === 'judged' && judgement.decision.kind === 'allow';
    const backend = isAllowed ? pool?.backend : undefined;
    const time = clock.wallMs();
    const version = { name: policy.name, version: policy.version };
    const admission = admissionOf({
      time,
      names,
      id: this.#id,
      policy: version,
      judgement,
      backend,
      reason: undefined,
    });

    let ending: Ending;
    let closeFor: CloseReason | undefined;
    if (!isAllowed) {
      this.#append(admission);
      ending = refusalOf(judgement, policy.name);
      if (judgement.input === 'dot') {
        const skipped = await this.#skipInput();
        if (skipped !== 'skipped') closeFor = skipped;
      } else if (judgement.input === 'unknown') {
        closeFor = 'input-unknown';
      }
    } else if (pool === undefined) {
      this.#append(admission);
      ending = { kind: 'unroutable', reason: 'no route matches this user' };
    } else {
      ending = await this.#serve(judgement, pool, admission);
    }
    return this.#finish(ending, backend, bytesBefore, closeFor);
  }

  #judge(series: readonly Series[]): Judgement {
    const { names, policy } = this.#session;
    const { listener, principal } = names;
    return judge(this.#line, series, { listener, principal, policy, userNames: this.#context.userNames });
  }

  /** The user by whom a route is chosen; the empty string where the line names none that is well formed. */
  #routeUser(): string {
    const user = this.#context.userNames.normalise(this.#line.user);
    return user.kind === 'name' ? user.name : '';
  }

  /** Records, leases, sends and relays an allowed command. */
  async #serve(judgement: Judged, pool: Pool, admission: AuditRecord): Promise<Ending> {
    const { journal, strict, clock } = this.#context;
    const { effect } = judgement.attempt;
    this.#isReading = effect === 'read';
    const backend = pool.backend;
    try {
      if (this.#line.proxyTtl !== undefined && this.#line.proxyTtl <= 1) {
        this.#append(admission);
        return { kind: 'unroutable', reason: 'the command went over too many proxies (proxy-ttl)' };
      }
      if (strict.has(effect)) await journal.append(admission, { durable: true });
      else this.#append(admission);
      const waitStartMs = clock.now();
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
      );
    } catch (fault) {
      if (fault instanceof LeaseRefusal) return { kind: 'refused', why: fault.why };
      if (this.#abortable.isAborted && fault === this.#abortable.reason) return this.#cutOff();
      return { kind: 'fault', fault, isSent: this.#isSent, backend };
    }
  }

  async #use(upstream: Upstream, judgement: Judged): Promise<LeaseEnd<Ending>> {
    // Nothing was sent: the upstream may serve another.
    if (this.#abortable.isAborted) return { value: this.#cutOff(), closeFor: undefined };
    if (!judgement.parsed.has(upstream.series)) {
      const again = this.#judge([upstream.series]);
      const refusal = refusalOnSecondLook(again, judgement, this.#session.policy.name);
      if (refusal !== undefined) return { value: refusal, closeFor: undefined };
    }
    const { clock, limits } = this.#context;
    const { effect, command } = judgement.attempt;
    const { verbose, proxyTtl } = this.#line;
    this.#isSent = true;
    this.#count = emptyCount();
    return converse({
      upstream,
      command: {
        user: judgement.user,
        name: command.name,
        args: judgement.args,
        verbose,
        proxyTtl: proxyTtl === undefined ? undefined : proxyTtl - 1,
        isReading: this.#isReading,
      },
      writer: this.#session.writer,
      logs: this.#session.logs,
      clock,
      limits: {
        deadlineMs: limits.deadlineMs[effect],
        replyIdleMs: limits.replyIdleMs,
        clientStallMs: limits.clientStallMs,
      },
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
    let close = closeFor;
    let status: string;
    const isCut = writer.isMidCell;
    if (verdict.code === undefined && ending.kind === 'replied') {
      status = ending.status.raw.toString('latin1');
      if (ending.peer !== 'ready') close ??= ending.peer === 'client-gone' ? 'peer-gone' : 'client-stall';
    } else {
      if (verdict.isTold) writer.addLog('error', `dovegate: ${verdict.text ?? ''}, id ${this.#id}`);
      writer.addStatus(verdict.code ?? '');
      status = verdict.code === '' ? '+' : `-${verdict.code ?? ''}`;
      if (isCut) close ??= 'cut-reply';
      if (ending.kind === 'client-stall') close = 'client-stall';
      else if (ending.kind === 'client-gone') close = 'peer-gone';
    }
    const facts: CompletionFacts = {
      time: clock.wallMs(),
      names,
      id: this.#id,
      judgement,
      backend,
      upstream: this.#upstream,
      verdict,
      status,
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

  /** Hands a record over without waiting; a journal that fails is told, and counted there. */
  #append(record: AuditRecord): void {
    this.#context.journal.append(record, { durable: false }).catch((fault: unknown) => {
      this.#context.observe({
        kind: 'audit-failed',
        text: fault instanceof Error ? fault.message : String(fault),
      });
    });
  }
}
