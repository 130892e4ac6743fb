// Goal: a bulk run through the daemon. Phases: every kind of result, as a table and as JSON; a run that is killed twice and gone on with;
// limits; Ctrl-C; a list from the server; names that are one user.
// What must not happen: a user that is sent twice, or that has neither a result nor a place among the unknown; one failure that stops the rest.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../src/domain/keys/key.js';
import { builtProgram, type Daemon, runDovegate, startDaemon } from '../kit/daemon.js';
import { freePorts } from '../kit/free-ports.js';
import { auditRecords, openGateway } from '../kit/gateway.js';
import type { ProgramOptions } from '../kit/program.js';
import { authority, filesOf, hash, password } from '../kit/tcp-gate.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';

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
  const { daemon } = await openGateway(t, {
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
  await daemon.stop();
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

test('killed twice and gone on with: nobody twice, and nobody missing but the unknown', async (t) => {
  const count = 120;
  const { daemon, backend } = await openGateway(t, {
    policy,
    backend: {
      script: async ({ user }, connection) => {
        await new Promise((resolve) => {
          setTimeout(resolve, 5);
        });
        await connection.status(user === userOf(7) ? '-NOTFOUND' : '+');
      },
    },
  });
  const list = daemon.path('list');
  const state = daemon.path('run.state');
  writeFileSync(list, listOf(count));
  const command = ['--', 'mailbox', 'create', 'New'];
  const asked = ['--users', list, '--jobs', '3', '--resume', state, '--format', 'json', ...command];
  const results: Line[] = [];
  for (const share of [0.25, 0.6]) {
    const { child, said, ended } = begin(daemon, asked);
    await until(() => backend.commands.length > count * share, `${share} of the users`);
    child.kill('SIGKILL');
    await ended;
    results.push(...linesOf(said.out));
    assert.equal(statSync(state).mode & 0o777, 0o600);
    // A line that was cut, as a power cut leaves it.
    writeFileSync(state, `${readFileSync(state, 'utf8')}> 99`, { mode: 0o600 });
  }
  const last = await bulk(daemon, asked);
  results.push(...linesOf(last.stdout.toString()));
  assert.equal(last.exit, 1, last.stderr);
  assert.match(last.stderr, /goes on with bulk-[0-9a-f]{16}: \d+ of 120 users have a result/);
  const again = await bulk(daemon, asked);
  assert.deepEqual([again.exit, linesOf(again.stdout.toString())], [1, []]);
  assert.match(again.stderr, /120 users: \d+ ok, 1 failed, \d unknown/);

  const sent = backend.commands.map(({ user }) => user);
  assert.equal(new Set(sent).size, sent.length, 'nobody twice');
  const missing = Array.from({ length: count }, (_, at) => userOf(at)).filter((user) => !sent.includes(user));
  const unknown = results.filter(({ result }) => result === 'unknown');
  assert.ok(unknown.length <= 6, 'those of the workers of two runs');
  for (const user of missing)
    assert.ok(
      unknown.some((line) => line.user === user),
      user,
    );
  assert.equal(new Set(results.map(({ user }) => user)).size, count);
  await daemon.stop();
  // The journal has the command of each unknown user under its tag, or it was never sent.
  const admissions = auditRecords(daemon).filter(
    ({ event, command: name }) => event === 'admission' && name === 'mailbox create',
  );
  assert.equal(admissions.length, sent.length);
  const tags = new Map(admissions.map(({ tag, user }) => [tag, user]));
  assert.equal(tags.size, sent.length);
  for (const { user, tag } of unknown) assert.equal(tags.has(tag), sent.includes(user), user);
  t.diagnostic(`${sent.length} sent, ${unknown.length} unknown, ${missing.length} of them not sent`);
});

test('another command, list or server does not go on with a state, nor do two runs at once, nor another file', async (t) => {
  const { daemon } = await openGateway(t, {
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
  assert.deepEqual([busy.exit, /another run has the state file/.test(busy.stderr)], [75, true]);
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
  const { daemon, backend } = await openGateway(t, {
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

test('a dry run asks a user whose mailbox is missing once, and its summary adds up', async (t) => {
  const { daemon, backend } = await openGateway(t, {
    policy: `\n    users: ["*"]\n    allow: [{ command: expunge, where: { query: any }, content: true }]`,
    more: naming,
    backend: {
      script: async ({ user }, connection) => {
        if (user === userOf(1)) return connection.status('-NOTFOUND');
        if (user === userOf(2)) return connection.status('-NOUSER');
        await connection.row('guid', '7');
        await connection.status('+');
      },
    },
  });
  const list = daemon.path('list');
  writeFileSync(list, listOf(3));
  const words = ['--dry-run', '--users', list, '--', 'expunge', 'mailbox', 'Old', 'all'];
  const { exit, stdout, stderr } = await bulk(daemon, words);
  assert.match(stdout.toString(), /^u1@example\.org +failed .*\(NOTFOUND\)/m);
  assert.match(stdout.toString(), /^u2@example\.org +failed .*\(NOUSER\)/m);
  assert.equal(
    stderr,
    'dovegate: dry run, nothing was changed: it would run for 1 of 3 users (1 mails; 1 on mail1), 2 failed\n',
  );
  assert.equal(exit, 1);
  assert.deepEqual(backend.commands.map(({ user }) => user).toSorted(), [0, 1, 2].map(userOf));
});

test('a dry run with --resume makes no state, and leaves out who has a result', async (t) => {
  const { daemon, backend } = await openGateway(t, {
    policy,
    backend: { script: (_command, connection) => connection.status('+') },
  });
  const list = daemon.path('list');
  const state = daemon.path('run.state');
  writeFileSync(list, listOf(3));
  const asked = ['--users', list, '--resume', state];
  const command = ['--', 'mailbox', 'create', 'New'];
  const before = await bulk(daemon, ['--dry-run', ...asked, ...command]);
  assert.equal(before.exit, 0, before.stderr);
  assert.match(before.stderr, /it would run for 3 of 3 users/);
  assert.equal(existsSync(state), false);
  const run = await bulk(daemon, [...asked, ...command]);
  assert.equal(run.exit, 0, run.stderr);
  assert.equal(backend.commands.length, 3);
  // As a kill leaves it: the second user was never begun.
  const [head = '', first = ''] = readFileSync(state, 'utf8').split('\n');
  const cut = `${head}\n${first}\n+ 1\n`;
  writeFileSync(state, cut);
  const after = await bulk(daemon, ['--dry-run', ...asked, ...command]);
  assert.equal(after.exit, 0, after.stderr);
  assert.match(after.stderr, /it would run for 2 of 3 users .*, 1 with a result already/);
  assert.equal(readFileSync(state, 'utf8'), cut);
  assert.equal(backend.commands.length, 3);
});

test('a run waits where a limit says so, and Ctrl-C ends it with what runs', async (t) => {
  const { daemon, backend } = await openGateway(t, {
    policy: `${policy}\n    limits: { rate: 20/hour }`,
    backend: { script: (_command, connection) => connection.status('+') },
  });
  const list = daemon.path('list');
  writeFileSync(list, listOf(30));
  const state = daemon.path('run.state');
  const { child, said, ended } = begin(daemon, [
    '--users',
    list,
    '--jobs',
    '2',
    '--resume',
    state,
    '--',
    'mailbox',
    'create',
    'New',
  ]);
  await until(() => said.err.includes('over a limit of policy support'), 'the limit');
  child.kill('SIGINT');
  await ended;
  assert.equal(child.exitCode, 75, said.err);
  assert.match(
    said.err,
    /20 users: 20 ok, 0 failed, 0 unknown\n.*10 users left; go on with the same command and --resume/,
  );
  assert.equal(backend.commands.length, 20);
  assert.doesNotMatch(readFileSync(state, 'utf8'), /^\?/m);
});

test('a daemon that is restarted meanwhile costs nobody anything', async (t) => {
  const { daemon, backend, configuration } = await openGateway(t, {
    policy,
    backend: {
      script: async (_command, connection) => {
        await new Promise((resolve) => {
          setTimeout(resolve, 10);
        });
        await connection.status('+');
      },
    },
  });
  const list = daemon.path('list');
  writeFileSync(list, listOf(80));
  const { said, ended } = begin(daemon, ['--users', list, '--jobs', '3', '--', 'mailbox', 'create', 'New']);
  await until(() => backend.commands.length > 20, 'the first users');
  await daemon.stop();
  await startDaemon(t, { folder: daemon.folder, config: configuration({}) });
  await ended;
  assert.match(said.err, /80 users: \d+ ok, 0 failed, \d unknown/);
  const sent = backend.commands.map(({ user }) => user);
  assert.deepEqual([sent.length, new Set(sent).size], [80, 80]);
});

test('a mask is listed by the server; a list of both kinds of names is read as the server reads it', async (t) => {
  const { daemon, backend } = await openGateway(t, {
    policy,
    more: naming,
    backend: {
      script: async ({ fields }, connection) => {
        if (fields[0] === 'user') await connection.row(JSON.stringify({ userList: [userOf(0), userOf(1)] }));
        await connection.status('+');
      },
    },
  });
  const masked = await bulk(daemon, ['--users', '*@example.org', '--', 'mailbox', 'create', 'New']);
  assert.equal(masked.exit, 0, masked.stderr);
  assert.match(masked.stdout.toString(), /^u0@example\.org +ok$/m);
  const mixed = await bulk(daemon, ['--users', '-', '--', 'quota', 'get'], {
    stdin: 'u7\nu7@example.org\nU7@EXAMPLE.org\n',
  });
  assert.match(mixed.stderr, /1 user: 1 ok/);
  assert.deepEqual(backend.commands.map(({ user, fields }) => [user, fields[0]]).slice(1), [
    [userOf(0), 'mailbox create'],
    [userOf(1), 'mailbox create'],
    [userOf(7), 'quota get'],
  ]);
  for (const [args, code] of [
    [['--users', '-', '--', 'who'], 64],
    [['--users', '-', '--', 'quota', 'get'], 65],
    [['--rate', '3/s', '--', 'quota', 'get'], 64],
  ] as const)
    assert.equal((await bulk(daemon, args, {})).exit, code, args.join(' '));
  await daemon.stop();
  const gone = await bulk(daemon, ['--users', '-', '--', 'quota', 'get'], { stdin: 'u1@x.org\n' });
  assert.deepEqual([gone.exit, /cannot be reached/.test(gone.stderr)], [75, true], gone.stderr);
});

test('over TLS with an account, and over HTTP with a key', async (t) => {
  const [tcp = 0, http = 0] = await freePorts(2);
  const key = makeKey(randomBytes(keyBytes));
  const tls = '{ mode: implicit, certificate: gate.crt, key: gate.key }';
  const { daemon, backend } = await openGateway(t, {
    policy: `${policy}\n    limits: { rate: 10/second }`,
    listeners: `
  desk: { tcp: "127.0.0.1:${tcp}", tls: ${tls}, accounts: { anna: { password_hash: "${hash}", policy: support } } }
  panel: { tcp: "127.0.0.1:${http}", protocol: http, tls: ${tls}, keys: { panel: { hash: "${hashKey(key)}", policy: support } } }`,
    files: filesOf(authority),
    backend: {
      script: ({ user }, connection) => connection.status(user === userOf(1) ? '-NOUSER' : '+'),
    },
  });
  const fileOf = (name: string, text: string): string => {
    writeFileSync(daemon.path(name), text, { mode: 0o600 });
    return daemon.path(name);
  };
  const list = fileOf('list', listOf(12));
  const ca = fileOf('authority.pem', authority.certificatePem);
  const account = ['--account', 'anna', '--password-file', fileOf('pw', password), '--tls', 'implicit'];
  for (const [at, where] of [
    ['--socket', `localhost:${tcp}`, ...account],
    ['--http', `https://localhost:${http}`, '--key-file', fileOf('panel.key', key)],
  ].entries()) {
    const asked = [
      '--ca',
      ca,
      '--users',
      list,
      '--jobs',
      '3',
      '--format',
      'json',
      '--',
      'mailbox',
      'create',
      'New',
    ];
    const { exit, stdout, stderr } = await runWarm(['send', ...where, ...asked]);
    assert.equal(exit, 1, stderr);
    const lines = linesOf(stdout.toString());
    assert.equal(lines.filter(({ result }) => result === 'ok').length, 11, stderr);
    assert.equal(lines.find(({ user }) => user === userOf(1))?.['code'], 'NOUSER');
    assert.equal(backend.commands.length, 12 * (at + 1), 'nobody twice, although ten a second are all');
  }
  await daemon.stop();
  const records = auditRecords(daemon).filter(
    ({ event, decision }) => event === 'admission' && decision === 'allow',
  );
  assert.ok(records.every(({ tag }) => /^bulk-[0-9a-f]{16}-\d+$/.test(String(tag))));
});
