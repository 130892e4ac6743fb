// One command from its line to its completion record: judge, record, send on its way, tell. A script.
// It does not know how a policy decides, how a record gets on disk, or what happens on an upstream.
// The rules: nothing goes upstream before the admission is on disk; nothing a client sent is forwarded, the line is
// encoded afresh; every admission gets one completion.

import type { AuditRecord } from '../audit/record.js';
import type { Upstream } from '../backend/upstream-options.js';
import type { Destination } from '../destination/router.js';
import { type Abortable, createAbortable } from '../engine/abortable.js';
import { appendQuietly } from '../engine/append.js';
import { type Ending, judgeEnding } from '../engine/outcome.js';
import { isAllowed, type Judged, type Judgement } from '../judgement/judge.js';
import type { CloseReason } from '../ports/close-reason.js';
import type { ClientInput } from '../relay/client-input.js';
import type { RelayCount } from '../relay/relay.js';
import type { CommandLine } from '../wire/command.js';
import type { LogLine } from '../wire/log-line.js';
import { type Carriage, type CarryOptions, createCarriage, cutOff } from './carry.js';
import { dispatch } from './dispatch.js';
import type { AbortReason, ExchangeContext, ExchangeSession, RunningExchange } from './exchange-context.js';
import { createExchangeInput, type ExchangeInput } from './exchange-input.js';
import {
  admissionOf,
  backendLogOf,
  type CompletionFacts,
  completionOf,
  endedOf,
  exchangeNamesOf,
  logRecordOf,
} from './exchange-records.js';
import { type Part, recordedParts } from './fan-out.js';
import { inquire } from './inquiry.js';
import { inquireOfUs } from './own-commands.js';
import { progressOf } from './progress.js';
import { refusalOf, refuseByLimits } from './refusal.js';
import { type FirstLook, lookAgain, lookThere } from './second-look.js';
import { tellEnding, waitForReader } from './tell.js';

/** Starts an exchange; it runs up to its first wait at once. */
export function startExchange(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
  client: ClientInput,
): RunningExchange {
  const exchange = new Exchange(context, session, line, client);
  return {
    done: exchange.run(),
    abort: (reason) => exchange.abort(reason),
    describe: () => exchange.describe(),
  };
}

class Exchange {
  readonly #context: ExchangeContext;
  readonly #session: ExchangeSession;
  readonly #line: CommandLine;
  readonly #client: ClientInput;
  readonly #id: string;
  readonly #startMs: number;
  readonly #abortable: Abortable = createAbortable();
  #judgement: Judgement | undefined;
  #input: ExchangeInput | undefined;
  /** The admission that is still to be written. */
  #admission: AuditRecord | undefined;
  /** The one that was written. */
  #admitted: AuditRecord | undefined;
  /** Waited for its turn and its admission. */
  #turnMs = 0;
  #isOnlyCounted = false;
  #isReading = true;
  /** Every way that it took, or takes. */
  readonly #carriages: Carriage[] = [];
  /** And how they ended. */
  #parts: readonly Part[] = [];

  constructor(context: ExchangeContext, session: ExchangeSession, line: CommandLine, client: ClientInput) {
    this.#context = context;
    this.#session = session;
    this.#line = line;
    this.#client = client;
    this.#id = context.newId();
    this.#startMs = context.clock.now();
  }

