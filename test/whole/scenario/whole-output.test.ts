// Goal: every subcommand writes all that it has to say, or says that it could not, with an exit code of its own. Phases: a pipe that nobody
// reads until the program has nothing else to do; a disk that is full, at once and in the middle of a write; a reader that goes away; a
// reader that never comes, and a signal. What must not happen: an output that is cut, with exit code 0; a program that only SIGKILL ends.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeJournal } from '../../evidence/cli/shown.js';
import { accessItem } from '../../kit/gate/access-item.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { openFolder } from '../../kit/plain/folder.js';
import { skipped } from '../../kit/plain/skipped.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';
import { until } from '../../kit/plain/until.js';
import { openStandIn } from '../cli/stand-in.js';

/** More than a pipe of 64 KiB and the buffers on both sides of it hold. */
const leastBytes = 2 * 64 * 1024;
const counted = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at);

/** Long names: as many bytes of output come of fewer lines, which cost less to read. */
const long = (letter: string, at: number): string => `${letter.repeat(230)}${at}`;
const users = counted(620).map((at) => `${long('u', at)}@example.com`);
const base = (policyUsers: readonly string[]): string => `version: 1
listeners:
  support: { unix: run/support.sock, policy: support }
backends:
  mail1: { address: "unix:run/dovecot.sock", shared_namespaces: [] }
routes:
  - { users: ["*"], backend: mail1 }
policies:
  support:
    users: [${policyUsers.join(', ')}]
    allow: [quota get]
state: state
audit: { directory: audit, memory: off }
`;
const tests = counted(350).map(
  (at) =>
    `  - { listener: support, user: ${long('u', at)}@example.org, command: [quota, get], expect: allow }\n`,
);
const wrong = counted(220).map((at) => `${long('w', at)}: 1\n`);
/** Each is long in one thing. */
const configurations = {
  'good.yaml': base(users),
  'tests.yaml': `${base(users.slice(0, 1))}tests:\n${tests.join('')}`,
  'bad.yaml': `${base(users.slice(0, 1))}${wrong.join('')}`,
};

interface Place {
  readonly folder: string;
  /** The subcommands, with what they need: of each, one of the outputs is long. */
  readonly cases: readonly (readonly string[])[];
}

async function openPlace(t: TestContext): Promise<Place> {
  const folder = openFolder(t);
  for (const [name, text] of Object.entries(configurations))
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  symlinkSync(builtProgram, join(folder, 'doveadm'));
  const exchanges = counted(3_000).map((at) => ({
    id: `ID${at}`,
    command: 'quota get',
    principal: `anna${at}@support`,
  }));
  const status = JSON.stringify({ state: 'serving', ready: true, exchanges }, undefined, 2);
  const admin = await openStandIn(t, (_request, response) => response.end(`${status}\n`), folder);
  const gate = join(folder, 'gate.sock');
  await openScriptedDovecot({
    unix: gate,
    minor: 3,
    owner: t,
    script: async ({ fields }, connection) => {
      const isList = fields[0] === 'dovegate requests';
      const count = fields[0] === 'mailbox list' ? 3_000 : 1_000;
      for (const at of counted(count)) {
        if (isList)
          await connection.row('access', JSON.stringify({ ...accessItem, id: `${accessItem.id}${at}` }));
        else await connection.row(`a mailbox with a long name, so that many bytes come of it: ${at}`);
      }
      return connection.status('+');
    },
  });
  const list = join(folder, 'list');
  writeFileSync(list, users.slice(0, 4).join('\n'));
  const reason = 'so that the journal is long '.repeat(15);
  const journal = await writeJournal(t, 400, (record) => ({ ...record, reason }));
  return {
    folder,
    cases: [
      ['check', '--verbose', '--config', 'good.yaml'],
      ['check', '--config', 'bad.yaml'],
      ['check', '--json', '--config', 'bad.yaml'],
      ['doctor', '--config', 'bad.yaml'],
      ['doctor', '--json', '--config', 'bad.yaml'],
      ['can', '--config', 'good.yaml', '--listener', 'support'],
      ['can', '--json', '--config', 'good.yaml', '--listener', 'support'],
      ['test', '--config', 'tests.yaml'],
      // Its errors.
      ['status', '--config', 'bad.yaml'],
      ['reload', '--config', 'bad.yaml', '--pid', '1'],
      ['status', '--socket', admin],
      ['status', '--json', '--socket', admin],
      ['reload', '--socket', admin],
      ['requests', '--socket', gate],
      ['requests', '--json', '--socket', gate],
      ['send', '--socket', gate, '--user', 'bob', '--', 'mailbox', 'list'],
      ['send', '--socket', gate, '--users', list, '--format', 'json', '--', 'mailbox', 'list'],
      ['doveadm', 'mailbox', 'list', '-S', gate, '-u', 'bob'],
      ['audit', 'search', '--json', journal],
      ['audit', 'export', journal],
      ['audit', 'tail', '--json', '--lines', '2000', journal],
    ],
  };
}

