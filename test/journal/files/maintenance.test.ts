// What an open journal does for itself: checkpoints while idle, retention, compression, the reserve, another key.

import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { systemClock } from '../../../src/host/machine/clock.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { type Clock } from '../../../src/host/ports/machine.js';
import { type JournalOptions, type OpenJournal } from '../../../src/journal/files/journal.js';
import { isSignedBy, sealLine, unsignedLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { admission, completion, faultsIn, fillSegments, keepAll, openFor, type Watched } from './opening.js';
import { pairedIds, readWhole, type StoredRecord, segmentFiles, temporaryDirectory } from './reading.js';

const key = makeSignKey();
const day = 86_400_000;

function tending(t: TestContext, directory: string, more: Partial<JournalOptions> = {}): Promise<Watched> {
  return openFor(t, directory, { segmentBytes: 8192, signKey: key.secretPem, tendIntervalMs: 20, ...more });
}

/** The rounds of maintenance so far. */
const roundsOf = ({ events }: Pick<Watched, 'events'>) =>
  events.flatMap((event) => (event.kind === 'tended' ? [event.tended] : []));
const retiredOf = (watched: Pick<Watched, 'events'>): readonly string[] =>
  roundsOf(watched).flatMap((each) => each.retired);

async function moreRounds(watched: Pick<Watched, 'events'>, count: number): Promise<void> {
  const before = roundsOf(watched).length;
  await until(() => roundsOf(watched).length >= before + count);
}

const verified = (directory: string): Promise<unknown> => faultsIn(directory, [key.key]);

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Limits by which no more than one segment is kept. */
const keepOne = { ...keepAll, sizeMax: { bytes: 1 } } as const;
const isLeft = (directory: string, count: number) => () => segmentFiles(directory).length === count;
const isPacked = (directory: string, count: number) => () =>
  segmentFiles(directory).filter((file) => file.endsWith('.gz')).length >= count;

/** The machine's clock, which a test lets leap. */
function leaping() {
  const leap = { ms: 0 };
  const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + leap.ms };
  return { leap, clock };
}

void test('an idle journal is signed on a timer, and the last checkpoint lies beside it', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal, events } = await tending(t, directory, { checkpointIntervalMs: 20 });
  await until(() => events.filter(({ kind }) => kind === 'checkpoint').length > 3);
  await journal.close();
  const records = readWhole(directory);
  const last = readFileSync(join(directory, 'checkpoint.json'), 'utf8');
  assert.deepEqual(JSON.parse(last), records.at(-1));
  const told = events.flatMap((event) => (event.kind === 'checkpoint' ? [JSON.parse(event.line).seq] : []));
  const written = records.filter(({ event }) => event === 'checkpoint').map(({ seq }) => seq);
  assert.deepEqual(told, written);
  const unsigned = unsignedLine(last.trimEnd());
  assert.ok(unsigned !== undefined && isSignedBy(key.key, unsigned.text, unsigned.signature));
  assert.deepEqual(await verified(directory), []);
});

void test('segments that are closed are compressed, and read as they are by the next start', async (t) => {
  const directory = temporaryDirectory(t);
  const watched = await tending(t, directory);
  await fillSegments(watched, directory, 4);
  await until(isPacked(directory, 3));
  await watched.journal.close();
  const size = statSync(join(directory, '00000001.jsonl.gz')).size;
  assert.ok(size < 8192, `${size} bytes`);
  assert.ok(!existsSync(join(directory, '00000001.jsonl')));
  const { journal } = await openFor(t, directory, { signKey: key.secretPem });
  assert.equal(journal.found.damage, undefined);
  await journal.close();
  pairedIds(readWhole(directory));
  assert.deepEqual(await verified(directory), []);
});

void test('a stop within the compression of a segment leaves it in two forms, and retention removes all of them', async (t) => {
  const directory = temporaryDirectory(t);
  await run(t, directory, 4);
  // As after a stop between the two names of a compressed segment, and one before its new file was whole.
  const second = join(directory, '00000002.jsonl');
  writeFileSync(`${second}.gz`, gzipSync(readFileSync(second)));
  writeFileSync(join(directory, '00000003.jsonl.gz.new'), 'not whole');
  const { journal, seen } = await tending(t, directory, { limits: () => keepOne });
  await seen('tended');
  await journal.close();
  const left = readdirSync(directory).filter((file) => /^\d+\.jsonl/.test(file));
  assert.deepEqual([left.length, left], [1, segmentFiles(directory).slice(-1)]);
  assert.deepEqual(await verified(directory), []);
});

