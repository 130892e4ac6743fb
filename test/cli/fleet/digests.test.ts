// Goal: the digests that a verifier makes of its mirror say of the closed segments what `audit verify` says, whenever they were made and
// whatever happened to their files. Phases: made in steps and at once; changed by somebody who has no key; of a key
// that is not the present one; a late record. What must not happen: a digest that counts and does not fit the segments as the
// verifier saw them, a sketch that was taken from a file, a head that is gone because its successor was not finished.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { feedVerifier, verifyTrail } from '../../../src/adapters/journal/search-trail.js';
import { findTrail } from '../../../src/adapters/journal/trail.js';
import { mirrorIn } from '../../../src/cli/audit/fleet-places.js';
import { createDigests } from '../../../src/cli/fleet/digests.js';
import { type Mirror, openMirror } from '../../../src/cli/fleet/mirror.js';
import { makeSignKey, readClaim } from '../../../src/domain/records/audit/ledger.js';
import { formatHead, subjectOf } from '../../../src/domain/records/fleet/block.js';
import { headName, readDigest, readRows, rowsName } from '../../../src/domain/records/fleet/digest.js';
import type { FleetMessage } from '../../../src/domain/records/fleet/shapes.js';
import { named, readSketch } from '../../../src/domain/records/trail/sketch.js';
import { createVerifier, type Verdict } from '../../../src/domain/records/trail/verify.js';
import { type Lines, readLines } from '../../fleet/fleet-lab.js';
import { openFolder } from '../../kit/folder.js';
import { signKey, writeJournal } from '../audit/shown.js';

const host = 'gate1';
const key = makeSignKey();
const nobodyKnows = { full: () => undefined, lacks: () => undefined, keepMs: Infinity };
const faultsMax = 20;
const userOf = (at: number): string => `user${at}@example.org`;

interface Opened {
  readonly state?: string;
  readonly secretPem?: string;
  readonly hostKey?: string;
}

async function linesOf(t: TestContext): Promise<Lines> {
  return readLines(await writeJournal(t, 60, (record, at) => ({ ...record, user: userOf(at) })));
}

function open(
  t: TestContext,
  { state = openFolder(t), ...keys }: Opened = {},
): { state: string; mirror: Mirror } {
  const { secretPem = key.secretPem, hostKey = signKey.key } = keys;
  const mirror = openMirror({
    state,
    shares: new Map([[host, 1 << 30]]),
    ...nobodyKnows,
    digests: createDigests(() => secretPem),
    hostKeys: new Map([[host, hostKey]]),
  });
  return { state, mirror };
}

function block({ id, lines }: Lines, first: number, last: number): FleetMessage {
  const some = lines.slice(first - 1, last);
  const head = readClaim(Buffer.from(some.at(-1)?.trimEnd() ?? ''))?.hash ?? '';
  const headers = new Map(formatHead(id, { kind: 'block', first, last, head }));
  const bytes = Buffer.from(some.join(''));
  return {
    streamSeq: 1,
    storedMs: 0,
    subject: subjectOf(host, id),
    header: (name) => headers.get(name) ?? '',
    bytes,
  };
}

const placeOf = (state: string, { id }: Lines): string => join(mirrorIn(state), host, id);

function digestIn(directory: string) {
  const digest = readDigest(readFileSync(join(directory, headName), 'utf8')) ?? assert.fail('no digest');
  const rows = readRows(readFileSync(join(directory, rowsName)), digest) ?? assert.fail('no rows');
  return { digest, rows };
}

const request = { trustedKeys: [signKey.key], faultsMax };

function wholeVerdict(directory: string): Promise<Verdict> {
  return verifyTrail(findTrail([directory]), { ...request, fromSeq: undefined });
}

/** From the digest, and what lies behind it. */
async function resumedVerdict(directory: string): Promise<Verdict> {
  const { digest } = digestIn(directory);
  const verifier = createVerifier({ ...request, kept: [], isPart: false }, digest.state);
  const { files } = findTrail([directory]);
  await feedVerifier(
    files.filter(({ name }) => Number.parseInt(name, 10) > digest.segment),
    verifier,
  );
  return verifier.finish();
}

