// Goal: what a host does in its own folder costs the others nothing: modes, pipes, empty files and journals in number. What must not
// happen: another host that is not read, a true journal or block that junk hides, or a finding about anybody else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { formatName, shardFolder } from '../../../src/evidence/store/names.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type ObjectStore, StoreFault } from '../../../src/host/ports/store.js';
import type { Owner } from '../../kit/plain/folder.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { openTrail, type Trail } from '../../whole/fleet/fleet-lab.js';
import { HandJournal, putAll } from '../../whole/fleet/hand-journal.js';
import { openReader } from './store-verifier.js';

const asRoot = onlyRoot('can be another user');

/** Two hosts, `evil` and `honest`, with a journal each in two blocks. */
async function openHosts(owner: Owner) {
  const trail = openTrail(owner);
  const [evil, honest] = ['evil', 'honest'].map((host) => new HandJournal({ host }).work(10));
  assert.ok(evil !== undefined && honest !== undefined);
  for (const journal of [evil, honest]) await putAll(trail.store, [journal.block(1, 8), journal.block(9)]);
  return { trail, evil, honest };
}

/** A new verifier of them. */
function openVerifier(
  owner: Owner,
  trail: Pick<Trail, 'store'>,
  journals: readonly HandJournal[],
  more: Parameters<typeof openReader>[3] = {},
) {
  const keys = new Map(journals.map(({ host, signKey }) => [host, signKey?.key]));
  const verifier = openReader(owner, trail.store, keys, { objectsPerDay: 288, ...more });
  chmodSync(verifier.state, 0o777);
  return {
    ...verifier,
    found: () => verifier.fleet.judge(Date.now()).map(({ host, kind }) => `${host} ${kind}`),
    endOf: ({ host, journal }: HandJournal) => verifier.mirror.endOf(host, journal),
  };
}

function textOf({ state }: { readonly state: string }, { host, journal }: HandJournal): string {
  return readFileSync(join(state, 'journals', host, journal, '00000001.jsonl'), 'utf8');
}

test(
  'a mode in a folder of one host, and a pipe in the place of the lines: the others are read',
  asRoot,
  async (t) => {
    const { trail, evil, honest } = await openHosts(t);
    const first = trail.pathOf(formatName(evil.block(1, 8).name));
    execFileSync('mkfifo', [join(trail.root, '_verifiers')]);
    for (const path of [first, dirname(first), dirname(dirname(first)), join(trail.root, 'evil')]) {
      const verifier = openVerifier(t, trail, [evil, honest]);
      chmodSync(path, 0);
      chmodSync(trail.folder, 0o755);
      process.seteuid?.(65_534);
      try {
        for (let round = 0; round < 2; round += 1) await verifier.look();
      } finally {
        process.seteuid?.(0);
        chmodSync(path, 0o755);
      }
      assert.equal(verifier.endOf(honest), honest.seq);
      assert.equal(verifier.reader.hasVersions, true);
      const told = (kind: 'silent' | 'never-seen') =>
        verifier.reader
          .withUnread([{ kind, host: 'evil', text: kind }])
          .filter(({ host }) => host === 'evil');
      // What is known of its silence stays, with its own time.
      const [known, unread] = told('silent');
      assert.deepEqual([known?.text, unread?.kind], ['silent', 'silent']);
      assert.match(unread?.text ?? '', /^the store gives nothing of it: .*EACCES/);
      assert.ok(Date.parse(unread?.time ?? '') <= Date.now());
      // Without a time a watch tells it at once, as it would tell never-seen.
      assert.deepEqual(
        told('never-seen').map(({ kind, time }) => [kind, time]),
        [['silent', undefined]],
      );
      assert.deepEqual(
        verifier.found().filter((each) => each.startsWith('honest')),
        [],
      );
      assert.ok(verifier.found().includes('- malformed'), verifier.found().join());
      await verifier.look();
      assert.equal(verifier.endOf(evil), evil.seq);
      assert.ok(verifier.reader.withUnread([]).every(({ host }) => host !== 'evil'));
    }
  },
);

