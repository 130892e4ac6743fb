// Which connection of a server goes, and when, without sockets: with the limits of an admin socket, and of one where people sign in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminLimits } from '../../../src/gate/admin/admin.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { Connections } from '../../../src/host/http/connections.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

function createConnection(remoteAddress: string) {
  let onClose: () => void = () => undefined;
  return {
    remoteAddress,
    bytesRead: 0,
    isOpen: true,
    destroy(): void {
      this.isOpen = false;
      onClose();
    },
    once: (_: 'close', run: () => void): void => void (onClose = run),
  };
}
type FakeConnection = ReturnType<typeof createConnection>;

function fill(connections: Connections): FakeConnection[] {
  return Array.from({ length: bounds.adminConnections }, () => accept(connections));
}

function accept(connections: Connections, address = '192.0.2.1'): FakeConnection {
  const made = createConnection(address);
  connections.accepted(made);
  return made;
}

/** Which of them are closed, by their index. */
const closed = (all: readonly FakeConnection[]): number[] =>
  all.flatMap(({ isOpen }, at) => (isOpen ? [] : [at]));

// bounds.adminConnectionMs
test('the first byte is due within a second, all of it within ten', async () => {
  const clock = createFakeClock();
  const connections = new Connections(clock, adminLimits);
  const [silent, slow] = [accept(connections), accept(connections)];
  slow.bytesRead = 1;
  await clock.advance(999);
  assert.deepEqual([silent.isOpen, slow.isOpen], [true, true]);
  await clock.advance(1);
  assert.deepEqual([silent.isOpen, slow.isOpen], [false, true]);
  await clock.advance(8_999);
  assert.equal(slow.isOpen, true);
  await clock.advance(1);
  assert.equal(slow.isOpen, false);
  assert.equal(clock.timers, 0);
});

test('a first byte that came while the process was held up is seen', async () => {
  const clock = createFakeClock();
  const late = accept(new Connections(clock, adminLimits));
  clock.advanceNow(1_000);
  late.bytesRead = 1;
  await clock.advance(8_999);
  assert.equal(late.isOpen, true);
  await clock.advance(1);
  assert.equal(late.isOpen, false);
});

test('the time in which an answer is made is not that of the client, who has ten seconds again to take it', async () => {
  const clock = createFakeClock();
  const connections = new Connections(clock, adminLimits);
  const [reload, endless, stream] = [accept(connections), accept(connections), accept(connections)];
  for (const each of [reload, endless, stream]) {
    each.bytesRead = 1;
    connections.become(each, 'working');
  }
  await clock.advance(59_999);
  connections.become(reload, 'answered');
  connections.prolong(stream);
  await clock.advance(1);
  assert.deepEqual([reload.isOpen, endless.isOpen, stream.isOpen], [true, false, true]);
  // The rest of a request that was answered early changes nothing.
  connections.become(reload, 'working');
  await clock.advance(9_998);
  assert.equal(reload.isOpen, true);
  await clock.advance(1);
  assert.deepEqual([reload.isOpen, stream.isOpen], [false, true]);
  await clock.advance(600_000);
  assert.equal(stream.isOpen, true);
  assert.equal(clock.timers, 0);
});

test('a new connection always finds a place: the oldest without a whole request goes', () => {
  const connections = new Connections(createFakeClock(), adminLimits);
  const all = fill(connections);
  // A half request keeps its place no longer than a silent connection that came after it.
  for (const each of all) each.bytesRead = 1;
  connections.become(all[0] ?? assert.fail(), 'working');
  assert.equal(accept(connections).isOpen, true);
  assert.deepEqual(closed(all), [1]);
  assert.equal(accept(connections).isOpen, true);
  assert.deepEqual(closed(all), [1, 2]);
});

test('after those, the oldest that does not take its answer goes; an answer that is being made is never given up', () => {
  const connections = new Connections(createFakeClock(), adminLimits);
  const all = fill(connections);
  for (const each of all) connections.become(each, 'working');
  connections.become(all[5] ?? assert.fail(), 'answered');
  connections.become(all[3] ?? assert.fail(), 'answered');
  for (let count = 0; count < 2; count += 1) {
    const next = accept(connections);
    assert.equal(next.isOpen, true);
    connections.become(next, 'working');
  }
  assert.deepEqual(closed(all), [3, 5]);
  const last = accept(connections);
  assert.equal(last.isOpen, false);
  assert.deepEqual(closed(all), [3, 5]);
});

test('the network with most connections loses one, however many more come: others have time to send', () => {
  const connections = new Connections(createFakeClock(), adminLimits);
  const stranger = fill(connections);
  const [probe, scraper] = [accept(connections, '127.0.0.1'), accept(connections, '2001:db8:1::1')];
  connections.become(scraper, 'answered');
  for (let count = 0; count < 1_000; count += 1) {
    const next = accept(connections);
    // Every second one gets an answer and does not read it.
    if (count % 2 === 0) connections.become(next, 'answered');
  }
  assert.deepEqual([probe.isOpen, scraper.isOpen], [true, true]);
  assert.equal(closed(stranger).length, bounds.adminConnections);
});

// bounds.adminConnections
test('all addresses of a /64 are one; what is being answered leaves it to the next', () => {
  const connections = new Connections(createFakeClock(), adminLimits);
  const asked = Array.from({ length: 40 }, () => accept(connections, '192.0.2.1'));
  for (const each of asked) connections.become(each, 'working');
  const stranger = Array.from({ length: bounds.adminConnections - 41 }, (_, at) =>
    accept(connections, `2001:db8::${at + 1}`),
  );
  const probe = accept(connections, '127.0.0.1');
  for (let count = 0; count < 200; count += 1) accept(connections, `2001:db8::${count + 1_000}`);
  assert.equal(probe.isOpen, true);
  assert.deepEqual(closed(asked), []);
  assert.equal(closed(stranger).length, stranger.length);
});

/** Of a server where people sign in. */
const ofPeople = { connectionsMax: 8, personConnectionsMax: 2, pipelinedMax: 4 };

test('of strangers one that waits goes first, then one whose request has come; never one of a person', () => {
  const connections = new Connections(createFakeClock(), ofPeople);
  const all = Array.from({ length: 8 }, () => accept(connections));
  for (const each of all.slice(0, 3)) connections.known(each, 'anna');
  for (const each of all.slice(3, 7)) connections.become(each, 'asked');
  const others: FakeConnection[] = [];
  for (let count = 0; count < 5; count += 1) {
    const next = accept(connections, `192.0.2.${count + 2}`);
    connections.known(next, `person ${count}`);
    others.push(next);
    if (count === 0) assert.deepEqual(closed(all), [7]);
  }
  assert.deepEqual(closed(all), [3, 4, 5, 6, 7]);
  assert.deepEqual(closed(others), []);
});

test('the requests of a connection are aborted with it, and it waits again when all of them are answered', () => {
  const connections = new Connections(createFakeClock(), { ...ofPeople, connectionsMax: 2 });
  const [first, second] = [accept(connections), accept(connections)];
  const [one, two, other] = [new AbortController(), new AbortController(), new AbortController()];
  connections.began(first, other);
  const done = [one, two].map((gone) => connections.began(second, gone));
  for (const each of [first, second]) connections.become(each, 'asked');
  for (const end of done) end();
  accept(connections);
  assert.deepEqual([first.isOpen, second.isOpen], [true, false]);
  first.destroy();
  const aborted = [one, two, other].map(({ signal }) => signal.aborted);
  assert.deepEqual(aborted, [false, false, true]);
});
