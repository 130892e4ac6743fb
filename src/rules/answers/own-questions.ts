// Questions of clients to dovegate itself, read and judged: `dovegate can`, `dovegate explain` and `dovegate dry-run`. Pure. No backend and
// no auth service is contacted for an answer. A secret in a command is a secret in a question about it.

import { type Command, resolveOwnCommand } from '../../doveadm/commands/catalog.js';
import type { Unparsable } from '../../doveadm/commands/getopt.js';
import { type ParsedArguments, parseArguments } from '../../doveadm/commands/parse.js';
import type { CanonicalWord } from '../../doveadm/meaning/canonical.js';
import { doubtedNames } from '../../doveadm/names/mailbox-names.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import { faultyLine, type Judgement, type Subject, unparsable } from '../policy/judge.js';
import type { Given } from '../policy/outcome.js';
import type { RoutingTable } from '../policy/route.js';
import { type Explained, explainLine } from './explanation.js';

export interface OwnLine {
  readonly command: Command;
  readonly read: ParsedArguments | Unparsable;
}

export function readOwn({ words, named }: CommandLine): OwnLine | undefined {
  const found = named === undefined ? resolveOwnCommand(words) : undefined;
  // Its arguments mean the same in every series.
  return found && { command: found.command, read: parseArguments('2.4', found.command, found.args) };
}

/** Every client that is served may ask for its own rights. */
export function judgeOwn(
  { listener, principal, policy }: Subject,
  line: CommandLine,
  { command, read }: OwnLine,
  args: readonly CanonicalWord[],
): Judgement {
  const known = { command: command.name, effect: command.effect, user: '', input: 'none' } as const;
  if (line.fault !== undefined) return faultyLine(known, line.fault);
  if (read.kind === 'unparsable') return unparsable(known, read.code, read.message);
  if (line.user !== '')
    return unparsable(known, 'user-surplus', `"${command.name}" is for who asks; -u names a user`);
  const decision = { kind: 'allow', code: 'allowed', reason: 'everybody may ask what he may' } as const;
  return {
    ...known,
    kind: 'judged',
    decision,
    attempt: {
      listener,
      principal,
      series: read.series,
      command,
      parsed: read,
      aclIds: [],
      effect: command.effect,
      user: undefined,
      users: [],
      aliases: [],
      masks: [],
      named: 0,
      everybody: 'none',
      shared: undefined,
      soleUser: undefined,
      isSharedUnsaid: false,
      isSharedNamed: false,
      mailboxNames: doubtedNames,
      content: [],
      mustBeNamed: [],
      never: [],
    },
    series: [],
    args,
    wantsUsernameCell: false,
    unable: undefined,
    shadow: policy.shadow && decision,
    holdsUntilMs: undefined,
  };
}

/** The arguments of a question that cannot be parsed are left out, as in every record. */
export function recordedWords(asked: CommandLine, judgement: Judgement): CanonicalWord[] {
  const around = (...texts: string[]): CanonicalWord[] => texts.map((text) => ({ text, isSecret: false }));
  const user = judgement.user === '' ? [] : around('-u', judgement.user);
  const name = judgement.command === undefined ? [] : around(judgement.command);
  const args = judgement.kind === 'judged' && asked.fault === undefined ? judgement.args : [];
  return [...user, ...around('--'), ...name, ...args];
}

/** As the daemon would judge it for this subject, as far as possible without look-ups. */
export function explainQuestion(
  table: RoutingTable,
  subject: Subject,
  line: CommandLine,
  nowMs: number,
  given?: Given,
): Explained {
  const own = readOwn(line);
  if (own === undefined) return explainLine(line, subject, table, nowMs, given);
  // The command line in a nested question is not evaluated.
  const judgement = judgeOwn(subject, line, own, []);
  const { policy, principal } = subject;
  const noBackend = 'dovegate answers it';
  const around = { policy, principal, obstacle: undefined, backends: [], noBackend };
  return { ...around, judgement, outcomes: undefined, readings: [], later: [] };
}
