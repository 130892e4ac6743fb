import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainFailure, isLineOfOther } from '../../src/relay/backend-voice.js';
import { parseStatus } from '../../src/wire/status.js';

const status = (line: string) => parseStatus(Buffer.from(line));

test('a failure becomes a sentence of ours, never the text of the backend', () => {
  assert.equal(explainFailure(status('+'), 'anything'), undefined);
  assert.equal(explainFailure(status('-NOUSER'), ''), 'no such user');
  assert.equal(
    explainFailure(status('-UNKNOWN'), 'save: Quota exceeded (mailbox for user is full)'),
    'over quota',
  );
  assert.equal(explainFailure(status('-UNKNOWN'), '/srv/mail/alice: secret path'), 'the command failed');
  assert.equal(explainFailure(status('-'), ''), 'the command failed');
  // A status word of a backend is not text of ours: what is not known has one sentence.
  assert.equal(explainFailure(status('-constructor'), ''), 'the command failed');
});

// [user of the command, line, whether it names somebody else]
const lines: readonly (readonly [string, string, boolean])[] = [
  ['alice@example.org', "doveadm(alice@example.org)<12><ab+c>: User doesn't exist", false],
  ['alice@example.org', 'doveadm(ALICE@example.org): text', false],
  ['alice@example.org', 'doveadm(bob@example.org)<12><x>: text', true],
  ['alice@example.org', "doveadm(127.0.0.1,alice@example.org): User doesn't exist", false],
  ['alice@example.org', 'doveadm(127.0.0.1,bob@example.org): text', true],
  ['alice@example.org', 'remote(192.0.2.1:24245): doveadm(bob@example.org): text', true],
  ['alice@example.org', 'Mailbox INBOX: no prefix at all (2.3.13)', false],
  ['alice@example.org', 'doveadm(10.0.0.1,root): User no longer exists', true],
];
for (const [user, text, isOther] of lines) {
  test(`${isOther ? 'hidden' : 'shown'}: ${text}`, () => assert.equal(isLineOfOther(text, user), isOther));
}