test('empty objects in number: their directory is listed once, and they are told', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const { host, journal } = evil;
  const hash = 'ab'.repeat(32);
  for (let seq = 1_001; seq <= 4_000; seq += 1) {
    const path = trail.pathOf({ kind: 'block', host, journal, first: seq, last: seq, hash, isCopy: false });
    writeFileSync(path, '');
  }
  let lists = 0;
  const versions: ObjectStore['versions'] = (prefix, options) => {
    lists += 1;
    return trail.store.versions(prefix, options);
  };
  const verifier = openVerifier(t, { store: { ...trail.store, versions } }, [evil, honest]);
  let looks = 0;
  // The time of one may end before it has seen enough.
  do {
    await verifier.look();
    looks += 1;
    assert.equal(verifier.endOf(honest), honest.seq);
  } while (!verifier.found().includes('evil too-much'));
  assert.ok(lists < 10 * looks, `${lists} lists in ${looks} looks`);
  assert.deepEqual([...new Set(verifier.found())], ['evil changed', 'evil too-much']);
  await putAll(trail.store, [honest.work(3).block(22)]);
  await verifier.look();
  assert.equal(verifier.endOf(honest), honest.seq);
});

test('junk journals in number hide no true one, from a new verifier or when all is read again', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const forged = Array.from({ length: 300 }, (_, at) => {
    const id = String(at).padStart(32, '0');
    // Some are empty, some hold junk, some a chain that another key signed.
    if (at % 3 === 0) mkdirSync(join(trail.root, 'evil', id));
    else return new HandJournal({ host: 'evil', journal: id }).block();
    return undefined;
  });
  for (const [at, block] of forged.entries()) {
    if (block === undefined) continue;
    await putAll(trail.store, [block]);
    if (at % 3 === 1) writeFileSync(trail.pathOf(formatName(block.name)), '');
  }
  const verifier = openVerifier(t, trail, [evil, honest]);
  await verifier.look();
  assert.equal(verifier.endOf(evil), evil.seq);
  verifier.reader.rewind([]);
  await verifier.look();
  assert.equal(verifier.fleet.endOf('evil', evil.journal)?.seq, evil.seq);
  assert.ok(!verifier.found().some((each) => each.endsWith(' never-seen') || each.endsWith(' cut-in-store')));
  // More of them than a list has at once, and a journal that the gate begins after them.
  for (let at = 0; at < 2_100; at += 1)
    mkdirSync(join(trail.root, 'evil', String(1_000 + at).padStart(32, '0')));
  const next = new HandJournal({ host: 'evil', journal: 'f'.repeat(32), signKey: evil.signKey }).work(3);
  await putAll(trail.store, [next.block()]);
  for (const one of [verifier, openVerifier(t, trail, [evil, honest])]) {
    await one.look();
    assert.equal(one.endOf(next), next.seq);
    // Whoever accepts what stands is not told again.
    one.fleet.accept(Date.now());
    await one.look();
    assert.deepEqual(one.found(), []);
  }
});

