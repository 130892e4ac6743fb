// Goal: the daemon starts, stops and dies without losing the truth. Phases: orderly stop; stop while something hangs; two daemons;
// wrong usage. What must not happen: a hang, a client without an answer that was there to read one, somebody else's socket taken.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { builtProgram, DaemonStartError, runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, backendPassword, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { createGate, type Script } from '../../kit/gate/script.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openFolder } from '../../kit/plain/folder.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };
const slow = { user: 'bob@example.org', fields: ['quota get'] };
const create = { user: 'alice@example.org', fields: ['mailbox create', 'New'] };
const withCreate = `
    users: ["*@example.org"]
    allow: [quota get, mailbox create]`;
const admin = 'admin: { unix: admin.sock }';
const hangs: Script = (_command, connection) => connection.closed;

test('SIGTERM: probes hear that it drains, idle clients are closed, what runs is waited for, the socket is removed, the journal ends with stop', async (t) => {
  const gate = createGate();
  const { client, daemon, backend } = await openGateway(t, {
    more: admin,
    backend: {
      script: async ({ user }, connection) => {
        if (user === slow.user) await gate.opened;
        await connection.row('late');
        await connection.status('+');
      },
    },
  });
  const idle = await client();
  assert.equal((await idle.ask(quota)).status, '+');
  const ended = idle.readEnd();
  const running = await client();
  running.sendCommand(slow);
  await backend.waitFor((dovecot) => dovecot.commands.length === 2, 'the command');
  daemon.signal('SIGTERM');
  assert.equal((await ended).body.length, 0);
  await daemon.waitForLog((record) => record['event'] === 'stopping', 'stopping');
  const ask = (path: string) => askHttp({ socketPath: daemon.path('admin.sock') }, path);
  const { status, body } = await ask('/readyz');
  assert.deepEqual([status, body.includes('"code": "draining"')], [503, true], body);
  assert.equal((await ask('/healthz')).status, 200);
  gate.open();
  assert.deepEqual((await running.readReply()).cells, ['late']);
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  assert.equal(existsSync(daemon.path('support.sock')), false);
  const events = auditRecords(daemon).map((record) => record['event']);
  const known = events.filter((event) => event !== 'checkpoint');
  assert.deepEqual(known.slice(0, 4), ['start', 'admission', 'completion', 'admission']);
  assert.deepEqual(known.slice(4, -1).map(String).toSorted(), [
    'completion',
    'session-close',
    'session-close',
  ]);
  assert.equal(known.at(-1), 'stop');
});

test('a command that came before SIGTERM is served, though the daemon had no time to read it', async (t) => {
  const { client, daemon } = await openGateway(t);
  const clients = await Promise.all([client(), client(), client()]);
  await clients[0]?.ask(quota);
  // A new connection has one second for its first command; these must be older.
  await pause(1_100);
  daemon.signal('SIGSTOP');
  for (const each of clients) each.sendCommand(quota);
  daemon.signal('SIGTERM');
  daemon.signal('SIGCONT');
  for (const each of clients) assert.equal((await each.readReply()).status, '+');
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
});

test('what hangs is given up when a second SIGTERM comes, and told so, also to those who wait', async (t) => {
  const { client, daemon, backend } = await openGateway(t, {
    backend: { script: hangs },
    mail1: { connections: '1' },
    policy: withCreate,
    more: 'limits: { drain: 60s }',
  });
  const running = await client();
  running.sendCommand(create);
  await backend.waitFor((dovecot) => dovecot.commands.length === 1, 'the command');
  const waiting = await client();
  waiting.sendCommand(quota);
  // Its admission is on disk before it waits for an upstream.
  while (recordsOf(daemon, 'admission').length < 2) {
    await pause(10);
  }
  daemon.signal('SIGTERM');
  await daemon.waitForLog((record) => record['event'] === 'stopping', 'stopping');
  daemon.signal('SIGTERM');
  const [first, second] = await Promise.all([running.readReply(), waiting.readReply()]);
  assert.equal(first.status, '-TEMPFAIL');
  assert.match(
    first.logs[0]?.text ?? '',
    /dovegate had to stop; whether the command ran is not known \[outcome-unknown\], id /,
  );
  assert.equal(second.status, '-TEMPFAIL');
  assert.match(second.logs[0]?.text ?? '', /dovegate is stopping/);
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  const completions = recordsOf(daemon, 'completion');
  assert.deepEqual(
    completions
      .map(({ command, outcome, sent, error }) => [command, outcome, sent, error])
      .toSorted(([one], [other]) => String(one).localeCompare(String(other))),
    [
      ['mailbox create', 'unknown', true, 'draining'],
      ['quota get', 'failed', false, 'draining'],
    ],
  );
});

