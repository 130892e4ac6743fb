// Goal: one ending of several tells no better story than they do. Table of parts to endings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatus, type Status } from '../../../src/doveadm/reply/reply.js';
import { joinEndings, type Part } from '../../../src/gate/command/dispatch.js';
import { type Ending, judgeEnding } from '../../../src/gate/outcome/outcome.js';

const status: Status = { kind: 'ok', code: '', raw: Buffer.from('+') };

function part(backend: string, ending: Ending): Part {
  const attempt = {
    backend,
    upstream: undefined,
    isSent: true,
    isReused: false,
    waitMs: undefined,
    count: undefined,
  };
  return { attempt, ending };
}

const broken: Ending = { kind: 'reply-timeout', backend: 'mail2' };

// [what, how the first ended, how the second did, outcome, error]
const table: readonly (readonly [string, Ending, Ending, string, string | undefined])[] = [
  [
    'a client that did not read, of an answer that is whole',
    { kind: 'replied', status, peer: 'client-stall' },
    { kind: 'replied', status, peer: 'ready' },
    'ok',
    'client-stall',
  ],
  [
    'a client that did not read hides no backend that failed',
    { kind: 'replied', status, peer: 'client-stall' },
    broken,
    'timeout',
    'reply-timeout',
  ],
  [
    'whichever came first',
    broken,
    { kind: 'replied', status, peer: 'client-gone' },
    'timeout',
    'reply-timeout',
  ],
];
void test('nor does one who left, or who was never asked since we stop, hide that another may have run', () => {
  const unsent: Ending = { kind: 'cut-off', isSent: false };
  const gone: Ending = { kind: 'client-gone', isSent: false };
  // [the two, outcome, error]
  const pairs: readonly (readonly [Ending, Ending, string, string])[] = [
    [unsent, { kind: 'cut-off', isSent: true }, 'unknown', 'draining'],
    [gone, { kind: 'reply-timeout', backend: 'mail2' }, 'timeout', 'reply-timeout'],
    [{ kind: 'replied', status, peer: 'ready' }, gone, 'aborted', 'client-gone'],
    [{ kind: 'replied', status, peer: 'ready' }, unsent, 'failed', 'draining'],
  ];
  for (const [first, second, outcome, error] of pairs) {
    for (const parts of [
      [part('mail1', first), part('mail2', second)],
      [part('mail1', second), part('mail2', first)],
    ]) {
      const joined = judgeEnding(joinEndings(parts, ['mail1', 'mail2']));
      assert.deepEqual([joined.outcome, joined.error], [outcome, error]);
    }
  }
});

void test('a change that one backend refused and another did is partly done; a read, or what nobody did, has failed', () => {
  const replied = (line: string): Ending => ({
    kind: 'replied',
    status: parseStatus(Buffer.from(line)),
    peer: 'ready',
  });
  for (const [changes, first, second, outcome] of [
    ['one', '-NOPERM', '+', 'partly'],
    ['one', '-NOPERM', '-NOTFOUND', 'failed'],
    ['several', '-NOPERM', '-NOTFOUND', 'partly'],
    ['several', '-NOUSER', '-NOUSER', 'failed'],
    ['several', '+', '-NOTFOUND', 'ok'],
    ['nothing', '-NOPERM', '+', 'failed'],
  ] as const) {
    const parts = [part('mail1', replied(first)), part('mail2', replied(second))];
    const joined = judgeEnding(joinEndings(parts, ['mail1', 'mail2'], changes));
    assert.equal(joined.outcome, outcome, `${changes} ${first} ${second}`);
  }
});

void test('the error is that of the part that the outcome is of', () => {
  const parts = [part('mail1', { kind: 'refused', why: 'queue-full' }), part('mail2', broken)];
  const joined = judgeEnding(joinEndings(parts, ['mail1', 'mail2']));
  assert.deepEqual([joined.outcome, joined.error], ['timeout', 'reply-timeout']);
});

for (const [what, first, second, outcome, error] of table) {
  void test(what, () => {
    const joined = judgeEnding(
      joinEndings([part('mail1', first), part('mail2', second)], ['mail1', 'mail2']),
    );
    assert.deepEqual([joined.outcome, joined.error], [outcome, error]);
  });
}
