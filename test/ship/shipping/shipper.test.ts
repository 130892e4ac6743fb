// Goal: a receiver gets every record in its order, again where it may have lost some, and nobody else notices whether it is there.
// What must not happen: a record that is not on disk, a gap, a dial without a pause, a timer or transport that stays behind.
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { TransportFault, UpstreamFault } from '../../../src/host/ports/faults.js';
import type { Shipper } from '../../../src/ship/shipping/shipper.js';
import { at } from '../../kit/gate/memory-backend.js';
import { failAtEach, failable, failableClock, failableTransport } from '../../kit/plain/fail-at.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { ended, openStory, type Story } from './shipping-story.js';

const kinds = ({ events }: Story): string[] =>
  events.map((event) => (event.event === 'ship-away' ? `ship-away ${event['type']}` : event.event));

void test('records go out as they reach the disk, and none before', async (t) => {
  const story = openStory(t);
  const { clock, dialler, journal, records, until } = story;
  journal.write(10);
  journal.seq = 6;
  const shipper = await story.start();
  await until(() => records(0).length === 6);
  await clock.advance(1000);
  assert.deepEqual(records(0), journal.lines.slice(0, 6));
  assert.equal(journal.seq - shipper.report.sentSeq, 0);
  journal.seq = 10;
  assert.equal(journal.seq - shipper.report.sentSeq, 4);
  shipper.nudge();
  await until(() => records(0).length === 10);
  journal.rotate();
  journal.write(300);
  shipper.nudge();
  await until(() => records(0).length === 310);
  assert.deepEqual(records(0), journal.lines);
  assert.deepEqual([shipper.report.state, dialler.dials, kinds(story)], ['connected', 1, ['ship-connected']]);
  const ending = shipper.close();
  at(dialler.ends, 0).peer.end();
  await ending;
  assert.deepEqual([clock.timers, dialler.open.length], [0, 0]);
});

void test('after each dial the last ones come again, and what is long safe does not', async (t) => {
  const story = openStory(t);
  const { clock, dialler, journal, records, until } = story;
  const shipper = await story.connected();
  // 2 MiB in the first two minutes, a few records in the next two.
  for (let part = 0; part < 12; part += 1) {
    journal.write(250, { text: 'x'.repeat(600) });
    await story.sends(shipper);
    await clock.advance(10_000);
  }
  journal.write(3);
  await story.sends(shipper);
  assert.deepEqual(records(0), journal.lines);
  at(dialler.ends, 0).peer.end();
  await until(() => dialler.ends.length === 2 && shipper.report.state === 'connected');
  journal.write(1);
  await story.sends(shipper);
  const again = records(1);
  assert.deepEqual(again, journal.lines.slice(-again.length));
  const bytes = at(dialler.ends, 1).peer.received().length;
  assert.ok(bytes >= 1 << 20 && bytes < 1.5 * 2 ** 20, `${bytes} bytes`);
  assert.deepEqual(kinds(story), ['ship-connected', 'ship-away closed-early', 'ship-connected']);
  await ended(story, shipper);
});

void test('a receiver that is away is dialled with pauses, and told once', async (t) => {
  const story = openStory(t);
  const { clock, dialler, journal, records, until } = story;
  journal.write(3);
  dialler.setAnswer('refuse');
  const shipper = await story.start();
  await until(() => shipper.report.state === 'away');
  const beganMs = clock.now();
  await until(() => dialler.dials === 6);
  // 375, 750, 1500, 3000, 6000 ms by the chance of the story; the clock goes on while files are looked at.
  const tookMs = clock.now() - beganMs;
  assert.ok(tookMs >= 11_620 && tookMs < 11_650, `${tookMs} ms`);
  assert.deepEqual(kinds(story), ['ship-away dial-refused']);
  assert.equal(journal.seq - shipper.report.sentSeq, 3);
  dialler.setAnswer('accept');
  dialler.onAccept(({ peer }) => peer.setTls('refuse'));
  await until(() => story.events.length === 2);
  dialler.onAccept(() => undefined);
  await until(() => records(dialler.ends.length - 1).length === 3);
  await until(() => shipper.report.state === 'connected');
  assert.deepEqual(kinds(story), ['ship-away dial-refused', 'ship-away tls-failed', 'ship-connected']);
  await ended(story, shipper);
});

