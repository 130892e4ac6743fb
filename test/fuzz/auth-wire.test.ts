// The promise of src/gateway/lookup: any bytes of an auth service, cut anywhere, give events or a WireFault and nothing else; what is held
// stays within the limits; the answer does not depend on the cuts; no name makes a question of more than one line.
//
// Inputs are captured sessions with bytes changed, and soups of what the protocol is made of. DOVEGATE_ROUNDS multiplies
// their number; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AuthDialogue,
  answerOf,
  encodeQuestion,
  isAskable,
  questionBytesMax,
} from '../../src/gateway/lookup/auth-protocol.js';
import { WireFault } from '../../src/ports/faults.js';
import { asExpected, authVectorsOf, bytesOf } from '../gateway/lookup/captured.js';
import { cutAtRandom, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const inputs = Math.ceil(40_000 * rounds);
/** Small, so that short inputs reach them. */
const limits = { lineBytesMax: 96, fieldsMax: 8 };

const captured = [...authVectorsOf('server'), ...authVectorsOf('client')]
  .map((vector) => bytesOf(vector, 's2c').bytes)
  .filter((bytes) => bytes.length > 0)
  .map((bytes) => bytes.subarray(0, 1024));

const tokens = [
  'VERSION\t1\t4\nSPID\t7\n',
  'VERSION\t1\t1\n',
  'SPID\t25893\n',
  'MECH\tPLAIN\n',
  'CUID\t1\n',
  'PASS\t1\tuser=alice@example.org',
  'USER\t2\tbob',
  'NOTFOUND\t3\n',
  'FAIL\t4',
  '\treason=x',
  'LIST\t5\tbob\n',
  'DONE\t5\t\n',
  'DONE\t5\tfail\n',
  'OK\t6\t1\n',
  '\tproxy=y\thost=192.0.2.1',
  '\tpass=hop-secret',
  '\t4294967296',
  '\t',
  '\t\t\t\t\t\t\t\t\t',
  '=',
  '\n',
  '\r\n',
  '\r',
  '\0',
  '\x01',
  '\x010',
  '\x01t',
  '\x01n',
  'é',
  '\xc3',
  'x'.repeat(90),
].map((token) => Buffer.from(token, 'latin1'));

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

/** All that was understood, as text; of a fault its code alone, since what came before it in the same chunk is not given out. */
function run(chunks: readonly Buffer[]): string {
  const dialogue = new AuthDialogue(limits);
  const read: unknown[] = [];
  try {
    for (const chunk of chunks) {
      for (const event of dialogue.push(chunk)) {
        if (event.kind !== 'reply') {
          read.push(event);
          continue;
        }
        const { reply } = event;
        const answers = (['pass', 'user'] as const).map((asked) => answerOf(asked, reply));
        for (const answer of answers) {
          if (answer?.kind !== 'found') continue;
          assert.ok(answer.user !== '' && !answer.fields.has('pass'));
          for (const text of [answer.user, ...answer.fields.values()])
            assert.doesNotMatch(text, /[\0-\x1f\x7f]/);
        }
        read.push(
          asExpected(reply),
          answers.map((answer) => answer?.kind),
        );
      }
      assert.ok(dialogue.pendingBytes <= limits.lineBytesMax);
    }
    return `answer ${JSON.stringify(read)} ${dialogue.pendingBytes}`;
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    assert.doesNotMatch(error.message, /hop-secret/);
    return `fault ${error.code}`;
  }
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
