// One accepted transport from accept to close: handshake, then command after command. A script with one `finally` that closes the
// transport, with a reason. The rules: a broken line ends the session without an answer, and nothing after it is read; a peer that
// has ended its side still gets its answers.

import { createAbortable } from '../../concurrency/abortable.js';
import type { Place } from '../../concurrency/ordered-set.js';
import type { AuditRecord } from '../../domain/audit/record.js';
import type { Login } from '../../domain/identity/credentials.js';
import { networkOf, type Peer, principalOf } from '../../domain/identity/peer.js';
import type { Policy } from '../../domain/policy/rule.js';
import type { Timer } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { Transport } from '../../ports/transport.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { RunningExchange } from '../command/exchange-context.js';
import { recordedPeer, type SessionNames } from '../command/exchange-records.js';
import { appendQuietly } from '../outcome/append.js';
import { strangerSource } from '../outcome/flood-watch.js';
import { createReplyWriter } from '../relay/reply-writer.js';
import { type GreetedPeer, greetPeer } from './greet-peer.js';
import type { LineTurns } from './line-turns.js';
import type { RunningSession } from './roster.js';
import type { SessionContext } from './served-peer.js';
import { ServedPeer, type ServedPeerOwner } from './served-peer.js';
import { createSessionInput } from './session-input.js';

/**
 * How long after its accept a peer may send its first command during a drain. Closed at once, its command would be lost, and
 * clients would notice a restart: the next process already waits for new connections.
 */
const firstCommandMs = 1_000;

/** Starts a session on an accepted transport; `describe` is called at once, `onStanding` whenever its standing has changed. */
export function startSession(
  context: SessionContext,
  lineTurns: LineTurns,
  transport: Transport,
  peer: Peer,
  describe: () => Promise<Peer>,
  onStanding: (session: RunningSession) => void,
): RunningSession {
  return new Session(context, lineTurns, transport, peer, describe, onStanding);
}

class Session implements RunningSession, ServedPeerOwner {
  place: Place<RunningSession> | undefined;
  readonly done: Promise<void>;
  readonly #context: SessionContext;
  readonly #lineTurns: LineTurns;
  readonly #transport: Transport;
  #names: SessionNames;
  running: RunningExchange | undefined;
  exchanges = 0;
  /** Why it ends after its exchange. */
  endsFor: 'draining' | 'revoked' | undefined;
  readonly #startedMs: number;
  #standing: RunningSession['standing'];
  readonly #onStanding: (session: RunningSession) => void;
  #login: Login | undefined;
  /** Ends the wait for a login. */
  readonly #greeting = createAbortable();
  #firstCommand: Timer | undefined;

  constructor(
    context: SessionContext,
    lineTurns: LineTurns,
    transport: Transport,
    peer: Peer,
    describe: () => Promise<Peer>,
    onStanding: (session: RunningSession) => void,
  ) {
    this.#onStanding = onStanding;
    this.#context = context;
    this.#lineTurns = lineTurns;
    this.#transport = transport;
    const { clock, newId } = context.exchanges();
    this.#startedMs = clock.now();
    this.#standing =
      context.access(peer.listener)?.isPreauthenticated === false ? 'unauthenticated' : 'known';
    const session = newId();
    this.#names = { session, listener: peer.listener, peer, principal: principalOf(peer).text };
    this.done = this.#run(describe());
  }

