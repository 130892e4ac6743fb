// One command on a leased upstream: it is sent, and its reply is relayed to the client chunk by chunk, in constant memory. Slices of what
// was read are written, not copies. No more is read while the client's side is full. A broken reply is never made to look complete. An
// upstream may serve another command only after a clean end. A client that does not read is disconnected before the backend gives up (it
// silently drops the rest of a reply that stays unread for 60 s: measured on 2.3.19.1 and newer). Log lines: under `logs: filtered` a
// client reads sentences of dovegate, never the backend's text; in no mode does it read a line whose prefix names another user (2.3.19 and
// newer sometimes put the user of the previous command there).

import { formatSaid, type Said, saidOfStatus, sentenceOf } from '../../doveadm/codes/codes.js';
import type { AddedCommands } from '../../doveadm/commands/catalog.js';
import type { ReplyRows } from '../../doveadm/meaning/columns.js';
import { foldFor, type NameCase } from '../../doveadm/names/user-name.js';
import { type CommandToSend, encodeCommandLine } from '../../doveadm/protocol/command.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import { countCells, type LogLine, type Status } from '../../doveadm/reply/reply.js';
import { bounds } from '../../host/bounds/bounds.js';
import { WireFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { CloseReason } from '../../host/ports/transport.js';
import { type Ending, isEnding } from '../outcome/outcome.js';
import type { ClientPace, LeaseEnd, SlowClient, Transfer } from '../pool/lease.js';
import type { Upstream, UpstreamEvent } from '../pool/upstream.js';
import { createRowPrefixer, type RelayTarget, type RowPrefixer } from './reply-writer.js';

export interface OutgoingCommand {
  readonly user: string;
  readonly name: string;
  /** Rows of a server command may come after its status and would be taken for the next command's answer: nothing may follow it. */
  readonly isLast: boolean;
  /** The rows, if the user's name goes in front of each one; undefined: it does not. */
  readonly prefixed: ReplyRows | undefined;
  /** That name, as the client wrote it; undefined: as in `user`. */
  readonly writtenUser?: string | undefined;
  /** A command that only reads is canceled when its client is gone; a change is left to finish. */
  readonly isReading: boolean;
  readonly line: Buffer;
}

/** Encodes the line for that server. `proxyTtl`: already decremented. */
export function encodeOutgoing(
  { isLast, prefixed, writtenUser, isReading, ...command }: Omit<OutgoingCommand, 'line'> & CommandToSend,
  server: Server,
): OutgoingCommand {
  const proxyTtl = server.hasOptions ? command.proxyTtl : undefined;
  const line = encodeCommandLine({ ...command, proxyTtl });
  const { user, name } = command;
  return { user, name, isLast, prefixed, writtenUser, isReading, line };
}

/** Which log lines (channel L) a client gets: none, one sentence of dovegate on a failure, or all. */
export type LogMode = 'none' | 'filtered' | 'full';

export interface RelayLimits {
  /** From the first byte sent to the first byte of the reply. */
  readonly deadlineMs: number;
  readonly replyIdleMs: number;
  readonly clientStallMs: number;
  readonly logLinesMax: number;
}

/** Counts of a relayed reply, also of one that broke off. */
export class RelayCount {
  cells = 0;
  bytesIn = 0;
  firstByteMs: number | undefined = undefined;
  logs: Map<LogLine['type'], number> | undefined = undefined;
  logLines = 0;
  lastLog = '';
  /** An error line reached the client. */
  hasSaidError = false;
}

/** One command on its upstream. `count` is updated during the reply. */
export interface Conversation {
  readonly upstream: Upstream;
  readonly command: OutgoingCommand;
  readonly writer: RelayTarget;
  readonly logs: LogMode;
  /** Commands of the backend besides those of the catalog. */
  readonly added?: AddedCommands;
  readonly nameCase: NameCase;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  readonly count: RelayCount;
  cutOff(): Ending | undefined;
  /** Called right before the first byte of a command whose text may have come long after it. Returns why it must not be sent. */
  whyNotBegin?(): Ending | undefined;
  /** For a change: asks for a place where it may go on after its deadline; undefined: there is none. Absent: the upstream is closed. */
  readonly holdOverdue?: ((upstream: Upstream) => HeldOverdue | undefined) | undefined;
  onLog(line: LogLine): void;
}

export interface HeldOverdue {
  cutOff(): Ending | undefined;
  ended(): void;
}

/** An upstream, or an object that has begun to read it. */
export type ReplySource = Pick<Upstream, 'next' | 'close' | 'pace'>;

export type PeerState = 'ready' | 'client-gone' | SlowClient;

export type TextPiece =
  /** Decoded; may be empty. `isLast`: the final dot followed. */
  | { readonly kind: 'piece'; readonly parts: readonly Buffer[]; readonly isLast: boolean }
  /** The client ended its side before the final dot. */
  | { readonly kind: 'cut' };

/** The input after a command line, from the session. One call at a time, but `skipText` may come during an abandoned `nextText`. */
export interface ClientInput {
  readonly timeMs: number;
  /** All input is already held: no wait for a client, and pieces are read when they are needed. */
  readonly isHere: boolean;
  /** The next piece, until the last. Rejects with a WireFault if the text is too long, with a TransportFault if the client is gone. */
  nextText(): Promise<TextPiece>;
  /** Reads the rest of the text and drops it, within the limits of a text; else returns why the session must end. Never rejects. */
  skipText(): Promise<'skipped' | CloseReason>;
  /** Bytes as they arrive; null: the client ended its side. Rejects with a TransportFault when the client is gone. */
  readRaw(): Promise<Buffer | null>;
}

/** Reply bytes that may wait for the client before reading pauses: most replies are smaller, so a stalled client holds no upstream. */
export const relayedBytesMax = bounds.relayedBytes;

/** Sends the command and relays its reply. Never rejects. */
export function converse(talk: Conversation): Promise<LeaseEnd<Ending>> {
  // If the write fails, no reply comes, and the deadline of the relay ends the wait.
  talk.upstream.write([talk.command.line])?.catch(() => undefined);
  return new ReplyRelay(talk, talk.upstream).run();
}

/** Relays the reply of a command that was sent whole. `source`: its upstream, or the object that reads it. Never rejects. */
export function relayReply(talk: Conversation, source: ReplySource): Promise<LeaseEnd<Ending>> {
  return new ReplyRelay(talk, source).run();
}

/** A class, to use little memory while it waits: there is one for every reply. */
class ReplyRelay implements Transfer {
  readonly startMs: number;
  #talk: Conversation;
  readonly #source: ReplySource;
  readonly #prefixer: RowPrefixer | undefined;
  /** `reply-timeout`: the client was answered at the deadline. */
  #peer: PeerState | 'reply-timeout' = 'ready';
  /** Why it was ended for others while it did not wait for its client. */
  #givenUp: SlowClient | undefined;
  #dueMs: number;

  constructor(talk: Conversation, source: ReplySource) {
    const { user, writtenUser = user, prefixed } = talk.command;
    this.#talk = talk;
    this.#source = source;
    this.#prefixer = prefixed && createRowPrefixer(writtenUser, prefixed);
    this.startMs = talk.clock.now();
    this.#dueMs = this.startMs + talk.limits.deadlineMs;
    talk.upstream.limit.set(talk.limits.deadlineMs);
    // Only a read may be ended for others: a change must run to its end.
    if (talk.command.isReading) source.pace.transfer = this;
  }

  get movedBytes(): number {
    return this.#talk.count.bytesIn;
  }

  giveUp(why: SlowClient): void {
    this.#givenUp = why;
    this.#source.close('aborted', true);
  }

  run(): Promise<LeaseEnd<Ending>> {
    const ended = this.#relay();
    const { upstream, holdOverdue } = this.#talk;
    if (holdOverdue === undefined) return ended;
    return new Promise((resolve) => {
      upstream.onOverdue = () => {
        const held = holdOverdue(upstream);
        if (held === undefined) return upstream.close('reply-timeout', true);
        this.#becomeOverdue(held);
        const late = ended.then(({ value }) => {
          held.ended();
          return value;
        });
        resolve({
          value: { kind: 'reply-timeout', backend: upstream.backend },
          closeFor: 'reply-timeout',
          late,
        });
      };
      void ended.then(resolve);
    });
  }

  /** From here on the reply is read to its end, and the client gets nothing of it. */
  #becomeOverdue(held: HeldOverdue): void {
    this.#peer = 'reply-timeout';
    this.#talk = { ...this.#talk, logs: 'none', cutOff: () => held.cutOff() };
  }

  async #relay(): Promise<LeaseEnd<Ending>> {
    const { upstream, writer, clock, limits } = this.#talk;
    try {
      for (;;) {
        const taken = this.#take(await this.#source.next());
        if (typeof taken !== 'string') return taken;
        let leftMs = taken === 'reply' ? limits.replyIdleMs : undefined;
        const drained = this.#peer === 'ready' ? writer.flush(relayedBytesMax) : undefined;
        if (drained !== undefined) {
          // The backend's deadline is paused while we wait for the client.
          leftMs ??= Math.max(0, this.#dueMs - clock.now());
          upstream.limit.clear();
          const gone = await this.#waitForPeer(drained);
          if (gone !== undefined) return gone;
        }
        if (leftMs === undefined || this.#peer === 'reply-timeout') continue;
        this.#dueMs = clock.now() + leftMs;
        upstream.limit.set(leftMs);
      }
    } catch (fault) {
      this.#source.close('aborted', true);
      return this.#brokenEnd(fault);
    } finally {
      upstream.onOverdue = undefined;
      upstream.limit.clear();
    }
  }

  /**
   * Processes one chunk. Without a status, returns whether bytes of the reply came. Log lines do not count: otherwise a backend that writes
   * some now and then could hold its upstream forever.
   */
  #take(events: readonly UpstreamEvent[]): LeaseEnd<Ending> | 'reply' | 'nothing' {
    const { count, writer, clock } = this.#talk;
    let status: Status | undefined;
    let hasTrailing = false;
    let hasBody = false;
    for (const event of events) {
      switch (event.kind) {
        case 'log':
          takeLog(this.#talk, event.line);
          break;
        case 'status':
          count.firstByteMs ??= clock.now() - this.startMs;
          if (status === undefined) ({ status } = event);
          else hasTrailing = true;
          break;
        case 'body': {
          count.firstByteMs ??= clock.now() - this.startMs;
          if (status !== undefined) {
            hasTrailing = true;
            break;
          }
          const { bytes } = event;
          hasBody = true;
          count.bytesIn += bytes.length;
          count.cells += countCells(bytes);
          if (this.#peer !== 'ready') break;
          if (this.#prefixer === undefined) writer.addBody(bytes);
          else for (const part of this.#prefixer.push(bytes)) writer.addBody(part);
          break;
        }
        default:
          event satisfies never;
      }
    }
    if (status === undefined) return hasBody ? 'reply' : 'nothing';
    return this.#end(status, hasTrailing);
  }

  #end(status: Status, hasTrailing: boolean): LeaseEnd<Ending> {
    const { writer, upstream, command, count } = this.#talk;
    const { kind } = status;
    const peer = this.#peer;
    if (peer === 'ready' && kind !== 'referral') {
      for (const part of this.#prefixer?.end(kind === 'ok') ?? []) writer.addBody(part);
      if (kind !== 'ok') explainStatus(this.#talk, status);
      writer.addRawStatus(status.raw, count.lastLog);
      // Written at once, before records: the client waits for it. Not awaited: the upstream may serve another client.
      void writer.flush(Number.POSITIVE_INFINITY);
    }
    // Processes of a stopped Dovecot live on and answer TEMPFAIL to everything.
    const isFailedForGood = kind !== 'ok' && (upstream.server.mayAnswerTwice || status.code === 'TEMPFAIL');
    const closeFor = command.isLast || hasTrailing || isFailedForGood ? 'not-reusable' : undefined;
    const value: Ending =
      kind === 'referral'
        ? { kind, backend: upstream.backend, target: status.referral }
        : { kind: 'replied', status, peer };
    return { value, closeFor, answer: status.code === 'TEMPFAIL' ? 'tempfail' : 'other' };
  }

  /** The ending, if the client did not take the reply and the command need not run to its end. */
  async #waitForPeer(drained: Promise<void>): Promise<LeaseEnd<Ending> | undefined> {
    const { clock, limits, command, writer } = this.#talk;
    const lease = { pace: this.#source.pace, writer, isRated: true };
    const peer = await waitForPeer(drained, clock, limits.clientStallMs, lease);
    this.#peer = peer;
    if (peer === 'ready' || !command.isReading) return undefined;
    this.#source.close('aborted', true);
    const value: Ending = peer === 'client-gone' ? { kind: peer, isSent: true } : { kind: peer };
    return { value, closeFor: 'aborted' };
  }

  #brokenEnd(fault: unknown): LeaseEnd<Ending> {
    const { command, upstream } = this.#talk;
    const { backend } = upstream;
    const { state } = upstream;
    if (this.#givenUp !== undefined) return { value: { kind: this.#givenUp }, closeFor: 'aborted' };
    if (state.at === 'closed' && state.reason === 'reply-timeout')
      return { value: { kind: 'reply-timeout', backend }, closeFor: 'reply-timeout' };
    // The upstream was closed because the exchange was canceled. The loss of its client does not cancel a change.
    const cutOff = this.#talk.cutOff();
    if (cutOff !== undefined && (!isEnding(cutOff, 'client-gone') || command.isReading)) {
      return { value: cutOff, closeFor: 'aborted' };
    }
    if (!(fault instanceof WireFault) && isRefusedByBackend(this.#talk))
      return { value: { kind: 'backend-refused', backend }, closeFor: 'not-reusable', answer: 'other' };
    const value = { kind: 'fault', fault, isSent: true, backend } as const;
    return { value, closeFor: fault instanceof WireFault ? 'wire-fault' : 'peer-gone' };
  }
}

export interface HeldLease {
  readonly pace: ClientPace;
  readonly writer: Pick<RelayTarget, 'takenBytes'>;
  readonly isRated: boolean;
}

export function waitForPeer(
  drained: Promise<void>,
  clock: Clock,
  stallMs: number,
  lease?: HeldLease,
): Promise<PeerState> {
  return new Promise((resolve) => {
    let isOver = false;
    const settle = (how: PeerState): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      lease?.pace.end(clock.now());
      resolve(how);
    };
    const timer = clock.setTimer(stallMs, () => settle('client-stall'));
    lease?.pace.begin(
      {
        get movedBytes() {
          return lease.writer.takenBytes;
        },
        isRated: lease.isRated,
        giveUp: settle,
      },
      clock.now(),
    );
    drained.then(
      () => settle('ready'),
      () => settle('client-gone'),
    );
  });
}

/** The same for the last bytes of an answer: why the session must end; undefined: the client has taken them. */
export async function closeUntaken(
  ...waiting: [drained: Promise<void>, clock: Clock, stallMs: number]
): Promise<CloseReason | undefined> {
  const how = await waitForPeer(...waiting);
  if (how === 'ready') return undefined;
  return how === 'client-gone' ? 'peer-gone' : how;
}

export function takeLog(talk: Conversation, line: LogLine): void {
  const { count, limits } = talk;
  count.logs ??= new Map();
  count.logs.set(line.type, (count.logs.get(line.type) ?? 0) + 1);
  count.lastLog = line.text;
  count.logLines += 1;
  const { logLinesMax } = limits;
  if (count.logLines <= logLinesMax) return forwardLog(talk, line);
  if (count.logLines > logLinesMax + 1) return;
  const said: Said = { code: 'log-lines', sentence: sentenceOf('log-lines', { limit: String(logLinesMax) }) };
  talk.onLog({ type: 'warning', text: formatSaid(said), isCut: false });
  if (talk.logs === 'full') talk.writer.say('warning', said);
}

/**
 * Dovecot's doveadm_allowed_commands refuses before it reads an argument: one line with the command's name, and the end. A mailbox name may
 * contain the same words, so that line must be all that came.
 */
export function isRefusedByBackend({ count, command }: Conversation): boolean {
  const [, named] =
    /^(?:doveadm(?:\([^()]*\))?: )*doveadm client isn't allowed to use command: (.+)$/.exec(count.lastLog) ??
    [];
  return (
    count.logLines === 1 && count.logs?.get('error') === 1 && count.bytesIn === 0 && named === command.name
  );
}

function forwardLog(talk: Conversation, line: LogLine): void {
  const { logs, command, nameCase } = talk;
  talk.onLog(line);
  if (logs === 'full' && !isLineOfOther(line.text, command.user, nameCase)) {
    talk.writer.addLog(line.type, line.text);
    talk.count.hasSaidError ||= isError(line);
  }
}

const isError = ({ type }: LogLine): boolean => type === 'error' || type === 'fatal' || type === 'panic';

/**
 * Called before a failed status is written: adds our own sentence, unless policy wants none, or the backend's own was passed on. That of a
 * server command may come after its status, as its rows do.
 */
export function explainStatus({ logs, writer, count, command }: Conversation, status: Status): void {
  if (logs === 'none' || (logs === 'full' && (count.hasSaidError || command.isLast))) return;
  writer.say('error', saidOfStatus(status.code, count.lastLog));
}

/**
 * Whether a log line names another user in one of Dovecot's prefixes: `doveadm(bob@example.org)<123><session>: text`,
 * `doveadm(192.0.2.1,bob@example.org): text`, `dsync-local(bob@example.org)<session>: text`, also after the prefix of a proxy. A text that
 * begins like such a prefix but does not end like one may be a name with a parenthesis, and counts as another user.
 */
export function isLineOfOther(text: string, user: string, nameCase: NameCase): boolean {
  const fold = foldFor(nameCase);
  // Cut after the last parenthesis, so that every match ends: otherwise a line full of prefixes would take quadratic time.
  const closed = text.slice(0, text.lastIndexOf(')') + 2);
  for (const [, named = '', end] of closed.matchAll(/\b(?:doveadm|dsync-[a-z]+)\(([^)]*)\)(.?)/g)) {
    const last = named.split(',').at(-1) ?? '';
    if (fold(last) !== fold(user) || (end !== '<' && end !== ':')) return true;
  }
  return false;
}
