// What happens on a leased upstream: the command goes out, encoded afresh, and its reply comes back to the peer.
// It does not know how the lease came about or what is recorded at the end.
// The rules: an upstream is fit for another command only after a clean end; log lines reach the peer as its policy says.

import type { Clock } from '../../ports/clock.js';
import { encodeCommandLine } from '../../protocol/command.js';
import type { LogLine } from '../../protocol/log-line.js';
import type { Status } from '../../protocol/status.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { Ending } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import type { Upstream } from '../pool/upstream.js';
import { explainFailure, isLineOfOther } from './backend-voice.js';
import {
  type RelayCount,
  type RelayEnd,
  type RelayLimits,
  type RelayOptions,
  type ReplySource,
  relay,
} from './relay.js';
import type { RelayTarget } from './reply-writer.js';
import { createRowPrefixer } from './row-prefixer.js';

/** A command as it is sent. */
export interface OutgoingCommand {
  readonly user: string;
  readonly name: string;
  readonly args: readonly string[];
  /** The flag D, where policy grants it. */
  readonly debug: boolean;
  readonly verbose: boolean;
  /** A server command leaves rows behind that would become the next command's answer: nothing may follow it. */
  readonly isLast: boolean;
  /** Cells of a row, where the user's name goes in front of each; 0: it does not. */
  readonly usernameEvery: number;
  /** Already lowered; sent where the backend takes it. */
  readonly proxyTtl: number | undefined;
  /** A command that only reads is given up when its peer is gone; a change is left to finish. */
  readonly isReading: boolean;
  /** Its line, once it was made: who sends the same again to upstreams of the same minor keeps it. */
  encoded?: Buffer | undefined;
}

/** What of channel L reaches the peer: nothing, one sentence of ours on a failure, or the lines as they came. */
export type LogMode = 'none' | 'filtered' | 'full';

/**
 * What one command needs while its upstream is leased. `count` is written to as the reply comes; the caller keeps
 * it.
 */
export interface Conversation {
  readonly upstream: Upstream;
  readonly command: OutgoingCommand;
  readonly writer: RelayTarget;
  readonly logs: LogMode;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  readonly count: RelayCount;
  /** The ending when the exchange was given up from outside; undefined: it was not. */
  readonly cutOff: () => Ending | undefined;
  readonly onLog: (line: LogLine) => void;
}

/** Counters of a reply of which nothing came yet. */
export function emptyCount(): RelayCount {
  return new CountedReply();
}

/** A class, for every reply has one, and few have log lines: the map is made when somebody looks for it. */
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
  // When it does not leave, no reply comes, and the deadline of the relay ends the wait.
  options.upstream.write([encodeOutgoing(options)])?.catch(() => undefined);
  return relayReply(options, options.upstream, listenTo(options));
}

/** The line as this upstream takes it. */
export function encodeOutgoing({ command, upstream }: Conversation): Buffer {
  command.encoded ??= encodeCommandLine({
    debug: command.debug,
    verbose: command.verbose,
    // Servers of minor 2 and below end the connection at the flag x.
    proxyTtl: upstream.serverMinor < 3 ? undefined : command.proxyTtl,
    user: command.user,
    name: command.name,
    args: command.args,
  });
  return command.encoded;
}

/** Hears the log channel of one command: hands lines on as policy says, and knows what they said when the status comes. */
export interface LogEar {
  hear(line: LogLine): void;
  /** Adds our own sentence on a failure, where policy wants that. */
  explain(status: Status): void;
}

/** An ear that has heard nothing yet. */
export function listenTo(options: Conversation): LogEar {
  return new ReplyEar(options);
}

class ReplyEar implements LogEar {
  readonly #options: Conversation;
  #lastText = '';
  #lines = 0;

  constructor(options: Conversation) {
    this.#options = options;
  }

