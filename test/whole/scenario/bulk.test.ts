// Goal: a bulk run through the daemon. Phases: every kind of result, as a table and as JSON; a state of another run; Ctrl-C; a dry run;
// a restart of the daemon. That a killed run goes on is shown in front of Dovecot.
// What must not happen: a user that is sent twice, or that has neither a result nor a place among the unknown; one failure that stops the
// rest.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { builtProgram, type Daemon, runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { shareGateway } from '../../kit/gate/shared-gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { ProgramOptions } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';

const open = shareGateway();
const policy = `
    users: ["*"]
    allow: [quota get, mailbox create, mailbox list, { command: user, masks: true }]`;
const naming = 'mail_users: { default_realm: example.org }\n';

const userOf = (at: number): string => `u${at}@example.org`;

function listOf(count: number): string {
  return Array.from({ length: count }, (_, at) => `${userOf(at)}\n`).join('');
}

interface Line {
  readonly user: string;
  readonly result: 'ok' | 'failed' | 'unknown';
  readonly [key: string]: unknown;
}

const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line): Line => JSON.parse(line));

/** In a process of its own where it reads stdin. */
const bulk = (daemon: Daemon, args: readonly string[], options?: ProgramOptions) => {
  const all = ['send', '--socket', daemon.path('support.sock'), ...args];
  return options === undefined ? runWarm(all) : runDovegate(all, options);
};

/** A run that can be ended; its output goes on in a text. */
function begin(daemon: Daemon, args: readonly string[]) {
  const words = [builtProgram, 'send', '--socket', daemon.path('support.sock'), ...args];
  const child: ChildProcess = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    said.out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    said.err += chunk.toString();
  });
  return { child, said, ended: once(child, 'close') };
}

test('each user has one result, whatever comes of the others', async (t) => {
  const { daemon } = await open(t, {
    policy: `${policy}\n    except: ["*@secret.org"]`,
    more: naming,
    backend: {
      script: async ({ user }, connection) => {
        if (user === userOf(1)) return connection.status('-NOUSER');
        if (user === userOf(2)) return connection.status('-NOTFOUND');
        await connection.row('User quota', 'STORAGE', '1', '2', '\x1b[31m');
        await connection.status('+');
      },
    },
  });
  const list = daemon.path('list');
  const bad = 'x'.repeat(400);
  writeFileSync(
    list,
    `# people\n${listOf(4)}\r\n\nU0@Example.ORG\nu3\nboss@secret.org\n${bad}\nbad\x07name\n`,
  );
  const asked = ['--users', list, '--reason', 'ticket 4711', '--format', 'json', '--', 'quota', 'get'];
  const { exit, stdout, stderr } = await bulk(daemon, asked);
  assert.equal(exit, 1, stderr);
  const lines = linesOf(stdout.toString());
  const results = new Map(lines.map((line) => [line.user, line]));
  assert.equal(lines.length, 7, stdout.toString());
  const rows = [{ root: 'User quota', type: 'STORAGE', value: '1', limit: '2', percent: '\x1b[31m' }];
  assert.deepEqual(results.get(userOf(0))?.['rows'], rows);
  assert.ok(!stdout.includes(0x1b));
  const codes = lines.map(({ user, result, code }) => [user.slice(0, 9), result, code]);
  assert.deepEqual(
    codes.toSorted(([one = ''], [other = '']) => (String(one) < String(other) ? -1 : 1)),
    [
      ['bad\x07name', 'failed', 'DATAERR'],
      ['boss@secr', 'failed', 'NOPERM'],
      ['u0@exampl', 'ok', undefined],
      ['u1@exampl', 'failed', 'NOUSER'],
      ['u2@exampl', 'failed', 'NOTFOUND'],
      ['u3@exampl', 'ok', undefined],
      ['xxxxxxxxx', 'failed', 'DATAERR'],
    ],
  );
  assert.match(stderr, /7 users: 2 ok, 5 failed, 0 unknown \(2 lines of the list named a user again\)/);
  const tabs = (
    await bulk(
      daemon,
      asked.map((word) => (word === 'json' ? 'tab' : word)),
    )
  ).stdout.toString();
  const lineFor = (user: string) => tabs.split('\n').find((line) => line.startsWith(`${user}\t`));
  assert.equal(lineFor(userOf(0)), `${userOf(0)}\tok\tUser quota\tSTORAGE\t1\t2\t\\x1b[31m`);
  assert.match(lineFor(userOf(1)) ?? '', /\tfailed\tNOUSER: /);
  assert.equal(tabs.trimEnd().split('\n').length, 7, tabs);
  const admissions = auditRecords(daemon).filter(
    ({ event, command }) => event === 'admission' && command === 'quota get',
  );
  const byTag = new Map(admissions.map((record) => [record['tag'], record]));
  for (const user of [0, 1, 3].map(userOf)) {
    const record = byTag.get(results.get(user)?.['tag']);
    assert.deepEqual([record?.['user'], record?.['reason']], [user, 'ticket 4711']);
  }
  assert.equal(
    results.get('boss@secret.org')?.['id'],
    byTag.get(results.get('boss@secret.org')?.['tag'])?.['id'],
  );
});

