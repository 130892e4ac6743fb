// One command from its line to its completion record: judge, record, send on its way, tell. A script.
// It does not know how a policy decides, how a record gets on disk, or what happens on an upstream.
// The rules: nothing goes upstream before the admission is on disk; nothing a client sent is forwarded, the line is
// encoded afresh; every admission gets one completion.

import { type Abortable, createAbortable } from '../../concurrency/abortable.js';
import type { AuditRecord } from '../../domain/audit/record.js';
import type { Series } from '../../domain/commands/catalog.js';
import { isAllowed, type Judged, type Judgement } from '../../domain/policy/judge.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { CommandLine } from '../../protocol/command.js';
import type { LogLine } from '../../protocol/log-line.js';
import { type Ending, judgeEnding } from '../outcome/outcome.js';
import type { Upstream } from '../pool/upstream.js';
import type { OutgoingCommand } from '../relay/converse.js';
import type { RelayCount } from '../relay/relay.js';
import type { RelayTarget } from '../relay/reply-writer.js';
import { assessCommand, keepLine } from './assessment.js';
import { type Carriage, type CarriedExchange, createCarriage, cutOff, isBacklogged } from './carry.js';
import { type DispatchedExchange, dispatch } from './dispatch.js';
import type {
  AbortReason,
  ExchangeContext,
  ExchangeSession,
  KnownLine,
  RunningExchange,
} from './exchange-context.js';
import { createExchangeInput, type ExchangeInput } from './exchange-input.js';
import { admissionOf, exchangeNamesOf } from './exchange-records.js';
import { ExchangeTrail } from './exchange-trail.js';
import { type Part, progressOf, recordedParts } from './fan-out.js';
import { outgoingCommand, usernameEvery } from './outgoing.js';
import { assessOwnCommand } from './own-commands.js';
import { type FirstLook, lookAgain, lookThere } from './recheck.js';
import { refusalOf, refuseByLimits } from './refusal.js';
import type { Destination } from './router.js';
import { tellEnding, waitForReader } from './tell.js';

const none: readonly never[] = [];

/**
 * Starts an exchange; it runs up to its first wait at once. `known`: what is known of the line already; `key`: by which what is
 * found out may be remembered.
 */
export function startExchange(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
  known: KnownLine | undefined,
  key: string | undefined,
): RunningExchange {
  return new Exchange(context, session, line, known, key);
}

/** One object for all that look at it: its session, its dispatch, its ways. */
class Exchange implements RunningExchange, DispatchedExchange, CarriedExchange, FirstLook {
  readonly done: Promise<CloseReason | undefined>;
  readonly context: ExchangeContext;
  readonly session: ExchangeSession;
  readonly id: string;
  readonly line: CommandLine;
  aliases: readonly string[] = none;
  destinations: readonly Destination[] = none;
  readonly abortable: Abortable = createAbortable();
  readonly #startMs: number;
  #known: KnownLine | undefined;
  #judgement: Judgement | undefined;
  #input: ExchangeInput | undefined;
  #trail: ExchangeTrail | undefined;
  /** Waited for its turn and its admission. */
  #turnMs = 0;
  #isReading = true;
  /** Every way that it took, or takes. */
  readonly #carriages: Carriage[] = [];
  /** And how they ended. */
  #parts: readonly Part[] = none;

  constructor(
    context: ExchangeContext,
    session: ExchangeSession,
    line: CommandLine,
    known: KnownLine | undefined,
    key: string | undefined,
  ) {
    this.context = context;
    this.session = session;
    this.line = line;
    this.#known = known;
    this.id = context.newId();
    this.#startMs = context.clock.now();
    this.done = this.#run(key);
  }

