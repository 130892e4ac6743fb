// `dovegate completion` prints a script for a shell: a table of all subcommands, options and doveadm commands, made from the tables that
// parse them, and a program in awk that reads it. At a TAB nothing of dovegate runs; names of listeners, backends and policies are read
// from the configuration, where this user can read it.
//
//   PLACE                              the words before, each followed by a blank: `dovegate audit `
//   TAB WORD TAB KIND TAB MEANING      a word, an option, or an argument by its number (<1>; <*>: each further one)
//
// KIND: `word` leads to a place of its own, `command` to the place `doveadm `, `flag` takes no value; else the kind of the value.

import { Argument, type Command, Option } from 'commander';
import {
  allSeries,
  commandsOf,
  type Command as Doveadm,
  ownCommands,
  reportCommand,
  statusFields,
} from '../../doveadm/commands/catalog.js';
import { plain } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { allFormats } from './row-printer.js';

const allShells = ['bash', 'zsh', 'fish'] as const;

type Shell = (typeof allShells)[number];

const allNames = ['dovegate', 'doveadm'] as const;

type ProgramName = (typeof allNames)[number];

export function addCompletion(program: Command, end: (code: number) => void): void {
  program
    .command('completion')
    .description('print the completion script for a shell')
    .addArgument(new Argument('<shell>').choices(allShells))
    .addOption(
      new Option('--name <program>', 'the name under which it is called')
        .choices(allNames)
        .default(allNames[0]),
    )
    .action(async (shell: Shell, { name }: { readonly name: ProgramName }) => {
      const { commandLetters } = await import('./doveadm.js');
      const places = doveadmPlaces(
        commandLetters.map(({ letter, description }) => [
          `-${letter}`,
          letter === 'f' ? kindOf('', allFormats) : 'flag',
          description,
        ]),
      );
      if (name === 'dovegate') places.unshift(...placesOf(program, 'dovegate '));
      process.stdout.write(shellScript(shell, name, tableOf(places)));
      end(exitCodes.ok);
    });
}

type Row = readonly [word: string, kind: string, meaning: string];

type Place = readonly [place: string, rows: readonly Row[]];

/** Rows of the same place are joined. */
function tableOf(places: readonly Place[]): string {
  const table = new Map<string, Map<string, string>>();
  for (const [place, rows] of places) {
    const lines = table.get(place) ?? new Map<string, string>();
    table.set(place, lines);
    for (const row of rows) lines.set(row[0], `\t${row.map(plain).join('\t')}`);
  }
  return [...table].flatMap(([place, lines]) => [place, ...lines.values()]).join('\n');
}

