// From a command line to a judgement: whose mailbox, which command, the meaning of its arguments in the series of its destination, the
// policy's decision, and whether this version can carry it out. Pure. The judged command is the sent one (users in normal form, canonical
// arguments). Judged for several series, each must parse the line the same way and allow it. A line that cannot be parsed exactly as by the
// server is refused.

import { LRUCache } from 'lru-cache';
import {
  allSeries,
  type ResolvedCommand,
  resolveCommand,
  type Series,
  strongerEffect,
  whyLocal,
} from '../../doveadm/commands/catalog.js';
import type { Unparsable, UnparsableCode } from '../../doveadm/commands/getopt.js';
import { errorTypeOf, hasFile, keyOfNamed } from '../../doveadm/commands/named.js';
import { inputOf, type ParsedArguments, parseArguments, parseNamed } from '../../doveadm/commands/parse.js';
import { conditionsIn } from '../../doveadm/commands/search-query.js';
import { type CanonicalWord, canonicalWords } from '../../doveadm/meaning/canonical.js';
import { hasJsonForm, replyRows } from '../../doveadm/meaning/columns.js';
import { reconcileUserOptions } from '../../doveadm/meaning/reach.js';
import { doubtedNames, rememberNames } from '../../doveadm/names/mailbox-names.js';
import type { UserNameResult } from '../../doveadm/names/user-name.js';
import type { CommandLine, LineFault } from '../../doveadm/protocol/command.js';
import { bounds } from '../../host/bounds/bounds.js';
import { foldAscii } from '../../host/words/text.js';
import { type Attempt, type AttemptContext, attemptOf, readsContent } from './attempt.js';

import { type Decision, decide } from './decide.js';
import { type GrantsAtHand, hasGrants, mayBeOfGrant } from './grant.js';
import type { Policy } from './policy.js';
import { lesser, stricterTerms } from './terms.js';

/** Whether bytes that are not command lines follow a refused command. */
export type FollowingInput = 'none' | 'dot' | 'unknown';

export interface Known {
  readonly command: string | undefined;
  readonly effect: string | undefined;
  /** In normal form; as the client wrote it if it has none. */
  readonly user: string;
  readonly written?: string | undefined;
  readonly input: FollowingInput;
}

export interface Judged extends Known {
  readonly kind: 'judged';
  readonly decision: Decision;
  readonly attempt: Attempt;
  /** The series that it was judged for; empty: one of dovegate's own commands, which mean the same in all. */
  readonly series: readonly Series[];
  readonly args: readonly CanonicalWord[];
  /** The client expects the user's name in front of each row, which the backend will not send. */
  readonly wantsUsernameCell: boolean;
  /** Why it cannot be carried out, even if policy allows it; undefined: the line itself has no obstacle. */
  readonly unable: Inability | undefined;
  /** The decision of the candidate beside the policy; undefined: there is none. */
  readonly shadow: Decision | undefined;
  /** The judgement of the same line is valid until then, in Unix milliseconds; undefined: for the life of its policy. */
  readonly holdsUntilMs: number | undefined;
}

/** Why an allowed command cannot be carried out by this version; the code is never renamed. */
export interface Inability {
  readonly kind: 'unparsable';
  readonly code: 'input-for-all' | 'cells-unknown' | 'not-over-http' | 'too-many';
  readonly reason: string;
}

export type UnjudgeableCode =
  | UnparsableCode
  | 'command-unknown'
  | 'series-differ'
  | 'backends-differ'
  | 'user-surplus';

export type Judgement =
  | (Known & { readonly kind: 'unparsable'; readonly code: UnjudgeableCode; readonly message: string })
  | Judged;

export function unparsable(known: Known, code: UnjudgeableCode, message: string): Judgement {
  return { ...known, kind: 'unparsable', code, message };
}

export function faultyLine(known: Known, fault: LineFault): Judgement {
  return fault === 'not-utf8'
    ? unparsable(known, 'text-invalid', 'the line is not UTF-8')
    : unparsable(
        known,
        'too-many',
        `the line has more than ${bounds.commandFields} fields; use several commands`,
      );
}

