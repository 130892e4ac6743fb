// A greeted peer: command after command, until its session ends; and the session as its exchanges see it, one object for all of them,
// since one runs at a time. It does not know how a session begins or what is written down of it.
// The rules: a line of the same bytes is read anew only where nothing is known of it; what an exchange looks at is changed between
// two exchanges, never while one runs.

import type { Policy } from '../../domain/policy/rule.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { Transport } from '../../ports/transport.js';
import { parseCommandLine } from '../../protocol/command.js';
import { startExchange } from '../command/exchange.js';
import type {
  ExchangeContext,
  ExchangeSession,
  Holding,
  RunningExchange,
} from '../command/exchange-context.js';
import { recordedPeer, type SessionNames } from '../command/exchange-records.js';
import { findLine, lineKey, lineScope } from '../command/inquiry.js';
import type { ReplyWriter } from '../relay/reply-writer.js';
import type { ClientInput } from '../relay/upload-buffer.js';
import { createCommandInput } from './command-input.js';
import { createLineShare } from './line-turns.js';
import type { SessionContext } from './session-context.js';
import type { SessionInput } from './session-input.js';
import { statedReason } from './stated-reason.js';

/** The session that it is of. */
export interface ServedPeerOwner {
  /** Why it ends after its exchange; undefined: it goes on. */
  readonly endsFor: CloseReason | undefined;
  /** Commands so far, and the one that runs; both are written here. */
  exchanges: number;
  running: RunningExchange | undefined;
  /** What holds for it now; undefined: it is not served any more. */
  policy(): Policy | undefined;
}

/** What a ServedPeer works with. */
export interface ServedPeerParts {
  readonly transport: Transport;
  readonly writer: ReplyWriter;
  readonly input: SessionInput;
  readonly clientMinor: number;
  readonly context: SessionContext;
}

/** A refused line that took longer has waited for something, and that is not its work. */
const workMsMax = 20;

/** Serves one peer. */
export class ServedPeer implements ExchangeSession {
  readonly names: SessionNames;
  readonly writer: ReplyWriter;
  readonly clientMinor: number;
  reason: string | undefined = undefined;
  readonly #owner: ServedPeerOwner;
  readonly #parts: ServedPeerParts;
  readonly #share = createLineShare();
  #policy: Policy | undefined;
  /** By what its lines are remembered, under that policy. */
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
    const { lineTurns } = context;
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
        // A drain in that turn has closed the transport: nobody is there to be answered.
        if (transport.closedFor !== undefined) return owner.endsFor ?? 'draining';
      }
      const { clock } = context.exchanges();
      const startMs = clock.now();
      const running = this.#start(bytes);
      const startedMs = clock.now();
      lineTurns.used(this.#share, principal, startedMs - startMs);
      if (running === 'option') continue;
      if (running === 'revoked') return running;
      // Not before the exchange had its first turn: input that it reads must not be read ahead.
      input.watch(onGone);
      try {
        const closeFor = await running.done;
        // What follows from a refusal (its records, its answer) is work of the same turn; a served command waited for its backend.
        if (!running.isServed) {
          lineTurns.used(this.#share, principal, Math.min(clock.now() - startedMs, workMsMax));
        }
        if (closeFor !== undefined) return closeFor;
      } finally {
        input.unwatch();
        owner.running = undefined;
        // What the client said of this command it did not say of the next one.
        this.reason = undefined;
      }
    }
  }

  /** The exchange of a line, or what else the line was. */
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

  /** Undefined: the line is not remembered. */
  #keyOf(line: Buffer): string | undefined {
    const policy = this.#policy;
    if (policy === undefined) return undefined;
    if (this.#scope?.policy !== policy) {
      this.#scope = { policy, text: lineScope(policy, this.names, this.clientMinor) };
    }
    return lineKey(this.#scope.text, line);
  }
}
