// Goal: what retention may remove follows from what was shipped, by the word of a process that may have been taken over: a position counts
// once the journal here has its record. What must not happen: a lie that counts, a position of another journal or receiver that counts,
// one that is forgotten over a restart, one that counts although the receiver has lost it.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Shipped } from '../../../src/gate/daemon/shipped.js';
import type { ShipClaims } from '../../../src/gate/door/ship.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { SafePosition, SinkReport } from '../../../src/rules/config/receiver.js';
import { columns } from '../../kit/plain/columns.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { settingsOf, sound } from '../../rules/config/sound.js';
import { openDiskJournal } from '../../ship/shipping/journal-on-disk.js';

const [one, two] = ['one.example.com:6514', 'two.example.com:6514'];

function settingsFor(...names: readonly string[]) {
  const ship = names.map((name) => `{ syslog: "${name}" }`).join(', ');
  return settingsOf(`${sound}audit: { ship: [${ship}] }\n`);
}

function sink(name: string, safe?: SafePosition, more: Partial<SinkReport> = {}): SinkReport {
  return { name, state: 'connected', sentSeq: safe?.seq ?? 0, ...(safe && { safe }), ...more };
}

function tell(t: TestContext) {
  const clock = createFakeClock();
  const journal = openDiskJournal(t);
  journal.write(20);
  const state = openFolder(t);
  const logged: string[] = [];
  return {
    clock,
    journal,
    state,
    logged,
    file: join(state, 'shipped.json'),
    /** A run of the gate; ends with the test. */
    async start(names: readonly string[] = [one], id = journal.id): Promise<Shipped> {
      const log = {
        report: ({ event, text }: { event: string; text?: string }) => void logged.push(`${event} ${text}`),
      };
      const shipped = new Shipped({ clock, log, stateDirectory: state });
      t.after(() => shipped.close());
      shipped.replace(settingsFor(...names));
      await shipped.open(journal.directory);
      shipped.start({ id, directory: journal.directory, seq: () => journal.seq });
      return shipped;
    },
    /** After a record of the first segment. */
    at(seq: number): SafePosition {
      const { hash } = JSON.parse(journal.lines[seq - 1] ?? '');
      const bytes = Buffer.byteLength(`${journal.lines.slice(0, seq).join('\n')}\n`);
      return { segment: 1, bytes, seq, hash: String(hash) };
    },
    /** Claims, and waits until they were looked at. */
    async claim(shipped: Shipped, sinks: readonly SinkReport[], more: Partial<ShipClaims> = {}) {
      const claims = { version: '1', journal: journal.id, sinks, notices: [], certificates: [] };
      const why = shipped.claim({ ...claims, ...more });
      await shipped.close();
      // Behind the pause after a look, the next claims are looked at.
      await clock.advance(bounds.shipCheckMs);
      await shipped.close();
      return why;
    },
  };
}

async function begin(t: TestContext) {
  const story = tell(t);
  const shipped = await story.start();
  /** Claims, and does not wait. */
  const claim = (...sinks: readonly SinkReport[]): void => {
    shipped.claim({ version: '1', journal: story.journal.id, sinks, notices: [], certificates: [] });
  };
  return { story, shipped, claim };
}

void test('without receivers nothing is held back; with one that nothing is known of, everything', async (t) => {
  const story = tell(t);
  const shipped = await story.start([]);
  assert.deepEqual([shipped.shippedSeq, shipped.sinks, shipped.isNeeded], [undefined, [], false]);
  shipped.replace(settingsFor(one, two));
  assert.deepEqual([shipped.shippedSeq, shipped.isNeeded, shipped.told], [0, true, undefined]);
  assert.deepEqual(shipped.sinks[0], {
    name: one,
    state: 'connecting',
    lagRecords: 20,
    lagMs: 0,
    sentSeq: 0,
    safeSeq: 0,
  });
  // The least of all of them.
  await story.claim(shipped, [sink(one, story.at(7))]);
  assert.equal(shipped.shippedSeq, 0);
  await story.claim(shipped, [sink(one, story.at(7)), sink(two, story.at(5))]);
  assert.equal(shipped.shippedSeq, 5);
  assert.deepEqual(columns(shipped.sinks, 'safeSeq', 'lagRecords'), [
    [7, 13],
    [5, 15],
  ]);
});

