// The two records of an exchange. It does not know how they are written.
// The rule: every exchange has one admission and one completion, also one that was refused.

import type {
  AuditRecord,
  RecordedInput,
  RecordedPart,
  RecordedPeer,
  Redacted,
} from '../../domain/audit/record.js';
import type { CanonicalWord } from '../../domain/commands/canonical.js';
import type { Peer } from '../../domain/identity/peer.js';
import { userNameMax } from '../../domain/identity/user-name.js';
import { usersTouchedBy } from '../../domain/policy/attempt.js';
import type { Judged, Judgement } from '../../domain/policy/judge.js';
import type { RulePlace } from '../../domain/policy/rule.js';
import type { LogLine } from '../../protocol/log-line.js';
import type { BackendLog, ExchangeEnded, ExchangeNames } from '../outcome/events.js';
import type { Verdict } from '../outcome/verdict.js';
import type { RelayCount } from '../relay/relay.js';

/** Who asks, and where; the same for all exchanges of a session. */
export interface SessionNames {
  readonly session: string;
  readonly listener: string;
  readonly peer: Peer;
  /** The same as it is recorded, where somebody has made it for all exchanges. */
  readonly recorded?: RecordedPeer;
  readonly principal: string;
}

const recordedPeers = new WeakMap<Peer, RecordedPeer>();

/** What the kernel and TLS told of a peer, under the key names of the records; the same object for the same peer. */
export function recordedPeer(peer: Peer): RecordedPeer {
  const known = recordedPeers.get(peer);
  if (known !== undefined) return known;
  const { uid, gid, pid, user, exe, unit, loginUid, address, certificate } = peer;
  const made = { uid, gid, pid, user, exe, unit, login_uid: loginUid, address, certificate };
  recordedPeers.set(peer, made);
  return made;
}

/** Where a rule was written, as text. */
export function formatPlace(place: RulePlace): string {
  return `${place.file}:${place.line}`;
}

/** What an admission is made of. */
export interface AdmissionFacts {
  readonly time: number;
  readonly names: SessionNames;
  readonly id: string;
  readonly policy: { readonly name: string; readonly version: string };
  /** Minor that the client announced. */
  readonly clientMinor: number;
  readonly judgement: Judgement;
  /** The backends that it would go to. */
  readonly backends: readonly string[];
  readonly reason: string | undefined;
  readonly redact: (value: string) => Redacted;
}

/** What of an admission follows from the judgement alone, in its words. */
export interface RecordedJudgement {
  readonly rule: string | undefined;
  readonly series: string | undefined;
  readonly decision: 'allow' | 'deny';
  readonly would: 'allow' | 'deny' | undefined;
  readonly mode: string | undefined;
  readonly args: AuditRecord['args'];
  readonly effect: string | undefined;
  readonly text: string | undefined;
  readonly users: readonly string[];
}

/** The judgement in the words of the records. */
export function recordedJudgement(
  judgement: Judgement,
  redact: (value: string) => Redacted,
): RecordedJudgement {
  if (judgement.kind === 'unparsable') {
    const { effect, message: text, user } = judgement;
    const unknown = { rule: undefined, series: undefined, would: undefined, mode: undefined };
    // Arguments that could not be read have no parameters, so nobody can tell which of them is a secret.
    const users = user === '' ? [] : [user];
    return { ...unknown, decision: 'deny', args: undefined, effect, text, users };
  }
  const { decision, shadow } = judgement;
  return {
    rule: decision.rule === undefined ? undefined : formatPlace(decision.rule),
    series: judgement.series.length > 0 ? judgement.series.join(' ') : undefined,
    decision: decision.kind,
    would: (decision.would ?? shadow)?.kind,
    mode: decision.would !== undefined ? 'observe' : shadow !== undefined ? 'shadow' : undefined,
    args: recordedWords(judgement.args, redact),
    effect: judgement.attempt.effect,
    text: sayWhy(judgement),
    users: usersTouchedBy(judgement.attempt),
  };
}

/** Secret words with a digest of their own: what a record can show of them, and more. */
const digestsMax = 128;

/** From the 129th secret word of a line on, each has the digest of all the rest, joined by NUL: a line of 4,000 would take 10 ms. */
function recordedWords(
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

/** The record that is on disk before anything is sent; `recorded`, where it was made before. */
export function admissionOf(
  facts: AdmissionFacts,
  recorded: RecordedJudgement = recordedJudgement(facts.judgement, facts.redact),
): AuditRecord {
  const { names, judgement, policy, backends } = facts;
  return {
    time: facts.time,
    event: 'admission',
    session: names.session,
    id: facts.id,
    listener: names.listener,
    peer: names.recorded ?? recordedPeer(names.peer),
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
    backend: backends.length === 1 ? backends[0] : undefined,
    backends: backends.length > 1 ? backends : undefined,
    text: recorded.text,
    client: facts.clientMinor,
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
  /** False: it is one of a flood, and only counted. */
  readonly isTold: boolean;
  readonly time: number;
  readonly names: SessionNames;
  readonly id: string;
  readonly judgement: Judgement;
  readonly backend: string | undefined;
  readonly upstream: string | undefined;
  /** Where more than one way was taken: each of them. */
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

/** The record of how it ended. */
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
    logs: count?.hasLogs === true ? Object.fromEntries(count.logs) : undefined,
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

/** The line as observers are told of it. */
export function backendLogOf(facts: LogFacts): BackendLog {
  const { backend, id: upstream } = facts.upstream;
  const { type } = facts.line;
  const text = withoutSecrets(facts);
  const exchange = exchangeNamesOf(facts.names, facts.id, facts.judgement);
  return { kind: 'backend-log', backend, upstream, exchange, type, text };
}

/** The line as a record. */
export function logRecordOf(facts: LogFacts, time: number): AuditRecord {
  const { backend, id: upstream } = facts.upstream;
  const { session, listener } = facts.names;
  const { type: level } = facts.line;
  const text = withoutSecrets(facts);
  return { time, event: 'log', session, id: facts.id, listener, backend, upstream, level, text };
}

/** That a backend referred to another, which its admission does not name. */
export function referralRecordOf(
  { session, listener }: SessionNames,
  id: string,
  from: string,
  backend: string,
  time: number,
): AuditRecord {
  const text = `referred by ${from}: the command goes to ${backend} next`;
  return { time, event: 'log', session, id, listener, backend, level: 'info', text };
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

/** What observers are told of the same end. */
export function endedOf(facts: CompletionFacts): ExchangeEnded {
  const { backend, upstream, verdict, status, judgement, bytesOut, waitMs, durationMs } = facts;
  return {
    kind: 'exchange-ended',
    isTold: facts.isTold,
    exchange: exchangeNamesOf(facts.names, facts.id, judgement),
    backend,
    upstream,
    decision: judgement.kind === 'judged' ? judgement.decision.kind : 'deny',
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