test('junk that joins, in number: the signed block among it is found, and each is read a few times', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  let reads = 0;
  const read: ObjectStore['read'] = (name, options) => {
    reads += 1;
    return trail.store.read(name, options);
  };
  const credit = { objectsPerDay: 20 };
  const counted = { store: { ...trail.store, read } };
  const verifier = openVerifier(t, counted, [evil, honest], credit);
  await verifier.look();
  // More than are held.
  const junk = 15 * credit.objectsPerDay;
  /** Forks behind its last record. */
  const flood = (): void => {
    const forged = evil.copy(null);
    for (let count = 0; count < junk; count += 1) {
      const one = forged.copy(null);
      one.exchange({ user: `junk${count}@example.org` });
      const { name, text } = one.block(evil.seq + 1, evil.seq + 1);
      writeFileSync(trail.pathOf(formatName(name)), gzipSync(text));
    }
  };
  flood();
  const looks = async (): Promise<number> => {
    reads = 0;
    for (let isDone = false; !isDone; ) isDone = await verifier.look(false);
    return reads;
  };
  await verifier.look();
  const again = await looks();
  assert.ok(again < junk / 4, `${again} reads`);
  assert.equal(verifier.endOf(evil), evil.seq);
  // It sorts behind all of them.
  await putAll(trail.store, [evil.work(3).block(23)]);
  for (const one of [verifier, openVerifier(t, counted, [evil, honest], credit)]) {
    while (!(await one.look())) continue;
    assert.equal(one.endOf(evil), evil.seq);
    assert.deepEqual([...new Set(one.found().toSorted())], ['evil forked', 'evil too-much']);
  }
  // The way to the next signature has three blocks, with more forks of the first and of the last than are held.
  const proved = evil.seq;
  flood();
  for (let count = 0; count < 2; count += 1) {
    evil.exchange();
    await putAll(trail.store, [evil.block(evil.seq - 1)]);
  }
  await verifier.look(false);
  flood();
  await verifier.look(false);
  assert.equal(verifier.endOf(evil), proved);
  await putAll(trail.store, [evil.work(0).block(evil.seq)]);
  for (const one of [verifier, openVerifier(t, counted, [evil, honest], credit)]) {
    while (!(await one.look())) continue;
    assert.equal(one.endOf(evil), evil.seq);
    assert.ok(!one.found().includes('evil missing'));
  }
});

test('forks in number that nobody signed do not hide the fork of a copied machine', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const verifier = openVerifier(t, trail, [evil, honest]);
  const at = evil.seq + 1;
  const twin = evil.copy();
  await putAll(trail.store, [evil.work(3).block(at)]);
  await verifier.look();
  for (let count = 0; count < 30; count += 1) {
    const forged = evil.copy(null, at - 1);
    forged.exchange({ user: `junk${count}@example.org` });
    // The last one ends where the twin begins.
    await putAll(trail.store, [forged.block(at, at)]);
  }
  twin.exchange();
  await putAll(trail.store, [twin.work(3).block(at + 1)]);
  await verifier.look();
  const forks = verifier.fleet.judge(Date.now()).filter(({ kind }) => kind === 'forked');
  const signed = forks.filter(({ text }) => text.includes('with a signature of this host'));
  assert.deepEqual(
    signed.map(({ seq }) => seq),
    [at + 1],
    JSON.stringify(forks, undefined, 1),
  );
  assert.ok(signed[0]?.text.includes(formatName(twin.block(at + 1).name)), signed[0]?.text);
});

test('a true signature that somebody copied proves nothing of the lines behind it', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const at = evil.seq;
  const twin = evil.copy();
  // Its last lines are not signed yet.
  twin.exchange({ user: 'twin@example.org' });
  twin.work(1).exchange();
  const forged = Array.from({ length: 30 }, (_, count) => {
    const one = evil.copy(null, at);
    one.exchange({ user: `junk${count}@example.org` });
    return one.block(at - 2);
  });
  // A block near the end is compared line by line. An older one is compared with the mirror.
  for (const [exchanges, seqs] of [
    [30, [at + 1, twin.seq]],
    [bounds.fleetRecent, [twin.seq]],
  ] as const) {
    await putAll(trail.store, [evil.work(exchanges).block(at + 1)]);
    const verifier = openVerifier(t, trail, [evil, honest]);
    await verifier.look();
    assert.equal(verifier.endOf(evil), evil.seq);
    const look = async (...blocks: Parameters<typeof putAll>[1]) => {
      await putAll(trail.store, blocks);
      await verifier.look();
      const found = verifier.fleet.judge(Date.now());
      return found.filter(({ text }) => text.includes('with a signature of this host'));
    };
    assert.deepEqual(await look(...forged), []);
    const fork = twin.block(at + 1);
    assert.deepEqual(
      (await look(fork)).map((one) => [one.kind, one.seq, one.text.includes(formatName(fork.name))]),
      seqs.map((seq) => ['forked', seq, true]),
    );
    for (const { name } of [...forged, fork]) rmSync(trail.pathOf(formatName(name)));
  }
});