void test('a receiver that accepts and ends at once does not get a dial each turn', async (t) => {
  const story = openStory(t);
  const { clock, dialler, journal, until } = story;
  journal.write(3);
  const shipper = await story.start();
  const beganMs = clock.now();
  await until(() => {
    for (const { peer } of dialler.open) if (peer.tlsDemands.length > 0) peer.end();
    return dialler.dials === 5;
  });
  assert.ok(clock.now() - beganMs >= 375 + 750 + 1500 + 3000);
  assert.deepEqual(kinds(story), ['ship-away closed-early'], 'nor is it told each time');
  const text = 'no records go to logs.example.com:6514: it ended the connection';
  assert.deepEqual([story.events[0]?.event, story.events[0]?.text], ['ship-away', text]);
  await ended(story, shipper);
});

// bounds.receiverStallMs
void test('one that takes nothing any more is given up, and gets everything again; one that takes it has its time again', async (t) => {
  const story = openStory(t);
  const { clock, dialler, journal, records, until } = story;
  const shipper = await story.connected();
  const { peer, transport } = at(dialler.ends, 0);
  for (let turn = 0; turn < 2; turn += 1) {
    peer.setStopped(true);
    journal.write(2000);
    shipper.nudge();
    await until(() => transport.unsentBytes > 0);
    // A few of them have passed already.
    await clock.advance(bounds.receiverStallMs - 10);
    peer.setStopped(false);
    await until(() => journal.seq - shipper.report.sentSeq === 0 && transport.unsentBytes === 0);
  }
  assert.equal(shipper.report.state, 'connected');
  peer.setStopped(true);
  journal.write(2000);
  const beganMs = clock.now();
  shipper.nudge();
  await until(() => shipper.report.state === 'away');
  assert.ok(clock.now() - beganMs >= bounds.receiverStallMs);
  assert.deepEqual([transport.closedFor, peer.isReset], ['receiver-stall', true]);
  assert.deepEqual(kinds(story), ['ship-connected', 'ship-away stalled']);
  await until(() => records(1).at(-1) === journal.lines.at(-1));
  const again = records(1);
  assert.ok(again.length >= 2000, `${again.length}`);
  assert.deepEqual(again, journal.lines.slice(-again.length));
  await ended(story, shipper);
});

void test('a dial and a handshake have their time, an end ends either, and no file of ours is no dial', async (t) => {
  for (const phase of ['connect', 'TLS'] as const) {
    const story = openStory(t);
    const { clock, dialler, until } = story;
    if (phase === 'connect') dialler.setAnswer('hang');
    else dialler.onAccept(({ peer }) => peer.setTls('hang'));
    const shipper = await story.start();
    await until(() => clock.timers === 1);
    const beganMs = clock.now();
    await until(() => shipper.report.state === 'away');
    const tookMs = clock.now() - beganMs;
    assert.ok(tookMs >= 4_990 && tookMs < 5_010, `${phase}: ${tookMs} ms`);
    assert.deepEqual([kinds(story), dialler.open.length], [['ship-away dial-timeout'], 0], phase);
    await until(() => dialler.dials === 2);
    const endMs = clock.now();
    await ended(story, shipper);
    assert.ok(clock.now() - endMs < 5_100, `${phase}: ${clock.now() - endMs} ms to the end`);
    assert.deepEqual([clock.timers, dialler.open.length], [0, 0], phase);
  }
  const story = openStory(t);
  let isThere = false;
  const shipper = await story.start({
    demand() {
      if (!isThere) throw new Error('/etc/ca.pem: ENOENT');
      return { serverName: 'logs.example.com', ca: 'PEM', keyPins: [] };
    },
  });
  await story.until(() => shipper.report.state === 'away');
  assert.deepEqual([kinds(story), story.dialler.dials], [['ship-away tls-failed'], 0]);
  isThere = true;
  await story.until(() => shipper.report.state === 'connected');
  assert.equal(at(story.dialler.ends, 0).peer.tlsDemands[0]?.ca, 'PEM', 'it is asked for at each dial');
  await ended(story, shipper);
});

