import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes, isCode } from '../../../src/doveadm/codes/codes.js';
import { parseStatus, type Status } from '../../../src/doveadm/reply/reply.js';
import { type DuplexEnd, type Ending, judgeEnding } from '../../../src/gate/outcome/outcome.js';
import {
  JournalFault,
  TransportFault,
  UpstreamFault,
  type UpstreamFaultCode,
  WireFault,
  type WireFaultCode,
} from '../../../src/host/ports/faults.js';
import type { UnjudgeableCode } from '../../../src/rules/policy/judge.js';
import type { ObstacleCode } from '../../../src/rules/policy/route.js';

const secret = 'hunter2';
const fault = (cause: unknown, isSent: boolean): Ending => ({
  kind: 'fault',
  fault: cause,
  isSent,
  backend: 'mail1',
});
const broke = (code: UpstreamFaultCode, isSent: boolean): Ending =>
  fault(new UpstreamFault(code, secret), isSent);
const gone = (isSent: boolean): Ending => fault(new TransportFault('peer-gone', secret), isSent);
const nonsense = (isSent: boolean): Ending => fault(new WireFault('bad-frame', secret), isSent);
const unrecorded = (isSent: boolean): Ending => fault(new JournalFault('deadline', secret), isSent);
const statusOf = (line: string) => parseStatus(Buffer.from(line));
type Replied = Extract<Ending, { kind: 'replied' }>;
const replied = (line: string, peer: Replied['peer'] = 'ready'): Ending => ({
  kind: 'replied',
  status: statusOf(line),
  peer,
});
const refused = (why: Extract<Ending, { kind: 'refused' }>['why']): Ending => ({ kind: 'refused', why });
const backend = 'mail1';
const first = '01KDYAK3487FXJ0FWSFTT3D0WN';
const joined = { kind: 'joined', code: '', outcome: 'ok', error: undefined, text: undefined } as const;
const joinedDown = {
  code: 'TEMPFAIL',
  outcome: 'failed',
  error: 'dial-refused',
  text: 'mail2: down',
} as const;

/** What happened, the ending, and `CODE OUTCOME ERROR`: `=` for the backend's own status, `-` for no error; `!`: the client is told. */
type Row = readonly [string, Ending, string];

const table: readonly Row[] = [
  ['success', replied('+'), '= ok -'],
  ['a failure', replied('-NOUSER'), '= failed -'],
  ['a bare failure', replied('-'), '= failed -'],
  ['denied', { kind: 'denied', code: 'no-rule', reason: 'no rule', policy: 'p' }, 'NOPERM denied - !'],
  [
    'unparsable',
    { kind: 'unparsable', code: 'user-invalid', reason: 'y' },
    'USAGE unparsable user-invalid !',
  ],
  ['no route', { kind: 'unroutable', reason: 'none' }, 'TEMPFAIL failed no-route !'],
  ['queue full', refused('queue-full'), 'TEMPFAIL failed queue-full !'],
  ['queue timeout', refused('queue-timeout'), 'TEMPFAIL failed queue-timeout !'],
  ['drained', { kind: 'drained', backend }, 'TEMPFAIL failed backend-drained !'],
  ['refused by the backend', { kind: 'backend-refused', backend }, 'NOPERM failed backend-refused !'],
  ['draining', refused('draining'), 'TEMPFAIL failed draining !'],
  ['reserve', refused('audit-reserve'), 'TEMPFAIL failed audit-reserve !'],
  ['journal', unrecorded(false), 'TEMPFAIL failed audit-failed !'],
  ['not dialled', broke('dial-refused', false), 'TEMPFAIL failed dial-refused !'],
  ['broke off', broke('closed-early', true), 'TEMPFAIL unknown closed-early !'],
  ['gone', gone(true), 'TEMPFAIL unknown closed-early !'],
  ['nonsense', nonsense(true), 'TEMPFAIL unknown reply-bad-frame !'],
  ['a bug', fault(new Error(secret), true), 'TEMPFAIL unknown internal !'],
  ['a bug before sending', fault(secret, false), 'TEMPFAIL failed internal !'],
  ['success for a client that left', replied('+', 'client-gone'), '= ok client-gone'],
  ['cut off', { kind: 'cut-off', isSent: true }, 'TEMPFAIL unknown draining !'],
  ['cut off before sending', { kind: 'cut-off', isSent: false }, 'TEMPFAIL failed draining !'],
  ['timeout', { kind: 'reply-timeout', backend }, 'TEMPFAIL timeout reply-timeout !'],
  ['the same may still run', { kind: 'still-running', first, backend }, 'TEMPFAIL failed still-running !'],
  ['referral', { kind: 'referral', backend, target: undefined }, 'TEMPFAIL failed referral !'],
  ['unresolved', { kind: 'unresolved', code: 'dial-refused' }, 'TEMPFAIL failed lookup-dial-refused !'],
  ['answered here', { kind: 'answered' }, '+ ok -'],
  ['joined, all well', joined, '+ ok -'],
  ['joined, one down', { ...joined, ...joinedDown }, 'TEMPFAIL failed dial-refused !'],
  ['client gone', { kind: 'client-gone', isSent: true }, 'TEMPFAIL aborted client-gone'],
  ['client stall', { kind: 'client-stall' }, 'TEMPFAIL aborted client-stall'],
  ['client slow', { kind: 'client-slow' }, 'TEMPFAIL aborted client-slow !'],
  ['over share', { kind: 'over-share' }, 'TEMPFAIL aborted over-share !'],
  ['its search over share', { kind: 'over-share', isSent: false }, 'TEMPFAIL aborted over-share !'],
];

