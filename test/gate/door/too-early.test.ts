// A call that comes too early for a budget of the door waits as long as the daemon says, and is made again; what a person used up alone
// is refused at once.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { json, linesOf, openDoorServer, refused } from '../../../src/gate/daemon/door-server.js';
import { createDoorClient } from '../../../src/gate/door/door-client.js';
import { TokenBuckets } from '../../../src/host/concurrency/limits.js';
import { systemClock as clock } from '../../../src/host/machine/clock.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import { nothing } from '../../../src/host/values/shape.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const calls = {
  facts: { route: 'GET /facts', asks: nothing },
  own: { route: 'GET /own', asks: nothing },
  states: { route: 'GET /states', asks: nothing },
} as const;

async function* oneLine(): AsyncGenerator<string> {
  yield 'a line\n';
}

/** A door whose budget is `take`, and a client of it. */
async function openDoor(t: TestContext, take: () => number | undefined, ofClient: Clock = clock) {
  const path = join(openFolder(t), 'door.sock');
  const peer = { listener: 'admin.door', uid: process.getuid?.() ?? 0 };
  const asked: string[] = [];
  const server = await openDoorServer({
    clock,
    findPeer: () => ({ peer, describe: () => Promise.resolve(peer) }),
    place: {
      setting: 'admin.door',
      path,
      user: '',
      mode: 0o600,
      uid: undefined,
      gid: undefined,
      userUid: undefined,
    },
    calls,
    take(call) {
      asked.push(call);
      return call === 'own' ? undefined : take();
    },
    handlers: {
      facts: () => Promise.resolve(json(200, {})),
      own: () => Promise.resolve(refused({ code: 'busy', text: 'ann has had too much recorded' })),
      states: () => Promise.resolve(linesOf(oneLine())),
    },
    onError: assert.fail,
  });
  const client = createDoorClient({ path, calls }, ofClient, () => 1);
  t.after(async () => {
    client.close();
    await server.close();
  });
  return { client, asked };
}

/** So often too early, and then not. */
function tooEarly(times: number, waitMs: number): () => number | undefined {
  let left = times;
  return () => {
    left -= 1;
    return left >= 0 ? waitMs : undefined;
  };
}

test('a call is made again twenty times at most, after the time that it is told', async (t) => {
  const startMs = clock.now();
  const good = await openDoor(t, tooEarly(3, 20));
  assert.equal(await good.client.call('facts'), '{}\n');
  assert.equal(good.asked.length, 4);
  assert.ok(clock.now() - startMs >= 3 * 20);
  const never = await openDoor(t, tooEarly(21, 1));
  await assert.rejects(never.client.call('facts'), { code: 'busy' });
  assert.equal(never.asked.length, 21);
});

test('a call is refused at once for more than 5 s, and where a person has used up what is theirs', async (t) => {
  const { client, asked } = await openDoor(t, () => 5_001);
  await assert.rejects(client.call('facts'), { code: 'busy' });
  await assert.rejects(client.call('own'), { code: 'busy', message: 'ann has had too much recorded' });
  assert.deepEqual(asked, ['facts', 'own']);
});

test('calls that wait take turns, so that many at once are all served', async (t) => {
  const budget = new TokenBuckets({ burst: 5, refillMs: 10, sourcesMax: 1 });
  const { client } = await openDoor(t, () => budget.take('', clock.now()));
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.call('facts')));
  assert.equal(answers.length, 50);
});

test('a call whose turn comes too late for its 5 s is refused, and not made again', async (t) => {
  const fake = createFakeClock();
  const waits = [2_000, 4_000];
  const { client, asked } = await openDoor(t, () => waits.shift(), fake);
  /** One timer is left: the wait of the first one, for 3 s, as `chance` has it. */
  const waitsAlone = (times: number) =>
    until(() => asked.length === times && fake.timers === 1 && fake.nextTimerMs === 3_000, `call ${times}`);
  const first = client.call('facts');
  await waitsAlone(1);
  const second = assert.rejects(client.call('facts'), { code: 'busy' });
  await waitsAlone(2);
  await fake.advance(3_000);
  await first;
  await until(() => fake.timers === 0, 'the second one waits no more');
  await second;
  assert.equal(asked.length, 3);
});

test('a stream waits, too', async (t) => {
  const { client, asked } = await openDoor(t, tooEarly(2, 5));
  const lines = client.lines('states', new AbortController().signal);
  assert.deepEqual(await lines.next(), { done: false, value: 'a line' });
  assert.equal(asked.length, 3);
  await lines.return();
});

test('the end of the client ends the wait', async (t) => {
  const { client, asked } = await openDoor(t, () => {
    setImmediate(() => client.close());
    return 4_000;
  });
  await assert.rejects(client.call('facts'));
  assert.equal(asked.length, 1);
});
