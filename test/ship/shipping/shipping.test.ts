// Several receivers of one journal: each gets all of it, and says how far it is.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ShipEvent } from '../../../src/gate/door/ship-event.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { TlsDemand } from '../../../src/host/ports/transport.js';
import { createPositionFile } from '../../../src/ship/shipping/position.js';
import { ReceiverFault } from '../../../src/ship/shipping/receiver.js';
import { openShipping, type Sink } from '../../../src/ship/shipping/shipping.js';
import { createSyslogCarrier } from '../../../src/ship/shipping/syslog-carrier.js';
import { leastSafe } from '../../kit/gate/least-safe.js';
import { createMemoryDialler } from '../../kit/gate/memory-backend.js';
import { createFakeClock, type FakeClock } from '../../kit/plain/fake-clock.js';
import { openDiskJournal } from './journal-on-disk.js';
import { readFrames } from './rfc5424.js';
import { turn } from './shipping-story.js';

const hash = 'ab'.repeat(32);

function sinkOf(name: string, key = name): Sink {
  return {
    name: `${name}:6514`,
    key,
    carrier(parts) {
      const demand = (): TlsDemand => ({
        serverName: name,
        ca: undefined,
        keyPins: [],
        onShown: (validTo) => parts.onCertificate(`${name}:6514`, validTo),
      });
      const receiver = { address: { kind: 'tcp', host: name, port: 6514 }, demand } as const;
      return createSyslogCarrier({ ...parts, receiver });
    },
  };
}

/** Turns the clock until it is so. */
function untilBy(clock: FakeClock) {
  return async (isTrue: () => boolean): Promise<void> => {
    for (let turns = 0; !isTrue(); turns += 1) {
      assert.ok(turns < 20_000, 'in time');
      await turn(clock);
    }
  };
}

function open(t: TestContext, names: readonly string[]) {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const journal = openDiskJournal(t);
  const stateDirectory = join(journal.directory, 'state');
  const events: ShipEvent[] = [];
  const opened = () =>
    openShipping({
      sinks: names.map((name) => sinkOf(name)),
      stateDirectory,
      directory: journal.directory,
      sender: { hostName: 'gate1', processId: 1 },
      connect: dialler.connect,
      clock,
      chance: () => 0.5,
      observe: (event) => void events.push(event),
    });
  return {
    clock,
    dialler,
    journal,
    stateDirectory,
    events,
    opened,
    fileOf: (name: string) => createPositionFile(stateDirectory, `${name}:6514`),
    until: untilBy(clock),
  };
}

void test('nobody to ship to: nothing is held back, nothing runs', async (t) => {
  const { opened, journal, clock } = open(t, []);
  const shipping = await opened();
  assert.equal(leastSafe(shipping), undefined);
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
  assert.equal(leastSafe(shipping), 0);
  await fileOf('two').save({ journal: journal.id, position: { ...position, seq: 3, hash } });
  const again = await opened();
  assert.equal(leastSafe(again), 3);

  shipping.start({ id: journal.id, seq: () => journal.seq });
  await until(() => shipping.sinks.every(({ state }) => state.at === 'connected'));
  assert.ok(shipping.sinks.every(({ sentSeq }) => sentSeq === journal.seq));
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
    shipping.sinks.map(({ name, state, safe }) => [name, state.at, safe.seq]),
    [
      ['one:6514', 'connected', 12],
      ['two:6514', 'connected', 0],
    ],
  );
  assert.deepEqual(shipping.certificates, []);
  dialler.ends[1]?.peer.tlsDemands[0]?.onShown?.('Dec  1 09:05:00 2099 GMT');
  assert.deepEqual(shipping.certificates, [{ name: 'two:6514', validTo: 'Dec  1 09:05:00 2099 GMT' }]);
  for (const { peer } of dialler.ends) peer.end();
  await shipping.end();
  assert.equal(clock.timers, 0);
});

void test('receivers come, go and change while records are shipped; who is the same notices nothing', async (t) => {
  const { opened, journal, dialler, until, clock } = open(t, ['one', 'two']);
  journal.write(20);
  const shipping = await opened();
  shipping.start({ id: journal.id, seq: () => journal.seq });
  const isUp = (): boolean =>
    shipping.sinks.every(({ state, sentSeq }) => state.at === 'connected' && sentSeq === journal.seq);
  const hosts = (): string[] =>
    dialler.ends.map(({ address }) => (address.kind === 'tcp' ? address.host : ''));
  const namesNow = (): string[] => shipping.sinks.map(({ name }) => name);
  await until(() => isUp() && dialler.ends.length === 2);

  // Who goes is not waited for by the journal from that moment on; who comes is, at once.
  shipping.replace([sinkOf('one'), sinkOf('three')]);
  assert.deepEqual(namesNow(), ['one:6514', 'three:6514']);
  assert.equal(leastSafe(shipping), 0);
  const two = dialler.ends.find(({ address }) => address.kind === 'tcp' && address.host === 'two');
  await until(() => two?.peer.isEnded === true);
  two?.peer.end();
  await until(() => isUp() && dialler.ends.length === 3);
  assert.deepEqual(hosts().toSorted(), ['one', 'three', 'two']);
  assert.equal(readFrames(dialler.ends[2]?.peer.received() ?? Buffer.alloc(0)).messages.length, 20);

  // A change of how it is spoken to: the old transport ends, and a new one goes on where that stood.
  const one = dialler.ends.find(({ address }) => address.kind === 'tcp' && address.host === 'one');
  shipping.replace([sinkOf('one', 'another certificate'), sinkOf('three')]);
  shipping.replace([sinkOf('one', 'a third one'), sinkOf('three')]);
  await until(() => one?.peer.isEnded === true);
  one?.peer.end();
  await until(() => isUp() && dialler.ends.length === 4);
  assert.equal(hosts()[3], 'one');
  journal.write(5);
  shipping.nudge();
  await until(() => isUp() && shipping.sinks.length === 2);

  for (const { peer } of dialler.ends) peer.end();
  shipping.replace([]);
  assert.equal(leastSafe(shipping), undefined);
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
  await until(() => shipping.sinks.every(({ sentSeq }) => sentSeq === journal.seq));
  for (const { peer } of dialler.ends) {
    assert.equal(readFrames(peer.received()).messages.length, 5);
    peer.end();
  }
  await shipping.end();
});

void test('a receiver that takes nothing delays a stop for five seconds', async (t) => {
  const { opened, journal, dialler, until, clock } = open(t, ['one']);
  const shipping = await opened();
  shipping.start({ id: journal.id, seq: () => journal.seq });
  await until(() => shipping.sinks[0]?.state.at === 'connected');
  dialler.ends[0]?.peer.setStopped(true);
  journal.write(2_000);
  shipping.nudge();
  await until(() => (dialler.ends[0]?.transport.unsentBytes ?? 0) > 0);
  let isOver = false;
  const ended = shipping.end().then(() => {
    isOver = true;
  });
  await clock.advance(5_000 - 1);
  assert.equal(dialler.ends[0]?.transport.closedFor, undefined);
  assert.equal(isOver, false);
  await clock.advance(1);
  await until(() => isOver);
  await ended;
});

// bounds.receiverFaultChars
void test('what a receiver says is cut and made visible', () => {
  const { message } = new ReceiverFault('refused', `\u001b[2J${'x'.repeat(2 * bounds.receiverFaultChars)}`);
  assert.ok(message.length <= bounds.receiverFaultChars + 10 && !message.includes('\u001b'), message);
});
