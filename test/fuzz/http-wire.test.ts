// The promise of src/protocol/http-api: any bytes, cut anywhere, give one request or one error and nothing else; what is held stays within
// its limits; JSON.parse takes what is taken, and refuses what is refused but for the differences that are listed here; whatever a server
// sends, an answer that is called whole is JSON. And every command that was read is judged, or refused, without a crash.
//
// DOVEGATE_ROUNDS multiplies the number of bodies; DOVEGATE_SEED repeats a run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJsonEncoder, createRowsEncoder } from '../../src/protocol/http-api/rows.js';
import { cutAtRandom, pick, randomInteger, seededRandom } from '../kit/chunkings.js';
import { type BodyCounts, body, cells, checkBody, columnsOf, decode } from './targets/http-subjects.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const bodies = Math.ceil(6_000 * rounds);
void test('any body is one request or one error, and what it asks is judged', (t) => {
  const random = seededRandom(seed);
  const counts: BodyCounts = { taken: 0, refused: 0, bad: 0, allowed: 0, denied: 0, unparsable: 0 };
  for (let round = 0; round < bodies; round += 1) {
    const bytes = body(random);
    const whole = decode([bytes]);
    assert.deepEqual(decode(cutAtRandom(bytes, random)), whole, bytes.toString('latin1'));
    checkBody(bytes, whole, counts);
  }
  t.diagnostic(`${bodies} bodies: ${JSON.stringify(counts)}`);
  for (const [what, count] of Object.entries(counts)) assert.ok(count > 0, what);
});

void test('whatever a server sends, what is called whole is JSON, in every cut', () => {
  const random = seededRandom(seed + 1);
  let whole = 0;
  for (let round = 0; round < bodies; round += 1) {
    const pieces = Array.from({ length: randomInteger(random, 0, 12) }, () => pick(random, cells));
    const bytes = Buffer.from(pieces.join(''), 'latin1');
    const columns = columnsOf.slice(0, randomInteger(random, 0, 2));
    const isRows = random() < 0.8;
    const encode = (chunks: readonly Buffer[]): string | undefined => {
      const encoder = isRows ? createRowsEncoder(columns) : createJsonEncoder();
      const begin = Buffer.concat(chunks.map((chunk) => encoder.push(chunk))).toString();
      const end = encoder.end();
      return end === undefined ? undefined : begin + end;
    };
    const json = encode([bytes]);
    const shown = bytes.toString('latin1');
    assert.equal(encode(cutAtRandom(bytes, random)), json, shown);
    const ended = isRows ? bytes.filter((byte) => byte === 9).length : 0;
    const isWhole =
      isRows &&
      (columns.length === 0
        ? bytes.length === 0
        : (bytes.length === 0 || bytes.at(-1) === 9) && ended % columns.length === 0);
    if (isRows) assert.equal(json !== undefined, isWhole, shown);
    if (json === undefined) continue;
    whole += 1;
    const read: unknown = JSON.parse(json);
    if (isRows)
      assert.ok(
        Array.isArray(read) && read.length === (columns.length === 0 ? 0 : ended / columns.length),
        shown,
      );
  }
  assert.ok(whole > bodies / 100, `${whole}`);
});
