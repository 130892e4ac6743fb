// Goal: real shells complete dovegate and the drop-in doveadm by the scripts that the program prints, without the program. Phases: bash by
// its own functions; zsh and fish, installed from the machine's package sources. What must not happen: a word of another command, a file
// where none is wanted, a name of another section of the configuration, a complaint.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

type Shell = 'bash' | 'zsh' | 'fish';

const configuration = `
listeners:
    support: { unix: support.sock, policy: helpdesk }
    # old: { unix: old.sock }
    "panel":                 # of the web panel
        tcp: 127.0.0.1:8443
        keys:
            modoboa:
                policy: helpdesk
            "ox": { policy: helpdesk }
        accounts:
            migrator: { policy: helpdesk }
        from: [192.0.2.0/24]
backends:
    mail1: { unix: /run/dovecot/doveadm-server }
policies:
    helpdesk: { users: ["*@example.org"] }
`;

/** A folder with the scripts, a configuration, two more names, and no program. */
async function openDesk(owner: Owner): Promise<string> {
  const folder = openFolder(owner);
  for (const name of ['dovegate', 'doveadm']) {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const script = await runWarm(['completion', shell, '--name', name]);
      assert.equal(script.exit, 0, script.text);
      writeFileSync(join(folder, `${name}.${shell}`), script.stdout);
    }
  }
  writeFileSync(join(folder, 'one.yaml'), configuration);
  mkdirSync(join(folder, 'oneself'));
  return folder;
}

const quoted = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');

/** What stands before the shells' own machinery: it is given the words, and says what it would offer. */
const drive: Readonly<Record<Shell, (script: string, words: readonly string[]) => string>> = {
  bash: (script, words) =>
    `source ${script}; complete -p ${words[0]} >/dev/null || exit 1; ` +
    `COMP_WORDS=(${quoted(words)}); COMP_CWORD=${words.length - 1}; ` +
    `_${words[0]} '${words[0]}' '${words.at(-1)}'; printf '%s\\n' "\${COMPREPLY[@]}"`,
  // The completion system of zsh speaks to an editor; here its functions print what they are given.
  zsh: (script, words) =>
    `compdef() { :; }; _files() { [[ $1 == -/ ]] && print -l *(/) || print -l *; }; ` +
    `_describe() { print -l -- "\${(@P)\${@[-1]}%%:*}"; }; source ${script}; ` +
    `words=(${quoted(words)}); CURRENT=${words.length}; _${words[0]}`,
  fish: (script, words) => `source ${script}; complete -C ${quoted([words.join(' ')])}`,
};

/** The offered words. */
async function complete(shell: Shell, folder: string, words: readonly string[]): Promise<string[]> {
  const program = { bash: ['--noprofile', '--norc', '-c'], zsh: ['-f', '-c'], fish: ['--no-config', '-c'] };
  const script = drive[shell](`./${words[0]}.${shell}`, words);
  const told = await runProgram(shell, [...program[shell], script], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, DOVEGATE_CONFIG: join(folder, 'one.yaml') },
  });
  assert.equal(told.stderr, '', `${shell}: ${words.join(' ')}`);
  const begun = words.at(-1) ?? '';
  return told.stdout
    .toString()
    .split('\n')
    .map((line) => line.split('\t')[0]?.replace(/\/$/, '') ?? '')
    .filter((word) => word !== '' && word.startsWith(begun));
}

/** In each shell, since each quotes the table in its own way. `...`: these, among others. */
const everywhere: readonly (readonly [typed: string, offered: string])[] = [
  ['dovegate |', '... serve explain can send audit completion'],
  ['dovegate audit ver|', 'verify'],
  ['dovegate send --form|', '--format'],
  ['dovegate check --config one|', 'one.yaml oneself'],
  ['dovegate test --replay one|', 'oneself'],
  ['dovegate explain --listener |', 'panel support'],
  ['dovegate send -- fetch -|', '... -u -A -F'],
  ['doveadm -f pa|', 'pager'],
  ['doveadm mailbox cr|', 'create cryptokey'],
];

