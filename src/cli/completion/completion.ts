// `dovegate completion` prints a script for a shell, which calls `dovegate complete` for each word, so that it does not change
// with later versions. `complete` prints no errors and waits at most 0.3 s for a daemon, because a person is typing.

import { Argument, type Command, Option } from 'commander';
import type { Rights } from '../../domain/answers/rights.js';
import { exitCodes } from '../../ports/machine.js';
import { plain, stdout } from '../output/output.js';
import type { Candidate, Candidates } from './candidates.js';

const askMs = 300;

export function addCompletion(program: Command, end: (code: number) => void): void {
  const name = (): Option =>
    new Option('--name <program>', 'the name under which it is called')
      .choices(allNames)
      .default(allNames[0]);
  program
    .command('completion')
    .description('print the completion script for a shell')
    .addArgument(new Argument('<shell>').choices(allShells))
    .addOption(name())
    .action((shell: Shell, options: { readonly name: ProgramName }) => {
      process.stdout.write(shellScript(shell, options.name));
      end(exitCodes.ok);
    });
  program
    .command('complete', { hidden: true })
    .description('for completion scripts: print the words that can come next')
    .addOption(name())
    .argument('[word...]')
    .action(async (words: string[], options: { readonly name: ProgramName }) => {
      const { completeDoveadm, completeProgram } = await import('./candidates.js');
      const found =
        options.name === 'doveadm'
          ? await completeDoveadm(words, process.env['DOVEADM_SOCKET'], askRights)
          : await completeProgram(program, words, askRights, askIds);
      stdout(linesOf(found).join('\n'));
      end(exitCodes.ok);
    });
}

async function askRights(socket: string): Promise<Rights | undefined> {
  try {
    const { rightsOfRows } = await import('../../domain/answers/rights.js');
    const { keepKnown, readKnown } = await import('./known-rights.js');
    const known = readKnown(socket);
    if (known !== undefined) return rightsOfRows(known);
    const { askRows } = await import('../doveadm/server-door.js');
    const rows = await askRows(socket, 'dovegate can', [], askMs);
    keepKnown(socket, rows);
    return rightsOfRows(rows);
  } catch {
    // Without rights all names of the catalog are offered.
    return undefined;
  }
}

/** `kill` and others have ids too, which no listener knows. */
const verbs: readonly string[] = ['requests', 'approve', 'refuse', 'revoke', 'review'];

async function askIds(socket: string, verb: string): Promise<readonly Candidate[]> {
  if (!verbs.includes(verb)) return [];
  try {
    const { askAccess } = await import('../doveadm/server-door.js');
    const items = await askAccess(socket, askMs);
    return items.flatMap(({ id, to, command, may }) =>
      verb === 'requests' || may.some((each) => each === verb)
        ? [{ word: id, description: `${to}: ${command}` }]
        : [],
    );
  } catch {
    return [];
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

const allShells = ['bash', 'zsh', 'fish'] as const;

type Shell = (typeof allShells)[number];

const allNames = ['dovegate', 'doveadm'] as const;

type ProgramName = (typeof allNames)[number];

/** The script, with its last LF. `dovegate complete` answers with a line `words`, `files` or `directories`, then WORD TAB MEANING lines. */
export function shellScript(shell: Shell, name: ProgramName): string {
  switch (shell) {
    case 'bash':
      return bash(name);
    case 'zsh':
      return zsh(name);
    case 'fish':
      return fish(name);
    default:
      return shell satisfies never;
  }
}

function bash(name: string): string {
  return `# bash completion of ${name}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} lines
  mapfile -t lines < <(dovegate complete --name ${name} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=()
  case \${lines[0]-} in
  files)
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    ;;
  directories)
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$word")
    ;;
  words)
    COMPREPLY=("\${lines[@]:1}")
    COMPREPLY=("\${COMPREPLY[@]%%$'\\t'*}")
    ;;
  esac
}
complete -F _${name} ${name}
`;
}

function zsh(name: string): string {
  return `#compdef ${name}
_${name}() {
  local -a lines
  lines=("\${(@f)$(dovegate complete --name ${name} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case $lines[1] in
  files) _files ;;
  directories) _files -/ ;;
  words)
    shift lines
    lines=("\${(@)lines//:/\\\\:}")
    lines=("\${(@)lines/$'\\t'/:}")
    _describe -t words word lines
    ;;
  esac
}
if [[ \${funcstack[1]-} == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function fish(name: string): string {
  return `# fish completion of ${name}
function __${name}_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines (dovegate complete --name ${name} -- $words[2..] "$word" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$word"
        case directories
            __fish_complete_directories "$word"
        case words
            printf '%s\\n' $lines[2..]
    end
end
complete -c ${name} -f -a '(__${name}_complete)'
`;
}
