// Goal: a store has each record once, in blocks whose names fix what they hold. Phases: blocks, credit, urgent records; a stop at each
// moment; names and bytes of somebody else; a journal that was put back. What must not happen: a hole, a record twice, a stop for a name.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type BlockName, formatName, parseName } from '../../../src/evidence/store/names.js';
import type { DaemonEvent } from '../../../src/gate/telemetry/log.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type ObjectStore, StoreFault } from '../../../src/host/ports/store.js';
import { openFolder as openStoreFolder } from '../../../src/host/store/folder.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { startReceiver } from '../../../src/ship/receivers.js';
import type { Shipper } from '../../../src/ship/shipping/shipper.js';
import { createStoreCarrier } from '../../../src/ship/shipping/store-carrier.js';
import { createMemoryDialler } from '../../kit/gate/memory-backend.js';
import { columns } from '../../kit/plain/columns.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { endBefore, openFolder } from '../../kit/plain/folder.js';
import { type DiskJournal, openDiskJournal } from './journal-on-disk.js';
import { turn } from './shipping-story.js';

const { secretPem, key } = makeSignKey();

function openStory(t: TestContext, objectsPerDay = 8640, wrap = (store: ObjectStore): ObjectStore => store) {
  const clock = createFakeClock();
  const journal = openDiskJournal(t, undefined, secretPem);
  const root = openFolder(t);
  const events: DaemonEvent[] = [];
  let shipper: Shipper | undefined;
  const folder = (): string => join(root, 'dovegate');
  const namesNow = (): readonly BlockName[] =>
    filesBelow(folder()).flatMap((name) => {
      const parsed = parseName(name);
      return parsed?.kind === 'block' ? [parsed] : [];
    });
  return {
    clock,
    journal,
    root,
    events,
    names: namesNow,
    path: (name: BlockName): string => join(folder(), formatName(name)),
    /** Puts something there under the name of a block. */
    plant(name: BlockName, bytes: Uint8Array): void {
      mkdirSync(dirname(this.path(name)), { recursive: true });
      writeFileSync(this.path(name), bytes);
    },
    async start(): Promise<Shipper> {
      const { directory, id } = journal;
      const openStore = () => wrap(openStoreFolder(root, 'dovegate'));
      shipper = await startReceiver(
        'store',
        (parts) => createStoreCarrier({ ...parts, host: 'gate-1', objectsPerDay, openStore }),
        { host: 'gate1', directory, journal: id, key },
        {
          state: join(directory, 'state'),
          processId: 1,
          connect: createMemoryDialler().connect,
          onCertificate: () => undefined,
          untilSeq: () => journal.seq,
          clock,
          chance: () => 0.5,
          log: { report: (event) => void events.push(event) },
        },
      );
      return shipper;
    },
    write(count: number, more?: Partial<JournalRecord>): void {
      journal.write(count, more);
      shipper?.nudge();
    },
    checkpoint(): void {
      journal.writeCheckpoint();
      shipper?.nudge();
    },
    /** Forgets how far the receiver is. */
    forget: (): void => rmSync(join(journal.directory, 'state'), { recursive: true, force: true }),
    kinds: (): readonly string[] => events.map(({ event }) => event),
    async until(isTrue: () => boolean, msMax = 600_000): Promise<void> {
      const startMs = clock.now();
      while (!isTrue()) {
        assert.ok(clock.now() - startMs < msMax, JSON.stringify(events));
        await turn(clock);
      }
    },
    async pass(ms: number): Promise<void> {
      const stepMs = ms < 60_000 ? 250 : 1_000;
      for (let left = ms; left > 0; left -= stepMs) {
        await clock.advance(Math.min(left, stepMs));
        await turn(clock);
      }
    },
    /** Starts and ends, with what there is. */
    async ship(): Promise<Shipper> {
      const opened = await this.start();
      await this.end(opened);
      return opened;
    },
    async end(opened: Shipper): Promise<void> {
      let isOver = false;
      void opened.close().then(() => {
        isOver = true;
      });
      await this.until(() => isOver);
    },
    /** The store has each line once, in order, under names that fit. */
    assertWhole(from = 1): void {
      const lines = namesNow().flatMap((name) => {
        const bytes = gunzipSync(readFileSync(this.path(name)));
        const text = String(bytes).trimEnd().split('\n');
        assert.equal(text.length, name.last - name.first + 1, formatName(name));
        assert.ok(text.at(-1)?.endsWith(`"hash":"${name.hash}"}`), formatName(name));
        return text;
      });
      assert.deepEqual(lines, journal.lines.slice(from - 1));
    },
  };
}

