// The promise of src/protocol to everybody above it: any bytes, cut anywhere, give events or a WireFault and nothing else;
// what is held stays within the limits that were passed in; and the answer does not depend on the cuts.
//
// Inputs are captured sessions with bytes changed, and soups of what the protocol is made of. DOVEGATE_ROUNDS multiplies
// their number; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireFault } from '../../src/ports/faults.js';
import { cutAtRandom, pick, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';
import { answered, asked, corpora, subjects, tokens } from './targets/wire-subjects.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const inputsForEach = Math.ceil(24_000 * rounds);
const inputBytesMax = 1024;

function soup(random: Random): Buffer {
  const pieces = Array.from({ length: randomInteger(random, 0, 12) }, () =>
    random() < 0.85
      ? (tokens[randomInteger(random, 0, tokens.length - 1)] ?? Buffer.alloc(0))
      : Buffer.from(
          Array.from({ length: randomInteger(random, 1, 20) }, () => randomInteger(random, 0, 255)),
        ),
  );
  return Buffer.concat(pieces);
}

/** Something captured with some of its bytes changed, left out, doubled, or replaced by something from elsewhere. */
function mutated(corpus: readonly Buffer[], random: Random): Buffer {
  const any = (): Buffer => corpus[randomInteger(random, 0, corpus.length - 1)] ?? Buffer.alloc(0);
  let bytes = any();
  for (let count = randomInteger(random, 0, 3); count > 0; count -= 1) {
    const at = randomInteger(random, 0, bytes.length);
    const until = randomInteger(random, at, Math.min(bytes.length, at + 30));
    const [before, range, after] = [bytes.subarray(0, at), bytes.subarray(at, until), bytes.subarray(until)];
    const other = any();
    const inserted = pick(random, [
      () => [Buffer.of(randomInteger(random, 0, 255)), range.subarray(1)],
      () => [],
      () => [range, range],
      () => [tokens[randomInteger(random, 0, tokens.length - 1)] ?? range],
      () => [range, soup(random)],
      () => [other.subarray(0, randomInteger(random, 0, other.length))],
    ])();
    bytes = Buffer.concat([before, ...inserted, after]).subarray(0, 2 * inputBytesMax);
  }
  return bytes;
}

for (const [index, [name, subject]] of Object.entries(subjects).entries()) {
  void test(`${name}: events or a WireFault, within the limits, whatever the cuts`, (t) => {
    const random = seededRandom(seed + index);
    const corpus = corpora[name] ?? [...asked, ...answered];
    const seen = { answers: 0, faults: 0 };
    for (let count = 0; count < inputsForEach; count += 1) {
      const bytes = random() < 0.3 ? soup(random) : mutated(corpus, random);
      const optionSeed = randomInteger(random, 0, 0xffff_ffff);
      const run = (chunks: readonly Buffer[]): string => {
        try {
          const answer = subject(chunks, seededRandom(optionSeed), (held, heldMax) => {
            assert.ok(held <= heldMax, `holds ${held} bytes, may hold ${heldMax}`);
          });
          return `answer ${answer}`;
        } catch (error) {
          if (error instanceof WireFault) return `fault ${error.code}`;
          const input = bytes.toString('hex');
          throw new Error(`${name}, seed ${seed}, input ${count}: ${input}`, { cause: error });
        }
      };
      const answer = run(bytes.length === 0 ? [] : [Buffer.from(bytes)]);
      assert.equal(run(cutAtRandom(bytes, random)), answer, `input ${count}: ${bytes.toString('hex')}`);
      if (answer.startsWith('answer')) seen.answers += 1;
      else seen.faults += 1;
    }
    // Inputs that all end at the first check would prove nothing.
    assert.ok(seen.answers >= inputsForEach / 20, `${name}: only ${seen.answers} answers`);
    t.diagnostic(`${name}: ${inputsForEach} inputs, ${seen.answers} answers, ${seen.faults} faults`);
  });
}

void test('at least 100,000 inputs', (t) => {
  const inputs = Object.keys(subjects).length * inputsForEach;
  t.diagnostic(`${inputs} inputs, seed ${seed}`);
  assert.ok(inputs >= 100_000 * rounds);
});
