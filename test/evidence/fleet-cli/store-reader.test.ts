// Goal: a store that lies costs a verifier little: lists without an end, names that are none, objects that are no blocks, bombs, times to
// come. What must not happen: another host that is not read, or a read without an end. The store is scripted: a real one does not lie.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { packBlock } from '../../../src/evidence/store/block.js';
import { formatName, journalFolder } from '../../../src/evidence/store/names.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type ObjectStore, StoreFault } from '../../../src/host/ports/store.js';
import { nameOf, openTrail } from '../../whole/fleet/fleet-lab.js';
import { PaperGate } from '../fleet/paper-store.js';
import { openReader } from './store-verifier.js';

const gate = new PaperGate();
gate.exchanges(20);
gate.checkpoint();
const honest = nameOf('honest', gate.id, gate.lines);
const evil = 'ef'.repeat(16);
const hash = 'ab'.repeat(32);
const nowMs = Date.now();

interface Lies {
  /** Names of the host `evil`, in their order, perhaps without an end. May throw. */
  readonly names: () => Iterable<string>;
  readonly bytes?: Buffer;
  readonly storedMs?: number;
}

/** With one block of a host that is as it should be. */
async function lyingStore({ names, bytes = Buffer.from('junk'), storedMs = nowMs }: Lies) {
  const whole = await packBlock(Buffer.from(gate.lines.join('')));
  let listed = 0;
  let read = 0;
  async function* pages(prefix: string, after = ''): AsyncGenerator<readonly string[]> {
    await Promise.resolve();
    const [own, his] = [journalFolder('honest', gate.id), journalFolder('evil', evil)];
    const levels: Readonly<Record<string, readonly string[]>> = {
      '': ['_verifiers/', 'evil/', 'honest/'],
      '_verifiers/': ['_verifiers/x/'],
      '_verifiers/x/': Array.from(
        { length: 200 },
        (_, at) => `_verifiers/x/${String(at).padStart(4, '0')}`,
      ).filter((name) => name > after),
      'evil/': [his],
      'honest/': [own],
      [own]: [formatName(honest)].filter((name) => name > after),
    };
    let page: string[] = [...(levels[prefix] ?? [])];
    for (const name of prefix === his ? names() : []) {
      if (name <= after) continue;
      listed += 1;
      page.push(name);
      if (page.length < 1000) continue;
      yield page;
      page = [];
      await new Promise((resolve) => setImmediate(resolve));
    }
    yield page;
  }
  const store: ObjectStore = {
    place: 'a store that lies',
    list: (prefix, options) => pages(prefix, options?.after),
    async *versions(prefix, options) {
      for await (const page of pages(prefix, options?.after))
        yield page.map((name) => ({ name, version: '', isMarker: false }));
    },
    read(name) {
      read += 1;
      if (name.startsWith('_verifiers/')) return Promise.reject(new StoreFault('too-large', 'too large'));
      return Promise.resolve(
        name === formatName(honest) ? { bytes: whole, storedMs: nowMs } : { bytes, storedMs },
      );
    },
    put: () => Promise.reject(new StoreFault('refused', 'not here')),
    describe: () => Promise.resolve({ kind: 'bucket', versions: 'off', lock: { mode: 'off' } }),
    close: () => undefined,
  };
  return { store, counts: () => ({ listed, read }) };
}

const blockAt = (seq: number): string =>
  formatName({ kind: 'block', host: 'evil', journal: evil, first: seq, last: seq, hash, isCopy: false });
const oneBlock = () => [blockAt(1)];

function* without(end: (at: number) => string): Generator<string> {
  for (let at = 1; ; at += 1) yield end(at);
}

const hostsOf = (...names: readonly string[]) => new Map(names.map((host) => [host, undefined]));

