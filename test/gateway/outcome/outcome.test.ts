import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Ending,
  judgeEnding,
  readTryAgain,
  saysMayHaveRun,
} from '../../../src/gateway/outcome/outcome.js';
import { JournalFault, TransportFault, UpstreamFault, WireFault } from '../../../src/ports/faults.js';
import { parseStatus } from '../../../src/protocol/reply/reply.js';

const secret = 'hunter2';
const fault = (cause: unknown, isSent: boolean): Ending => ({
  kind: 'fault',
  fault: cause,
  isSent,
  backend: 'mail1',
});

// ending -> status line code for the client (undefined: the backend's own), outcome, error code, told to the client
const table: readonly (readonly [string, Ending, string | undefined, string, string | undefined, boolean])[] =
  [
    [
      'success',
      { kind: 'replied', status: parseStatus(Buffer.from('+')), peer: 'ready' },
      undefined,
      'ok',
      undefined,
      false,
    ],
    [
      'a failure',
      { kind: 'replied', status: parseStatus(Buffer.from('-NOUSER')), peer: 'ready' },
      undefined,
      'failed',
      undefined,
      false,
    ],
    [
      'a bare failure',
      { kind: 'replied', status: parseStatus(Buffer.from('-')), peer: 'ready' },
      undefined,
      'failed',
      undefined,
      false,
    ],
    ['denied', { kind: 'denied', reason: 'no rule', policy: 'p' }, 'NOPERM', 'denied', undefined, true],
    [
      'unparsable',
      { kind: 'unparsable', code: 'user-invalid', reason: 'y' },
      'USAGE',
      'unparsable',
      'user-invalid',
      true,
    ],
    ['no route', { kind: 'unroutable', reason: 'none' }, 'TEMPFAIL', 'failed', 'no-route', true],
    ['queue full', { kind: 'refused', why: 'queue-full' }, 'TEMPFAIL', 'failed', 'queue-full', true],
    ['queue timeout', { kind: 'refused', why: 'queue-timeout' }, 'TEMPFAIL', 'failed', 'queue-timeout', true],
    ['drained', { kind: 'drained', backend: 'mail1' }, 'TEMPFAIL', 'failed', 'backend-drained', true],
    ['draining', { kind: 'refused', why: 'draining' }, 'TEMPFAIL', 'failed', 'draining', true],
    ['reserve', { kind: 'refused', why: 'audit-reserve' }, 'TEMPFAIL', 'failed', 'audit-reserve', true],
    [
      'journal',
      fault(new JournalFault('deadline', secret), false),
      'TEMPFAIL',
      'failed',
      'audit-failed',
      true,
    ],
    [
      'not dialled',
      fault(new UpstreamFault('dial-refused', secret), false),
      'TEMPFAIL',
      'failed',
      'dial-refused',
      true,
    ],
    [
      'broke off',
      fault(new UpstreamFault('closed-early', secret), true),
      'TEMPFAIL',
      'unknown',
      'closed-early',
      true,
    ],
    [
      'gone',
      fault(new TransportFault('peer-gone', secret), true),
      'TEMPFAIL',
      'unknown',
      'closed-early',
      true,
    ],
    [
      'nonsense',
      fault(new WireFault('bad-frame', secret), true),
      'TEMPFAIL',
      'unknown',
      'reply-bad-frame',
      true,
    ],
    ['a bug', fault(new Error(secret), true), 'TEMPFAIL', 'unknown', 'internal', true],
    ['a bug before sending', fault(secret, false), 'TEMPFAIL', 'failed', 'internal', true],
    [
      'success for a client that left',
      { kind: 'replied', status: parseStatus(Buffer.from('+')), peer: 'client-gone' },
      undefined,
      'ok',
      'client-gone',
      false,
    ],
    ['cut off', { kind: 'cut-off', isSent: true }, 'TEMPFAIL', 'unknown', 'draining', true],
    ['cut off before sending', { kind: 'cut-off', isSent: false }, 'TEMPFAIL', 'failed', 'draining', true],
    ['timeout', { kind: 'reply-timeout', backend: 'mail1' }, 'TEMPFAIL', 'timeout', 'reply-timeout', true],
    [
      'referral',
      { kind: 'referral', backend: 'mail1', target: undefined },
      'TEMPFAIL',
      'failed',
      'referral',
      true,
    ],
    [
      'unresolved',
      { kind: 'unresolved', code: 'dial-refused' },
      'TEMPFAIL',
      'failed',
      'lookup-dial-refused',
      true,
    ],
    ['answered here', { kind: 'answered' }, '', 'ok', undefined, false],
    [
      'joined, all well',
      { kind: 'joined', code: '', outcome: 'ok', error: undefined, text: undefined },
      '',
      'ok',
      undefined,
      false,
    ],
    [
      'joined, one down',
      { kind: 'joined', code: 'TEMPFAIL', outcome: 'failed', error: 'dial-refused', text: 'mail2: down' },
      'TEMPFAIL',
      'failed',
      'dial-refused',
      true,
    ],
    ['client gone', { kind: 'client-gone', isSent: true }, 'TEMPFAIL', 'aborted', 'client-gone', false],
    ['client stall', { kind: 'client-stall' }, 'TEMPFAIL', 'aborted', 'client-stall', false],
    ['client slow', { kind: 'client-slow' }, 'TEMPFAIL', 'aborted', 'client-slow', true],
    ['over share', { kind: 'over-share' }, 'TEMPFAIL', 'aborted', 'over-share', true],
    [
      'its search over share',
      { kind: 'over-share', isSent: false },
      'TEMPFAIL',
      'aborted',
      'over-share',
      true,
    ],
  ];

