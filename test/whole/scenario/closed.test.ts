// Goal: a configuration with problems at the start, and sockets from systemd: clients are refused at once with the place of the problem,
// the process ends at a signal or after a while, and the next one serves the repaired file. Phases: clients by UNIX and TCP; commands
// with input; repaired; a start that fails with a good file. What must not happen: a client that hangs, a value of the file in an
// answer, a command that reaches a backend, a record.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { configurationOf, openTcpSocket, openWorld } from '../../kit/gate/passed-sockets.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

const quota = { user: 'alice@example.org', fields: ['quota', 'get'] };
const why = 'dovegate: dovegate is not configured: dovegate.yaml:3 [not-configured]';

async function openBroken(t: TestContext) {
  const world = await openWorld(t);
  const tcp = await openTcpSocket(t, '127.0.0.1');
  const good = `${configurationOf(world.backend.address, '  support: { systemd: support, policy: support }')}admin: { unix: admin.sock }\n`;
  const broken = good.replace('policy: support }', 'policy: geheim }');
  const file = join(world.folder, 'dovegate.yaml');
  const startWith = (config: string, startEvent = 'not-configured'): Promise<Daemon> =>
    world.start({
      config,
      // What was served before is test/whole/scenario/last.test.ts.
      args: ['--no-last'],
      descriptors: [world.descriptor, tcp.descriptor],
      env: { LISTEN_FDNAMES: 'support:jobs' },
      startEvent,
      startMs: 60_000,
    });
  const start = (): Promise<Daemon> => startWith(broken);
  const ask = async (): Promise<{ status: string; logs: string[] }> => {
    const client = await openRawClient({ path: world.path, minor: 2 });
    const { status, logs } = await client.ask(quota);
    client.close();
    return { status, logs: logs.map(({ text }) => text) };
  };
  return { ...world, tcp, good, broken, file, start, startWith, ask };
}

/** All notifications until one matches. */
async function notified(notify: { receive(): string[] }, expected: RegExp): Promise<string[]> {
  const seen: string[] = [];
  for (const since = Date.now(); Date.now() - since < 60_000; ) {
    seen.push(...notify.receive());
    if (seen.some((text) => expected.test(text))) return seen;
    await pause(10);
  }
  throw new Error(`not notified of ${expected}: ${seen.join('|')}`);
}

test('a broken file at the start: clients are refused with its place, none hangs, and the next start serves the good one', async (t) => {
  const { start, startWith, ask, notify, tcp, path, folder, file, good, backend } = await openBroken(t);
  const daemon = await start();
  const seen = await notified(notify, /^WATCHDOG=1/);
  assert.equal(seen[0], `READY=1\nSTATUS=closed: ${file}:3\n`);

  assert.deepEqual(await ask(), { status: '-TEMPFAIL', logs: [why] });
  // No line of a text is run. One answer, then the end: also for a command that cannot be told apart from its input.
  for (const lines of [
    `\t${quota.user}\tsave\n\t${quota.user}\tquota get\n.\n`,
    `\t${quota.user}\tsieve put\t--frobnicate\n\t${quota.user}\tquota\tget\n`,
  ]) {
    const client = await openRawClient({ path, minor: 4, optionLogPassthrough: true });
    client.send(lines.trimEnd());
    const { status, logs } = await client.readReply();
    assert.deepEqual([status, logs.map(({ text }) => text)], ['-TEMPFAIL', [why]]);
    await client.readEnd();
  }

  const bytes: Buffer[] = [];
  const byTcp = connect({ port: tcp.port, host: '127.0.0.1' });
  byTcp.on('data', (chunk) => bytes.push(chunk)).on('error', () => undefined);
  await new Promise<void>((resolve) => {
    byTcp.once('close', () => resolve());
  });
  assert.deepEqual(bytes, []);
  assert.deepEqual([existsSync(join(folder, 'audit')), backend.records.length], [false, 0]);
  const status = await runWarm(['status', '--config', file]);
  assert.equal(status.exit, 69, status.text);
  assert.match(status.text, /no start serves this file, so mend it first: .*dovegate\.yaml:3:/);

  // Repaired. `systemctl reload` signals it; it ends, and a session that says nothing with it.
  const early = await openRawClient({ path, minor: 2 });
  writeFileSync(file, good);
  daemon.signal('SIGHUP');
  await early.readEnd();
  assert.equal((await daemon.exited).code, 78);
  assert.match(daemon.output(), /5 connections were refused/);
  // A client that comes now waits in the queue of the socket for the next start.
  const waiting = openRawClient({ path, minor: 2 });
  const again = await startWith(good, 'started');
  const client = await waiting;
  assert.equal((await client.ask(quota)).status, '+');
  client.close();
  assert.equal(again.audit().filter(({ record }) => record['event'] === 'admission').length, 1);
  assert.equal((await again.stop()).code, 0);
});

test('a start that fails with a good file refuses clients too, and ends to be started again', async (t) => {
  const { startWith, good, ask, notify, folder } = await openBroken(t);
  // The journal cannot be opened: another process of ours has locked it.
  const other = await startDaemon(t, {
    folder,
    config: good
      .replace(
        /^listeners:.*?^backends:/ms,
        `listeners: { other: { unix: other.sock, mode: "0600", policy: support } }\nbackends:`,
      )
      .replace('admin.sock', 'other-admin.sock'),
  });
  const daemon = await startWith(good);
  assert.deepEqual(await ask(), {
    status: '-TEMPFAIL',
    logs: ['dovegate: dovegate could not start; its log says why [not-configured]'],
  });
  const [seen] = await notified(notify, /^WATCHDOG=1/);
  assert.match(seen ?? '', /^READY=1\nSTATUS=closed: /);
  daemon.signal('SIGHUP');
  assert.equal((await daemon.exited).code, 78);
  const told = `process ${other.pid}.* writes the journal in .*; stop that process, or name another audit\\.directory`;
  const [failed] = daemon.logs.filter(({ event }) => event === 'start-failed');
  assert.match(String(failed?.['text']), new RegExp(`^${told}$`));
  assert.equal((await other.stop()).code, 0);
});
