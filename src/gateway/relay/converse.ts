// One command on a leased upstream: it is sent, encoded from what was judged, and its reply is relayed to the client.
// The rule: an upstream may serve another command only after a clean end.

import type { Clock } from '../../ports/clock.js';
import { encodeCommandLine } from '../../protocol/command.js';
import type { LogLine } from '../../protocol/log-line.js';
import type { Status } from '../../protocol/status.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { Ending } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import type { Upstream } from '../pool/upstream.js';
import { BackendLogFilter, type LogMode } from './backend-log-filter.js';
import {
  type RelayCount,
  type RelayEnd,
  type RelayLimits,
  type RelayOptions,
  type ReplySource,
  relay,
} from './relay.js';
import { createRowPrefixer, type RelayTarget } from './reply-writer.js';

export interface OutgoingCommand {
  readonly user: string;
  readonly name: string;
  readonly args: readonly string[];
  /** The flag D, where policy allows it. */
  readonly debug: boolean;
  readonly verbose: boolean;
  /** Rows of a server command may come after its status and would become the next command's answer: nothing may follow it. */
  readonly isLast: boolean;
  /** Cells of a row, where the user's name goes in front of each row; 0: it does not. */
  readonly usernameEvery: number;
  /** Already decremented; sent where the backend accepts it. */
  readonly proxyTtl: number | undefined;
  /** A command that only reads is canceled when its client is gone; a change is left to finish. */
  readonly isReading: boolean;
  /** As it is sent to upstreams of one minor. */
  readonly line: Buffer;
}

/** One command on its upstream. `count` is written to as the reply comes. */
export interface Conversation {
  readonly upstream: Upstream;
  readonly command: OutgoingCommand;
  readonly writer: RelayTarget;
  readonly logs: LogMode;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  readonly count: RelayCount;
  /** The ending when the exchange was canceled from outside; undefined: it was not. */
  readonly cutOff: () => Ending | undefined;
  readonly onLog: (line: LogLine) => void;
}

export function emptyCount(): RelayCount {
  return new CountedReply();
}

/** A class, because every reply has one and few have log lines: the map is made when it is needed. */
class CountedReply implements RelayCount {
  cells = 0;
  bytesIn = 0;
  firstByteMs: number | undefined = undefined;
  #logs: RelayCount['logs'] | undefined;

  get logs(): RelayCount['logs'] {
    this.#logs ??= new Map();
    return this.#logs;
  }

  get hasLogs(): boolean {
    return this.#logs !== undefined && this.#logs.size > 0;
  }
}

/** Sends the command and relays its reply. Never rejects. */
export function converse(options: Conversation): Promise<LeaseEnd<Ending>> {
  // If the write fails, no reply comes, and the deadline of the relay ends the wait.
  options.upstream.write([options.command.line])?.catch(() => undefined);
  return relayReply(options, options.upstream, new BackendLogFilter(options));
}

/** Encodes the line for upstreams of that minor. */
export function encodeOutgoing(command: Omit<OutgoingCommand, 'line'>, serverMinor: number): OutgoingCommand {
  const { debug, verbose, user, name, args } = command;
  // Servers of minor 2 and below end the connection at the flag x.
  const proxyTtl = serverMinor < 3 ? undefined : command.proxyTtl;
  return { ...command, line: encodeCommandLine({ debug, verbose, proxyTtl, user, name, args }) };
}

/** A class, because an object of closures for each reply would be megabytes of garbage. */
class ReplyRelay implements RelayOptions {
  readonly upstream: ReplySource;
  readonly writer: RelayTarget;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  readonly count: RelayCount;
  readonly reshape: RelayOptions['reshape'];
  readonly goesOnWithoutPeer: boolean;
  readonly #filter: BackendLogFilter;

  constructor(options: Conversation, source: ReplySource, filter: BackendLogFilter) {
    const { user, usernameEvery, isReading } = options.command;
    this.upstream = source;
    this.writer = options.writer;
    this.clock = options.clock;
    this.limits = options.limits;
    this.count = options.count;
    this.reshape = usernameEvery === 0 ? undefined : createRowPrefixer(user, usernameEvery);
    this.goesOnWithoutPeer = !isReading;
    this.#filter = filter;
  }

  passesStatus(status: Status): boolean {
    return status.kind !== 'referral';
  }

  onLog(line: LogLine): void {
    this.#filter.take(line);
  }

  beforeStatus(status: Status): void {
    this.#filter.explain(status);
  }
}

/** Relays the reply of a command that was sent whole, from `source`: its upstream, or what reads it. Never rejects. */
export function relayReply(
  options: Conversation,
  source: ReplySource,
  filter: BackendLogFilter,
): Promise<LeaseEnd<Ending>> {
  return relay(new ReplyRelay(options, source, filter)).then((end) => judgeRelay(end, options));
}

/** The ending when the upstream was closed because the exchange was canceled. A client that is gone does not cancel a change. */
function givenUp(options: Conversation): Ending | undefined {
  const ending = options.cutOff();
  return ending?.kind === 'client-gone' && !options.command.isReading ? undefined : ending;
}

export function answerOf(status: Status): NonNullable<LeaseEnd<unknown>['answer']> {
  return status.kind === 'failed' && status.code === 'TEMPFAIL' ? 'tempfail' : 'other';
}

function judgeRelay(end: RelayEnd, options: Conversation): LeaseEnd<Ending> {
  const { upstream } = options;
  const { backend } = upstream;
  switch (end.kind) {
    case 'status': {
      // Up to 2.3.16 a second status line follows a failure, and the handshake does not show which releases do that. Processes
      // of a stopped Dovecot live on and answer TEMPFAIL to everything.
      const isFailed = end.status.kind !== 'ok';
      const isOdd =
        options.command.isLast ||
        end.hasTrailing ||
        (isFailed && (upstream.serverMinor <= 2 || end.status.code === 'TEMPFAIL'));
      const closeFor = isOdd ? 'not-reusable' : undefined;
      const answer = answerOf(end.status);
      if (end.status.kind === 'referral') {
        return { value: { kind: 'referral', backend, target: end.status.referral }, closeFor, answer };
      }
      return { value: { kind: 'replied', status: end.status, peer: end.peer }, closeFor, answer };
    }
    case 'reply-timeout':
      return { value: { kind: 'reply-timeout', backend }, closeFor: 'reply-timeout' };
    case 'client-stall':
    case 'client-slow':
      return { value: { kind: end.kind }, closeFor: 'aborted' };
    case 'client-gone':
      return { value: { kind: 'client-gone', isSent: true }, closeFor: 'aborted' };
    case 'fault': {
      const ending = givenUp(options);
      if (ending !== undefined) return { value: ending, closeFor: 'aborted' };
      const value = { kind: 'fault', fault: end.fault, isSent: true, backend } as const;
      return { value, closeFor: end.fault instanceof WireFault ? 'wire-fault' : 'peer-gone' };
    }
    default:
      return end satisfies never;
  }
}
