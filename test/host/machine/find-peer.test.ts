// Goal: what is told of a peer is of that peer: one that ended, or whose pid was given away, yields nothing, with a kernel that
// holds on to processes and with one that does not.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  clockTicks,
  createFindPeer,
  parseUnit,
  type RecentProcess,
  RecentProcesses,
  readPeerProcess,
} from '../../../src/host/machine/find-peer.js';
import type { NameService, UserAnswer } from '../../../src/host/machine/name-service.js';
import { loadNative } from '../../../src/host/machine/native.js';
import type { Native, PeerCredentials } from '../../../src/host/ports/machine.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

void test('the unit is the first one on the way down, whatever its user calls what is below', () => {
  const units: readonly (readonly [text: string, unit: string | undefined, unproven?: string])[] = [
    ['0::/system.slice/ssh.service\n', 'ssh.service'],
    ['0::/user.slice/user-1000.slice/session-3.scope\n', 'session-3.scope'],
    ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/sshd.service\n', 'user@1000.service'],
    ['0::/system.slice/_cgroup.service\n', 'cgroup.service'],
    ['0::/docker/1f3c\n', undefined, '/docker/1f3c'],
    ['0::/docker/1f/system.slice/dovecot.service\n', undefined, '/docker/1f/system.slice/dovecot.service'],
    ['0::/lxc.payload.web/dovecot.service\n', undefined, '/lxc.payload.web/dovecot.service'],
    ['0::/../../box/dovecot.service\n', undefined, '/../../box/dovecot.service'],
    ['0::/system.slice/docker-1f3c.scope/system.slice/dovecot.service\n', 'docker-1f3c.scope'],
    ['0::/system.slice/box/dovecot.service\n', undefined, '/system.slice/box/dovecot.service'],
    ['0::/system.slice\n', undefined, '/system.slice'],
    ['0::/\n', undefined],
    ['', undefined],
    ['12:pids:/x\n1:name=systemd:/system.slice/cron.service\n0::/\n', 'cron.service'],
    ['0::/system.slice/a:b.service\n', 'a:b.service'],
  ];
  for (const [text, unit, unitUnproven] of units) {
    const expected = { ...(unit && { unit }), ...(unitUnproven && { unitUnproven }) };
    assert.deepEqual(parseUnit(text), expected, text);
  }
});

const nothingRecent = () => new RecentProcesses(createFakeClock());

/** A program that connects, says its pid, and stays until it is told to go. */
const visitor = `
const socket = require('node:net').connect(process.argv[1]);
socket.on('connect', () => process.stdout.write('here'));
process.stdin.on('end', () => process.exit()).resume();
`;

interface Visit {
  readonly native: Native;
  readonly descriptor: number;
  readonly credentials: PeerCredentials;
  readonly acceptedTicks: number;
  /** Resolves when the child is no more, its pid included. */
  readonly leave: () => Promise<void>;
}

