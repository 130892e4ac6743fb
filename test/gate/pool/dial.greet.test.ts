// Goal: from an address to a greeted transport, step by step. Phases: each way of greeting; what is no greeting; time limits and
// aborts in every phase; rotated passwords; a failure of each port call. What must not happen: a password before TLS, a transport,
// timer or listener that stays behind.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { type DialTarget, greet } from '../../../src/gate/pool/dial.js';
import type { Greeted } from '../../../src/gate/pool/upstream.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { UpstreamFault, type UpstreamFaultCode } from '../../../src/host/ports/faults.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import { at, createMemoryDialler, memoryTarget } from '../../kit/gate/memory-backend.js';
import { failAtEach, failable, failableClock, failableTransport } from '../../kit/plain/fail-at.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import type { MemoryPeer } from '../../kit/plain/memory-transport.js';

const version = (minor: number): string => `VERSION\tdoveadm-client\t1\t${minor}\n`;
const hello = 'VERSION\tdoveadm-server\t1\t4\n';
const password = 'correct horse';
const plain = `PLAIN\t${Buffer.from(`\0doveadm\0${password}`).toString('base64')}\n`;
const withPassword = { passwords: () => Promise.resolve([new Secret(password)]) };
const starttls = { tls: 'starttls', ...withPassword } as const;
const clear = { ...withPassword, mayAuthenticateInClear: true } as const;

/** A greeting that runs, and all that it may touch. */
function start(changes: Partial<DialTarget> = {}) {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const controller = new AbortController();
  const { signal } = controller;
  const running = greet(memoryTarget(changes), dialler.connect, clock, signal);
  running.catch(() => undefined);
  return {
    clock,
    dialler,
    running,
    abort: (reason: unknown): void => controller.abort(reason),
    /** The far end of the newest dial, once everything that can run has run. */
    async peer(): Promise<MemoryPeer> {
      await settle();
      return at(dialler.ends, -1).peer;
    },
    /** Nothing runs any more, and only what was handed out is open. */
    assertTidy(open: number): void {
      assert.equal(clock.timers, 0);
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      assert.equal(dialler.open.length, open);
    },
  };
}

/** Asks for a password, and answers each with what `answer` makes of its line. */
function asks(dialler: ReturnType<typeof createMemoryDialler>, answer: (line: string) => string): void {
  dialler.onAccept(({ peer }) => {
    peer.send(`${version(2)}-\n`);
    void peer
      .receive((bytes) => /PLAIN.*\n$/s.test(String(bytes)))
      .then(
        (bytes) => peer.send(answer(String(bytes))),
        () => undefined,
      );
  });
}

async function assertFault(
  running: Promise<Greeted>,
  code: UpstreamFaultCode,
  { message, phase }: { message?: RegExp; phase?: UpstreamFault['phase'] } = {},
): Promise<void> {
  await assert.rejects(running, (fault) => {
    assert.ok(fault instanceof UpstreamFault, String(fault));
    assert.equal(fault.code, code);
    assert.doesNotMatch(fault.message, /horse|SSH/);
    if (message !== undefined) assert.match(fault.message, message);
    if (phase !== undefined) assert.equal(fault.phase, phase);
    return true;
  });
}

void test('PROTOCOL 12 traps 1, 3: we speak first, and the lower minor holds: a preauthenticated greeting of every minor', async () => {
  for (const [minor, agreed] of [
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [5, 4],
  ] as const) {
    const story = start();
    const peer = await story.peer();
    assert.equal(String(peer.received()), hello);
    const rest = agreed < 4 ? 'rest' : '';
    peer.send(`${version(minor)}+\n${rest}`);
    const greeted = await story.running;
    assert.deepEqual([greeted.minor, greeted.serverMinor, String(greeted.rest)], [agreed, minor, rest]);
    assert.equal(greeted.transport, at(story.dialler.ends, 0).transport);
    assert.equal(String(peer.received()), hello);
    story.assertTidy(1);
  }
});

void test('PROTOCOL 12 trap 2: a server that sends no VERSION: nothing is known of it, and nothing framed', async () => {
  const story = start();
  (await story.peer()).send('+\n');
  const greeted = await story.running;
  assert.deepEqual([greeted.minor, greeted.serverMinor], [0, undefined]);
  story.assertTidy(1);
});

