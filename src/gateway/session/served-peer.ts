// Serves a greeted peer command after command; and the session as its exchanges see it: one object for all of them, since one runs
// at a time. The rule: what an exchange sees of its session changes between two exchanges, never while one runs.

import type { Login } from '../../domain/identity/credentials.js';
import type { Peer } from '../../domain/identity/peer.js';
import type { Policy } from '../../domain/policy/rule.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { TlsOffer, Transport } from '../../ports/transport.js';
import { parseCommandLine } from '../../protocol/command.js';
import { findLine, lineKey, lineScope } from '../command/assessment.js';
import { startExchange } from '../command/exchange.js';
import type {
  ExchangeContext,
  ExchangeSession,
  Holding,
  RunningExchange,
} from '../command/exchange-context.js';
import { recordedPeer, type SessionNames } from '../command/exchange-records.js';
import type { Logins } from '../login/logins.js';
import type { ReplyWriter } from '../relay/reply-writer.js';
import type { ClientInput } from '../relay/upload-buffer.js';
import { createLineShare, type LineTurns } from './line-turns.js';
import { createCommandInput, type SessionInput } from './session-input.js';

export interface SessionLimits {
  readonly lineBytesMax: number;
  readonly fieldsMax: number;
  readonly handshakeMs: number;
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
}

/** How peers of a listener get in, by the current configuration: TLS or none, and how they authenticate. */
export interface ListenerAccess {
  /** The kernel identifies peers: no login. */
  readonly isPreauthenticated: boolean;
  /** Whether that address may connect; checked before a byte is read. */
  readonly mayConnect: (address: string | undefined) => boolean;
  /** `implicit`: from the first byte on; `starttls`: when the peer asks for it, and required before a password. */
  readonly tls: 'none' | 'starttls' | 'implicit';
  /** The certificate for peers; undefined: there is none, and peers that want TLS are refused. */
  readonly offer: () => TlsOffer | undefined;
  /** Passwords are accepted in clear: on loopback only, where the configuration says so. */
  readonly plainWithoutTls: boolean;
  /** Undefined: no logins. */
  readonly logins: Logins | undefined;
}

/** For peers that the kernel identifies. */
export const kernelAccess: ListenerAccess = {
  isPreauthenticated: true,
  mayConnect: () => true,
  tls: 'none',
  offer: () => undefined,
  plainWithoutTls: false,
  logins: undefined,
};

/**
 * The current configuration. A session calls these each time, because a reload may have replaced it; two values that must belong
 * to the same configuration are read without a wait between them.
 */
export interface SessionContext {
  readonly exchanges: () => ExchangeContext;
  /** Undefined: the listener is gone. */
  readonly access: (listener: string) => ListenerAccess | undefined;
  /**
   * The policy of a peer at its listener, or of its login where it had to log in; undefined: it is not, or no longer, allowed
   * there.
   */
  readonly policy: (peer: Peer, login?: Login) => Policy | undefined;
  readonly limits: () => SessionLimits;
}

export interface ServedPeerOwner {
  /** Why it ends after its exchange; undefined: it goes on. */
  readonly endsFor: CloseReason | undefined;
  /** Commands so far, and the one that runs; both are written here. */
  exchanges: number;
  running: RunningExchange | undefined;
  /** Its current policy; undefined: it is no longer allowed. */
  policy(): Policy | undefined;
}

export interface ServedPeerParts {
  readonly transport: Transport;
  readonly writer: ReplyWriter;
  readonly input: SessionInput;
  readonly clientMinor: number;
  readonly context: SessionContext;
  readonly lineTurns: LineTurns;
}

/** A refused line that took longer has waited for something, which does not count as its work. */
const workMsMax = 20;

export class ServedPeer implements ExchangeSession {
  readonly names: SessionNames;
  readonly writer: ReplyWriter;
  readonly clientMinor: number;
  reason: string | undefined = undefined;
  readonly #owner: ServedPeerOwner;
  readonly #parts: ServedPeerParts;
  readonly #share = createLineShare();
  #policy: Policy | undefined;
  /** Prefix of its keys in the line cache, under that policy. */
  #scope: { readonly policy: Policy; readonly text: string } | undefined;

