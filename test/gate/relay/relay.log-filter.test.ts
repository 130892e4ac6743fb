import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saidOfStatus } from '../../../src/doveadm/codes/codes.js';
import { parseStatus } from '../../../src/doveadm/reply/reply.js';
import { isLineOfOther } from '../../../src/gate/relay/relay.js';

const status = (line: string) => parseStatus(Buffer.from(line));

test('a failure becomes a sentence of ours, never the text of the backend', () => {
  const said = (line: string, lastText: string): string => {
    const { code, sentence } = saidOfStatus(status(line).code, lastText);
    return `${code}: ${sentence.replace('the backend says: ', '')}`;
  };
  assert.equal(said('-NOUSER', ''), 'backend-failed: no such user');
  assert.equal(said('-UNKNOWN', 'save: Quota exceeded (mailbox for user is full)'), 'over-quota: over quota');
  assert.equal(said('-UNKNOWN', '/srv/mail/alice: secret path'), 'backend-failed: the command failed');
  assert.equal(said('-', ''), 'backend-failed: the command failed');
  const create = "cmd mailbox create: Can't create mailbox Archive: ";
  assert.equal(said('-DATAERR', `${create}Mailbox already exists`), 'exists: it exists already');
  assert.equal(
    said('-DATAERR', `${create}x already exists: Invalid name`),
    'backend-failed: it does not accept the value',
  );
  // A status word of a backend is not text of ours: what is not known has one sentence.
  assert.equal(said('-constructor', ''), 'backend-failed: the command failed');
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
  // A file of -F comes back line by line as names of users.
  [
    'alice@example.org',
    'doveadm(10.0.0.1,root:x:0:0:root:/root:/bin/bash): User no longer exists, skipping',
    true,
  ],
  // Behind one's own prefix, behind a proxy's, among addresses, in capitals, with letters that fold into those of the own name.
  ['alice@example.org', 'doveadm(alice@example.org)<1><s>: doveadm(bob@example.org)<1><s>: text', true],
  ['alice@example.org', 'remote(192.0.2.1:24245): doveadm(alice@example.org)<1><s>: text', false],
  ['alice@example.org', 'doveadm(alice@example.org,bob@example.org): text', true],
  ['alice@example.org', 'doveadm(BOB@EXAMPLE.ORG)<1><s>: text', true],
  ['kate@example.org', 'doveadm(\u212Aate@example.org)<1><s>: text', true],
  ['alice@example.org', 'doveadm(alice@example.org.)<1><s>: text', true],
  ['alice@example.org', 'doveadm(alice@example.org )<1><s>: text', true],
  ['alice@example.org', 'doveadm(alice@example.org)x@example.org)<1><s>: text', true],
  ['alice@example.org', 'doveadm(): text', true],
  // Of commands between two servers.
  ['alice@example.org', 'dsync-local(alice@example.org)<s>: text', false],
  ['alice@example.org', 'dsync-local(bob@example.org)<s>: text', true],
  ['alice@example.org', 'dsync-remote(bob@example.org)<s>: text', true],
  // A command that names no user hears of none.
  ['', 'doveadm(bob@example.org)<1><s>: text', true],
  ['', 'doveadm: Fatal: Missing user parameter', false],
];
for (const [user, text, isOther] of lines) {
  test(`${isOther ? 'hidden' : 'shown'}: ${text}`, () =>
    assert.equal(isLineOfOther(text, user, 'fold'), isOther));
}

test('names that differ in case only are two users where their case is kept', () => {
  const line = 'doveadm(Alice@example.org)<1><s>: text';
  assert.equal(isLineOfOther(line, 'alice@example.org', 'keep'), true);
  assert.equal(isLineOfOther(line, 'Alice@example.org', 'keep'), false);
});

test('a line that begins like a prefix again and again is looked at once', () => {
  // Before, each beginning was followed to the end of the line: minutes for this one, 13 ms for one of 16 KiB.
  const before = process.cpuUsage();
  assert.equal(isLineOfOther('doveadm('.repeat(100_000), 'alice@example.org', 'fold'), false);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 2_000_000, `${user} us`);
});
