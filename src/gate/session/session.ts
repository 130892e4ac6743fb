// One accepted transport from accept to close: handshake, then command after command. The transport is always closed, with a reason. The
// session is also the view of it that its exchanges have: one object for all, since one exchange runs at a time. This view changes between
// two exchanges, never during one. A broken line ends the session without an answer, one that is too long with an answer, and nothing after
// it is read. A peer that has ended its side still gets its answers.

import { codes, sentenceOf } from '../../doveadm/codes/codes.js';
import { type CommandLine, parseCommandLine } from '../../doveadm/protocol/command.js';
import { newestMinor } from '../../doveadm/protocol/minors.js';
import { Abortable } from '../../host/concurrency/abortable.js';
import type { Place } from '../../host/concurrency/ordered-set.js';
import { TransportFault, WireFault } from '../../host/ports/faults.js';
import type { Timer } from '../../host/ports/machine.js';
import { networkOf, type Peer } from '../../host/ports/peer.js';
import type { CloseReason, Transport } from '../../host/ports/transport.js';
import type { AuditRecord } from '../../journal/records/record.js';
import type { Login } from '../../rules/identity/credentials.js';
import { type Human, humanOf, type Proof } from '../../rules/identity/human.js';
import { principalOf } from '../../rules/identity/principal.js';
import type { Subject } from '../../rules/policy/judge.js';
import type { Policy } from '../../rules/policy/policy.js';
import { findLine, lineKey, lineScope } from '../command/assessment.js';
import { type ExchangeContext, type ExchangeSession, recordedPeer } from '../command/context.js';
import { Exchange, type ExchangeWish } from '../command/exchange.js';
import { dryRunLine } from '../command/own-commands.js';
import { nothingStated, type Stated, withOption } from '../command/stated.js';
import { appendQuietly } from '../outcome/journal.js';
import type { ClientInput } from '../relay/relay.js';
import { type ReplyTarget, ReplyWriter } from '../relay/reply-writer.js';
import {
  type GreetedPeer,
  type Greeting,
  greetPeer,
  type ServedListener,
  type SessionContext,
} from './greet-peer.js';
import type { HttpAnswer } from './http-answer.js';
import { type HttpHost, serveRequests } from './http-session.js';
import { createLineShare, type LineTurns } from './line-turns.js';
import type { RunningSession } from './roster.js';
import { type LineRefusal, PeerInput, SessionInput } from './session-input.js';

/** In a drain, a peer may send its first command within this time of its accept: otherwise it is lost, and clients notice a restart. */
const firstCommandMs = 1_000;
/** How long an unauthenticated client may take to close its side after ours: the connection still takes a descriptor. */
const unauthenticatedLingerMs = 1_000;
const ordinaryEnds: ReadonlySet<CloseReason> = new Set(['peer-ended', 'peer-gone', 'draining']);
/** A refused line that took longer waited for something; the wait does not count as work. */
const workMsMax = 20;

export interface SessionHost {
  readonly lineTurns: LineTurns;
  /** Called whenever its standing has changed, except to `known`. */
  readonly onStanding: (session: RunningSession) => void;
  /** Called once the peer is known: counts the session for that peer, as `known`, or returns why there is no place for it. */
  readonly admit: (session: Session) => string | undefined;
  /** Called when its transport is closed, with all output sent or given up. */
  readonly onEnd: (session: Session) => void;
}

interface SessionEnd {
  readonly reason: CloseReason;
  readonly text?: string | undefined;
}

/** Starts with its construction. */
export class Session implements RunningSession, ExchangeSession, HttpHost {
  place: Place<RunningSession> | undefined;
  readonly done: Promise<void>;
  standing: RunningSession['standing'];
  running: Exchange | undefined;
  names: ExchangeSession['names'];
  stated = nothingStated;
  /** Both are set before the first command. */
  subject!: Subject;
  writer!: ReplyTarget;
  /** A request is read or answered: between its commands no exchange runs, but the session must not be closed. */
  isBusy = false;
  readonly servedAt: ServedListener;
  readonly transport: Transport;
  /** The origin that the service counts the session for: the peer at first, then the login. */
  countedAs: string;
  readonly #host: SessionHost;
  readonly #startedMs: number;
  readonly #share = createLineShare();
  #exchanges = 0;
  /** Whether one of its exchanges is in the journal; exchanges of a flood are only counted. */
  #isRecorded = false;
  endsFor: 'draining' | 'revoked' | undefined;
  isAborted = false;
  #login: Login | undefined;
  #human: Human | undefined;
  readonly #greeting = new Abortable();
  #firstCommand: Timer | undefined;
  #input: SessionInput | undefined;
  #httpInput: ClientInput | undefined;
  #lineWriter: ReplyWriter | undefined;
  #clientMinor = 0;
  #lineBytesMax = 0;
  /** The client ended its side, or was lost. */
  #isGone = false;
  /** When the line of the running exchange had been evaluated. */
  #workedMs = 0;
  /** The peer may send commands, or could do so before. */
  #isGreeted = false;
  /** The policy of the subject, and with `#scope` the prefix of its keys in the line cache. */
  #policy: Policy | undefined;
  #scope = '';
  /** The settings under which `#policy` was looked up last. */
  #policyAt: ExchangeContext | undefined;

