// Goal: real shells complete dovegate and the drop-in doveadm by the scripts that the program prints, with what a socket permits where
// one is named. Phases: bash by its own functions; zsh and fish, installed from the machine's package sources. What must not happen: a
// word of another command, a file where none is wanted, a delay or a complaint because nobody answers at the socket.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { builtProgram } from '../kit/daemon.js';
import { type Owner, openFolder } from '../kit/folder.js';
import { openGateway } from '../kit/gateway.js';
import { runProgram } from '../kit/program.js';
import { runWarm } from '../kit/warm-program.js';

type Shell = 'bash' | 'zsh' | 'fish';

/** A folder with the program under its two names, the scripts, and two files. */
async function openDesk(owner: Owner): Promise<string> {
  const folder = openFolder(owner);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['dovegate', 'doveadm']) {
    const line = `#!/bin/sh\nexec '${process.execPath}' '${builtProgram}' "$@"\n`;
    writeFileSync(join(bin, name), line, { mode: 0o755 });
    for (const shell of ['bash', 'zsh', 'fish']) {
      const script = await runWarm(['completion', shell, '--name', name]);
      assert.equal(script.exit, 0, script.text);
      writeFileSync(join(folder, `${name}.${shell}`), script.stdout);
    }
  }
  writeFileSync(join(folder, 'one.yaml'), '');
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
async function complete(
  shell: Shell,
  folder: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const program = { bash: ['--noprofile', '--norc', '-c'], zsh: ['-f', '-c'], fish: ['--no-config', '-c'] };
  const script = drive[shell](`./${words[0]}.${shell}`, words);
  const told = await runProgram(shell, [...program[shell], script], {
    cwd: folder,
    env: { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, HOME: folder, ...env },
  });
  assert.equal(told.stderr, '', `${shell}: ${words.join(' ')}`);
  const begun = words.at(-1) ?? '';
  return told.stdout
    .toString()
    .split('\n')
    .map((line) => line.split('\t')[0]?.replace(/\/$/, '') ?? '')
    .filter((word) => word !== '' && word.startsWith(begun));
}

const policy = `
    users: ["*@example.org"]
    allow: [quota get, mailbox list, mailbox create, mailbox delete]
    deny: [mailbox delete]`;

async function storyOf(shell: Shell, folder: string, socket: string): Promise<void> {
  const offered = (...words: string[]) => complete(shell, folder, ['dovegate', ...words]);
  const asDoveadm = (words: readonly string[], env = {}) =>
    complete(shell, folder, ['doveadm', ...words], env);

  const subcommands = await offered('');
  for (const word of ['serve', 'explain', 'can', 'send', 'audit', 'completion'])
    assert.ok(subcommands.includes(word), word);
  assert.ok(!subcommands.includes('complete'));
  assert.deepEqual(await offered('audit', 'ver'), ['verify']);
  assert.deepEqual(await offered('send', '--form'), ['--format']);
  assert.deepEqual((await offered('check', '--config', 'one')).toSorted(), ['one.yaml', 'oneself']);
  assert.deepEqual(await offered('test', '--replay', 'one'), ['oneself']);
  assert.deepEqual(await asDoveadm(['-f', 'pa']), ['pager']);
  assert.deepEqual(await asDoveadm(['mailbox', 'cr']), ['create', 'cryptokey']);
  assert.ok((await offered('send', '--', 'fetch', '-')).includes('-u'));
  // The words are the program's, whatever the shell is: once is enough.
  if (shell === 'bash') {
    assert.deepEqual((await offered('send', '--format', '')).toSorted(), [
      'flow',
      'json',
      'pager',
      'tab',
      'table',
    ]);
    assert.deepEqual(await offered('backend', 'dr'), ['drain']);
    // Names of the catalog, and the options of a command.
    assert.deepEqual(await offered('explain', '--', 'mailbox', 'sub'), ['subscribe']);
    assert.deepEqual(await offered('send', '--', 'doveg'), ['dovegate']);
    assert.ok((await asDoveadm(['expunge', '-'])).includes('-A'));
  }

  // What the socket permits; and without an answer there, the catalog.
  const asked: readonly (readonly [ask: () => Promise<string[]>, expected: readonly string[]])[] = [
    [() => offered('send', '--socket', socket, '--', ''), ['dovegate', 'mailbox', 'quota']],
    [() => offered('explain', '--socket', socket, '--', 'mailbox', ''), ['create', 'list']],
    [() => asDoveadm(['mailbox', 'cr'], { DOVEADM_SOCKET: socket }), ['create']],
  ];
  for (const [ask, expected] of asked) {
    let told = await ask();
    // On a busy machine an answer may take longer than somebody who types waits; then the catalog is right too.
    for (let tries = 1; tries < 10 && told.length > expected.length; tries += 1) told = await ask();
    assert.deepEqual(told, expected);
  }
  const gone = join(folder, 'gone.sock');
  assert.deepEqual(await offered('send', '--socket', gone, '--', 'mailbox', 'cr'), ['create', 'cryptokey']);
}

/** Why this machine has no zsh and fish; undefined: it has them now. */
async function setUp(): Promise<string | undefined> {
  const isThere = ['/usr/bin/zsh', '/usr/bin/fish'].every((path) => existsSync(path));
  if (!isThere && process.getuid?.() !== 0) return 'installing zsh and fish needs root';
  if (!isThere && !existsSync('/usr/bin/apt-get'))
    return 'this machine has no apt to install zsh and fish with';
  const setup = fileURLToPath(new URL('../../../test/shells/setup', import.meta.url));
  const env = { DOVEGATE_LABS: process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs') };
  const installed = await runProgram('bash', [setup], { env, timeoutMs: 10 * 60_000 });
  if (installed.exit !== 0) throw new Error(installed.text);
  return undefined;
}

test('shells', async (t) => {
  const folder = await openDesk(t);
  const { daemon } = await openGateway(t, { policy });
  const socket = daemon.path('support.sock');
  await t.test('bash', () => storyOf('bash', folder, socket));
  for (const shell of ['zsh', 'fish'] as const) {
    await t.test(shell, async (own) => {
      const why = await setUp();
      if (why === undefined) return storyOf(shell, folder, socket);
      if (process.env['DOVEGATE_NO_SKIP'] === '1')
        throw new Error(`no ${shell}, and skipping is forbidden: ${why}`);
      return own.skip(why);
    });
  }
});