void test('a segment that a restart must read is neither compressed nor retired', async (t) => {
  const directory = temporaryDirectory(t);
  const watched = await tending(t, directory, { limits: () => ({ ...keepAll, keepMs: -1 }) });
  await watched.journal.appendDurable(admission('OPEN'));
  for (let count = 0; segmentFiles(directory).length < 4; count += 1) {
    await watched.journal.appendDurable(admission(`E${count}`));
  }
  await watched.seen('tended');
  assert.equal(segmentFiles(directory)[0], '00000001.jsonl');
  await watched.journal.close();
});

function retired(records: readonly StoredRecord[]): unknown[] {
  return records.filter(({ event }) => event === 'retire').map((record) => record['segment']);
}

/** Records of the segments that are left. */
function leftIn(directory: string): StoredRecord[] {
  return segmentFiles(directory).flatMap((file) =>
    readFileSync(join(directory, file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
}

void test('what is too much is retired, oldest first, each with a signed record, never the last segment', async (t) => {
  const directory = temporaryDirectory(t);
  let limits = keepAll;
  const watched = await tending(t, directory, { limits: () => limits });
  // Compressed segments would hide how much there is.
  await fillSegments(watched, directory, 6);
  limits = keepOne;
  await until(isLeft(directory, 1));
  await watched.journal.close();

  const [last = ''] = segmentFiles(directory);
  const gone = Array.from({ length: Number.parseInt(last, 10) - 1 }, (_, at) => `0000000${at + 1}.jsonl`);
  assert.ok(gone.length >= 3);
  assert.deepEqual(retired(leftIn(directory)), gone);
  assert.deepEqual(await verified(directory), []);
  const { oldest_seq: oldest } = JSON.parse(readFileSync(join(directory, 'checkpoint.json'), 'utf8'));
  assert.equal(oldest, leftIn(directory)[0]?.seq);
});

void test('what could not be removed is removed by a later round, and told as retired once', async (t) => {
  const directory = temporaryDirectory(t);
  let limits = keepAll;
  const watched = await tending(t, directory, { limits: () => limits });
  await fillSegments(watched, directory, 3);
  await until(isPacked(directory, 2));
  // A directory is what not even root can remove as a file.
  const obstacle = join(directory, '00000001.jsonl.gz');
  rmSync(obstacle);
  mkdirSync(obstacle);
  limits = keepOne;
  await watched.seen('not-tended');
  await moreRounds(watched, 2);
  assert.equal(segmentFiles(directory).length, 3);
  rmSync(obstacle, { recursive: true });
  const removed = () => retiredOf(watched);
  const endMs = systemClock.now() + 30_000;
  await until(() => removed().length > 0 || systemClock.now() > endMs);
  await watched.journal.close();
  assert.deepEqual(removed(), ['00000001.jsonl', '00000002.jsonl']);
  assert.deepEqual(segmentFiles(directory), ['00000003.jsonl']);
  assert.deepEqual(retired(leftIn(directory)), removed());
  assert.deepEqual(await verified(directory), []);
});

void test('age is counted by the records: a clock that leaps ahead retires nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const { leap, clock } = leaping();
  const watched = await tending(t, directory, { clock, limits: () => ({ ...keepAll, keepMs: 400 * day }) });
  await fillSegments(watched, directory, 3);
  /** The leap closes the open segment, as a day of few records does. */
  const areThere = (): boolean => [1, 2, 3].every((number) => numbersIn(directory).includes(number));
  leap.ms = 2 * 365 * day;
  await moreRounds(watched, 4);
  assert.ok(areThere());
  await watched.journal.close();
  // The same between two runs: nobody knows whether the daemon stood still for two years.
  leap.ms = 4 * 365 * day;
  const again = await tending(t, directory, { clock, limits: () => ({ ...keepAll, keepMs: 400 * day }) });
  await moreRounds(again, 3);
  assert.ok(areThere());
  await again.journal.close();
  assert.deepEqual(await verified(directory), []);
});

void test('a record whose time was read before the clock was set back is no second step', async (t) => {
  const directory = temporaryDirectory(t);
  const { leap, clock } = leaping();
  const { journal } = await tending(t, directory, { clock });
  const before = [admission('A'), admission('B')] as const;
  leap.ms = -2 * 3_600_000;
  for (const record of before) await journal.appendDurable(record);
  journal.append(completion('A'));
  journal.append(completion('B'));
  await journal.close();
  assert.equal(readWhole(directory).filter(({ event }) => event === 'clock').length, 1);
  assert.deepEqual(await verified(directory), []);
});

function numbersIn(directory: string): number[] {
  return segmentFiles(directory).map((file) => Number.parseInt(file, 10));
}

void test('a segment with few records is closed after a day, also one that another run began', async (t) => {
  const directory = temporaryDirectory(t);
  const { leap, clock } = leaping();
  const options = { clock, checkpointIntervalMs: 20, limits: () => ({ ...keepAll, keepMs: 400 * day }) };
  const watched = await tending(t, directory, options);
  const checkpoints = ({ events }: Watched): number =>
    events.filter(({ kind }) => kind === 'checkpoint').length;
  await watched.journal.appendDurable(admission('A'));
  leap.ms = day - 60_000;
  const before = checkpoints(watched);
  await until(() => checkpoints(watched) > before + 3);
  await watched.journal.close();
  assert.deepEqual(numbersIn(directory), [1]);
  const again = await tending(t, directory, options);
  leap.ms = day + 60_000;
  await until(() => numbersIn(directory).includes(2));
  const later = checkpoints(again);
  await until(() => checkpoints(again) > later + 3);
  await again.journal.close();
  assert.deepEqual(numbersIn(directory), [1, 2]);
  assert.deepEqual(await verified(directory), []);
});

/** Appends exchanges until one is refused; false: all of them were taken. */
async function isRefused(journal: OpenJournal, name: string): Promise<boolean> {
  for (let at = 0; at < 200; at += 1) {
    const id = `${name}${at}`;
    const isTaken = await journal.appendDurable(admission(id)).then(
      () => true,
      (fault: unknown) => {
        assert.ok(fault instanceof JournalFault);
        return false;
      },
    );
    journal.append(completion(id));
    if (!isTaken) return true;
  }
  return false;
}

void test('what is young stays: without room the reserve is used, then nothing is taken, and later all goes on', async (t) => {
  const directory = temporaryDirectory(t);
  let limits = { ...keepAll, sizeMax: { bytes: 1 } as const, keepMinMs: day };
  const reserveBytes = 16_384;
  const watched = await tending(t, directory, { limits: () => limits, reserveBytes });
  const { journal, seen } = watched;
  for (let at = 0; at < 12; at += 1) await journal.appendDurable(admission(`A${at}`));
  for (let at = 0; at < 12; at += 1) await journal.appendDurable(completion(`A${at}`));
  const full = await seen('space');
  assert.deepEqual(full, { kind: 'space', space: 'reserve', why: 'size' });
  assert.equal(await isRefused(journal, 'B'), true);
  assert.match(journal.fault?.message ?? '', /audit\.max_size is reached.*audit\.reserve is used up/);
  assert.ok(segmentFiles(directory)[0]?.startsWith('00000001.jsonl'));
  assert.deepEqual(retiredOf(watched), []);
  limits = { ...limits, keepMinMs: 0 };
  await until(() => journal.state === 'writable' && journal.space === 'normal');
  await until(() => retiredOf(watched).length > 0);
  await journal.appendDurable(admission('C'));
  await journal.appendDurable(completion('C'));
  await journal.close();
  assert.equal(journal.lost, 0);
  assert.deepEqual(await verified(directory), []);
});

// bounds.unshippedBytes
void test('what every receiver has may go; what was not shipped stays, up to a limit of its own', async (t) => {
  const directory = temporaryDirectory(t);
  let limits = { ...keepAll, sizeMax: { bytes: 1 }, shippedSeq: 0, unshippedBytesMax: 1e9 };
  const watched = await tending(t, directory, { limits: () => limits });
  await fillSegments(watched, directory, 4);
  const unshipped = () => roundsOf(watched).flatMap((each) => each.unshipped);
  await moreRounds(watched, 3);
  assert.equal(segmentFiles(directory).length, 4);
  limits = { ...limits, shippedSeq: readFirstSeq(directory, '00000003.jsonl') - 1 };
  await until(isLeft(directory, 2));
  await moreRounds(watched, 3);
  assert.deepEqual([segmentFiles(directory).length, unshipped()], [2, []]);
  limits = { ...limits, unshippedBytesMax: 1 };
  await until(isLeft(directory, 1));
  // Told when the round is over, which is after the files are gone.
  await until(() => unshipped().length > 0);
  assert.deepEqual(unshipped(), ['00000003.jsonl'], 'which is told');
  await watched.journal.close();
});

function readFirstSeq(directory: string, name: string): number {
  const path = join(directory, name);
  const text = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
  return JSON.parse(text.toString().split('\n')[0] ?? '').seq;
}

void test('what may be cut off yet is no closed segment: healing leaves one chain, and retiring explains what goes', async (t) => {
  for (const isRoomLeft of [false, true]) {
    const directory = temporaryDirectory(t);
    let limits = keepAll;
    const watched = await tending(t, directory, { limits: () => limits });
    const { journal } = watched;
    const size = (): number => statSync(join(directory, '00000001.jsonl')).size;
    for (let count = 0; size() < (isRoomLeft ? 4000 : 7000); count += 1) {
      await journal.appendDurable(admission(`E${count}`));
      await journal.appendDurable(completion(`E${count}`));
    }
    // A group begins the second segment, finds the third taken by another process, and cannot be healed while that one is there.
    const obstacle = join(directory, '00000003.jsonl');
    writeFileSync(obstacle, '{"seq":1,"time":"2026-11-20T12:00:00.000Z","event":"start"}\n');
    const long = { ...admission('A0'), user: 'x'.repeat(1500) };
    const group = [long, ...Array.from({ length: 60 }, (_, at) => admission(`A${at + 1}`))];
    const outcomes = await Promise.allSettled(group.map((each) => journal.appendDurable(each)));
    assert.ok(outcomes.some(({ status }) => status === 'rejected'));
    assert.ok(existsSync(join(directory, '00000002.jsonl')));
    await moreRounds(watched, 3);
    rmSync(obstacle);
    await watched.seen('writable');
    for (const { id = '' } of group) await journal.appendDurable(completion(id));
    // Nothing moves any more when all but the last is compressed.
    await until(() => segmentFiles(directory).filter((file) => !file.endsWith('.gz')).length === 1);
    const records = readWhole(directory);
    pairedIds(records);
    assert.deepEqual(await verified(directory), []);
    const endOfFirst = (all: readonly StoredRecord[]): unknown[] =>
      all.flatMap((each) => (each['segment'] === '00000001.jsonl' ? [each['segment_hash']] : []));
    limits = keepOne;
    await until(isLeft(directory, 1));
    await journal.close();
    assert.deepEqual(await verified(directory), []);
    const left = endOfFirst(leftIn(directory));
    assert.deepEqual(left, endOfFirst(records), 'what retires it names its true end');
  }
});

void test('a reserve is kept, and made again when somebody takes it', async (t) => {
  const directory = temporaryDirectory(t);
  const reserveBytes = 300_000;
  const { journal, seen } = await tending(t, directory, { reserveBytes });
  await seen('tended');
  const path = join(directory, 'reserve');
  await until(() => existsSync(path) && statSync(path).size === reserveBytes);
  assert.ok(statSync(path).blocks * 512 >= reserveBytes, 'not a hole');
  rmSync(path);
  await until(() => existsSync(path) && statSync(path).size === reserveBytes);
  await journal.close();
  assert.equal(journal.space, 'normal');
});

void test('a link in the place of the policies is put aside or refused, and the directory that it leads to keeps its mode', async (t) => {
  const [directory, elsewhere] = [temporaryDirectory(t), temporaryDirectory(t)];
  mkdirSync(join(elsewhere, 'own'), { mode: 0o755 });
  symlinkSync(join(elsewhere, 'own'), join(directory, 'policies'));
  const { journal } = await tending(t, directory);
  assert.equal(journal.found.appended?.file, 'policies.appended');
  symlinkSync(join(elsewhere, 'own'), join(directory, 'policies'));
  await assert.rejects(journal.keepPolicy('ab'.repeat(32), 'x'), { name: 'JournalFault' });
  assert.equal(statSync(join(elsewhere, 'own')).mode & 0o777, 0o755);
  await journal.close();
});

void test('a policy lies beside the segments before it is used', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal } = await tending(t, directory);
  const version = 'ab'.repeat(32);
  await journal.keepPolicy(version, 'policies: {}\n');
  const path = join(directory, 'policies', `${version}.yaml`);
  assert.equal(readFileSync(path, 'utf8'), 'policies: {}\n');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(journal.keepPolicy('../../etc/passwd', 'x'), TypeError);
  await journal.close();
  await assert.rejects(journal.keepPolicy(version, 'x'), JournalFault);
});