  hear(line: LogLine): void {
    this.#lastText = line.text;
    const { logLinesMax } = this.#options.limits;
    this.#lines += 1;
    if (this.#lines <= logLinesMax) return this.#handOn(line);
    if (this.#lines > logLinesMax + 1) return;
    const text = `dovegate: more than ${logLinesMax} log lines for this command (limits.log_lines); the others are only counted`;
    this.#handOn({ type: 'warning', text, isCut: false });
  }

  #handOn(line: LogLine): void {
    const { command, logs, writer } = this.#options;
    this.#options.onLog(line);
    if (logs === 'full' && !isLineOfOther(line.text, command.user)) writer.addLog(line.type, line.text);
  }

  explain(status: Status): void {
    if (this.#options.logs !== 'filtered') return;
    const text = explainFailure(status, this.#lastText);
    if (text !== undefined) this.#options.writer.addLog('error', `dovegate: the backend says: ${text}`);
  }
}

/** What the relay of one reply needs; a class, because an object of closures for each reply would be garbage by the megabyte. */
class ReplyRelay implements RelayOptions {
  readonly upstream: ReplySource;
  readonly writer: RelayTarget;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  readonly count: RelayCount;
  readonly reshape: RelayOptions['reshape'];
  readonly goesOnWithoutPeer: boolean;
  readonly #ear: LogEar;

  constructor(options: Conversation, source: ReplySource, ear: LogEar) {
    const { user, usernameEvery, isReading } = options.command;
    this.upstream = source;
    this.writer = options.writer;
    this.clock = options.clock;
    this.limits = options.limits;
    this.count = options.count;
    this.reshape = usernameEvery === 0 ? undefined : createRowPrefixer(user, usernameEvery);
    this.goesOnWithoutPeer = !isReading;
    this.#ear = ear;
  }

  passesStatus(status: Status): boolean {
    return status.kind !== 'referral';
  }

  onLog(line: LogLine): void {
    this.#ear.hear(line);
  }

  beforeStatus(status: Status): void {
    this.#ear.explain(status);
  }
}

/** Relays the reply of a command that was sent whole, from `source`: its upstream, or what reads it. Never rejects. */
export function relayReply(
  options: Conversation,
  source: ReplySource,
  ear: LogEar,
): Promise<LeaseEnd<Ending>> {
  return relay(new ReplyRelay(options, source, ear)).then((end) =>
    end.kind === 'fault' ? judgeFault(end, options) : judgeRelay(end, options),
  );
}

async function judgeFault(end: RelayEnd, options: Conversation): Promise<LeaseEnd<Ending>> {
  // Those that died together with this upstream are heard of in the same turn: then it was not the command.
  if (givenUp(options) === undefined) await options.clock.nextTurn();
  return judgeRelay(end, options);
}

/** The ending when the upstream was closed for the exchange. A client that is gone is no reason to close it under a change. */
function givenUp(options: Conversation): Ending | undefined {
  const ending = options.cutOff();
  return ending?.kind === 'client-gone' && !options.command.isReading ? undefined : ending;
}

/** What a status tells of whoever stands behind an upstream: see LeaseEnd. */
export function answerOf(status: Status): NonNullable<LeaseEnd<unknown>['answer']> {
  return status.kind === 'failed' && status.code === 'TEMPFAIL' ? 'tempfail' : 'other';
}

function judgeRelay(end: RelayEnd, options: Conversation): LeaseEnd<Ending> {
  const { upstream } = options;
  const { backend } = upstream;
  switch (end.kind) {
    case 'status': {
      // Up to 2.3.16 a second status line follows a failure, and nothing in the handshake tells who does that. A process
      // whose Dovecot was stopped lives on and says TEMPFAIL to everything: the next command shall find a living one.
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
      if (upstream.isPoisoned) return { value: { kind: 'poison', backend }, closeFor: 'peer-gone' };
      const value = { kind: 'fault', fault: end.fault, isSent: true, backend } as const;
      return { value, closeFor: end.fault instanceof WireFault ? 'wire-fault' : 'peer-gone' };
    }
    default:
      return end satisfies never;
  }
}
