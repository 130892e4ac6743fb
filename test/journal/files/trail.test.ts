// Verifying what really lies on the disk: plain and compressed segments, damage, what a start does about it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { searchTrail, surveyTrails, verifyTrail } from '../../../src/evidence/reading/search-trail.js';
import type { Verdict } from '../../../src/evidence/trail/verify.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { packMember } from '../../../src/journal/files/compressed.js';
import { readPolicyText } from '../../../src/journal/files/kept-policies.js';
import { compressSegments } from '../../../src/journal/files/maintenance.js';
import { cutPieces, findTrail, type Trail } from '../../../src/journal/files/trail.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger, sealLine } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import type { Sketch } from '../../../src/journal/records/sketch.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { admission, completion, openWatched, written } from './opening.js';
import { segmentFiles, temporaryDirectory } from './reading.js';

const key = makeSignKey();

function verify(directory: string, fromSeq?: number): Promise<Verdict> {
  return verifyTrail(findTrail([directory]), { trustedKeys: [key.key], fromSeq, faultsMax: 20 });
}

const signed = (t: TestContext, exchanges?: number) => written(t, { signKey: key.secretPem }, exchanges);

/** Unless the journal has done it already. */
function compress(directory: string, name: string): void {
  const file = name.replace(/\.gz$/, '');
  if (existsSync(join(directory, `${file}.gz`))) return;
  writeFileSync(join(directory, `${file}.gz`), gzipSync(readFileSync(join(directory, file))));
  rmSync(join(directory, file));
}

void test('a compressed segment that is damaged is told with its place', async (t) => {
  const directory = await signed(t);
  compress(directory, '00000002.jsonl');
  const path = join(directory, '00000002.jsonl.gz');
  const bytes = readFileSync(path);
  truncateSync(path, bytes.length - 20);
  const lines = gunzipSync(bytes).toString().split('\n').length - 1;
  const [first] = (await verify(directory)).faults;
  assert.deepEqual([first?.kind, first?.file], ['malformed', '00000002.jsonl']);
  assert.ok((first?.line ?? 0) <= lines + 1);
});

void test('a line longer than any buffer, and a file of nothing, are damage and not an accident', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, '00000001.jsonl'), Buffer.alloc(5 << 20, 0x61));
  writeFileSync(join(directory, '00000002.jsonl'), '');
  writeFileSync(join(directory, '00000003.jsonl'), `\n\n${'x'.repeat(10)}\n`);
  const request = { trustedKeys: [], fromSeq: undefined, faultsMax: 99 };
  const verdict = await verifyTrail(findTrail([directory]), request);
  assert.ok(verdict.faultCount > 3);
  assert.ok(verdict.faults.every(({ kind }) => kind === 'malformed'));
});

void test('the text of a policy counts only if it has the hash that records name', (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'policies'));
  const text = 'policy: support\n';
  const version = createHash('sha256').update(text).digest('hex');
  const path = join(directory, 'policies', `${version}.yaml`);
  writeFileSync(path, text);
  assert.equal(readPolicyText(directory, version), text);
  writeFileSync(path, 'policy: everything\n');
  assert.equal(readPolicyText(directory, version), undefined);
});

void test('a start notices that the end was rewritten, and its own checkpoints do not cover that up', async (t) => {
  const directory = await signed(t, 10);
  const path = join(directory, segmentFiles(directory).at(-1) ?? '');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  let prev = '';
  const forged = lines.map((line, at) => {
    const isFrom = at >= lines.length - 5;
    const text = line.replace('alice', 'mallory');
    const { seq, hash } = JSON.parse(line);
    const body = text.slice(text.indexOf('"time"'), text.indexOf(',"prev"'));
    const sealed = isFrom ? sealLine(seq, body, prev) : { line: `${line}\n`, hash };
    prev = sealed.hash;
    return sealed.line;
  });
  writeFileSync(path, forged.join(''));
  const { journal } = await openWatched(directory, { signKey: key.secretPem });
  await journal.close();
  assert.equal(journal.found.damage, 'rewritten');
  const kinds = (await verify(directory)).faults.map(({ kind }) => kind);
  assert.ok(kinds.includes('rewritten'), kinds.join());
});

