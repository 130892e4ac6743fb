// The records of one exchange, and when they are written: its admission, lines of its backend's log, its completion; and the event with
// each. Every exchange has one admission and then one completion, a refused one too. In a flood, exchanges without an upstream are only
// counted.

import { isCode, type Said, saidOfStatus, sentenceOfError } from '../../doveadm/codes/codes.js';
import type { CanonicalWord } from '../../doveadm/meaning/canonical.js';
import { type NameCase, userNameMax } from '../../doveadm/names/user-name.js';
import type { LogLine } from '../../doveadm/reply/reply.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Peer } from '../../host/ports/peer.js';
import { formatTime } from '../../host/words/instants.js';
import type { Journal } from '../../journal/records/appending.js';
import type {
  RecordedInput,
  RecordedOutcome,
  RecordedPart,
  RecordedPeer,
  Redacted,
} from '../../journal/records/keys.js';
import type { AuditRecord, RecordRoom } from '../../journal/records/record.js';
import { usersTouchedBy } from '../../rules/policy/attempt.js';
import { isAllowed, type Judgement, type Subject } from '../../rules/policy/judge.js';
import {
  areSame,
  type Compared,
  type Outcome,
  type OutcomeKind,
  whyOf,
  withMatches,
} from '../../rules/policy/outcome.js';
import type { Policy, RulePlace } from '../../rules/policy/policy.js';
import {
  type BackendLog,
  backendLog,
  type ExchangeEnded,
  type ExchangeNames,
  type Observe,
} from '../outcome/events.js';
import {
  appendFirst,
  appendQuietly,
  countedNamesMax,
  type FloodSource,
  type FloodWatch,
  isLost,
} from '../outcome/journal.js';
import { type Ending, judgeEnding, type LogLevel, type Verdict } from '../outcome/outcome.js';
import type { RelayCount } from '../relay/relay.js';
import type { Stated } from './stated.js';

export interface SessionNames {
  readonly session: string;
  /** Undefined for the doveadm protocol. */
  readonly protocol?: 'http' | undefined;
  readonly listener: string;
  /** Path of the listener's socket, for the command that a denial proposes. */
  readonly socket?: string | undefined;
  readonly peer: Peer;
  readonly recorded: RecordedPeer;
  readonly principal: string;
  readonly origin: string;
  readonly isPreauthenticated?: boolean;
}

export function formatPlace(place: RulePlace): string {
  return `${place.file}:${place.line}`;
}

export interface AdmissionFacts {
  readonly time: number;
  readonly names: SessionNames;
  readonly id: string;
  readonly subject: Pick<Subject, 'policy' | 'clientMinor'>;
  readonly judgement: Judgement;
  readonly backends: readonly { readonly name: string }[];
  readonly stated: Stated;
  readonly redact: (value: string) => Redacted;
  readonly nameCase: NameCase;
}

export type RecordedJudgement = Pick<
  AuditRecord,
  'rule' | 'series' | 'decision' | 'args' | 'effect' | 'text' | 'users'
>;

export function recordedJudgement(
  judgement: Judgement,
  redact: (value: string) => Redacted,
): RecordedJudgement {
  if (judgement.kind === 'unparsable') {
    // The arguments of an unparsed line are not recorded: without parameters, any of them could be a secret.
    const { effect, message: text, user } = judgement;
    return { decision: 'deny', effect, text, users: user === '' ? [] : [user] };
  }
  const { decision } = judgement;
  return {
    rule: decision.rule === undefined ? undefined : formatPlace(decision.rule),
    series: judgement.series.length > 0 ? judgement.series.join(' ') : undefined,
    decision: decision.kind,
    args: redactedWords(judgement.args, redact),
    effect: judgement.attempt.effect,
    text: decision.kind === 'deny' ? decision.reason : undefined,
    users: usersTouchedBy(judgement.attempt),
  };
}

/** Secret words that get a digest of their own. More digests would need more room than a record has. */
const digestsMax = 128;