/** Each row is that of a member as it lies there, and the names in its text are in its sketch. */
function assertRows(directory: string): void {
  const { digest, rows } = digestIn(directory);
  const closed = readdirSync(directory).filter((name) => name.endsWith('.gz'));
  assert.equal(new Set(rows.map(({ segment }) => segment)).size, closed.length);
  assert.equal(Number.parseInt(closed.toSorted().at(-1) ?? '', 10), digest.segment);
  for (const { segment, at, bytes, sha256, sketch, firstSeq } of rows) {
    const file = readFileSync(join(directory, `${String(segment).padStart(8, '0')}.jsonl.gz`));
    const packed = file.subarray(at, at + bytes);
    assert.deepEqual(hash('sha256', packed, 'buffer'), sha256);
    const text = gunzipSync(packed).toString();
    assert.equal(firstSeq, Number(/^\{"seq":(\d+),/.exec(text)?.[1]));
    const read = readSketch(sketch) ?? assert.fail('no sketch');
    for (const [, user = ''] of text.matchAll(/"user":"([^"]+)"/g))
      assert.ok(read.mayHold(named(user)), user);
    assert.equal(read.mayHold(named('nobody@example.net')), false);
  }
}

void test('made in steps or at once, by one process or many: as audit verify says it', async (t) => {
  const lines = await linesOf(t);
  const last = lines.lines.length;
  const once = open(t);
  once.mirror.take(block(lines, 1, last), true);
  await once.mirror.tend(0);
  const place = placeOf(once.state, lines);
  assertRows(place);
  const verdict = await wholeVerdict(place);
  assert.deepEqual(verdict.faults, []);
  assert.deepEqual(await resumedVerdict(place), verdict);

  let steps = open(t);
  for (let at = 0; at < last; at += 17) {
    if (at % 2 === 1) steps = open(t, steps);
    const { mirror } = steps;
    mirror.take(block(lines, at + 1, Math.min(last, at + 17)), true);
    mirror.save();
    await mirror.tend(0);
  }
  const stepwise = placeOf(steps.state, lines);
  assertRows(stepwise);
  assert.deepEqual(digestIn(stepwise).digest.state, digestIn(place).digest.state);
  assert.deepEqual(await resumedVerdict(stepwise), await wholeVerdict(stepwise));
});

void test('a segment, a head or rows that somebody changed, another key: it is made again', async (t) => {
  const lines = await linesOf(t);
  const { state, mirror } = open(t);
  mirror.take(block(lines, 1, lines.lines.length), true);
  await mirror.tend(0);
  const place = placeOf(state, lines);
  const made = digestIn(place);
  const again = async (keys: Opened = {}): Promise<void> => {
    await open(t, { state, ...keys }).mirror.tend(0);
    assertRows(place);
    const whole = await wholeVerdict(place);
    assert.deepEqual(await resumedVerdict(place), whole);
  };
  const [head, rows] = [headName, rowsName].map((name) => join(place, name));
  assert.ok(head !== undefined && rows !== undefined);
  // What a killed run wrote behind the rows, and what is there already.
  writeFileSync(rows, 'half a row', { flag: 'a' });
  await again();
  assert.deepEqual(digestIn(place).digest, made.digest);
  truncateSync(rows, 100);
  await again();
  rmSync(rows);
  await again();
  writeFileSync(head, readFileSync(head, 'utf8').replace(`"host":"${host}"`, '"host":"gate2"'));
  await again();
  for (const name of [head, rows]) {
    rmSync(name);
    mkdirSync(join(name, 'within'), { recursive: true });
    await again();
  }
  assert.deepEqual(digestIn(place).digest.state, made.digest.state);
  const next = makeSignKey();
  await again({ secretPem: next.secretPem });
  assert.equal(digestIn(place).digest.key, next.key);
  await open(t, { state, hostKey: next.key }).mirror.tend(0);
  assert.deepEqual(digestIn(place).digest.hostKeys, [next.key]);
  assert.equal(digestIn(place).digest.state.checkpoints.signedSeq, undefined);
});

void test('the sketch of a member is not believed: one without a bit is signed with all of them', async (t) => {
  const lines = await linesOf(t);
  const { state, mirror } = open(t);
  mirror.take(block(lines, 1, lines.lines.length), true);
  await mirror.tend(0);
  const place = placeOf(state, lines);
  const first = join(place, '00000001.jsonl.gz');
  const bytes = readFileSync(first);
  // Behind the head of the member, our mark, the size, and seqs and times of the sketch.
  bytes.fill(0, 12 + 4 + 4 + 32, 12 + bytes.readUInt16LE(10));
  const { ctimeMs } = statSync(join(place, headName));
  while (statSync(first).ctimeMs <= ctimeMs) writeFileSync(first, bytes);
  await open(t, { state }).mirror.tend(0);
  assertRows(place);
});

void test('what comes late is in the next digest, and a hole is a fault of the one before', async (t) => {
  const lines = await linesOf(t);
  const { state, mirror } = open(t);
  const last = lines.lines.length;
  mirror.take(block(lines, 1, 9), true);
  mirror.take(block(lines, 12, last), false);
  mirror.save();
  await mirror.tend(0);
  const place = placeOf(state, lines);
  assert.deepEqual(
    digestIn(place).digest.state.faults.map(({ kind, seq }) => [kind, seq]),
    [['missing', 10]],
  );
  assert.deepEqual(await resumedVerdict(place), await wholeVerdict(place));
  mirror.take(block(lines, 10, 11), false, { first: 10, last: 11 });
  mirror.save();
  await mirror.tend(0);
  assert.equal(digestIn(place).digest.state.faultCount, 0);
  assertRows(place);
  assert.deepEqual(await resumedVerdict(place), await wholeVerdict(place));
});