void test('a group may read what is there, and nobody else', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  // A group of ours that is not the one of new files, where there is one.
  const groupId =
    process.getgroups?.().find((id) => id !== process.getegid?.()) ??
    (process.geteuid?.() === 0 ? 1 : undefined);
  if (groupId === undefined) {
    t.skip('needs root or a second group');
    return;
  }
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const watched = await tending(t, directory, { groupId, reserveBytes: 4096 });
  await fillSegments(watched, directory, 3);
  await watched.journal.keepPolicy('ab'.repeat(32), 'x');
  await until(isPacked(directory, 1));
  await watched.journal.close();
  const look = (directoryMode: number, fileMode: number): void => {
    for (const place of [directory, join(directory, 'policies')]) {
      assert.equal(statSync(place).mode & 0o7777, directoryMode, place);
      for (const file of readdirSync(place)) {
        // What was being made when the journal was closed is nobody's to read yet.
        if (['lock', 'reserve', 'policies', 'hmac.key'].includes(file) || file.endsWith('.new')) continue;
        const { mode, gid } = statSync(join(place, file));
        assert.equal(mode & 0o7777, fileMode, file);
        if (fileMode === 0o640) assert.equal(gid, groupId, file);
      }
    }
  };
  look(0o750, 0o640);
  writeFileSync(join(directory, 'hmac.key'), 'secret', { mode: 0o600 });
  const none = await tending(t, directory);
  await none.journal.close();
  look(0o700, 0o600);
  // Turned on later: what was written before is theirs to read, too.
  const again = await tending(t, directory, { groupId });
  await again.journal.close();
  look(0o750, 0o640);
  assert.equal(statSync(join(directory, 'hmac.key')).mode & 0o7777, 0o600, 'a key is not');
});

