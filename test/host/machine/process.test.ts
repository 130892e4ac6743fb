// Goal: what systemd hands over is taken out of the environment, and what it is told has the form that it reads. What must not
// happen: a descriptor or a watchdog of another process taken for ours, a second message smuggled into a status, a sign of
// life while we are not healthy, a failure of ours because systemd is gone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadNative } from '../../../src/host/machine/native.js';
import {
  createServiceManager,
  encodeNotification,
  takeServiceEnvironment,
} from '../../../src/host/machine/process.js';
import { halfOf } from '../../../src/host/machine/share-processor.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

void test('the text of every notification', () => {
  for (const [told, text] of [
    [{ kind: 'ready', status: 'serves' }, 'READY=1\nSTATUS=serves\n'],
    [{ kind: 'reloading', monotonicUs: 12_345_678_901n }, 'RELOADING=1\nMONOTONIC_USEC=12345678901\n'],
    [
      { kind: 'stopping', status: 'finishes', withinMs: 1500.25 },
      'STOPPING=1\nSTATUS=finishes\nEXTEND_TIMEOUT_USEC=1500250\n',
    ],
    [{ kind: 'status', status: 'one\nREADY=1\r\0two' }, 'STATUS=one READY=1 two\n'],
    [{ kind: 'watchdog' }, 'WATCHDOG=1\n'],
  ] as const)
    assert.equal(encodeNotification(told), text);
});

const passed = { LISTEN_FDS: '2', LISTEN_PID: '7', LISTEN_FDNAMES: 'support:billing' };

void test('sockets, watchdog and address are taken out of the environment', () => {
  const watchdog = { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' };
  const more = { NOTIFY_SOCKET: '@abstract/name', LISTEN_PIDFDID: '4711' };
  const env: NodeJS.ProcessEnv = { HOME: '/', ...passed, ...watchdog, ...more };
  const sockets = ['support', 'billing'].map((name, at) => ({ descriptor: 3 + at, name }));
  const taken = { notify: '\0abstract/name', watchdogMs: 30_000, sockets };
  assert.deepEqual(takeServiceEnvironment(env, 7), taken);
  assert.deepEqual(env, { HOME: '/' });
});

void test('without systemd there is nothing', () => {
  assert.deepEqual(takeServiceEnvironment({}, 7), { notify: undefined, watchdogMs: undefined, sockets: [] });
});

void test('what is for another process is not ours, and goes all the same', () => {
  const env: NodeJS.ProcessEnv = { ...passed, WATCHDOG_USEC: '1000', WATCHDOG_PID: '7' };
  const taken = takeServiceEnvironment(env, 8);
  assert.deepEqual([taken.sockets, taken.watchdogMs, env], [[], undefined, {}]);
  assert.deepEqual(takeServiceEnvironment({ LISTEN_FDS: '1' }, 8).sockets, []);
  assert.equal(takeServiceEnvironment({ WATCHDOG_USEC: '3000' }, 8).watchdogMs, 3);
});

void test('sockets without names, and addresses that are none', () => {
  const env = { LISTEN_FDS: '1', LISTEN_PID: '7' };
  assert.deepEqual(takeServiceEnvironment(env, 7).sockets, [{ descriptor: 3, name: 'unknown' }]);
  assert.equal(takeServiceEnvironment({ NOTIFY_SOCKET: '/run/notify' }, 7).notify, '/run/notify');
  for (const address of ['', '@', '/', 'run/notify', 'vsock:2:1234'])
    assert.equal(takeServiceEnvironment({ NOTIFY_SOCKET: address }, 7).notify, undefined, address);
});

void test('numbers that systemd does not write are told', () => {
  for (const wrong of [
    { ...passed, LISTEN_FDS: '-1' },
    { ...passed, LISTEN_FDS: '1e3' },
    { ...passed, LISTEN_FDS: '5000' },
    { ...passed, LISTEN_FDNAMES: 'support' },
    { WATCHDOG_USEC: '0' },
    { WATCHDOG_USEC: 'soon' },
  ])
    assert.throws(() => takeServiceEnvironment(wrong, 7), /LISTEN_FD|WATCHDOG_USEC/);
});

/** A manager that hears all until `answers` says otherwise. */
function openManager(watchdogMs?: number) {
  const clock = createFakeClock();
  const heard: string[] = [];
  const answers: (boolean | Error)[] = [];
  const sendDatagram = (address: string, text: string): boolean => {
    const answer = answers.shift() ?? true;
    if (answer instanceof Error) throw answer;
    if (answer) heard.push(`${address} ${text}`);
    return answer;
  };
  const service = { notify: '/run/notify', watchdogMs };
  const manager = createServiceManager(service, { sendDatagram }, clock, () => 5n);
  const told = (): string[] => heard.splice(0).map((each) => each.replace('/run/notify ', ''));
  return { clock, answers, manager, told };
}

void test('what is said goes to the socket, in order', () => {
  const { manager, told } = openManager();
  manager.ready('serves');
  manager.reloading();
  manager.status('reads');
  manager.stopping('ends', 10);
  assert.deepEqual(told(), [
    'READY=1\nSTATUS=serves\n',
    'RELOADING=1\nMONOTONIC_USEC=5\n',
    'STATUS=reads\n',
    'STOPPING=1\nSTATUS=ends\nEXTEND_TIMEOUT_USEC=10000\n',
  ]);
});

void test('a full queue: said later, in the same order; a manager that is gone: dropped', async () => {
  const { manager, clock, answers, told } = openManager();
  answers.push(false, false);
  manager.ready('serves');
  manager.status('more');
  assert.deepEqual(told(), []);
  await clock.advance(100);
  assert.deepEqual(told(), []);
  await clock.advance(100);
  assert.deepEqual(told(), ['READY=1\nSTATUS=serves\n', 'STATUS=more\n']);
  answers.push(new Error('ECONNREFUSED'));
  manager.status('lost');
  manager.status('heard');
  assert.deepEqual(told(), ['STATUS=heard\n']);
  assert.equal(clock.timers, 0);
});

void test('a queue that stays full holds the newest messages', async () => {
  const { manager, clock, answers, told } = openManager();
  answers.push(false);
  for (let count = 0; count < 20; count += 1) manager.status(String(count));
  await clock.advance(100);
  const kept = told();
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [16, 'STATUS=4\n', 'STATUS=19\n']);
});

