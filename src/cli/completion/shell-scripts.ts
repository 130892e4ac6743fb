// The scripts that shells read. They know nothing of the program: for each word they ask it what may come next, so that they hold for
// every later version. The rule: they run `dovegate` by its name, never what was typed.

/** The shells that there are scripts for. */
export const allShells = ['bash', 'zsh', 'fish'] as const;

/** One of `allShells`. */
export type Shell = (typeof allShells)[number];

/** The names that the program has. */
export const allNames = ['dovegate', 'doveadm'] as const;

/** One of `allNames`. */
export type ProgramName = (typeof allNames)[number];

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
