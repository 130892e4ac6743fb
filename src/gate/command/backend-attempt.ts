// One attempt to run a command on one backend: waits for a lease, rechecks the judgement, counts the affected mails if the rule demands
// that, sends, relays. Nothing is sent before the admission is safe. Anything unexpected closes the upstream. The progress is known even if
// the attempt breaks off.

import { sentenceOf, statusMeaning } from '../../doveadm/codes/codes.js';
import { commandNamed } from '../../doveadm/commands/catalog.js';
import { parseArguments } from '../../doveadm/commands/parse.js';
import { canonicalWords } from '../../doveadm/meaning/canonical.js';
import { replyRows, replyShape } from '../../doveadm/meaning/columns.js';
import { type CommandLine, encodeCommandLine } from '../../doveadm/protocol/command.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import { countCells, type Status } from '../../doveadm/reply/reply.js';
import type { Abortable } from '../../host/concurrency/abortable.js';
import { type Waiting, WaitTimeout } from '../../host/concurrency/limits.js';
import { TransportFault, WireFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { AuditRecord } from '../../journal/records/record.js';
import type { Judged } from '../../rules/policy/judge.js';
import { deadlineMsOf } from '../../rules/policy/terms.js';
import { appendFirst, appendQuietly } from '../outcome/journal.js';
import type { Ending } from '../outcome/outcome.js';
import { type LeaseEnd, LeaseRefusal } from '../pool/lease.js';
import type { LeaseUser } from '../pool/pool.js';
import { isUpstreamEvent, type Upstream } from '../pool/upstream.js';
import type { CommandInput } from '../relay/input.js';
import {
  type Conversation,
  converse,
  encodeOutgoing,
  type HeldOverdue,
  type OutgoingCommand,
  RelayCount,
} from '../relay/relay.js';
import type { RelayTarget } from '../relay/reply-writer.js';
import type { Destination, KnownLine } from './assessment.js';
import { type ExchangeRecords, exchangeNamesOf } from './exchange-records.js';
import { lockableOf, lockedEnding } from './locked.js';
import { type AllowedCommand, recheck } from './recheck.js';

export interface DispatchedCommand extends AllowedCommand {
  readonly id: string;
  /** Aborted when the exchange is canceled, with one of the reasons of {@link cutOff}. */
  readonly abortable: Abortable;
  readonly known: KnownLine | undefined;
  /** If set, the mails are counted first, and the command is sent if there are at most this many. */
  readonly most: number | undefined;
  readonly isFresh: boolean;
  readonly input: CommandInput | undefined;
  readonly records: ExchangeRecords;
  /** In a dry run: the admission that the command itself would have. Its mails are counted, and it is not sent. */
  readonly tried: AuditRecord | undefined;
}

/** How far an attempt got; also valid while it runs. */
export interface AttemptProgress {
  readonly backend: string;
  readonly upstream: string | undefined;
  /** That upstream had served other commands: it may have ended unnoticed just before the lease. */
  readonly isReused: boolean;
  readonly isSent: boolean;
  readonly waitMs: number | undefined;
  readonly count: RelayCount | undefined;
}

/** Is itself the waiter for its users' turn and for its upstream, so a command needs no other object. */
export class BackendAttempt implements AttemptProgress, LeaseUser<Ending>, Waiting {
  readonly backend: string;
  readonly principal: string;
  readonly origin: string;
  readonly weight: number;
  readonly isFresh: boolean;
  readonly isYoung: boolean;
  readonly abortable: Abortable;
  ending: Ending | undefined = undefined;
  upstream: string | undefined = undefined;
  isReused = false;
  isSent = false;
  waitMs: number | undefined = undefined;
  count: RelayCount | undefined = undefined;
  /** In a dry run: the number of mails that the command would affect there; undefined until they are counted. */
  matches: number | undefined = undefined;
  /** While it is overdue: resolves when it has ended, and `ending` says how. */
  late: Promise<void> | undefined = undefined;
  readonly #command: DispatchedCommand;
  /** The destination that the command was judged for. After a reload `#destination` may be another one. */
  readonly #first: Destination;
  #destination: Destination;
  readonly #target: RelayTarget;
  sinceMs: number | undefined = undefined;
  /** The upstream, only for the time of this lease: its next lease may begin before our promise resolves. */
  #leased: Upstream | undefined = undefined;
  #turn = 0;

  constructor(command: DispatchedCommand, destination: Destination, target: RelayTarget) {
    this.#command = command;
    this.#first = destination;
    this.#destination = destination;
    this.#target = target;
    this.backend = destination.name;
    const { principal, policy } = command.session.subject;
    this.principal = principal;
    this.origin = command.session.names.origin;
    this.weight = policy.weight;
    this.isFresh = command.isFresh;
    const { effect } = command.judgement.attempt;
    this.isYoung = effect !== 'read' && effect !== 'session' && command.tried === undefined;
    this.abortable = command.abortable;
  }

  get clock(): Clock {
    return this.#command.context.clock;
  }

  /** Time limit of the wait for its users, less the time that it waited for an upstream before a reload. */
  get timeoutMs(): number {
    const { clock, limits } = this.#command.context;
    const waitedMs = this.sinceMs === undefined ? 0 : clock.now() - this.sinceMs;
    return Math.max(0, limits.queueTimeoutMs - waitedMs);
  }

  signal(): AbortSignal {
    return this.abortable.signal;
  }

  onWaiting(): void {
    sayWaiting(this.#command.session.writer, this.backend);
  }

  cut(): void {
    if (this.#leased?.exchanges === this.#turn) this.#leased.close('aborted', true);
  }

  /** How long it has held its upstream without moving a byte, because the client does not read or send. */
  get clientMs(): number {
    return this.#leased?.exchanges === this.#turn ? this.#leased.pace.heldMs(this.clock.now()) : 0;
  }

  /** Starts once no other backend runs a command of its users. Never rejects. Called once. */
  async run(): Promise<Ending> {
    const { judgement, aliases, context, destinations } = this.#command;
    const { command, users } = judgement.attempt;
    // A server command touches no mail of the users that it names, and `kick` must not wait for a slow reader of their mail. A command on
    // several backends does not wait for its users either: only Dovecot knows its position in its list of users.
    const isLocking = command.scope !== 'server' && destinations.length === 1;
    const touched = aliases.length === 0 ? users : [...users, ...aliases];
    let ending: Ending | undefined;
    // Again after each reload that replaced the pool meanwhile: the users are locked at the present address.
    while (ending === undefined) {
      let unlock: (() => void) | undefined;
      if (isLocking) {
        try {
          const taken = context.userLock.take(touched, this.#destination.place, this);
          unlock = typeof taken === 'function' ? taken : await taken;
        } catch (fault) {
          const isLate = fault instanceof WaitTimeout;
          ending = isLate ? { kind: 'refused', why: 'queue-timeout' } : cutOff(this.abortable, false);
          break;
        }
      }
      this.sinceMs ??= context.clock.now();
      try {
        ending = await this.#destination.pool.withLease(this);
      } catch (fault) {
        ending = this.#goesOn(fault) ? undefined : this.#endingOf(fault);
      } finally {
        this.#leased = undefined;
        unlock?.();
      }
    }
    this.ending = ending;
    return ending;
  }

  /** A reload that changes the backend replaces its pool. A command that waits for the old pool goes on to the new one and is rechecked. */
  #goesOn(fault: unknown): boolean {
    if (!(fault instanceof LeaseRefusal) || fault.why !== 'backend-drained') return false;
    const { backends } = this.#command.session.now().context.router.table;
    const next = backends.find(({ name }) => name === this.backend);
    if (next === undefined || next.pool === this.#destination.pool) return false;
    this.#destination = next;
    return true;
  }

  #endingOf(fault: unknown): Ending {
    const { backend, isSent, abortable } = this;
    if (fault instanceof LeaseRefusal) {
      return fault.why === 'backend-drained'
        ? { kind: 'drained', backend }
        : { kind: 'refused', why: fault.why };
    }
    // `closed`: by our own `cut`.
    const isOurs = fault instanceof TransportFault && fault.code === 'closed';
    if (abortable.isAborted && (fault === abortable.reason || isOurs)) return cutOff(abortable, isSent);
    return { kind: 'fault', fault, isSent, backend };
  }

  use(upstream: Upstream): Promise<LeaseEnd<Ending>> {
    const { context, abortable, most, tried } = this.#command;
    const nowMs = context.clock.now();
    this.waitMs = nowMs - (this.sinceMs ?? nowMs);
    this.upstream = upstream.id;
    this.isReused = upstream.exchanges > 1;
    this.#leased = upstream;
    this.#turn = upstream.exchanges;
    if (abortable.isAborted) return unsent(cutOff(abortable, this.isSent));
    const refusal = recheck(this.#command, this.#first, this.#destination, upstream.server);
    if (refusal !== undefined) return unsent(refusal);
    if (tried !== undefined) return this.#count(upstream, most);
    return most === undefined ? this.#send(upstream) : this.#countAndSend(upstream, most);
  }

  /** `answered`: the mails are counted, and there are few enough of them. */
  async #count(upstream: Upstream, most = Number.POSITIVE_INFINITY): Promise<LeaseEnd<Ending>> {
    const { matches, end } = await countMatches(this.#command, upstream, most);
    this.matches = matches;
    return end ?? unsent({ kind: 'answered' });
  }

  async #countAndSend(upstream: Upstream, most: number): Promise<LeaseEnd<Ending>> {
    const { abortable, records } = this.#command;
    const found = await countMatches(this.#command, upstream, most);
    records.admission = { ...records.admission, matches: found.matches };
    if (found.end !== undefined) return found.end;
    await records.admit();
    // Counting and recording took time: the upstream may have been closed, and the permission withdrawn.
    if (abortable.isAborted) return unsent(cutOff(abortable, false));
    if (!upstream.isClean) throw answerAfterSearch();
    const refusal = recheck(this.#command, this.#first, this.#destination, upstream.server);
    return refusal === undefined ? this.#send(upstream) : unsent(refusal);
  }

  /** Runs without a wait up to its first await: with an idle upstream, the command is sent in the same turn of the loop. */
  #send(upstream: Upstream): Promise<LeaseEnd<Ending>> {
    const { abortable, context, id, input, judgement, records, session } = this.#command;
    const repeated = context.overdue.refusal({ judgement, text: input?.textDigest }, this.origin, id);
    if (repeated !== undefined) return unsent(repeated);
    const command = this.#outgoing(upstream.server);
    const isUnknown = judgement.wantsUsernameCell && command.prefixed === undefined;
    if (isUnknown || !this.#target.expect(judgement, upstream.server)) {
      const who = upstream.server.isBeyond ? `backend ${this.backend} is newer than this dovegate, so ` : '';
      return unsent({ kind: 'unroutable', reason: `${who}nobody knows the columns of this reply` });
    }
    const { names, subject } = session;
    const { deadlineMs, replyIdleMs, clientStallMs, logLinesMax } = context.limits;
    const count = new RelayCount();
    const talk: Conversation = {
      upstream,
      command,
      writer: this.#target,
      logs: subject.policy.logs,
      added: subject.policy.added,
      nameCase: context.router.table.userNames.nameCase,
      clock: context.clock,
      limits: { deadlineMs: deadlineMsOf(judgement, deadlineMs), replyIdleMs, clientStallMs, logLinesMax },
      count,
      cutOff: () => (abortable.isAborted ? cutOff(abortable, true) : undefined),
      whyNotBegin: () => {
        const locked = lockedIn(this.#command, upstream);
        if (locked !== undefined) this.isSent = false;
        return locked;
      },
      holdOverdue: judgement.attempt.effect === 'read' ? undefined : (leased) => this.#holdOverdue(leased),
      onLog: (line) => records.logged({ names, id, judgement, upstream, line }, count.logLines),
    };
    this.count = count;
    this.isSent = true;
    const ended = input === undefined ? converse(talk) : input.carryOut(talk);
    return talk.holdOverdue === undefined ? ended : this.#noteLate(ended);
  }

  #holdOverdue(upstream: Upstream): HeldOverdue | undefined {
    const { context, id, input, judgement, session } = this.#command;
    const names = exchangeNamesOf(session.names, id, judgement);
    const sinceMs = this.sinceMs ?? context.clock.now();
    return context.overdue.hold({
      names,
      judgement,
      text: input?.textDigest,
      origin: this.origin,
      lockable: lockableOf(session, judgement, [{ name: upstream.backend }]),
      sinceMs,
      upstream,
    });
  }

  async #noteLate(ended: Promise<LeaseEnd<Ending>>): Promise<LeaseEnd<Ending>> {
    const end = await ended;
    this.late = end.late?.then((ending) => {
      this.ending = ending;
    });
    return end;
  }

  #outgoing(server: Server): OutgoingCommand {
    const { known, judgement, line, session } = this.#command;
    if (known?.sent?.server === server) return known.sent.command;
    const command = outgoingCommand(judgement, line, session.subject.policy.debug, server);
    if (known !== undefined) known.sent = { server, command };
    return command;
  }
}

/** Nothing was sent, so the upstream may serve another command. */
function unsent(value: Ending): Promise<LeaseEnd<Ending>> {
  return Promise.resolve({ value, closeFor: undefined });
}

function lockedIn(
  { context, session, judgement }: DispatchedCommand,
  { backend: name }: Upstream,
): Ending | undefined {
  return lockedEnding(context, session, judgement, [{ name }]);
}

export function cutOff({ reason }: Abortable, isSent: boolean): Ending {
  if (reason === 'draining') return { kind: 'cut-off', isSent };
  if (reason === 'killed') return { kind: 'cut-off', isSent, by: 'operator' };
  if (reason === 'grant-ended') return { kind: 'cut-off', isSent, by: 'grant' };
  return { kind: 'client-gone', isSent };
}

/** Notice to a client that waits long: a log line is a frame of its own and may be sent at any time. */
function sayWaiting(writer: Pick<RelayTarget, 'say' | 'flush'>, backend: string): void {
  writer.say('info', { code: 'waiting', sentence: sentenceOf('waiting', { backend }) });
  void writer.flush(Number.POSITIVE_INFINITY);
}

/** The command as encoded for that server, from the judgement; of the client's line only log lines, debug and proxy-ttl are used. */
export function outgoingCommand(
  { attempt, args, user, written, wantsUsernameCell }: Judged,
  line: CommandLine,
  mayDebug: boolean,
  server: Server,
): OutgoingCommand {
  const fields = {
    user,
    name: attempt.command.name,
    args: args.map((word) => word.text),
    debug: line.debug && mayDebug,
    verbose: line.verbose,
    isLast: attempt.command.scope === 'server',
    prefixed: wantsUsernameCell ? replyRows(attempt.parsed, { server }) : undefined,
    writtenUser: written,
    // Never 0, which is an error to a server that checks it; with 1 the backend does not forward the command either.
    proxyTtl: line.proxyTtl === undefined ? undefined : Math.max(1, line.proxyTtl - 1),
    isReading: attempt.effect === 'read',
  };
  return encodeOutgoing(fields, server);
}

/**
 * Counts the mails that a command would affect, by a search with the same query on the same upstream just before. The search is an exchange
 * of its own: its admission is safe before it is sent, and it has a completion. Its rows are counted and dropped. The count is slightly
 * older than the command; the order of the records shows that. `end`: the ending of the command's exchange, if it may not go on. Rejects
 * with a JournalFault if the search could not be recorded, and with the upstream's faults.
 */
async function countMatches(
  command: DispatchedCommand,
  upstream: Upstream,
  most: number,
): Promise<{ readonly matches?: number; readonly end?: LeaseEnd<Ending> }> {
  const { context, session, judgement, records, tried, id: exchange } = command;
  const { clock, journal, observe, redact } = context;
  const search = searchOf(judgement, upstream);
  const { user } = search;
  const twin = { id: context.newId(), for: exchange, command: 'search', user } as const;
  const args = search.words.map((word) => (word.isSecret ? redact(word.text) : word.text));
  const admission = { ...(tried ?? records.admission), ...twin, time: clock.wallMs(), args, effect: 'read' };
  let status: Status | undefined;
  let cells: number | undefined;
  let head = '';
  let isSent = false;
  let isOverShare = false;
  try {
    const room = judgement.attempt.content.length > 0 ? 'whole' : undefined;
    await appendFirst(journal, admission, context.strict.has('read'), room);
    if (upstream.state.at === 'closed') throw new TransportFault('closed', 'closed while that was recorded');
    const value = lockedIn(command, upstream);
    if (value !== undefined) return { end: { value, closeFor: undefined } };
    isSent = true;
    const answer = await askSearch(context, upstream, search.line);
    if (answer === 'over-share') isOverShare = true;
    else ({ status, cells, head } = answer);
  } finally {
    const { session: name, listener, principal } = session.names;
    const unanswered = isOverShare ? 'aborted' : 'unknown';
    const failed = isSent && status === undefined ? unanswered : 'failed';
    const completion = {
      ...twin,
      time: clock.wallMs(),
      event: 'completion',
      session: name,
      listener,
      principal,
      outcome: status?.kind === 'ok' ? 'ok' : failed,
      error: isOverShare ? 'over-share' : undefined,
      sent: isSent,
      cells,
      status: status?.raw.toString('latin1'),
      backend: upstream.backend,
      upstream: upstream.id,
    } as const;
    appendQuietly(journal, observe, completion);
  }
  if (status === undefined || cells === undefined)
    return { end: { value: { kind: 'over-share', isSent: false }, closeFor: 'aborted' } };
  if (status.kind !== 'ok') {
    const reason = `the search before the command failed (${statusMeaning(status.code)})`;
    return { end: { value: { kind: 'unroutable', reason }, closeFor: 'not-reusable' } };
  }
  // In a reply for all users, some releases put the user's name before the mailbox's GUID and the UID.
  const rowCells = search.rowCells + (search.isOfAll && !/^[^\t]*\t\d{1,10}\t/.test(head) ? 1 : 0);
  const matches = Math.ceil(cells / rowCells);
  if (matches <= most) return { matches };
  const reason = whyTooMany(judgement, matches);
  const { name: policy } = session.subject.policy;
  const value = { kind: 'denied', code: 'too-many-matches', reason, policy } as const;
  return { matches, end: { value, closeFor: undefined } };
}

/** The holder of a grant never learns how many match or were approved: that would reveal content. The number of a rule is no secret. */
function whyTooMany({ decision: { grant, obligations } }: Judged, matches: number): string {
  const most = obligations?.maxMatches;
  if (grant === undefined) return `${matches} mails match, and its rule allows at most ${most ?? 0}`;
  return most !== undefined && matches > most
    ? `more mails match than the ${most} that its rule allows`
    : 'more mails match than were approved; ask again';
}

/** The same query as a search. `copy` and `move` search the mail of the source user; other commands their own user, or all users. */
function searchOf({ attempt: { command: asked, parsed: given }, user: named }: Judged, upstream: Upstream) {
  const query = given.values.get('query');
  const command = commandNamed(upstream.server.series, 'search');
  if (query === undefined || command === undefined)
    throw new Error('a command without a query has max_matches');
  const [user = named] = (asked.name !== 'import' && given.values.get('source-user')) || [];
  const isOfAll = given.values.has('all-users') && user === named;
  const parsed = parseArguments(upstream.server.series, command, [
    ...(isOfAll ? ['-A'] : []),
    '--',
    ...query,
  ]);
  if (parsed.kind === 'unparsable') throw new Error('a query that was read as part of a command is no query');
  const words = canonicalWords(parsed);
  const line = encodeCommandLine({ user, name: 'search', args: words.map((word) => word.text) });
  return { user, isOfAll, words, line, rowCells: replyShape(parsed)?.columns.length ?? 2 };
}

/** Unrequested data of the backend would be taken for the answer of the command. */
function answerAfterSearch(): WireFault {
  return new WireFault('unexpected-input', 'an answer came behind that of the search');
}

/** The kept start of a search's reply: longer than a user's name, a GUID and a UID. */
const headBytesMax = 512;

/**
 * Sends the search; returns the number of cells and the start of its reply. The upstream is closed if the search exceeds the deadline of a
 * read, or must give way to others (`over-share`).
 */
async function askSearch(
  { clock, limits }: DispatchedCommand['context'],
  upstream: Upstream,
  line: Buffer,
): Promise<{ readonly status: Status; readonly cells: number; readonly head: string } | 'over-share'> {
  let cells = 0;
  let head = '';
  let movedBytes = 0;
  let isGivenUp = false;
  upstream.pace.transfer = {
    startMs: clock.now(),
    get movedBytes() {
      return movedBytes;
    },
    giveUp() {
      isGivenUp = true;
      upstream.close('aborted', true);
    },
  };
  const timer = clock.setTimer(limits.deadlineMs.read, () => upstream.close('reply-timeout', true));
  try {
    upstream.write([line])?.catch(() => undefined);
    for (;;) {
      let status: Status | undefined;
      for (const event of await upstream.next()) {
        if (isUpstreamEvent(event, 'log')) continue;
        // Releases up to 2.3.16 send a second status line after a failure, so nothing may be sent after one.
        if (status?.kind === 'ok') throw answerAfterSearch();
        if (status !== undefined) continue;
        switch (event.kind) {
          case 'status':
            ({ status } = event);
            break;
          case 'body':
            movedBytes += event.bytes.length;
            cells += countCells(event.bytes);
            head += event.bytes.toString('latin1', 0, headBytesMax - head.length);
            break;
          default:
            event satisfies never;
        }
      }
      if (status !== undefined) return { status, cells, head };
    }
  } catch (fault) {
    if (isGivenUp) return 'over-share';
    throw fault;
  } finally {
    upstream.pace.transfer = undefined;
    timer.cancel();
  }
}