void test('signs of life at every third of the time, only while healthy, until the end', async () => {
  const { manager, clock, told } = openManager(30_000);
  let isHealthy = true;
  manager.watch(() => false);
  // The last one counts, and there is one beat.
  manager.watch(() => isHealthy);
  assert.deepEqual(told(), []);
  await clock.advance(10_000);
  assert.equal(told().length, 1);
  await clock.advance(10_000);
  assert.deepEqual(told(), ['WATCHDOG=1\n']);
  isHealthy = false;
  await clock.advance(40_000);
  assert.deepEqual(told(), []);
  isHealthy = true;
  await clock.advance(10_000);
  assert.deepEqual(told(), ['WATCHDOG=1\n']);
  manager.close();
  assert.equal(clock.timers, 0);
});

void test('nobody watches, or nobody listens: nothing is said', async () => {
  const watched = openManager();
  watched.manager.watch(() => true);
  assert.deepEqual([watched.told(), watched.clock.timers], [[], 0]);
  const clock = createFakeClock();
  const nobody = { sendDatagram: () => assert.fail('there is nobody') };
  const alone = createServiceManager({ notify: undefined, watchdogMs: 3 }, nobody, clock);
  alone.ready('serves');
  alone.watch(() => true);
  await clock.advance(10);
  alone.close();
});

// Goal: the page leaves half of the processors to commands. What must not happen: a set that somebody has chosen is replaced.

for (const [allowed, online, half] of [
  ['0-1', '0-1\n', [1]],
  ['0-3', '0-3', [2, 3]],
  ['0-2', '0-2', [2]],
  // The list of what is allowed names what a machine could have.
  ['0-127', '0-1,4-5', [4, 5]],
  ['0', '0', []],
  ['0', '0-3', []],
  ['0,2-3', '0-3', []],
  ['', '0-3', []],
  ['0-3', '', []],
] as const) {
  void test(`half of ${JSON.stringify(online)} where ${allowed} are allowed: ${half.join(', ') || 'none'}`, () => {
    assert.deepEqual(halfOf(allowed, online), half);
  });
}

void test('a thread runs on the processors that it is given; the kernel refuses one that does not exist', async (t) => {
  const native = await loadNative();
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const allowed = (): string | undefined =>
    /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  const first = Number.parseInt(allowed() ?? '', 10);
  assert.equal(native.runOn(pid, [first]), true);
  assert.equal(allowed(), `${first}`);
  assert.equal(native.runOn(pid, [8191]), false);
  assert.equal(native.runOn(pid, []), false);
  assert.equal(allowed(), `${first}`);
});
