// What one exchange leaves in the journal, and when: its admission, lines of its backend's log, its completion; and the event beside
// each. The rule: every exchange has one admission and then one completion, also one that was refused; of a flood that had no
// upstream both are only counted.

import { bounds } from '../../bounds/bounds.js';
import type {
  AuditRecord,
  RecordedInput,
  RecordedPart,
  RecordedPeer,
  Redacted,
} from '../../domain/audit/record.js';
import type { Peer } from '../../domain/identity/peer.js';
import { userNameMax } from '../../domain/identity/user-name.js';
import type { CanonicalWord } from '../../domain/meaning/canonical.js';
import { type Judged, type Judgement, type Subject, usersTouchedBy } from '../../domain/policy/assess.js';
import type { RulePlace } from '../../domain/policy/policy.js';
import type { Clock } from '../../ports/machine.js';
import type { LogLine } from '../../protocol/reply/reply.js';
import type { BackendLog, ExchangeEnded, ExchangeNames, Observe } from '../outcome/events.js';
import { appendFirst, appendQuietly, type FloodWatch, type Journal } from '../outcome/journal.js';
import type { Verdict } from '../outcome/outcome.js';
import type { RelayCount } from '../relay/relay.js';

/** Who asks, and where; the same for all exchanges of a session. */
export interface SessionNames {
  readonly session: string;
  /** Undefined: the doveadm protocol. */
  readonly protocol?: 'http' | undefined;
  readonly listener: string;
  readonly peer: Peer;
  /** The same as it is recorded. */
  readonly recorded: RecordedPeer;
  readonly principal: string;
  /** Where the peer comes from, for shares of upstreams. */
  readonly origin: string;
}

/** Where a rule was written, as text. */
export function formatPlace(place: RulePlace): string {
  return `${place.file}:${place.line}`;
}

export interface AdmissionFacts {
  readonly time: number;
  readonly names: SessionNames;
  readonly id: string;
  readonly subject: Pick<Subject, 'policy' | 'clientMinor'>;
  readonly judgement: Judgement;
  /** Where it would go. */
  readonly backends: readonly { readonly name: string }[];
  readonly reason: string | undefined;
  /** What the client calls the command, where its protocol has a name for it. */
  readonly tag?: string | undefined;
  readonly redact: (value: string) => Redacted;
}

/** What of an admission follows from the judgement alone. */
export type RecordedJudgement = Pick<
  AuditRecord,
  'rule' | 'series' | 'decision' | 'would' | 'mode' | 'args' | 'effect' | 'text' | 'users'
>;

export function recordedJudgement(
  judgement: Judgement,
  redact: (value: string) => Redacted,
): RecordedJudgement {
  if (judgement.kind === 'unparsable') {
    // Its arguments are not recorded: unread, they have no parameters, so nobody can tell which of them is a secret.
    const { effect, message: text, user } = judgement;
    return { decision: 'deny', effect, text, users: user === '' ? [] : [user] };
  }
  const { decision, shadow } = judgement;
  return {
    rule: decision.rule === undefined ? undefined : formatPlace(decision.rule),
    series: judgement.series.length > 0 ? judgement.series.join(' ') : undefined,
    decision: decision.kind,
    would: (decision.would ?? shadow)?.kind,
    mode: decision.would !== undefined ? 'observe' : shadow !== undefined ? 'shadow' : undefined,
    args: redactedWords(judgement.args, redact),
    effect: judgement.attempt.effect,
    text: sayWhy(judgement),
    users: usersTouchedBy(judgement.attempt),
  };
}

/** Secret words with a digest of their own: what a record can show of them, and more. */
const digestsMax = bounds.secretDigests;

/** From the 129th secret word of a line on, each has the digest of all the rest, joined by NUL: a line of 4,000 would take 10 ms. */
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

/** `recorded`: where it was made before. */
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
    tag: facts.tag,
    listener: names.listener,
    peer: names.recorded,
    principal: names.principal,
    policy: policy.name,
    version: policy.version,
    rule: recorded.rule,
    series: recorded.series,
    decision: recorded.decision,
    would: recorded.would,
    mode: recorded.mode,
    reason: facts.reason,
    command: judgement.command,
    user: judgement.user,
    args: recorded.args,
    effect: recorded.effect,
    backend: backends.length === 1 ? backends[0]?.name : undefined,
    backends: backends.length > 1 ? backends.map(({ name }) => name) : undefined,
    text: recorded.text,
    client: clientMinor,
    users: recorded.users,
  };
}

/** Why it was denied, and what the shadow of the policy would have said where it differs. */
function sayWhy({ decision, shadow }: Judged): string | undefined {
  const why = decision.kind === 'deny' ? decision.reason : undefined;
  if (shadow === undefined) return why;
  const place = shadow.rule === undefined ? '' : `${formatPlace(shadow.rule)}: `;
  const other = `the shadow would ${shadow.kind}: ${place}${shadow.reason}`;
  return why === undefined ? other : `${why}; ${other}`;
}

