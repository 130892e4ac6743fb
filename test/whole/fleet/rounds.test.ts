// Goal: a watch of many streams that are quiet costs the server few messages, hears of a record all the same, and notices within a minute
// that the server says nothing, also in the middle of a read. Phases: 200 hosts at rest; a record; the server stands still while much is
// read; it goes on. What must not happen: a standing request for each stream, a wait without an end, a record that is not read.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../kit/plain/until.js';
import { skipOf, statusOf } from './fleet-lab.js';
import { openQuietFleet } from './quiet-fleet.js';
import { startWatch } from './watching.js';

const hostsMax = 200;
/** With a standing pull and a question each two seconds for each stream it was 300. */
const messagesMax = 20;
const quietMs = 10_000;
const noticeMs = 60_000;

void test('many quiet streams, a record, and a server that stands still', { timeout: 600_000 }, async (t) => {
  const fleet = await openQuietFleet(t, hostsMax);
  if (skipOf(t, fleet)) return;
  const { nats, verifier, hosts } = fleet;
  const [host = ''] = hosts;
  const watch = startWatch(nats, verifier);
  const status = () => statusOf({ state: join(verifier.folder, 'state') });
  const seqOf = (name: string) => status().gates.find((gate) => gate.host === name)?.seq;
  await until(
    () => watch.of('started').length > 0 && hosts.every((name) => seqOf(name) !== undefined),
    'all hosts are read',
  );

  await t.test('nothing happens', async () => {
    let rate = 0;
    // What the first reading leaves behind, its last consumers, is still taken away where the machine has other work.
    const isQuiet = async (): Promise<boolean> => {
      const startMs = performance.now();
      const before = await fleet.messages();
      await pause(quietMs);
      rate = ((await fleet.messages()) - before) / ((performance.now() - startMs) / 1000);
      t.diagnostic(`${rate.toFixed(1)} messages a second for ${hostsMax} streams`);
      // None at all would be a watch that does not look.
      return rate > 0 && rate < messagesMax;
    };
    await until(isQuiet, `fewer than ${messagesMax} messages a second`);
  });

  await t.test('a record is read, by few messages', async () => {
    const seq = seqOf(host) ?? 0;
    await fleet.checkpoint(host);
    await until(() => seqOf(host) === seq + 1, 'it is read');
    assert.deepEqual(watch.of('finding'), []);
  });

  await t.test('the server stands still in the middle of a read', async () => {
    const seq = await fleet.work(host, 100, 500);
    const isReading = async (): Promise<boolean> => {
      const { consumers } = await nats.api(`CONSUMER.LIST.DOVEGATE_AUDIT_${host}`, {});
      return (Array.isArray(consumers) && consumers.length > 0) || seqOf(host) === seq;
    };
    await until(isReading, 'it reads');
    t.diagnostic(`frozen while it reads: ${seqOf(host) !== seq}`);
    const frozenMs = performance.now();
    await nats.freeze();
    await until(() => watch.of('stream-away').length === 1, 'it is noticed', 2 * noticeMs);
    const ms = performance.now() - frozenMs;
    t.diagnostic(`noticed after ${(ms / 1000).toFixed(1)} s`);
    assert.ok(ms < noticeMs, `${ms} ms`);
    nats.thaw();
    await until(() => watch.of('stream-back').length === 1, 'it is back');
    await until(() => seqOf(host) === seq, 'everything is read');
    assert.deepEqual(watch.of('finding'), []);
  });
  assert.equal((await watch.stop()).code, 0, watch.errors());
});
