// The commands that dovegate answers itself: `dovegate can`, `dovegate explain`, `dovegate dry-run`, `dovegate mailbox-report`, and those
// of access on request. This module records, counts and sends nothing. Clients read their own policy only. No backend and no auth service
// is contacted for an answer, so it costs as much as a refused command and does not reveal which users exist (a request for access asks
// both, and does not reveal their answers). A secret in a command is a secret in a question about it.

import { reportCommand, resolveOwnCommand } from '../../doveadm/commands/catalog.js';
import { parseArguments } from '../../doveadm/commands/parse.js';
import type { CanonicalWord } from '../../doveadm/meaning/canonical.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import { escapeText } from '../../doveadm/protocol/lines.js';
import { explanationOf, rowsOfExplanation } from '../../rules/answers/explanation.js';
import { explainQuestion, judgeOwn, readOwn, recordedWords } from '../../rules/answers/own-questions.js';
import { type AnswerRow, rightsOf, rowsOf, rowsOfRights } from '../../rules/answers/rights.js';
import { plainLine } from '../../rules/policy/assess.js';
import { isAllowed, type Judgement, type Subject, unparsable } from '../../rules/policy/judge.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { CountMails } from '../access/live-entry.js';
import type { OwnerReports } from '../access/owner-reports.js';
import { type AccessResult, invalid, refused } from '../access/result.js';
import type { Ending } from '../outcome/outcome.js';
import {
  accessWords,
  askerOf,
  budgetOf,
  carryOutAccess,
  isAccessCommand,
  type OwnBudget,
} from './access-commands.js';
import type { AssessedCommand } from './assessment.js';
import type { ExchangeContext, ExchangeSession } from './context.js';
import { lockableOf, lockedEnding } from './locked.js';
import { changedMeanwhile } from './recheck.js';

export interface OwnAssessment extends AssessedCommand {
  readonly budget: OwnBudget;
  /** Calls `admit`, then adds the answer's rows to the group of the session's writer. For an allowed question; never rejects. */
  readonly answer: (admit: () => Promise<void> | undefined) => Promise<Ending>;
}

/** Returns undefined for a command for a backend. */
export function assessOwnCommand(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
  count: CountMails,
): OwnAssessment | undefined {
  const own = readOwn(line);
  if (own === undefined) return undefined;
  const { subject } = session;
  const { read } = own;
  const budget = read.kind === 'parsed' ? budgetOf(context, session, read) : 'questions';
  const nowhere = { budget, destinations: [], aliases: [], isSettled: false };
  if (read.kind === 'parsed' && budget !== 'none') {
    // The panel asks for many owners, so each owner counts apart: one who reloads a page must not block the others.
    const owner = own.command.name === reportCommand ? ` ${read.values.get('user')?.[0] ?? ''}` : '';
    const retryAfterMs = context[budget].take(`${session.names.origin}${owner}`, context.clock.now());
    if (retryAfterMs !== undefined) {
      // Over its rate: nothing is looked up, and its words are not recorded.
      const obstacle: Ending = { kind: 'limited', limit: `60 ${budget} a minute`, retryAfterMs };
      const judgement = judgeOwn(subject, line, own, []);
      return { ...nowhere, judgement, obstacle, answer: () => Promise.resolve(obstacle) };
    }
  }
  if (read.kind === 'parsed' && isAccessCommand(own.command.name)) {
    const judgement = judgeOwn(subject, line, own, accessWords(context, session, read));
    const answer: OwnAssessment['answer'] = (admit) => {
      const carryOut = (): Promise<AccessResult> => carryOutAccess(context, session, read, count);
      // Ending access does not wait for a record, so it works on a full disk, too.
      const ended = budget === 'none' ? carryOut() : undefined;
      return answerOwn(session, ended === undefined ? subject : undefined, admit, async () => {
        // While it waited for its record, a lock may have come into force.
        const locked = ended === undefined ? lockedEnding(context, session, judgement, []) : undefined;
        if (locked !== undefined) return locked;
        const result = await (ended ?? carryOut());
        if (result.kind === 'refused') return { ...result, kind: 'access' };
        const { items, more = 0 } = result;
        const rows = [...items, ...(more > 0 ? [{ more }] : [])];
        return encodeRows(rows.map((row) => ['access', JSON.stringify(row)]));
      });
    };
    return { ...nowhere, judgement, obstacle: undefined, answer };
  }
  if (read.kind === 'parsed' && own.command.name === reportCommand) {
    const [user = ''] = read.values.get('user') ?? [];
    const judgement = judgeOwn(subject, line, own, [{ text: `--user=${user}`, isSecret: false }]);
    const reply = (): Buffer | Ending => {
      const made = makeReportToken(context, session, user);
      return 'kind' in made ? { ...made, kind: 'access' } : encodeRows([['report', JSON.stringify(made)]]);
    };
    const answer: OwnAssessment['answer'] = (admit) => answerOwn(session, subject, admit, reply);
    return { ...nowhere, judgement, obstacle: undefined, answer };
  }
  let words: readonly CanonicalWord[] = [];
  const { locks } = context.access;
  const lockedBy = (judged: Judgement | undefined, backends: readonly string[] = []): string | undefined => {
    if (locks.size === 0) return undefined;
    const to = backends.map((name) => ({ name }));
    const stop = locks.on(lockableOf(session, judged, to));
    const isSaid = judged === undefined || isAllowed(judged);
    return stop && (stop.isNamed || isSaid) ? locks.sentence(stop) : undefined;
  };
  let reply = (): Buffer => rightsFor(subject, lockedBy(undefined), locks.heldFor(subject.policy));
  if (read.kind === 'parsed' && read.values.has('command')) {
    const [user = ''] = read.values.get('user') ?? [];
    const asked = { ...plainLine(user, read.values.get('command') ?? []), fault: line.fault };
    const grants = context.access.grantsOf(askerOf(session));
    const holder = grants === undefined ? subject : { ...subject, grants };
    const explained = explainQuestion(context.router.table, holder, asked, context.clock.wallMs(), {
      reason: session.stated.reason,
      origin: session.names.origin,
    });
    words = recordedWords(asked, explained.judgement);
    reply = () => {
      const locked = lockedBy(explained.judgement, explained.backends);
      return encodeRows(rowsOfExplanation({ ...explanationOf(explained), locked }));
    };
  }
  return {
    ...nowhere,
    judgement: judgeOwn(subject, line, own, words),
    obstacle: undefined,
    answer: (admit) => answerOwn(session, subject, admit, reply),
  };
}