function programOf(folder: string, words: readonly string[]): readonly string[] {
  return words[0] === 'doveadm' ? [join(folder, 'doveadm'), ...words.slice(1)] : [builtProgram, ...words];
}

interface Run {
  readonly child: ChildProcess;
  /** All that comes out of the pipes of stdout and stderr. */
  read(): Promise<readonly string[]>;
  /** Closes them. */
  leave(): void;
}

/** Starts the program with pipes, which hold 64 KiB each, for stdout and stderr. */
function start(t: TestContext, folder: string, words: readonly string[]): Run {
  const name = join(folder, `pipe${(started += 1)}`);
  const paths = ['out', 'err'].map((end) => `${name}.${end}`);
  execFileSync('mkfifo', paths);
  const pipes = paths.map((path) => {
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return { reader, writer: openSync(path, 'w') };
  });
  const child = spawn(process.execPath, programOf(folder, words), {
    cwd: folder,
    stdio: ['ignore', ...pipes.map(({ writer }) => writer)],
  });
  t.after(() => child.kill('SIGKILL'));
  for (const { writer } of pipes) closeSync(writer);
  return {
    child,
    read: () => Promise.all(pipes.map(({ reader }) => readToEnd(reader))),
    leave() {
      for (const { reader } of pipes) closeSync(reader);
    },
  };
}

let started = 0;

async function readToEnd(descriptor: number): Promise<string> {
  const pieces: Buffer[] = [];
  const pipe = new net.Socket({ fd: descriptor, readable: true, writable: false });
  pipe.on('data', (piece: Buffer) => pieces.push(piece));
  await once(pipe, 'close');
  return Buffer.concat(pieces).toString();
}

/** Waits until a process has ended, or sleeps and has used no processor for a while. */
async function untilIdle({ exitCode, pid }: ChildProcess): Promise<void> {
  let before = '';
  let same = 0;
  await until(() => {
    let now: string;
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
      now = [fields[2], fields[13], fields[14]].join(' ');
    } catch {
      return true;
    }
    same = now === before && /^[SZ]/.test(now) ? same + 1 : 0;
    before = now;
    return same >= 25;
  }, `the end of ${pid} (${exitCode})`);
}

const ended = async (child: ChildProcess): Promise<number | NodeJS.Signals | null> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode;
};

/** Runs the program with a file as its stdout. */
async function runInto(
  file: string,
  { folder }: Place,
  words: readonly string[],
): Promise<{ exit: unknown; told: string }> {
  const target = openSync(file, 'w');
  const child = spawn(process.execPath, programOf(folder, words), {
    cwd: folder,
    stdio: ['ignore', target, 'pipe'],
  });
  closeSync(target);
  let told = '';
  child.stderr?.on('data', (piece: Buffer) => {
    told += piece.toString();
  });
  const [exit]: unknown[] = await once(child, 'close');
  return { exit, told };
}