  abort(reason: AbortReason): void {
    this.abortable.abort(reason);
    if (reason === 'client-gone' && !this.#isReading) return;
    for (const carriage of this.#carriages) carriage.cut();
  }

  describe(): ReturnType<RunningExchange['describe']> {
    const names = exchangeNamesOf(this.session.names, this.id, this.#judgement);
    const durationMs = this.context.clock.now() - this.#startMs;
    return { ...names, backend: this.#carriages.at(-1)?.backend, durationMs };
  }

  get isServed(): boolean {
    return this.#carriages.some(({ upstream }) => upstream !== undefined);
  }

  get judgement(): Judged {
    if (this.#judgement?.kind !== 'judged') throw new Error('an exchange was sent before it was judged');
    return this.#judgement;
  }

  get input(): ExchangeInput {
    if (this.#input === undefined) throw new Error('an exchange was sent before its input was known');
    return this.#input;
  }

  get admission(): AuditRecord {
    return this.#records.admission;
  }

  get #records(): ExchangeTrail {
    if (this.#trail === undefined) throw new Error('an exchange was recorded before it was judged');
    return this.#trail;
  }

  async #run(key: string | undefined): Promise<CloseReason | undefined> {
    const { context, session } = this;
    const { names, policy, reason, writer } = session;
    const bytesBefore = writer.bytesOut;
    const own = this.#known === undefined ? assessOwnCommand(context, session, this.line) : undefined;
    const assessed = this.#known?.assessed ?? own ?? (await assessCommand(context, session, this.line));
    if (key !== undefined) this.#known ??= keepLine(context, key, this.line, assessed);
    const { judgement, destinations, obstacle } = assessed;
    this.#judgement = judgement;
    this.destinations = destinations;
    this.aliases = assessed.aliases;
    const input = createExchangeInput(context, judgement, session);
    this.#input = input;
    const backends = this.#known?.backends ?? destinations.map(({ pool }) => pool.backend);
    const { clock, redact } = context;
    const { clientMinor } = session;
    const who = { names, policy, clientMinor, reason };
    const facts = { ...who, time: clock.wallMs(), id: this.id, redact, judgement, backends };
    const isStrict = isAllowed(judgement) && context.strict.has(judgement.attempt.effect);
    const trail = new ExchangeTrail(context, admissionOf(facts, this.#known?.recorded), isStrict);
    this.#trail = trail;
    let ending: Ending;
    if (!isAllowed(judgement)) {
      ending = refusalOf(judgement, policy.name);
    } else if (obstacle !== undefined) {
      ending = obstacle;
    } else {
      ending =
        refuseByLimits(judgement, session, context) ??
        (own === undefined
          ? await this.#serve(judgement, input, trail)
          : await own.answer(() => trail.admitQuestion(names.principal)));
    }
    trail.admitRefused(names.principal, this.isServed);
    const settled = input.settle(this.abortable.reason === 'draining' || this.abortable.reason === 'killed');
    const closeFor = settled instanceof Promise ? await settled : settled;
    return this.#finish(judgement, ending, backends[0], bytesBefore, closeFor, trail);
  }

  /** Sends an allowed command on its way, when its turn comes. */
  async #serve(judgement: Judged, input: ExchangeInput, trail: ExchangeTrail): Promise<Ending> {
    this.#isReading = judgement.attempt.effect === 'read';
    // The dsync of 2.4 always says 1, of a connection that it makes itself (measured on 2.4.1).
    if (this.line.proxyTtl !== undefined && this.line.proxyTtl <= 1 && !input.isDuplex) {
      return { kind: 'unroutable', reason: 'the command went over too many proxies (proxy-ttl)' };
    }
    const { context, destinations } = this;
    const { clock } = context;
    // With max_matches a search comes first, and the admission says what it found.
    const isCounted = judgement.decision.obligations?.maxMatches !== undefined;
    let startMs = clock.now();
    let giveBack: (() => void) | undefined;
    // Only what has to be waited for is: each wait is a turn of the queue of promises, and most commands need none of these.
    try {
      // Who has no turn soon needs no sync of its own: it would only take the time of others.
      const admitted =
        isCounted || !trail.isStrict ? undefined : trail.admit(isBacklogged(this, destinations));
      if (admitted !== undefined) await admitted;
      const gathering = input.gather(this.abortable);
      if (gathering !== undefined) {
        const admittedMs = clock.now() - startMs;
        const ended = await gathering;
        if (ended !== undefined) return ended;
        // The time that the client took is not ours.
        startMs = clock.now() - admittedMs;
      }
      const turn = this.#takeTurn();
      if (turn !== undefined) giveBack = await turn;
    } catch (fault) {
      if (this.abortable.isAborted && fault === this.abortable.reason) {
        return cutOff(this.abortable, false);
      }
      return { kind: 'fault', fault, isSent: false, backend: destinations[0]?.pool.backend ?? '' };
    }
    try {
      this.#turnMs = clock.now() - startMs;
      const { users } = judgement.attempt;
      const touched = this.aliases.length === 0 ? users : [...users, ...this.aliases];
      const { writer } = this.session;
      const dispatched = dispatch({ exchange: this, destinations, users: touched, writer });
      // Where nobody waits for its record, the command is on its way first; both happen before anything else does.
      if (!isCounted) trail.admitQuietly();
      const { ending, parts } = await dispatched;
      this.#parts = parts;
      return ending;
    } finally {
      giveBack?.();
    }
  }

  lookThere(there: Destination): Ending | undefined {
    return lookThere(this, there);
  }

  lookAgain(destination: Destination, series: Series): Ending | undefined {
    return lookAgain(this, destination, series);
  }

  /** Waits until fewer than `at_once` commands of this principal run; undefined: there is no such limit. */
  #takeTurn(): Promise<() => void> | undefined {
    const { names, policy } = this.session;
    const most = policy.limits.atOnce;
    if (most === undefined) return undefined;
    return this.context.turns.take(`${names.principal}\0${policy.name}`, most, this.abortable.signal);
  }

  start(destination: Destination, target: RelayTarget): Carriage {
    const carriage = createCarriage(this, destination, target);
    this.#carriages.push(carriage);
    return carriage;
  }

  noteMatches(matches: number | undefined): void {
    this.#records.noteMatches(matches);
  }

  outgoing(serverMinor: number): OutgoingCommand | undefined {
    const known = this.#known;
    if (known?.sent?.serverMinor === serverMinor) return known.sent.command;
    const rowCells = usernameEvery(this.judgement, serverMinor);
    if (rowCells === undefined) return undefined;
    const command = outgoingCommand(
      this.judgement,
      this.line,
      this.session.policy.debug,
      rowCells,
      serverMinor,
    );
    if (known !== undefined) known.sent = { serverMinor, command };
    return command;
  }

  toldByBackend(upstream: Upstream, line: LogLine, count: RelayCount): void {
    const facts = { names: this.session.names, id: this.id, judgement: this.#judgement, upstream, line };
    this.#records.backendSaid(facts, count);
  }

  /** Tells the peer, and then records the completion and tells the observers: nobody waits for these. */
  #finish(
    judgement: Judgement,
    ending: Ending,
    backend: string | undefined,
    bytesBefore: number,
    closeFor: CloseReason | undefined,
    trail: ExchangeTrail,
  ): CloseReason | undefined | Promise<CloseReason | undefined> {
    const { clock, limits } = this.context;
    const { writer, names } = this.session;
    const verdict = judgeEnding(ending);
    const told = tellEnding(writer, ending, verdict, this.id);
    const close = told.closeFor ?? closeFor;
    const isUnread = close === 'client-stall' || close === 'client-slow' || close === 'peer-gone';
    const reading = isUnread ? undefined : waitForReader(writer, clock, limits.clientStallMs);
    const { upstream, isSent, count, waitMs } = progressOf(this.#carriages);
    trail.complete({
      time: clock.wallMs(),
      names,
      id: this.id,
      judgement,
      backend: this.#carriages.at(-1)?.backend ?? backend,
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
      isTold: trail.isTold,
    });
    return reading === undefined ? close : reading.then((why) => why ?? close);
  }

  admit(): Promise<void> | undefined {
    return this.#records.admit();
  }
}
