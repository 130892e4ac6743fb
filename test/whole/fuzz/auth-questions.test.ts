// No name makes a question to the auth service of more than one line, or one that asks for another name. What the service answers has a
// target (targets/auth.ts). DOVEGATE_ROUNDS multiplies the names; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeQuestion, isAskable, questionBytesMax } from '../../../src/gate/lookup/auth-protocol.js';
import { randomInteger, seededRandom } from '../../kit/plain/chunkings.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const names = Math.ceil(40_000 * rounds);

void test('questions: one line of four fields that holds the very name, or none', (t) => {
  const random = seededRandom(seed);
  let asked = 0;
  for (let count = 0; count < names; count += 1) {
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
  assert.ok(asked >= names / 20 && asked < names, `${asked} names could be asked for`);
  t.diagnostic(`${names} names, ${asked} could be asked for`);
});
