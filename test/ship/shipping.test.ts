// Several receivers of one journal: each gets all of it, and the journal hears of what the last of them still needs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ShipEvent } from '../../src/engine/ship-events.js';
import { createPositionFile } from '../../src/ship/position-file.js';
import { openShipping } from '../../src/ship/shipping.js';
import { createFakeClock } from '../kit/fake-clock.js';
import { createMemoryDialler } from '../kit/memory-backend.js';
import { openDiskJournal } from './journal-on-disk.js';
import { readFrames } from './rfc5424.js';
import { turn } from './shipping-story.js';

const hash = 'ab'.repeat(32);

function open(t: TestContext, names: readonly string[]) {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const journal = openDiskJournal(t);
  const stateDirectory = join(journal.directory, 'state');
  const events: ShipEvent[] = [];
  const opened = () =>
    openShipping({
      sinks: names.map((name) => ({
        name: `${name}:6514`,
        address: { kind: 'tcp', host: name, port: 6514 },
        demand: () => ({ serverName: name, ca: undefined, keyPins: [] }),
      })),
      stateDirectory,
      directory: journal.directory,
      sender: { hostName: 'gate1', processId: 1 },
      connect: dialler.connect,
      clock,
      chance: () => 0.5,
      observe: (event) => {
        if ('sink' in event) events.push(event);
      },
    });
  return {
    clock,
    dialler,
    journal,
    stateDirectory,
    events,
    opened,
    fileOf: (name: string) => createPositionFile(stateDirectory, `${name}:6514`),
    until: async (isTrue: () => boolean): Promise<void> => {
      for (let turns = 0; !isTrue(); turns += 1) {
        assert.ok(turns < 20_000, 'in time');
        await turn(clock);
      }
    },
  };
}

void test('nobody to ship to: nothing is held back, nothing runs', async (t) => {
  const { opened, journal, clock } = open(t, []);
  const shipping = await opened();
  assert.equal(shipping.shippedSeq, undefined);
  shipping.start({ id: journal.id, seq: () => journal.seq });
  shipping.nudge();
  assert.deepEqual(shipping.sinks, []);
  await shipping.end();
  assert.equal(clock.timers, 0);
});

void test('each receiver gets everything, and the slowest counts', async (t) => {
  const { opened, journal, dialler, fileOf, until, clock } = open(t, ['one', 'two']);
  journal.write(20);
  const line = (seq: number) => Buffer.byteLength(journal.lines.slice(0, seq).join('\n')) + 1;
  const { hash: last } = JSON.parse(journal.lines[11] ?? '');
  const position = { segment: 1, bytes: line(12), seq: 12, hash: String(last) };
  await fileOf('one').save({ journal: journal.id, position });
  const shipping = await opened();
  // Before anything runs, too: the journal may tidy up as soon as it is open.
  assert.equal(shipping.shippedSeq, 0);
  await fileOf('two').save({ journal: journal.id, position: { ...position, seq: 3, hash } });
  const again = await opened();
  assert.equal(again.shippedSeq, 3);

  shipping.start({ id: journal.id, seq: () => journal.seq });
  await until(() => shipping.sinks.every(({ state }) => state.at === 'connected'));
  assert.ok(shipping.sinks.every(({ lagRecords }) => lagRecords === 0));
  const got = dialler.ends.map(({ peer }) =>
    readFrames(peer.received()).messages.map(({ text }) => String(text)),
  );
  assert.deepEqual(
    dialler.ends.map(({ address }, at) => [address.kind === 'tcp' ? address.host : '', got[at]?.length]),
    [
      ['one', 8],
      ['two', 20],
    ],
  );
  assert.deepEqual(
    shipping.sinks.map(({ name, state, safeSeq }) => [name, state.at, safeSeq]),
    [
      ['one:6514', 'connected', 12],
      ['two:6514', 'connected', 0],
    ],
  );
  for (const { peer } of dialler.ends) peer.end();
  await shipping.end();
  assert.equal(clock.timers, 0);
});

void test('a position of another journal, or none that can be read, is told, and everything is sent', async (t) => {
  const { opened, journal, dialler, events, fileOf, stateDirectory, until } = open(t, ['one', 'two']);
  journal.write(5);
  await fileOf('one').save({ journal: 'cd'.repeat(16), position: { segment: 1, bytes: 9, seq: 4, hash } });
  writeFileSync(join(stateDirectory, 'ship-two_6514.json'), 'garbage');
  const shipping = await opened();
  shipping.start({ id: journal.id, seq: () => journal.seq });
  assert.deepEqual(
    events.map(({ kind, sink }) => [kind, sink]),
    [
      ['ship-restarted', 'two:6514'],
      ['ship-restarted', 'one:6514'],
    ],
  );
  await until(() => shipping.sinks.every(({ lagRecords }) => lagRecords === 0));
  for (const { peer } of dialler.ends) {
    assert.equal(readFrames(peer.received()).messages.length, 5);
    peer.end();
  }
  await shipping.end();
});