const ofHost = { kind: 'block', host: 'gate-1', isCopy: false } as const;
const blockOf = ({ id }: DiskJournal, place: Pick<BlockName, 'first' | 'last' | 'hash'>): BlockName => ({
  ...ofHost,
  journal: id,
  ...place,
});

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}

void test('blocks of verbatim lines; it goes on where the store ends, with a file of its position and without', async (t) => {
  const story = openStory(t);
  story.journal.write(300);
  const shipper = await story.start();
  await story.until(() => shipper.report.safe?.seq === 300);
  story.write(40);
  await story.end(shipper);
  story.assertWhole();
  assert.equal(story.names().length, 2);
  for (const isForgotten of [true, false]) {
    if (isForgotten) story.forget();
    story.journal.write(7);
    await story.ship();
    story.assertWhole();
  }
  assert.deepEqual(story.kinds(), ['ship-connected', 'ship-connected', 'ship-connected']);
});

void test('a block waits for credit; one that destroys, gives content or changes rights has its own', async (t) => {
  const story = openStory(t, 288);
  const shipper = await story.start();
  await story.until(() => shipper.report.state === 'connected');
  // One each second uses up what was saved, then an object is earned every 5 minutes.
  for (let n = 0; n < 800; n += 1) {
    story.write(1);
    await story.pass(1_000);
  }
  const busy = story.names().length;
  assert.ok(busy >= 60 && busy <= 65, `${busy} objects`);
  const own = [{ event: 'lock' }, { event: 'access' }, { event: 'reload' }] as const;
  for (const more of [{ effect: 'destroy' }, { effect: 'admin' }, ...own] as const) {
    story.write(1, more);
    await story.pass(5_250);
    await story.until(() => story.names().at(-1)?.last === story.journal.seq, 4_750);
  }
  const before = story.names().length;
  story.write(1, { effect: 'write' });
  await story.pass(10_000);
  assert.equal(story.names().length, before, 'a usual one waits');
  await story.pass(299_000);
  await story.until(() => story.names().length === before + 1, 10_000);
  // A day of idle checkpoints is one object in five minutes.
  const idle = story.names().length;
  for (let minutes = 0; minutes < 60; minutes += 1) {
    story.checkpoint();
    await story.pass(60_000);
  }
  const made = story.names().length - idle;
  assert.ok(made >= 9 && made <= 12, `${made} objects in an idle hour`);
  await story.end(shipper);
  story.assertWhole();
});

// bounds.storeBlockBytes, bounds.storeBatchBytes
void test('a large backlog is cut into blocks of a bounded size', async (t) => {
  const story = openStory(t, 288);
  story.journal.write(8_000, { reason: 'x'.repeat(300) });
  const shipper = await story.start();
  await story.until(() => shipper.report.safe?.seq === 8_000);
  await story.end(shipper);
  story.assertWhole();
  assert.ok(story.names().length > 1);
  for (const name of story.names())
    assert.ok(gunzipSync(readFileSync(story.path(name))).length <= bounds.storeBlockBytes);
});

// bounds.storeTextBytes
void test('other bytes under the right name: the block is stored beside it, and that is said', async (t) => {
  const story = openStory(t);
  story.journal.write(30);
  const last = JSON.parse(story.journal.lines[29] ?? '{}');
  const name = blockOf(story.journal, { first: 1, last: 30, hash: String(last.hash) });
  const compressed = [gzipSync('{"seq":1}\n'), gzipSync(Buffer.alloc(9 << 20))];
  for (const junk of [Buffer.from('junk'), Buffer.alloc(0), ...compressed]) {
    story.plant(name, junk);
    await story.ship();
    const copy = story.names().find(({ isCopy }) => isCopy) ?? assert.fail('no copy');
    const text = String(gunzipSync(readFileSync(story.path(copy))));
    assert.equal(text, `${story.journal.lines.join('\n')}\n`);
    assert.ok(story.kinds().includes('ship-conflict'));
    rmSync(story.path(copy));
    story.forget();
  }
});

