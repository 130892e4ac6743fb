// Goal: the daemon under a service manager that hands sockets over and listens to notifications, as systemd does (which itself is in
// test/whole/systemd). Phases: start, signs of life, reload, restart with a client who waits, end; starts that cannot be. What must not
// happen: a client lost between two daemons, a child that inherits a socket, silence about a socket that is not there or not used.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { builtProgram, type Daemon, type DaemonOptions } from '../../kit/gate/daemon.js';
import { configurationOf, openSocket, openTcpSocket, openWorld } from '../../kit/gate/passed-sockets.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { authority, hash, password } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { seesDescriptors } from '../../kit/plain/descriptors.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

void test('start, life and end are told; a client who comes between two daemons is served by the second', async (t) => {
  const { notify, path, start, folder, descriptor } = await openWorld(t);
  const first = await start();
  const seen: string[] = [];
  const since = Date.now();
  while (seen.length < 2 && Date.now() - since < 60_000) {
    seen.push(...notify.receive());
    await pause(10);
  }
  assert.match(seen[0] ?? '', /^READY=1\nSTATUS=serves support, configuration [0-9a-f]{16}\n$/);
  assert.equal(seen[1], 'WATCHDOG=1\n');
  // Nothing that it starts gets a socket: the flag O_CLOEXEC.
  if (seesDescriptors(t))
    assert.match(readFileSync(`/proc/${first.pid}/fdinfo/3`, 'utf8'), /^flags:\s+0?2\d{6}$/m);

  const ask = async (): Promise<string> => {
    const client = await openRawClient({ path, minor: 2, timeoutMs: 120_000 });
    const { status } = await client.ask({ user: 'alice@example.org', fields: ['quota', 'get'] });
    client.close();
    return status;
  };
  assert.equal(await ask(), '+');
  assert.equal((await first.stop()).code, 0);
  // The watchdog is fed while it stops, too.
  const said = notify.receive().filter((text) => text !== 'WATCHDOG=1\n');
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /^STOPPING=1\nSTATUS=.*\nEXTEND_TIMEOUT_USEC=45000000\n$/);

  const waiting = ask();
  const surplus = await openSocket(t, join(folder, 'billing.sock'));
  const second = await start({
    descriptors: [descriptor, surplus],
    env: { LISTEN_FDNAMES: 'support:billing' },
  });
  assert.equal(await waiting, '+');
  const told = await second.waitForLog(
    ({ event }) => event === 'socket-unused',
    'the socket that no listener takes',
  );
  assert.equal(told['level'], 'warn');
  assert.equal((await second.stop()).code, 0);
});

void test('the status line follows readiness', async (t) => {
  const { notify, start, backend } = await openWorld(t);
  await start();
  let last = '';
  const isLast = (pattern: RegExp) => (): boolean => {
    for (const text of notify.receive()) last = /^STATUS=(.*)$/m.exec(text)?.[1] ?? last;
    return pattern.test(last);
  };
  await until(isLast(/^serves support, configuration [0-9a-f]{16}$/), () => last);
  await backend.close();
  await until(
    isLast(/^NOT READY: no backend is up \(mail1: dial-refused, .*\); serves support, /),
    () => last,
  );
  await openScriptedDovecot({ unix: backend.address.replace('unix:', ''), owner: t });
  await until(isLast(/^serves support, configuration [0-9a-f]{16}$/), () => last);
});

/** A daemon that serves nobody; why. Its clients are refused, as test/whole/scenario/closed.test.ts shows. */
async function closedBy(
  start: (options: Partial<DaemonOptions>) => Promise<Daemon>,
  options: Partial<DaemonOptions>,
): Promise<string> {
  const daemon = await start({ ...options, startEvent: 'not-configured' });
  assert.equal(
    daemon.logs.some(({ event }) => event === 'started'),
    false,
  );
  assert.equal((await daemon.stop()).code, 0);
  return daemon.logs.map(({ text }) => String(text)).join('\n');
}

