// Goal: what a failure says of the command: it may be sent again, it failed, or nobody knows.

import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAccess } from '../../../src/client/access.js';
import { createUserSender, judgeFailure } from '../../../src/client/bulk/send-user.js';
import { CommandFailed } from '../../../src/client/connect.js';
import { readWholeInput } from '../../../src/client/doveadm/ask.js';
import type { Session } from '../../../src/client/session.js';
import { readSaid } from '../../../src/doveadm/codes/said.js';
import { readTypedCommand } from '../../../src/doveadm/commands/typed-command.js';
import { openFolder } from '../../kit/plain/folder.js';

const id = '01KDYAK3487FXJ0FWSFTT3D0WN';
const own = (text: string, code: string, again = ''): string =>
  `dovegate: ${text} [${code}]${again}, id ${id}`;
// [status, the line of dovegate or another, of a change, of a read]
const cases: readonly (readonly [string, string | undefined, string, string])[] = [
  ['NOUSER', own('the backend says: no such user', 'backend-failed'), 'failed', 'failed'],
  ['NOPERM', own('denied by policy p (no rule; try again in 5 s)', 'denied'), 'failed', 'failed'],
  ['TEMPFAIL', own('anything', 'over-limit', ', try again in 7 s'), 'limited 7000', 'limited 7000'],
  ['TEMPFAIL', own('anything', 'limits-full'), 'limited', 'limited'],
  ['TEMPFAIL', own('anything', 'queue-full'), 'busy', 'busy'],
  ['TEMPFAIL', own('anything [x]', 'dial-refused'), 'busy', 'busy'],
  ['TEMPFAIL', 'dovegate: more than 3 sessions of anna at once [sessions-limit]', 'busy', 'busy'],
  // A code that nothing of it ran, and nothing will: another attempt would be answered alike.
  ['TEMPFAIL', own('anything', 'no-route'), 'failed', 'failed'],
  ['TEMPFAIL', own('too many commands are waiting; try again', 'closed-early'), 'unknown', 'broken'],
  ['TEMPFAIL', own('anything', 'outcome-unknown'), 'unknown', 'broken'],
  ['TEMPFAIL', own('the backend says: temporary failure', 'backend-failed'), 'unknown', 'broken'],
  // Without a code, and with one that this release does not know, nobody knows whether it ran.
  ['TEMPFAIL', `dovegate: too many commands are waiting; try again, id ${id}`, 'unknown', 'broken'],
  ['TEMPFAIL', own('too many commands are waiting; try again', 'of-next-year'), 'unknown', 'broken'],
  ['TEMPFAIL', own('x', 'constructor'), 'unknown', 'broken'],
  ['TEMPFAIL', 'dovegate: waiting for mail1 [waiting]', 'unknown', 'broken'],
  // A line of the backend's log is not the word of dovegate.
  ['TEMPFAIL', 'too many commands are waiting; try again [queue-full]', 'unknown', 'broken'],
  ['TEMPFAIL', 'backend: dovegate: x [queue-full]', 'unknown', 'broken'],
  ['TEMPFAIL', 'Mailbox x: Internal error occurred', 'unknown', 'broken'],
  ['TEMPFAIL', undefined, 'unknown', 'broken'],
];

void test('failures of a change and of a read', () => {
  for (const [code, text, change, read] of cases) {
    const logs = text === undefined ? [] : [{ type: 'error' as const, text, isCut: false }];
    const debug = { type: 'debug' as const, text: 'dovegate: x [queue-full]', isCut: false };
    const failure = new CommandFailed(code, undefined, [...logs, debug], readSaid(text ?? ''));
    const told = [false, true].map((isHarmless) => {
      const result = judgeFailure(failure, isHarmless);
      if (result.kind !== 'again') return result.kind;
      return `${result.why}${result.afterMs === undefined ? '' : ` ${result.afterMs}`}`;
    });
    assert.deepEqual(told, [change, read], text);
    const result = judgeFailure(failure, false);
    if (result.kind === 'ok') assert.fail();
    const said = readSaid(text ?? '');
    assert.equal(result.id, said?.id);
    if (said !== undefined) assert.equal(result.message, said.sentence);
  }
});

void test('rows of a user are held up to a size, and beyond it none is shown', async () => {
  for (const [rows, isCut] of [
    [16, false],
    [17, true],
    [64, true],
  ] as const) {
    const unused = (): never => assert.fail('not asked');
    const close = () => Promise.resolve();
    const session: Session = {
      async *stream() {
        for (let at = 0; at < rows; at += 1) yield await Promise.resolve(['x'.repeat(1 << 20)]);
      },
      run: unused,
      named: unused,
      cells: unused,
      access: createAccess(unused),
      close,
      [Symbol.asyncDispose]: close,
      minor: 3,
      serverMinor: 3,
    };
    const words = ['mailbox', 'list'];
    const sender = createUserSender({
      words,
      typed: readTypedCommand(words),
      isDryRun: false,
      reason: undefined,
      input: undefined,
      door: { name: 'x', open: () => Promise.resolve(session) },
    });
    const result = await sender.send('alice', () => Promise.resolve('t'), new AbortController().signal);
    assert.ok(result.kind === 'ok');
    assert.deepEqual([result.rows.length, result.isCut], [isCut ? 0 : rows, isCut]);
  }
});

void test('a text for several users has a bound', async (t) => {
  const file = join(openFolder(t), 'text');
  writeFileSync(file, 'x');
  truncateSync(file, 256 * 1024 ** 2 + 1);
  await assert.rejects(readWholeInput(file), /at most 268435456 bytes/);
});
