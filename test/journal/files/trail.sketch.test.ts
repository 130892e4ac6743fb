// A search passes over the parts of compressed segments that hold nothing of it by their sketch. It says what a search of everything says,
// reads little, and takes nothing on trust that a hostile file could make it hold.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { searchTrail, surveyTrails } from '../../../src/evidence/reading/search-trail.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { packMember } from '../../../src/journal/files/compressed.js';
import { compressSegments } from '../../../src/journal/files/maintenance.js';
import { findTrail, type Trail } from '../../../src/journal/files/trail.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import type { Sketch } from '../../../src/journal/records/sketch.js';
import { admission, completion } from './opening.js';
import { temporaryDirectory } from './reading.js';

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
  const directory = temporaryDirectory(t, 'memory');
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
  const directory = temporaryDirectory(t, 'memory');
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