function placesOf(command: Command, place: string): readonly Place[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const rows = [
    ...commands.map((each): Row => [each.name(), 'word', each.description()]),
    ...help.visibleOptions(command).map(({ long, short, required, flags, argChoices, description }): Row => {
      const [, placeholder = ''] =
        /^--(listener|account)$/.exec(long ?? '') ?? /[<[]([a-z]+)/.exec(flags) ?? [];
      return [long ?? short ?? '', required ? kindOf(placeholder, argChoices) : 'flag', description];
    }),
    ...command.registeredArguments.map(
      (each, at): Row => [`<${each.variadic ? '*' : at + 1}>`, kindOf(each.name(), each.argChoices), ''],
    ),
  ];
  return [[place, rows], ...commands.flatMap((each) => placesOf(each, `${place}${each.name()} `))];
}

/** By the placeholder of the value in the help: `file` of `--config <file>`. */
function kindOf(placeholder: string, choices: readonly string[] | undefined): string {
  if (choices !== undefined) return `=${choices.join(' ')}`;
  switch (placeholder) {
    case 'file':
    case 'path':
    case 'place':
      return 'files';
    case 'dir':
    case 'directory':
      return 'directories';
    case 'listener':
    case 'account':
    case 'backend':
      return `${placeholder}s`;
    case 'policy':
      return 'policies';
    case 'command':
      return 'command';
    default:
      return 'any';
  }
}

/** The drop-in's own options, and doveadm's commands: a command of both series as 2.4 has it. */
function doveadmPlaces(options: readonly Row[]): Place[] {
  const root: readonly Row[] = [...options, ['help', 'word', 'the usage of a command']];
  const own = ownCommands.filter(({ name }) => name !== reportCommand);
  const commands = new Map(
    [...allSeries.flatMap((series) => commandsOf(series)), ...own].map((each) => [each.name, each]),
  );
  const sorted = [...commands.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return [['doveadm ', root], ['doveadm help ', [['<1>', 'command', '']]], ...sorted.flatMap(commandPlaces)];
}

function commandPlaces(command: Doveadm): readonly Place[] {
  const places = command.words.map((word, at): Place => {
    const before = command.words.slice(0, at).map((each) => `${each} `);
    return [`doveadm ${before.join('')}`, [[word, 'word', '']]];
  });
  const positional = command.params.find(({ isPositional }) => isPositional);
  const rows = command.params.flatMap((parameter): readonly Row[] => {
    const { name, short, type, role, isPositional } = parameter;
    const isFile = role === 'socket' || role === 'user-file' || role === 'content-file';
    const isField = command.name === 'mailbox status' && name.startsWith('field');
    const kind = isFile ? 'files' : isField ? kindOf('', ['all', ...statusFields]) : 'any';
    if (isPositional) return parameter === positional ? [['<1>', kind, '']] : [];
    if (role === 'internal') return [];
    return [[short === undefined ? `--${name}` : `-${short}`, type === 'bool' ? 'flag' : kind, name]];
  });
  return [...places, [`doveadm ${command.name} `, rows]];
}

/** The table on stdin; the words as arguments, the last incomplete. Prints `words`, `files` or `directories`, then WORD TAB MEANING. */
const awk = String.raw`
function offer(word, meaning) {
  if (index(word, begun) == 1) print word (meaning == "" ? "" : FS meaning)
}
function positional() {
  return ((place, "<" (given + 1) ">") in kinds) ? kinds[place, "<" (given + 1) ">"] : kinds[place, "<*>"]
}
function enter(next_place) { place = next_place; given = 0; ended = 0 }
function values(kind,  all, n, i) {
  if (kind == "files" || kind == "directories") { print kind; return }
  print "words"
  if (kind ~ /^=/) {
    n = split(substr(kind, 2), all, " ")
    for (i = 1; i <= n; i++) offer(all[i], "")
  } else if (kind == "accounts") names("listeners", "^ +(accounts|keys): *$")
  else if (kind != "" && kind != "any") names(kind, "")
}
function names(section, below,  line, isInside, at, indent) {
  while ((getline line < config) > 0) {
    sub(/#.*/, "", line)
    if (line ~ /^[^ ]/) { isInside = index(line, section ":") == 1; at = 0; indent = 0; continue }
    if (!isInside || !match(line, /^ +/)) continue
    if (below != "" && line ~ below) { at = RLENGTH; indent = 0; continue }
    if (RLENGTH <= at) at = 0
    if ((below != "" && at == 0) || line !~ /:/) continue
    if (indent == 0) indent = RLENGTH
    if (RLENGTH != indent) continue
    gsub(/^ +|:.*|["\047]/, "", line)
    offer(line, "")
  }
}
BEGIN {
  FS = "\t"
  for (i = 1; i < ARGC; i++) typed[i] = ARGV[i]
  count = ARGC - 1
  ARGC = 1
  config = ENVIRON["DOVEGATE_CONFIG"]
  if (config == "") config = "/etc/dovegate/dovegate.yaml"
}
!/^\t/ { at = $0; next }
{ kinds[at, $2] = $3; rows++; places[rows] = at; words[rows] = $2; meanings[rows] = $4 }
END {
  begun = typed[count]
  place = root
  for (i = 1; i < count; i++) {
    word = typed[i]
    if (option != "") {
      if (option == "--config") config = word
      option = ""
    } else if (!ended && word == "--") {
      ended = 1
    } else if (!ended && word ~ /^-./) {
      name = word
      sub(/=.*/, "", name)
      if (name == "--config" && name != word) config = substr(word, 10)
      if (name == word && ((place, name) in kinds) && kinds[place, name] != "flag") option = name
    } else if (given == 0 && kinds[place, word] == "word") {
      enter(place word " ")
    } else if (positional() == "command") {
      enter("doveadm ")
      i--
    } else {
      given++
    }
  }
  if (option == "" && !(begun ~ /^-/ && !ended) && positional() == "command") enter("doveadm ")
  isOption = begun ~ /^-/ && !ended
  if (option != "") values(kinds[place, option])
  else if (!isOption && positional() != "") values(positional())
  else {
    print "words"
    for (i = 1; i <= rows; i++)
      if (places[i] == place && words[i] !~ /^</ && (isOption || (given == 0 && kinds[place, words[i]] == "word")))
        offer(words[i], meanings[i])
  }
}
`;

/** The script, with its last LF. The installer recognizes it by its first lines. */
function shellScript(shell: Shell, name: ProgramName, table: string): string {
  const head = `${shell} completion of ${name}, made by dovegate completion`;
  switch (shell) {
    case 'bash':
      return `# ${head}
_${name}_table=${quote(table)}
_${name}_awk=${quote(awk)}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} lines
  mapfile -t lines < <(awk -v 'root=${name} ' -- "$_${name}_awk" "\${COMP_WORDS[@]:1:COMP_CWORD}" <<<"$_${name}_table")
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
    case 'zsh':
      return `#compdef ${name}
# ${head}
_${name}_table=${quote(table)}
_${name}_awk=${quote(awk)}
_${name}() {
  local -a lines
  lines=("\${(@f)$(awk -v 'root=${name} ' -- "$_${name}_awk" "\${(@)words[2,CURRENT]}" <<<"$_${name}_table")}")
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
    case 'fish':
      return `# ${head}
set -g __${name}_table ${quoteFish(table)}
set -g __${name}_awk ${quoteFish(awk)}
function __${name}_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines (printf '%s\\n' $__${name}_table | awk -v 'root=${name} ' -- $__${name}_awk $words[2..] "$word")
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
    default:
      return shell satisfies never;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function quoteFish(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