void test('names ahead of the head, and behind it, stop nothing', async (t) => {
  const story = openStory(t);
  story.journal.write(30);
  story.journal.writeCheckpoint();
  await story.ship();
  const foreign = 'ab'.repeat(32);
  const junk = (first: number, last: number, bytes: Uint8Array): void =>
    story.plant(blockOf(story.journal, { first, last, hash: foreign }), bytes);
  junk(32, 900, Buffer.alloc(0));
  junk(20, 25, Buffer.from('junk'));
  junk(300_000, 300_000, gzipSync('{"seq":300000}\n'));
  story.forget();
  story.journal.write(10);
  assert.equal((await story.ship()).report.safe?.seq, 41);
  const told = story.kinds().filter((kind) => kind !== 'ship-connected');
  assert.deepEqual(told, ['ship-conflict']);
  const blocks = story.names().filter(({ hash }) => hash !== foreign);
  assert.equal(blocks.map(({ first, last }) => `${first}-${last}`).join(), '1-31,32-41');
});

void test('a journal that was put back stops, before it overtakes the store and after, and leaves a mark', async (t) => {
  for (const more of [0, 60]) {
    const story = openStory(t);
    story.journal.write(30);
    story.journal.writeCheckpoint();
    story.journal.write(10);
    story.journal.writeCheckpoint();
    await story.ship();
    story.forget();
    story.journal.cut(20);
    story.journal.write(more, { reason: 'other' });
    const shipper = await story.start();
    await story.until(() => shipper.report.state === 'forked');
    await story.end(shipper);
    assert.ok(story.kinds().includes('audit-forked'));
    const marks = filesBelow(join(story.root, 'dovegate')).filter((name) => name.endsWith('.forked'));
    assert.equal(marks.length, 1);
    assert.equal(story.names().length, 1, 'nothing was added');
  }
});

void test('of two clones that both go on, the one that is behind stops within the hour', async (t) => {
  const story = openStory(t);
  story.journal.write(20);
  story.journal.writeCheckpoint();
  let shipper = await story.start();
  await story.until(() => shipper.report.safe?.seq === 21);
  story.write(20);
  story.checkpoint();
  await story.end(shipper);
  // What the other clone has put, in the meantime, behind the records that both have.
  const clones = story.names().filter(({ first }) => first > 21);
  const put = clones.map((name) => [story.path(name), readFileSync(story.path(name))] as const);
  for (const [path] of put) rmSync(path);
  story.forget();
  story.journal.cut(21);
  shipper = await story.start();
  story.write(3, { reason: 'other' });
  await story.until(() => shipper.report.safe?.seq === 24);
  for (const [path, bytes] of put) writeFileSync(path, bytes);
  await story.pass(1_800_000);
  assert.ok(!story.kinds().includes('audit-forked'));
  for (let minutes = 30; minutes <= 60; minutes += 10) {
    story.write(1, { reason: 'other' });
    await story.pass(600_000);
  }
  assert.ok(story.kinds().includes('audit-forked'), JSON.stringify(story.events));
  await story.end(shipper);
});

void test('a store that lost its end gets it again; one that lost everything is not filled anew', async (t) => {
  const story = openStory(t);
  story.journal.write(30);
  const shipper = await story.start();
  await story.until(() => shipper.report.safe?.seq === 30);
  story.write(10);
  await story.end(shipper);
  const [first, second] = story.names();
  assert.ok(first !== undefined && second !== undefined);
  rmSync(story.path(second));
  await story.ship();
  story.assertWhole();
  assert.ok(story.kinds().includes('ship-restarted'));
  for (const name of story.names()) rmSync(story.path(name));
  story.journal.write(5);
  await story.ship();
  const firsts = story.names().map((name) => name.first);
  assert.deepEqual(firsts, [41]);
});

void test('a journal whose oldest records the store never got: they are told, and the others go on', async (t) => {
  const story = openStory(t);
  story.journal.write(30);
  await story.ship();
  story.journal.rotate();
  story.journal.write(10);
  story.journal.rotate();
  story.journal.write(5);
  // Retired, or moved away before they were sent.
  for (const gone of [1, 2]) story.journal.remove(gone);
  for (const isKnown of [true, false]) {
    if (!isKnown) story.forget();
    await story.ship();
    story.journal.write(1);
  }
  assert.deepEqual(columns(story.names(), 'first', 'last'), [
    [1, 30],
    [41, 45],
    [46, 46],
  ]);
  const missing = story.events.filter(({ event }) => event === 'ship-missing');
  assert.deepEqual(columns(missing, 'from', 'to'), [[31, 40]]);
});

