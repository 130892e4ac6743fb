// One command from its line to its completion record, in steps: assess, admit, send, respond, complete. Nothing goes upstream before the
// admission is safe. No client bytes are forwarded: the line is encoded again. Every admission gets one completion. A reply that was cut
// never looks whole, so the session is closed if the end of a reply could not be marked.

import { helpWith } from '../../doveadm/codes/codes.js';
import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import { reportCommand } from '../../doveadm/commands/catalog.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import { Abortable } from '../../host/concurrency/abortable.js';
import type { CloseReason } from '../../host/ports/transport.js';
import type { LockEntry } from '../../journal/records/lock-book.js';
import { canLine } from '../../rules/answers/explanation.js';
import { readsContent } from '../../rules/policy/attempt.js';
import { type GrantsAtHand, lineOf } from '../../rules/policy/grant.js';
import { isAllowed, type Judged, type Judgement } from '../../rules/policy/judge.js';
import { deadlineMsOf, mostMatches } from '../../rules/policy/terms.js';
import type { CountedCommand, CountMails } from '../access/live-entry.js';
import { stopOn } from '../access/lock.js';
import { type DuplexEnd, type Ending, isEnding, judgeEnding, type Verdict } from '../outcome/outcome.js';
import { CommandInput } from '../relay/input.js';
import { closeUntaken } from '../relay/relay.js';
import type { ReplyTarget } from '../relay/reply-writer.js';
import { askerOf, countForAccess, isAccessCommand } from './access-commands.js';
import { type AssessedCommand, assessCommand, type KnownLine, knownLineOf } from './assessment.js';
import { type BackendAttempt, cutOff, type DispatchedCommand } from './backend-attempt.js';
import type { ExchangeContext, ExchangeSession } from './context.js';
import {
  changesOf,
  countMails,
  dispatch,
  endingOf,
  followUp,
  progressOf,
  recordedParts,
} from './dispatch.js';
import { admissionOf, type CompletionFacts, ExchangeRecords, exchangeNamesOf } from './exchange-records.js';
import { lockableOf, lockedEnding } from './locked.js';
import type { RunningExchange } from './overdue.js';
import { answerDryRun, assessOwnCommand, judgementOnDryRun, type OwnAssessment } from './own-commands.js';
import { type BesideGrants, outcomesIn, refusalBy, refuseByJournal } from './recheck.js';

/**
 * An outcome other than being sent, for an allowed command. `client-gone`, `draining`: it is recorded and not begun, for that reason.
 * `dry-run`: it is judged, counted and recorded, and the answer says what would happen.
 */
export type ExchangeWish = 'client-gone' | 'draining' | 'dry-run';

/** One command. Runs without a wait up to its first await. `known`: an earlier assessment of the line; `key`: for remembering a new one. */
export class Exchange {
  /** Resolves to undefined if the session goes on with the next command, else to the reason for its close. */
  readonly done: Promise<CloseReason | undefined>;
  /** Whether it had an upstream; valid after its end. */
  isServed = false;
  /** Whether its records are in the journal; valid after its end. */
  isRecorded = false;
  readonly #context: ExchangeContext;
  readonly #session: ExchangeSession;
  readonly id: string;
  readonly #startMs: number;
  readonly #bytesBefore: number;
  readonly #abortable = new Abortable();
  /** A change goes on after its client is gone; a read does not. */
  #isReading = true;
  readonly #isDryRun: boolean;
  #isKilled = false;
  #judgement: Judgement | undefined = undefined;
  /** The judgement and destinations that locks are checked with; in a dry run, those of the command inside. */
  #assessed: Pick<AssessedCommand, 'judgement' | 'destinations'> | undefined = undefined;
  readonly #attempts: BackendAttempt[] = [];
  #grant: string | undefined = undefined;
  /** The grant that had ended before this command came. */
  #over: string | undefined = undefined;
  #records: ExchangeRecords | undefined = undefined;
  #turnMs = 0;