void test('what a receiver says is dropped, and one that sends a flood, or many small pieces, is given up', async (t) => {
  const story = openStory(t);
  const { clock, dialler, until } = story;
  const shipper = await story.connected();
  const first = at(dialler.ends, 0);
  for (let second = 0; second < 60; second += 1) {
    first.peer.send('x'.repeat(256 * 1024));
    await clock.advance(1000);
  }
  assert.deepEqual([first.transport.heldBytes, shipper.report.state], [0, 'connected']);
  first.peer.send('x'.repeat(1024 ** 2 + 1));
  await until(() => dialler.ends.length === 2 && shipper.report.state === 'connected');
  const { peer } = at(dialler.ends, 1);
  // A small piece counts for 256 bytes: it costs as much as a larger one.
  for (let piece = 0; piece < 1024 ** 2 / 256; piece += 1) {
    peer.send('x');
    await settle();
  }
  assert.equal(dialler.open.length, 1);
  peer.send('x');
  await until(() => dialler.ends.length === 3);
  const texts = story.events.flatMap((event) => (event.event === 'ship-away' ? [event.text] : []));
  assert.match(texts.join('\n'), /^(?:.*sent more than a receiver does.*\n?){2}$/);
  await ended(story, shipper);
});

void test('the end: what is left goes out, and the receiver is waited for, but not for ever', async (t) => {
  for (const answer of ['ends', 'hangs'] as const) {
    const story = openStory(t);
    const { clock, dialler, journal, records, until } = story;
    const shipper = await story.connected();
    journal.write(500);
    const { peer } = at(dialler.ends, 0);
    const beganMs = clock.now();
    const ending = ended(story, shipper);
    await until(() => peer.isEnded);
    assert.deepEqual(records(0), journal.lines);
    if (answer === 'ends') peer.end();
    await ending;
    assert.equal(clock.now() - beganMs >= 5000, answer === 'hangs');
    assert.deepEqual([clock.timers, dialler.open.length], [0, 0]);
    assert.equal(at(story.events, -1).event, 'ship-connected', 'nothing is told about a wanted end');
  }
});

/** Enough that something is safe: more than a MiB, more than a minute ago. */
async function shipMuch(story: Story, shipper: Shipper): Promise<void> {
  for (let part = 0; part < 4; part += 1) {
    story.journal.write(1000, { text: 'x'.repeat(400) });
    await story.sends(shipper);
    await story.clock.advance(30_000);
  }
  story.journal.write(1);
  await story.sends(shipper);
}

void test('where it stands is kept, and the next run goes on there', async (t) => {
  const story = openStory(t);
  const { journal, records, until } = story;
  const first = await story.start();
  await shipMuch(story, first);
  await until(() => first.report.safe !== undefined);
  await ended(story, first);
  const safeSeq = first.report.safe?.seq ?? 0;
  const kept = await story.file.load();
  assert.deepEqual([kept?.journal, kept?.position.seq], [journal.id, safeSeq]);
  journal.rotate();
  journal.write(5);
  const second = await story.start();
  assert.equal(second.report.safe?.seq, safeSeq);
  await until(() => records(1).at(-1) === journal.lines.at(-1));
  assert.deepEqual(records(1), journal.lines.slice(safeSeq));
  await ended(story, second);
});

void test('a journal that cannot be read is told, and shipped when it can be', async (t) => {
  const story = openStory(t);
  const { dialler, journal, records, until } = story;
  journal.write(2);
  const gone = `${journal.directory}.gone`;
  renameSync(journal.directory, gone);
  const shipper = await story.start();
  await until(() => shipper.report.state === 'away');
  assert.equal(kinds(story).at(-1), 'ship-away journal-unreadable');
  renameSync(gone, journal.directory);
  await until(() => journal.seq - shipper.report.sentSeq === 0);
  assert.deepEqual(records(dialler.ends.length - 1), journal.lines);
  await ended(story, shipper);
});

// Every port call of a story fails once: the dial, TLS, each read and write, each timer, each look at the disk for the position.
// Afterwards every record has arrived in its order, and nothing is left behind.

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
      journal.seq - shipper.report.sentSeq === 0 &&
      records(dialler.ends.length - 1).at(-1) === journal.lines.at(-1);
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
