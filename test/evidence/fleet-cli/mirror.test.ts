// Goal: the mirror of a fleet is the gate's own journal, byte for byte and file for file, whatever blocks brought it and wherever the
// verifier ended. Phases: a journal of several segments in blocks of many sizes; the verifier killed at each of its calls of the disk; a
// power cut that takes or garbles what was not synced; blocks that come again, with a hole, with a changed line; a journal that begins in
// the middle; a share that is used up. What must not happen: a line twice, a part of a line, a line that the gate did not write, more
// bytes than the share.
import assert from 'node:assert/strict';
import fs, { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { mirroredJournals, mirrorIn } from '../../../src/evidence/cli/fleet-places.js';
import type { StoredBlock } from '../../../src/evidence/fleet/shapes.js';
import { openMirror } from '../../../src/evidence/fleet-cli/mirror.js';
import { verifyTrail } from '../../../src/evidence/reading/search-trail.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { fileName, listSegments } from '../../../src/journal/files/segments.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { readClaim } from '../../../src/journal/records/ledger.js';
import { admission, keepAll, openWatched } from '../../journal/files/opening.js';
import { closeBefore } from '../../journal/files/reading.js';
import { failAtEach } from '../../kit/plain/fail-at.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { type Lines, readLines } from '../../whole/fleet/fleet-lab.js';
import { signKey, writeJournal } from '../cli/shown.js';

const host = 'gate1';

/** Lines as the gate sends them, `count` in a block. */
function blocksOf({ id, lines }: Lines, count: number): readonly StoredBlock[] {
  const blocks: StoredBlock[] = [];
  for (let at = 0; at < lines.length; at += count) blocks.push(blockOf(id, lines.slice(at, at + count)));
  return blocks;
}

function blockOf(journal: string, lines: readonly string[]): StoredBlock {
  const claimOf = (line = '') => readClaim(Buffer.from(line.trimEnd()));
  const [first, last] = [claimOf(lines[0]), claimOf(lines.at(-1))];
  assert.ok(first !== undefined && last !== undefined);
  const { hash } = last;
  const name = {
    kind: 'block',
    host,
    journal,
    first: first.seq,
    last: last.seq,
    hash,
    isCopy: false,
  } as const;
  return { name, storedMs: 0, text: Buffer.from(lines.join('')) };
}

function openIn(state: string, share = 1 << 30, keepMs = Infinity) {
  const full: string[] = [];
  const lacks: string[] = [];
  const settings = { state, hosts: new Set([host]), mirrorBytes: share, mirrorKeepMs: keepMs };
  const mirror = openMirror(settings, {
    note({ kind, host: name, text }) {
      if (kind === 'mirror-full') full.push(name);
      else lacks.push(/records (\d+ to \d+)/.exec(text)?.[1]?.replace(' to ', '-') ?? text);
      return true;
    },
  });
  return { mirror, full, lacks };
}

/** Names and texts of the segments. */
function textsIn(directory: string): Readonly<Record<string, string>> {
  const names = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

const placeOf = (state: string, { id }: Lines): string => join(mirrorIn(state), host, id);

const verified = (path: string, trustedKeys: readonly string[] = []) =>
  verifyTrail(findTrail([path]), { trustedKeys, ownKey: undefined, fromSeq: undefined, faultsMax: 5 });

const calls = [
  'writeSync',
  'openSync',
  'fsyncSync',
  'renameSync',
  'ftruncateSync',
  'unlinkSync',
  'mkdirSync',
] as const;

/** Files that the journal's process calls; after the one whose turn it is, none does anything: the process is dead. */
async function dyingAt(isDue: (name: string) => boolean, use: () => void): Promise<void> {
  const real = new Map(calls.map((name) => [name, fs[name]]));
  let isDead = false;
  for (const [name, call] of real)
    Reflect.set(fs, name, (...args: unknown[]): unknown => {
      const isNow = !isDead && isDue(name);
      isDead ||= isNow;
      // A write may get half of its way.
      const [file, bytes, at = 0] = args;
      if (isNow && name === 'writeSync' && typeof file === 'number' && Buffer.isBuffer(bytes))
        Reflect.apply(call, fs, [file, bytes.subarray(Number(at), Math.ceil(bytes.length / 2))]);
      if (isDead) throw new Error('killed');
      return Reflect.apply(call, fs, args);
    });
  syncBuiltinESMExports();
  try {
    use();
  } catch (fault) {
    if (!isDead) throw fault;
  } finally {
    for (const [name, call] of real) Reflect.set(fs, name, call);
    syncBuiltinESMExports();
  }
}

void test('the mirror is the journal, in blocks of any size, read once or again', async (t) => {
  const source = await writeJournal(t);
  const expected = textsIn(source);
  const lines = readLines(source);
  assert.ok(Object.keys(expected).length > 3);
  for (const count of [1, 2, 3, 7, 25, 1000]) {
    const state = openFolder(t);
    for (const isClean of [true, false, true]) {
      // Read again with other blocks, as after a lost acknowledgement.
      const { mirror } = openIn(state);
      for (const block of blocksOf(lines, isClean ? count : count + 1)) mirror.take(block, isClean);
      mirror.save();
      assert.deepEqual(textsIn(placeOf(state, lines)), expected, `${count} lines a block`);
      assert.equal(mirror.endOf(host, lines.id), lines.lines.length);
    }
    const [found] = mirroredJournals(mirrorIn(state));
    assert.equal(found?.path, placeOf(state, lines));
    const { faults, records } = await verified(found.path);
    assert.deepEqual([faults, records], [[], lines.lines.length]);
  }
});

void test('killed at each call of the disk, and gone on with from the saved position', async (t) => {
  const source = await writeJournal(t, 8);
  const expected = textsIn(source);
  const lines = readLines(source);
  const blocks = blocksOf(lines, 5);
  const ends = await failAtEach(async (failAt) => {
    const state = openFolder(t);
    let saved = 0;
    const run = (): void => {
      const { mirror } = openIn(state);
      for (const [at, block] of blocks.slice(saved).entries()) {
        mirror.take(block, true);
        if (at % 2 === 0) continue;
        mirror.save();
        saved = blocks.indexOf(block) + 1;
      }
      mirror.save();
    };
    // The second run may be the one that is killed, while it puts right what the first one left.
    await dyingAt((name) => failAt.isDue(name), run);
    saved = Math.max(0, saved - 1);
    await dyingAt((name) => failAt.isDue(name), run);
    const directory = placeOf(state, lines);
    const kept = Object.values(fs.existsSync(directory) ? textsIn(directory) : {}).join('');
    assert.ok(
      lines.lines.join('').startsWith(kept.slice(0, kept.lastIndexOf('\n') + 1)),
      'what is there is true',
    );
    run();
    assert.deepEqual(textsIn(directory), expected);
  });
  assert.ok(ends > 20, `${ends} calls`);
});

void test('a power cut takes or garbles what was not synced', async (t) => {
  const source = await writeJournal(t, 8);
  const expected = textsIn(source);
  const lines = readLines(source);
  const blocks = blocksOf(lines, 3);
  for (let saved = 0; saved < blocks.length; saved += 4) {
    for (const what of ['cut', 'zeros', 'nothing'] as const) {
      const state = openFolder(t);
      const { mirror } = openIn(state);
      for (const block of blocks.slice(0, saved)) mirror.take(block, true);
      mirror.save();
      const directory = placeOf(state, lines);
      const sizes = saved === 0 ? {} : textsIn(directory);
      for (const block of blocks.slice(saved, saved + 4)) mirror.take(block, true);
      const last = join(directory, listSegments(directory).at(-1)?.name ?? '');
      const keep = sizes[listSegments(directory).at(-1)?.name ?? '']?.length ?? 0;
      const { size } = statSync(last);
      if (what === 'cut') truncateSync(last, keep + Math.floor((size - keep) / 2));
      if (what === 'zeros')
        writeFileSync(last, Buffer.concat([readFileSync(last).subarray(0, keep), Buffer.alloc(size - keep)]));
      if (what === 'nothing') truncateSync(last, keep);
      const again = openIn(state).mirror;
      for (const block of blocks.slice(saved)) again.take(block, true);
      again.save();
      assert.deepEqual(textsIn(directory), expected, `${what} behind block ${saved}`);
    }
  }
});

void test('a hole and a changed line are not in the mirror, and verify finds them', async (t) => {
  const lines = readLines(await writeJournal(t, 8));
  const state = openFolder(t);
  const { mirror } = openIn(state);
  const changed = lines.lines.map((line, at) => (at === 4 ? line.replace('alice', 'bobby') : line));
  assert.notDeepEqual(changed, lines.lines);
  mirror.take(blockOf(lines.id, changed.slice(0, 8)), false);
  mirror.take(blockOf(lines.id, lines.lines.slice(10)), false);
  mirror.save();
  const kept = readLines(placeOf(state, lines));
  assert.deepEqual(kept.lines, [
    ...lines.lines.slice(0, 4),
    ...lines.lines.slice(5, 8),
    ...lines.lines.slice(10),
  ]);
  const { faults } = await verified(placeOf(state, lines));
  assert.deepEqual(
    faults.map(({ kind, seq }) => `${kind} ${seq}`),
    ['missing 5', 'missing 9'],
  );
});

void test('what comes late is put into its segment, also a compressed one, whether or not the verifier was killed meanwhile', async (t) => {
  const lines = readLines(await writeJournal(t, 40));
  const state = openFolder(t);
  const { mirror } = openIn(state);
  const late = (first: number, last: number) =>
    [blockOf(lines.id, lines.lines.slice(first - 1, last)), false, { first, last }] as const;
  const last = lines.lines.length;
  mirror.take(blockOf(lines.id, lines.lines.slice(2, 8)), false);
  mirror.take(blockOf(lines.id, lines.lines.slice(10, last - 3)), false);
  mirror.take(blockOf(lines.id, lines.lines.slice(last - 1)), false);
  mirror.save();
  await mirror.tend(0);
  assert.ok(readdirSync(placeOf(state, lines)).some((name) => name.endsWith('.gz')));
  mirror.take(...late(1, 2));
  mirror.take(...late(9, 10));
  mirror.save();
  // Another run reads it again.
  const again = openIn(state).mirror;
  again.take(...late(9, 10));
  again.take(...late(last - 2, last - 1));
  again.save();
  await again.tend(0);
  assert.ok(!readdirSync(placeOf(state, lines)).includes('late.lines'));
  const { faults, records } = await verified(placeOf(state, lines));
  assert.deepEqual([faults, records], [[], last]);
  assert.equal(again.endOf(host, lines.id), last);
});

void test('a journal that begins in the middle gets the numbers of the gate with the next segment', async (t) => {
  const source = await writeJournal(t);
  const lines = readLines(source);
  const names = Object.keys(textsIn(source));
  const skipped = (textsIn(source)[names[0] ?? '']?.split('\n').length ?? 0) + 3;
  const state = openFolder(t);
  const { mirror } = openIn(state);
  for (const block of blocksOf({ ...lines, lines: lines.lines.slice(skipped) }, 4)) mirror.take(block, true);
  mirror.save();
  const found = textsIn(placeOf(state, lines));
  assert.deepEqual(Object.keys(found), names.slice(1));
  for (const name of names.slice(2)) assert.equal(found[name], textsIn(source)[name]);
});

void test('a host takes no more than its share, and goes on where it stood with a larger one', async (t) => {
  // bounds.storeTextBytes, bounds.fleetMirrorBytes
  assert.equal(bounds.fleetMirrorBytes, 100 * 1024 ** 3);
  const lines = readLines(await writeJournal(t));
  const blocks = blocksOf(lines, 5);
  const state = openFolder(t);
  const share = bounds.storeTextBytes + 20_480;
  const small = openIn(state, share);
  const isThere = blocks.map((block) => small.mirror.take(block, true));
  small.mirror.save();
  assert.ok(isThere[0] === true && isThere.at(-1) === false);
  const directory = placeOf(state, lines);
  const taken = Object.values(textsIn(directory)).join('');
  assert.ok(lines.lines.join('').startsWith(taken) && taken.endsWith('\n') && taken.length <= share);
  assert.deepEqual(small.full, [host]);
  assert.equal(openIn(state, share).mirror.isFull(host), true);
  const large = openIn(state).mirror;
  assert.ok(!large.isFull(host) && large.endOf(host, lines.id) < lines.lines.length);
  for (const block of blocks) large.take(block, true);
  large.save();
  assert.deepEqual(readLines(directory).lines, lines.lines);
});

void test('records that the store dropped before they came here are said, once, where the verifier finds nothing', async (t) => {
  const { lines, id } = readLines(await writeJournal(t, 10));
  const state = openFolder(t);
  const { mirror, lacks } = openIn(state);
  // What is before the first record that ever came, the store had dropped before there was a mirror.
  mirror.take(blockOf(id, lines.slice(2, 5)), true);
  mirror.take(blockOf(id, lines.slice(8, 10)), true);
  mirror.take(blockOf(id, lines.slice(8, 12)), true);
  assert.deepEqual(lacks, ['6-8']);
  // The verifier has found these itself.
  mirror.take(blockOf(id, lines.slice(14, 16)), false);
  assert.deepEqual(lacks, ['6-8']);
  mirror.save();
  assert.equal(readLines(placeOf(state, { id, lines })).lines.length, 3 + 4 + 2);
});

void test('of a host without a share, and of an object that is no block, nothing is written', async (t) => {
  const { lines, id } = readLines(await writeJournal(t, 10));
  const state = openFolder(t);
  const { mirror } = openIn(state);
  const block = blockOf(id, lines);
  assert.ok(mirror.take({ ...block, name: { ...block.name, host: 'other' } }, true));
  assert.ok(mirror.take({ ...block, text: undefined }, false));
  assert.ok(mirror.take({ ...block, text: Buffer.alloc(0) }, false));
  mirror.save();
  assert.deepEqual(readdirSync(state), []);
});

void test('a mirror that cannot be written ends the verifier with what to do', (t: Owner) => {
  const state = openFolder(t);
  writeFileSync(mirrorIn(state), 'a file in its place');
  const { mirror } = openIn(state);
  const line = `{"seq":1,"time":"2026-11-20T08:00:00.000Z","event":"start","prev":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}\n`;
  assert.throws(() => mirror.take(blockOf('ab'.repeat(16), [line]), true), CommandFault);
});

void test('closed segments are compressed, and go when the gate has retired them and their time is over', async (t) => {
  const directory = await writeJournal(t);
  const first = readLines(directory);
  const limits = () => ({ ...keepAll, keepMs: 0 });
  const gate = await openWatched(directory, { segmentBytes: 8192, signKey: signKey.secretPem, limits });
  closeBefore(t, () => gate.journal.close());
  await gate.seen('tended');
  for (let count = 0; count < 30; count += 1) await gate.journal.appendDurable(admission(`F${count}`));
  await gate.journal.close();
  const left = linesOf(directory);
  assert.ok((seqOf(left[0]) ?? 0) > 1 && (seqOf(left[0]) ?? 0) <= first.lines.length, 'some were retired');
  const lines = [...first.lines, ...left.filter((line) => (seqOf(line) ?? 0) > first.lines.length)];

  const state = openFolder(t);
  const hour = 3_600_000;
  const { mirror } = openIn(state, 1 << 30, hour);
  for (const block of blocksOf({ id: first.id, lines }, 20)) mirror.take(block, true);
  mirror.save();
  const place = placeOf(state, first);
  const names = listSegments(place).map(({ name }) => name);
  assert.deepEqual(await mirror.tend(Date.now()), { failed: undefined, hasRoom: false });
  assert.deepEqual(
    listSegments(place).map(({ name, isCompressed }) => `${name} ${isCompressed}`),
    names.map((name, at) => `${name} ${at < names.length - 1}`),
  );
  assert.deepEqual(linesOf(place), lines, 'nothing is lost');
  assert.deepEqual(await mirror.tend(Date.now() + 2 * hour), { failed: undefined, hasRoom: false });
  assert.equal(seqOf(linesOf(place)[0]), seqOf(left[0]), 'as at the gate, and no record more');
  const { faults, signedSeq } = await verified(place, [signKey.key]);
  assert.deepEqual([faults, signedSeq !== undefined], [[], true]);
  // What is still open goes on, also after a new start.
  assert.equal(openIn(state).mirror.endOf(host, first.id), lines.length);
});

function linesOf(directory: string): readonly string[] {
  return listSegments(directory).flatMap((segment) => {
    const bytes = readFileSync(join(directory, fileName(segment)));
    const text = segment.isCompressed ? gunzipSync(bytes) : bytes;
    return text.toString().split(/(?<=\n)/);
  });
}

const seqOf = (line = ''): number | undefined => readClaim(Buffer.from(line.trimEnd()))?.seq;