export interface Subject {
  readonly listener: string;
  readonly principal: string;
  /** Minor of the protocol that the client announced: `-A` and a wildcard `-u` mean other things to a client of Dovecot 2.3. */
  readonly clientMinor: number;
  readonly policy: Policy;
  readonly grants?: GrantsAtHand | undefined;
}

export interface JudgeContext extends Subject, AttemptContext {
  readonly policy: Policy;
  readonly nowMs: number;
}

interface CacheBounds<Answer> {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** The memory of an entry, its key included; rather too much than too little. */
  readonly bytesOf: (key: string, answer: Answer) => number;
}

/** Longest key that is kept, in UTF-16 units. Stops long lines from pushing out everything else. */
const keyMax = 1024;

/** Answers by key, each until its time (Unix ms; undefined: for the life of its policy). The least recently used are dropped first. */
export class AnswerCache<Answer extends { readonly holdsUntilMs?: number | undefined }> {
  readonly #answers: LRUCache<string, Answer>;
  readonly #bytesOf: CacheBounds<Answer>['bytesOf'];

  constructor({ entriesMax, bytesMax, bytesOf }: CacheBounds<Answer>) {
    this.#answers = new LRUCache({ max: entriesMax, maxSize: bytesMax });
    this.#bytesOf = bytesOf;
  }

  find(key: string, nowMs: number): Answer | undefined {
    // Longer keys are never stored, and a look-up would have to hash them.
    if (key.length > keyMax) return undefined;
    const answer = this.#answers.get(key);
    if (answer?.holdsUntilMs === undefined || nowMs < answer.holdsUntilMs) return answer;
    this.#answers.delete(key);
    return undefined;
  }

  keep(key: string, answer: Answer): void {
    if (key.length > keyMax) return;
    this.#answers.set(key, answer, { size: Math.ceil(this.#bytesOf(key, answer)) });
  }

  clear(): void {
    this.#answers.clear();
  }

  get size(): number {
    return this.#answers.size;
  }

  get bytes(): number {
    return this.#answers.calculatedSize;
  }
}

/** Cached judgements for one set of settings: the key does not contain the realms and characters of user names. */
export type JudgementCache = Pick<AnswerCache<Judged>, keyof AnswerCache<Judged>>;

/**
 * The memory of a cached judgement, in bytes, as measured on Node 20 for lines of each form (1.9 KiB for "quota get", 17 to 21 KiB for 480
 * bytes of short words or search keys), plus a quarter.
 */
export function judgedBytes(key: string, { args, attempt }: Judged): number {
  const { query } = attempt.parsed;
  const conditions = query === undefined ? 0 : conditionsIn(query).length;
  return 2_000 + key.length * 4 + args.length * 85 + conditions * 140;
}

/** As {@link judge}, with a cache. Lines with secrets are not cached, nor results of look-ups or of grants. */
export function judgeOnce(
  line: CommandLine,
  series: readonly Series[],
  context: JudgeContext,
  cache: JudgementCache,
): Judgement {
  // Lines with so many words are not cached, and their key costs as much as a judgement.
  const isLong = line.words.length > rememberedWordsMax || (line.named?.length ?? 0) > rememberedWordsMax;
  if (context.aliases !== undefined || line.fault !== undefined || isLong)
    return judge(line, series, context);
  const key = judgementKey(line, series, context);
  const known = cache.find(key, context.nowMs);
  if (known !== undefined && !mayBeLifted(known, context)) return known;
  const judgement = judge(line, series, context);
  if (judgement.kind !== 'judged' || judgement.args.some((word) => word.isSecret)) return judgement;
  const isGranted = judgement.decision.grant !== undefined || judgement.shadow?.grant !== undefined;
  if (!isGranted && !mayBeLifted(judgement, context)) cache.keep(key, judgement);
  return judgement;
}

/** Whether a grant could lift this denial. A rule that allows a line comes before every grant. */
function mayBeLifted({ decision, attempt, series }: Judged, { grants, policy }: JudgeContext): boolean {
  if (!hasGrants(grants) || decision.kind !== 'deny' || decision.onRequest === undefined) return false;
  // Each series may have users of its own.
  return series.length > 1 || mayBeOfGrant(policy, attempt, grants);
}

const rememberedWordsMax = 512;
/** Not a prefix of a namespace: distinguishes "not declared" from "none". */
const unsaid = '\x02';
/** The part of a policy's version that goes into a key: 80 bits. */
const versionShown = 20;

