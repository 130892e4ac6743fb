// Goal: whatever somebody does to the objects of one host is found at that host and as what it is, and nothing else is found: by a verifier
// that had read everything before, and by a new one, which lists the first one's key. Each row is a host of its own in one folder. What a
// verifier cannot see (a byte of an object that it has read already) is silent here, and told by `verify --whole`. What must not happen: a
// finding about a host where nothing was planted, or a record that the mirror of the first verifier does not have.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { packBlock } from '../../../src/evidence/store/block.js';
import { formatName } from '../../../src/evidence/store/names.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { type Hosts, openDesk, openTrail, type Trail } from './fleet-lab.js';
import { type HandBlock, HandJournal, hashOf, putAll, rewritten } from './hand-journal.js';

const recordsEach = 6;

/** One host, its journal of 42 records, and its seven objects. */
interface Planted {
  readonly host: string;
  readonly journal: HandJournal;
  readonly blocks: readonly HandBlock[];
  readonly trail: Trail;
  readonly pathOf: (at: number) => string;
  /** Other bytes under the name of an object. */
  readonly replace: (at: number, bytes: Buffer) => void;
}

interface Row {
  /** What the first verifier finds then, and what a new one does. */
  readonly known: readonly string[];
  readonly fresh: readonly string[];
  /** Before the first verifier reads. */
  readonly before?: (planted: Planted) => Promise<void> | void;
  readonly plant: (planted: Planted) => Promise<void> | void;
  readonly listed?: Readonly<Record<string, string>> | 'not';
  /** Told by the first verifier when it reads everything again. */
  readonly whole?: readonly string[];
}

const nothing = { known: [], fresh: [], plant: () => undefined } as const;

/** Another end of the journal, from that record on. */
function otherEnd(
  { journal }: Planted,
  from: number,
  exchanges: number,
  signKey = journal.signKey,
): HandJournal {
  return journal.copy(signKey, from - 1).work(exchanges);
}

