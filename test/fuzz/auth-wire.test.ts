// The promise of src/gateway/lookup: any bytes of an auth service, cut anywhere, give events or a WireFault and nothing else; what is held
// stays within the limits; the answer does not depend on the cuts; no name makes a question of more than one line.
//
// Inputs are captured sessions with bytes changed, and soups of what the protocol is made of. DOVEGATE_ROUNDS multiplies
// their number; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeQuestion, isAskable, questionBytesMax } from '../../src/gateway/lookup/auth-protocol.js';
import { cutAtRandom, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';
import { captured, run, tokens } from './targets/auth.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const inputs = Math.ceil(40_000 * rounds);
const token = (random: Random): Buffer =>
  tokens[randomInteger(random, 0, tokens.length - 1)] ?? Buffer.alloc(0);
const sample = (random: Random): Buffer =>
  captured[randomInteger(random, 0, captured.length - 1)] ?? Buffer.alloc(0);

function soup(random: Random): Buffer {
  const greeting = random() < 0.8 ? tokens.slice(0, 1) : [];
  return Buffer.concat([
    ...greeting,
    ...Array.from({ length: randomInteger(random, 0, 10) }, () => token(random)),
  ]);
}

/** A captured session with some of its bytes changed, left out, doubled, or replaced. */
function mutated(random: Random): Buffer {
  let bytes = sample(random);
  for (let count = randomInteger(random, 0, 3); count > 0; count -= 1) {
    const at = randomInteger(random, 0, bytes.length);
    const until = randomInteger(random, at, Math.min(bytes.length, at + 30));
    const range = bytes.subarray(at, until);
    const choices = [
      [Buffer.of(randomInteger(random, 0, 255)), range.subarray(1)],
      [],
      [range, range],
      [token(random)],
      [range, sample(random).subarray(0, 60)],
    ];
    const inserted = choices[randomInteger(random, 0, choices.length - 1)] ?? [];
    bytes = Buffer.concat([bytes.subarray(0, at), ...inserted, bytes.subarray(until)]);
  }
  return bytes;
}

void test('dialogue: events or a WireFault, within the limits, whatever the cuts', (t) => {
  const random = seededRandom(seed);
  const seen = { answers: 0, faults: 0 };
  for (let count = 0; count < inputs; count += 1) {
    const bytes = random() < 0.4 ? soup(random) : mutated(random);
    const where = `seed ${seed}, input ${count}: ${bytes.toString('hex')}`;
    try {
      const answer = run([Buffer.from(bytes)]);
      assert.equal(run(cutAtRandom(bytes, random)), answer);
      if (answer.startsWith('answer')) seen.answers += 1;
      else seen.faults += 1;
    } catch (error) {
      throw new Error(where, { cause: error });
    }
  }
  // Inputs that all end at the first check would prove nothing.
  assert.ok(Math.min(seen.answers, seen.faults) >= inputs / 20, JSON.stringify(seen));
  t.diagnostic(`${inputs} inputs, ${seen.answers} answers, ${seen.faults} faults, seed ${seed}`);
});

void test('questions: one line of four fields that holds the very name, or none', (t) => {
  const random = seededRandom(seed + 1);
  let asked = 0;
  for (let count = 0; count < inputs; count += 1) {
    const codes = Array.from({ length: randomInteger(random, 0, 12) }, () =>
      random() < 0.6 ? randomInteger(random, 0x20, 0x7e) : randomInteger(random, 0, 0xffff),
    );
    const user = String.fromCharCode(...codes).repeat(random() < 0.05 ? randomInteger(random, 1, 200) : 1);
    if (!isAskable(user)) continue;
    const line = encodeQuestion('pass', count, user);
    assert.ok(line.length <= questionBytesMax);
    assert.equal(line.indexOf(0x0a), line.length - 1);
    const fields = line.toString('utf8', 0, line.length - 1).split('\t');
    assert.deepEqual(fields, ['PASS', String(count), user, 'service=doveadm']);
    asked += 1;
  }
  assert.ok(asked >= inputs / 20 && asked < inputs, `${asked} names could be asked for`);
  t.diagnostic(`${inputs} names, ${asked} could be asked for`);
});