void test('PROTOCOL 12 trap 16: STARTTLS has no answer, nothing is repeated in TLS, and the password comes only there', async () => {
  const story = start(starttls);
  const peer = await story.peer();
  peer.setTls('hang');
  peer.send(`${version(2)}-\n`);
  await settle();
  assert.equal(String(peer.received()), `${hello}STARTTLS\n`);
  assert.deepEqual(peer.tlsDemands, [memoryTarget().demand]);
  peer.setTls('accept');
  await settle();
  assert.equal(String(peer.received()), `${hello}STARTTLS\n${plain}`);
  peer.send('+\n');
  assert.equal((await story.running).minor, 2);
  story.assertTidy(1);
});

void test('implicit TLS: not a byte before it', async () => {
  const story = start({ tls: 'implicit', ...withPassword });
  const peer = await story.peer();
  assert.equal(peer.tlsDemands.length, 1);
  assert.equal(String(peer.received()), hello);
  peer.send(`${version(4)}-\n`);
  await settle();
  assert.equal(String(peer.received()), `${hello}${plain}`);
  peer.send('+\n');
  await story.running;
  story.assertTidy(1);
  const silent = start({ tls: 'implicit', ...withPassword });
  silent.dialler.onAccept(({ peer: other }) => other.setTls('hang'));
  assert.equal(String((await silent.peer()).received()), '');
});

void test('PLAIN in clear text only where that was permitted', async () => {
  const permitted = start(clear);
  const peer = await permitted.peer();
  peer.send(`${version(2)}-\n`);
  await settle();
  assert.equal(String(peer.received()), `${hello}${plain}`);
  peer.send('+\n');
  await permitted.running;
  permitted.assertTidy(1);
  const forbidden = start(withPassword);
  const other = await forbidden.peer();
  other.send(`${version(2)}-\n`);
  await assertFault(forbidden.running, 'auth-rejected');
  assert.equal(String(other.received()), hello);
  forbidden.assertTidy(0);
});

// [what the backend does, target, said in order (null: it ends), fault]
const refusals: readonly (readonly [
  string,
  Partial<DialTarget>,
  readonly (string | null)[],
  UpstreamFaultCode,
])[] = [
  ['another protocol', {}, ['SSH-2.0-OpenSSH_9.2\r\n'], 'version-unsupported'],
  ['another major', {}, ['VERSION\tdoveadm-client\t2\t0\n+\n'], 'version-unsupported'],
  ['a line without an end', {}, ['x'.repeat(9000)], 'version-unsupported'],
  ['the end at once', {}, [null], 'closed-early'],
  ['the end behind VERSION', {}, [version(2), null], 'closed-early'],
  ['asks for a password that there is none of', {}, [`${version(2)}-\n`], 'auth-rejected'],
  [
    'PROTOCOL 12 trap 17: greets without TLS where TLS is demanded',
    starttls,
    [`${version(2)}+\n`],
    'tls-failed',
  ],
  ['is too old for STARTTLS', starttls, [`${version(1)}-\n`], 'tls-failed'],
  ['bytes in front of TLS, in one chunk', starttls, [`${version(2)}-\n+\n`], 'tls-failed'],
  ['refuses the password', clear, [`${version(2)}-\n`, '-\n'], 'auth-rejected'],
  ['ends instead of an answer to PLAIN', clear, [`${version(2)}-\n`, null], 'closed-early'],
];
for (const [what, changes, said, code] of refusals) {
  void test(`no greeting: ${what}`, async () => {
    const story = start(changes);
    const peer = await story.peer();
    for (const text of said) {
      if (text === null) peer.end();
      else peer.send(text);
      await settle();
    }
    await assertFault(story.running, code);
    assert.ok(peer.isReset);
    if (code === 'tls-failed') assert.doesNotMatch(String(peer.received()), /PLAIN/);
    assert.equal(story.dialler.dials, 1);
    story.assertTidy(0);
  });
}

void test('no greeting: bytes in front of TLS, a moment later', async () => {
  const story = start(starttls);
  const peer = await story.peer();
  peer.send(`${version(2)}-\n`);
  // Both have come when TLS starts.
  peer.send('+\n');
  await assertFault(story.running, 'tls-failed');
  assert.doesNotMatch(String(peer.received()), /PLAIN/);
  story.assertTidy(0);
});

void test('no greeting: TLS fails', async () => {
  for (const changes of [starttls, { tls: 'implicit' } as const]) {
    const story = start(changes);
    story.dialler.onAccept(({ peer }) => {
      peer.setTls('refuse');
      if (changes.tls === 'starttls') peer.send(`${version(2)}-\n`);
    });
    await assertFault(story.running, 'tls-failed');
    story.assertTidy(0);
  }
});