void test('a stop that comes while it starts is obeyed', async (t) => {
  const { folder, backend } = await openWorld(t);
  const file = join(folder, 'dovegate.yaml');
  const listener = '  support: { unix: own.sock, policy: support }';
  writeFileSync(file, configurationOf(backend.address, listener));
  for (let round = 0; round < rounds; round += 1) {
    const daemon = spawn(process.execPath, [builtProgram, 'serve', '--config', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // The journal speaks before any socket is there.
    daemon.stdout.once('data', () => daemon.kill('SIGTERM'));
    daemon.stdout.resume();
    assert.deepEqual(await once(daemon, 'exit'), [0, null]);
  }
});

void test('a reload that wants a socket which nobody handed over: status says so, and what helps, not only `check`', async (t) => {
  const { start, backend } = await openWorld(t);
  const admin = 'admin: { unix: admin.sock }\n';
  const support = '  support: { systemd: support, policy: support }';
  const config = configurationOf(backend.address, support) + admin;
  const daemon = await start({ config });
  daemon.write(
    'dovegate.yaml',
    configurationOf(backend.address, `${support}\n  sales: { systemd: sales, policy: support }`) + admin,
  );
  const options = ['--config', daemon.configFile];
  assert.equal((await runWarm(['reload', ...options])).exit, 78);
  const { stdout } = await runWarm(['status', ...options]);
  const lines = String(stdout).split('\n');
  // On a busy machine another problem stands before it.
  const at = lines.findIndex((line) => line.includes('listener sales: '));
  const [first = '', second = ''] = lines.slice(Math.max(0, at));
  assert.match(first, /listener sales: systemd handed over no socket named sales \(handed over: support\)/);
  assert.match(first, /systemctl enable dovegate@sales\.socket; systemctl restart dovegate\.service/);
  assert.match(second, /^ {2}try: do what it says; then dovegate reload/);
  // The circle: the file has no problem.
  assert.equal((await runWarm(['check', ...options])).exit, 0);
});

test('a TCP socket that was handed over: TLS and accounts, or loopback alone', async (t) => {
  const { folder, start, backend } = await openWorld(t);
  const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const files = { 'gate.crt': certificate.certificatePem, 'gate.key': certificate.keyPem };
  const configured = (tls: string): Partial<DaemonOptions> => {
    const accounts = `accounts: { migrator: { password_hash: "${hash}", policy: support } }`;
    const listener = `  jobs: { systemd: support, tls: ${tls}, ${accounts} }`;
    return { config: configurationOf(backend.address, listener), files };
  };
  const local = await openTcpSocket(t, '127.0.0.1');
  const daemon = await start({
    ...configured('{ certificate: gate.crt, key: gate.key }'),
    descriptors: [local.descriptor],
  });
  const login = { port: local.port, minor: 2, auth: { user: 'migrator', password } };
  const client = await openRawClient({ ...login, tls: 'starttls', ca: authority.certificatePem, owner: t });
  assert.match((await client.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, /^\+/);
  // A reload that wants a UNIX socket there is none.
  daemon.write(
    'dovegate.yaml',
    configurationOf(backend.address, '  jobs: { systemd: support, policy: support }'),
  );
  daemon.signal('SIGHUP');
  await daemon.waitForLog(
    ({ event, text }) => event === 'reload-failed' && String(text).includes('is a TCP socket'),
    'reload-failed',
  );
  client.close();
  await daemon.stop();

  const everywhere = await openTcpSocket(t, '0.0.0.0');
  const inClear = configured('{ mode: off }');
  const clear = await start({ ...inClear, descriptors: [local.descriptor] });
  const plain = await openRawClient(login);
  plain.close();
  await clear.stop();
  assert.match(
    await closedBy(start, { ...inClear, descriptors: [everywhere.descriptor] }),
    /tls off is for loopback addresses, and systemd handed over one at 0\.0\.0\.0/,
  );
  const unix = await openSocket(t, join(folder, 'other.sock'));
  assert.match(await closedBy(start, { ...inClear, descriptors: [unix] }), /is a UNIX socket/);
});
