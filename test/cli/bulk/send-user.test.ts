// Goal: what a failure says of the command: it may be sent again, it failed, or nobody knows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeFailure } from '../../../src/cli/bulk/send-user.js';
import { CommandFailed } from '../../../src/client/connect.js';

const id = '01KDYAK3487FXJ0FWSFTT3D0WN';
// [code, the sentence of dovegate or another, of a change, of a read]
const cases: readonly (readonly [string, string | undefined, string, string])[] = [
  ['NOUSER', `dovegate: the backend says: no such user, id ${id}`, 'failed', 'failed'],
  ['NOPERM', `dovegate: denied by policy p (no rule; try again in 5 s), id ${id}`, 'failed', 'failed'],
  [
    'TEMPFAIL',
    `dovegate: over a limit of policy p; try again in 7 s, id ${id}`,
    'limited 7000',
    'limited 7000',
  ],
  ['TEMPFAIL', `dovegate: over a limit of policy p; try again, id ${id}`, 'limited', 'limited'],
  ['TEMPFAIL', `dovegate: too many commands are waiting; try again, id ${id}`, 'busy', 'busy'],
  ['TEMPFAIL', `dovegate: backend mail1 is not reachable (dial-refused), id ${id}`, 'busy', 'busy'],
  ['TEMPFAIL', 'dovegate: more than 3 sessions of anna at once', 'busy', 'busy'],
  [
    'TEMPFAIL',
    `dovegate: backend mail1 broke off; whether the command ran is not known, id ${id}`,
    'unknown',
    'broken',
  ],
  ['TEMPFAIL', `dovegate: backend mail1 did not answer in time, id ${id}`, 'unknown', 'broken'],
  ['TEMPFAIL', `dovegate: the audit record could not be written, id ${id}`, 'unknown', 'broken'],
  // A line of the backend's log is not the word of dovegate.
  ['TEMPFAIL', 'too many commands are waiting; try again', 'failed', 'broken'],
  ['TEMPFAIL', 'Mailbox x: Internal error occurred', 'failed', 'broken'],
  ['TEMPFAIL', undefined, 'failed', 'broken'],
];

void test('failures of a change and of a read', () => {
  for (const [code, text, change, read] of cases) {
    const logs = text === undefined ? [] : [{ type: 'error' as const, text, isCut: false }];
    const failure = new CommandFailed(code, undefined, [
      ...logs,
      { type: 'debug', text: 'x; try again', isCut: false },
    ]);
    const told = [false, true].map((isHarmless) => {
      const result = judgeFailure(failure, isHarmless);
      if (result.kind !== 'again') return result.kind;
      return `${result.why}${result.afterMs === undefined ? '' : ` ${result.afterMs}`}`;
    });
    assert.deepEqual(told, [change, read], text);
    const result = judgeFailure(failure, false);
    if (result.kind === 'ok') assert.fail();
    assert.equal(result.id, text?.includes(id) === true ? id : undefined);
    assert.doesNotMatch(result.message, /^dovegate: |, id /);
  }
});