void test('a store that fails at any call: nothing is lost or twice', async (t) => {
  let calls = 0;
  let isFailing = false;
  const spoil = (): boolean => {
    calls += 1;
    return isFailing && calls % 3 !== 0;
  };
  const away = (): never => {
    throw new StoreFault('away', 'no answer');
  };
  const story = openStory(t, 8640, (store) => ({
    ...store,
    async put(...asked) {
      const isBefore = spoil();
      if (isBefore && calls % 2 === 0) away();
      const answer = await store.put(...asked);
      if (isBefore) away();
      return answer;
    },
    async *list(...asked) {
      if (spoil()) away();
      yield* store.list(...asked);
    },
  }));
  isFailing = true;
  const shipper = await story.start();
  for (let round = 0; round < 30; round += 1) {
    story.write(20);
    await story.pass(15_000);
  }
  isFailing = false;
  await story.until(() => shipper.report.safe?.seq === 600);
  await story.end(shipper);
  story.assertWhole();
  assert.ok(!story.kinds().some((kind) => kind === 'ship-conflict' || kind === 'audit-forked'));
});

void test('a folder that cannot be written: it says why, and goes on when it can', async (t) => {
  const story = openStory(t);
  rmSync(story.root, { recursive: true });
  story.journal.write(3);
  const shipper = await story.start();
  await story.until(() => shipper.report.state === 'away');
  mkdirSync(story.root);
  chmodSync(story.root, 0o755);
  await story.until(() => shipper.report.state === 'connected');
  await story.end(shipper);
  story.assertWhole();
});

const runs = (...command: readonly [string, ...string[]]): boolean =>
  spawnSync(command[0], command.slice(1)).status === 0;

interface Way {
  /** Puts the store's disk over the path. False: not here. */
  readonly mount: (root: string, disk: string) => boolean;
  readonly unmount: (root: string, disk: string) => void;
}

const ways: Readonly<Record<string, Way>> = {
  renamed: {
    mount(root, disk) {
      rmdirSync(root);
      renameSync(disk, root);
      return true;
    },
    unmount(root, disk) {
      renameSync(root, disk);
      mkdirSync(root);
    },
  },
  'unmounted (root)': {
    mount: (root, disk) => runs('mount', '--bind', disk, root),
    unmount: (root) => assert.ok(runs('umount', root)),
  },
};

for (const [way, { mount, unmount }] of Object.entries(ways)) {
  void test(`a folder that is ${way} under ship: nothing is made in its place, and nothing is missing later`, async (t) => {
    const story = openStory(t);
    const disk = openFolder(t);
    if (!mount(story.root, disk)) return t.skip('nothing can be mounted here');
    endBefore(story.root, () => Promise.resolve(runs('umount', '-l', story.root)));
    story.journal.write(20);
    let shipper = await story.start();
    await story.until(() => shipper.report.safe?.seq === story.journal.seq);
    const had = story.journal.seq;
    unmount(story.root, disk);
    for (const isRestart of [false, true]) {
      if (isRestart) {
        await story.end(shipper);
        story.journal.write(5);
        shipper = await story.start();
      } else story.write(5);
      await story.until(() => shipper.report.state === 'away');
      await story.pass(12_000);
      assert.deepEqual(readdirSync(story.root), []);
      assert.equal(shipper.report.safe?.seq, had);
    }
    mount(story.root, disk);
    await story.until(() => shipper.report.safe?.seq === story.journal.seq);
    await story.end(shipper);
    story.assertWhole();
    const [told] = story.events.filter(({ event }) => event === 'ship-away');
    assert.ok(told?.text.includes(story.root), told?.text);
  });
}

void test('an empty store in the place of the known one is told, and filled when its position is forgotten', async (t) => {
  const story = openStory(t);
  story.journal.write(20);
  await story.ship();
  rmSync(join(story.root, 'dovegate'), { recursive: true });
  const shipper = await story.start();
  await story.until(() => shipper.report.state === 'away');
  await story.end(shipper);
  assert.deepEqual(readdirSync(story.root), []);
  assert.match(story.events.at(-1)?.text ?? '', /holds nothing of this journal, and had record 20/);
  story.forget();
  await story.ship();
  story.assertWhole();
});