void test('when all segments are gone, the numbers go on where the checkpoint says', async (t) => {
  const directory = await signed(t, 3);
  const { seq, journal: id } = JSON.parse(readFileSync(join(directory, 'checkpoint.json'), 'utf8'));
  for (const file of segmentFiles(directory)) rmSync(join(directory, file));
  const { journal } = await openWatched(directory, { signKey: key.secretPem });
  await journal.close();
  assert.deepEqual([journal.found.journal, journal.found.damage], [id, 'cut']);
  const { faults, firstSeq } = await verify(directory);
  const [told] = faults.map(({ kind, file, line }) => `${kind} ${file} ${line}`);
  assert.deepEqual([told, firstSeq], ['segment-missing 00000001.jsonl 1', seq + 1]);
});

// Searching what really lies on the disk, also when it is damaged; and cutting any bytes into pieces of whole lines.

void test('every piece is shown before its rows come, and the end of what can be read of a damaged file', async (t) => {
  const directory = await written(t, {});
  const path = join(directory, '00000002.jsonl');
  // Unless the journal has compressed it already.
  if (existsSync(path)) writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)));
  rmSync(path, { force: true });
  truncateSync(`${path}.gz`, 200);
  const seen: string[] = [];
  const rows: unknown[] = [];
  const look = ({ name }: { readonly name: string }, piece: unknown) =>
    void seen.push(`${name} ${piece === undefined ? 'broken' : 'piece'}`);
  for await (const { fields } of searchTrail(findTrail([directory]), {}, look)) {
    if (rows.length === 0) assert.deepEqual(seen, ['00000001.jsonl piece']);
    rows.push(fields['id']);
  }
  assert.ok(seen.includes('00000002.jsonl broken') && seen.includes('00000003.jsonl piece'), seen.join());
  assert.ok(rows.includes('E0') && rows.includes('E39') && rows.length < 40);
});

async function* each(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

void test('chunks of any size become pieces of whole lines', async () => {
  const bytes = Buffer.from('one\ntwo\n\nthree\nfour');
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    let text = '';
    let last = true;
    for await (const piece of cutPieces(each(chunks))) {
      assert.ok(last, 'only the last piece may end without LF');
      text += piece.bytes.toString();
      last = piece.endsInLine;
    }
    assert.deepEqual([text, last], [bytes.toString(), false]);
  }
});

// A search passes over the parts of compressed segments that hold nothing of it by their sketch. It says what a search of everything says,
// reads little, and takes nothing on trust that a hostile file could make it hold.

const startMs = Date.UTC(2026, 10, 20);

/** Lines with their LF. Command `at` is of user `at`; each one ends after the next one began. */
function linesOf(count: number): Buffer[] {
  const ledger = new Ledger('p', undefined, 'ab');
  const lines: Buffer[] = [];
  const add = (record: AuditRecord) =>
    void lines.push(Buffer.from(ledger.seal(encodeBody({ ...record, time: startMs + lines.length }))));
  for (let at = 0; at < count; at += 1) {
    add({ ...admission(`E${at}`), user: `user-${at}@example.com` });
    if (at > 0) add(completion(`E${at - 1}`));
  }
  return lines;
}

/** A directory with one segment of these members. */
function segmentOf(t: TestContext, members: readonly Buffer[]): string {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, '00000001.jsonl.gz'), Buffer.concat(members));
  return directory;
}

