// From a command line to a judgement: whose mailbox, which command, what its arguments mean to the series that it would
// be sent to, and what policy says. Pure. It does not know transports, records or pools.
// The rules: what is judged is what is sent (user in normal form, canonical arguments); where the series is not known
// yet, every series must read the line and allow it; what cannot be read exactly as the server would is refused.

import { canonicalArguments } from '../catalog/canonical.js';
import type { Command } from '../catalog/catalog.js';
import { type ParsedArguments, parseArguments, withoutParameters } from '../catalog/parse.js';
import { resolveCommand } from '../catalog/resolve.js';
import type { Series } from '../catalog/series.js';
import { foldAscii, type UserNames } from '../identity/user-name.js';
import { type Attempt, attemptOf } from '../policy/attempt.js';
import { type Decision, decide } from '../policy/decide.js';
import type { Policy } from '../policy/rule.js';
import type { CommandLine } from '../wire/command.js';

/** Whether bytes that are not command lines follow a refused command. */
export type FollowingInput = 'none' | 'dot' | 'unknown';

/** What is known of a command whatever becomes of it; for records and logs. */
interface Known {
  /** Full name from the catalog. */
  readonly command: string | undefined;
  readonly effect: string | undefined;
  /** In normal form; as the client wrote it when it has none. */
  readonly user: string;
  readonly input: FollowingInput;
}

/** A command line that was read, and what policy says to it. */
export interface Judged extends Known {
  readonly kind: 'judged';
  readonly decision: Decision;
  readonly attempt: Attempt;
  /** For each series that it was judged for. */
  readonly parsed: ReadonlyMap<Series, ParsedArguments>;
  /** In canonical form: what is recorded and sent. */
  readonly args: readonly string[];
}

/** What came of reading and judging a command line. */
export type Judgement =
  | (Known & { readonly kind: 'unparsable'; readonly code: string; readonly message: string })
  | Judged;

/** Who asks, and by what it is judged. */
export interface JudgeContext {
  readonly listener: string;
  readonly principal: string;
  readonly policy: Policy;
  readonly userNames: UserNames;
}

/** The user of a command line in the form in which it is judged, routed and sent; or why there is none. */
export function readUser(
  command: CommandLine,
  userNames: UserNames,
): { readonly name: string } | { readonly code: string; readonly message: string } {
  if (!command.isUtf8) return { code: 'text-invalid', message: 'the line is not UTF-8' };
  const result = userNames.normalise(command.user);
  if (result.kind === 'name') return { name: result.name };
  return { code: `user-${result.code}`, message: result.message };
}

/** Judges a command line for all of `series`, which are not empty. */
export function judge(line: CommandLine, series: readonly Series[], context: JudgeContext): Judgement {
  const input = followingInput(line, series);
  const user = readUser(line, context.userNames);
  const resolved = series.map((one) => resolveCommand(one, line.words)?.command);
  const first = resolved.find((command) => command !== undefined);
  const known: Known = {
    command: first?.name,
    effect: first?.effect,
    user: 'name' in user ? user.name : line.user,
    input,
  };
  if (!('name' in user)) return { ...known, kind: 'unparsable', ...user };
  const parsed = new Map<Series, ParsedArguments>();
  let worst: { readonly attempt: Attempt; readonly decision: Decision } | undefined;
  let canonical: readonly string[] | undefined;
  for (const one of series) {
    const found = resolveCommand(one, line.words);
    if (found === undefined) {
      return {
        ...known,
        kind: 'unparsable',
        code: 'command-unknown',
        message: `Dovecot ${one} has no such command`,
      };
    }
    const whole = parseArguments(one, found.command, found.args);
    if (whole.kind === 'unparsable')
      return { ...known, kind: 'unparsable', code: whole.code, message: whole.message };
    const refusal = refuseOtherUser(whole, user.name, context.userNames);
    if (refusal !== undefined) return { ...known, kind: 'unparsable', ...refusal };
    const args = withoutParameters(whole, ['user']);
    parsed.set(one, args);
    const attempt = attemptOf(context, user.name, args);
    const decision = decide(context.policy, attempt);
    if (worst === undefined || decision.kind === 'deny') worst = { attempt, decision };
    const form = canonicalArguments(args);
    canonical ??= form;
    if (canonical.length !== form.length || canonical.some((word, at) => word !== form[at])) {
      const message =
        'Dovecot 2.3 and 2.4 read it differently, and the series of the backend is not known yet';
      return { ...known, kind: 'unparsable', code: 'series-differ', message };
    }
  }
  if (worst === undefined || canonical === undefined) throw new Error('judged for no series');
  return { ...known, kind: 'judged', ...worst, parsed, args: canonical };
}

/** `-u` must name the wire user, and is dropped then; the server would ignore it, and a reader of records would not. */
function refuseOtherUser(
  parsed: ParsedArguments,
  user: string,
  userNames: UserNames,
): { readonly code: string; readonly message: string } | undefined {
  if (parsed.command.scope !== 'user') return undefined;
  const option = parsed.values.get('user')?.[0];
  if (option === undefined) return undefined;
  const named = userNames.normalise(option);
  if (named.kind === 'name' && named.name === user) return undefined;
  return { code: 'user-differs', message: '-u names another user than the user field of the line' };
}

/** Whether the client will send input behind a line that is refused. */
function followingInput(line: CommandLine, series: readonly Series[]): FollowingInput {
  let following: FollowingInput = 'none';
  for (const one of series) {
    const found = resolveCommand(one, line.words);
    if (found === undefined) {
      // In another case, or with blanks too many, it is no command; but who wrote it may well send the input of one.
      const words = line.words.flatMap((word) => foldAscii(word).split(' ')).filter((word) => word !== '');
      const meant = resolveCommand(one, words);
      if (meant !== undefined && meant.command.input !== 'none') return 'unknown';
      continue;
    }
    const kind = inputOf(one, found.command, found.args);
    if (kind === 'unknown') return 'unknown';
    if (kind === 'dot') following = 'dot';
  }
  return following;
}

function inputOf(series: Series, command: Command, args: readonly string[]): FollowingInput {
  if (command.input === 'none') return 'none';
  if (command.input === 'duplex') return 'unknown';
  const parsed = parseArguments(series, command, args);
  const readsFile =
    parsed.kind === 'parsed' && [...parsed.values.keys()].some((name) => isFile(command, name));
  return parsed.kind === 'unparsable' || readsFile ? 'unknown' : 'dot';
}

function isFile(command: Command, name: string): boolean {
  return command.params.some((parameter) => parameter.name === name && parameter.role === 'content-file');
}
