// Goal: from a target to an upstream or a fault. Phases: good ones; what is refused behind the greeting; aborts; a look; passwords
// that are read once at a time. What must not happen: a transport that stays open.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConfiguredServer,
  dialUpstream,
  probeBackend,
  serverOfBackend,
  sharingReads,
} from '../../../src/gate/pool/dial.js';
import type { PoolOptions } from '../../../src/gate/pool/pool.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import {
  at,
  carelessOwner,
  createMemoryDialler,
  greeting,
  logPacket,
  memoryTarget,
  replyPacket,
} from '../../kit/gate/memory-backend.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { poolLimits } from './pooled.js';

function open(said: string | Buffer | null = greeting(2), changes: Partial<PoolOptions> = {}) {
  const dialler = createMemoryDialler();
  const clock = createFakeClock();
  const controller = new AbortController();
  if (said !== null) dialler.onAccept(({ peer }) => peer.send(said));
  const options: PoolOptions = {
    target: memoryTarget(),
    configured: { series: 'auto', release: undefined, newer: 'reads' },
    limits: { ...poolLimits, maxLifetimeMs: 10_000 },
    connect: dialler.connect,
    clock,
    observe: () => undefined,
    chance: () => 0.5,
    ...changes,
  };
  const { signal } = controller;
  return {
    dialler,
    clock,
    abort: (reason: unknown): void => controller.abort(reason),
    dial: () => dialUpstream(options, () => 'mail1-7', carelessOwner, signal),
    look: () => probeBackend(options, signal),
  };
}

void test('a greeted upstream has its names, its series, and an end that is partly chance', async () => {
  const { dial, clock, dialler } = open(greeting(4));
  const upstream = await dial();
  assert.deepEqual(
    [upstream.id, upstream.backend, upstream.server.series, upstream.serverMinor, upstream.state.at],
    ['mail1-7', 'mail1', '2.4', 4, 'greeted'],
  );
  assert.equal(upstream.endsMs - clock.now(), 9_500);
  upstream.close('lifetime');
  assert.deepEqual([dialler.open.length, clock.timers], [0, 0]);
});

void test('log lines are asked for where a server of the session sends them only then', async () => {
  for (const [minor, isAsked] of [
    [1, false],
    [2, false],
    [3, true],
    [4, true],
    [5, true],
  ] as const) {
    const { dial, dialler } = open(greeting(minor));
    const upstream = await dial();
    upstream.release(1_000);
    // With the first command, and not before.
    const version = 'VERSION\tdoveadm-server\t1\t4\n';
    const { peer } = at(dialler.ends, 0);
    assert.equal(String(peer.received()), version);
    upstream.lease();
    for (const line of ['first\n', 'second\n']) await upstream.write([Buffer.from(line)]);
    const option = isAsked ? '\t\tOPTION\tlog-passthrough\n' : '';
    assert.equal(String(peer.received()), `${version}${option}first\nsecond\n`);
    upstream.close('lifetime');
  }
});

void test('an answer before any command, or another series than configured, is a fault', async () => {
  const early = Buffer.concat([Buffer.from(greeting(2)), replyPacket('\n+\n')]);
  const half = Buffer.concat([Buffer.from(greeting(2)), logPacket('info', 'x').subarray(0, 3)]);
  for (const story of [
    open(early),
    open(half),
    open(greeting(2), { configured: { series: '2.4', release: undefined, newer: 'reads' } }),
  ]) {
    await assert.rejects(
      story.dial(),
      (fault) =>
        fault instanceof UpstreamFault && fault.code === 'version-unsupported' && fault.phase === 'greeting',
    );
    assert.deepEqual([story.dialler.open.length, story.clock.timers], [0, 0]);
  }
});

void test('given up at any time: its reason, and nothing stays open', async () => {
  for (const said of [null, greeting(2)]) {
    const story = open(said);
    const dialling = story.dial();
    const isGivenUp = assert.rejects(dialling, (reason) => reason === 'given up');
    story.abort('given up');
    await isGivenUp;
    assert.deepEqual([story.dialler.open.length, story.clock.timers], [0, 0]);
  }
});

void test('whatever else a dial throws is a fault too', async () => {
  const story = open(null, { connect: () => Promise.reject(new Error('no more descriptors')) });
  await assert.rejects(
    story.dial(),
    (fault) =>
      fault instanceof UpstreamFault && fault.code === 'dial-refused' && /descriptors/.test(fault.message),
  );
});