async function searched(trail: Trail, filter: TrailFilter, isByParts = true) {
  const passed: Sketch[] = [];
  let bytes = 0;
  const look = (_: unknown, piece: { readonly bytes: Buffer } | undefined): void => {
    bytes += piece?.bytes.length ?? 0;
  };
  const pass = isByParts ? (_: unknown, sketch: Sketch) => void passed.push(sketch) : undefined;
  const rows = [];
  for await (const row of searchTrail(trail, filter, look, pass)) rows.push(row);
  const ends = rows.map(({ completedSeq }) => completedSeq);
  return { ids: rows.map(({ fields }) => fields['id']), ends, bytes, passed };
}

void test('a search of a part reads that part, and on to the end of what it found', async (t) => {
  const lines = linesOf(100);
  const members = Array.from({ length: 20 }, (_, at) =>
    packMember(Buffer.concat(lines.slice(at * 10, at * 10 + 10))),
  );
  const trail = findTrail([segmentOf(t, members)]);
  // The last line of the fifth member; its completion is in the sixth.
  const found = await searched(trail, { user: 'user-25@example.com' });
  assert.deepEqual(found.ids, ['E25']);
  assert.deepEqual(found.ends, (await searched(trail, { user: 'user-25@example.com' }, false)).ends);
  assert.ok(found.passed.length >= 17, `${found.passed.length} of 20 passed over`);
  for (const filter of [
    { user: 'USER-7@example.com' },
    { user: 'user-7@*' },
    { user: '*@example.com' },
    { user: '*-7@*' },
    { user: 'nobody@example.org' },
    { sinceMs: startMs + 55, untilMs: startMs + 57 },
    { principal: 'nobody@jobs' },
    { id: 'E77' },
    {},
  ]) {
    const [byParts, whole] = [await searched(trail, filter), await searched(trail, filter, false)];
    assert.deepEqual([byParts.ids, byParts.ends], [whole.ids, whole.ends], JSON.stringify(filter));
    const lost = byParts.passed.reduce((sum, { lines: count }) => sum + count, 0);
    assert.equal(lost > 0, byParts.bytes < whole.bytes, JSON.stringify(filter));
  }
  // A filter may take a name for another one.
  assert.ok((await searched(trail, { user: 'nobody@example.org' })).passed.length >= 18);
  const survey = await surveyTrails([trail], { user: 'user-7@example.org' });
  assert.deepEqual([survey.all, survey.names], [199, ['user-7@example.com']]);
});

void test('the keeper compresses whole lines, with their sketches', async (t) => {
  const directory = temporaryDirectory(t);
  const text = Buffer.concat(linesOf(9000));
  assert.ok(text.length > 3 << 20);
  writeFileSync(join(directory, '00000001.jsonl'), text);
  assert.equal(await compressSegments(directory, ['00000001.jsonl']), undefined);
  const packed = readFileSync(join(directory, '00000001.jsonl.gz'));
  assert.ok(gunzipSync(packed).equals(text));
  const { bytes, passed } = await searched(findTrail([directory]), { user: 'nobody@example.org' });
  assert.equal(bytes, 0);
  assert.equal(
    passed.reduce((sum, { lines }) => sum + lines, 0),
    17_999,
  );
});

void test('a part with a line that is no record, a gap, or a retirement is always read', async (t) => {
  const lines = linesOf(20);
  const gap = [...lines.slice(0, 5), ...lines.slice(6)];
  const foreign = [...lines.slice(0, 5), Buffer.from('no record\n'), ...lines.slice(5)];
  const cut = [...lines, Buffer.from('{"seq":40')];
  for (const odd of [gap, foreign, cut]) {
    const trail = findTrail([segmentOf(t, [packMember(Buffer.concat(odd))])]);
    assert.equal((await searched(trail, { user: 'nobody@example.org' })).bytes, Buffer.concat(odd).length);
  }
  const retired = Buffer.from(String(lines[3]).replace(/"event":"[a-z]+"/, '"event":"retire"'));
  const trail = findTrail([segmentOf(t, [packMember(Buffer.concat([...lines.slice(0, 3), retired]))])]);
  assert.equal((await searched(trail, { user: 'nobody@example.org' })).passed.length, 0);
});
