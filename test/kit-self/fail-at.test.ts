// fail-at over a story that uses a transport and a clock: every call of a port has its turn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failAtEach, failable, failableClock, failableTransport } from '../kit/fail-at.js';
import { createFakeClock } from '../kit/fake-clock.js';
import { createMemoryTransport } from '../kit/memory-transport.js';

const demand = { serverName: 'localhost', ca: undefined, keyPins: [] };

void test('fail-at: every port call of a story has its turn, and the last run has none', async () => {
  const outcomes: string[] = [];
  const turns = await failAtEach(async (failAt) => {
    const { transport: plain, peer } = createMemoryTransport();
    const clock = createFakeClock();
    const transport = failableTransport(failAt, 'upstream', plain);
    const append = failable(
      failAt,
      'append',
      async (text: string) => text.length,
      () => new Error('disk'),
    );
    let end = '';
    let isLate = false;
    const timer = failableClock(failAt, clock).setTimer(1000, () => {
      isLate = true;
    });
    try {
      await append('record');
      await transport.startTls(demand);
      await transport.write([Buffer.from('line\n')]);
      peer.send('reply');
      await transport.read();
      end = isLate ? 'late' : 'ok';
    } catch (error) {
      end = error instanceof Error ? error.message : String(error);
    } finally {
      timer.cancel();
      transport.close('peer-ended');
    }
    assert.equal(clock.timers, 0);
    outcomes.push(`${end}, sent ${JSON.stringify(String(peer.received()))}`);
  });
  assert.equal(turns, 5);
  assert.deepEqual(outcomes, [
    'late, sent "line\\n"',
    'disk, sent ""',
    'made to fail: upstream, sent ""',
    'made to fail: upstream, sent ""',
    'made to fail: upstream, sent "line\\n"',
    'ok, sent "line\\n"',
  ]);
});
