// The commands that are answered here and by no backend: `dovegate can` and `dovegate explain`. What they say is made in judgement/;
// this file knows who asks, what holds for him, and where a command would go. It records, counts and sends nothing.
// The rules: whoever asks hears of his own policy only; nobody else is asked for an answer, neither a backend nor Dovecot's
// auth service, so that it costs what a refused command costs and tells nothing of users that exist; what would be a secret in the
// record of a command is one in the record of the question about it.

import type { Command } from '../../domain/commands/catalog.js';
import { doubtedNames, namesAmong } from '../../domain/commands/mailbox-names.js';
import { type ParsedArguments, parseArguments, type Unparsable } from '../../domain/commands/parse.js';
import { resolveOwnCommand } from '../../domain/commands/resolve.js';
import type { AnswerRow } from '../../domain/policy/answer.js';
import { type Explained, explanationOf, rowsOfExplanation } from '../../domain/policy/explanation.js';
import {
  type CanonicalWord,
  isAllowed,
  isServerCommand,
  type Judged,
  type Judgement,
  unparsable,
} from '../../domain/policy/judge-line.js';
import { rightsOf, rowsOfRights } from '../../domain/policy/rights.js';
import { jointNamespaces } from '../../domain/policy/route.js';
import type { Policy } from '../../domain/policy/rule.js';
import type { CommandLine } from '../../protocol/command.js';
import { escapeText } from '../../protocol/escape.js';
import type { Ending } from '../outcome/outcome.js';
import type { ExchangeContext, ExchangeSession, Inquiry } from './exchange-context.js';
import type { SessionNames } from './exchange-records.js';
import { judgeAs, judgeFor, mayNameUser, seriesOf } from './inquiry.js';
import { noAllUsersReason } from './refusal.js';
import type { Destination } from './router.js';
import { changedMeanwhile } from './second-look.js';

/** Of a command of our own. */
export interface OwnInquiry extends Inquiry {
  /** Has it recorded, then adds the answer's rows to the group of the session's writer. For one that is allowed; never rejects. */
  readonly answer: (admit: () => Promise<void> | undefined) => Promise<Ending>;
}

interface OwnLine {
  readonly command: Command;
  readonly read: ParsedArguments | Unparsable;
}

/** What is asked of us; undefined: it is a command for a backend. Nothing is waited for. */
export function inquireOfUs(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
): OwnInquiry | undefined {
  const own = readOwn(line);
  if (own === undefined) return undefined;
  const { names, policy } = session;
  const { read } = own;
  if (read.kind === 'parsed') {
    const retryAfterMs = context.questions.take(names.principal, context.clock.now());
    if (retryAfterMs !== undefined) return notNow(judgeOwn(session, line, own, []), retryAfterMs);
  }
  let words: readonly CanonicalWord[] = [];
  let reply = (): Buffer => rightsFor(policy, names);
  if (read.kind === 'parsed' && read.values.has('command')) {
    const asked = lineOf(line, read);
    const explained = explain(context, session, asked);
    words = recordedWords(asked, explained.judgement);
    reply = () => encodeRows(rowsOfExplanation(explanationOf(explained)));
  }
  return {
    judgement: judgeOwn(session, line, own, words),
    destinations: [],
    obstacle: undefined,
    aliases: [],
    isSettled: false,
    async answer(admit) {
      try {
        await admit();
      } catch (fault) {
        return { kind: 'fault', fault, isSent: false, backend: '' };
      }
      // It waited for its record, and may speak of what holds no more.
      if (session.now().policy !== policy) return changedMeanwhile;
      session.writer.addBody(reply());
      return { kind: 'answered' };
    },
  };
}

/** Over the rate of questions: nothing is looked up and nothing of the question is recorded. */
function notNow(judgement: Judgement, retryAfterMs: number): OwnInquiry {
  const ending: Ending = { kind: 'limited', policy: undefined, retryAfterMs };
  const nothing = { destinations: [], aliases: [], isSettled: false };
  return { ...nothing, judgement, obstacle: ending, answer: () => Promise.resolve(ending) };
}

function encodeRows(rows: readonly AnswerRow[]): Buffer {
  return Buffer.from(rows.flatMap((row) => row.map((cell) => `${escapeText(cell)}\t`)).join(''));
}

/** What a policy says to everybody. It may have thousands of rules, and whoever asks can ask without end. */
const saidOfPolicies = new WeakMap<Policy, Buffer>();

function rightsFor(policy: Policy, { listener, principal }: SessionNames): Buffer {
  const isOfAsker = ([what]: AnswerRow): boolean => what === 'listener' || what === 'principal';
  let said = saidOfPolicies.get(policy);
  if (said === undefined) {
    said = encodeRows(rowsOfRights(rightsOf(policy, listener, principal)).filter((row) => !isOfAsker(row)));
    saidOfPolicies.set(policy, said);
  }
  const asker: AnswerRow[] = [
    ['listener', listener],
    ['principal', principal],
  ];
  return Buffer.concat([encodeRows(asker), said]);
}

function readOwn({ words }: CommandLine): OwnLine | undefined {
  const found = resolveOwnCommand(words);
  // Its arguments mean the same in every series.
  return found && { command: found.command, read: parseArguments('2.4', found.command, found.args) };
}

/** The line that is asked about. */
function lineOf(line: CommandLine, read: ParsedArguments): CommandLine {
  return {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    hasForward: false,
    user: read.values.get('user')?.[0] ?? '',
    words: [...(read.values.get('command') ?? [])],
    isUtf8: line.isUtf8,
  };
}