async function visit(t: TestContext, waitTicks = 2): Promise<Visit> {
  const path = join(openFolder(t), 's');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const child = spawn(process.execPath, ['-e', visitor, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const socket = await accepted;
  t.after(() => {
    child.kill('SIGKILL');
    socket.destroy();
    server.close();
  });
  const startedTicks = clockTicks();
  // What started in the very tick of the accept could be somebody else: a real visitor takes longer to start than that.
  while (clockTicks() < startedTicks + waitTicks) await new Promise((resolve) => setImmediate(resolve));
  const native = await loadNative();
  const descriptor: unknown = Reflect.get(Object(Reflect.get(socket, '_handle')), 'fd');
  assert.ok(typeof descriptor === 'number');
  const credentials = native.peerCredentials(descriptor);
  assert.ok(credentials);
  assert.equal(credentials.pid, child.pid);
  const leave = async (): Promise<void> => {
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    await exited;
  };
  return { native, descriptor, credentials, acceptedTicks: clockTicks(), leave };
}

const kernels: readonly (readonly [name: string, of: (native: Native) => Native])[] = [
  ['a kernel that holds on to the process', (native) => native],
  ['an older kernel', (native) => ({ ...native, peerProcess: () => ({ kind: 'unsupported' }) })],
];

for (const [name, of] of kernels) {
  void test(`${name}: program and unit of a peer that is there, nothing of one that is gone`, async (t) => {
    const { native, descriptor, credentials, acceptedTicks, leave } = await visit(t);
    const kernel = of(native);
    const read = () => readPeerProcess(kernel, descriptor, credentials, () => acceptedTicks, nothingRecent());
    const facts = read();
    assert.equal(facts.exe, readlinkSync('/proc/self/exe'));
    const { unit, unitUnproven } = parseUnit(readFileSync('/proc/self/cgroup', 'utf8'));
    assert.deepEqual([facts.unit, facts.unitUnproven], [unit, unitUnproven]);
    await leave();
    assert.deepEqual(read(), {});
  });

  void test(`${name}: nothing of somebody else who has the pid by now`, async (t) => {
    const { native, descriptor, credentials, acceptedTicks, leave } = await visit(t);
    // What a pid that was given away looks like: behind the number there is another process, which started later.
    while (clockTicks() <= acceptedTicks) await new Promise((resolve) => setImmediate(resolve));
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    t.after(() => void other.kill('SIGKILL'));
    const given = { ...credentials, pid: other.pid ?? 0 };
    const read = () => readPeerProcess(of(native), descriptor, given, () => acceptedTicks, nothingRecent());
    assert.deepEqual(read(), {});
    await leave();
    assert.deepEqual(read(), {});
  });
}

void test('an older kernel: nothing of who started in the tick of the accept, or under another uid', async (t) => {
  const { native, descriptor, credentials } = await visit(t);
  const old: Native = { ...native, peerProcess: () => ({ kind: 'unsupported' }) };
  const early = readPeerProcess(old, descriptor, credentials, () => 0, nothingRecent());
  assert.deepEqual(early, {});
  const others = { ...credentials, uid: credentials.uid + 1 };
  assert.deepEqual(readPeerProcess(old, descriptor, others, clockTicks, nothingRecent()), {});
});

void test('a process of another pid namespace has no number here, and so no facts', async (t) => {
  const { native, descriptor, credentials } = await visit(t, 0);
  const unseen = { ...credentials, pid: 0 };
  const facts = readPeerProcess(native, descriptor, unseen, () => 0, nothingRecent());
  assert.deepEqual(facts, {});
});

void test('what was read a moment ago is told again, of the same program of the same process only', async (t) => {
  const { native, descriptor, credentials, leave } = await visit(t, 0);
  const clock = createFakeClock();
  const recent = new RecentProcesses(clock);
  const read = () => readPeerProcess(native, descriptor, credentials, clockTicks, recent);
  const facts = read();
  const process = native.peerProcess(descriptor);
  const number = process.kind === 'held' ? recent.numberOf(process.descriptor) : undefined;
  if (process.kind === 'held') closeSync(process.descriptor);
  if (number === undefined) return t.skip('this kernel has no numbers of processes');
  const { pid } = credentials;
  const file = native.fileBehind(`/proc/${pid}/exe`);
  const remembered = (change: Partial<RecentProcess>) =>
    recent.remember(number, { pid, file, facts: { ...facts, unit: 'before.service' }, ...change });
  remembered({});
  assert.deepEqual(read(), { ...facts, unit: 'before.service' });
  await clock.advance(1_000);
  assert.deepEqual(read(), facts, 'too old');
  remembered({ facts: { ...facts, exe: '/usr/bin/other', unit: 'before.service' } });
  assert.deepEqual(read(), facts, 'another program');
  remembered({ file: '0:0 1' });
  assert.deepEqual(read(), facts, 'another file of the same path');
  const { exe = '', ...others } = facts;
  remembered({ facts: { ...others, exeUnproven: exe, unit: 'before.service' } });
  assert.deepEqual(read(), facts, 'a program of the same path that was not proven');
  remembered({ pid: credentials.pid + 1 });
  assert.deepEqual(read(), facts, 'another pid');
  remembered({});
  await leave();
  assert.deepEqual(read(), {}, 'it is gone');
});

void test('only so many are remembered', () => {
  const recent = nothingRecent();
  for (let number = 1; number <= 257; number += 1)
    recent.remember(number, { pid: number, file: undefined, facts: {} });
  assert.equal(recent.find(1), undefined);
  assert.equal(recent.find(257)?.pid, 257);
});

// Goal: an accept waits for no name, and has those that are known; a session waits for its own names only, for both of them at the same
// time.

const uid = process.getuid?.() ?? 0;

type Names = Pick<NameService, 'keptUser' | 'userOf' | 'keptOwners' | 'ownersOf'>;

const noOwners = { keptOwners: () => undefined, ownersOf: () => Promise.resolve(undefined) };

async function arrive(t: TestContext, names: Names) {
  const { native, descriptor } = await visit(t, 0);
  return createFindPeer(native, createFakeClock(), names)('support', descriptor);
}

void test('what is known is there at the accept, and nobody is asked again', async (t) => {
  const anna: UserAnswer = { kind: 'found', name: 'anna' };
  const names = { keptUser: () => anna, userOf: () => Promise.resolve(anna), ...noOwners };
  const { peer, describe } = await arrive(t, names);
  assert.deepEqual([peer.uid, peer.user, peer.account, peer.rangeOwners], [uid, 'anna', 'found', undefined]);
  const described = await describe();
  assert.deepEqual([described.user, described.account, described.loginAccount], ['anna', 'found', undefined]);
});

void test('a uid of a container has an owner, and no answer about an account', async (t) => {
  const unasked: UserAnswer = { kind: 'unasked' };
  const owner = { uid: 1001, user: 'anna' };
  const names = {
    keptUser: () => unasked,
    userOf: () => Promise.resolve(unasked),
    keptOwners: () => [owner],
    ownersOf: () => Promise.resolve([owner]),
  };
  const { peer, describe } = await arrive(t, names);
  for (const each of [peer, await describe()])
    assert.deepEqual(
      [each.uid, each.user, each.account, each.rangeOwners],
      [uid, undefined, undefined, [owner]],
    );
});
