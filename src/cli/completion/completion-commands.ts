// `dovegate completion`, which prints the script of a shell, and `dovegate complete`, which that script asks. It knows neither the
// options of other subcommands nor how words are found.
// The rule: it is silent whatever happens, and asks a daemon for a third of a second at most: somebody is typing.

import { Argument, type Command, Option } from 'commander';
import { type Rights, rightsOfRows } from '../../domain/policy/rights.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { askRows } from '../doveadm/ask-rows.js';
import { plain, stdout } from '../output/output.js';
import type { Candidates } from './candidates.js';
import { completeDoveadm } from './doveadm-words.js';
import { completeProgram } from './program-words.js';
import { allNames, allShells, type ProgramName, type Shell, shellScript } from './shell-scripts.js';

const askMs = 300;

/** Adds both to the program; `end` takes the exit code. */
export function addCompletion(program: Command, end: (code: number) => void): void {
  const name = (): Option =>
    new Option('--name <program>', 'the name under which it is called')
      .choices(allNames)
      .default(allNames[0]);
  program
    .command('completion')
    .description('print a script that lets a shell complete command lines')
    .addArgument(new Argument('<shell>').choices(allShells))
    .addOption(name())
    .action((shell: Shell, options: { readonly name: ProgramName }) => {
      process.stdout.write(shellScript(shell, options.name));
      end(exitCodes.ok);
    });
  program
    .command('complete', { hidden: true })
    .description('for completion scripts: what may come next')
    .addOption(name())
    .argument('[word...]')
    .action(async (words: string[], options: { readonly name: ProgramName }) => {
      const found =
        options.name === 'doveadm'
          ? await completeDoveadm(words, process.env['DOVEADM_SOCKET'], askRights)
          : await completeProgram(program, words, askRights);
      stdout(linesOf(found).join('\n'));
      end(exitCodes.ok);
    });
}

async function askRights(socket: string): Promise<Rights | undefined> {
  try {
    return rightsOfRows(await askRows(socket, 'dovegate can', [], askMs));
  } catch {
    // The catalog does as well.
    return undefined;
  }
}

function linesOf(found: Candidates): string[] {
  if (found.kind !== 'words') return [found.kind];
  return [
    found.kind,
    ...found.words.map(({ word, description }) =>
      description === '' ? plain(word) : `${plain(word)}\t${plain(description)}`,
    ),
  ];
}
