// Every port call of a story fails once: the dial, TLS, each read and write, each timer, each look at the disk for the position.
// Afterwards every record has arrived in its order, and nothing is left behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransportFault, UpstreamFault } from '../../../src/ports/faults.js';
import { failAtEach, failable, failableClock, failableTransport } from '../../kit/fail-at.js';
import { ended, openStory } from './shipping-story.js';

void test('whatever fails, every record arrives, in order but for the overlap', async (t) => {
  const calls = await failAtEach(async (failAt) => {
    const story = openStory(t, (clock) => failableClock(failAt, clock));
    const { clock, dialler, journal, records, until } = story;
    const connect = failable(
      failAt,
      'dial',
      async (...args: Parameters<typeof dialler.connect>) =>
        failableTransport(failAt, 'receiver', await dialler.connect(...args)),
      () => new UpstreamFault('dial-refused', 'made to fail'),
    );
    const save = failable(
      failAt,
      'save',
      (kept: Parameters<typeof story.file.save>[0]) => story.file.save(kept),
      () => new TransportFault('closed', 'made to fail'),
    );
    const shipper = await story.start({ connect, file: { ...story.file, save } });
    journal.write(90, { text: 'x'.repeat(1000) });
    shipper.nudge();
    const hasAll = (): boolean =>
      shipper.lagRecords === 0 && records(dialler.ends.length - 1).at(-1) === journal.lines.at(-1);
    await until(hasAll);
    journal.rotate();
    journal.write(3);
    // The nudge of a record that came while there was no transport is not needed: the next transport begins with a look.
    shipper.nudge();
    await until(hasAll);
    dialler.ends.at(-1)?.peer.end();
    await until(() => dialler.open.length > 0 && dialler.ends.length > 1 && hasAll());
    dialler.onAccept(({ peer }) => peer.end());
    await ended(story, shipper);
    // Where the time for a disk that hangs was over at once, the rest of it comes now.
    await until(() => clock.timers === 0 && dialler.open.length === 0);

    const all = dialler.ends.flatMap((_, connection) => records(connection));
    assert.deepEqual([...new Set(all)], journal.lines, 'in the order in which they came first');
    for (const [connection] of dialler.ends.entries()) {
      const seqs = records(connection).map((line) => Number(JSON.parse(line).seq));
      assert.ok(seqs.every((seq, index) => index === 0 || seq === (seqs[index - 1] ?? 0) + 1));
    }
  });
  t.diagnostic(`${calls} port calls had their turn to fail`);
  assert.ok(calls > 15);
});
