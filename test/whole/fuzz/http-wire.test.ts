// The promise of src/doveadm/http-api: any bytes, cut anywhere, give one request or one error and nothing else; what is held stays within
// its limits; JSON.parse takes what is taken, and refuses what is refused but for the differences that are listed in its subjects. And
// every command that was read is judged, or refused, without a crash.
//
// DOVEGATE_ROUNDS multiplies the number of bodies; DOVEGATE_SEED repeats a run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutAtRandom, seededRandom } from '../../kit/plain/chunkings.js';
import { type BodyCounts, body, checkBody, decode } from './targets/http-subjects.js';

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