void test('how long the oldest record waits is known here: also while nobody ships, and after another one begins', async (t) => {
  const { story, shipped, claim } = await begin(t);
  const { clock, journal } = story;
  const lagMs = () => shipped.sinks[0]?.lagMs;
  const later = async (records: number, ms = 10_000) => {
    journal.write(records);
    shipped.note();
    await clock.advance(ms);
  };
  claim(sink(one, story.at(20)));
  assert.equal(lagMs(), 0);
  await later(5);
  assert.equal(lagMs(), 10_000);
  shipped.left();
  await later(5);
  assert.equal(lagMs(), 20_000);
  claim(sink(one, undefined, { state: 'connecting', sentSeq: 20 }));
  assert.equal(lagMs(), 20_000);
  claim(sink(one, undefined, { sentSeq: 25 }));
  assert.equal(lagMs(), 10_000);
  claim(sink(one, undefined, { sentSeq: 30 }));
  assert.equal(lagMs(), 0);
  // After hours the age is exact to some minutes.
  for (let minutes = 0; minutes < 600; minutes += 1) await later(1, 60_000);
  assert.equal(lagMs(), 600 * 60_000);
  claim(sink(one, undefined, { sentSeq: 330 }));
  const ageMs = lagMs() ?? 0;
  assert.ok(ageMs >= 300 * 60_000 && ageMs <= 310 * 60_000, String(ageMs));
});

void test('a lie is shown, and does not count', async (t) => {
  const { story, shipped } = await begin(t);
  const good = story.at(10);
  const { hash: other } = story.at(11);
  const lies: readonly Partial<SafePosition>[] = [
    { hash: other },
    { hash: 'ab'.repeat(32) },
    { seq: 11 },
    { seq: 20 },
    { seq: 0 },
    { bytes: good.bytes + 1 },
    { bytes: Number.MAX_SAFE_INTEGER },
    { segment: 2 },
    { segment: Number.MAX_SAFE_INTEGER },
  ];
  for (const lie of lies) {
    const what = JSON.stringify(lie);
    assert.equal(await story.claim(shipped, [sink(one, { ...good, ...lie })]), undefined, what);
    assert.equal(shipped.shippedSeq, 0, what);
    assert.equal(shipped.told?.sinks[0]?.name, one, what);
  }
  // Another journal: nothing of it is taken.
  const before = shipped.told;
  const foreign = { journal: 'cd'.repeat(16) };
  assert.match((await story.claim(shipped, [sink(one, good)], foreign)) ?? '', /^journal: /);
  assert.deepEqual([shipped.shippedSeq, shipped.told?.sinks], [0, before?.sinks]);
  // The segment is gone.
  story.journal.rotate();
  story.journal.write(5);
  story.journal.remove(1);
  await story.claim(shipped, [sink(one, good)]);
  assert.equal(shipped.shippedSeq, 0);
});

void test('a receiver has more than the journal, which was cut: it is shown, and what is not on disk does not count', async (t) => {
  const { story, shipped } = await begin(t);
  const ahead = story.at(20);
  story.journal.seq = 15;
  const forked = sink(one, ahead, {
    state: 'forked',
    fault: { code: 'audit-forked', text: 'it has another record 16' },
  });
  assert.equal(await story.claim(shipped, [forked]), undefined);
  assert.deepEqual(columns(shipped.sinks, 'state', 'lagRecords', 'safeSeq'), [['forked', 0, 0]]);
  story.journal.seq = 20;
  await story.claim(shipped, [forked]);
  assert.equal(shipped.shippedSeq, 20);
});

void test('what counts is kept over a restart, in the state of the gate, and looked for again', async (t) => {
  const { story, shipped } = await begin(t);
  await story.claim(shipped, [sink(one, story.at(10))]);
  const again = await story.start();
  assert.deepEqual([again.shippedSeq, again.told], [10, undefined]);
  // Already when the journal is opened, which may remove something at once.
  const early = new Shipped({
    clock: story.clock,
    log: { report: ({ event }) => assert.fail(event) },
    stateDirectory: story.state,
  });
  t.after(() => early.close());
  early.replace(settingsFor(one));
  await early.open(story.journal.directory);
  assert.equal(early.shippedSeq, 10);
  // Another journal, by its id or since it was put back from a copy; another receiver.
  assert.equal((await story.start([one], 'cd'.repeat(16))).shippedSeq, 0);
  assert.equal((await story.start([two])).shippedSeq, 0);
  assert.equal((await story.start([one, two])).shippedSeq, 0);
  const kept = readFileSync(story.file, 'utf8');
  story.journal.cut(15);
  assert.equal((await story.start()).shippedSeq, 0, 'the record is not there');
  story.journal.write(15, { user: 'bob@example.org' });
  writeFileSync(story.file, kept);
  assert.equal((await story.start()).shippedSeq, 0, 'it is another one');
  assert.deepEqual(story.logged, []);
});

