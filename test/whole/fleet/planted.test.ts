// Goal: whatever somebody does to the objects of one host is found at that host and as what it is, and nothing else is found: by a verifier
// that had read everything before, and by a new one, which lists the first one's key. Each row is a host of its own in one folder. What a
// verifier cannot see (a byte of an object that it has read already) is silent here, and told by `verify --whole`. What must not happen: a
// finding about a host where nothing was planted, or a record that the mirror of the first verifier does not have.
import assert from 'node:assert/strict';
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
import { type HandBlock, HandJournal, putAll, rewritten } from './hand-journal.js';

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
/** Found by both alike. */
const both = (...kinds: readonly string[]) => ({ known: kinds, fresh: kinds });
/** Bytes of an object that the first one had read: it sees them when it reads everything again. */
const unseen = { known: [], fresh: ['changed', 'missing'], whole: ['changed', 'missing'] } as const;

const hourAgo = new Date(Date.now() - 3_600_000);

/** Another end of the journal, from that record on. */
function otherEnd(
  { journal }: Planted,
  from: number,
  exchanges: number,
  signKey = journal.signKey,
): HandJournal {
  return journal.copy(signKey, from - 1).work(exchanges);
}

/** Only puts objects there. */
const adds =
  (blocksOf: (planted: Planted) => readonly HandBlock[]) =>
  (planted: Planted): Promise<void> =>
    putAll(planted.trail.store, blocksOf(planted));

/** Beside an object, where no reader of a store looks. */
const hidden = (path: string): string => path.replace(/([^/]+)$/, '.$1.away');

