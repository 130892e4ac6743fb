// Goal: who connects is who the kernel says, and gets exactly the rights of that person. Phases: three users at three sockets and at a
// shared one with policies by group; somebody without rights; descriptors that run out. What must not happen: rights of
// somebody else, a session for whom nothing permits, a refusal without a line in the log, a daemon that spins when descriptors are out.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { descriptorsOf, seesDescriptors } from '../../kit/plain/descriptors.js';
import { type Person, speakAs } from '../../kit/plain/person.js';
import { projectRoot } from '../../kit/plain/root.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can be somebody else');

/** No account of the machine has these numbers. */
const desk = 64_001;
const billing = 64_002;
const admins = 64_003;
const anna: Person = { uid: 64_101, gid: 64_101, groups: [desk] };
const bert: Person = { uid: 64_102, gid: billing, groups: [] };
const cora: Person = { uid: 64_103, gid: 64_103, groups: [desk, admins] };
const dave: Person = { uid: 64_104, gid: 64_104, groups: [64_999] };

const listeners = `
  desk: { unix: desk.sock, mode: "0666", peers: { groups: [${desk}] }, policy: desk }
  billing: { unix: billing.sock, mode: "0660", group: ${billing}, policy: billing }
  admin: { unix: admin.sock, mode: "0666", peers: { users: [${cora.uid}] }, policy: admin }
  shared:
    unix: shared.sock
    mode: "0666"
    policies:
      - { peers: { groups: [${admins}] }, policy: admin }
      - { peers: { groups: [${desk}] }, policy: desk }
      - { peers: { groups: [${billing}] }, policy: billing }`;

const policies = `
    users: ["*"]
    allow: [mailbox list]
  desk: { users: ["*@example.org"], allow: [quota get, mailbox list] }
  billing: { users: ["*@example.org"], allow: [quota get] }
  admin: { users: ["*@example.org"], allow: [quota get, mailbox list, mailbox status] }`;

const quota = '|a@example.org|quota get';
const list = '|a@example.org|mailbox list';
const status = '|a@example.org|mailbox status|messages|INBOX';
const all = [quota, list, status];

test(
  'each of three users has exactly their own rights, at sockets of their own and at a shared one',
  asRoot,
  async (t) => {
    const { daemon } = await openGateway(t, {
      listeners,
      policy: policies,
      backend: { script: (_command, connection) => connection.status('+') },
    });
    chmodSync(daemon.folder, 0o755);
    const heard = async (person: Person, socket: string): Promise<string> =>
      (await speakAs(person, daemon.path(`${socket}.sock`), all)).join(' ');

    const isDesk = '+ + -NOPERM';
    const isBilling = '+ -NOPERM -NOPERM';
    const isAdmin = '+ + +';
    const isOut = 'closed closed closed';
    const isNotAmongPeers = '-NOPERM closed closed';
    assert.equal(await heard(anna, 'desk'), isDesk);
    assert.equal(await heard(cora, 'desk'), isDesk);
    assert.equal(await heard(bert, 'desk'), isNotAmongPeers);
    assert.equal(await heard(bert, 'billing'), isBilling);
    // There the mode of the socket says it.
    assert.equal(await heard(anna, 'billing'), isOut);
    assert.equal(await heard(cora, 'admin'), isAdmin);
    assert.equal(await heard(anna, 'admin'), isNotAmongPeers);

    assert.equal(await heard(anna, 'shared'), isDesk);
    assert.equal(await heard(bert, 'shared'), isBilling);
    assert.equal(await heard(cora, 'shared'), isAdmin);
    assert.equal(await heard(dave, 'shared'), isNotAmongPeers);
    const refused = await daemon.waitForLog(
      ({ event, principal }) => event === 'session-refused' && principal === `${dave.uid}@shared`,
      'dave is refused',
    );
    assert.match(String(refused['text']), new RegExp(`uid ${dave.uid} .*not among the peers`));

    await daemon.stop();
    const records = auditRecords(daemon);
    const exe = process.execPath;
    const cgroup = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
    const admissions = records.filter(({ event }) => event === 'admission');
    assert.equal(admissions.length, 21);
    for (const record of admissions) {
      const { principal, listener, peer, policy, version } = record;
      assert.ok(typeof peer === 'object' && peer !== null && 'uid' in peer && 'exe' in peer && 'pid' in peer);
      assert.equal(principal, `${String(peer.uid)}@${String(listener)}`);
      assert.equal(peer.exe, exe);
      if (cgroup !== '/') assert.ok('unit' in peer || 'unit_unproven' in peer);
      assert.match(String(version), /^[0-9a-f]{64}$/);
      if (listener === 'shared') {
        assert.equal(
          policy,
          { [anna.uid]: 'desk', [bert.uid]: 'billing', [cora.uid]: 'admin' }[Number(peer.uid)],
        );
      }
    }
    assert.ok(
      !records.some(({ principal }) => String(principal).startsWith(`${dave.uid}@`)),
      'dave had no session',
    );
  },
);