/** Secret words beyond `digestsMax` share one digest, joined by NUL: separate ones for a line of 4,000 would take 10 ms. */
export function redactedWords(
  words: readonly CanonicalWord[],
  redact: (value: string) => Redacted,
): (string | Redacted)[] {
  let secrets = 0;
  let rest: Redacted | undefined;
  return words.map(({ text, isSecret }, at) => {
    if (!isSecret) return text;
    secrets += 1;
    if (secrets <= digestsMax) return redact(text);
    rest ??= redact(words.flatMap((word, from) => (from >= at && word.isSecret ? word.text : [])).join('\0'));
    return rest;
  });
}

/** `recorded`: the judgement's keys, if they were made before. */
export function admissionOf(
  facts: AdmissionFacts,
  recorded: RecordedJudgement = recordedJudgement(facts.judgement, facts.redact),
): AuditRecord {
  const { names, judgement, backends } = facts;
  const { policy, clientMinor } = facts.subject;
  return {
    time: facts.time,
    event: 'admission',
    session: names.session,
    id: facts.id,
    protocol: names.protocol,
    listener: names.listener,
    peer: names.recorded,
    origin: names.origin,
    principal: names.principal,
    policy: policy.name,
    version: policy.version,
    rule: recorded.rule,
    series: recorded.series,
    decision: recorded.decision,
    command: judgement.command,
    user: judgement.user,
    written: judgement.written,
    args: recorded.args,
    effect: recorded.effect,
    backend: backends.length === 1 ? backends[0]?.name : undefined,
    backends: backends.length > 1 ? backends.map(({ name }) => name) : undefined,
    text: recorded.text,
    client: clientMinor,
    users: recorded.users,
    case: facts.nameCase === 'keep' ? 'keep' : undefined,
    // Last: a spread in front of so many keys takes up to 100 µs.
    ...facts.stated,
  };
}

/** Keys of the admission: what its rules, or a candidate, would do instead, where a client would see a difference. */
function differencesOf({ done, rules, candidate }: Compared, matches: number | undefined) {
  const is = withMatches(done, matches);
  const instead = (other: Outcome | undefined) => {
    const settled = other && withMatches(other, matches);
    return settled === undefined || areSame(settled, is) ? undefined : settled;
  };
  const why = (outcome: Outcome | undefined): string | undefined => {
    if (outcome === undefined) return undefined;
    const place = 'rule' in outcome && outcome.rule !== undefined ? `${formatPlace(outcome.rule)}: ` : '';
    return `${place}${whyOf(outcome)}`;
  };
  const [would, shadow] = [instead(rules), instead(candidate)];
  return { would: would?.kind, would_why: why(would), shadow: shadow?.kind, shadow_why: why(shadow) };
}

export interface CompletionFacts
  extends Pick<
    ExchangeEnded,
    'policy' | 'backend' | 'upstream' | 'status' | 'isSent' | 'bytesOut' | 'waitMs' | 'durationMs'
  > {
  readonly time: number;
  readonly names: SessionNames;
  readonly id: string;
  readonly judgement: Judgement;
  /** Each attempt, if there was more than one. */
  readonly parts: readonly RecordedPart[] | undefined;
  readonly verdict: Verdict;
  readonly count: RelayCount | undefined;
  readonly input: RecordedInput | undefined;
  readonly grant?: string | undefined;
  /** The grant that had ended before the command came. */
  readonly request?: string | undefined;
}

export function completionOf(facts: CompletionFacts): AuditRecord {
  const { names, judgement, verdict, count } = facts;
  return {
    time: facts.time,
    event: 'completion',
    session: names.session,
    id: facts.id,
    listener: names.listener,
    origin: names.origin,
    principal: names.principal,
    command: judgement.command,
    user: judgement.user,
    input: facts.input,
    backend: facts.backend,
    upstream: facts.upstream,
    backends: facts.parts,
    status: facts.status,
    outcome: verdict.outcome,
    sent: facts.isSent,
    cells: count?.cells,
    bytes_in: count?.bytesIn,
    bytes_out: facts.bytesOut,
    wait_ms: facts.waitMs,
    first_byte_ms: count?.firstByteMs,
    duration_ms: facts.durationMs,
    logs: count?.logs && Object.fromEntries(count.logs),
    text: verdict.outcome === 'ok' && verdict.text === undefined ? undefined : textOf(facts),
    request: facts.request,
    grant: facts.grant,
    lock: verdict.lock,
    error: verdict.error,
    denial: verdict.denial,
    until:
      verdict.retryAfterS === undefined ? undefined : formatTime(facts.time + verdict.retryAfterS * 1000),
  };
}

