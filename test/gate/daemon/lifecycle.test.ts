// Goal: the service ends in bounded time, whatever a backend or a client does. Phases: everything ends by itself; the time is over,
// so what runs is told; a client does not read even that; a second signal. What must not happen: a wait without end, a timer that stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStopRequests } from '../../../src/gate/daemon/life.js';
import { drain, Lifecycle, type Phase } from '../../../src/gate/daemon/lifecycle.js';
import { poolSizes } from '../../kit/gate/memory-backend.js';
import {
  type MemoryClient,
  type MemoryEngine,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

/** Shorter than the queue timeout. */
const drainMs = 20_000;
const never = new Promise<never>(() => undefined);

/** An engine with one client whose command runs. */
async function openBusy(): Promise<{ engine: MemoryEngine; client: MemoryClient }> {
  const { engine, client } = await openWithClient(2, { answer: () => undefined });
  await client.line('|alice@example.org|mailbox subscribe|Work');
  return { engine, client };
}

/** A drain that runs, and whether it is over. */
function startDrain({ service, pool, clock }: MemoryEngine, hurried: Promise<unknown> = never) {
  let isOver = false;
  const done = drain(service, [pool], drainMs, clock, hurried).then(() => {
    isOver = true;
  });
  return {
    done,
    get isOver() {
      return isOver;
    },
  };
}

// bounds.drainMs
void test('the time is over: what runs and what waits is given up, and told so', async () => {
  const { engine, client } = await openBusy();
  const others = [await engine.client(2), await engine.client(2)];
  for (const other of others) await other.line('|alice@example.org|mailbox subscribe|Work');
  assert.equal(engine.pool.snapshot().waiters, 1);
  const draining = startDrain(engine);
  await engine.clock.advance(drainMs);
  await draining.done;
  assert.match(
    client.said(),
    /dovegate had to stop; whether the command ran is not known \[outcome-unknown\], id \w{26}\n.*-TEMPFAIL/s,
  );
  assert.equal(client.transport.closedFor, 'draining');
  assert.equal(engine.recordsOf('completion').find(({ sent }) => sent)?.outcome, 'unknown');
  assert.match(others[1]?.said() ?? '', /dovegate is stopping; try again \[draining\].*-TEMPFAIL/s);
  assert.deepEqual(poolSizes(engine.pool), [0, 0, 0, 0]);
  assert.deepEqual([engine.clock.timers, engine.dialler.open.length], [0, 0]);
});

void test('a client that does not read is cut a moment later', async () => {
  const { engine, client } = await openBusy();
  client.peer.setStopped(true);
  const draining = startDrain(engine);
  await engine.clock.advance(drainMs + 999);
  assert.deepEqual([draining.isOver, client.peer.isReset], [false, false]);
  await engine.clock.advance(1);
  // Closed in an orderly way already, and what was said last does not leave: the last limit ends that.
  await engine.clock.advance(1_000);
  await draining.done;
  assert.equal(engine.clock.timers, 0);
});

void test('a second signal after the end does nothing', async () => {
  const engine = openMemoryEngine();
  let hurry: (value: 'now') => void = () => undefined;
  const hurried = new Promise<'now'>((resolve) => {
    hurry = resolve;
  });
  await startDrain(engine, hurried).done;
  hurry('now');
  await settle();
  assert.equal(engine.clock.timers, 0);
});

void test('the first signal asks for an orderly end, the second for one now, whichever they are', async () => {
  const before = process.listenerCount('SIGTERM');
  const { first, second } = createStopRequests();
  let isSecond = false;
  void second.then(() => {
    isSecond = true;
  });
  process.emit('SIGINT');
  assert.equal(await first, 'stop');
  await settle();
  assert.equal(isSecond, false);
  process.emit('SIGTERM');
  assert.equal(await second, 'now');
  assert.equal(process.listenerCount('SIGTERM'), before + 1);
});

// Goal: the table of states: what may follow what, and that nothing else can.

const phases: readonly Phase[] = ['starting', 'serving', 'reloading', 'draining', 'stopped'];
const legal = [
  'starting serving',
  'starting stopped',
  'serving reloading',
  'serving draining',
  'serving stopped',
  'reloading serving',
  'reloading draining',
  'reloading stopped',
  'draining stopped',
];
const wayTo: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: [],
  serving: ['serving'],
  reloading: ['serving', 'reloading'],
  draining: ['serving', 'draining'],
  stopped: ['stopped'],
};

void test('each pair of states', () => {
  for (const from of phases) {
    for (const to of phases) {
      const lifecycle = new Lifecycle();
      for (const phase of wayTo[from]) lifecycle.become(phase);
      assert.equal(lifecycle.at, from);
      const isLegal = legal.includes(`${from} ${to}`);
      assert.equal(lifecycle.may(to), isLegal, `${from} ${to}`);
      if (isLegal) {
        lifecycle.become(to);
        assert.equal(lifecycle.at, to);
      } else {
        assert.throws(() => lifecycle.become(to), /cannot be/);
      }
    }
  }
});