  constructor(
    context: ExchangeContext,
    session: ExchangeSession,
    line: CommandLine,
    known: KnownLine | undefined,
    key: string | undefined,
    wish?: ExchangeWish,
  ) {
    this.#context = context;
    this.#session = session;
    this.id = context.newId();
    this.#startMs = context.clock.now();
    this.#bytesBefore = session.writer.bytesOut;
    if (wish === 'client-gone' || wish === 'draining') this.#abortable.abort(wish);
    this.#isDryRun = wish === 'dry-run';
    this.done = this.#run(line, known, key);
  }

  /**
   * `client-gone`, `grant-ended`: a command that waits or reads is canceled; a change goes on to its end. `draining`, `killed` (by an
   * operator): any command is canceled. Except to a client that is gone, a status is sent.
   */
  abort(reason: 'client-gone' | 'draining' | 'killed' | 'grant-ended'): void {
    const isChanging = !this.#isReading && this.#attempts.some(({ isSent }) => isSent);
    // A change that was sent runs to its end, as after its client has left.
    if (reason === 'grant-ended' && isChanging) return;
    this.#isKilled ||= reason === 'killed';
    this.#abortable.abort(reason);
    if (reason === 'client-gone' && !this.#isReading) return;
    for (const attempt of this.#attempts) attempt.cut();
  }

  describe(): RunningExchange {
    const names = exchangeNamesOf(this.#session.names, this.id, this.#judgement);
    const durationMs = this.#context.clock.now() - this.#startMs;
    const backend = this.#attempts.at(-1)?.backend;
    const clientMs = Math.max(0, ...this.#attempts.map((attempt) => attempt.clientMs));
    return {
      ...names,
      backend,
      isWaiting: this.#isWaiting,
      isOverdue: false,
      durationMs,
      clientMs,
      deadlineMs: this.#deadlineMs,
      isKilled: this.#isKilled,
    };
  }

  /** Whether that lock stops it, or will once it is about to be sent. */
  isBound(lock: LockEntry): boolean {
    const { judgement, destinations = [] } = this.#assessed ?? {};
    const backends = [...destinations, ...this.#attempts.map(({ backend: name }) => ({ name }))];
    const what = lockableOf(this.#session, judgement, backends);
    return stopOn([lock], what, this.#context.access.locks.persons) !== undefined;
  }

  get #isWaiting(): boolean {
    const running = this.#attempts.filter(({ ending }) => ending === undefined);
    return running.length > 0 && running.every(({ waitMs }) => waitMs === undefined);
  }

  get #deadlineMs(): number | undefined {
    const attempt = this.#attempts.at(-1);
    const judgement = this.#judgement;
    if (attempt === undefined || judgement?.kind !== 'judged') return undefined;
    if (attempt.count?.firstByteMs !== undefined) return undefined;
    const { queueTimeoutMs, deadlineMs } = this.#context.limits;
    const { waitMs } = attempt;
    const leftMs = waitMs === undefined ? queueTimeoutMs : waitMs + deadlineMsOf(judgement, deadlineMs);
    return this.#turnMs + leftMs;
  }

  async #run(
    line: CommandLine,
    known: KnownLine | undefined,
    key: string | undefined,
  ): Promise<CloseReason | undefined> {
    const context = this.#context;
    const session = this.#session;
    const { names, stated } = session;
    // A remembered line is one that a rule allows, without a grant.
    const isOwner = known === undefined && context.access.isOwner(names.principal);
    let { subject } = session;
    let grants: GrantsAtHand | undefined;
    let assessed: AssessedCommand | OwnAssessment | undefined = known?.assessed;
    let knownLine = known;
    if (assessed === undefined) {
      // Only commands for a backend can be dry-run.
      assessed = this.#isDryRun
        ? undefined
        : assessOwnCommand(context, session, line, (command) => this.#countForAccess(command));
      if (assessed === undefined) {
        const found = assessCommand(context, subject, line, names.origin);
        assessed = found instanceof Promise ? await found : found;
        // Only a denial that could be lifted on request needs the grants.
        if (isOwner && isLiftable(assessed.judgement)) {
          grants = context.access.grantsOf(askerOf(session));
          if (grants !== undefined) {
            subject = { ...session.subject, grants };
            assessed = await assessCommand(context, subject, line, names.origin);
          }
        }
      }
      knownLine = key === undefined ? undefined : knownLineOf(line, assessed, context.redact);
      if (key !== undefined && knownLine !== undefined) context.knownLines.keep(key, knownLine);
    }
    this.#assessed = assessed;
    const { judgement, destinations, aliases, obstacle } = assessed;
    const shown = this.#isDryRun ? judgementOnDryRun(subject, line, judgement) : judgement;
    this.#judgement = shown;

    const { clock, redact, strict } = context;
    const id = this.id;
    const facts = {
      time: clock.wallMs(),
      names,
      id,
      subject,
      judgement: shown,
      backends: destinations,
      stated,
      redact,
      nameCase: context.router.table.userNames.nameCase,
    };
    const allowed = isAllowed(judgement) ? judgement : undefined;
    // A locked client may still ask what it may do; the answer says that it is locked.
    const { command: asked = '' } = judgement;
    const isQuestion = 'answer' in assessed && !isAccessCommand(asked) && asked !== reportCommand;
    const locked =
      isQuestion || judgement.kind !== 'judged'
        ? undefined
        : lockedEnding(context, session, judgement, destinations);
    const grant = allowed?.decision.grant;
    const isStrict = isAllowed(shown) && (grant !== undefined || strict.has(shown.attempt.effect));
    const records = new ExchangeRecords(context, admissionOf(facts, knownLine?.recorded), isStrict);
    if (allowed !== undefined && readsContent(allowed.attempt)) records.room = 'whole';
    this.#records = records;
    const isDuplex = allowed?.attempt.command.input === 'duplex';
    const input =
      (judgement.input === 'none' && !isDuplex) || this.#isDryRun
        ? undefined
        : new CommandInput(context, names.origin, judgement.input, isDuplex, () => session.openInput());
    let ending: Ending;
    if (allowed !== undefined) {
      // Ending access works on a full disk, too, and is not rate-limited.
      const budget = 'answer' in assessed ? assessed.budget : undefined;
      // A command with a text is compared with overdue ones right before it is sent, when the text is known.
      const hasText = judgement.input === 'dot';
      const hindrance =
        locked ??
        obstacle ??
        (this.#isDryRun || hasText
          ? undefined
          : context.overdue.refusal({ judgement: allowed, text: undefined }, names.origin, id)) ??
        (budget === 'none' ? undefined : refuseByJournal(allowed, session, context));
      const isCounted = hindrance === undefined && budget !== 'none' && budget !== 'steps';
      const outcomes = outcomesIn(allowed, session, context, isCounted);
      // A command that does not get this far ends the same under a candidate.
      records.compare(
        subject.policy,
        hindrance === undefined ? outcomes : { ...outcomes, candidate: undefined },
      );
      const refusal = hindrance ?? refusalBy(outcomes.done, allowed, subject.policy.name, names);
      if (refusal !== undefined) {
        ending = refusal;
      } else if (grant !== undefined && !this.#isDryRun && !this.#take(grant, records)) {
        ending = { kind: 'grant-over', grant, policy: subject.policy.name };
        this.#triedAfter(grant, records);
      } else if ('answer' in assessed) {
        ending = await assessed.answer(() => records.admitQuestion(names));
      } else {
        const { scope, grant: sharing } = allowed.attempt.command;
        const command: DispatchedCommand = {
          context,
          session,
          line,
          judgement: allowed,
          destinations,
          aliases,
          grants,
          known: knownLine,
          most: mostMatches(allowed.decision.obligations),
          // A server command needs a process on which nothing ran, and so does one that amounts to root: a process of Dovecot 2.3 gives up
          // its rights for its first user, and then `sync` cannot look its user up (measured on 2.3.13).
          isFresh: isDuplex || scope === 'server' || sharing === 'never',
          id,
          abortable: this.#abortable,
          input,
          records,
          tried: this.#isDryRun ? admissionOf({ ...facts, judgement }) : undefined,
        };
        if (this.#isDryRun) ending = await this.#try(command);
        else ending = await (grant === undefined ? this.#send(command) : this.#sendUnder(grant, command));
      }
    } else {
      const beside = judgement.kind === 'judged' ? this.#besideGrants(judgement, isOwner) : undefined;
      const outcomes = outcomesIn(judgement, session, context, true);
      records.compare(subject.policy, outcomes);
      if (beside?.over !== undefined && !this.#isDryRun) this.#triedAfter(beside.over.id, records);
      const refusal = refusalBy(outcomes.done, judgement, subject.policy.name, names, beside);
      if (refusal === undefined) throw new Error('what policy denies was served');
      // The denial of a line does not reveal locks of users whom its client may not name.
      ending = locked?.isNamed === true ? locked : refusal;
    }
    const progress = progressOf(this.#attempts);
    this.isServed = progress.waitMs !== undefined;
    this.isRecorded = records.admitRefused(names, ending, this.isServed);
    const { reason: abortReason } = this.#abortable;
    const isSessionOver = abortReason === 'draining' || abortReason === 'killed';
    const closeFor = input === undefined ? undefined : await input.settle(isSessionOver);
    const backend = this.#attempts.at(-1)?.backend ?? destinations[0]?.name;
    return this.#complete(shown, ending, backend, destinations, closeFor, records, input);
  }

  #besideGrants({ decision, attempt, args }: Judged, isOwner: boolean): BesideGrants | undefined {
    const { access } = this.#context;
    const rule = decision.onRequest?.hash;
    if (rule === undefined) return undefined;
    const asker = askerOf(this.#session);
    const { users, command } = attempt;
    const withheld = isOwner ? access.withheldFrom(asker, rule, users) : undefined;
    return { withheld, over: access.lastOver(asker, rule, users, lineOf(command.name, args)) };
  }

  /** The grant has ended. The records name it, so that this attempt is in its history. */
  #triedAfter(request: string, records: ExchangeRecords): void {
    this.#over = request;
    records.admission = { ...records.admission, request };
  }

  /** Takes a use of the grant and names it in the admission. Returns false if no use is left. */
  #take(grant: string, records: ExchangeRecords): boolean {
    const keys = this.#context.access.take(grant, askerOf(this.#session));
    if (keys !== undefined) records.admission = { ...records.admission, ...keys };
    return keys !== undefined;
  }

  /** A dry run, which uses no grant: in its turn, counts the mails that the command would affect, and answers what would happen. */
  async #try(command: DispatchedCommand): Promise<Ending> {
    const { context, session, line, judgement, grants, records, abortable } = command;
    const { subject } = session;
    const { policy } = subject;
    let giveBack: (() => void) | undefined;
    try {
      const { atOnce } = policy.limits;
      if (atOnce !== undefined) {
        giveBack = await context.turns.take(turnsOf(session), atOnce, abortable.signal);
      }
      // Under a grant the number of mails is for its approvers alone.
      const isShown = judgement.decision.grant === undefined;
      const matches = isShown ? await countMails(command, this.#attempts) : undefined;
      if (typeof matches === 'object') return matches;
      records.admission = { ...records.admission, matches };
      records.room = 'brief';
      const asked = { line, matches, subject: grants === undefined ? subject : { ...subject, grants } };
      return await answerDryRun(context, session, asked, () =>
        matches === undefined ? records.admitQuestion(session.names) : records.admit(),
      );
    } catch (fault) {
      if (abortable.isAborted && fault === abortable.reason) return cutOff(abortable, false);
      return { kind: 'fault', fault, isSent: false, backend: '' };
    } finally {
      giveBack?.();
    }
  }

  #countForAccess(command: CountedCommand): ReturnType<CountMails> {
    const records = this.#records;
    if (records === undefined) throw new Error('mails were counted before the question was judged');
    const { id } = this;
    const exchange = {
      context: this.#context,
      session: this.#session,
      id,
      abortable: this.#abortable,
      records,
    };
    return countForAccess({ ...exchange, attempts: this.#attempts }, command);
  }

  async #sendUnder(grant: string, command: DispatchedCommand): Promise<Ending> {
    const { access } = command.context;
    const giveBack = access.whileRunning(grant, () => this.abort('grant-ended'));
    try {
      return await this.#send(command);
    } finally {
      giveBack();
      this.#grant = grant;
    }
  }

  async #send(command: DispatchedCommand): Promise<Ending> {
    const { context, session, line, judgement, destinations, input, records, abortable } = command;
    this.#isReading = judgement.attempt.effect === 'read';
    // dsync of Dovecot 2.4 always sends 1, for a connection that it makes itself (measured on 2.4.1).
    if (line.proxyTtl !== undefined && line.proxyTtl <= 1 && input?.isDuplex !== true) {
      return { kind: 'unroutable', reason: 'the command went over too many proxies (proxy-ttl)' };
    }
    const { clock, turns } = context;
    let startMs = clock.now();
    let giveBack: (() => void) | undefined;
    // Each await costs a turn of the microtask queue, and most commands need none of these.
    try {
      // Where mails are counted, a search comes first, and the admission has its result.
      if (command.most === undefined) {
        const admitted = records.admit();
        if (admitted !== undefined) await admitted;
      }
      if (input !== undefined && judgement.input === 'dot') {
        const admittedMs = clock.now() - startMs;
        const ended = await input.gather(abortable.signal);
        if (ended !== undefined) return ended;
        // The time that the client took to send the text does not count as waiting for a turn.
        startMs = clock.now() - admittedMs;
      }
      const { atOnce } = session.subject.policy.limits;
      if (atOnce !== undefined) {
        giveBack = await turns.take(turnsOf(session), atOnce, abortable.signal);
      }
    } catch (fault) {
      if (abortable.isAborted && fault === abortable.reason) return cutOff(abortable, false);
      return { kind: 'fault', fault, isSent: false, backend: destinations[0]?.name ?? '' };
    }
    try {
      this.#turnMs = clock.now() - startMs;
      const ending = await dispatch(command, this.#attempts);
      return isEnding(ending, 'replied') ? ending : await followUp(command, this.#attempts, ending);
    } finally {
      giveBack?.();
    }
  }

  /** Responds to the client first; nothing waits for the completion. The completion of an overdue command comes with its end. */
  #complete(
    judgement: Judgement,
    ending: Ending,
    backend: string | undefined,
    destinations: readonly { readonly name: string }[],
    inputClose: CloseReason | undefined,
    records: ExchangeRecords,
    input: CommandInput | undefined,
  ): CloseReason | undefined | Promise<CloseReason | undefined> {
    const { clock, limits } = this.#context;
    const { writer, names } = this.#session;
    const isSeveral = changesOf(judgement) === 'several';
    const verdict = judgeEnding(ending, isSeveral);
    const said = withHelp(verdict, ending, this.#session);
    const { status, closeFor } = respond(writer, ending, said, this.id);
    const close = closeFor ?? inputClose;
    const isUnread = close === 'client-stall' || close === 'client-slow' || close === 'peer-gone';
    const drained = isUnread ? undefined : writer.flush(unreadBytesMax);
    const facts = {
      names,
      id: this.id,
      policy: this.#session.subject.policy.name,
      judgement,
      backend,
      status,
      input: input?.recorded(),
      bytesOut: writer.bytesOut - this.#bytesBefore,
    };
    const late = this.#attempts.flatMap((attempt) => attempt.late ?? []);
    if (late.length === 0) this.#record(records, facts, verdict);
    else {
      records.overdue(facts);
      void Promise.all(late).then(() => {
        const end = endingOf(this.#attempts, destinations, judgement);
        this.#record(records, facts, judgeEnding(end, isSeveral));
      });
    }
    if (drained === undefined) return close;
    return closeUntaken(drained, clock, limits.clientStallMs).then((untaken) => untaken ?? close);
  }

  #record(
    records: ExchangeRecords,
    known: Omit<
      CompletionFacts,
      'time' | 'verdict' | 'parts' | 'durationMs' | 'grant' | 'request' | keyof Progress
    >,
    verdict: Verdict,
  ): void {
    const { clock, access } = this.#context;
    const { upstream, isSent, count, waitMs } = progressOf(this.#attempts);
    // Each key by itself: a spread in front of so many takes a twentieth of a short session.
    records.complete({
      names: known.names,
      id: known.id,
      policy: known.policy,
      judgement: known.judgement,
      backend: known.backend,
      status: known.status,
      input: known.input,
      bytesOut: known.bytesOut,
      time: clock.wallMs(),
      verdict,
      upstream,
      parts: this.#attempts.length > 1 ? recordedParts(this.#attempts, known.judgement) : undefined,
      isSent,
      count,
      waitMs: waitMs === undefined ? undefined : this.#turnMs + waitMs,
      durationMs: clock.now() - this.#startMs,
      grant: this.#grant,
      request: this.#over,
    });
    if (this.#grant !== undefined) access.done(this.#grant, isSent);
  }
}

type Progress = ReturnType<typeof progressOf>;

/** The key under which `at_once` of a policy counts commands together. */
function turnsOf({ names, subject }: ExchangeSession): string {
  return `${names.origin}\0${subject.policy.name}`;
}

function isLiftable(judgement: Judgement): boolean {
  return judgement.kind === 'judged' && judgement.decision.onRequest !== undefined;
}

const unreadBytesMax = 16 * 1024;

/** Denials whose sentences say what to do. */
const saysWhatToDo: ReadonlySet<DecisionCode> = new Set([
  'no-user',
  'no-reason',
  'reason-short',
  'too-many-matches',
]);

function withHelp(verdict: Verdict, ending: Ending, { names, subject }: ExchangeSession): Verdict {
  if (!isEnding(ending, 'denied') || verdict.text === undefined) return verdict;
  const isPlain = ending.request === undefined && !saysWhatToDo.has(ending.code);
  // A listener with logins needs options for the login, which the line does not have.
  const hasCan = isPlain && names.isPreauthenticated === true && names.protocol === undefined;
  const help = helpWith({ can: hasCan ? canLine(names.socket) : undefined, contact: subject.policy.contact });
  return { ...verdict, text: verdict.text + help };
}

/**
 * Sends our log line and status, unless the backend's own status was sent already. `status`: the status line of the reply, without LF, even
 * if no client was left to read it. `closeFor`: why the session must end.
 */
function respond(
  writer: ReplyTarget,
  ending: Ending,
  verdict: Verdict,
  id: string,
): { readonly status: string; readonly closeFor: CloseReason | undefined } {
  if (isEnding(ending, 'replied')) {
    const status = ending.status.raw.toString('latin1');
    if (ending.peer === 'ready') return { status, closeFor: undefined };
    return { status, closeFor: ending.peer === 'client-gone' ? 'peer-gone' : ending.peer };
  }
  // Raw bytes have no end after which a status line could follow.
  if (isEnding(ending, 'duplex-ended')) return { status: '+', closeFor: duplexCloses[ending.how] };
  const isCut = writer.isMidCell;
  const status = writer.addEnd(ending, verdict, id);
  if (isEnding(ending, 'client-stall') || isEnding(ending, 'client-slow'))
    return { status, closeFor: ending.kind };
  if (isEnding(ending, 'client-gone')) return { status, closeFor: 'peer-gone' };
  return { status, closeFor: isCut ? 'cut-reply' : undefined };
}

const duplexCloses: Readonly<Record<DuplexEnd, CloseReason>> = {
  ended: 'peer-ended',
  'backend-broke': 'cut-reply',
  idle: 'cut-reply',
  'client-gone': 'peer-gone',
  killed: 'aborted',
  'client-stall': 'client-stall',
  draining: 'draining',
};
