// The options that doveadm has in front of a command, and how they are read: as getopt does, `-Dv`, `-ftab`, `-f tab`, up to the first
// word that is none. It does not know commands.

import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault } from '../output/command-fault.js';
import { allFormats, type Format } from '../output/row-printer.js';
import { tempFail } from './doveadm-exit.js';

/** What was given in front of the command, and the rest. */
export interface OwnOptions {
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  readonly isVerbose: boolean;
  readonly isDebug: boolean;
  /** `--help` stands there. */
  readonly wantsHelp: boolean;
  readonly words: readonly string[];
}

/** The letters, for people. */
export const commandLetters = [
  { letter: 'D', description: 'ask for debug log lines' },
  { letter: 'v', description: 'ask for more log lines' },
  { letter: 'f', description: 'how to print rows' },
  { letter: 'h', description: 'without the line of names' },
] as const;

/** Throws a CommandFault with the exit code of the real program. */
export function readOwnOptions(args: readonly string[]): OwnOptions {
  let format: Format | undefined;
  let hidesTitles = false;
  let isVerbose = false;
  let isDebug = false;
  let wantsHelp = false;
  let next = 0;
  for (; next < args.length; next += 1) {
    const word = args[next] ?? '';
    if (word === '--') {
      next += 1;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    if (word === '--help') {
      wantsHelp = true;
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const letter = word[at] ?? '';
      if (letter === 'D') isDebug = true;
      else if (letter === 'v') isVerbose = true;
      else if (letter === 'h') hidesTitles = true;
      else if (letter === 'f') {
        const rest = word.slice(at + 1);
        if (rest === '') next += 1;
        format = formatOf(rest === '' ? args[next] : rest);
        break;
      } else if ('coi'.includes(letter)) {
        throw new CommandFault(
          exitCodes.usage,
          `-${letter} changes the settings of Dovecot on its own machine: it never goes over a socket`,
        );
      } else throw new CommandFault(exitCodes.usage, `invalid option -- '${letter}'`);
    }
  }
  return { format, hidesTitles, isVerbose, isDebug, wantsHelp, words: args.slice(next) };
}

function formatOf(text: string | undefined): Format {
  const format = allFormats.find((one) => one === text);
  if (text === undefined) throw new CommandFault(exitCodes.usage, "option requires an argument -- 'f'");
  if (format === undefined) throw new CommandFault(tempFail, `Unknown print formatter: ${text}`);
  return format;
}