/** Everything that a judgement depends on besides the time and grants. No text contains a NUL: the protocol refuses them. */
export function judgementKey(
  { user, words, named }: Pick<CommandLine, 'user' | 'words' | 'named'>,
  series: readonly Series[],
  context: Omit<JudgeContext, 'userNames' | 'nowMs' | 'aliases' | 'grants'>,
): string {
  const { policy, listener, principal, clientMinor, sharedNamespaces, mailboxNames = doubtedNames } = context;
  const shared = sharedNamespaces === undefined ? unsaid : sharedNamespaces.join('\x01');
  const namespaces = `${shared}\x04${mailboxNames.key}`;
  const who = `${policy.version.slice(0, versionShown)}\0${listener}\0${principal}\0${clientMinor}`;
  const form = named === undefined ? '' : ' named';
  const what = named === undefined ? words.join('\0') : `${words.join('\0')}${keyOfNamed(named)}`;
  return `${who}\0${series.join(' ')}${form}\0${namespaces}\0${user}\0${what}`;
}

/** Judges a command line for all of `series`, at least one. */
export function judge(line: CommandLine, series: readonly Series[], context: JudgeContext): Judgement {
  const mailboxNames = rememberNames(context.mailboxNames ?? doubtedNames);
  const judgement = judgeAll(line, series, { ...context, mailboxNames });
  // The judgement itself may be cached for long.
  mailboxNames.forget();
  return judgement;
}

function judgeAll(line: CommandLine, series: readonly Series[], context: JudgeContext): Judgement {
  const { policy, nowMs, grants, userNames } = context;
  const resolved = series.map((one) => resolveCommand(one, line.words, policy.added));
  const name = userNames.normalise(line.user);
  const known = knownOf(line, series, resolved, name);
  if (line.fault !== undefined) return faultyLine(known, line.fault);
  let worst: Judged | undefined;
  let candidate: Decision | undefined;
  let holdsUntilMs: number | undefined;
  for (const [at, one] of series.entries()) {
    const read = readLine(line, one, resolved[at], name, context);
    if (read.kind === 'unparsable') return unparsable(known, read.code, read.message);
    const { attempt, wantsUsernameCell } = read;
    const decision = decide(policy, attempt, nowMs, grants);
    holdsUntilMs = lesser(holdsUntilMs, decision.holdsUntilMs);
    if (policy.shadow !== undefined) {
      // Grants count for the candidate too: a rule that both policies have keeps its grants.
      const beside = decide(policy.shadow, attempt, nowMs, grants);
      candidate = candidate === undefined ? beside : stricterDecision(candidate, beside);
      holdsUntilMs = lesser(holdsUntilMs, beside.holdsUntilMs);
    }
    const args = canonicalWords(attempt.parsed);
    const judged: Judged = {
      ...known,
      kind: 'judged',
      user: attempt.user ?? known.user,
      decision,
      attempt,
      series,
      args,
      wantsUsernameCell,
      unable: inabilityOf(attempt, args, wantsUsernameCell, line.named !== undefined),
      shadow: undefined,
      holdsUntilMs: undefined,
    };
    const both: Judged | undefined = worst === undefined ? judged : stricterOf(worst, judged);
    if (both === undefined) return unparsable(known, 'series-differ', seriesDiffer);
    worst = both;
  }
  if (worst === undefined) throw new Error('judged for no series');
  return { ...worst, shadow: candidate, holdsUntilMs };
}

const seriesDiffer =
  'Dovecot 2.3 and 2.4 read it differently, and which one the backend is, is not known yet';

type LineRead =
  | { readonly kind: 'read'; readonly attempt: Attempt; readonly wantsUsernameCell: boolean }
  | { readonly kind: 'unparsable'; readonly code: UnjudgeableCode; readonly message: string };