/** The words come from the same program in awk, whatever the shell is: once is enough. */
const once: readonly (readonly [typed: string, offered: string])[] = [
  ['dovegate --|', '--help --version'],
  ['dovegate send --s|', '--socket'],
  ['dovegate status --socket one|', 'one.yaml oneself'],
  ['dovegate send --user |', ''],
  ['dovegate send --format |', 'flow json pager tab table'],
  ['dovegate send --format ta|', 'tab table'],
  ['dovegate send --dry-run --format tab|', 'tab table'],
  ['dovegate send --format=tab --u|', '--user --users'],
  ['dovegate send --socket /s quota |', 'get recalc'],
  ['dovegate send -- quo|', 'quota'],
  ['dovegate send -- --|', ''],
  ['dovegate explain -- mailbox sub|', 'subscribe'],
  ['dovegate send -- doveg|', 'dovegate'],
  ['dovegate audit verify one|', 'one.yaml oneself'],
  ['dovegate audit verify one one|', 'one.yaml oneself'],
  [
    'dovegate audit verify --config |',
    'doveadm.bash doveadm.fish doveadm.zsh dovegate.bash dovegate.fish dovegate.zsh one.yaml oneself',
  ],
  ['dovegate backend |', 'drain enable'],
  ['dovegate backend drain |', 'mail1'],
  ['dovegate backend drain mail1 |', ''],
  ['dovegate backend --config gone.yaml drain |', ''],
  ['dovegate backend --config=gone.yaml drain |', ''],
  ['dovegate key new --policy |', 'helpdesk'],
  ['dovegate can --account |', 'migrator modoboa ox'],
  ['dovegate explain --listener panel --account mo|', 'modoboa'],
  ['dovegate audit search --backend |', 'mail1'],
  ['dovegate nothing such |', ''],
  ['dovegate complet|', 'completion'],
  ['doveadm -|', '-D -f -h -v'],
  ['doveadm -v -|', '-D -f -h -v'],
  ['doveadm -f |', 'flow json pager tab table'],
  ['doveadm -f tab quo|', 'quota'],
  ['doveadm -- quo|', 'quota'],
  ['doveadm -D quota |', 'get recalc'],
  ['doveadm doveg|', 'dovegate'],
  ['doveadm help quota |', 'get recalc'],
  ['doveadm mailbox c|', 'cache create cryptokey'],
  ['doveadm mailbox cache |', 'decision purge remove'],
  ['doveadm dire|', 'director'],
  ['doveadm nonsense |', ''],
  ['doveadm dovegate |', 'access approve can dry-run explain grant refuse request requests review revoke'],
  ['doveadm mailbox list -|', '-7 -8 -A -F -S -s -u'],
  ['doveadm mailbox list -s -|', '-7 -8 -A -F -S -s -u'],
  ['doveadm mailbox list -S one|', 'one.yaml oneself'],
  ['doveadm quota get -u |', ''],
  ['doveadm mailbox list -- -|', ''],
  ['doveadm mailbox status |', '... all messages'],
  ['doveadm mailbox status un|', 'unseen'],
];

async function storyOf(shell: Shell, folder: string): Promise<void> {
  for (const [typed, expected] of shell === 'bash' ? [...everywhere, ...once] : everywhere) {
    const offered = await complete(shell, folder, typed.slice(0, -1).split(' '));
    const [first, ...wanted] = expected.split(' ');
    if (first === '...')
      assert.deepEqual(
        wanted.filter((word) => !offered.includes(word)),
        [],
        typed,
      );
    else assert.equal(offered.toSorted().join(' '), expected, typed);
  }
}

/** Why this machine has no zsh and fish; undefined: it has them now. */
async function setUp(): Promise<string | undefined> {
  const isThere = ['/usr/bin/zsh', '/usr/bin/fish'].every((path) => existsSync(path));
  if (!isThere && process.getuid?.() !== 0) return 'installing zsh and fish needs root';
  if (!isThere && !existsSync('/usr/bin/apt-get'))
    return 'this machine has no apt to install zsh and fish with';
  const setup = fileURLToPath(new URL('test/whole/shells/setup', projectRoot));
  const env = { DOVEGATE_LABS: process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs') };
  const installed = await runProgram('bash', [setup], { env, timeoutMs: 10 * 60_000 });
  if (installed.exit !== 0) throw new Error(installed.text);
  return undefined;
}

test('shells', async (t) => {
  const folder = await openDesk(t);
  await t.test('bash', () => storyOf('bash', folder));
  for (const shell of ['zsh', 'fish'] as const) {
    await t.test(shell, async (own) => {
      const why = await setUp();
      if (why === undefined) return storyOf(shell, folder);
      if (process.env['DOVEGATE_NO_SKIP'] === '1')
        throw new Error(`no ${shell}, and skipping is forbidden: ${why}`);
      return own.skip(why);
    });
  }
});