test('descriptors that run out: the surplus is refused and told, the others keep their service, nothing spins', async (t) => {
  // A test that fails kills the program that started it, and a daemon that is left would hold the test's output open.
  // It ends before the backend, which waits for its connections.
  let pid = 0;
  t.after(() => {
    if (pid > 0 && existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
  });
  const { daemon: first, backend } = await openGateway(t, { more: 'limits: { handshake: 60s }' });
  const config = readFileSync(first.configFile, 'utf8');
  await first.stop();
  // As an operator would have it: the limit of the unit is too low for what the listeners permit.
  const program = `${first.folder}/few.mjs`;
  first.write(
    'few.mjs',
    `import { spawn } from 'node:child_process';
const child = spawn('/bin/sh', ['-c', 'ulimit -n 400; exec "$0" "$@"', process.execPath, ${JSON.stringify(
      new URL('dist/main.js', projectRoot).pathname,
    )}, ...process.argv.slice(2)], { stdio: 'inherit' });
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code) => process.exit(code ?? 1));`,
  );
  const daemon = await startDaemon(t, {
    folder: first.folder,
    program,
    config: config.replace('policy: support }', 'policy: support, sessions: 5000, sessions_per_peer: 5000 }'),
  });
  await daemon.waitForLog(({ event }) => event === 'few-descriptors', 'told at start');
  pid = childOf(daemon.pid);
  const startMs = performance.now();
  const served = await connectOne(daemon.path('support.sock'));
  const sockets = await Promise.all(
    Array.from({ length: 400 }, () => connectOne(daemon.path('support.sock'))),
  );
  await daemon.waitForLog(({ event }) => event === 'session-refused', 'refused');
  const openNow = (): number => sockets.filter((socket) => !socket.destroyed).length;
  // At most 32 of them are open only to be told why they are no sessions.
  await until(() => openNow() < 200 + 32, 'the surplus is closed');
  const open = openNow();
  assert.ok(open > 0);
  const before = cpuTicks(pid);
  assert.equal(await commandOn(served), '+');
  await pause(1_000);
  const spent = cpuTicks(pid) - before;
  assert.ok(spent < 30, `${spent} ticks of the processor in a second of nothing`);
  if (seesDescriptors(t)) assert.ok(descriptorsOf(pid).length < 400);
  const lines = daemon.logs.filter(({ event }) => event === 'session-refused').length;
  const seconds = (performance.now() - startMs) / 1000;
  assert.ok(lines < 60 + 10 * seconds, `${lines} lines about what was refused in ${seconds} s`);
  for (const socket of sockets) socket.destroy();
  await until(
    async () => (await commandOn(await connectOne(daemon.path('support.sock')))) === '+',
    'somebody new is served again',
  );
  assert.ok(backend.commands.length >= 2);
  t.diagnostic(`${open} sessions within 400 descriptors; ${lines} log lines for ${400 - open} refusals`);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
});

function connectOne(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(socket));
    socket.resume();
    socket.once('connect', () => resolve(socket));
  });
}

/** The status of a command on a new or an unused session of minor 0. */
function commandOn(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve('closed');
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
      const found = /\n([+-][A-Z]*)\n$/.exec(text.replace(/^[^\n]*\n\+\n/, '\n'))?.[1];
      if (found !== undefined) resolve(found);
    });
    socket.once('close', () => resolve('closed'));
    socket.write('VERSION\tdoveadm-server\t1\t0\n\ta@example.org\tquota get\n');
  });
}

function childOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return Number(text.split(' ')[0]);
}

/** User and system time of a process, in ticks of a hundredth of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