// Ages of segments that were changed on the disk: retention takes them only from records that prove themselves.

/** A run with so many segments, which is stopped. */
async function run(t: TestContext, directory: string, segments: number, signKey = key.secretPem) {
  const watched = await openFor(t, directory, { segmentBytes: 8192, signKey });
  await fillSegments(watched, directory, segments);
  await watched.journal.close();
}

/** Says in the first record of a segment that the one before ended two years ago; without a key, but with a right hash. */
function age(directory: string, name: string): void {
  const file = segmentFiles(directory).find((each) => each.startsWith(name)) ?? '';
  const path = join(directory, file);
  const isCompressed = file.endsWith('.gz');
  const text = (isCompressed ? gunzipSync(readFileSync(path)) : readFileSync(path)).toString();
  const [head = '', ...rest] = text.split('\n');
  const [, seq, body, prev] = /^\{"seq":(\d+),(.*),"prev":"([0-9a-f]{64})","hash":/.exec(head) ?? [];
  const old = body?.replace(/^"time":"\d{4}/, (time) => `"time":"${Number(time.slice(-4)) - 2}`) ?? '';
  assert.notEqual(old, body);
  const changed = sealLine(Number(seq), old, prev ?? '').line + rest.join('\n');
  rmSync(path);
  writeFileSync(path, isCompressed ? gzipSync(changed) : changed);
}

/** Events of the first look of a run that keeps so much. */
async function firstLook(t: TestContext, directory: string, keepMs: number): Promise<Watched> {
  const limits = () => ({ ...keepAll, keepMs });
  const watched = await openFor(t, directory, { segmentBytes: 8192, limits, signKey: key.secretPem });
  await watched.seen('tended');
  return watched;
}

function textsOf({ events }: Watched): readonly string[] {
  return events.flatMap((event) => (event.kind === 'not-tended' ? [event.text] : []));
}

void test('a first record of another journal with the same key counts for nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const other = temporaryDirectory(t);
  await run(t, directory, 4);
  await run(t, other, 4);
  const [head = ''] = readFileSync(join(other, '00000002.jsonl'), 'utf8').split('\n');
  const path = join(directory, '00000002.jsonl');
  const [, ...rest] = readFileSync(path, 'utf8').split('\n');
  writeFileSync(path, [head, ...rest].join('\n'));
  const watched = await firstLook(t, directory, -1);
  assert.deepEqual(retiredOf(watched), []);
  assert.equal(textsOf(watched).length, 1);
  await watched.journal.close();
});

for (const isChanged of [false, true]) {
  const what = isChanged ? 'a changed one retires nothing' : 'whole ones are retired';
  void test(`records of a key before are read up to one that counts: ${what}`, async (t) => {
    const directory = temporaryDirectory(t);
    await run(t, directory, 4, makeSignKey().secretPem);
    if (isChanged) age(directory, '00000002.jsonl');
    // The new key has not begun a segment: the last record on disk is all that is known.
    const watched = await firstLook(t, directory, isChanged ? 365 * day : -1);
    const names = ['00000001.jsonl', '00000002.jsonl', '00000003.jsonl'];
    assert.deepEqual(retiredOf(watched), isChanged ? [] : names);
    assert.equal(textsOf(watched).length, isChanged ? 1 : 0);
    await watched.journal.close();
  });
}