test('a store that lies: what it costs, and what is said', { timeout: 120_000 }, async (t) => {
  const junk = () => without((at) => `${journalFolder('evil', evil)}${String(at).padStart(11, '0')}/junk`);
  const bomb = gzipSync(Buffer.alloc(256 << 20));
  const cut = () => {
    throw new StoreFault('away', 'it is cut');
  };
  const cases: Readonly<Record<string, Lies & { readonly kinds: readonly string[]; readonly why?: string }>> =
    {
      'names without an end that are none': { names: junk, kinds: ['malformed', 'too-much'] },
      'blocks without an end that are none': {
        names: () => without(blockAt),
        kinds: ['changed', 'too-much'],
      },
      'a bomb': { names: oneBlock, bytes: bomb, kinds: ['changed'] },
      'an object without a byte': { names: oneBlock, bytes: Buffer.alloc(0), kinds: ['changed'] },
      'answers that are cut, for one host': { names: cut, kinds: [], why: 'it is cut' },
    };
  for (const [what, { kinds, why, ...lies }] of Object.entries(cases))
    await t.test(what, async (owner) => {
      const { store, counts } = await lyingStore(lies);
      const { fleet, mirror, reader, look } = openReader(owner, store, hostsOf('evil', 'honest'));
      for (let round = 0; round < 3; round += 1) await look();
      assert.equal(mirror.endOf('honest', gate.id), gate.lines.length);
      const [unread] = reader.withUnread([]).filter(({ host }) => host === 'evil');
      assert.equal(unread?.text.includes(why ?? ''), why && true);
      const isEndless = kinds.includes('too-much');
      assert.deepEqual(
        reader.unfinished().map(({ host }) => host),
        isEndless ? ['evil'] : [],
      );
      const found = fleet.judge(Date.now()).filter(({ kind }) => kind !== 'never-seen');
      assert.deepEqual(
        [...new Set(found.map(({ host, kind }) => `${host} ${kind}`))],
        // And what is no line of a verifier.
        ['- malformed', ...kinds.map((kind) => `evil ${kind}`)],
      );
      assert.ok(found.length <= 2 * bounds.fleetFindings);
      const { listed, read } = counts();
      // bounds.fleetFindings; a thousand wrong ones end a look.
      assert.ok(listed <= 3 * 6_000 && read <= 3 * 6_000, `${listed} names, ${read} objects`);
    });
});

test('a time to come keeps no host from being silent', async (t) => {
  const { store } = await lyingStore({ names: oneBlock, storedMs: nowMs + 1e12 });
  const { reader, look } = openReader(t, store, hostsOf('evil'));
  await look();
  assert.ok(reader.storedMs <= Date.now());
});

test('what a lifecycle rule hides when it is old enough is no finding, and what somebody hides before is one', async (t) => {
  for (const [ageMs, kinds] of [
    [1_000, ['changed']],
    [10 * 86_400_000, []],
  ] as const) {
    const storedMs = nowMs - ageMs;
    const bytes = await packBlock(Buffer.from(gate.lines.join('')));
    const name = formatName(honest);
    let isHidden = false;
    const { store: lying } = await lyingStore({ names: () => [] });
    const store: ObjectStore = {
      ...lying,
      async *versions(prefix, options) {
        if (options?.isLevel === true) yield* lying.versions(prefix, options);
        if (prefix !== journalFolder('honest', gate.id) || name <= (options?.after ?? '')) return;
        const marker = { name, version: 'm', isMarker: true };
        yield [...(isHidden ? [marker] : []), { name, version: 'v', isMarker: false }];
      },
      read: () => Promise.resolve({ bytes, storedMs }),
    };
    const { fleet, look } = openReader(t, store, hostsOf('honest'), { keepMs: 10 * 86_400_000 });
    await look();
    isHidden = true;
    for (let round = 0; round < 2; round += 1) await look();
    const found = fleet.judge(Date.now()).filter(({ host }) => host === 'honest');
    assert.deepEqual(
      found.map(({ kind }) => kind),
      kinds,
    );
  }
});

test('more objects or bytes of a day than the credit gives, and much that is there already', async (t) => {
  const trail = openTrail(t);
  const lines = { id: gate.id, lines: gate.lines };
  await trail.send('honest', lines, 6);
  const foundBy = async (more: Parameters<typeof openReader>[3]) => {
    const { fleet, look } = openReader(t, trail.store, hostsOf('honest'), more);
    for (let round = 0; round < 2; round += 1) await look();
    return fleet.judge(Date.now()).map(({ kind, seq, text }) => `${kind} ${seq} ${text.split(':')[0]}`);
  };
  const day = new Date().toISOString().slice(0, 10);
  assert.deepEqual(await foundBy({ objectsPerDay: 2 }), []);
  assert.deepEqual(await foundBy({ objectsPerDay: 1 }), [
    `too-much 37 it has put more than 6 objects (objects_per_day) on ${day}`,
  ]);
  assert.match(
    (await foundBy({ bytesPerDay: 1000 })).join(),
    /^too-much \d+ it has put more than 1,000 bytes /,
  );
  // The same records again, in other blocks.
  await trail.send('honest', lines, 3);
  const again = await foundBy({ objectsPerDay: 2 });
  assert.ok(
    again.some((each) => each.endsWith(' objects and versions have what is there already')),
    again.join(),
  );
});