for (const [name, ending, code, outcome, error, isTold] of table) {
  test(`${name}: what is told, journalled and counted`, () => {
    const verdict = judgeEnding(ending);
    assert.deepEqual(
      { code: verdict.code, outcome: verdict.outcome, error: verdict.error, isTold: verdict.isTold },
      { code, outcome, error, isTold },
    );
    // A sentence for operators wherever it is not the backend's own answer, and never what a fault says of itself.
    assert.equal(verdict.text === undefined, verdict.code === undefined || verdict.code === '');
    assert.ok(!(verdict.text ?? '').includes(secret));
  });
}

test('the log has a line at its usual level for all but what simply went well', () => {
  const quiet = table.filter(([, ending]) => judgeEnding(ending).level === 'debug').map(([name]) => name);
  assert.deepEqual(quiet, ['success', 'joined, all well']);
});

const id = '01KDYAK3487FXJ0FWSFTT3D0WN';

void test('a sentence that permits another attempt is of a command of which nothing was sent', () => {
  const limited: Ending = { kind: 'limited', policy: 'p', retryAfterMs: 4_200 };
  const changed: Ending = {
    kind: 'unroutable',
    reason: 'the configuration changed while the command waited; try again',
  };
  const full: Ending = { kind: 'limited', policy: undefined, retryAfterMs: undefined };
  const named = table.map(([name, ending]) => [name, ending] as const);
  const permitted: string[] = [];
  for (const [name, ending] of [
    ...named,
    ['limited', limited],
    ['tables full', full],
    ['changed', changed],
  ] as const) {
    const { text = '', outcome } = judgeEnding(ending);
    // Over a socket and over HTTP.
    const said = readTryAgain(`dovegate: ${text}, id ${id}`);
    assert.deepEqual(readTryAgain(text), said, name);
    // `aborted`: the client did something while it ran.
    const isCut =
      ending.kind === 'client-slow' || (ending.kind === 'over-share' && ending.isSent === undefined);
    const isOpen = outcome === 'unknown' || outcome === 'timeout' || isCut;
    if (isOpen) assert.ok(saysMayHaveRun(`dovegate: ${text}, id ${id}`), name);
    else if (ending.kind === 'over-share') assert.ok(!saysMayHaveRun(text), name);
    if (said === undefined) continue;
    assert.ok(!saysMayHaveRun(text), name);
    permitted.push(name);
    assert.ok(outcome === 'failed' || outcome === 'limited', name);
    if ('isSent' in ending) assert.equal(ending.isSent, false, name);
    assert.equal(said.afterMs, name === 'limited' ? 5_000 : undefined, name);
  }
  assert.deepEqual(permitted, [
    'queue full',
    'queue timeout',
    'drained',
    'draining',
    'not dialled',
    'cut off before sending',
    'unresolved',
    'limited',
    'tables full',
    'changed',
  ]);
});

void test('other sentences permit none, whatever they hold', () => {
  assert.deepEqual(readTryAgain('dovegate: more than 3 sessions of anna at once'), { afterMs: undefined });
  for (const text of [
    '',
    'try again',
    'x; try again later',
    'backend mail1 is not reachable (x) any more',
    '; try again in  s',
    'Mailbox is locked; try again',
    'x\ntoo many commands are waiting; try again',
    'too many commands are waiting; try again\n',
  ])
    assert.equal(readTryAgain(text), undefined, text);
});