void test('a look greets and goes', async () => {
  const story = open();
  await story.look();
  assert.deepEqual([story.dialler.dials, story.dialler.open.length, story.clock.timers], [1, 0, 0]);
  assert.equal(at(story.dialler.ends, 0).transport.closedFor, 'probed');
  story.dialler.setAnswer('refuse');
  await assert.rejects(story.look(), (fault) => fault instanceof UpstreamFault && fault.phase === 'dial');
  const silent = open(null);
  const looking = silent.look();
  const isGivenUp = assert.rejects(looking, (reason) => reason === 'given up');
  await settle();
  silent.abort('given up');
  await isGivenUp;
  assert.equal(silent.dialler.open.length, 0);
});

void test('a password file that hangs is read once, however many dial', async () => {
  let reads = 0;
  let fail: (fault: unknown) => void = () => undefined;
  const target = sharingReads(
    memoryTarget({
      passwords() {
        reads += 1;
        if (reads > 1) return Promise.resolve([new Secret('p')]);
        return new Promise((_resolve, reject) => {
          fail = reject;
        });
      },
    }),
    () => undefined,
  );
  const both = [target.passwords(), target.passwords()];
  assert.equal(reads, 1);
  fail(new Error('EIO'));
  for (const each of both) await assert.rejects(each, /EIO/);
  assert.equal((await target.passwords()).length, 1);
  assert.equal(reads, 2);
});

const auto: ConfiguredServer = { series: 'auto', release: undefined, newer: 'reads' };

test('what a backend announces names its series', () => {
  const series = [0, 1, 2, 3, 4, 5].map((minor) => serverOfBackend(auto, minor).series);
  assert.deepEqual(series, ['2.3', '2.3', '2.3', '2.4', '2.4', '2.4']);
});

/** What is refused with this sentence. */
function refused(configured: Partial<ConfiguredServer>, minor: number | undefined, why: RegExp): void {
  assert.throws(
    () => serverOfBackend({ ...auto, ...configured }, minor),
    (fault) =>
      fault instanceof UpstreamFault && fault.code === 'version-unsupported' && why.test(fault.message),
  );
}

test('a configured series holds where nothing is announced, and must agree where something is', () => {
  assert.equal(serverOfBackend({ ...auto, series: '2.3' }, undefined).series, '2.3');
  assert.equal(serverOfBackend({ ...auto, series: '2.4' }, 3).series, '2.4');
  refused({ series: '2.4' }, 2, /^it is Dovecot 2\.3, but `series` says 2\.4$/);
  refused({ series: '2.3' }, 4, /^it is Dovecot 2\.4, but `series` says 2\.3$/);
  // Every Dovecot 2.4 names a version.
  refused({ series: '2.4' }, undefined, /names no version/);
  refused({}, undefined, /names no version/);
});

test('a configured release says what the minor leaves open, and must agree with it', () => {
  const releasesOf = (release: string | undefined, minor: number): string =>
    serverOfBackend({ ...auto, release }, minor).releases.join(' ');
  assert.equal(releasesOf(undefined, 3), '2.4.0 2.4.1 2.4.2 2.4.3 2.4.4');
  assert.equal(releasesOf('2.4.2', 3), '2.4.2');
  assert.equal(releasesOf('2.3.19.1', 2), '2.3.19');
  assert.equal(releasesOf('2.4.7', 4), '2.4.5');
  refused({ release: '2.4.5' }, 3, /^it announces minor 3, but `release` says 2\.4\.5, which announces 4$/);
  refused({ release: '2.3.21' }, 3, /^it is Dovecot 2\.4, but `release` says 2\.3$/);
});

test('a newer minor is served as far as `newer` permits', () => {
  for (const newer of ['reads', 'serve'] as const)
    for (const release of [undefined, '2.4.5'])
      assert.ok(serverOfBackend({ ...auto, newer, release }, 5).isNewer);
  assert.ok(!serverOfBackend({ ...auto, newer: 'refuse' }, 4).isNewer);
  refused({ newer: 'refuse' }, 5, /^it announces minor 5, newer than .* knows \(4\), and `newer` is refuse$/);
});
