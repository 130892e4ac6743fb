import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes, isCode } from '../../../src/domain/codes/codes.js';
import type { UnjudgeableCode } from '../../../src/domain/policy/judge.js';
import type { ObstacleCode } from '../../../src/domain/policy/route.js';
import { type Ending, judgeEnding } from '../../../src/gateway/outcome/outcome.js';
import {
  JournalFault,
  TransportFault,
  UpstreamFault,
  WireFault,
  type WireFaultCode,
} from '../../../src/ports/faults.js';
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
      'the same may still run',
      { kind: 'still-running', first: '01KDYAK3487FXJ0FWSFTT3D0WN', backend: 'mail1' },
      'TEMPFAIL',
      'failed',
      'still-running',
      true,
    ],
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
      {
        code: verdict.code,
        outcome: verdict.outcome,
        error: verdict.error,
        isTold: verdict.clientCode !== undefined,
      },
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

// ending -> the code that the client reads
const more: readonly (readonly [string, Ending, string])[] = [
  ['limited', { kind: 'limited', limit: { policy: 'p' }, retryAfterMs: 4_200 }, 'over-limit'],
  ['tables full', { kind: 'limited', limit: 'questions', retryAfterMs: undefined }, 'limits-full'],
  ['changed', { kind: 'refused', why: 'changed-meanwhile' }, 'changed-meanwhile'],
  ['share', { kind: 'refused', why: 'audit-share' }, 'audit-share'],
  ['killed, sent', { kind: 'cut-off', isSent: true, by: 'operator' }, 'outcome-unknown'],
  ['killed, not sent', { kind: 'cut-off', isSent: false, by: 'operator' }, 'killed'],
  ['stopped, sent', { kind: 'cut-off', isSent: true }, 'outcome-unknown'],
  ['no record, sent', fault(new JournalFault('deadline', secret), true), 'outcome-unknown'],
  ['no record, not sent', fault(new JournalFault('deadline', secret), false), 'audit-failed'],
  [
    'a dial that failed after it was sent',
    fault(new UpstreamFault('tls-failed', secret), true),
    'outcome-unknown',
  ],
  ['closed, sent', fault(new UpstreamFault('closed-early', secret), true), 'closed-early'],
  ['closed, not sent', fault(new UpstreamFault('closed-early', secret), false), 'not-done'],
  ['reset, not sent', fault(new TransportFault('peer-gone', secret), false), 'not-done'],
  ['nonsense, not sent', fault(new WireFault('bad-frame', secret), false), 'not-done'],
  ['slow input', { kind: 'input-ended', why: 'slow' }, 'not-done'],
  ['refused input', { kind: 'input-refused', backend: 'mail1', answer: 'broke-off' }, 'not-done'],
  ['answered input', { kind: 'input-refused', backend: 'mail1', answer: 'no-status' }, 'early-answer'],
];

void test('the code that the client reads says whether the command may have run', () => {
  for (const [name, ending, code] of more) assert.equal(judgeEnding(ending).clientCode, code, name);
  for (const [name, ending] of [...table, ...more]) {
    const { clientCode, outcome } = judgeEnding(ending);
    if (clientCode === undefined) continue;
    const { repeat } = codes[clientCode];
    const isSent = 'isSent' in ending ? ending.isSent : undefined;
    if (isSent === true || outcome === 'unknown') assert.equal(repeat, 'unsafe', name);
    // A reply that was not read, or was late: it ran.
    const isCut = ending.kind === 'client-slow' || (ending.kind === 'over-share' && isSent === undefined);
    if (isCut || ending.kind === 'reply-timeout') assert.equal(repeat, 'unsafe', name);
    if (repeat !== 'unsafe')
      assert.ok(['failed', 'denied', 'limited', 'unparsable', 'aborted'].includes(outcome));
  }
  assert.equal(judgeEnding({ kind: 'limited', limit: { policy: 'p' }, retryAfterMs: 4_200 }).retryAfterS, 5);
});