test('wrong usage ends with 64, help and version with 0, a missing file with 78', async () => {
  assert.equal((await runWarm([])).exit, 64);
  assert.equal((await runDovegate(['bogus'])).exit, 64);
  assert.equal((await runWarm(['check', 'surplus'])).exit, 64);
  assert.equal((await runWarm(['check', '--config', '/nonexistent.yaml'])).exit, 78);
  assert.equal((await runDovegate(['serve', '--config', '/nonexistent.yaml'])).exit, 78);
  assert.equal((await runWarm(['--help'])).exit, 0);
  assert.match((await runDovegate(['--version'])).stdout.toString(), /^\d+\.\d+\.\d+\n$/);
});

test('a second daemon on the same journal or one of the same sockets does not start, and harms nobody; no password is written', async (t) => {
  const { client, daemon, backend } = await openGateway(t, { more: `${admin}\nlog: { level: trace }` });
  const config = readFileSync(daemon.configFile, 'utf8');
  const places = ['directory: audit', 'unix: support.sock', 'unix: admin.sock'];
  for (const same of places) {
    const others = places.filter((place) => place !== same);
    const other = others.reduce((text, place) => text.replace(place, `${place}2`), config);
    const failed = await startDaemon(t, { folder: daemon.folder, config: other }).then(
      () => assert.fail(`a second daemon started on ${same}`),
      (fault: unknown) => fault,
    );
    assert.ok(failed instanceof DaemonStartError);
    assert.equal(failed.exit?.code, 78, failed.output);
    if (same !== places[0]) assert.match(failed.output, /another process listens there/);
  }
  const one = await client();
  assert.equal((await one.ask(quota)).status, '+');

  // No password in anything that a run with many faults wrote.
  for (const fault of [undefined, 'plain-refused', 'greeting-endless', 'injected-same-segment'] as const) {
    backend.change({ fault });
    await one.ask(quota);
    for (const live of backend.live) live.end();
    one.send('\talice@example.org\tquota get\t--password=client-side-secret');
    await one.readReply();
  }
  await daemon.stop();
  const plain = Buffer.from(`\0doveadm\0${backendPassword}`).toString('base64');
  assert.deepEqual(daemon.grepSecrets([backendPassword, plain, 'client-side-secret']), []);
});

test('a configuration with a pipe: nobody waits for a writer, and the one behind /dev/stdin is read', async (t) => {
  const folder = openFolder(t);
  const path = join(folder, 'dovegate.yaml');
  execFileSync('mkfifo', [join(folder, 'part.yaml')]);
  writeFileSync(path, 'version: 1\ninclude: [part.yaml]\n');
  for (const subcommand of ['serve', 'check']) {
    const { exit, text } = await runDovegate([subcommand, '--config', path]);
    assert.equal(exit, 78, text);
    assert.match(text, /dovegate\.yaml:2:11: .*part\.yaml cannot be read: it is a pipe/);
  }
  const piped = 'cat "$0" | "$1" "$2" check --config /dev/stdin';
  const { stdout } = spawnSync('sh', ['-c', piped, path, process.execPath, builtProgram], {
    encoding: 'utf8',
  });
  assert.match(stdout, /^\/dev\/stdin:2:11: .*\/dev\/part\.yaml cannot be read: there is no such file/m);
});

test('a working directory that is gone, or that its user cannot reach, keeps no daemon from its start', async (t) => {
  const launcher = ['sh', '-c', 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"'];
  const { daemon, client } = await openGateway(t, { launcher });
  assert.equal((await (await client()).ask(quota)).status, '+');
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
});
