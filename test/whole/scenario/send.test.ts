// Goal: `dovegate send` and the drop-in doveadm end and speak as doveadm 2.4 does, whatever the server says. Phases: every status; ends
// without a status; log lines; input; time limits and signals; TCP with client.yaml. What must not happen: a rest of a text that is sent
// behind an answer, a program that hangs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { builtProgram, runDovegate } from '../../kit/gate/daemon.js';
import type { Script } from '../../kit/gate/script.js';
import {
  openScriptedDovecot,
  type ScriptedDovecot,
  type ScriptedDovecotOptions,
} from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { type ProgramOptions, type ProgramResult, runProgram } from '../../kit/plain/program.js';

const alice = 'alice@example.org';

interface Here {
  readonly folder: string;
  readonly socket: string;
  readonly server: ScriptedDovecot;
  readonly send: (words: readonly string[], options?: ProgramOptions) => Promise<ProgramResult>;
  readonly doveadm: (words: readonly string[], options?: ProgramOptions) => Promise<ProgramResult>;
}

async function openHere(
  owner: Owner,
  script: Script,
  more: Partial<ScriptedDovecotOptions> = {},
): Promise<Here> {
  const folder = openFolder(owner);
  const socket = join(folder, 's');
  const server = await openScriptedDovecot({ unix: socket, minor: 3, script, ...more, owner });
  const link = join(folder, 'doveadm');
  symlinkSync(builtProgram, link);
  return {
    folder,
    socket,
    server,
    send(words, options) {
      const args = ['send', '--socket', socket, '--user', alice, ...words];
      // What reads stdin has a process of its own.
      return options === undefined ? runWarm(args) : runDovegate(args, options);
    },
    doveadm: (words, options = {}) =>
      runProgram(process.execPath, [link, ...words], {
        ...options,
        env: { DOVEGATE_CLIENT_CONFIG: join(folder, 'client.yaml'), ...options.env },
      }),
  };
}

test('every status has the exit code of doveadm 2.4, and what came before it is printed', async (t) => {
  let status = '+';
  const { send } = await openHere(t, async (_command, connection) => {
    await connection.row('User quota', 'STORAGE', '1', '2', '3');
    await connection.status(status);
  });
  const codes: [string, number][] = [
    ['+', 0],
    ['+ extra', 0],
    ['-', 255],
    ['-UNKNOWN', 255],
    ['-75', 255],
    ['-TEMPFAIL', 75],
    ['-USAGE', 64],
    ['-NOPERM', 77],
    ['-NOUSER', 67],
    ['-PROTOCOL', 76],
    ['-DATAERR', 65],
    ['-NOTFOUND', 68],
    ['-CHANGED', 2],
    ['-EXPIRED', 235],
    ['-NOREPLICATE', 255],
  ];
  for (const [line, code] of codes) {
    status = line;
    const { exit, stdout, stderr } = await send(['--format', 'tab', '--', 'quota', 'get']);
    assert.equal(exit, code, `${line}: ${stderr}`);
    assert.equal(
      stdout.toString(),
      'Quota name\tType\tValue\tLimit\t%\nUser quota\tSTORAGE\t1\t2\t3\n',
      line,
    );
    if (line === '-NOUSER')
      assert.match(stderr, /Error: cmd quota get: .*: No such user: alice@example\.org\n$/);
  }
});

test('an end without a status, and a server that is not there, are 75', async (t) => {
  const { send, server } = await openHere(t, async (_command, connection) => {
    await connection.row('INBOX');
    connection.end();
  });
  const cut = await send(['--', 'mailbox', 'list']);
  assert.equal(cut.exit, 75);
  assert.equal(cut.stdout.toString(), 'INBOX\n');
  assert.match(cut.stderr, /Command mailbox list failed for alice@example\.org/);
  await server.close();
  const gone = await send(['--', 'mailbox', 'list']);
  assert.deepEqual([gone.exit, gone.stdout.length], [75, 0]);
  const typo = await send(['--', 'mailbox', 'list', '--subscribd']);
  assert.equal(typo.exit, 64);
});

test('a command that names another user than --user is not sent', async (t) => {
  const { send, server } = await openHere(t, (_command, connection) => connection.status('+'));
  const twice = await send(['--', 'expunge', '-u', 'bob@example.org', 'mailbox', 'Trash', 'all']);
  assert.equal(twice.exit, 64);
  assert.match(twice.stderr, /the user is named twice: by --user, and by -u/);
  assert.equal(server.records.length, 0);
});