const unreadable: readonly (UnjudgeableCode | ObstacleCode)[] = [
  'command-unknown',
  'unknown-option',
  'abbreviated-option',
  'value-not-taken',
  'value-missing',
  'value-type',
  'repeated-option',
  'surplus-argument',
  'argument-missing',
  'number-invalid',
  'ambiguous-argument',
  'text-invalid',
  'fields-invalid',
  'query-invalid',
  'user-invalid',
  'user-unknown',
  'user-surplus',
  'too-long',
  'too-many',
  'kills-server',
  'series-differ',
  'backends-differ',
  'all-users-series',
  'input-for-all',
  'cells-unknown',
  'not-over-http',
  'no-server-route',
  'no-single-user',
  'several-backends',
  'backend-newer',
  'release-unsure',
];
const wireCodes: readonly WireFaultCode[] = [
  'line-too-long',
  'bad-escape',
  'bad-version',
  'bad-command',
  'bad-status',
  'bad-frame',
  'unexpected-input',
];

const accessCodes = [
  'access-denied',
  'access-unknown',
  'access-invalid',
  'access-limit',
  'access-identity',
  'access-changed',
  'access-unrecorded',
] as const;

void test('every code of the table is produced, here or where a session or a request is refused', () => {
  const made = new Set(
    [...table, ...more].map(([, ending]) => judgeEnding(ending).clientCode as string | undefined),
  );
  const known = Object.keys(codes).filter(isCode);
  for (const code of unreadable) made.add(judgeEnding({ kind: 'unparsable', code, reason: 'x' }).clientCode);
  for (const code of wireCodes) made.add(judgeEnding(fault(new WireFault(code, secret), true)).clientCode);
  for (const code of ['dial-timeout', 'tls-failed', 'auth-rejected', 'version-unsupported'] as const)
    made.add(judgeEnding(fault(new UpstreamFault(code, secret), false)).clientCode);
  for (const code of accessCodes) made.add(judgeEnding({ kind: 'access', code, reason: 'x' }).clientCode);
  made.add(judgeEnding({ kind: 'denied', reason: 'x', policy: 'p', request: 'x' }).clientCode);
  made.add(judgeEnding({ kind: 'grant-over', grant: 'x', policy: 'p' }).clientCode);
  made.add(judgeEnding({ kind: 'cut-off', isSent: false, by: 'grant' }).clientCode);
  for (const why of ['cut', 'late', 'too-long', 'command-like'] as const)
    made.add(judgeEnding({ kind: 'input-ended', why }).clientCode);
  assert.deepEqual(
    known.filter((code) => !made.has(code)),
    [
      // gateway/session/session
      'line-too-long',
      'line-no-room',
      // gateway/relay/relay
      'backend-failed',
      'exists',
      'over-quota',
      // nobody is left to read them
      'client-gone',
      'client-stall',
      // gateway/session/refused-peer
      'sessions-limit',
      'not-configured',
      'peer-refused',
      // gateway/session/http-session
      'bad-request',
      'unauthenticated',
      'cross-origin',
      'unknown-path',
      'request-too-long',
      'no-room',
      'not-kept',
      // notices
      'waiting',
      'log-lines',
    ],
  );
});

void test('a client that hears nothing in time reads that the command may go on', () => {
  const { text = '' } = judgeEnding({ kind: 'reply-timeout', backend: 'mail1' });
  assert.match(
    text,
    /^backend mail1 did not answer in time; the command may have run, and may still run there/,
  );
  assert.match(text, /before you repeat a change$/);
});

void test('a reply after the deadline is the outcome, and the record says that it was late', () => {
  const late = (line: string, isSeveral = false): readonly unknown[] => {
    const status = parseStatus(Buffer.from(line));
    const { outcome, error, text } = judgeEnding(
      { kind: 'replied', status, peer: 'reply-timeout' },
      isSeveral,
    );
    return [outcome, error, text];
  };
  assert.deepEqual(late('+'), ['ok', 'reply-timeout', 'answered after the deadline: +']);
  assert.deepEqual(late('-NOTFOUND', true), [
    'partly',
    'reply-timeout',
    'answered after the deadline: -NOTFOUND',
  ]);
});