const input = (why: Extract<Ending, { kind: 'input-ended' }>['why']): Ending => ({
  kind: 'input-ended',
  why,
});
const early = (answer: Status | 'no-status' | 'broke-off'): Ending => ({
  kind: 'input-refused',
  backend,
  answer,
});
const duplex = (how: DuplexEnd): Ending => ({ kind: 'duplex-ended', backend, how });

/** `unknown` only where the backend may have carried something out. */
const withInput: readonly Row[] = [
  ['input cut', input('cut'), 'TEMPFAIL aborted input-cut !'],
  ['input too long', input('too-long'), 'DATAERR limited input-too-long !'],
  ['input late', input('late'), 'TEMPFAIL timeout input-late !'],
  ['input slow', input('slow'), 'TEMPFAIL aborted client-slow !'],
  ['input over share', input('over-share'), 'TEMPFAIL aborted over-share !'],
  ['input like a command', input('command-like'), 'DATAERR failed input-command-like !'],
  ['a failure before the dot', early(statusOf('-USAGE')), 'USAGE failed early-answer !'],
  ['a bare failure before the dot', early(statusOf('-')), 'UNKNOWN failed early-answer !'],
  ['success before the dot', early(statusOf('+')), 'TEMPFAIL unknown early-answer !'],
  ['a referral before the dot', early(statusOf('-REFERRAL a@b')), 'TEMPFAIL unknown early-answer !'],
  ['rows before the dot', early('no-status'), 'TEMPFAIL unknown early-answer !'],
  ['broke off before the dot', early('broke-off'), 'TEMPFAIL failed closed-early !'],
  ['both ways, ended', duplex('ended'), '= ok -'],
  ['both ways, the backend broke off', duplex('backend-broke'), '= unknown closed-early'],
  ['both ways, silence', duplex('idle'), '= timeout reply-timeout'],
  ['both ways, a client that does not read', duplex('client-stall'), '= aborted client-stall'],
  ['both ways, a client that left', duplex('client-gone'), '= aborted client-gone'],
  ['both ways, while we stop', duplex('draining'), '= unknown draining'],
  ['both ways, killed', duplex('killed'), '= unknown killed'],
];

for (const [name, ending, expected] of [...table, ...withInput]) {
  test(`${name}: what is told, journalled and counted`, () => {
    const { code, outcome, error = '-', clientCode, text } = judgeEnding(ending);
    const status = code === undefined ? '=' : code === '' ? '+' : code;
    const told = clientCode === undefined ? '' : ' !';
    assert.equal(`${status} ${outcome} ${error}${told}`, expected);
    // A sentence for operators wherever it is not the backend's own answer, and never what a fault says of itself.
    const hasSentence = ending.kind === 'duplex-ended' ? outcome !== 'ok' : status !== '=' && status !== '+';
    assert.equal(text !== undefined, hasSentence);
    assert.ok(!(text ?? '').includes(secret));
  });
}

