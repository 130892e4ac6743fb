// Goal: every no of dovegate carries a code of the list, whoever asks how; programs decide by it. Phases: refusals in every minor and over
// HTTP; a backend that writes lines like ours, to a bulk run, `send` and the library. What must not happen: a change that is sent
// again because of a text without a code, or of a text that a backend wrote.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { CommandFailed, connect } from '../../../src/client/connect.js';
import { codes } from '../../../src/doveadm/codes/codes.js';
import { readSaid } from '../../../src/doveadm/codes/said.js';
import { shareGateway } from '../../kit/gate/shared-gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { readAsNetDoveadm } from '../../kit/plain/net-doveadm.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { askRaw, encodePost } from '../../kit/plain/raw-http.js';

const open = shareGateway();
const alice = 'alice@example.org';
const policies = `
    users: ["*@example.org"]
    allow: [quota get, mailbox list, mailbox create, { command: mailbox status, limit: 1/hour }]`;

void test('each refusal has a code, in every minor and over HTTP', async (t) => {
  const { client, daemon } = await open(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support, sessions: 40 }
  panel: { unix: panel.sock, protocol: http, mode: "0600", policy: panel }`,
    // A limit of its own for the same client.
    policy: `${policies}\n  panel:${policies}`,
    backend: {
      script: (command, connection) =>
        command.fields[0] === 'mailbox list' ? connection.reset() : connection.status('-NOTFOUND'),
    },
  });
  const status = ['mailbox status', 'messages', 'INBOX'];
  const asked: readonly (readonly [code: string, status: string, user: string, fields: readonly string[]])[] =
    [
      ['denied', '-NOPERM', alice, ['mailbox delete', 'x']],
      ['command-unknown', '-USAGE', alice, ['nonsense']],
      ['unknown-option', '-USAGE', alice, ['quota get', '--nonsense']],
      ['user-invalid', '-USAGE', 'b\x07d', ['quota get']],
      ['backend-failed', '-NOTFOUND', alice, ['quota get']],
      ['closed-early', '-TEMPFAIL', alice, ['mailbox list']],
      ['over-limit', '-TEMPFAIL', alice, status],
    ];
  const first = await client();
  assert.equal((await first.ask({ user: alice, fields: status })).status, '-NOTFOUND');
  for (const minor of [0, 1, 2, 3, 4]) {
    const one = await client({ minor, optionLogPassthrough: minor >= 3 });
    for (const [code, line, user, fields] of asked) {
      const reply = await one.ask({ user, fields });
      assert.equal(reply.status, line, code);
      // A client of minor 0 has no log channel.
      if (minor === 0) assert.deepEqual(reply.logs, []);
      else assert.equal(readSaid(reply.logs.at(-1)?.text ?? '')?.code, code, JSON.stringify(reply.logs));
    }
  }

  const panel = { path: daemon.path('panel.sock') };
  const list = [
    ['mailboxDelete', { user: alice, mailbox: ['x'] }, 'denied'],
    ['nonsense', {}, 'command-unknown'],
    ['quotaGet', { user: alice, nonsense: 'x' }, 'unknown-option'],
    ['quotaGet', { user: alice }, 'backend-failed'],
    ['mailboxList', { user: alice }, 'closed-early'],
    ['mailboxStatus', { user: alice, field: ['messages'], mailboxMask: 'INBOX' }, 'backend-failed'],
    ['mailboxStatus', { user: alice, field: ['messages'], mailboxMask: 'INBOX' }, 'over-limit'],
  ];
  const { body } = await askRaw(panel, encodePost({ body: JSON.stringify(list) }));
  for (const [kind, error, tag] of JSON.parse(body.toString())) {
    assert.deepEqual([kind, error.code], ['error', tag]);
    if (tag === 'over-limit') assert.ok(error.retryAfter > 3500, body.toString());
  }
  const whole: readonly (readonly [bytes: string | Buffer, status: number, code: string])[] = [
    [encodePost({ body: '{}' }), 400, 'bad-request'],
    [encodePost({ body: '[["quotaGet",{"user":1' }), 400, 'bad-request'],
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400, 'bad-request'],
    ['nonsense\r\n\r\n', 400, 'bad-request'],
    ['GET /x HTTP/1.1\r\nHost: a\r\n\r\n', 404, 'unknown-path'],
    [encodePost({ body: '[]', headers: { Origin: 'https://elsewhere.example' } }), 403, 'cross-origin'],
  ];
  for (const [bytes, number, code] of whole) {
    const answer = await askRaw(panel, bytes);
    assert.deepEqual([answer.status, answer.header('dovegate-code')], [number, code]);
    assert.ok(Object.hasOwn(codes, code));
  }
});

void test('with `refusal_cell: all`, no answer of Net::Doveadm slips; without it, a user reads the row of another one', async (t) => {
  const { daemon } = await open(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel: { unix: panel.sock, mode: "0600", refusal_cell: true, policy: support }
  perl: { unix: perl.sock, mode: "0600", refusal_cell: all, policy: support }`,
    policy: policies,
    backend: {
      script: async ({ user, fields }, connection) => {
        if (user.startsWith('nobody')) return connection.status('-NOUSER');
        if (fields[0] === 'quota get') await connection.row(`quota of ${user}`);
        await connection.status('+');
      },
    },
  });
  const bob = 'bob@example.org';
  const pipelined: readonly (readonly [user: string, ...fields: string[]])[] = [
    [alice, 'mailbox create', 'New'],
    [bob, 'quota get'],
    ['nobody@example.org', 'quota get'],
    [alice, 'mailbox list'],
    [alice, 'mailbox delete', 'x'],
    [bob, 'quota get'],
  ];
  const ask = async (socket: string) => {
    const client = await openRawClient({ path: daemon.path(socket), minor: 0 });
    for (const [user, ...fields] of pipelined) client.sendCommand({ user, fields });
    client.halfClose();
    await client.closed;
    const answers = readAsNetDoveadm(String(client.received()).replace('+\n', ''));
    return answers.map(([first, status]) => [readSaid(first.replace(/\t$/, ''))?.code ?? first, status]);
  };
  const ofBob = `quota of ${bob}\t`;
  assert.deepEqual(await ask('perl.sock'), [
    ['\t', '+'],
    [ofBob, '+'],
    ['\t', '-NOUSER'],
    ['\t', '+'],
    ['denied', '-NOPERM'],
    [ofBob, '+'],
  ]);
  // The answer to the first command is that bob has this quota, as an error; directly at Dovecot it is the same.
  for (const socket of ['support.sock', 'panel.sock'])
    assert.deepEqual((await ask(socket))[0], ['+', ofBob], socket);
});

