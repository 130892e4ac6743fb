// Goal: what a host does in its own folder costs the others nothing: modes, pipes, empty files and journals in number. What must not
// happen: another host that is not read, a true journal that junk hides, or a finding about anybody else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { createFleet } from '../../../src/evidence/fleet/fleet.js';
import { openMirror } from '../../../src/evidence/fleet-cli/mirror.js';
import { createStoreReader } from '../../../src/evidence/fleet-cli/store-reader.js';
import { formatName } from '../../../src/evidence/store/names.js';
import type { ObjectStore } from '../../../src/host/ports/store.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { openTrail, type Trail } from '../../whole/fleet/fleet-lab.js';
import { HandJournal, putAll } from '../../whole/fleet/hand-journal.js';

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
function openReader(owner: Owner, trail: Trail, journals: readonly HandJournal[]) {
  const state = openFolder(owner);
  chmodSync(state, 0o777);
  const hosts = new Map(
    journals.map(({ host, signKey }) => [host, { key: signKey?.key, silentMs: 1e15 }] as const),
  );
  const of = { hosts, keepMs: 0, openMs: 1e15, driftMs: undefined, wallMs: Date.now };
  const fleet = createFleet({ ...of, store: trail.store.place });
  const shares = new Map(journals.map(({ host }) => [host, 1 << 30]));
  const never = (): void => assert.fail();
  const mirror = openMirror({ state, shares, full: never, lacks: never, keepMs: Infinity });
  const settings = { hosts, state, keepMs: 0, objectsPerDay: 288, bytesPerDay: 1 << 30 };
  const folder = { save: () => undefined };
  const reader = createStoreReader(fleet, settings, trail.store, undefined, folder, () => [], mirror);
  return {
    fleet,
    reader,
    look: (isWhole = true) => reader.look(new AbortController().signal, isWhole, () => undefined),
    found: () => fleet.judge(Date.now()).map(({ host, kind }) => `${host} ${kind}`),
    endOf: ({ host, journal }: HandJournal) => mirror.endOf(host, journal),
  };
}

test(
  'a mode in a folder of one host, and a pipe in the place of the lines: the others are read',
  asRoot,
  async (t) => {
    const { trail, evil, honest } = await openHosts(t);
    const first = trail.pathOf(formatName(evil.block(1, 8).name));
    execFileSync('mkfifo', [join(trail.root, '_verifiers')]);
    for (const path of [first, dirname(first), dirname(dirname(first)), join(trail.root, 'evil')]) {
      const verifier = openReader(t, trail, [evil, honest]);
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
      assert.match(verifier.reader.unread.get('evil') ?? '', /EACCES/);
      assert.deepEqual(
        verifier.found().filter((each) => each.startsWith('honest')),
        [],
      );
      assert.ok(verifier.found().includes('- malformed'), verifier.found().join());
      await verifier.look();
      assert.equal(verifier.endOf(evil), evil.seq);
      assert.equal(verifier.reader.unread.has('evil'), false);
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
  const verifier = openReader(t, { ...trail, store: { ...trail.store, versions } }, [evil, honest]);
  await verifier.look();
  assert.equal(lists, 2);
  assert.equal(verifier.endOf(honest), honest.seq);
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
  const verifier = openReader(t, trail, [evil, honest]);
  await verifier.look();
  assert.equal(verifier.endOf(evil), evil.seq);
  verifier.reader.rewind([]);
  await verifier.look();
  assert.equal(verifier.fleet.endOf('evil', evil.journal)?.seq, evil.seq);
  assert.ok(!verifier.found().some((each) => each.endsWith(' never-seen') || each.endsWith(' cut-in-store')));
});