const rows: Readonly<Record<string, Row>> = {
  nothing,
  byte: {
    known: [],
    fresh: ['changed'],
    whole: ['changed'],
    async plant({ blocks, replace }) {
      const text = Buffer.from(blocks[2]?.text ?? '');
      text[text.indexOf('anna')] = 0x41;
      replace(2, await packBlock(text));
    },
  },
  cut: {
    known: [],
    fresh: ['changed', 'missing'],
    whole: ['changed', 'missing'],
    plant: ({ pathOf }) => truncateSync(pathOf(2), 100),
  },
  empty: {
    known: [],
    fresh: ['changed', 'missing'],
    whole: ['changed', 'missing'],
    plant: ({ pathOf }) => truncateSync(pathOf(2), 0),
  },
  swapped: {
    known: [],
    fresh: ['malformed'],
    whole: ['malformed'],
    plant({ pathOf, replace }) {
      const [one, other] = [readFileSync(pathOf(2)), readFileSync(pathOf(3))];
      replace(2, other);
      replace(3, one);
    },
  },
  rewritten: {
    known: [],
    fresh: ['unlinked'],
    whole: ['unlinked'],
    async plant({ journal, replace }) {
      const lines = journal.lines.slice(12, 18);
      lines[2] = rewritten(lines[2] ?? '', (body) => body.replace('@example.org', '@example.net'));
      replace(2, await packBlock(Buffer.from(lines.join(''))));
    },
  },
  'other-key': {
    known: ['cut-in-store', 'forked'],
    // The line of the first verifier names the true end.
    fresh: ['cut-in-store', 'untrusted'],
    async plant(planted) {
      rmSync(planted.pathOf(6));
      await putAll(planted.trail.store, [otherEnd(planted, 37, 2, makeSignKey()).block(37, 42)]);
    },
  },
  middle: { known: ['cut-in-store'], fresh: ['missing'], plant: ({ pathOf }) => rmSync(pathOf(3)) },
  first: { known: ['cut-in-store'], fresh: ['missing'], plant: ({ pathOf }) => rmSync(pathOf(0)) },
  last: { known: ['cut-in-store'], fresh: ['cut-in-store'], plant: ({ pathOf }) => rmSync(pathOf(6)) },
  'replayed-host': {
    known: ['forked', 'new-journal'],
    fresh: ['forked', 'new-journal'],
    async plant({ host, trail }) {
      const { name, text } = source.block(1, 6);
      await putAll(trail.store, [{ name: { ...name, host }, text }]);
    },
  },
  'replayed-number': {
    known: ['malformed'],
    fresh: ['malformed'],
    plant: ({ journal, trail }) =>
      putAll(trail.store, [journal.blockOf(journal.lines.slice(18, 24), { first: 101, last: 106 })]),
  },
  bomb: {
    known: ['changed'],
    fresh: ['changed'],
    plant({ host, journal, pathOf }) {
      const name = {
        kind: 'block',
        host,
        journal: journal.journal,
        first: 43,
        last: 48,
        isCopy: false,
      } as const;
      const hash = createHash('sha256').update('bomb').digest('hex');
      const path = join(
        pathOf(0),
        '../../../..',
        formatName({ ...name, hash }).replace(`${host}/`, `${host}/`),
      );
      writeFileSync(path, gzipSync(Buffer.alloc(64 << 20)));
    },
  },
  'fork-behind': {
    known: ['forked'],
    fresh: ['forked'],
    plant: (planted) => putAll(planted.trail.store, [otherEnd(planted, 13, 3).block(13, 18)]),
  },
  'fork-overtakes': {
    known: ['forked', 'unlinked'],
    fresh: ['forked', 'unlinked'],
    plant: (planted) => putAll(planted.trail.store, [otherEnd(planted, 37, 12).block(37, 60)]),
  },
  'junk-in-host': {
    known: ['malformed'],
    fresh: ['malformed'],
    plant: ({ trail, host }) => writeFileSync(join(trail.root, host, 'junk'), 'x'),
  },
  'junk-in-journal': {
    known: ['malformed'],
    fresh: ['malformed'],
    plant: ({ trail, host, journal }) => writeFileSync(join(trail.root, host, journal.journal, 'junk'), 'x'),
  },
  'odd-host': {
    known: [],
    fresh: [],
    // A folder that no host can have: told of no host.
    plant: ({ trail }) => mkdirSync(join(trail.root, 'no.host')),
  },
  stranger: { known: ['unknown-host'], fresh: ['unknown-host'], plant: () => undefined, listed: 'not' },
  'new-journal': {
    known: ['new-journal'],
    fresh: ['new-journal'],
    async plant({ host, journal, trail }) {
      await putAll(trail.store, [new HandJournal({ host, signKey: journal.signKey }).work(3).block()]);
    },
  },
  gone: {
    known: ['cut-in-store'],
    fresh: ['cut-in-store', 'never-seen'],
    plant: ({ trail, host }) => rmSync(join(trail.root, host), { recursive: true }),
  },
  'filled-later': {
    known: [],
    fresh: [],
    before: ({ pathOf }) => {
      renameSync(pathOf(2), `${pathOf(2)}.away`.replace(/([^/]+)$/, '.$1'));
      renameSync(pathOf(3), `${pathOf(3)}.away`.replace(/([^/]+)$/, '.$1'));
    },
    plant: ({ pathOf }) => {
      renameSync(`${pathOf(2)}.away`.replace(/([^/]+)$/, '.$1'), pathOf(2));
      renameSync(`${pathOf(3)}.away`.replace(/([^/]+)$/, '.$1'), pathOf(3));
    },
  },
  overlap: {
    ...nothing,
    plant: ({ journal, trail }) => putAll(trail.store, [journal.block(10, 15), journal.block(40, 42)]),
  },
  silent: {
    known: ['silent'],
    fresh: ['silent'],
    plant({ blocks, pathOf }) {
      const hourAgo = new Date(Date.now() - 3_600_000);
      for (const at of blocks.keys()) utimesSync(pathOf(at), hourAgo, hourAgo);
    },
    before: (planted) => rows['silent']?.plant(planted),
  },
  marked: {
    known: ['cut-at-host'],
    fresh: ['cut-at-host'],
    plant: ({ journal, trail }) => putAll(trail.store, [journal.mark(30)]),
  },
  'bad-signature': {
    known: ['bad-signature'],
    fresh: ['bad-signature'],
    async plant({ journal, trail }) {
      const next = journal.copy().work(1);
      const last = rewritten(next.lines.at(-1) ?? '', (body) =>
        body.replace(/"signature":"..../, '"signature":"AAAA'),
      );
      const lines = [...next.lines.slice(42, -1), last];
      const more = journal.blockOf(lines, { hash: hashOf(last) });
      await putAll(trail.store, [more]);
    },
  },
  'next-key': {
    ...nothing,
    async plant({ journal, trail }) {
      const next = makeSignKey();
      const before = journal.copy();
      before.checkpoint({ next_key: next.key });
      await putAll(trail.store, [before.copy(next).work(2).block(43)]);
    },
  },
  'other-policy': {
    known: ['differs'],
    fresh: ['differs'],
    async plant({ journal, trail }) {
      const next = journal.copy();
      next.exchange({ version: 'cd'.repeat(32) });
      next.checkpoint();
      await putAll(trail.store, [next.block(43)]);
    },
  },
};

/** Replayed under another host. */
const source = new HandJournal({ host: 'source' }).work(20);

function kindsAt({ findings }: Pick<FleetStatus, 'findings'>): Record<string, readonly string[]> {
  const kinds: Record<string, string[]> = {};
  for (const { host, kind } of findings) {
    const known = (kinds[host] ??= []);
    if (!known.includes(kind)) known.push(kind);
  }
  for (const known of Object.values(kinds)) known.sort();
  return kinds;
}

const expectedOf = (
  found: (row: Row) => readonly string[],
  more: Readonly<Record<string, readonly string[]>> = {},
) =>
  Object.fromEntries([
    ...Object.entries(rows).flatMap(([host, row]) =>
      found(row).length === 0 ? [] : [[host, found(row)] as const],
    ),
    ...Object.entries(more),
  ]);

test('each fault is found where it was planted, and nothing else', { timeout: 300_000 }, async (t) => {
  const trail = openTrail(t);
  await putAll(trail.store, [source.block()]);
  const planted = Object.keys(rows).map((host): Planted => {
    const journal = new HandJournal({ host }).work(20);
    const blocks = Array.from({ length: 7 }, (_, at) =>
      journal.block(at * recordsEach + 1, (at + 1) * recordsEach),
    );
    const pathOf = (at: number): string => trail.pathOf(formatName(blocks[at]?.name ?? assert.fail()));
    return { host, journal, blocks, trail, pathOf, replace: (at, bytes) => writeFileSync(pathOf(at), bytes) };
  });
  const listed = planted.flatMap(({ host, journal }) => {
    const more = rows[host]?.listed ?? {};
    return more === 'not' ? [] : [[host, { key: journal.signKey?.key ?? '', ...more }] as const];
  });
  const hosts: Hosts = { ...Object.fromEntries(listed), source: { key: source.signKey?.key ?? '' } };
  for (const one of planted) {
    await putAll(trail.store, one.blocks);
    await rows[one.host]?.before?.(one);
  }
  const first = openDesk(t, trail, hosts, { name: 'first' });
  const before = kindsAt(await first.verify());
  const { stranger, silent, ...others } = before;
  assert.deepEqual(stranger, ['unknown-host']);
  assert.deepEqual([others, silent], [{ 'filled-later': ['missing'] }, ['silent']]);
  for (const one of planted) await rows[one.host]?.plant(one);

  const known = await first.verify();
  const elsewhere = { '-': ['malformed'] };
  assert.deepEqual(
    kindsAt(known),
    expectedOf((row) => row.known, elsewhere),
    JSON.stringify(known.findings, undefined, 1),
  );
  // Nothing is told twice, and nothing goes away.
  assert.equal((await first.verify()).findings.length, known.findings.length);
  const fresh = openDesk(t, trail, hosts, { name: 'second' });
  // It makes its key, and takes the lines of the first one for a stranger's until that is listed.
  const verifiers = { first: { key: readFileSync(first.at('state', 'checkpoint.pub'), 'utf8').trim() } };
  fresh.write(hosts, { verifiers });
  const read = await fresh.verify();
  const { '-': none = [], ...found } = kindsAt(read);
  // Nobody knows which of two blocks is the true one, and the one that is read first may be the other.
  found['fork-behind'] = (found['fork-behind'] ?? []).filter((kind) => kind !== 'cut-at-host');
  assert.deepEqual(
    found,
    expectedOf((row) => row.fresh),
    JSON.stringify(read.findings, undefined, 1),
  );
  assert.deepEqual(none, ['malformed']);
  const whole = kindsAt(await first.verify('--whole'));
  for (const [host, { whole: kinds }] of Object.entries(rows))
    if (kinds !== undefined) assert.deepEqual(whole[host], kinds, host);
  // The first one had read all before: its mirror has every record of every journal.
  for (const { host, journal } of planted) {
    if (hosts[host] === undefined) continue;
    const folder = join(first.state, 'journals', host, journal.journal);
    const text = readFileSync(join(folder, '00000001.jsonl'), 'utf8');
    assert.ok(text.startsWith(journal.lines.slice(0, 12).join('')), host);
  }
  t.diagnostic(
    `${Object.keys(rows).length} rows: ${known.findings.length} and ${read.findings.length} findings`,
  );
});
