// Goal: whichever call of a port fails, a pool loses nothing and keeps nothing. One story: upstreams that are kept ready, leases of
// two principals, a server command, who waits and who leaves, a look, a drain by an operator, the end. The N-th dial, read, write,
// timer or password fails, N = 1, 2, ... until none does. What must not happen: a lease, timer or transport that stays; somebody
// who hears nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pool } from '../../../src/gate/pool/pool.js';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import type { Connect } from '../../../src/host/ports/transport.js';
import { createMemoryDialler, greeting, memoryTarget, poolSizes } from '../../kit/gate/memory-backend.js';
import {
  type FailAt,
  failAtEach,
  failable,
  failableClock,
  failableTransport,
} from '../../kit/plain/fail-at.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { poolLimits } from './pooled.js';

async function playStory(failAt: FailAt): Promise<void> {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  dialler.onAccept(({ peer }) => peer.send(greeting(2)));
  const connect: Connect = async (address, signal) =>
    failableTransport(failAt, 'upstream', await dialler.connect(address, signal));
  const passwords = (): Promise<never[]> => Promise.resolve([]);
  const pool = new Pool({
    target: memoryTarget({ passwords: failable(failAt, 'password', passwords, () => new Error('EACCES')) }),
    configured: { series: 'auto', release: undefined, newer: 'reads' },
    limits: {
      ...poolLimits,
      connections: 3,
      idle: 2,
      queue: 20,
      idleTimeoutMs: 5_000,
      maxLifetimeMs: 20_000,
    },
    connect: failable(failAt, 'dial', connect, () => new UpstreamFault('dial-refused', 'made to fail')),
    clock: failableClock(failAt, clock),
    observe: () => undefined,
    chance: () => 0.5,
  });
  const outcomes: unknown[] = [];
  let asked = 0;
  const lease = (principal: string, isFresh = false): Abortable => {
    const abortable = new Abortable();
    asked += 1;
    pool
      .withLease({
        principal,
        origin: principal,
        weight: 1,
        isFresh,
        isYoung: false,
        abortable,
        async use(upstream) {
          await upstream.write([Buffer.from('command\n')]);
          await clock.nextTurn();
          return {
            value: 'served',
            closeFor: isFresh ? 'not-reusable' : undefined,
            answer: 'other' as const,
          };
        },
      })
      .then(
        (value) => outcomes.push(value),
        (fault: unknown) => outcomes.push(fault),
      );
    return abortable;
  };
  pool.start();
  await settle();
  for (let n = 0; n < 4; n += 1) lease('a@support');
  lease('b@support', true);
  lease('b@support');
  const leaving = lease('c@support');
  leaving.abort('gone');
  await settle();
  await clock.advance(9_000);
  lease('a@support');
  await settle();
  pool.setDrained(true);
  lease('a@support');
  await settle();
  pool.setDrained(false);
  await clock.advance(30_000);
  lease('a@support');
  await settle();
  pool.drain();
  await settle();
  await settle();
  assert.equal(outcomes.length, asked, 'somebody hears nothing');
  assert.deepEqual(poolSizes(pool), [0, 0, 0, 0]);
  assert.deepEqual([clock.timers, dialler.open.length], [0, 0]);
  if (failAt.failed === undefined) {
    assert.equal(outcomes.filter((outcome) => outcome === 'served').length, asked - 2);
  }
}

void test('whichever call fails, nothing stays behind, and everybody hears', async () => {
  const calls = await failAtEach(playStory);
  assert.ok(calls >= 60, `only ${calls} calls had their turn`);
});