  constructor(owner: ServedPeerOwner, names: SessionNames, parts: ServedPeerParts) {
    this.#owner = owner;
    this.#parts = parts;
    this.names = { ...names, recorded: recordedPeer(names.peer) };
    this.writer = parts.writer;
    this.clientMinor = parts.clientMinor;
  }

  get policy(): Policy {
    if (this.#policy === undefined) throw new Error('an exchange was begun for somebody who is not served');
    return this.#policy;
  }

  now(): Holding {
    return { context: this.#parts.context.exchanges(), policy: this.#owner.policy() };
  }

  isCurrent(context: ExchangeContext): boolean {
    return this.#parts.context.exchanges() === context;
  }

  openInput(): ClientInput {
    const { input, context, transport } = this.#parts;
    const { inputBytesMax, inputTimeMs } = context.limits();
    const { clock } = context.exchanges();
    const close = (why: CloseReason): void => transport.close(why);
    return createCommandInput(input, { inputBytesMax, inputTimeMs, clock, close });
  }

  /** Until the session must end; resolves to why. Rejects with a WireFault or a TransportFault. */
  async serve(): Promise<CloseReason> {
    const { context, transport, input } = this.#parts;
    const owner = this.#owner;
    const onGone = (): void => owner.running?.abort('client-gone');
    const { lineTurns } = this.#parts;
    const { principal } = this.names;
    for (;;) {
      if (owner.endsFor !== undefined && owner.exchanges > 0) return owner.endsFor;
      const bytes = input.takeLine();
      if (bytes === undefined) {
        const chunk = await input.nextChunk();
        if (chunk === null) return 'peer-ended';
        input.giveBack(chunk);
        continue;
      }
      const turn = lineTurns.enter(this.#share, principal);
      if (turn !== undefined) {
        await turn;
        // A drain closed the transport meanwhile.
        if (transport.closedFor !== undefined) return owner.endsFor ?? 'draining';
      }
      const { clock } = context.exchanges();
      const startMs = clock.now();
      const running = this.#start(bytes);
      const startedMs = clock.now();
      lineTurns.used(this.#share, principal, startedMs - startMs);
      if (running === 'option') continue;
      if (running === 'revoked') return running;
      // After the exchange ran up to its first wait: input that it reads must not be read ahead.
      input.watch(onGone);
      try {
        const closeFor = await running.done;
        // The records and the answer of a refusal are work of the same turn; a served command waited for its backend.
        if (!running.isServed) {
          lineTurns.used(this.#share, principal, Math.min(clock.now() - startedMs, workMsMax));
        }
        if (closeFor !== undefined) return closeFor;
      } finally {
        input.unwatch();
        owner.running = undefined;
        this.reason = undefined;
      }
    }
  }

  #start(bytes: Buffer): RunningExchange | 'option' | 'revoked' {
    const { context } = this.#parts;
    const exchanges = context.exchanges();
    this.#policy = this.#owner.policy();
    const key = this.#keyOf(bytes);
    const known = key === undefined ? undefined : findLine(exchanges, key);
    let line = known?.line;
    if (line === undefined) {
      const read = parseCommandLine(bytes, context.limits());
      if (read.kind === 'option') {
        if (read.name === 'log-passthrough') this.writer.passLogs();
        else this.reason = statedReason(read.name) ?? this.reason;
        return 'option';
      }
      line = read.command;
    }
    if (this.#policy === undefined) return 'revoked';
    this.#owner.exchanges += 1;
    const running = startExchange(exchanges, this, line, known, key);
    this.#owner.running = running;
    return running;
  }

  #keyOf(line: Buffer): string | undefined {
    const policy = this.#policy;
    if (policy === undefined) return undefined;
    if (this.#scope?.policy !== policy) {
      this.#scope = { policy, text: lineScope(policy, this.names, this.clientMinor) };
    }
    return lineKey(this.#scope.text, line);
  }
}

const reasonOption = 'dovegate-reason=';
const reasonBytesMax = 512;

/**
 * Why a client wants its next command: `TAB TAB OPTION TAB dovegate-reason=TEXT`, which never goes upstream. Cut to its limit at a
 * character; undefined: it is another option.
 */
function statedReason(name: string): string | undefined {
  if (!name.startsWith(reasonOption)) return undefined;
  let text = name.slice(reasonOption.length);
  while (Buffer.byteLength(text) > reasonBytesMax) text = text.slice(0, -1);
  return text;
}