test('another command, list or server does not go on with a state, nor do two runs at once, nor another file', async (t) => {
  const { daemon } = await open(t, {
    policy,
    backend: {
      script: async ({ user }, connection) => {
        if (user === userOf(1)) await connection.closed;
        await connection.status('+');
      },
    },
  });
  const list = daemon.path('list');
  const other = daemon.path('other');
  const state = daemon.path('run.state');
  writeFileSync(list, listOf(2));
  writeFileSync(other, listOf(3));
  const args = (users: string, ...command: string[]) => [
    '--users',
    users,
    '--resume',
    state,
    '--',
    ...command,
  ];
  const first = begin(daemon, args(list, 'mailbox', 'create', 'New'));
  await until(() => existsSync(state) && readFileSync(state, 'utf8').includes('> 2'), 'the second user');
  const busy = await bulk(daemon, args(list, 'mailbox', 'create', 'New'));
  assert.deepEqual([busy.exit, /, another run, has the state file/.test(busy.stderr)], [75, true]);
  first.child.kill('SIGINT');
  await until(() => first.said.err.includes('waits for what runs'), 'the first signal');
  first.child.kill('SIGINT');
  await first.ended;
  assert.equal(first.child.exitCode, 1, first.said.err);
  assert.match(first.said.err, /2 users: 1 ok, 0 failed, 1 unknown/);
  const before = readFileSync(state, 'utf8');
  for (const wrong of [
    args(list, 'mailbox', 'create', 'Old'),
    args(other, 'mailbox', 'create', 'New'),
    ['--dry-run', ...args(list, 'mailbox', 'create', 'Old')],
  ]) {
    const { exit, stderr } = await bulk(daemon, wrong);
    assert.deepEqual([exit, /another command, list or server/.test(stderr)], [65, true], stderr);
  }
  const dry = await bulk(daemon, ['--dry-run', ...args(list, 'mailbox', 'create', 'New')]);
  assert.match(dry.stderr, /it would run for 0 of 2 users, 2 with a result already/);
  assert.equal(dry.exit, 0);
  const mine = daemon.path('mine.txt');
  writeFileSync(mine, 'my notes\n');
  const notes = await bulk(daemon, ['--users', list, '--resume', mine, '--', 'mailbox', 'create', 'New']);
  assert.deepEqual([notes.exit, readFileSync(mine, 'utf8')], [65, 'my notes\n']);
  assert.equal(readFileSync(state, 'utf8'), before);
});

test('a dry run lists differences only, and ends with a summary', async (t) => {
  const { daemon, backend } = await open(t, {
    policy: `
    users: ["*"]
    except: ["*@secret.org"]
    allow: [{ command: mailbox create, users: ["*@example.org"] }, { command: mailbox create, users: ["*@example.net"], reason: required }]`,
    more: naming,
  });
  const list = daemon.path('list');
  writeFileSync(list, `${listOf(6)}anna@example.net\nboss@secret.org\n`);
  const asked = ['--dry-run', '--reason', 'ticket 4711', '--users', list];
  const command = ['--', 'mailbox', 'create', 'New'];
  const { exit, stdout, stderr } = await bulk(daemon, [...asked, ...command]);
  assert.equal(exit, 1, stderr);
  const lines = stdout.toString().trimEnd().split('\n').slice(1);
  assert.equal(lines.length, 2, stdout.toString());
  assert.match(lines[0] ?? '', /^anna@example\.net +ok +(?:.*; )?term the client must say why$/);
  assert.match(lines[1] ?? '', /^boss@secret\.org +failed +NOPERM: denied by policy support \(/);
  assert.match(
    stderr,
    /^dovegate: dry run, nothing was changed: it would run for 7 of 8 users \(7 on mail1\), 1 denied$/m,
  );
  // A program gets all answers.
  const json = await bulk(daemon, [...asked, '--format', 'json', ...command]);
  assert.equal(linesOf(json.stdout.toString()).length, 8, json.text);
  assert.equal(backend.commands.length, 0);
});

test('a daemon that is restarted meanwhile costs nobody anything', async (t) => {
  const { daemon, backend, configuration } = await openGateway(t, {
    policy,
    backend: {
      script: async (_command, connection) => {
        await pause(10);
        await connection.status('+');
      },
    },
  });
  const list = daemon.path('list');
  writeFileSync(list, listOf(80));
  const { said, ended } = begin(daemon, ['--users', list, '--jobs', '3', '--', 'mailbox', 'create', 'New']);
  await until(() => backend.commands.length > 20, 'the first users');
  await daemon.stop();
  const again = await startDaemon(t, { folder: daemon.folder, config: configuration({}) });
  await ended;
  assert.match(said.err, /80 users: \d+ ok, 0 failed, \d unknown/);
  const sent = backend.commands.map(({ user }) => user);
  assert.deepEqual([sent.length, new Set(sent).size], [80, 80]);

  // Without a daemon each user is told.
  await again.stop();
  const gone = await bulk(daemon, ['--users', '-', '--', 'quota', 'get'], { stdin: 'u1@x.org\n' });
  assert.deepEqual([gone.exit, /cannot be reached/.test(gone.stderr)], [75, true], gone.stderr);
});