/** The sentence about the end of the command, as the client got it. */
function saidOf({ verdict: { text, error }, status, count }: CompletionFacts): {
  readonly code?: Said['code'];
  readonly sentence: string | undefined;
} {
  if (text !== undefined || error !== undefined || !status.startsWith('-')) return { sentence: text };
  // A full mailbox, for example, has no status of its own: a line of the log says it.
  return saidOfStatus(status.slice(1).split('\t', 1)[0] ?? '', count?.lastLog ?? '');
}

/** The sentence for the completion; undefined if the admission, `status`, or `error` and `backend` say the same. */
function textOf(facts: CompletionFacts): string | undefined {
  const { verdict, judgement, backend } = facts;
  const { error, clientCode, denial } = verdict;
  const { sentence: text, code } = saidOf(facts);
  if (text === undefined || code === 'backend-failed') return undefined;
  const isInAdmission =
    !isAllowed(judgement) &&
    (judgement.kind === 'unparsable' || (clientCode === 'denied' && denial !== 'grant-withheld'));
  return isInAdmission || (isCode(error) && text === sentenceOfError(error, backend)) ? undefined : text;
}

export interface LogFacts {
  readonly names: SessionNames;
  readonly id: string;
  readonly judgement: Judgement | undefined;
  readonly upstream: { readonly backend: string; readonly id: string };
  readonly line: LogLine;
}

export function backendLogOf(facts: LogFacts): BackendLog {
  const { names, id, judgement, upstream, line } = facts;
  const told = { type: line.type, text: withoutSecrets(facts) };
  return backendLog(upstream.backend, upstream.id, told, exchangeNamesOf(names, id, judgement));
}

export function logRecordOf(names: SessionNames, id: string, log: BackendLog, time: number): AuditRecord {
  const { backend, upstream, type: level, text } = log;
  const { session, listener, origin, principal } = names;
  return { time, event: 'log', session, id, listener, origin, principal, backend, upstream, level, text };
}

/** Shorter texts are no secrets, and occur in many words. */
const secretCharsMin = 4;

/** A server that complains about an argument repeats it: a secret that is not recorded there must not be recorded here. */
function withoutSecrets({ line, judgement }: LogFacts): string {
  if (judgement?.kind !== 'judged') return line.text;
  let { text } = line;
  for (const word of judgement.args) {
    if (!word.isSecret || word.text.length < secretCharsMin) continue;
    // In KEY=VALUE the value may occur alone.
    const value = word.text.slice(word.text.indexOf('=') + 1);
    for (const secret of [word.text, value]) {
      if (secret.length >= secretCharsMin) text = text.replaceAll(secret, '[secret]');
    }
  }
  return text;
}

/** `isTold` false: it belongs to a flood and is only counted. */
export function endedOf(facts: CompletionFacts, isTold: boolean, shadow?: OutcomeKind): ExchangeEnded {
  const { backend, upstream, verdict, status, judgement, bytesOut, waitMs, durationMs } = facts;
  const decision = judgement.kind === 'judged' ? judgement.decision : undefined;
  const denial = decision?.kind === 'deny' ? decision : undefined;
  return {
    kind: 'exchange-ended',
    exchange: exchangeNamesOf(facts.names, facts.id, judgement),
    backend,
    upstream,
    decision: decision?.kind ?? 'deny',
    policy: facts.policy,
    shadow,
    denial: verdict.denial,
    rule: denial?.rule ?? denial?.nearest?.rule,
    outcome: verdict.outcome,
    status,
    level: isTold ? verdict.level : undefined,
    error: verdict.error,
    text: saidOf(facts).sentence,
    isQuoting: verdict.isQuoting === true,
    lock: verdict.lock,
    isSent: facts.isSent,
    bytesIn: facts.count?.bytesIn ?? 0,
    bytesOut,
    bytesUp: facts.isSent ? (facts.input?.bytes ?? 0) : 0,
    waitMs,
    durationMs,
  };
}