  abort(reason: AbortReason): void {
    this.#abortable.abort(reason);
    if (reason === 'client-gone' && !this.#isReading) return;
    for (const carriage of this.#carriages) carriage.cut();
  }

  describe(): ReturnType<RunningExchange['describe']> {
    const names = exchangeNamesOf(this.#session.names, this.#id, this.#judgement);
    const durationMs = this.#context.clock.now() - this.#startMs;
    return { ...names, backend: this.#carriages.at(-1)?.backend, durationMs };
  }

  async run(): Promise<CloseReason | undefined> {
    const { clock, redact } = this.#context;
    const { names, policy, reason, writer } = this.#session;
    const bytesBefore = writer.bytesOut;
    const own = inquireOfUs(this.#context, this.#session, this.#line);
    const { judgement, destinations, obstacle, aliases } =
      own ?? (await inquire(this.#context, this.#session, this.#line));
    this.#judgement = judgement;
    const input = createExchangeInput(this.#context, judgement, this.#client);
    this.#input = input;
    const backends = destinations.map(({ pool }) => pool.backend);
    const time = clock.wallMs();
    this.#admission = admissionOf({ time, names, id: this.#id, policy, reason, redact, judgement, backends });
    let ending: Ending;
    if (!isAllowed(judgement)) {
      ending = refusalOf(judgement, policy.name);
    } else if (obstacle !== undefined) {
      ending = obstacle;
    } else {
      const refusal = refuseByLimits(judgement, this.#session, this.#context);
      ending =
        refusal ??
        (own === undefined
          ? await this.#serve(judgement, destinations, aliases, input)
          : await own.answer(() => this.#admit(judgement)));
    }
    this.#admitRefused();
    const closeFor = await input.settle(
      this.#abortable.reason === 'draining' || this.#abortable.reason === 'killed',
    );
    return this.#finish(ending, backends, bytesBefore, closeFor);
  }

  /** Sends an allowed command on its way, when its turn comes. */
  async #serve(
    judgement: Judged,
    destinations: readonly Destination[],
    aliases: readonly string[],
    input: ExchangeInput,
  ): Promise<Ending> {
    this.#isReading = judgement.attempt.effect === 'read';
    // The dsync of 2.4 always says 1, of a connection that it makes itself (measured on 2.4.1).
    if (this.#line.proxyTtl !== undefined && this.#line.proxyTtl <= 1 && !input.isDuplex) {
      return { kind: 'unroutable', reason: 'the command went over too many proxies (proxy-ttl)' };
    }
    const { clock } = this.#context;
    let startMs = clock.now();
    let giveBack: (() => void) | undefined;
    try {
      // With max_matches a search comes first, and the admission says what it found.
      if (judgement.decision.obligations?.maxMatches === undefined) await this.#admit(judgement);
      const admittedMs = clock.now() - startMs;
      const ended = await input.gather(() => this.#abortable.signal);
      if (ended !== undefined) return ended;
      // The time that the client took is not ours.
      startMs = clock.now() - admittedMs;
      giveBack = await this.#takeTurn();
    } catch (fault) {
      if (this.#abortable.isAborted && fault === this.#abortable.reason) {
        return cutOff(this.#abortable, false);
      }
      return { kind: 'fault', fault, isSent: false, backend: destinations[0]?.pool.backend ?? '' };
    }
    try {
      this.#turnMs = clock.now() - startMs;
      const { ending, parts } = await dispatch({
        context: this.#context,
        names: this.#session.names,
        id: this.#id,
        judgement,
        destinations,
        users: [...judgement.attempt.users, ...aliases],
        abortable: this.#abortable,
        writer: this.#session.writer,
        start: (destination, target, mayTryAgain) =>
          this.#start({ judgement, destination, target, mayTryAgain, input }, aliases),
        judgeThere: (there) => lookThere(this.#firstLook(judgement, aliases), there),
      });
      this.#parts = parts;
      return ending;
    } finally {
      giveBack?.();
    }
  }

  #firstLook(judgement: Judged, aliases: readonly string[]): FirstLook {
    return { context: this.#context, session: this.#session, line: this.#line, judgement, aliases };
  }

  /** Waits until fewer than `at_once` commands of this principal run; undefined: there is no such limit. */
  #takeTurn(): Promise<() => void> | undefined {
    const { names, policy } = this.#session;
    const most = policy.limits.atOnce;
    if (most === undefined) return undefined;
    return this.#context.turns.take(`${names.principal}\0${policy.name}`, most, this.#abortable.signal);
  }

  /** One way to one backend. */
  #start(
    way: Pick<CarryOptions, 'judgement' | 'destination' | 'target' | 'mayTryAgain' | 'input'>,
    aliases: readonly string[],
  ): Carriage {
    const { judgement, destination } = way;
    const admission = this.#admission ?? this.#admitted;
    if (admission === undefined) throw new Error('an exchange was sent before it was judged');
    const carriage = createCarriage({
      ...way,
      context: this.#context,
      session: this.#session,
      line: this.#line,
      id: this.#id,
      abortable: this.#abortable,
      admission,
      noteMatches: (matches) => {
        this.#admission = { ...admission, matches };
      },
      admit: () => this.#admit(judgement),
      lookAgain: (series) => lookAgain(this.#firstLook(judgement, aliases), destination, series),
      onLog: (upstream, line, count) => this.#toldByBackend(upstream, line, count),
    });
    this.#carriages.push(carriage);
    return carriage;
  }

  /** A line of channel L within this exchange: to the observer and to the records. */
  #toldByBackend(upstream: Upstream, line: LogLine, count: RelayCount): void {
    const { observe, clock, limits } = this.#context;
    const facts = { names: this.#session.names, id: this.#id, judgement: this.#judgement, upstream, line };
    observe(backendLogOf(facts));
    let told = 0;
    for (const lines of count.logs.values()) told += lines;
    if (told <= limits.logRecordsMax) this.#append(logRecordOf(facts, clock.wallMs()));
  }

  /** Tells the peer, records the completion, tells the observers. */
  async #finish(
    ending: Ending,
    backends: readonly string[],
    bytesBefore: number,
    closeFor: CloseReason | undefined,
  ): Promise<CloseReason | undefined> {
    const { clock, observe, limits } = this.#context;
    const { writer, names } = this.#session;
    const verdict = judgeEnding(ending);
    const judgement = this.#judgement;
    if (judgement === undefined) throw new Error('an exchange ended before it was judged');
    this.#admitRefused();
    const told = tellEnding(writer, ending, verdict, this.#id);
    const close = told.closeFor ?? closeFor;
    const { upstream, isSent, count, waitMs } = progressOf(this.#carriages);
    const facts: CompletionFacts = {
      isTold: !this.#isOnlyCounted,
      time: clock.wallMs(),
      names,
      id: this.#id,
      judgement,
      backend: this.#carriages.at(-1)?.backend ?? backends[0],
      upstream,
      parts: this.#parts.length > 1 ? recordedParts(this.#parts) : undefined,
      verdict,
      status: told.status,
      isSent,
      count,
      input: this.#input?.recorded(),
      bytesOut: writer.bytesOut - bytesBefore,
      waitMs: waitMs === undefined ? undefined : this.#turnMs + waitMs,
      durationMs: clock.now() - this.#startMs,
    };
    this.#append(completionOf(facts));
    observe(endedOf(facts));
    if (close === 'client-stall' || close === 'peer-gone') return close;
    return (await waitForReader(writer, clock, limits.clientStallMs)) ?? close;
  }

  #append(record: AuditRecord): void {
    if (!this.#isOnlyCounted) appendQuietly(this.#context.journal, this.#context.observe, record);
  }

  /** What must be on disk before anything is sent is awaited; rejects with a JournalFault. */
  async #admit({ attempt }: Judged): Promise<void> {
    const admission = this.#admission;
    if (admission === undefined || !this.#context.strict.has(attempt.effect)) return this.#admitQuietly();
    this.#admission = undefined;
    this.#admitted = admission;
    await this.#context.journal.append(admission, { durable: true });
  }

  /** Of an exchange that ends, if it has none yet. Of a flood that had no upstream only the number is kept. */
  #admitRefused(): void {
    if (this.#admission === undefined) return;
    const { principal } = this.#session.names;
    const isSilent = this.#carriages.every(({ upstream }) => upstream === undefined);
    this.#isOnlyCounted = isSilent && !this.#context.floods.admit('refused', principal);
    this.#admitQuietly();
  }

  #admitQuietly(): void {
    if (this.#admission === undefined) return;
    this.#append(this.#admission);
    this.#admitted = this.#admission;
    this.#admission = undefined;
  }
}