  /** `described`: with facts about the peer that take longer than an accept may. */
  constructor(
    host: SessionHost,
    servedAt: ServedListener,
    transport: Transport,
    peer: Peer,
    described: Promise<Peer>,
  ) {
    const { context } = servedAt;
    const { clock, newId } = context.exchanges();
    const { listener } = peer;
    this.#host = host;
    this.servedAt = servedAt;
    this.transport = transport;
    this.countedAs = context.origin(peer);
    this.#startedMs = clock.now();
    this.standing = context.access(listener)?.isPreauthenticated === false ? 'unauthenticated' : 'known';
    const principal = principalOf(peer).text;
    this.names = {
      session: newId(),
      protocol: undefined,
      listener,
      socket: context.access(listener)?.socket,
      peer,
      recorded: recordedPeer(peer),
      principal,
      origin: this.countedAs,
    };
    this.done = this.#run(described);
  }

  drain(reason: 'draining' | 'revoked'): void {
    if (this.endsFor !== undefined) return;
    this.endsFor = reason;
    if (this.#isServing) return;
    const { clock } = this.#context;
    const isNew = reason === 'draining' && this.#exchanges === 0;
    const leftMs = isNew ? this.#startedMs + firstCommandMs - clock.now() : 0;
    // An unauthenticated peer that keeps its side open must not delay a stop, so it is closed abruptly.
    const close = (): void => {
      if (!this.#isServing) this.#close(reason, this.standing !== 'known');
    };
    if (reason === 'revoked') return close();
    // Bytes that arrived before the drain may be unread: one turn of the event loop reads them.
    const closeSoon = (): void => void clock.nextTurn().then(close);
    if (leftMs <= 0) closeSoon();
    else this.#firstCommand = clock.setTimer(leftMs, closeSoon);
  }

  /** A request of an unauthenticated peer does not count: its login may have to wait long. */
  get #isServing(): boolean {
    return this.running !== undefined || (this.isBusy && this.standing === 'known');
  }

  abort(): void {
    this.endsFor ??= 'draining';
    this.isAborted = true;
    if (this.running === undefined) this.#close(this.endsFor);
    else this.running.abort('draining');
  }

  cut(): void {
    this.#close('draining', true);
  }

  giveWay(): void {
    this.#close('sessions-limit', true);
  }

  /** The policy of an unauthenticated peer is checked after its login. */
  isPermitted(): boolean {
    if (this.standing === 'known') return this.policyNow() !== undefined;
    return this.context.access(this.names.listener)?.isPreauthenticated === false;
  }

  now(): ReturnType<ExchangeSession['now']> {
    return { context: this.#context, policy: this.policyNow() };
  }

  isCurrent(context: ExchangeContext): boolean {
    return this.context.exchanges() === context;
  }

  openInput(): ClientInput {
    if (this.#httpInput !== undefined) return this.#httpInput;
    const { context, transport } = this;
    const { inputBytesMax, inputTimeMs } = context.limits();
    const { clock } = this.#context;
    const close = (why: CloseReason): void => transport.close(why);
    return new PeerInput(this.#input ?? notServed(), { inputBytesMax, inputTimeMs, clock, close });
  }

  get #context(): ExchangeContext {
    return this.context.exchanges();
  }

  get proof(): Proof {
    if (this.#login === undefined) return kernelProof;
    const { stamp, shown = stamp, account: name, isKey } = this.#login;
    return { kind: isKey === true ? 'key' : 'account', name, stamp: shown };
  }

  get origin(): string {
    return this.names.origin;
  }

  /** Made when a lock or a question about access first needs it, from what was known at the connect or the login. */
  get human(): Human {
    const { peer, origin } = this.names;
    const { rights } = this.#context.access;
    return (this.#human ??= humanOf(peer, this.proof, rights.hasDirectory(), origin));
  }

  policyNow(): Policy | undefined {
    return this.context.policy(this.names.peer, this.#login);
  }

  #close(reason: CloseReason, isAbrupt = false): void {
    this.transport.close(reason, isAbrupt);
    this.#greeting.abort(new TransportFault('closed', `the transport was closed: ${reason}`));
  }

  get context(): SessionContext {
    return this.servedAt.context;
  }

  /** A known session stays known: a wrong key on a kept connection ends it. */
  #startChecking(): void {
    if (this.standing !== 'unauthenticated') return;
    this.standing = 'checking';
    this.#host.onStanding(this);
  }

  /** Few locals here and in `#serve`: a waiting session holds their frames. */
  async #run(described: Promise<Peer>): Promise<void> {
    let end: SessionEnd;
    try {
      if (this.context.access(this.names.listener)?.protocol === 'http') {
        end = { reason: await serveRequests(this, this.#greetingOf(), await described) };
      } else {
        const greeted = await this.#greet();
        end = 'reason' in greeted ? greeted : (this.#open(greeted, await described) ?? (await this.#serve()));
      }
    } catch (fault) {
      end = endOf(fault);
    }
    const cut = this.#end(end);
    // `done` includes output that is still on its way.
    await this.transport.whenClosed();
    cut?.cancel();
    this.#firstCommand?.cancel();
    this.#host.onEnd(this);
  }

  /** After the handshake; returns why no commands may follow. */
  #open(
    { login, certificate, minor, clientMinor, rest }: Exclude<GreetedPeer, SessionEnd>,
    peer: Peer,
  ): SessionEnd | undefined {
    const { context, transport } = this;
    const { listener, session } = this.names;
    const text = this.logIn(peer, login, certificate);
    if (text !== undefined) return { reason: 'sessions-limit', text };
    // A reload may have come during the wait.
    if (login !== undefined && this.policyNow() === undefined) return { reason: 'revoked' };
    this.#context.observe({ kind: 'session-opened', level: 'debug', listener, session, minor });
    this.#lineWriter = new ReplyWriter(transport, minor, context.access(listener)?.refusalCell);
    this.writer = this.#lineWriter;
    this.#clientMinor = clientMinor;
    this.#lineBytesMax = context.limits().lineBytesMax;
    const { buffered } = this.#context;
    this.#input = new SessionInput(transport, rest, this.#lineBytesMax, {
      buffered,
      holder: this.names.origin,
    });
    transport.onGone(() => {
      this.#isGone = true;
      this.running?.abort('client-gone');
    });
    return undefined;
  }

  /** Closes the transport, and reports that; the timer cuts the connection. */
  #end({ reason, text }: SessionEnd): Timer | undefined {
    const { transport } = this;
    const { listener, session } = this.names;
    this.#input?.close();
    transport.close(reason);
    const closedFor = transport.closedFor ?? reason;
    const { observe, clock } = this.#context;
    const exchanges = this.#exchanges;
    if (this.#isGreeted) this.#recordEnd(closedFor, text);
    const isTold = this.standing === 'known' || this.#isWorthTelling(closedFor);
    const level = isTold && !ordinaryEnds.has(closedFor) ? 'warn' : 'debug';
    observe({ kind: 'session-closed', level, listener, session, reason: closedFor, exchanges, text });
    if (this.standing === 'known') return undefined;
    return clock.setTimer(unauthenticatedLingerMs, () => transport.close(closedFor, true));
  }

  async #greet(): Promise<GreetedPeer> {
    const greeting = this.#greetingOf();
    return greeting === undefined ? { reason: 'revoked', text: undefined } : greetPeer(greeting);
  }

  #greetingOf(): Greeting | undefined {
    const { context, transport } = this;
    const { peer, listener } = this.names;
    const access = context.access(listener);
    return (
      access && {
        transport,
        peer,
        access,
        context: this.#context,
        limits: context.limits(),
        waiting: this.#greeting,
        onChecking: () => this.#startChecking(),
      }
    );
  }

  /** Sets the peer, identified by the kernel or by a login; or returns why there is no place for another session of it. */
  logIn(peer: Peer, login: Login | undefined, certificate: string | undefined): string | undefined {
    const { listener } = this.names;
    const known = certificate === undefined ? peer : { ...peer, certificate };
    const principal = principalOf(known, login?.account).text;
    const { context } = this;
    const { protocol: spoken, isPreauthenticated = false } = context.access(listener) ?? {};
    const protocol = spoken === 'http' ? 'http' : undefined;
    this.names = {
      ...this.names,
      protocol,
      peer: known,
      recorded: recordedPeer(known),
      principal,
      origin: context.origin(known, login),
      isPreauthenticated,
    };
    this.#login = login;
    this.#human = undefined;
    this.#isGreeted = true;
    this.#policyAt = undefined;
    // The subject contains the principal, and another principal may have the same policy.
    this.#policy = undefined;
    return this.#host.admit(this);
  }

  async work<T>(run: () => T): Promise<T> {
    await this.#host.lineTurns.enter(this.#share, this.names.origin);
    const startMs = this.#context.clock.now();
    try {
      return run();
    } finally {
      this.#worked(startMs);
    }
  }

  /** Counts the time since then as work of this session, `mostMs` of it at the most. */
  #worked(sinceMs: number, mostMs = Infinity): void {
    this.#workedMs = this.#context.clock.now();
    this.#host.lineTurns.used(this.#share, this.names.origin, Math.min(this.#workedMs - sinceMs, mostMs));
  }