// [what is waited for, step of the fault, target, what the backend has said]
const phases: readonly (readonly [string, UpstreamFault['phase'], Partial<DialTarget>, ...string[]])[] = [
  ['connection', 'dial', {}],
  ['its greeting', 'greeting', {}],
  ['its greeting, half said', 'greeting', {}, 'VERS'],
  ['the TLS handshake, from the start', 'tls', { tls: 'implicit' }],
  ['the TLS handshake', 'tls', starttls, `${version(2)}-\n`],
  ['the answer to PLAIN', 'authentication', starttls, `${version(2)}-\n`],
  ['the answer to PLAIN, without STARTTLS', 'authentication', clear, `${version(2)}-\n`],
];

for (const [what, phase, changes, ...said] of phases) {
  const begin = async (more: Partial<DialTarget> = {}): Promise<ReturnType<typeof start>> => {
    const story = start({ ...changes, ...more });
    if (phase === 'dial') story.dialler.setAnswer('hang');
    story.dialler.onAccept(({ peer }) => {
      if (phase === 'tls') peer.setTls('hang');
      for (const text of said) peer.send(text);
    });
    await settle();
    return story;
  };

  // bounds.connectMs, bounds.greetingMs
  void test(`PROTOCOL 12 trap 25: silence: ${what}`, async () => {
    const defaults = { connectTimeoutMs: bounds.connectMs, greetingTimeoutMs: bounds.greetingMs };
    for (const limits of [{ connectTimeoutMs: 1_000, greetingTimeoutMs: 2_000 }, defaults]) {
      const story = await begin(limits);
      const limitMs = phase === 'dial' ? limits.connectTimeoutMs : limits.greetingTimeoutMs;
      await story.clock.advance(limitMs - 1);
      assert.equal(story.clock.timers, 1);
      await story.clock.advance(1);
      const message = new RegExp(what.split(',')[0] ?? '');
      await assertFault(story.running, 'dial-timeout', { message, phase });
      story.assertTidy(0);
      assert.ok(story.dialler.ends.every(({ peer }) => peer.isReset));
    }
  });

  void test(`abort: ${what}`, async () => {
    const story = await begin();
    const reason = new Error('given up');
    story.abort(reason);
    await assert.rejects(story.running, (fault) => fault === reason);
    story.assertTidy(0);
  });

  if (phase === 'dial') continue;
  void test(`gone: ${what}`, async () => {
    const story = await begin();
    (await story.peer()).vanish();
    await assertFault(story.running, phase === 'tls' ? 'tls-failed' : 'closed-early', { phase });
    story.assertTidy(0);
  });
}

void test('nobody listens; aborted before it began, and in the moment in which the connection stood', async () => {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  await assert.rejects(
    greet(memoryTarget(), dialler.connect, clock, AbortSignal.abort('early')),
    (fault) => fault === 'early',
  );
  assert.equal(dialler.dials, 0);
  const refused = start();
  refused.dialler.setAnswer('refuse');
  await assertFault(refused.running, 'dial-refused', { phase: 'dial' });
  refused.assertTidy(0);
  const controller = new AbortController();
  const late = greet(
    memoryTarget(),
    async (address, signal) => {
      const transport = await dialler.connect(address, signal);
      controller.abort('late');
      return transport;
    },
    clock,
    controller.signal,
  );
  await assert.rejects(late, (fault) => fault === 'late');
  assert.deepEqual([dialler.dials, dialler.open.length, clock.timers], [1, 0, 0]);
});

void test('PROTOCOL 12 trap 18: a rotated password: the next one on a connection of its own, in the order of the files', async () => {
  const tried: string[] = [];
  const offered = ['old', 'new', 'newer'];
  const story = start({
    ...clear,
    passwords: () => Promise.resolve(offered.map((text) => new Secret(text))),
  });
  asks(story.dialler, (line) => {
    const said = Buffer.from(line.split('\t').at(-1) ?? '', 'base64').toString();
    tried.push(said.split('\0').at(-1) ?? '');
    return tried.at(-1) === 'new' ? '+\n' : '-\n';
  });
  const greeted = await story.running;
  assert.deepEqual(tried, ['old', 'new']);
  assert.equal(greeted.transport, at(story.dialler.ends, 1).transport);
  story.assertTidy(1);
});

