// Goal: under the name of doveadm our program is the real one, as far as stdout and exit code go, for command lines of manual pages
// and panels, among them each command of the shipped presets; and `dovegate send` prints the same rows.
// Each line is run by the real doveadm of the release at Dovecot's own socket (`-S`), and by ours at the same.
// What must not happen: another exit code, or another byte that is no row of the differences in docs/client-shell.md; a preset with a
// command that is not tried here and is not excused.
import assert from 'node:assert/strict';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtProgram } from '../../kit/gate/daemon.js';
import { runWarm, runWarmDoveadm } from '../../kit/gate/warm-program.js';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import { ends, type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { presetCommands } from './preset-policies.js';
import { alice, onDovecot } from './real-gateway.js';
import { columnsOf, type TypedLine, typedLines } from './typed-lines.js';

/** Two users with the same mails but for their name. */
const twins = { real: 'bob@example.org', ours: 'victim@example.org' };

onDovecot('the drop-in doveadm prints and ends as the real one', openLab, async (t, lab) => {
  assert.ok(existsSync(builtProgram), 'npm run build comes first');
  const link = join(lab.folder, 'doveadm');
  symlinkSync(builtProgram, link);
  const lines = typedLines.filter(({ only }) => only === undefined || only === lab.series);
  let bySend = 0;
  for (const typed of lines) {
    const real = await runReal(lab, typed);
    const wanted = textOf(real.stdout, typed);
    const expected = readAs(typed, typeof typed.ours === 'function' ? typed.ours(wanted) : wanted);
    const compare = (by: string, ours: ProgramResult): void => {
      const title = `${by} ${typed.line}\n${real.stderr}\n${ours.stderr}`;
      assert.deepEqual(readAs(typed, textOf(ours.stdout, typed)), expected, title);
      assert.equal(ours.exit, typed.exit ?? real.exit, title);
    };
    compare('doveadm', await runOurs(lab, link, typed));
    const words = sendWordsOf(typed);
    if (words === undefined) continue;
    bySend += 1;
    compare('send', await runWarm(['send', '--socket', lab.unixPreauth, '--user', alice, ...words]));
  }
  assert.ok(bySend > 60, `${bySend} by send`);
  t.diagnostic(`Dovecot ${lab.version}: ${lines.length} command lines`);
  if (lab.series === '2.4') assert.ok(lines.length >= 40);
});

/** Why a command of a preset is not tried. */
const excused: Readonly<Record<string, string>> = {
  backup: 'needs another server',
  'director ring status': 'no directors here',
  'director status': 'no directors here',
  'dsync-server': 'it is a conversation, which send refuses',
  'fts rescan': 'no full text search here',
  import: 'needs another store',
  'instance list': 'it is written as the programs run',
  kick: 'nobody is logged in',
  'log errors': 'errors come as the programs run',
  'proxy kick': 'no proxy here',
  'replicator replicate': 'no replicator here',
  'replicator status': 'no replicator here',
  'stats dump': 'counts what the programs do',
  sync: 'needs another server',
};

test('every command of the presets is tried, or there is a reason', () => {
  const tried = typedLines.map(({ line }) => `${line.replace(/^(?:-f \w+|-\w+) /, '')} `);
  const missing = [...presetCommands].filter(
    (name) => !Object.hasOwn(excused, name) && !tried.some((line) => line.startsWith(`${name} `)),
  );
  assert.deepEqual(missing, []);
});

onDovecot('users from a file, and a mail from one, are read here', openLab, async (_t, lab) => {
  const link = join(lab.folder, 'doveadm');
  symlinkSync(builtProgram, link);
  const list = join(lab.folder, 'users.txt');
  writeFileSync(list, `${alice}\nnobody@example.org\n${twins.real}\n`);
  const listed = ['-f', 'tab', 'mailbox', 'list'];
  const real = await lab.doveadm([
    ...listed,
    '-F',
    lab.inRoot(list),
    '-S',
    lab.inRoot(lab.unixPreauth),
    'INBOX',
  ]);
  const ours = await run(link, [...listed, '-F', list, '-S', lab.unixPreauth, 'INBOX']);
  assert.equal(ours.stdout.toString(), `Username\tmailbox\n${alice}\tINBOX\n${twins.real}\tINBOX\n`);
  assert.equal(ours.exit, 67);
  // The real one of 2.3 has the server read the file.
  if (lab.series === '2.4') {
    assert.equal(sorted(real.stdout), sorted(ours.stdout));
    assert.equal(real.exit, 67);
  }

  const mail = join(lab.folder, 'mail.txt');
  writeFileSync(mail, 'Subject: from a file\n\ntext\n');
  const at = ['-S', lab.unixPreauth, '-u', alice];
  await ends(0, run(link, ['save', ...at, '-m', 'Drafts', mail]));
  const fetched = await run(link, ['-f', 'flow', 'fetch', ...at, 'text', 'mailbox', 'Drafts', 'all']);
  assert.equal(fetched.stdout.toString(), 'text=Subject: from a file\n\ntext\n\n');
  await ends(75, run(link, ['save', ...at, join(lab.folder, 'none')]));
});

/** -S belongs to the command, and must stand before what it searches for. */
function wordsOf({ line }: TypedLine, user: string, socket: string | undefined): string[] {
  const words = line
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => word.replace('$U', user).replaceAll('_', ' '));
  const at = words.findIndex((word) => ['-u', '-A', '-F'].includes(word));
  return at < 0 || socket === undefined ? words : words.toSpliced(at, 0, '-S', socket);
}