export function exchangeNamesOf(
  names: SessionNames,
  id: string,
  judgement: Judgement | undefined,
): ExchangeNames {
  const { listener, session, principal } = names;
  // An invalid name can be as long as a line; its record has the length and a hash.
  const user = judgement?.user.slice(0, userNameMax) ?? '';
  return { listener, session, id, principal, user, command: judgement?.command };
}

export interface RecordParts {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
  readonly floods: FloodWatch;
  readonly limits: { readonly logRecordsMax: number };
}

/** The time is set when it is written, perhaps after a wait for a count or a turn: `verify` treats times that go back as tampering. */
type Admission = AuditRecord & { time: number };

/** Codes of a backend for mistakes of a user or in an argument; TEMPFAIL, UNKNOWN and PROTOCOL are faults of a server. */
const userErrors: ReadonlySet<string> = new Set([
  'NOUSER',
  'NOTFOUND',
  'DATAERR',
  'USAGE',
  'NOPERM',
  'EXPIRED',
  'CHANGED',
]);

/** A full mailbox has no code of its own. */
function isFaultOfUser({ status, verdict }: CompletionFacts, text: string): boolean {
  // Otherwise the status is dovegate's, not the backend's.
  if (verdict.error !== undefined || !status.startsWith('-')) return false;
  const [code = ''] = status.slice(1).split('\t', 1);
  return userErrors.has(code) || /quota exceeded/i.test(text);
}

const denials: ReadonlySet<RecordedOutcome> = new Set(['denied', 'limited', 'unparsable']);

export class ExchangeRecords {
  admission: Admission;
  /** The admission must be on disk before anything is sent; otherwise it is enough that it survives a crash of the daemon. */
  readonly isStrict: boolean;
  readonly #parts: RecordParts;
  #state: 'open' | 'admitted' | 'counted' = 'open';
  /** `brief` if the command will never be sent. */
  room: RecordRoom | undefined;
  /** Pending until it is on disk; may stay pending. */
  #durable: Promise<void> | undefined;
  /** Error lines of the backend, held until the status shows whose fault they are. */
  #heldErrors: BackendLog[] | undefined;
  #fault: unknown;
  #isLost = false;
  #compared: Compared | undefined;

  constructor(parts: RecordParts, admission: Admission, isStrict: boolean) {
    this.#parts = parts;
    this.admission = admission;
    this.isStrict = isStrict;
  }

  /** Keeps for the records what a policy that observes, or its candidate, would have done. */
  compare({ mode, shadow }: Pick<Policy, 'mode' | 'shadow'>, outcomes: Compared): void {
    if (mode === 'observe' || shadow !== undefined) this.#compared = outcomes;
  }

  /** Called just before the admission is written: the number of matching mails is known by then. */
  #stamp(): void {
    if (this.#compared !== undefined)
      this.admission = { ...this.admission, ...differencesOf(this.#compared, this.admission.matches) };
    this.admission.time = this.#parts.clock.wallMs();
  }

  /** Call before anything is sent. If the caller must wait, returns a promise, always the same. Throws or rejects with a JournalFault. */
  admit(): Promise<void> | undefined {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#state !== 'open') return this.#durable;
    this.#state = 'admitted';
    this.#stamp();
    try {
      this.#durable = appendFirst(this.#parts.journal, this.admission, this.isStrict, this.room);
    } catch (fault) {
      this.#fault = fault;
      this.#isLost = isLost(fault);
      throw fault;
    }
    // Only a use of a grant is given back by a completion.
    if (this.admission.grant !== undefined)
      this.#durable?.catch((fault: unknown) => {
        this.#isLost = isLost(fault);
      });
    return this.#durable;
  }