function readLine(
  line: CommandLine,
  series: Series,
  resolved: ResolvedCommand | undefined,
  name: UserNameResult,
  context: JudgeContext,
): LineRead {
  if (resolved === undefined) {
    const message = whyLocal(line.words) ?? `Dovecot ${series} has no such command`;
    return { kind: 'unparsable', code: 'command-unknown', message };
  }
  const parsed =
    line.named === undefined
      ? parseArguments(series, resolved.command, resolved.args)
      : parseNamed(series, resolved.command, line.named);
  const { userNames, clientMinor } = context;
  // A name may be as long as the line, so its length is checked before anything compares it.
  const wire = line.user === '' ? undefined : name;
  // Over HTTP a server looks up the user before it parses the values of a command.
  if (wire?.kind === 'refused' && line.named !== undefined && !isBadRequest(parsed))
    return { kind: 'unparsable', code: 'user-unknown', message: wire.message };
  if (parsed.kind === 'unparsable') return parsed;
  if (wire?.kind === 'refused') return { kind: 'unparsable', code: 'user-invalid', message: wire.message };
  const settled = reconcileUserOptions(parsed, line.user, clientMinor, (user) => {
    const result = userNames.normalise(user);
    return result.kind === 'name' ? result.name : user;
  });
  if (settled.kind === 'unparsable') return settled;
  const result = attemptOf(settled.parsed, wire?.name, context);
  if (result.kind === 'unparsable') return result;
  return { kind: 'read', attempt: result.attempt, wantsUsernameCell: settled.wantsUsernameCell };
}

function isBadRequest(parsed: ParsedArguments | Unparsable): boolean {
  return parsed.kind === 'unparsable' && errorTypeOf(parsed.code) === 'invalidRequest';
}

/**
 * The judgement if either of two series may be the backend's: a denial of one, or else the terms of both rules, the stronger effect, and
 * the secrets of both. Undefined: the series differ in the words, the users or the grant.
 */
function stricterOf(one: Judged, other: Judged): Judged | undefined {
  if (!isSame(one.args, other.args)) return undefined;
  const decision = stricterDecision(one.decision, other.decision);
  if (one.decision.kind === 'deny') return { ...one, decision };
  if (other.decision.kind === 'deny') return { ...other, decision };
  if (one.wantsUsernameCell !== other.wantsUsernameCell || !areSamePeople(one.attempt, other.attempt)) {
    return undefined;
  }
  if (!mayShareGrant(one.decision, other.decision)) return undefined;
  const base = isBase(one.decision, other.decision) ? one : other;
  const second = base === one ? other : one;
  const args = base.args.map((word, at) =>
    second.args[at]?.isSecret === true ? { ...word, isSecret: true } : word,
  );
  const effect = strongerEffect(base.attempt.effect, second.attempt.effect);
  const content = base.attempt.content.length === 0 ? second.attempt.content : base.attempt.content;
  const attempt = { ...base.attempt, effect, content };
  return { ...base, args, attempt, unable: base.unable ?? second.unable, decision };
}

/** The base is the observed decision, so that the record names its denial; else the one with a grant, so that the grant is used. */
function isBase(one: Decision, other: Decision): boolean {
  const isOther = one.code !== 'observed' && other.code === 'observed';
  return !isOther && (one.grant !== undefined || other.grant === undefined);
}

/** The stricter of two decisions that may both apply: a denial, or else the terms of both. */
export function stricterDecision(one: Decision, other: Decision): Decision {
  if (one.kind === 'deny') return denialOf(one, other);
  if (other.kind === 'deny') return denialOf(other, one);
  const [base, second] = isBase(one, other) ? [one, other] : [other, one];
  const [terms, others] = [base.obligations, second.obligations];
  const obligations =
    terms === undefined || others === undefined ? (terms ?? others) : stricterTerms(terms, others);
  const isObserved = one.would !== undefined || other.would !== undefined;
  return {
    ...base,
    ...(obligations === undefined ? {} : { obligations }),
    ...(isObserved ? { would: stricterDecision(one.would ?? one, other.would ?? other) } : {}),
  };
}

/** The denial for both. It is available on request only if one grant would be enough for both. */
function denialOf(denied: Decision, other: Decision): Decision {
  const { onRequest, ...rest } = denied;
  const isLifted = other.kind === 'allow' || other.onRequest?.hash === onRequest?.hash;
  return onRequest === undefined || isLifted ? denied : rest;
}

function mayShareGrant(one: Decision, other: Decision): boolean {
  if (one.grant === undefined || other.grant === undefined) return true;
  return one.grant === other.grant && one.rule === other.rule;
}