function runReal(lab: Lab, typed: TypedLine): Promise<ProgramResult> {
  const socket = typed.isLocal === true ? undefined : lab.inRoot(lab.unixPreauth);
  const user = typed.changes === true ? twins.real : alice;
  return lab.doveadm(wordsOf(typed, user, socket), { stdin: typed.stdin ?? '' });
}

function runOurs(lab: Lab, link: string, typed: TypedLine): Promise<ProgramResult> {
  const user = typed.changes === true ? twins.ours : alice;
  const socket = typed.isLocal === true ? undefined : lab.unixPreauth;
  const words = wordsOf(typed, user, socket);
  // What reads stdin needs a process of its own; that shows the way from the name to the program as well.
  return typed.stdin === undefined
    ? runWarmDoveadm(words, { env: environment(lab.unixPreauth) })
    : run(link, words, { stdin: typed.stdin, socket: lab.unixPreauth });
}

/** The line for `send`, as alice; undefined: it has other words there, or changes what the others print. */
function sendWordsOf(typed: TypedLine): readonly string[] | undefined {
  const [, format, line] = /^(?:-f (\w+) )?([a-z].*)$/.exec(typed.line) ?? [];
  if (line === undefined || !line.includes(' -u $U') || typed.changes === true || typed.isLocal === true)
    return undefined;
  const words = wordsOf({ line: line.replace(' -u $U', '') }, alice, undefined);
  return [...(format === undefined ? [] : ['--format', format]), '--', ...words];
}

function run(
  link: string,
  words: readonly string[],
  { stdin = '', socket }: { stdin?: string; socket?: string } = {},
): Promise<ProgramResult> {
  return runProgram(process.execPath, [link, ...words], { stdin, env: environment(socket) });
}

function environment(socket: string | undefined): Readonly<Record<string, string | undefined>> {
  return { DOVEGATE_CLIENT_CONFIG: '/nonexistent/client.yaml', DOVEADM_SOCKET: socket };
}

/** As latin1, so that no byte is lost; users by one name. */
function textOf(stdout: Buffer, typed: TypedLine): string {
  const all = stdout.toString('latin1').replaceAll(twins.ours, twins.real);
  const text = typed.isOfNow === true ? all.replace(/\d+/g, '0') : all;
  return typed.isUnordered === true ? sorted(Buffer.from(text, 'latin1')) : text;
}

/** What a reader finds in a text of which only the form differs. */
function readAs({ ours }: TypedLine, text: string): unknown {
  if (ours === 'json') return JSON.parse(text);
  if (ours === 'columns') return columnsOf(text);
  return text;
}

function sorted(stdout: Buffer): string {
  return stdout.toString('latin1').split('\n').toSorted().join('\n');
}