/** Everybody who is served may ask what he may. */
function judgeOwn(
  { names }: ExchangeSession,
  line: CommandLine,
  { command, read }: OwnLine,
  args: readonly CanonicalWord[],
): Judgement {
  const known = { command: command.name, effect: command.effect, user: '', input: 'none' } as const;
  if (!line.isUtf8) return unparsable(known, 'text-invalid', 'the line is not UTF-8');
  if (read.kind === 'unparsable') return unparsable(known, read.code, read.message);
  if (line.user !== '')
    return unparsable(known, 'user-surplus', `"${command.name}" is for who asks; -u names a user`);
  return {
    ...known,
    kind: 'judged',
    decision: { kind: 'allow', code: 'allowed', reason: 'everybody may ask what he may' },
    attempt: {
      listener: names.listener,
      principal: names.principal,
      series: read.series,
      command,
      parsed: read,
      effect: command.effect,
      user: undefined,
      users: [],
      aliases: [],
      masks: [],
      named: 0,
      isCrowd: false,
      everybody: 'none',
      shared: undefined,
      isSharedUnsaid: false,
      mailboxNames: doubtedNames,
      content: [],
      mustBeNamed: [],
      never: [],
    },
    series: [],
    args,
    wantsUsernameCell: false,
    shadow: undefined,
    holdsUntilMs: undefined,
  };
}

/** Of a question that could not be read only the command's name is known, as in every record. */
function recordedWords(asked: CommandLine, judgement: Judgement): CanonicalWord[] {
  const around = (...texts: string[]): CanonicalWord[] => texts.map((text) => ({ text, isSecret: false }));
  const user = judgement.user === '' ? [] : around('-u', judgement.user);
  const name = judgement.command === undefined ? [] : around(judgement.command);
  const args = judgement.kind === 'judged' && asked.isUtf8 ? judgement.args : [];
  return [...user, ...around('--'), ...name, ...args];
}

/** As the daemon would judge it for this session, as far as nobody is asked. */
function explain(context: ExchangeContext, session: ExchangeSession, line: CommandLine): Explained {
  const { policy, names } = session;
  const around = { policy, principal: names.principal };
  const own = readOwn(line);
  if (own !== undefined) {
    // What it asks in turn is not looked at, however deep it goes.
    const judgement = judgeOwn(session, line, own, []);
    return { ...around, judgement, backends: [], noBackend: 'dovegate answers it', readings: [], later: [] };
  }
  const { judgement, destinations, noBackend } = foresee(context, session, line);
  const backends = destinations.map(({ pool }) => pool.backend);
  const namespaces = jointNamespaces(destinations.map((each) => each.sharedNamespaces));
  const mailboxNames = namesAmong(destinations);
  const series = seriesOf(destinations);
  // Where there is one, its judgement is the one that was made.
  const readings = series.map((one) => ({
    series: one,
    judgement:
      series.length === 1 ? judgement : judgeAs(context, session, line, [one], namespaces, [], mailboxNames),
  }));
  const later = isAllowed(judgement) ? askedLater(context, line, judgement, destinations) : [];
  return {
    ...around,
    judgement,
    backends: noBackend === undefined ? backends : [],
    noBackend,
    readings,
    later,
  };
}

interface Foreseen {
  readonly judgement: Judgement;
  readonly destinations: readonly Destination[];
  readonly noBackend: string | undefined;
}

function foresee(context: ExchangeContext, session: ExchangeSession, line: CommandLine): Foreseen {
  const { router } = context;
  const isServer = isServerCommand(line);
  const routed = isServer
    ? router.all
    : line.user === ''
      ? router.everywhere
      : ofUser(context, session, line);
  const judgement = judgeFor(context, session, line, routed, []);
  const nowhere = (noBackend: string): Foreseen => ({ judgement, destinations: routed, noBackend });
  if (judgement.kind === 'judged' && judgement.attempt.everybody === 'option') {
    const again = judgeFor(context, session, line, router.everywhere, []);
    const isOld = isAllowed(again) && again.series.includes('2.3');
    const noBackend = isOld ? noAllUsersReason : undefined;
    return { judgement: again, destinations: router.everywhere, noBackend };
  }
  if (judgement.kind === 'judged' && isServer) {
    const found = router.foreseeServerCommand(judgement.attempt);
    if (found.kind === 'nowhere') return nowhere(found.message);
    return { judgement, destinations: found.destinations, noBackend: undefined };
  }
  if (routed.length === 0) return nowhere(whyNowhere(context, session, line));
  return { judgement, destinations: routed, noBackend: undefined };
}

function ofUser(
  context: ExchangeContext,
  { policy }: ExchangeSession,
  line: CommandLine,
): readonly Destination[] {
  const user = context.userNames.normalise(line.user);
  if (user.kind === 'refused' || !mayNameUser(policy, user.name)) return [];
  return context.router.foreseeUser(user.name);
}

function whyNowhere(context: ExchangeContext, { policy }: ExchangeSession, line: CommandLine): string {
  const user = context.userNames.normalise(line.user);
  if (user.kind === 'refused') return user.message;
  return mayNameUser(policy, user.name)
    ? 'no route matches this user'
    : 'told to those only who may name this user';
}

function askedLater(
  { resolver }: ExchangeContext,
  line: CommandLine,
  { attempt }: Judged,
  destinations: readonly Destination[],
): string[] {
  const isUsers = attempt.command.scope === 'user' && line.user !== '';
  return [
    ...(isUsers && destinations.length > 1
      ? ['which of these backends: the passdb is asked when it comes']
      : []),
    ...(resolver !== undefined && attempt.users.length > 0
      ? ['who its users are: the userdb is asked when it comes, and what it says is judged too']
      : []),
  ];
}