  drain(reason: 'draining' | 'revoked'): void {
    if (this.endsFor !== undefined) return;
    this.endsFor = reason;
    if (this.running !== undefined) return;
    const { clock } = this.#context.exchanges();
    const isNew = reason === 'draining' && this.exchanges === 0;
    const leftMs = isNew ? this.#startedMs + firstCommandMs - clock.now() : 0;
    if (leftMs <= 0) return this.#leave(reason);
    this.#firstCommand = clock.setTimer(leftMs, () => {
      if (this.running === undefined) this.#leave(reason);
    });
  }

  /** An unauthenticated peer that keeps its side open must not delay a stop, so it is closed abruptly. */
  #leave(reason: CloseReason): void {
    this.#close(reason, this.#standing !== 'known');
  }

  abort(): void {
    this.endsFor ??= 'draining';
    if (this.running === undefined) this.#close(this.endsFor);
    else this.running.abort('draining');
  }

  cut(): void {
    this.#close('draining', true);
  }

  giveWay(): void {
    this.#close('sessions-limit', true);
  }

  #become(standing: RunningSession['standing']): void {
    if (standing === this.#standing) return;
    this.#standing = standing;
    this.#onStanding(this);
  }

  get standing(): RunningSession['standing'] {
    return this.#standing;
  }

  /** The policy of an unauthenticated peer is checked after its login. */
  isPermitted(): boolean {
    const { peer } = this.#names;
    if (this.#standing !== 'known') return this.#context.access(peer.listener)?.isPreauthenticated === false;
    return this.policy() !== undefined;
  }

  policy(): Policy | undefined {
    return this.#context.policy(this.#names.peer, this.#login);
  }

  #close(reason: CloseReason, isAbrupt = false): void {
    this.#transport.close(reason, isAbrupt);
    this.#greeting.abort(new TransportFault('closed', `the transport was closed: ${reason}`));
  }

  async #run(described: Promise<Peer>): Promise<void> {
    const { listener, session } = this.#names;
    let reason: CloseReason = 'internal';
    let text: string | undefined;
    /** Sessions of a flood are only counted; admissions in them say who asked. */
    let isRecorded = false;
    try {
      const greeted = await this.#greet();
      if ('reason' in greeted) {
        ({ reason, text } = greeted);
        return;
      }
      const { login, certificate } = greeted;
      const peer = { ...(await described), ...(certificate === undefined ? {} : { certificate }) };
      const principal = principalOf(peer, login?.account).text;
      this.#names = { ...this.#names, peer, principal };
      this.#login = login;
      this.#become('known');
      // A reload may have come while it waited.
      if (login !== undefined && this.policy() === undefined) {
        reason = 'revoked';
        return;
      }
      isRecorded = this.#context.exchanges().floods.admit('session', principal);
      if (isRecorded) {
        const opened = { session, listener, peer: recordedPeer(peer), principal };
        this.#append({ time: this.#wallMs(), event: 'session-open', ...opened });
      }
      this.#context.exchanges().observe({ kind: 'session-opened', listener, session, minor: greeted.minor });
      const writer = createReplyWriter(this.#transport, greeted.minor);
      const input = createSessionInput(this.#transport, greeted.rest, this.#context.limits().lineBytesMax);
      const { clientMinor } = greeted;
      const parts = {
        transport: this.#transport,
        writer,
        input,
        clientMinor,
        context: this.#context,
        lineTurns: this.#lineTurns,
      };
      reason = await new ServedPeer(this, this.#names, parts).serve();
    } catch (fault) {
      if (fault instanceof WireFault) {
        reason = 'wire-fault';
        text = `${fault.code}: ${fault.message}`;
      } else if (fault instanceof TransportFault) {
        reason = 'peer-gone';
      } else {
        text = fault instanceof Error ? fault.message : String(fault);
      }
    } finally {
      this.#transport.close(reason);
      const closedFor = this.#transport.closedFor ?? reason;
      if (isRecorded) {
        const { principal } = this.#names;
        const ended = { session, listener, principal, reason: closedFor, count: this.exchanges, text };
        this.#append({ time: this.#wallMs(), event: 'session-close', ...ended });
      }
      const isTold = this.#standing === 'known' || this.#isWorthTelling(closedFor);
      const closed = {
        listener,
        session,
        reason: closedFor,
        exchanges: this.exchanges,
        text,
        isTold,
      } as const;
      this.#context.exchanges().observe({ kind: 'session-closed', ...closed });
      // `done` includes output that is still on its way.
      await this.#transport.whenClosed();
      this.#firstCommand?.cancel();
    }
  }

  /** Of an unauthenticated peer: failed logins are reported elsewhere; the rest is rate-limited with refused connections. */
  #isWorthTelling(reason: CloseReason): boolean {
    const { peer, listener } = this.#names;
    const { floods } = this.#context.exchanges();
    if (reason === 'login-failed' || reason === 'tls-failed' || reason === 'peer-ended') return false;
    return floods.admit('turned-away', strangerSource(networkOf(peer.address ?? '-'), listener));
  }

  async #greet(): Promise<GreetedPeer> {
    const { peer, listener } = this.#names;
    const access = this.#context.access(listener);
    if (access === undefined) return { reason: 'revoked', text: undefined };
    return greetPeer({
      transport: this.#transport,
      peer,
      access,
      context: this.#context.exchanges(),
      limits: this.#context.limits(),
      waiting: this.#greeting,
      onSuspect: () => this.#become('suspect'),
    });
  }

  #wallMs(): number {
    return this.#context.exchanges().clock.wallMs();
  }

  #append(record: AuditRecord): void {
    const { journal, observe } = this.#context.exchanges();
    appendQuietly(journal, observe, record, true);
  }
}