function areSamePeople(one: Attempt, other: Attempt): boolean {
  const peopleOf = ({ users, masks, everybody }: Attempt): string =>
    [everybody, ...users, ...masks.map(({ value }) => `mask ${value}`)].join('\0');
  return one.command.scope === other.command.scope && peopleOf(one) === peopleOf(other);
}

export function isAllowed(judgement: Judgement): judgement is Judged {
  return judgement.kind === 'judged' && judgement.decision.kind === 'allow';
}

/** Whether the words name a command that ignores the user field, in either series. */
export function isServerCommand(line: CommandLine, { added }: Pick<Policy, 'added'>): boolean {
  return allSeries.some((one) => resolveCommand(one, line.words, added)?.command.scope === 'server');
}

export function isSame(one: readonly CanonicalWord[], other: readonly CanonicalWord[]): boolean {
  return one.length === other.length && one.every((word, at) => word.text === other[at]?.text);
}

const contentKib = bounds.contentArgumentBytes / 1024;

function inabilityOf(
  attempt: Attempt,
  args: readonly CanonicalWord[],
  wantsUsernameCell: boolean,
  isByName: boolean,
): Inability | undefined {
  const { command, parsed } = attempt;
  if (readsContent(attempt) && bytesOfWords(args) > bounds.contentArgumentBytes) {
    const reason = `"${command.name}" reads content and has more than ${contentKib} KiB of arguments; use several commands`;
    return { kind: 'unparsable', code: 'too-many', reason };
  }
  if (isByName && !hasJsonForm(parsed)) {
    const reason = `the columns of "${command.name}" are not known, and rows have names there`;
    return { kind: 'unparsable', code: 'not-over-http', reason };
  }
  if (command.input !== 'none' && attempt.everybody !== 'none') {
    const reason = `"${command.name}" takes input, which goes to one user's backend only`;
    return { kind: 'unparsable', code: 'input-for-all', reason };
  }
  if (wantsUsernameCell && replyRows(parsed) === undefined) {
    const reason = `nobody knows how many cells a row of "${command.name}" has, and the client wants the user in front of each`;
    return { kind: 'unparsable', code: 'cells-unknown', reason };
  }
  return undefined;
}

function bytesOfWords(args: readonly CanonicalWord[]): number {
  return args.reduce((bytes, { text }) => bytes + Buffer.byteLength(text) + 1, 0);
}

function knownOf(
  line: CommandLine,
  series: readonly Series[],
  resolved: readonly (ResolvedCommand | undefined)[],
  name: UserNameResult,
): Known {
  const first = resolved.find((one) => one !== undefined)?.command;
  return {
    command: first?.name,
    effect: first?.effect,
    user: name.kind === 'name' ? name.name : line.user,
    written: name.kind === 'name' && name.name !== line.user ? line.user : undefined,
    input: followingInput(line, series),
  };
}

export function followingInput(line: CommandLine, series: readonly Series[]): FollowingInput {
  // A request was read to its end: no input can follow.
  if (line.named !== undefined) {
    const takesFile = series.some((one) => resolveCommand(one, line.words)?.command.input === 'dot');
    return takesFile && hasFile(line.named) ? 'dot' : 'none';
  }
  let following: FollowingInput = 'none';
  for (const one of series) {
    const found = resolveCommand(one, line.words);
    if (found === undefined) {
      // In another case, or with extra blanks, it is not a command, but the client may still send the command's input.
      const meant = resolveCommand(one, firstWords(line));
      if (meant !== undefined && meant.command.input !== 'none') return 'unknown';
      continue;
    }
    if (found.command.input === 'none') continue;
    // Whether a file is named is not known where arguments are missing.
    if (line.fault === 'too-many-fields') return 'unknown';
    const kind = inputOf(found.command, parseArguments(one, found.command, found.args));
    if (kind === 'dot') following = 'dot';
    else if (kind !== 'none') return 'unknown';
  }
  return following;
}

const nameWordsMax = 8;

function firstWords({ words }: CommandLine): string[] {
  const found: string[] = [];
  for (const word of words) {
    for (const [part] of word.matchAll(/[^ ]+/g)) {
      found.push(foldAscii(part));
      if (found.length === nameWordsMax) return found;
    }
  }
  return found;
}