function makeReportToken(
  context: ExchangeContext,
  { names, proof, human }: ExchangeSession,
  written: string,
): ReturnType<OwnerReports['make']> {
  if (proof.kind !== 'key')
    return refused('access-denied', 'only a key with owner_reports: true may ask for the report of an owner');
  const user = context.router.table.userNames.normalise(written);
  if (user.kind === 'refused') return invalid(user.message);
  const { listener, peer, principal } = names;
  const { name, stamp } = proof;
  const key = { listener, name, stamp, address: peer.address, principal, human };
  return context.access.ownerReports.make(key, user.name);
}

/** The line inside `dovegate dry-run [-u USER] -- COMMAND [ARG...]`; undefined for another line, and one that cannot be parsed. */
export function dryRunLine(line: CommandLine): CommandLine | undefined {
  // Fast path: nearly no line is one of dovegate's own commands.
  if (line.fault !== undefined || line.words[0]?.startsWith('dovegate') !== true) return undefined;
  const own = readOwn(line);
  if (own?.command.name !== 'dovegate dry-run' || own.read.kind !== 'parsed' || line.user !== '')
    return undefined;
  const { values } = own.read;
  const [user = ''] = values.get('user') ?? [];
  return plainLine(user, values.get('command') ?? []);
}

const dryRun = resolveOwnCommand(['dovegate dry-run', '--', 'who']);

/** A dry run is recorded as a question, with the decision on the command in it: under the command's name it would read as if it had run. */
export function judgementOnDryRun(subject: Subject, asked: CommandLine, judgement: Judgement): Judgement {
  if (dryRun === undefined) throw new Error('dry-run is no command of ours');
  const { command, args } = dryRun;
  const read = parseArguments('2.4', command, args);
  const own = judgeOwn(
    subject,
    plainLine('', [command.name]),
    { command, read },
    recordedWords(asked, judgement),
  );
  if (judgement.kind === 'unparsable')
    return unparsable({ ...own, effect: command.effect }, judgement.code, judgement.message);
  return own.kind === 'judged' ? { ...own, decision: judgement.decision, shadow: judgement.shadow } : own;
}

interface DryRun {
  readonly subject: Subject;
  readonly line: CommandLine;
  readonly matches: number | undefined;
}

/**
 * Answers a dry run of an allowed command, which was counted as if it had been sent. `subject`: with its live grants; `matches`: the number
 * of mails that it would affect now. Never rejects.
 */
export function answerDryRun(
  context: ExchangeContext,
  session: ExchangeSession,
  { subject, line, matches }: DryRun,
  admit: () => Promise<void> | undefined,
): Promise<Ending> {
  const { stated, names } = session;
  const given = { reason: stated.reason, origin: names.origin };
  const explained = explainQuestion(context.router.table, subject, line, context.clock.wallMs(), given);
  return answerOwn(session, subject, admit, () =>
    encodeRows([...rowsOfExplanation(explanationOf(explained)), ...rowsOf('mails', matches?.toString())]),
  );
}

/** `subject`: its policy must still hold once the record is written; undefined: it need not. An ending in place of rows is returned. */
async function answerOwn(
  session: ExchangeSession,
  subject: Subject | undefined,
  admit: () => Promise<void> | undefined,
  reply: () => Buffer | Ending | Promise<Buffer | Ending>,
): Promise<Ending> {
  try {
    await admit();
    // While it waited for its record, the policy may have changed.
    if (subject !== undefined && session.now().policy !== subject.policy) return changedMeanwhile;
    const rows = await reply();
    if ('kind' in rows) return rows;
    session.writer.addBody(rows);
    return { kind: 'answered' };
  } catch (fault) {
    return { kind: 'fault', fault, isSent: false, backend: '' };
  }
}

function encodeRows(rows: readonly AnswerRow[]): Buffer {
  return Buffer.from(rows.flatMap((row) => row.map((cell) => `${escapeText(cell)}\t`)).join(''));
}

/** The answer of `can` for each policy. A policy may have thousands of rules, and clients can ask without end. */
const saidOfPolicies = new WeakMap<Policy, Buffer>();

function rightsFor(
  { policy, listener, principal }: Subject,
  locked: string | undefined,
  held: readonly string[],
): Buffer {
  const isOfAsker = ([what]: AnswerRow): boolean => what === 'listener' || what === 'principal';
  let said = saidOfPolicies.get(policy);
  if (said === undefined) {
    said = encodeRows(rowsOfRights(rightsOf(policy, listener, principal)).filter((row) => !isOfAsker(row)));
    saidOfPolicies.set(policy, said);
  }
  const asker: AnswerRow[] = [
    ['listener', listener],
    ['principal', principal],
    ...rowsOf('locked', locked),
    ...rowsOf('held', ...held),
  ];
  return Buffer.concat([encodeRows(asker), said]);
}
