// Dovecot's auth service: its lines, and what is made of its answers.

import assert from 'node:assert/strict';
import { AuthDialogue, answerOf } from '../../../../src/gate/lookup/auth-protocol.js';
import { WireFault } from '../../../../src/host/ports/faults.js';
import { asExpected, authVectorsOf, bytesOf } from '../../../gate/lookup/captured.js';
import { listed } from '../../../kit/plain/listed.js';
import { bytesOf as bytesOfTokens, type Target } from '../campaign/target.js';

/** Small, so that short inputs reach them. */
const limits = { lineBytesMax: 96, fieldsMax: 8 };

const captured = [...authVectorsOf('server'), ...authVectorsOf('client')]
  .map((vector) => bytesOf(vector, 's2c').bytes)
  .filter((bytes) => bytes.length > 0)
  .map((bytes) => bytes.subarray(0, 1024));

const tokens = bytesOfTokens([
  ...listed(
    'VERSION\t1\t4\nSPID\t7\n|VERSION\t1\t1\n|SPID\t25893\n|MECH\tPLAIN\n|CUID\t1\n',
    'PASS\t1\tuser=alice@example.org|USER\t2\tbob|NOTFOUND\t3\n|FAIL\t4|\treason=x|LIST\t5\tbob\n',
    'DONE\t5\t\n|DONE\t5\tfail\n|OK\t6\t1\n|\tproxy=y\thost=192.0.2.1|\tpass=hop-secret',
    '\t4294967296|\t|\t\t\t\t\t\t\t\t\t|=|\n|\r\n|\r|\0|\x01|\x010|\x01t|\x01n|é|\xc3',
  ),
  'x'.repeat(90),
]);

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

export const authTargets: readonly Target[] = [
  {
    name: 'auth',
    what: "Dovecot's auth service: its lines, and what is made of its answers",
    bytesMax: 2048,
    seeds: () => captured,
    tokens,
    run,
    kind: (answer) => answer.replaceAll(/"[^"]*"|\d+/g, '').slice(0, 80),
  },
];