void test('only a refused password makes it try the next one', async () => {
  const two = { ...clear, passwords: () => Promise.resolve([new Secret('a'), new Secret('b')]) };
  const refused = start(two);
  asks(refused.dialler, () => '-\n');
  await assertFault(refused.running, 'auth-rejected');
  assert.equal(refused.dialler.dials, 2);
  refused.assertTidy(0);
  const silent = start(two);
  silent.dialler.onAccept(({ peer }) => peer.send(`${version(2)}-\n`));
  await settle();
  await silent.clock.advance(2_000);
  await assertFault(silent.running, 'dial-timeout');
  assert.equal(silent.dialler.dials, 1);
  silent.assertTidy(0);
});

void test('passwords are read at each dial; one that cannot be read is a refusal without a dial', async () => {
  let reads = 0;
  const passwords = (): Promise<Secret[]> => {
    reads += 1;
    return reads === 1 ? Promise.resolve([]) : Promise.reject(new Error('/etc/p: EACCES'));
  };
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  dialler.onAccept(({ peer }) => peer.send(`${version(2)}+\n`));
  const never = new AbortController().signal;
  await greet(memoryTarget({ passwords }), dialler.connect, clock, never);
  const second = greet(memoryTarget({ passwords }), dialler.connect, clock, never);
  await assertFault(second, 'auth-rejected', { message: /EACCES/ });
  assert.deepEqual([reads, dialler.dials, clock.timers], [2, 1, 0]);
});

void test('one of several that cannot be read is no refusal while another is taken; it is named where none is', async () => {
  const unread = new Error('/etc/next: is empty');
  const other = new Error('/etc/last: ENOENT');
  const cases: readonly (readonly [(Secret | Error)[], taken: string, number, RegExp | undefined])[] = [
    [[new Secret('a'), unread], 'a', 1, undefined],
    [[unread, new Secret('b')], 'b', 1, undefined],
    [[new Secret('a'), unread, new Secret('c')], 'c', 2, undefined],
    [[new Secret('a'), unread, new Secret('c')], 'none', 2, /cannot be read: \/etc\/next: is empty/],
    [[unread, other], 'none', 0, /cannot be read: \/etc\/next: is empty/],
  ];
  for (const [passwords, taken, dials, fault] of cases) {
    const story = start({ ...clear, passwords: () => Promise.resolve(passwords) });
    const right = `PLAIN\t${Buffer.from(`\0doveadm\0${taken}`).toString('base64')}\n`;
    asks(story.dialler, (line) => (line.includes(right) ? '+\n' : '-\n'));
    if (fault === undefined) await story.running;
    else await assertFault(story.running, 'auth-rejected', { message: fault });
    assert.equal(story.dialler.dials, dials);
    story.assertTidy(fault === undefined ? 1 : 0);
  }
});

void test('a password file on a mount that hangs: a refusal in time, without a dial, and given up at once', async () => {
  const hangs = { passwords: () => new Promise<Secret[]>(() => undefined) };
  const story = start(hangs);
  await story.clock.advance(999);
  assert.equal(story.clock.timers, 1);
  await story.clock.advance(1);
  await assertFault(story.running, 'auth-rejected', { message: /cannot be read: not within 1000 ms/ });
  story.assertTidy(0);
  const abandoned = start(hangs);
  abandoned.abort('given up');
  await assert.rejects(abandoned.running, (reason) => reason === 'given up');
  abandoned.assertTidy(0);
  assert.deepEqual([story.dialler.dials, abandoned.dialler.dials], [0, 0]);
});

void test('whichever port call fails, nothing stays behind', async () => {
  const calls = await failAtEach(async (failAt) => {
    const clock = createFakeClock();
    const dialler = createMemoryDialler();
    asks(dialler, () => '+\n');
    const connect = failable(
      failAt,
      'dial',
      async (...args: Parameters<typeof dialler.connect>) =>
        failableTransport(failAt, 'backend', await dialler.connect(...args)),
      () => new UpstreamFault('dial-refused', 'made to fail'),
    );
    const running = greet(
      memoryTarget(starttls),
      connect,
      failableClock(failAt, clock),
      new AbortController().signal,
    );
    const done = await running.then(
      () => undefined,
      (fault: unknown) => fault,
    );
    // The timer of the connection may go off too late to matter.
    if (failAt.failed === undefined) assert.equal(done, undefined);
    else if (!failAt.failed.startsWith('timer of 1000')) assert.ok(done !== undefined);
    assert.ok(done === undefined || done instanceof UpstreamFault);
    assert.equal(clock.timers, 0);
    assert.equal(dialler.open.length, done === undefined ? 1 : 0);
  });
  assert.ok(calls >= 8, String(calls));
});