void test('a file that is damaged, or cannot be written: told, and nothing was sent', async (t) => {
  const story = tell(t);
  for (const text of ['', '-', '[]', '{"journal":5}', '{"journal":"x","receivers":{"a":{"seq":-1}}}']) {
    writeFileSync(story.file, text);
    assert.equal((await story.start()).shippedSeq, 0, text);
    assert.match(
      story.logged.pop() ?? '',
      /^ship-position-failed what was shipped is not known, so nothing was: /,
      text,
    );
  }
  rmSync(story.file);
  mkdirSync(story.file);
  const shipped = await story.start();
  assert.match(story.logged.pop() ?? '', /^ship-position-failed /);
  await story.claim(shipped, [sink(one, story.at(10))]);
  assert.equal(shipped.shippedSeq, 10);
  assert.match(
    story.logged.pop() ?? '',
    /^ship-position-failed what was shipped is not kept for the next start: /,
  );
});

// bounds.shipToldMs
void test('what was told holds for some seconds, and ends with the connection; that nobody ships is told once', async (t) => {
  const { story, shipped, claim } = await begin(t);
  const { clock } = story;
  assert.deepEqual([shipped.told, shipped.isAbsent], [undefined, false]);
  await clock.advance(30_000);
  assert.deepEqual([shipped.isAbsent, story.logged.length], [true, 1]);
  assert.match(story.logged[0] ?? '', /^ship-absent /);
  await clock.advance(3_600_000);
  assert.equal(story.logged.length, 1);
  claim(sink(one, undefined, { state: 'away', fault: { code: 'dial-refused', text: 'nobody' } }));
  assert.deepEqual(
    [shipped.isAbsent, shipped.sinks[0]?.state, shipped.sinks[0]?.fault?.code],
    [false, 'away', 'dial-refused'],
  );
  await clock.advance(bounds.shipToldMs);
  assert.equal(shipped.told?.ageMs, bounds.shipToldMs);
  await clock.advance(1);
  assert.deepEqual([shipped.told, shipped.sinks[0]?.state], [undefined, 'connecting']);
  await clock.advance(30_000);
  assert.deepEqual([shipped.isAbsent, story.logged.length], [true, 2]);
  claim();
  assert.deepEqual([shipped.isAbsent, shipped.told?.version], [false, '1']);
  shipped.left();
  assert.deepEqual([shipped.isAbsent, shipped.told], [false, undefined]);
  // Nobody needs it any more.
  shipped.replace(settingsFor());
  await clock.advance(3_600_000);
  assert.equal(story.logged.length, 2);
});

void test('the last word of dovegate ship after the last receiver is no absence', async (t) => {
  const clock = createFakeClock();
  const events: string[] = [];
  const folder = openFolder(t);
  const log = { report: ({ event }: { readonly event: string }) => void events.push(event) };
  const shipped = new Shipped({ clock, log, stateDirectory: folder });
  const settings = (isThere: boolean) => ({ audit: { ship: isThere ? [{ name: 'logs' }] : [] } });
  shipped.replace(settings(true));
  shipped.start({ id: 'j', directory: folder, seq: () => 1 });
  const claims = { version: '0', journal: 'j', sinks: [], notices: [], certificates: [] };
  assert.equal(shipped.claim(claims), undefined);
  shipped.replace(settings(false));
  assert.equal(shipped.claim(claims), undefined);
  shipped.left();
  await clock.advance(60_000);
  assert.deepEqual([events, shipped.isAbsent], [[], false]);

  shipped.replace(settings(true));
  await clock.advance(60_000);
  assert.deepEqual([events, shipped.isAbsent], [['ship-absent'], true]);
  await shipped.close();
});