test('the log has a line at its usual level for all but what simply went well', () => {
  const quiet = table.filter(([, ending]) => judgeEnding(ending).level === 'debug').map(([name]) => name);
  assert.deepEqual(quiet, ['success', 'joined, all well']);
});

// ending -> the code that the client reads
const more: readonly (readonly [string, Ending, string])[] = [
  ['limited', { kind: 'limited', limit: 'the rate of policy p (1/hour)', retryAfterMs: 4_200 }, 'over-limit'],
  ['tables full', { kind: 'limited', limit: 'a limit of policy p', retryAfterMs: undefined }, 'limits-full'],
  ['changed', refused('changed-meanwhile'), 'changed-meanwhile'],
  ['share', refused('audit-share'), 'audit-share'],
  ['killed, sent', { kind: 'cut-off', isSent: true, by: 'operator' }, 'outcome-unknown'],
  ['killed, not sent', { kind: 'cut-off', isSent: false, by: 'operator' }, 'killed'],
  ['stopped, sent', { kind: 'cut-off', isSent: true }, 'outcome-unknown'],
  ['no record, sent', unrecorded(true), 'outcome-unknown'],
  ['no record, not sent', unrecorded(false), 'audit-failed'],
  ['a dial that failed after it was sent', broke('tls-failed', true), 'outcome-unknown'],
  ['closed, sent', broke('closed-early', true), 'closed-early'],
  ['closed, not sent', broke('closed-early', false), 'not-done'],
  ['reset, not sent', gone(false), 'not-done'],
  ['nonsense, not sent', nonsense(false), 'not-done'],
  ['slow input', input('slow'), 'not-done'],
  ['refused input', early('broke-off'), 'not-done'],
  ['answered input', early('no-status'), 'early-answer'],
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
  assert.equal(judgeEnding({ kind: 'limited', limit: 'a', retryAfterMs: 4_200 }).retryAfterS, 5);
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
    made.add(judgeEnding(broke(code, false)).clientCode);
  for (const code of accessCodes) made.add(judgeEnding({ kind: 'access', code, reason: 'x' }).clientCode);
  made.add(
    judgeEnding({ kind: 'denied', code: 'no-rule', reason: 'x', policy: 'p', request: 'x' }).clientCode,
  );
  made.add(judgeEnding({ kind: 'grant-over', grant: 'x', policy: 'p' }).clientCode);
  for (const code of ['locked', 'held', 'lock-unread'] as const)
    made.add(judgeEnding({ kind: 'locked', code, lock: 'x', isNamed: true, values: {} }).clientCode);
  made.add(judgeEnding({ kind: 'cut-off', isSent: false, by: 'grant' }).clientCode);
  for (const why of ['cut', 'late', 'too-long', 'command-like'] as const)
    made.add(judgeEnding(input(why)).clientCode);
  assert.deepEqual(
    known.filter((code) => !made.has(code)),
    [
      // gate/session/session
      'line-too-long',
      'line-no-room',
      // gate/relay/relay
      'backend-failed',
      'exists',
      'over-quota',
      // nobody is left to read them
      'client-gone',
      'client-stall',
      'stopped',
      // gate/session/refused-peer
      'sessions-limit',
      'not-configured',
      'peer-refused',
      // gate/session/http-session
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
  const { text = '' } = judgeEnding({ kind: 'reply-timeout', backend });
  assert.match(
    text,
    /^backend mail1 did not answer in time; the command may have run, and may still run there/,
  );
  assert.match(text, /before you repeat a change$/);
});

void test('a reply after the deadline is the outcome, and the record says that it was late', () => {
  const late = (line: string, isSeveral = false): readonly unknown[] => {
    const { outcome, error, text } = judgeEnding(replied(line, 'reply-timeout'), isSeveral);
    return [outcome, error, text];
  };
  assert.deepEqual(late('+'), ['ok', 'reply-timeout', 'answered after the deadline: +']);
  assert.deepEqual(late('-NOTFOUND', true), [
    'partly',
    'reply-timeout',
    'answered after the deadline: -NOTFOUND',
  ]);
});