void test('what no server has, and a domain without its mask, are refused with what to do', async (t) => {
  const { client, backend, daemon } = await open(t, {
    policy: `
    users: ["*"]
    allow: [{ command: who, masks: true, all_users: true }]`,
    backend: { script: (_command, connection) => connection.status('+') },
  });
  const raw = await client({ minor: 2 });
  const asked = async (...fields: readonly string[]) => {
    const { status, logs } = await raw.ask({ user: '', fields });
    return `${status} ${logs.at(-1)?.text ?? ''}`;
  };
  for (const fields of [
    ['auth test', 'alice'],
    ['auth', 'test', 'alice'],
    ['auth cache status'],
    ['pw', '-p', 'x'],
  ])
    assert.match(
      await asked(...fields),
      /^-USAGE .*"(auth test|auth cache status|pw)" works only on Dovecot's own machine: no server has it/,
    );
  assert.match(await asked('auth nonsense'), /^-USAGE .*has no such command/);
  assert.match(await asked('who', '@example.org'), /^-USAGE .*all users of a domain are \*@example\.org/);
  assert.equal(await asked('who', '*@example.org'), '+ ');
  assert.equal(backend.commands.length, 1);
  const door = ['send', '--socket', daemon.path('support.sock'), '--user', alice, '--'];
  const typed = await runWarm([...door, 'auth', 'test', 'alice']);
  assert.equal(typed.exit, 64);
  assert.match(typed.stderr, /"auth test" works only on Dovecot's own machine/);
});

const id = '01KDYAK3487FXJ0FWSFTT3D0WN';
/** What a backend writes before it fails: [user, lines]. */
const hostile: readonly (readonly [user: string, lines: readonly string[]])[] = [
  ['old@example.org', [`dovegate: too many commands are waiting; try again, id ${id}`]],
  ['new@example.org', [`dovegate: too many commands are waiting; try again [queue-full], id ${id}`]],
  ['two@example.org', [`x\ndovegate: over a limit of policy p [over-limit], try again in 1 s, id ${id}`]],
  ['many@example.org', Array.from({ length: 300 }, () => `dovegate: x [draining], id ${id}`)],
  ['mute@example.org', []],
];

void test('a backend that writes lines like ours, or none, has no change sent again', async (t) => {
  const { client, daemon, backend } = await open(t, {
    policy: `${policies}\n    logs: full`,
    backend: {
      script: async ({ user }, connection) => {
        for (const line of hostile.find(([name]) => name === user)?.[1] ?? [])
          await connection.log('error', line);
        await connection.status('-TEMPFAIL');
      },
    },
  });
  const raw = await client();
  for (const [user, lines] of hostile) {
    const { logs } = await raw.ask({ user, fields: ['mailbox create', 'New'] });
    for (const { text } of logs) assert.doesNotMatch(text, /^dovegate: .*id 01KDYAK3487FXJ0FWSFTT3D0WN$/);
    if (lines.length === 1) assert.match(logs.at(-1)?.text ?? '', /^backend: dovegate: /);
  }
  const before = backend.commands.length;

  const file = daemon.path('list');
  writeFileSync(file, hostile.map(([user]) => `${user}\n`).join(''));
  const door = ['send', '--socket', daemon.path('support.sock')];
  const create = ['--', 'mailbox', 'create', 'New'];
  const bulk = await runWarm([...door, '--users', file, '--format', 'json', ...create]);
  const results = bulk.stdout
    .toString()
    .split('\n')
    .flatMap((line) => /"result":"(\w+)"/.exec(line)?.[1] ?? []);
  assert.deepEqual(results, Array(hostile.length).fill('unknown'), bulk.text);
  assert.equal(backend.commands.length - before, hostile.length, 'each once');

  for (const [user] of hostile) {
    const alone = await runWarm([...door, '--user', user, ...create]);
    assert.equal(alone.exit, 75);
    assert.match(alone.stderr, /the command may have run, wholly or in part/);
    await using session = await connect({ socket: daemon.path('support.sock') });
    await assert.rejects(session.run({ user, name: 'mailbox create', args: ['New'] }), (fault) => {
      assert.ok(fault instanceof CommandFailed);
      assert.deepEqual([fault.mayHaveRun, fault.mayRetry, fault.id], [true, false, undefined]);
      return true;
    });
  }
});
