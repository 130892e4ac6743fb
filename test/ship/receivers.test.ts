// Several receivers of one journal: each gets all of it, and says how far it is.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DaemonEvent } from '../../src/gate/telemetry/log.js';
import { bounds } from '../../src/host/bounds/bounds.js';
import type { TlsDemand } from '../../src/host/ports/transport.js';
import type { SinkReport } from '../../src/rules/config/receiver.js';
import { createReceiverSet } from '../../src/ship/receiver-set.js';
import { startReceiver } from '../../src/ship/receivers.js';
import { createPositionFile } from '../../src/ship/shipping/position.js';
import { ReceiverFault } from '../../src/ship/shipping/receiver.js';
import { createSyslogCarrier } from '../../src/ship/shipping/syslog-carrier.js';
import { createMemoryDialler, type DialledEnd } from '../kit/gate/memory-backend.js';
import { createFakeClock, type FakeClock } from '../kit/plain/fake-clock.js';
import { openDiskJournal } from './shipping/journal-on-disk.js';
import { readFrames } from './shipping/rfc5424.js';
import { turn } from './shipping/shipping-story.js';

/** Turns the clock until it is so. */
function untilBy(clock: FakeClock) {
  return async (isTrue: () => boolean): Promise<void> => {
    for (let turns = 0; !isTrue(); turns += 1) {
      assert.ok(turns < 20_000, 'in time');
      await turn(clock);
    }
  };
}

/** `how`: how it is spoken to. */
const sinkOf = (host: string, how = host) => ({ name: `${host}:6514`, host, how });
const hostOf = ({ address }: DialledEnd): string => (address.kind === 'tcp' ? address.host : '');

function open(t: TestContext) {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const journal = openDiskJournal(t);
  const state = join(journal.directory, 'state');
  const events: DaemonEvent[] = [];
  const shown: string[] = [];
  const parts = {
    state,
    processId: 1,
    connect: dialler.connect,
    onCertificate: (name: string, validTo: string) => void shown.push(`${name} ${validTo}`),
    untilSeq: () => journal.seq,
    clock,
    chance: () => 0.5,
    log: { report: (event: DaemonEvent) => void events.push(event) },
  };
  const records = createReceiverSet<ReturnType<typeof sinkOf>, SinkReport>(({ name, host }, head) =>
    startReceiver(
      name,
      (more) => {
        const onShown = (validTo: string): void => more.onCertificate(name, validTo);
        const demand = (): TlsDemand => ({ serverName: host, ca: undefined, keyPins: [], onShown });
        const receiver = { address: { kind: 'tcp', host, port: 6514 }, demand } as const;
        return createSyslogCarrier({ ...more, receiver });
      },
      head,
      parts,
    ),
  );
  const head = { host: 'gate1', directory: journal.directory, journal: journal.id };
  return {
    clock,
    dialler,
    journal,
    state,
    events,
    shown,
    records,
    replace: (...hosts: readonly (readonly [host: string, how?: string])[]) => {
      const sinks = hosts.map(([host, how]) => sinkOf(host, how));
      return records.replace(sinks, head);
    },
    fileOf: (name: string) => createPositionFile(state, `${name}:6514`),
    until: untilBy(clock),
    hosts: () => dialler.ends.map(hostOf),
    /** The receivers end, and the set of them. */
    end: async (): Promise<void> => {
      for (const { peer } of dialler.ends) peer.end();
      await records.close();
      assert.equal(clock.timers, 0);
    },
  };
}

void test('nobody to ship to: nothing runs', async (t) => {
  const { records, replace, clock } = open(t);
  await replace();
  records.nudge();
  assert.deepEqual(records.reports, []);
  await records.close();
  assert.equal(clock.timers, 0);
});

