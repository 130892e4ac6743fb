// What a failed command means to a program: by the status, and where Dovecot has no status of its own for it, by the last log line.
// What must not happen: the name of a mailbox that decides.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { CommandFailed, encodeCommand, type FailureKind } from '../../src/client/client-command.js';
import { readSaid } from '../../src/doveadm/codes/said.js';
import type { LogLine } from '../../src/doveadm/reply/reply.js';
import { bounds } from '../../src/host/bounds/bounds.js';

const error = (text: string): LogLine => ({ type: 'error', text, isCut: false });
const kindOf = (code: string, ...texts: string[]): FailureKind =>
  new CommandFailed(code, undefined, texts.map(error), readSaid(texts.at(-1) ?? '')).kind;

void test('each status has a kind', () => {
  const codes = 'NOPERM NOUSER NOTFOUND DATAERR USAGE CANTCREAT TEMPFAIL REFERRAL UNKNOWN constructor';
  const kinds = 'denied no-such-user not-found invalid usage over-quota temporary elsewhere other other';
  const found = codes
    .split(' ')
    .map((code) => kindOf(code))
    .join(' ');
  assert.deepEqual(found, kinds);
});

void test('a mailbox that exists, as every release says it and as dovegate does', () => {
  const recorded = z
    .array(z.object({ expect: z.object({ logs: z.array(z.object({ text: z.string() })) }) }))
    .parse(JSON.parse(readFileSync('test/vectors/dataerr.json', 'utf8')));
  const texts = recorded.flatMap(({ expect }) => expect.logs.map(({ text }) => text));
  assert.equal(texts.length, 5);
  for (const text of [
    ...texts,
    'dovegate: the backend says: anything [exists]',
    'Error: Failed to rename Sieve script: A sieve script with that name already exists.',
  ])
    assert.equal(kindOf('DATAERR', text), 'exists', text);
  assert.equal(kindOf('DATAERR', ...texts, 'something else'), 'invalid');
  assert.equal(kindOf('NOPERM', 'x: Mailbox already exists'), 'denied');
});

void test('a full mailbox, which has no status of its own', () => {
  assert.equal(kindOf('UNKNOWN', 'save failed: Quota exceeded (mailbox for user is full)'), 'over-quota');
  assert.equal(kindOf('UNKNOWN', 'dovegate: the backend says: anything [over-quota]'), 'over-quota');
});

// bounds.longestLineBytes
void test('a line that no server takes is refused before anything of it is sent', () => {
  const around = '\t\tsearch\t\n'.length;
  const command = (bytes: number) => ({ name: 'search', args: ['x'.repeat(bytes - around)] });
  assert.equal(encodeCommand(command(bounds.longestLineBytes), 4)[0]?.length, bounds.longestLineBytes);
  const message = 'the command line has 900001 bytes; at most 900000 can be sent: use several commands';
  const fault = { name: 'SessionFault', code: 'unsendable', mayHaveRun: false, message };
  assert.throws(() => encodeCommand(command(bounds.longestLineBytes + 1), 4), fault);
});
