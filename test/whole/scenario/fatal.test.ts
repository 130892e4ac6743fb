// Goal: an error that nobody catches ends the daemon with 70 and a whole journal, whenever it comes; a start that fails keeps nothing
// open. Phases: the error comes while the daemon opens, serves, drains, closes; a start that fails after the journal was opened.
// What must not happen: exit 0, a process that hangs, a journal without its last records, a lock that stays.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Daemon, DaemonStartError } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { configurationOf, openWorld } from '../../kit/gate/passed-sockets.js';
import { openFolder } from '../../kit/plain/folder.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Throws: once when that line of the log is written, or when the last server of HTTP is closed; at each `unlink` of a drain. */
const preload = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { Server } from 'node:http';
const at = process.env.FATAL_AT;
let isDone = !isMainThread;
let isStopping = false;
// Not by its line of the log, which waits for the one before.
if (isMainThread) process.on('SIGTERM', () => { isStopping = true; });
const fail = () => {
  if (isDone) return;
  isDone = true;
  setImmediate(() => { throw new Error('made to fail'); });
};
const { write } = fs;
fs.write = (...args) => {
  if (String(args[1]).includes('"event":"' + at + '"')) fail();
  return write(...args);
};
const { unlinkSync } = fs;
fs.unlinkSync = (path) => {
  if (at === 'unlink' && isStopping) throw new Error('made to fail');
  return unlinkSync(path);
};
syncBuiltinESMExports();
const { close } = Server.prototype;
Server.prototype.close = function (...args) {
  if (at === 'close') fail();
  return close.apply(this, args);
};
`;

function envOf(t: TestContext, at: string): Record<string, string> {
  const file = join(openFolder(t), 'preload.mjs');
  writeFileSync(file, preload);
  return { NODE_OPTIONS: `--import ${pathToFileURL(file).href}`, FATAL_AT: at };
}

/** As `envOf`; and each sync of the journal's thread hangs in the kernel once the file `stuck` is there. */
function stuckEnvOf(t: TestContext, at: string): { env: Record<string, string>; stick: () => void } {
  const folder = openFolder(t);
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  writeFileSync(
    join(folder, 'stuck.mjs'),
    `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { fdatasyncSync } = fs;
fs.fdatasyncSync = (...args) => {
  if (fs.existsSync('${folder}/stuck')) fs.readFileSync('${fifo}');
  return fdatasyncSync(...args);
};
syncBuiltinESMExports();
`,
  );
  const own = `import threads from 'node:worker_threads';
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(file, options) {
    super(file, options.name === 'journal' ? { ...options, execArgv: ['--import', '${folder}/stuck.mjs'] } : options);
  }
};
syncBuiltinESMExports();
`;
  writeFileSync(join(folder, 'preload.mjs'), `${preload}${own}`);
  const NODE_OPTIONS = `--import ${pathToFileURL(join(folder, 'preload.mjs')).href}`;
  return { env: { NODE_OPTIONS, FATAL_AT: at }, stick: () => writeFileSync(join(folder, 'stuck'), '') };
}

function eventsOf(daemon: Daemon): unknown[] {
  return daemon.audit().flatMap(({ record }) => (record['event'] === 'checkpoint' ? [] : [record['event']]));
}

async function assertFatal(daemon: Daemon): Promise<void> {
  const since = Date.now();
  assert.deepEqual(await daemon.exited, { code: 70, signal: null });
  assert.ok(Date.now() - since < 40_000);
  const told = daemon.logs.find(({ event }) => event === 'internal-error');
  assert.match(String(told?.['text']), /made to fail/);
}

test('an error while the daemon opens: 70', async (t) => {
  await assert.rejects(openGateway(t, { env: envOf(t, 'audit-key-made') }), (fault) => {
    assert.ok(fault instanceof DaemonStartError);
    assert.equal(fault.exit?.code, 70, fault.output);
    assert.match(fault.output, /internal-error.*made to fail/);
    return true;
  });
});

test('an error while the daemon serves: 70', async (t) => {
  const { daemon } = await openGateway(t, { env: envOf(t, 'started') });
  await assertFatal(daemon);
  assert.deepEqual([eventsOf(daemon)[0], eventsOf(daemon).at(-1)], ['start', 'stop']);
});

test('an error while the daemon drains: 70 at once, and what ran has its completion', async (t) => {
  const { daemon, client, backend } = await openGateway(t, {
    backend: { script: (_command, connection) => connection.closed },
    env: envOf(t, 'stopping'),
    more: 'limits: { drain: 60s }',
  });
  const one = await client();
  one.sendCommand(quota);
  await backend.waitFor((dovecot) => dovecot.commands.length === 1, 'the command');
  daemon.signal('SIGTERM');
  await assertFatal(daemon);
  const events = eventsOf(daemon);
  assert.ok(events.includes('completion'), events.join(' '));
  assert.equal(events.at(-1), 'stop');
});

test('an error while the daemon closes: 70', async (t) => {
  const { daemon } = await openGateway(t, {
    env: envOf(t, 'close'),
    more: 'admin: { unix: admin.sock }',
  });
  daemon.signal('SIGTERM');
  await assertFatal(daemon);
  assert.equal(eventsOf(daemon).at(-1), 'stop');
});

test('a start that fails after the journal was opened closes it', async (t) => {
  const world = await openWorld(t);
  const config = configurationOf(world.backend.address, '  support: { systemd: support, policy: support }');
  mkdirSync(join(world.folder, 'state'), { recursive: true });
  writeFileSync(join(world.folder, 'state', 'drained.json'), '7');
  const daemon = await world.start({ config, startEvent: 'not-configured', startMs: 60_000 });
  assert.equal(eventsOf(daemon).at(-1), 'stop');
  assert.equal(daemon.logs.filter(({ event }) => event === 'start-failed').length, 1);
  assert.equal((await daemon.stop()).code, 0);
});

test('an error while the disk of the journal hangs, with a long deadline: 70 after the 15 s that a close has, and it says what was not closed', {
  timeout: 120_000,
}, async (t) => {
  const { env, stick } = stuckEnvOf(t, 'stopping');
  const { daemon } = await openGateway(t, {
    env,
    audit: '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, deadline: 8s }',
  });
  stick();
  daemon.signal('SIGTERM');
  await assertFatal(daemon);
  const told = daemon.logs.find(({ event }) => event === 'close-failed');
  assert.match(String(told?.['text']), /^the journal, .*not within 15 s/);
});

test('a drain that fails: 70, and nobody says that it stopped in order', async (t) => {
  const { daemon } = await openGateway(t, { env: envOf(t, 'unlink') });
  daemon.signal('SIGTERM');
  await assertFatal(daemon);
  assert.deepEqual(
    daemon.logs.filter(({ event }) => event === 'stopped'),
    [],
  );
  assert.equal(eventsOf(daemon).at(-1), 'stop');
});