void test('each receiver gets everything that it has not', async (t) => {
  const { records, replace, journal, dialler, hosts, fileOf, shown, until, end } = open(t);
  journal.write(20);
  const line = (seq: number) => Buffer.byteLength(journal.lines.slice(0, seq).join('\n')) + 1;
  const { hash: last } = JSON.parse(journal.lines[11] ?? '');
  const position = { segment: 1, bytes: line(12), seq: 12, hash: String(last) };
  await fileOf('one').save({ journal: journal.id, position });
  await replace(['one'], ['two']);
  await until(() => records.reports.every(({ state }) => state === 'connected'));
  assert.ok(records.reports.every(({ sentSeq }) => sentSeq === journal.seq));
  const got = dialler.ends.map(({ peer }) => readFrames(peer.received()).messages.length);
  assert.deepEqual(
    [hosts(), got],
    [
      ['one', 'two'],
      [8, 20],
    ],
  );
  const said = records.reports.map(({ name, state, safe }) => `${name} ${state} ${safe?.seq}`);
  assert.deepEqual(said, ['one:6514 connected 12', 'two:6514 connected undefined']);
  dialler.ends[1]?.peer.tlsDemands[0]?.onShown?.('Dec  1 09:05:00 2099 GMT');
  assert.deepEqual(shown, ['two:6514 Dec  1 09:05:00 2099 GMT']);
  await end();
});

void test('receivers come, go and change while records are shipped; who is the same notices nothing', async (t) => {
  const { records, replace, journal, dialler, hosts, until, end } = open(t);
  journal.write(20);
  await replace(['one'], ['two']);
  const isUp = (): boolean =>
    records.reports.every(({ state, sentSeq }) => state === 'connected' && sentSeq === journal.seq);
  await until(() => isUp() && dialler.ends.length === 2);

  void replace(['one'], ['three']);
  const two = dialler.ends.find((each) => hostOf(each) === 'two');
  await until(() => two?.peer.isEnded === true);
  two?.peer.end();
  await until(() => isUp() && dialler.ends.length === 3);
  assert.equal(records.reports.map(({ name }) => name).join(), 'one:6514,three:6514');
  assert.deepEqual(hosts().toSorted(), ['one', 'three', 'two']);
  assert.equal(readFrames(dialler.ends[2]?.peer.received() ?? Buffer.alloc(0)).messages.length, 20);

  // A change of how it is spoken to: the old transport ends, and a new one goes on where that stood.
  const one = dialler.ends.find((each) => hostOf(each) === 'one');
  void replace(['one', 'another certificate'], ['three']);
  void replace(['one', 'a third one'], ['three']);
  await until(() => one?.peer.isEnded === true);
  one?.peer.end();
  await until(() => isUp() && dialler.ends.length === 4);
  assert.equal(hosts()[3], 'one');
  journal.write(5);
  records.nudge();
  await until(() => isUp() && records.reports.length === 2);

  for (const { peer } of dialler.ends) peer.end();
  await replace();
  assert.deepEqual(records.reports, []);
  await end();
});

void test('a position of another journal, or none that can be read, is told, and everything is sent', async (t) => {
  const { records, replace, journal, dialler, events, fileOf, state, until, end } = open(t);
  journal.write(5);
  const position = { segment: 1, bytes: 9, seq: 4, hash: 'ab'.repeat(32) };
  await fileOf('one').save({ journal: 'cd'.repeat(16), position });
  writeFileSync(join(state, 'ship-two_6514.json'), 'garbage');
  await replace(['one'], ['two']);
  const told = events.map(({ event, sink }) => `${event} ${String(sink)}`);
  assert.deepEqual(told, ['ship-restarted one:6514', 'ship-restarted two:6514']);
  await until(() => records.reports.every(({ sentSeq }) => sentSeq === journal.seq));
  for (const { peer } of dialler.ends) assert.equal(readFrames(peer.received()).messages.length, 5);
  await end();
});

void test('a receiver that takes nothing delays a stop for five seconds', async (t) => {
  const { records, replace, journal, dialler, until, clock } = open(t);
  await replace(['one']);
  await until(() => records.reports[0]?.state === 'connected');
  dialler.ends[0]?.peer.setStopped(true);
  journal.write(2_000);
  records.nudge();
  await until(() => (dialler.ends[0]?.transport.unsentBytes ?? 0) > 0);
  let isOver = false;
  const ended = records.close().then(() => {
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