test("another host's journal id on a mark is told of the host that put it there, whichever is read first", async (t) => {
  for (const names of [
    ['evil', 'honest'],
    ['honest', 'evil'],
  ]) {
    const trail = openTrail(t);
    const [host = '', other = ''] = names;
    const honest = new HandJournal({ host }).work(3);
    const thief = new HandJournal({ host: other, journal: honest.journal });
    await putAll(trail.store, [thief.mark(1), honest.block()]);
    const verifier = openVerifier(t, trail, [honest, new HandJournal({ host: other })]);
    for (let round = 0; round < 2; round += 1) await verifier.look();
    assert.deepEqual(
      verifier.found().filter((each) => each.startsWith(host)),
      [],
    );
    assert.ok(verifier.found().includes(`${other} forked`), verifier.found().join());
  }
});

test('objects without records that somebody removes again hide no removed one', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const verifier = openVerifier(t, trail, [evil, honest]);
  const [first, last] = [evil.seq + 1, evil.work(2).seq];
  await putAll(trail.store, [evil.block(first, last)]);
  await verifier.look();
  const junk = Array.from({ length: 40 }, (_, at) => {
    const hash = String(at).padStart(64, '0');
    const of = { kind: 'block', host: evil.host, journal: evil.journal, isCopy: false } as const;
    return trail.pathOf({ ...of, first: first - 1, last: last - 1, hash });
  });
  for (const path of junk) writeFileSync(path, '');
  await verifier.look();
  for (const path of [...junk, trail.pathOf(formatName(evil.block(first, last).name))]) rmSync(path);
  await verifier.look();
  const gone = verifier.fleet.judge(Date.now()).filter(({ kind }) => kind === 'cut-in-store');
  assert.deepEqual(
    gone.map(({ seq }) => seq),
    [first],
  );
});

test('names and objects that are none, in number: the block behind them is found, in some looks', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const verifier = openVerifier(t, trail, [evil, honest]);
  await verifier.look();
  const { host, journal } = evil;
  mkdirSync(dirname(trail.pathOf(`${shardFolder(host, journal, 1e9)}mark`)), { recursive: true });
  for (let count = 0; count < 2_500; count += 1) {
    const hash = String(count).padStart(64, '0');
    const path = trail.pathOf({ kind: 'block', host, journal, first: 23, last: 23, hash, isCopy: false });
    writeFileSync(count % 2 === 0 ? path : path.replace('.jsonl.gz', '.junk'), '');
    writeFileSync(trail.pathOf(formatName({ kind: 'forked', host, journal, seq: 1e9 + count, hash })), '');
  }
  await putAll(trail.store, [evil.work(3).block(23)]);
  const looks = async (): Promise<number> => {
    let count = 0;
    for (; verifier.endOf(evil) < evil.seq; count += 1) {
      assert.ok(count < 10, `${verifier.endOf(evil)} of ${evil.seq}`);
      await verifier.look();
    }
    return count;
  };
  assert.ok((await looks()) > 1);
  await putAll(trail.store, [evil.work(3).block(30)]);
  await looks();
});

test('records before a hole, and bytes that are wrong at first, are proved when what leads to them is there', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const verifier = openVerifier(t, trail, [evil, honest]);
  const work = (): readonly [number, number] => {
    const first = evil.seq + 1;
    evil.exchange();
    return [first, evil.seq];
  };
  await verifier.look();
  const [signed, before, hole, wrong] = [evil.seq, work(), work(), work()];
  evil.work(1);
  const end = evil.block(wrong[1] + 1);
  await putAll(trail.store, [evil.block(...before), end]);
  const place = trail.pathOf(formatName(evil.block(...wrong).name));
  writeFileSync(place, 'junk');
  await verifier.look();
  assert.deepEqual(verifier.found(), ['evil changed', 'evil missing']);
  assert.equal(textOf(verifier, evil), [...evil.lines.slice(0, signed), end.text].join(''));
  await putAll(trail.store, [evil.block(...hole)]);
  writeFileSync(place, gzipSync(evil.block(...wrong).text));
  await verifier.look();
  assert.deepEqual(verifier.found(), ['evil changed']);
  await verifier.mirror.tend(Date.now());
  assert.equal(textOf(verifier, evil), evil.lines.join(''));
});