const rows: Readonly<Record<string, Row>> = {
  nothing,
  byte: {
    ...unseen,
    async plant({ blocks, replace }) {
      const text = Buffer.from(blocks[2]?.text ?? '');
      text[text.indexOf('anna')] = 0x41;
      replace(2, await packBlock(text));
    },
  },
  cut: { ...unseen, plant: ({ pathOf }) => truncateSync(pathOf(2), 100) },
  empty: { ...unseen, plant: ({ pathOf }) => truncateSync(pathOf(2), 0) },
  swapped: {
    ...unseen,
    plant({ pathOf, replace }) {
      const [one, other] = [readFileSync(pathOf(2)), readFileSync(pathOf(3))];
      replace(2, other);
      replace(3, one);
    },
  },
  rewritten: {
    ...unseen,
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
  last: { ...both('cut-in-store'), plant: ({ pathOf }) => rmSync(pathOf(6)) },
  'replayed-host': {
    ...both('forked', 'new-journal'),
    plant: adds(({ host }) => {
      const { name, text } = source.block(1, 6);
      return [{ name: { ...name, host }, text }];
    }),
  },
  'replayed-number': {
    ...both('changed'),
    plant: adds(({ journal }) => [journal.blockOf(journal.lines.slice(18, 24), { first: 101, last: 106 })]),
  },
  bomb: {
    ...both('changed'),
    plant({ journal, trail }) {
      const { name } = journal.blockOf(journal.lines, { first: 43, last: 48, hash: 'b0'.repeat(32) });
      writeFileSync(trail.pathOf(formatName(name)), gzipSync(Buffer.alloc(64 << 20)));
    },
  },
  'fork-behind': { ...both('forked'), plant: adds((planted) => [otherEnd(planted, 13, 3).block(13, 18)]) },
  'fork-overtakes': {
    ...both('forked'),
    plant: adds((planted) => [otherEnd(planted, 37, 12).block(37, 60)]),
  },
  // A copied machine, which has the key.
  'twin-overtakes': {
    ...both('forked', 'unlinked'),
    plant: adds((planted) => [otherEnd(planted, 37, 12).block(37)]),
  },
  // Another journal that the same key signs: its records, under the name of this one.
  spliced: {
    ...nothing,
    plant: adds(({ host, journal }) => {
      const other = new HandJournal({ host, signKey: journal.signKey }).work(25);
      return [journal.blockOf(other.lines.slice(42))];
    }),
  },
  'unsigned-end': {
    ...both('untrusted'),
    async plant({ journal, trail }) {
      const next = journal.copy();
      next.exchange();
      const [begin, end] = [next.block(43, 43), next.block(44)];
      await putAll(trail.store, [begin, end]);
      utimesSync(trail.pathOf(formatName(begin.name)), hourAgo, hourAgo);
    },
  },
  'junk-in-host': {
    ...both('malformed'),
    plant: ({ trail, host }) => writeFileSync(join(trail.root, host, 'junk'), 'x'),
  },
  'junk-in-journal': {
    ...both('malformed'),
    plant: ({ trail, host, journal }) => writeFileSync(join(trail.root, host, journal.journal, 'junk'), 'x'),
  },
  // A folder that no host can have: told of no host.
  'odd-host': { ...nothing, plant: ({ trail }) => mkdirSync(join(trail.root, 'no.host')) },
  stranger: { ...nothing, ...both('unknown-host'), listed: 'not' },
  'new-journal': {
    ...both('new-journal'),
    plant: adds(({ host, journal }) => [new HandJournal({ host, signKey: journal.signKey }).work(3).block()]),
  },
  gone: {
    known: ['cut-in-store'],
    fresh: ['cut-in-store', 'never-seen'],
    plant: ({ trail, host }) => rmSync(join(trail.root, host), { recursive: true }),
  },
  'filled-later': {
    ...nothing,
    before: ({ pathOf }) => [2, 3].forEach((at) => renameSync(pathOf(at), hidden(pathOf(at)))),
    plant: ({ pathOf }) => [2, 3].forEach((at) => renameSync(hidden(pathOf(at)), pathOf(at))),
  },
  overlap: { ...nothing, plant: adds(({ journal }) => [journal.block(10, 15), journal.block(40, 42)]) },
  silent: {
    ...both('silent'),
    plant({ blocks, pathOf }) {
      for (const at of blocks.keys()) utimesSync(pathOf(at), hourAgo, hourAgo);
    },
    before: (planted) => rows['silent']?.plant(planted),
  },
  marked: { ...both('cut-at-host'), plant: adds(({ journal }) => [journal.mark(30)]) },
  'bad-signature': {
    ...both('bad-signature'),
    plant: adds(({ journal }) => {
      const next = journal.copy().work(1);
      const last = rewritten(next.lines.at(-1) ?? '', (body) =>
        body.replace(/"signature":"..../, '"signature":"AAAA'),
      );
      return [journal.blockOf([...next.lines.slice(42, -1), last])];
    }),
  },
  'next-key': {
    ...nothing,
    plant: adds(({ journal }) => {
      const next = makeSignKey();
      const before = journal.copy();
      before.checkpoint({ next_key: next.key });
      const after = before.copy(next).work(2);
      return [after.block(43, 43), after.block(44, 45), after.block(46)];
    }),
  },
  'other-policy': {
    ...both('differs'),
    plant: adds(({ journal }) => {
      const next = journal.copy();
      next.exchange({ version: 'cd'.repeat(32) });
      next.checkpoint();
      return [next.block(43)];
    }),
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

const expectedOf = (found: (row: Row) => readonly string[]) =>
  Object.fromEntries(
    Object.entries(rows).flatMap(([host, row]) =>
      found(row).length === 0 ? [] : [[host, found(row)] as const],
    ),
  );

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
  const expected = { ...expectedOf((row) => row.known), '-': ['malformed'] };
  assert.deepEqual(kindsAt(known), expected, JSON.stringify(known.findings, undefined, 1));
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

/**
 * What a thief with the credential of a host, and without its key, puts there: lines chained to record `behind`, from record `from` on,
 * before or after the true block of the same numbers.
 */
interface Forgery {
  readonly behind: number;
  readonly exchanges: number;
  readonly from?: number;
  readonly isLate?: boolean;
}

const forgeries: Readonly<Record<string, Forgery>> = {
  'as-long': { behind: 8, exchanges: 2 },
  shorter: { behind: 8, exchanges: 1 },
  longer: { behind: 8, exchanges: 20 },
  'behind-signed': { behind: 6, exchanges: 3 },
  // It has the last true signature in it.
  'with-signed': { behind: 8, exchanges: 3, from: 5 },
  'in-a-hole': { behind: 8, exchanges: 5, from: 14 },
  'after-true': { behind: 8, exchanges: 2, isLate: true },
  'after-signed': { behind: 15, exchanges: 3, isLate: true },
};

test('lines that no signature covers are not proved, whichever come first', {
  timeout: 300_000,
}, async (t) => {
  const trail = openTrail(t);
  const worlds = Object.entries(forgeries).map(([host, forgery]) => ({
    host,
    forgery,
    journal: new HandJournal({ host }).work(2),
  }));
  for (const { journal } of worlds) journal.exchange();
  const hosts: Hosts = Object.fromEntries(
    worlds.map(({ host, journal }) => [host, { key: journal.signKey?.key ?? '' }]),
  );
  const put = (of: (journal: HandJournal) => HandBlock) =>
    putAll(
      trail.store,
      worlds.map(({ journal }) => of(journal)),
    );
  const forge = async (isNow: (forgery: Forgery) => boolean): Promise<void> => {
    for (const { journal, forgery } of worlds.filter((world) => isNow(world.forgery))) {
      const { behind, exchanges, from = behind + 1 } = forgery;
      const forged = journal.copy(null, behind);
      for (let count = 0; count < exchanges; count += 1)
        forged.exchange({ user: 'forged@example.org', users: ['forged@example.org'] });
      await putAll(trail.store, [forged.block(from)]);
    }
  };
  const desks = [openDesk(t, trail, hosts), openDesk(t, trail, hosts), openDesk(t, trail, hosts)] as const;
  const [seen, late, fresh] = desks;
  /** The kinds that are found, and every mirror has exactly what the newest checkpoint covers. */
  const kinds = async (desk: typeof seen, ...flags: string[]) => {
    const { findings, text } = await desk.verify(...flags);
    for (const { host, journal } of worlds) {
      const folder = join(desk.state, 'journals', host, journal.journal);
      const mirror = readFileSync(join(folder, '00000001.jsonl'), 'utf8');
      const signed = journal.lines.findLastIndex((line) => line.includes('"event":"checkpoint"')) + 1;
      assert.equal(mirror, journal.lines.slice(0, signed).join(''), `${host}\n${text}`);
    }
    return kindsAt({ findings: findings.filter(({ host }) => host !== '-') });
  };
  const nothingForged = async (desk: typeof seen): Promise<void> => {
    const report = await desk.read('report', '--mailbox', 'forged@example.org');
    assert.match(report.text, /nothing missing, no command touched this mailbox/);
  };

  await put((journal) => journal.block(1, 8));
  assert.deepEqual(await kinds(seen), {});
  await forge(({ isLate }) => isLate !== true);
  assert.deepEqual([await kinds(seen), await kinds(late)], [{}, {}]);
  const row = seen.status().gates.find(({ host }) => host === 'as-long');
  assert.deepEqual([row?.seq, row?.signedSeq], [12, 6]);
  for (const command of ['verify', 'status'])
    assert.match((await seen.run(command)).text, /^as-long: 6 records behind record 6 are not proved yet/m);
  const report = await seen.read('report', '--mailbox', 'forged@example.org');
  assert.match(report.text, /^ {2}as-long: complete to .* \(record 6\), signed to record 6 by /m);
  await nothingForged(seen);

  for (const { journal } of worlds) {
    journal.exchange();
    journal.exchange();
  }
  await put((journal) => journal.block(9, 12));
  assert.deepEqual(await kinds(seen), {});
  await forge(({ isLate, behind }) => isLate === true && behind < 9);
  assert.deepEqual(await kinds(seen), {});
  for (const { journal } of worlds) journal.work(1);
  await put((journal) => journal.block(13));
  await forge(({ behind }) => behind > 9);
  const forked = (but: readonly string[]) =>
    Object.fromEntries(
      Object.keys(forgeries).flatMap((host) => (but.includes(host) ? [] : [[host, ['forked']] as const])),
    );
  const some = forked(['after-signed']);
  for (const desk of [seen, late]) assert.deepEqual(await kinds(desk), some);
  assert.deepEqual(await kinds(fresh), some);
  for (const { journal } of worlds) journal.work(3);
  await put((journal) => journal.block(16));
  for (const desk of desks) {
    assert.deepEqual(await kinds(desk), forked([]));
    assert.deepEqual(await kinds(desk, '--whole'), forked([]));
    // The next run compares all names.
    assert.deepEqual(await kinds(desk), forked([]));
    assert.deepEqual(await kinds(desk, '--accept'), {});
    assert.deepEqual(await kinds(desk), {});
    await nothingForged(desk);
  }
});
