// The two commands that send a typed command to a server: the program under the name doveadm, with doveadm's own command line,
// and `dovegate send`, for one user. Commands that need Dovecot's own machine are refused with the reason.

import {
  readSentCommand,
  readTypedCommand,
  type TypedCommand,
  whyLocalOption,
  writeUsage,
} from '../../doveadm/commands/typed-command.js';
import { ownSockets } from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { CommandFault, formatFault, stderr, stdout, wrongUsage } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { ask, type UserSource } from './ask.js';
import { allFormats, type Format } from './row-printer.js';
import { clientSettingsFile, type DoorOptions, findServerDoor } from './server-door.js';

export const onlyAsDoveadm =
  "only the name doveadm takes -A, -F and -S: write --users '*' or --users FILE, a command for each user, and --socket";

export interface SendOptions extends DoorOptions {
  readonly socket?: string;
  readonly user?: string;
  readonly reason?: string;
  readonly format?: Format;
  readonly timeout?: number;
  readonly verbose: boolean;
  readonly debug: boolean;
  readonly dryRun?: boolean;
}

/** The exit code of doveadm; 64: unparsable; 75: no server, or it broke off. `onDenied`: replaces the print of a denial. */
export function send(options: SendOptions, words: readonly string[], onDenied?: () => void): Promise<number> {
  return printingFaults('dovegate: ', async () => {
    const typed = readSentCommand(words);
    if (typed.isAllUsers || typed.userFile !== undefined || typed.socket !== undefined)
      throw wrongUsage(onlyAsDoveadm);
    if (typed.command.scope === 'user' && options.user !== undefined && typed.user !== undefined)
      throw wrongUsage('the user is named twice: by --user, and by -u');
    const { http, dryRun = false } = options;
    if (http !== undefined && (options.verbose || options.debug))
      throw wrongUsage('the HTTP API has no log lines: --verbose and --debug ask for none');
    const door = await findServerDoor(options.socket, process.env, options);
    return ask({
      words,
      typed,
      users: { kind: 'one', user: options.user ?? typed.user ?? '' },
      door: door ?? noDoor('--socket'),
      where: { socket: options.socket, http, 'key-file': options.keyFile, ca: options.ca },
      format: options.format,
      hidesTitles: false,
      reason: options.reason,
      isDryRun: dryRun,
      isVerbose: options.verbose,
      isDebug: options.debug,
      timeoutMs: options.timeout,
      onDenied,
    });
  });
}

/** Resolves to the exit code of the real program. */
export function doveadm(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  return printingFaults('doveadm: Error: ', async () => {
    const { words, wantsHelp, ...shown } = readOwnOptions(args);
    if (wantsHelp || words[0] === 'help') return help(wantsHelp ? words : words.slice(1));
    if (words.length === 0) throw wrongUsage('no command is given; doveadm help lists them');
    const typed = readTypedCommand(words);
    const isDryRun = readDryRun(environment['DOVEGATE_DRY_RUN']);
    const door = await findServerDoor(typed.socket, environment);
    return ask({
      words,
      typed,
      users: usersOf(typed),
      door: door ?? noDoor('-S'),
      where: { socket: typed.socket, http: undefined, 'key-file': undefined, ca: undefined },
      ...shown,
      reason: environment['DOVEGATE_REASON'],
      isDryRun,
      timeoutMs: undefined,
    });
  });
}

/** Another value is refused: read as no, it would run a command that was only to be tried. */
function readDryRun(value = ''): boolean {
  if (value === '1') return true;
  if (value === '' || value === '0') return false;
  throw wrongUsage(`DOVEGATE_DRY_RUN is "${value}": it must be 1 or 0`);
}

/** Resolves to the exit code. */
export async function printingFaults(prefix: string, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    stderr(`${prefix}${formatFault(fault)}`);
    return fault.exitCode;
  }
}

function noDoor(option: string): never {
  const several = ownSockets(packaged.run);
  if (several.length > 1)
    throw wrongUsage(
      `several sockets are open to you: name one with ${option}, or in DOVEADM_SOCKET: ${several.join(' ')}`,
    );
  throw wrongUsage(`no socket: give one with ${option}, in DOVEADM_SOCKET, or in ${clientSettingsFile}`);
}

function help(words: readonly string[]): number {
  const text = writeUsage(words);
  if (text === undefined) throw wrongUsage(`there is no command "${words.join(' ')}"`);
  stdout(text);
  return exitCodes.ok;
}

/** -A overrides -F, which overrides -u. */
function usersOf({ command, isAllUsers, userFile, user }: TypedCommand): UserSource {
  if (command.scope === 'server') return { kind: 'one', user: '' };
  if (isAllUsers) return { kind: 'mask', mask: '*' };
  if (userFile !== undefined) return { kind: 'file', path: userFile };
  if (user === undefined) throw wrongUsage('One of -u, -F or -A must be provided');
  return /[*?]/.test(user) ? { kind: 'mask', mask: user } : { kind: 'one', user };
}

export const commandLetters = [
  { letter: 'D', description: 'ask for debug log lines' },
  { letter: 'v', description: 'ask for more log lines' },
  { letter: 'f', description: 'how to print rows' },
  { letter: 'h', description: 'without the line of names' },
] as const;

function readOwnOptions(args: readonly string[]) {
  const given = new Set<string>();
  let format: Format | undefined;
  let at = 0;
  for (; at < args.length; at += 1) {
    const word = args[at] ?? '';
    if (word === '--') at += 1;
    if (word === '--' || !/^-./.test(word)) break;
    if (word === '--help') given.add(word);
    else
      for (let letterAt = 1; letterAt < word.length; letterAt += 1) {
        const letter = word.charAt(letterAt);
        given.add(letter);
        if (letter !== 'f') continue;
        const rest = word.slice(letterAt + 1);
        if (rest === '') at += 1;
        format = formatOf(rest === '' ? args[at] : rest);
        break;
      }
  }
  for (const letter of given) {
    const local = whyLocalOption(letter);
    if (local !== undefined) throw wrongUsage(local);
    if (letter !== '--help' && !commandLetters.some((each) => each.letter === letter))
      throw wrongUsage(`invalid option -- '${letter}'`);
  }
  return {
    format,
    hidesTitles: given.has('h'),
    isVerbose: given.has('v'),
    isDebug: given.has('D'),
    wantsHelp: given.has('--help'),
    words: args.slice(at),
  };
}

function formatOf(text: string | undefined): Format {
  const format = allFormats.find((one) => one === text);
  if (format === undefined) throw wrongUsage(`-f takes one of ${allFormats.join(', ')}`);
  return format;
}