  /** One command of a request; the answer goes to `answer`. */
  async runNamed(
    line: CommandLine,
    stated: Stated,
    answer: HttpAnswer,
    input: ClientInput | undefined,
    wish: ExchangeWish | undefined,
  ): Promise<{ id: string; closeFor: CloseReason | undefined } | 'revoked'> {
    await this.#host.lineTurns.enter(this.#share, this.names.origin);
    // A drain may have canceled it meanwhile, or closed the transport.
    const { closedFor: isClosed } = this.transport;
    const wishNow = this.isAborted ? 'draining' : isClosed === undefined ? wish : 'client-gone';
    const exchanges = this.#context;
    const startMs = exchanges.clock.now();
    this.#clientMinor = newestMinor;
    this.#lookPolicyUp(exchanges);
    if (this.#policy === undefined) return 'revoked';
    this.writer = answer;
    this.stated = stated;
    this.#httpInput = input;
    this.#exchanges += 1;
    const running = new Exchange(exchanges, this, line, undefined, undefined, wishNow);
    this.running = running;
    this.#worked(startMs);
    try {
      const closeFor = await running.done;
      this.#ended(running);
      return { id: running.id, closeFor };
    } finally {
      this.running = undefined;
    }
  }

  /** Runs until the session must end; resolves to why. Rejects with a WireFault or a TransportFault. */
  async #serve(): Promise<SessionEnd> {
    const input = this.#input ?? notServed();
    for (;;) {
      if (this.endsFor !== undefined && this.#exchanges > 0) return { reason: this.endsFor };
      const line = input.takeLine();
      if (typeof line === 'string') return this.#refuseLine(input, line);
      if (line === undefined) {
        const chunk = await input.nextChunk();
        if (chunk === null) return { reason: 'peer-ended' };
        input.giveBack(chunk);
        continue;
      }
      const turn = this.#host.lineTurns.enter(this.#share, this.names.origin);
      if (turn !== undefined) {
        // The line came before a drain: it is served, however many turns that takes.
        this.isBusy = true;
        await turn;
        this.isBusy = false;
        // An abort closed the transport meanwhile.
        if (this.transport.closedFor !== undefined) return { reason: this.endsFor ?? 'draining' };
      }
      // The peer left during the previous command, or while this one waited: it is not begun.
      if (this.#isGone) return { reason: 'peer-gone' };
      const running = this.#takeTimed(line);
      if (running === 'revoked') return { reason: running };
      if (running === 'option') continue;
      // After the exchange's first wait: input that it reads must not be read ahead.
      input.readAhead();
      try {
        const reason = await running.done;
        this.#ended(running);
        if (reason !== undefined) return { reason };
      } finally {
        this.running = undefined;
        this.stated = nothingStated;
      }
    }
  }

  /** Reads the rest of a line that is not taken, and answers. */
  async #refuseLine(input: SessionInput, code: LineRefusal): Promise<SessionEnd> {
    await input.dropLine(this.#context.clock);
    const sentence = sentenceOf(code, { limit: String(this.#lineBytesMax) });
    this.#lineWriter?.refuse({ code, sentence }, codes[code].status);
    await this.#lineWriter?.flush(0);
    return { reason: reasonOf[code], text: `${code}: ${sentence}` };
  }

  #takeTimed(line: Buffer): Exchange | 'option' | 'revoked' {
    const startMs = this.#context.clock.now();
    const running = this.#take(line);
    this.#worked(startMs);
    return running;
  }

  #ended({ isRecorded, isServed }: Exchange): void {
    this.#isRecorded ||= isRecorded;
    // The records and the answer of a refusal are work of the same turn; a served command waited for its backend.
    if (!isServed) this.#worked(this.#workedMs, workMsMax);
  }

  /**
   * Records what the exchanges' records lack: nothing if the client closed after its only exchange. Every admission has the peer, so it is
   * added here only where there is none; such sessions are only counted in a flood.
   */
  #recordEnd(reason: CloseReason, text: string | undefined): void {
    const { clock, floods } = this.#context;
    const { session, listener, origin, principal, recorded } = this.names;
    const count = this.#exchanges;
    if (this.#isRecorded ? count === 1 && reason === 'peer-ended' : !floods.admit('session', this.names))
      return;
    const time = clock.wallMs();
    const isSilent = count === 0;
    if (isSilent) {
      this.#append({ time, event: 'session-open', session, listener, peer: recorded, origin, principal });
    }
    this.#append({
      time,
      event: 'session-close',
      session,
      listener,
      peer: this.#isRecorded || isSilent ? undefined : recorded,
      origin,
      principal,
      reason,
      count,
      text,
      duration_ms: clock.now() - this.#startedMs,
    });
  }

  #take(bytes: Buffer): Exchange | 'option' | 'revoked' {
    const { context } = this;
    const exchanges = context.exchanges();
    // The kernel's facts about a peer do not change; a login's right may end with a certificate, without a reload.
    if (exchanges !== this.#policyAt || this.#login !== undefined) this.#lookPolicyUp(exchanges);
    const policy = this.#policy;
    const { knownLines, clock } = exchanges;
    const key = policy === undefined ? undefined : lineKey(this.#scope, bytes);
    const known = key === undefined ? undefined : findLine(knownLines, key, clock.wallMs());
    let line = known?.line;
    if (line === undefined) {
      const read = parseCommandLine(bytes);
      if (read.kind === 'option') {
        if (read.name === 'log-passthrough') this.#lineWriter?.passLogs();
        else this.stated = withOption(this.stated, read.name);
        return 'option';
      }
      line = read.command;
    }
    if (policy === undefined) return 'revoked';
    this.#exchanges += 1;
    const asked = known === undefined ? dryRunLine(line) : undefined;
    this.running =
      asked === undefined
        ? new Exchange(exchanges, this, line, known, key)
        : new Exchange(exchanges, this, asked, undefined, undefined, 'dry-run');
    return this.running;
  }

  #lookPolicyUp(exchanges: ExchangeContext): void {
    const policy = this.policyNow();
    this.#policyAt = exchanges;
    if (policy === this.#policy) return;
    this.#policy = policy;
    if (policy === undefined) return;
    const { listener, principal } = this.names;
    this.subject = { listener, principal, clientMinor: this.#clientMinor, policy };
    this.#scope = lineScope(this.subject);
  }

  /** For an unauthenticated peer: failed logins are reported elsewhere; the rest is rate-limited with refused connections. */
  #isWorthTelling(reason: CloseReason): boolean {
    const { peer, listener } = this.names;
    if (reason === 'login-failed' || reason === 'tls-failed' || reason === 'peer-ended') return false;
    const source = { network: networkOf(peer.address ?? '-'), listener };
    return this.#context.floods.admit('turned-away', source);
  }

  #append(record: AuditRecord): void {
    const { journal, observe } = this.#context;
    appendQuietly(journal, observe, record, 'brief');
  }
}

const reasonOf: Readonly<Record<LineRefusal, CloseReason>> = {
  'line-too-long': 'wire-fault',
  'line-no-room': 'input-limit',
};

const kernelProof: Proof = { kind: 'kernel' };

function endOf(fault: unknown): SessionEnd {
  if (fault instanceof WireFault) return { reason: 'wire-fault', text: `${fault.code}: ${fault.message}` };
  if (fault instanceof TransportFault) return { reason: 'peer-gone' };
  return { reason: 'internal', text: fault instanceof Error ? fault.message : String(fault) };
}

function notServed(): never {
  throw new Error('a command came before the handshake was over');
}