  /** For a question that dovegate answers itself: as `admit`, but a flood of questions is only counted. */
  admitQuestion(source: FloodSource): Promise<void> | undefined {
    this.room = 'brief';
    if (this.#parts.floods.admit('question', source)) return this.admit();
    this.#state = 'counted';
    return undefined;
  }

  /** Does not wait; does nothing if the admission was written already. */
  admitQuietly(): void {
    if (this.#state !== 'open') return;
    this.#state = 'admitted';
    this.#stamp();
    this.#isLost = !this.#append(this.admission);
  }

  /** For an exchange that ends without an admission. `hadUpstream`: it got an upstream. Returns false if it is only counted, in a flood. */
  admitRefused(source: FloodSource, ending: Ending, hadUpstream: boolean): boolean {
    if (this.#state === 'open') {
      if (!hadUpstream) this.room = 'brief';
      const kind = denials.has(judgeEnding(ending).outcome) ? 'refused' : 'unsent';
      if (hadUpstream || this.#parts.floods.admit(kind, this.#counted(source))) this.admitQuietly();
      else this.#state = 'counted';
    }
    return this.#state !== 'counted';
  }

  /** The source with the command and the users, so that a count of the flood names them as records would. */
  #counted(source: FloodSource): FloodSource {
    const { command = '', user = '', users = [] } = this.admission;
    if (!('origin' in source) || users.length > countedNamesMax) return source;
    const { origin, principal } = source;
    return { origin, principal, commands: [command], users: user === '' ? users : [user, ...users] };
  }

  logged(facts: LogFacts, lines: number): void {
    const { observe, clock, limits } = this.#parts;
    const log = backendLogOf(facts);
    if (log.type === 'error' && (this.#heldErrors?.length ?? 0) < bounds.heldErrors)
      (this.#heldErrors ??= []).push(log);
    else observe(log);
    if (lines <= limits.logRecordsMax) this.#append(logRecordOf(facts.names, facts.id, log, clock.wallMs()));
  }

  /** The admission names the first backend only: nothing is sent to another before a record says so. Rejects with a JournalFault. */
  async referred(names: SessionNames, id: string, from: string, to: string): Promise<void> {
    const text = `referred by ${from}: the command goes to ${to} next`;
    await appendFirst(this.#parts.journal, this.#remark(names, id, to, 'info', text), this.isStrict);
  }

  /** The client has its answer, and the command may go on at its backend. Its completion comes with its end. */
  overdue({
    names,
    id,
    judgement,
    backend,
    status,
  }: Pick<CompletionFacts, 'names' | 'id' | 'judgement' | 'backend' | 'status'>): void {
    const text = `no answer in time: the client got ${status}; the command may still run, and its completion comes with its end`;
    this.#append(this.#remark(names, id, backend, 'warn', text));
    const exchange = exchangeNamesOf(names, id, judgement);
    this.#parts.observe({ kind: 'command-overdue', level: 'warn', text, ...exchange, backend });
  }

  #remark(
    { session, listener, origin, principal }: SessionNames,
    id: string,
    backend: string | undefined,
    level: LogLevel,
    text: string,
  ): AuditRecord {
    const time = this.#parts.clock.wallMs();
    return { time, event: 'log', session, id, listener, origin, principal, backend, level, text };
  }

  complete(facts: CompletionFacts): void {
    for (const log of this.#heldErrors ?? []) {
      this.#parts.observe(isFaultOfUser(facts, log.text) ? { ...log, level: 'info' } : log);
    }
    // If the admission is lost, the journal has not counted this use of the grant, so the completion must not give it back.
    this.#append(completionOf(this.#isLost ? { ...facts, grant: undefined } : facts));
    const shadow = this.#compared && differencesOf(this.#compared, this.admission.matches).shadow;
    this.#parts.observe(endedOf(facts, this.#state !== 'counted', shadow));
  }

  /** Returns false if the record is lost. */
  #append(record: AuditRecord): boolean {
    if (this.#state === 'counted') return true;
    return appendQuietly(this.#parts.journal, this.#parts.observe, record, this.room);
  }
}
