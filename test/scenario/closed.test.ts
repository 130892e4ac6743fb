// Goal: a configuration with problems at the start, and sockets from systemd: clients are refused at once with the place of the problem,
// operators see it, and the repaired file is served by the same process. Phases: clients by UNIX and TCP; commands with input;
// status and reload; repaired, and asked for by a signal, by `reload`, by nobody. What must not happen: a client that hangs, a
// value of the file in an answer, a command that reaches a backend, a record.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../kit/daemon.js';
import { configurationOf, openTcpSocket, openWorld } from '../kit/passed-sockets.js';
import { openRawClient } from '../kit/raw-client.js';
import { runWarm } from '../kit/warm-program.js';

const quota = { user: 'alice@example.org', fields: ['quota', 'get'] };
const why = 'dovegate: dovegate is not configured: dovegate.yaml:3 [not-configured]';

async function openBroken(t: TestContext) {
  const world = await openWorld(t);
  const tcp = await openTcpSocket(t, '127.0.0.1');
  const good = `${configurationOf(world.backend.address, '  support: { systemd: support, policy: support }')}admin: { unix: admin.sock }\n`;
  const broken = good.replace('policy: support }', 'policy: geheim }');
  const file = join(world.folder, 'dovegate.yaml');
  const startWith = (config: string): Promise<Daemon> =>
    world.start({
      config,
      // What was served before is test/scenario/last.test.ts.
      args: ['--no-last'],
      descriptors: [world.descriptor, tcp.descriptor],
      env: { LISTEN_FDNAMES: 'support:jobs' },
      startEvent: 'not-configured',
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

test('a broken file at the start: clients are refused with its place, and served once it is good', async (t) => {
  const { start, ask, notify, tcp, path, folder, file, good, backend } = await openBroken(t);
  const daemon = await start();
  const seen = await notified(notify, /^WATCHDOG=1/);
  assert.equal(seen[0], `READY=1\nSTATUS=closed: ${file}:3\n`);

  assert.deepEqual(await ask(), { status: '-TEMPFAIL', logs: [why] });
  // No line of a text is run, and the next command has its own answer. A command that cannot be told apart from its input ends it.
  const client = await openRawClient({ path, minor: 4, optionLogPassthrough: true });
  client.sendCommand({ user: quota.user, fields: ['save'] });
  client.send('\talice@example.org\tquota get');
  client.send('.');
  for (const _ of ['save', 'quota get']) {
    const { status, logs } = await client.readReply();
    assert.deepEqual([status, logs.map(({ text }) => text)], ['-TEMPFAIL', [why]]);
    client.sendCommand(quota);
  }
  assert.equal((await client.readReply()).status, '-TEMPFAIL');
  // In one piece: a write after the end would lose the answer.
  client.send(`\t${quota.user}\tsieve put\t--frobnicate\n\t${quota.user}\tquota\tget`);
  assert.equal((await client.readReply()).status, '-TEMPFAIL');
  assert.equal((await client.readEnd()).isBroken, false);

  const bytes: Buffer[] = [];
  const byTcp = connect({ port: tcp.port, host: '127.0.0.1' });
  byTcp.on('data', (chunk) => bytes.push(chunk)).on('error', () => undefined);
  await new Promise<void>((resolve) => {
    byTcp.once('close', () => resolve());
  });
  assert.deepEqual(bytes, []);

  const status = await runWarm(['status', '--config', file]);
  assert.equal(status.exit, 78, status.text);
  assert.match(status.text, /closed/);
  assert.match(status.text, /dovegate\.yaml:3:\d+: .*there is no policy "geheim"/);
  const asJson = await runWarm(['status', '--json', '--socket', join(folder, 'admin.sock')]);
  assert.equal(asJson.exit, 78);
  const told: unknown = JSON.parse(asJson.stdout.toString());
  assert.equal(Reflect.get(Object(told), 'state'), 'closed');
  const reload = await runWarm(['reload', '--config', file]);
  assert.equal(reload.exit, 78, reload.text);
  assert.match(reload.text, /dovegate\.yaml:3:\d+: /);
  assert.deepEqual([existsSync(join(folder, 'audit')), backend.records.length], [false, 0]);

  // Another fault: its place is told.
  writeFileSync(file, good.replace('version: 1', 'version: 9'));
  daemon.signal('SIGHUP');
  await notified(notify, /^READY=1\nSTATUS=closed: .*:1\n/);
  // A session that is open while the daemon goes into service ends by itself.
  const early = await openRawClient({ path, minor: 2 });
  writeFileSync(file, good);
  daemon.signal('SIGHUP');
  await daemon.waitForLog(({ event }) => event === 'started', 'started');
  assert.deepEqual(await ask(), { status: '+', logs: [] });
  await early.readEnd();
  await notified(notify, /^READY=1\nSTATUS=serves support/);
  assert.equal((await runWarm(['status', '--config', file])).exit, 0);
  assert.equal(daemon.audit().filter(({ record }) => record['event'] === 'admission').length, 1);
  assert.equal((await daemon.stop()).code, 0);
});

test('the repaired file is found without a signal, and taken at once by `reload`', async (t) => {
  const { start, ask, file, good, broken } = await openBroken(t);
  const daemon = await start();
  writeFileSync(file, good);
  await daemon.waitForLog(({ event }) => event === 'started', 'started without a signal', 60_000);
  assert.equal((await ask()).status, '+');
  assert.equal((await daemon.stop()).code, 0);

  writeFileSync(file, broken);
  const again = await start();
  writeFileSync(file, good);
  const reload = await runWarm(['reload', '--config', file]);
  assert.equal(reload.exit, 0, reload.text);
  await again.waitForLog(({ event }) => event === 'started', 'started');
  assert.equal((await ask()).status, '+');
  assert.equal((await again.stop()).code, 0);
});

test('a start that fails with a good file refuses clients too, and ends to be started again at a reload', async (t) => {
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
  const refused = {
    status: '-TEMPFAIL',
    logs: ['dovegate: dovegate could not start; its log says why [not-configured]'],
  };
  assert.deepEqual(await ask(), refused);
  const [seen] = await notified(notify, /^WATCHDOG=1/);
  assert.match(seen ?? '', /^READY=1\nSTATUS=closed: /);
  const reload = await runWarm(['reload', '--config', join(folder, 'dovegate.yaml')]);
  assert.equal(reload.exit, 78, reload.text);
  assert.match(reload.text, /started again/);
  assert.equal((await daemon.exited).code, 78);
  assert.equal((await other.stop()).code, 0);
});
