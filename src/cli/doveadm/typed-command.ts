// A command as somebody typed it, read as the real doveadm reads it before it asks anybody: which command, which arguments go over
// the wire, what is read here instead (a text, a list of users). It asks nobody.

import { canonicalArguments } from '../../domain/commands/canonical.js';
import type { Command } from '../../domain/commands/catalog.js';
import {
  inputOf,
  type ParsedArguments,
  parseArguments,
  withoutParameters,
} from '../../domain/commands/parse.js';
import { resolveCommand, resolveOwnCommand } from '../../domain/commands/resolve.js';
import type { Series } from '../../domain/commands/series.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault } from '../output/command-fault.js';
import { tempFail } from './doveadm-exit.js';

/** What was typed, understood. */
export interface TypedCommand {
  readonly command: Command;
  /** Without what concerns only this end. */
  readonly parsed: ParsedArguments;
  /** What goes behind the name. */
  readonly args: readonly string[];
  /** The text that goes with it: from a file here, or from stdin when `file` is undefined. */
  readonly input: { readonly file: string | undefined } | undefined;
  readonly user: string | undefined;
  readonly isAllUsers: boolean;
  readonly userFile: string | undefined;
  readonly socket: string | undefined;
}

/** Commands of the program itself: they look at this machine's configuration, ask its auth service, or ask nobody. */
const localOnly =
  /^(?:config|dump|exec|help|pw|zlibconnect|compress-connect|auth (?:test|login|lookup|cache status)|mailbox mutf7)\b/;

/** Whether these words name one of those. */
export function isLocalOnly(words: readonly string[]): boolean {
  return localOnly.test(words.join(' '));
}

const ownParameters = [
  'socket-path',
  'user',
  'all-users',
  'user-file',
  'trans-flags',
  'no-userdb-lookup',
  'file',
];

/** Reads the words. Throws a CommandFault with the exit code of the real program. */
export function readTypedCommand(words: readonly string[], series?: Series): TypedCommand {
  if (isLocalOnly(words)) {
    throw new CommandFault(
      exitCodes.usage,
      `"${words[0]}" works on the machine that Dovecot runs on only: it never goes over a socket`,
    );
  }
  const own = resolveOwnCommand(words);
  if (own !== undefined) return readArguments('2.4', own.command, own.args);
  // What 2.4 does not know, 2.3 may.
  const all: readonly Series[] =
    series === undefined ? ['2.4', '2.3'] : [series, series === '2.4' ? '2.3' : '2.4'];
  for (const one of all) {
    const found = resolveCommand(one, words);
    if (found !== undefined) return readArguments(one, found.command, found.args);
  }
  throw new CommandFault(exitCodes.usage, `there is no command "${words.slice(0, 2).join(' ')}"`);
}

function readArguments(series: Series, command: Command, args: readonly string[]): TypedCommand {
  // The real program takes `-` for stdin, which is what no file is.
  const given = command.input === 'dot' && args.at(-1) === '-' ? args.slice(0, -1) : args;
  const parsed = parseArguments(series, command, given);
  if (parsed.kind === 'unparsable') {
    const isUnknown = parsed.code === 'fields-invalid' || parsed.code === 'query-invalid';
    const dies = isUnknown && !isTold(series, command, given);
    throw new CommandFault(dies ? tempFail : exitCodes.usage, parsed.message);
  }
  if (inputOf(command, parsed) === 'duplex')
    throw new CommandFault(exitCodes.usage, `"${command.name}" needs both directions to itself: not here`);
  const isMail = command.scope === 'user';
  const value = (name: string): string | undefined => (isMail ? parsed.values.get(name)?.[0] : undefined);
  const sent = isMail ? withoutParameters(parsed, ownParameters) : parsed;
  return {
    command,
    parsed: sent,
    args: canonicalArguments(sent),
    input: command.input === 'dot' ? { file: parsed.values.get('file')?.[0] } : undefined,
    user: value('user'),
    isAllUsers: isMail && parsed.hasOption('all-users'),
    userFile: value('user-file'),
    socket: value('socket-path'),
  };
}

/** Whether doveadm calls it a wrong usage (64); unknown fields and search keys of `fetch` and `search` it dies of (75). */
function isTold(series: Series, command: Command, args: readonly string[]): boolean {
  if (command.name === 'mailbox status') return true;
  if (command.name !== 'expunge' && command.name !== 'move') return false;
  const search = resolveCommand(series, ['search'])?.command;
  const query = command.name === 'move' ? args.slice(1) : args;
  return search !== undefined && parseArguments(series, search, query).kind === 'parsed';
}