for (const way of ['the same name', 'the name of its copy'])
  test(`junk was first under the name of a signed block, which comes later under ${way}: nothing is missing`, async (t) => {
    const { trail, evil, honest } = await openHosts(t);
    const verifier = openVerifier(t, trail, [evil, honest]);
    await verifier.look();
    const first = evil.seq + 1;
    const late = evil.work(5).block(first);
    const place = trail.pathOf(formatName(late.name));
    writeFileSync(place, 'junk');
    const { seq } = evil;
    await putAll(trail.store, [evil.work(5).block(seq + 1)]);
    await verifier.look();
    assert.deepEqual(verifier.found(), ['evil changed', 'evil missing']);
    const copy = place.replace(/\.jsonl\.gz$/, '.2.jsonl.gz');
    writeFileSync(way.endsWith('copy') ? copy : place, gzipSync(late.text));
    for (let look = 0; look < 2; look += 1) {
      await verifier.look();
      assert.deepEqual(verifier.found(), ['evil changed']);
    }
    await verifier.mirror.tend(Date.now());
    assert.equal(textOf(verifier, evil), evil.lines.join(''));
  });

test('a name below a verifier that no server gives is no line, and everything else is read', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const [below, name] = ['_verifiers/audit1/', '_verifiers/audit1/../evil/junk'];
  const store: ObjectStore = {
    ...trail.store,
    async *versions(prefix, options) {
      yield* trail.store.versions(prefix, options);
      const listed = prefix === '_verifiers/' ? below : prefix === below ? name : undefined;
      if (listed !== undefined) yield [{ name: listed, version: '', isMarker: false }];
    },
    read: (of, options) =>
      of === name ? Promise.reject(new StoreFault('refused', 'AccessDenied')) : trail.store.read(of, options),
  };
  const verifier = openVerifier(t, { store }, [evil, honest]);
  await verifier.look();
  assert.deepEqual([verifier.found(), verifier.reader.withUnread([])], [['- malformed'], []]);
  assert.equal(verifier.endOf(honest), honest.seq);
});

test('empty objects in the place of a hole, in number: the block that fills its beginning is read', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const verifier = openVerifier(t, trail, [evil, honest]);
  await verifier.look();
  const first = evil.seq + 1;
  evil.exchange();
  const middle = evil.seq + 1;
  evil.exchange();
  const last = evil.seq;
  const later = evil.work(1).block(last + 1);
  await putAll(trail.store, [later]);
  // Unsigned lines lead to no signature: what goes on behind a hole is taken when its own block is signed.
  await verifier.look();
  for (let count = 0; count < 2_500; count += 1) {
    const hash = String(count).padStart(64, '0');
    const of = { kind: 'block', host: evil.host, journal: evil.journal, isCopy: false } as const;
    writeFileSync(trail.pathOf({ ...of, first: last, last, hash }), '');
  }
  await putAll(trail.store, [evil.block(first, middle - 1), evil.block(middle, last)]);
  for (let looks = 0; !(await verifier.look(false)); looks += 1) assert.ok(looks < 10);
  await verifier.look();
  assert.ok(!verifier.found().includes('evil missing'), verifier.found().join());
});

test('a silent host stays silent, and keeps its row, whatever unsigned lines and journals come', async (t) => {
  const { trail, evil, honest } = await openHosts(t);
  const hourAgo = Date.now() / 1000 - 3600;
  for (const block of [evil.block(1, 8), evil.block(9)])
    utimesSync(trail.pathOf(formatName(block.name)), hourAgo, hourAgo);
  const forged = evil.copy(null);
  forged.exchange();
  await putAll(trail.store, [
    forged.block(evil.seq + 1),
    new HandJournal({ host: 'evil', signKey: null }).block(),
  ]);
  const verifier = openVerifier(t, trail, [evil, honest], { silentMs: 1_800_000 });
  await verifier.look();
  assert.deepEqual(verifier.found(), ['evil new-journal', 'evil silent']);
  const [row] = verifier.fleet.status(Date.now()).gates;
  assert.deepEqual([row?.host, row?.journal, row?.signedSeq], ['evil', evil.journal, evil.seq]);
});