/** What a completion, and the event beside it, is made of. */
export interface CompletionFacts {
  readonly time: number;
  readonly names: SessionNames;
  readonly id: string;
  readonly policy: string;
  readonly judgement: Judgement;
  readonly backend: string | undefined;
  readonly upstream: string | undefined;
  /** Where more than one attempt was made: each of them. */
  readonly parts: readonly RecordedPart[] | undefined;
  readonly verdict: Verdict;
  /** The status line that the client got. */
  readonly status: string;
  readonly isSent: boolean;
  readonly count: RelayCount | undefined;
  /** Of the client's input; undefined: there was none. */
  readonly input: RecordedInput | undefined;
  readonly bytesOut: number;
  readonly waitMs: number | undefined;
  readonly durationMs: number;
}

export function completionOf(facts: CompletionFacts): AuditRecord {
  const { names, judgement, verdict, count } = facts;
  return {
    time: facts.time,
    event: 'completion',
    session: names.session,
    id: facts.id,
    listener: names.listener,
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
    wait_ms: rounded(facts.waitMs),
    first_byte_ms: rounded(count?.firstByteMs),
    duration_ms: rounded(facts.durationMs),
    logs: count?.logs && Object.fromEntries(count.logs),
    error: verdict.error,
  };
}

/** A line of channel L that came within an exchange. */
export interface LogFacts {
  readonly names: SessionNames;
  readonly id: string;
  readonly judgement: Judgement | undefined;
  readonly upstream: { readonly backend: string; readonly id: string };
  readonly line: LogLine;
}

export function backendLogOf(facts: LogFacts): BackendLog {
  const { backend, id: upstream } = facts.upstream;
  const { type } = facts.line;
  const text = withoutSecrets(facts);
  const exchange = exchangeNamesOf(facts.names, facts.id, facts.judgement);
  return { kind: 'backend-log', backend, upstream, exchange, type, text };
}

/** The line as a record. */
export function logRecordOf(names: SessionNames, id: string, log: BackendLog, time: number): AuditRecord {
  const { backend, upstream, type: level, text } = log;
  const { session, listener, principal } = names;
  return { time, event: 'log', session, id, listener, principal, backend, upstream, level, text };
}

/** What is shorter is no secret, and stands in many words. */
const secretCharsMin = 4;

/** A server that complains of an argument repeats it: what must not be recorded there must not be recorded here. */
function withoutSecrets({ line, judgement }: LogFacts): string {
  if (judgement?.kind !== 'judged') return line.text;
  let { text } = line;
  for (const word of judgement.args) {
    if (!word.isSecret || word.text.length < secretCharsMin) continue;
    // Of KEY=VALUE the value may stand alone.
    const value = word.text.slice(word.text.indexOf('=') + 1);
    for (const secret of [word.text, value]) {
      if (secret.length >= secretCharsMin) text = text.replaceAll(secret, '[secret]');
    }
  }
  return text;
}

/** `isTold` false: it is one of a flood, and only counted. */
export function endedOf(facts: CompletionFacts, isTold: boolean): ExchangeEnded {
  const { backend, upstream, verdict, status, judgement, bytesOut, waitMs, durationMs } = facts;
  const decision = judgement.kind === 'judged' ? judgement.decision : undefined;
  const denial = decision?.kind === 'deny' ? decision : undefined;
  return {
    kind: 'exchange-ended',
    isTold,
    exchange: exchangeNamesOf(facts.names, facts.id, judgement),
    backend,
    upstream,
    decision: decision?.kind ?? 'deny',
    policy: facts.policy,
    denial: denial?.code,
    rule: denial?.rule ?? denial?.nearest?.rule,
    outcome: verdict.outcome,
    status,
    level: verdict.level,
    error: verdict.error,
    text: verdict.text,
    bytesIn: facts.count?.bytesIn ?? 0,
    bytesOut,
    bytesUp: facts.isSent ? (facts.input?.bytes ?? 0) : 0,
    waitMs,
    durationMs,
  };
}

/** The keys that tie a log line to an exchange. */
export function exchangeNamesOf(
  names: SessionNames,
  id: string,
  judgement: Judgement | undefined,
): ExchangeNames {
  const { listener, session, principal } = names;
  // What is no name can be as long as a line; its record says how long, and its hash.
  const user = judgement?.user.slice(0, userNameMax) ?? '';
  return { listener, session, id, principal, user, command: judgement?.command };
}

/** Milliseconds to the microsecond. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1000;
}

/** What the records of an exchange need of the engine. */
export interface RecordParts {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
  readonly floods: FloodWatch;
  readonly limits: { readonly logRecordsMax: number };
}

/**
 * Its time is that of its writing. It may have waited, for a count or a turn, while others were recorded: `verify` takes times that go
 * back for tampering.
 */