test('log lines stand on stderr with the prefix of the real one', async (t) => {
  const { send, socket, doveadm } = await openHere(t, async (_command, connection) => {
    await connection.log('debug', 'one');
    await connection.log('info', 'two');
    await connection.log('error', 'three \x1b[2J');
    await connection.status('+');
  });
  const remote = (type: string, text: string): string =>
    `doveadm(${alice}): ${type}: remote(${socket}): ${text}\n`;
  const shown = remote('Info', 'two') + remote('Error', 'three \\x1b[2J');
  assert.equal((await send(['--', 'purge'])).stderr.replace(/\\[xu]\{?0*1b\}?/i, '\\x1b'), shown);
  const debug = await doveadm(['-D', 'purge', '-S', socket, '-u', alice]);
  assert.ok(debug.stderr.startsWith(remote('Debug', 'one')), debug.stderr);
});

test('a text comes from stdin with its line ends made CR LF, and is cut off by an answer', async (t) => {
  const { send, server } = await openHere(t, async ({ fields }, connection) => {
    if (fields.includes('Nope')) return connection.status('-USAGE');
    await connection.readInput();
    await connection.status('+');
  });
  assert.equal((await send(['--', 'save'], { stdin: 'Subject: x\n\n.\nend' })).exit, 0);
  assert.equal(server.records[0]?.inputs.join(''), 'Subject: x\n\n.\nend');
  assert.match(server.received().toString('latin1'), /Subject: x\r\n\.?\r\n\.\.\r\n\.?end\r\n\.\r\n$/);
  const early = await send(['--', 'save', '-m', 'Nope'], { stdin: 'x\n'.repeat(5_000_000) });
  assert.equal(early.exit, 64);
});

test('a time limit and a signal end it, with 75', async (t) => {
  const { send, server, socket } = await openHere(t, async (_command, connection) => {
    await connection.row('INBOX');
    await connection.closed;
  });
  // The row is printed when it comes, if it comes within the limit.
  let printed = '';
  for (const limit of ['300ms', '3s', '30s']) {
    const late = await send(['--timeout', limit, '--', 'mailbox', 'list']);
    assert.equal(late.exit, 75);
    printed = late.stdout.toString();
    if (printed !== '') break;
  }
  assert.equal(printed, 'INBOX\n');
  const before = server.commands.length;
  const words = ['send', '--socket', socket, '--user', alice, '--', 'mailbox', 'list'];
  const child = spawn(process.execPath, [builtProgram, ...words], { stdio: 'ignore' });
  await server.waitFor(({ commands }) => commands.length > before, 'the command');
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [75, null]);
});

test('a reader that goes away ends it quietly', async (t) => {
  const { socket } = await openHere(t, async (_command, connection) => {
    for (let n = 0; n < 200_000; n += 1) await connection.row(`mailbox ${n}`);
    await connection.status('+');
  });
  const command = `"$0" "$1" send --socket "$2" --user x -- mailbox list | head -n 1`;
  const { text } = await runProgram('sh', [
    '-c',
    command.replace('"$0"', `"${process.execPath}"`),
    'sh',
    builtProgram,
    socket,
  ]);
  assert.equal(text, 'mailbox 0\n');
});

test('client.yaml says where to go over TCP, and who we are', async (t) => {
  const authority = makeAuthority({ name: 'our authority' });
  const here = await openHere(t, async (_command, connection) => {
    await connection.status('+');
  });
  const tls = await openScriptedDovecot({
    minor: 3,
    tls: 'starttls',
    certificate: authority.issue({ names: ['localhost'] }),
    script: async (_command, connection) => {
      await connection.row('INBOX');
      await connection.status('+');
    },
  });
  t.after(() => tls.close());
  writeFileSync(join(here.folder, 'ca.pem'), authority.certificatePem);
  writeFileSync(join(here.folder, 'password'), 'secret\n');
  writeFileSync(
    join(here.folder, 'client.yaml'),
    `address: localhost:${tls.port}\nca: ca.pem\naccount: doveadm\npassword_file: password\n`,
  );
  const listed = await here.doveadm(['mailbox', 'list', '-u', alice]);
  assert.equal(listed.stdout.toString(), 'INBOX\n', listed.stderr);
  assert.equal(tls.tlsHandshakes, 1);
  writeFileSync(join(here.folder, 'client.yaml'), 'sockte: x\n');
  const wrong = await here.doveadm(['mailbox', 'list', '-u', alice]);
  assert.equal(wrong.exit, 78);
  assert.match(wrong.stderr, /client\.yaml:1:1/);
});