/** One of each way to write. */
const shortly = ({ cases }: Place): Place['cases'] => [
  ...['check', 'status', 'requests', 'doveadm', 'audit'].flatMap((name) =>
    cases.filter(([first]) => first === name).slice(-1),
  ),
  ...cases.filter(([first]) => first === 'send'),
];

/** Several at a time: what a program waits for is no work. */
async function forEach(
  cases: Place['cases'],
  run: (words: readonly string[], at: number) => Promise<void>,
): Promise<void> {
  const left = [...cases.entries()];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await run(next[1], next[0]);
  };
  await Promise.all([work(), work(), work()]);
}

test('every subcommand writes all, or says that it could not', async (t) => {
  const place = await openPlace(t);
  const { folder, cases } = place;

  await t.test('a pipe that is read late gets all, from every subcommand', async (own) => {
    const cut: string[] = [];
    await forEach(cases, async (words) => {
      const run = start(own, folder, words);
      await untilIdle(run.child);
      const [out = '', err = ''] = await run.read();
      await ended(run.child);
      const longer = out.length > err.length ? out : err;
      if (longer.length < leastBytes || !longer.endsWith('\n'))
        cut.push(`${words.join(' ')}: ${longer.length} bytes\n${err.slice(0, 500)}`);
    });
    assert.deepEqual(cut, []);
  });

  await t.test('a full disk, and one that is full after a part, are told with an exit code', async (own) => {
    const more = [['completion', 'bash'], ['--help'], ['check', '--help']];
    await forEach([...shortly(place), ...more], async (words) => {
      const { exit, told } = await runInto('/dev/full', place, words);
      assert.ok(exit !== 0, words.join(' '));
      assert.match(told, /^dovegate: the output cannot be written whole: ENOSPC: .*\n$/m, words.join(' '));
      assert.doesNotMatch(told, /internal error|\.js/, words.join(' '));
    });
    const isTried = await withSmallDisk('tmpfs', async (disk) => {
      writeFileSync(join(disk, 'others'), Buffer.alloc(1_990_000));
      const file = join(disk, 'out');
      const { exit, told } = await runInto(file, place, ['check', '--verbose', '--config', 'good.yaml']);
      assert.ok(statSync(file).size > 0, 'a part was written');
      assert.match(told, /^dovegate: the output cannot be written whole: ENOSPC: .*\n$/);
      assert.equal(exit, 1);
    });
    if (!isTried) own.skip(skipped('no small disk here').skip);
  });

  await t.test('a reader that goes away is no failure, and nothing is said', (own) =>
    forEach(shortly(place), async (words) => {
      const run = start(own, folder, words);
      run.leave();
      const exit = await ended(run.child);
      // A run for many users has some left then.
      const expected = words.includes('bad.yaml') ? 78 : words.includes('--users') ? 75 : 0;
      assert.equal(exit, expected, words.join(' '));
    }),
  );

  await t.test('a reader that never comes keeps no program from the end that a signal asks for', (own) =>
    forEach(shortly(place), async (words, at) => {
      const { child } = start(own, folder, words);
      await untilIdle(child);
      assert.equal(child.exitCode ?? child.signalCode, null, `${words.join(' ')} waits`);
      const signal = at % 2 === 0 ? 'SIGTERM' : 'SIGINT';
      child.kill(signal);
      if (words.includes('--users')) {
        // The first one lets running commands end.
        await untilIdle(child);
        child.kill(signal);
      }
      assert.equal(await ended(child), words.includes('--users') ? 'SIGTERM' : signal, words.join(' '));
    }),
  );

  await t.test('a service ends all the same, whoever reads', async (own) => {
    const { child } = start(own, folder, ['serve', '--config', 'bad.yaml']);
    assert.equal(await ended(child), 78);
  });
});