type Admission = AuditRecord & { time: number };

/** More of them are reported at once, as errors. */
const heldErrorsMax = bounds.heldErrors;

/** Codes of a backend for what a user or an argument causes; TEMPFAIL, UNKNOWN and PROTOCOL are faults of a server. */
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
  // Otherwise the status is not the backend's own.
  if (verdict.error !== undefined || !status.startsWith('-')) return false;
  const [code = ''] = status.slice(1).split('\t', 1);
  return userErrors.has(code) || /quota exceeded/i.test(text);
}

/** The records of one exchange that was judged. */
export class ExchangeRecords {
  /** As it stands, or as it was written. */
  admission: Admission;
  /** The admission must be on disk before anything is sent; else it must only be out of reach of any crash of ours. */
  readonly isStrict: boolean;
  readonly #parts: RecordParts;
  #state: 'open' | 'admitted' | 'counted' = 'open';
  /** Nothing of it is ever sent: its record gets less room. */
  isBrief = false;
  /** Until it is on disk; it may never be. */
  #durable: Promise<void> | undefined;
  /** Error lines of the backend, until its status says whose fault they are. */
  #heldErrors: BackendLog[] | undefined;
  /** Why it was not taken, or nothing may be sent. */
  #fault: unknown;

  constructor(parts: RecordParts, admission: Admission, isStrict: boolean) {
    this.#parts = parts;
    this.admission = admission;
    this.isStrict = isStrict;
  }

  /**
   * Before anything is sent. A promise where that has to be waited for, the same for every attempt; throws, or rejects with, a
   * JournalFault. `isPatient`: nothing will be sent soon anyway.
   */
  admit(isPatient = false): Promise<void> | undefined {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#state !== 'open') return this.#durable;
    this.#state = 'admitted';
    this.admission.time = this.#parts.clock.wallMs();
    try {
      this.#durable = appendFirst(
        this.#parts.journal,
        this.admission,
        this.isStrict,
        isPatient,
        this.isBrief,
      );
    } catch (fault) {
      this.#fault = fault;
      throw fault;
    }
    return this.#durable;
  }

  /** Of a question that dovegate answers itself: as `admit`, but of a flood of questions only the number is recorded. */
  admitQuestion(principal: string): Promise<void> | undefined {
    this.isBrief = true;
    if (this.#parts.floods.admit('refused', principal)) return this.admit();
    this.#state = 'counted';
    return undefined;
  }

  /** Not waited for; nothing where it was written already. */
  admitQuietly(): void {
    if (this.#state !== 'open') return;
    this.#state = 'admitted';
    this.admission.time = this.#parts.clock.wallMs();
    this.#append(this.admission);
  }

  /**
   * Of an exchange that ends, if it has none yet. `hadUpstream`: it was not refused before it got so far. False: it is one of a flood, and
   * only counted.
   */
  admitRefused(principal: string, hadUpstream: boolean): boolean {
    if (this.#state === 'open') {
      this.isBrief ||= !hadUpstream;
      if (hadUpstream || this.#parts.floods.admit('refused', principal)) this.admitQuietly();
      else this.#state = 'counted';
    }
    return this.#state !== 'counted';
  }

  /** The `lines`-th line of channel L. */
  logged(facts: LogFacts, lines: number): void {
    const { observe, clock, limits } = this.#parts;
    const log = backendLogOf(facts);
    if (log.type === 'error' && (this.#heldErrors?.length ?? 0) < heldErrorsMax)
      (this.#heldErrors ??= []).push(log);
    else observe(log);
    if (lines <= limits.logRecordsMax) this.#append(logRecordOf(facts.names, facts.id, log, clock.wallMs()));
  }

  /**
   * A backend referred to another one. The admission names the first only: nothing goes to the other before a record says so.
   * Rejects with a JournalFault.
   */
  async referred(
    { session, listener, principal }: SessionNames,
    id: string,
    from: string,
    to: string,
  ): Promise<void> {
    const text = `referred by ${from}: the command goes to ${to} next`;
    const names = { session, id, listener, principal, backend: to };
    const record: AuditRecord = {
      time: this.#parts.clock.wallMs(),
      event: 'log',
      ...names,
      level: 'info',
      text,
    };
    await appendFirst(this.#parts.journal, record, this.isStrict);
  }

  complete(facts: CompletionFacts): void {
    for (const log of this.#heldErrors ?? []) {
      const isUsersFault = isFaultOfUser(facts, log.text);
      this.#parts.observe(isUsersFault ? { ...log, isUsersFault } : log);
    }
    this.#append(completionOf(facts));
    this.#parts.observe(endedOf(facts, this.#state !== 'counted'));
  }

  #append(record: AuditRecord): void {
    if (this.#state === 'counted') return;
    appendQuietly(this.#parts.journal, this.#parts.observe, record, this.isBrief);
  }
}
