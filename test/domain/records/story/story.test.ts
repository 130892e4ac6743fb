// What became of a command, folded from its records: also of records that are cut, missing, or hold nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AuditRecord, formatTime } from '../../../../src/domain/records/audit/record.js';
import {
  classOfOutcome,
  countedWords,
  outcomeOf,
  remarkOf,
  requesterOf,
} from '../../../../src/domain/records/story/row.js';
import { foldStory, storyOfRow } from '../../../../src/domain/records/story/story.js';
import {
  causeWords,
  denialWords,
  rightWords,
  tellStory,
  whyWords,
} from '../../../../src/domain/records/story/words.js';
import { approved, approver, grantRecords, over, owner } from '../../../kit/access-records.js';

const fold = (...records: readonly object[]) =>
  foldStory(
    records.map((record) => ({ ...record })),
    'X',
  );
const told = (...records: readonly object[]) => tellStory(fold(...records));

const admission = {
  seq: 4,
  time: '2026-11-21T10:00:00.105Z',
  event: 'admission',
  id: 'X',
  session: 'S',
  decision: 'allow',
  policy: 'support',
  rule: 'd.yaml:7',
  principal: 'anna@support',
  peer: { uid: 1000, exe: '/usr/bin/doveadm' },
  command: 'expunge',
  args: ['mailbox', { hmac: 'ab12' }, { more: 3 }],
};
const completion = {
  seq: 6,
  time: '2026-11-21T10:00:00.200Z',
  event: 'completion',
  id: 'X',
  outcome: 'ok',
  status: '+',
  sent: true,
  wait_ms: 20.5,
  first_byte_ms: 30,
  duration_ms: 100,
};
const unsent = { ...completion, status: '-TEMPFAIL', sent: false };
const denied = { ...admission, decision: 'deny', rule: undefined, text: 'no rule allows "expunge"' };
const refused = { ...unsent, outcome: 'denied', status: '-NOPERM' };

/** What happened, its records, and the sentence. */
const endings: readonly (readonly [what: string, records: readonly object[], sentence: string])[] = [
  ['it went well', [admission, completion], ''],
  ['denied by the rules', [denied, refused], 'denied by policy support (no rule allows "expunge")'],
  [
    'denied beside a candidate',
    [{ ...denied, shadow: 'served', shadow_why: 'x.yaml:3: y' }, refused],
    'denied by policy support (no rule allows "expunge")',
  ],
  [
    'denied after a rule allowed it',
    [admission, { ...refused, text: 'denied by policy support (the client must say why)' }],
    'denied by policy support (the client must say why)',
  ],
  [
    'available on request',
    [denied, { ...refused, error: 'on-request', text: 'denied by policy support; available on request: y' }],
    'denied by policy support; available on request: y',
  ],
  [
    'not understood',
    [
      { ...denied, text: 'no option "x"' },
      { ...unsent, outcome: 'unparsable', error: 'unknown-option' },
    ],
    'not understood, so not sent: no option "x"',
  ],
  [
    'no connection',
    [admission, { ...unsent, outcome: 'failed', error: 'dial-refused', backend: 'mail1' }],
    'backend mail1 is not reachable (dial-refused)',
  ],
  [
    'a look-up',
    [admission, { ...unsent, outcome: 'failed', error: 'lookup-reply-timeout' }],
    'the userdb could not be asked who is meant (reply-timeout); try again',
  ],
  [
    'a code of another release',
    [admission, { ...unsent, outcome: 'failed', error: 'constructor' }],
    'it ended with the code "constructor", which this dovegate does not know',
  ],
  [
    "the backend's answer",
    [admission, { ...completion, outcome: 'failed', status: '-NOTFOUND' }],
    'the backend says: not found',
  ],
  ['no end', [admission], 'it runs still, or its end was not recorded'],
  [
    'overdue',
    [
      admission,
      {
        event: 'log',
        id: 'X',
        level: 'warn',
        text: 'no answer in time: the client got -TEMPFAIL; the command may still run',
      },
    ],
    'no answer came in time, and the client got -TEMPFAIL; it may still run, and its end is not recorded',
  ],
  [
    'killed with the process',
    [admission, { event: 'completion', id: 'X', outcome: 'unknown', error: 'stopped' }],
    'dovegate ended before it did; whether it ran is not known',
  ],
];
for (const [what, records, sentence] of endings)
  void test(`why it ended so: ${what}`, () => {
    assert.equal(causeWords(fold(...records).ended.cause), sentence);
    // A row of a search has the same: its keys are those of both records.
    const [first = {}, last = {}] = records.map(
      (record): Readonly<Record<string, unknown>> => ({ ...record }),
    );
    if (last['event'] === 'log') return;
    const text = first['text'] ?? last['text'];
    const fields = { ...first, ...last, ...(text !== undefined && { text }) };
    const said = typeof last['text'] === 'string' ? { said: last['text'] } : {};
    const row = { fields, ...said, ...(records.length > 1 && { completedSeq: 6 }) };
    assert.equal(causeWords(storyOfRow(row).ended.cause), sentence);
  });

void test('a line of the backend is no remark of dovegate', () => {
  const text = 'no answer in time: the client got +; x';
  const { ended } = fold(admission, { event: 'log', id: 'X', level: 'warn', upstream: 'mail1-1', text });
  assert.deepEqual(ended.cause, { kind: 'open', status: undefined });
});

void test('by which right: a rule, a grant with its approvers, or nothing that the records still hold', () => {
  const right = (...records: readonly object[]) => rightWords(fold(...records).decided);
  assert.equal(right(admission), 'rule d.yaml:7 of policy support');
  assert.equal(right(denied), 'no rule of policy support');
  const observed = { ...admission, rule: undefined, would: 'denied' };
  assert.equal(right(observed), 'no rule of policy support, which only observes');
  assert.equal(right({ event: 'log', id: 'X' }), 'no decision is recorded');
  const under = { ...admission, grant: 'G' };
  const read = (records: readonly AuditRecord[]) =>
    records.map((record) => ({ ...record, time: formatTime(record.time) }));
  const other = approved('other', 3, { principal: 'mallory@leads' });
  assert.equal(
    right(...read([...grantRecords('G', 1), other]), under, ...read([over('reviewed', 'G', 9)])),
    `grant G: ${owner} asked, approved by ${approver}`,
  );
  assert.equal(right(under), 'grant G: approvers are no longer in the kept records');
});

void test('whether a backend got it: as its end says; without one only a denial is sure', () => {
  const sent = (...records: readonly object[]) => fold(...records).sent;
  assert.equal(sent(admission, completion), 'yes');
  assert.equal(sent(admission, unsent), 'no');
  assert.equal(sent(admission), 'maybe');
  assert.equal(sent(denied), 'no');
  assert.equal(sent(admission, { event: 'completion', id: 'X', outcome: 'unknown' }), 'maybe');
});

void test('an approver is no requester, and a count of dovegate is not of a client', () => {
  const row = {
    fields: { event: 'access', action: 'approved', principal: 'carol@leads', to: 'anna@support' },
    completedSeq: 1,
  };
  assert.deepEqual(
    [requesterOf(row), outcomeOf(row), remarkOf(row)],
    ['anna@support', 'approved', 'by carol@leads'],
  );
  const own = {
    fields: { event: 'access', action: 'requested', principal: 'anna@support' },
    completedSeq: 1,
  };
  assert.deepEqual([requesterOf(own), remarkOf(own)], ['anna@support', '']);
  assert.equal(countedWords(fold({ ...admission, for: 'E' }).asked), 'counted by dovegate for E');
  assert.equal(
    countedWords(fold({ ...admission, for: 'E', request: 'R' }).asked),
    'counted by dovegate for request R',
  );
  assert.equal(countedWords(fold(admission).asked), '');
  assert.deepEqual(['ok', 'limited', 'partly', 'aborted', 'open', ''].map(classOfOutcome), [
    'ok',
    'denied',
    'failed',
    'unknown',
    'unknown',
    'unknown',
  ]);
});

void test('the line of time: what the records have of it, each step after the one before', () => {
  const life = told(admission, completion).life.map(({ what, ms }) => [what, ms]);
  assert.deepEqual(life, [
    ['came', 0],
    ['recorded', 5],
    ['sent', 25.5],
    ['first byte', 55.5],
    ['ended', 100],
  ]);
  const early = told(admission, { ...unsent, wait_ms: undefined, outcome: 'denied' }).life;
  assert.deepEqual(
    early.map(({ what, ms }) => [what, ms]),
    [
      ['came', 0],
      ['recorded', 5],
      ['sent', undefined],
      ['ended', 100],
    ],
  );
  assert.match(early[2]?.about ?? '', /nothing was sent to a backend/);
  assert.deepEqual(
    told(admission).life.map(({ what }) => what),
    ['came', 'recorded', 'sent', 'not ended'],
  );
  // The clock was set back between the two: nothing is negative or after the end.
  const odd = told({ ...admission, time: '2026-11-21T11:00:00.000Z' }, completion).life;
  assert.ok(odd.every(({ ms = 0 }) => ms >= 0 && ms <= 100));
  assert.ok(told({ event: 'admission', id: 'X' }).life.every(({ ms = 0 }) => ms === 0));
});

void test('a denial has the same words in a row, on its page and in Now, and what the client got is said beside them', () => {
  const denial = { ...admission, decision: 'deny', text: 'no rule allows "expunge Secret"' };
  const ended = { ...completion, outcome: 'denied', denial: 'no-rule', sent: false, status: '-NOPERM' };
  const words = 'denied by policy support (no rule names the command, d.yaml:7)';
  const { answer, remarks } = told(denial, ended);
  const row = { fields: { ...denial, ...ended, event: undefined }, completedSeq: 6 };
  const now = denialWords('no-rule', {
    policy: 'support',
    place: '/etc/dovegate/d.yaml:7',
    isOffered: false,
  });
  assert.deepEqual([answer, whyWords(row), now], [words, words, words]);
  assert.deepEqual(remarks, ['the client got: denied by policy support (no rule allows "expunge Secret")']);
  const offered = told(denial, {
    ...ended,
    error: 'on-request',
    text: 'denied by policy support; ask with X',
  });
  assert.equal(offered.answer, `${words}; available on request`);
  assert.deepEqual(offered.remarks, ['the client got: denied by policy support; ask with X']);
});

void test('a rule that allows it and a reason that refuses it are one answer wherever the page has it', () => {
  const { why, life } = told(admission, { ...refused, denial: 'no-reason' });
  const words = 'denied: a rule allows it, but its rule asks for a reason, and the client gave none';
  assert.deepEqual(why[0], { what: 'Decision', value: words });
  assert.equal(life.find((step) => step.what === 'recorded')?.about, words);
});

void test('the most that a command can do is told as its badge has it', () => {
  const most = tellStory(fold({ ...admission, effect: 'read' }, completion), 'yes').what;
  assert.deepEqual(most[1], { what: 'The most it can do', value: 'content' });
});

void test('of what has sent bytes to the client it is known that it ran', () => {
  const killed = {
    ...completion,
    outcome: 'unknown',
    error: 'killed',
    text: 'an operator ended it; whether the command ran is not known',
  };
  const { answer, next } = told(
    { ...admission, effect: 'read' },
    { ...killed, bytes_in: 4_103_700, bytes_out: 4_103_858 },
  );
  assert.equal(
    answer,
    'unknown: an operator ended it; it ran, in part: some of its answer went to the client',
  );
  assert.match(next ?? '', /^next: the requester, who can send it again/);
  // No more than a sentence of ours, or no byte of the backend.
  for (const little of [{ bytes_out: 90 }, { bytes_out: 9000, bytes_in: 0 }])
    assert.match(told(admission, { ...killed, ...little }).answer, /whether the command ran is not known$/);
});

void test('codes of records are words with their code behind, and those of another release stay as they are', () => {
  const { what, life, closed } = told(
    admission,
    { ...completion, outcome: 'limited', error: 'over-limit', denial: 'no-reason', status: '-TEMPFAIL' },
    { event: 'session-close', session: admission.session, reason: 'peer-ended' },
  );
  assert.deepEqual(what.slice(-2), [
    { what: 'Error', value: 'over a rate, a limit or distinct_users of the policy [over-limit]' },
    { what: 'Denied for', value: 'its rule asks for a reason, and the client gave none [no-reason]' },
  ]);
  assert.equal(life.at(-1)?.about, 'limited, answered with an error: temporary failure (-TEMPFAIL)');
  assert.equal(life.find((step) => step.what === 'recorded')?.about, 'allowed');
  assert.equal(closed?.text, 'the other side had said all that it wanted');
  const strange = told(admission, { ...completion, error: 'soon', denial: 'toString' });
  assert.deepEqual(
    strange.what.slice(-2).map(({ value }) => value),
    ['soon', 'toString'],
  );
});

void test('who, what and why are what the records say, and nothing that they do not', () => {
  const one = told(admission, completion);
  assert.deepEqual(one.who, [
    { what: 'Name', value: 'anna@support' },
    { what: 'uid', value: '1000' },
    { what: 'Program', value: '/usr/bin/doveadm' },
  ]);
  assert.deepEqual(one.what, [{ what: 'Command', value: 'expunge' }]);
  assert.deepEqual(one.why, [
    { what: 'Decision', value: 'allowed' },
    { what: 'By', value: 'rule d.yaml:7 of policy support' },
  ]);
  assert.deepEqual(
    [one.outcome, one.tookMs, one.uid, one.answer, one.next, one.remarks],
    ['ok', 100, 1000, 'allowed by rule d.yaml:7 of policy support', undefined, []],
  );
  for (const strange of [
    { event: 'admission', id: 'X', args: 'x', peer: 'y' },
    { event: 'log', id: 'X' },
  ])
    assert.deepEqual([told(strange).who, told(strange).asked.args], [[], undefined]);
  assert.match(told({ event: 'log', id: 'X' }).remarks.join(), /its admission is not in the kept records/);
});

void test('arguments are joined; one that is missing is said', () => {
  const long = { ...admission, args: ['a', { more: 1 }], argument_records: 1 };
  const part = { event: 'arguments', id: 'X', args: ['a', 'b'] };
  assert.deepEqual(fold(long, part, completion).asked.args, ['a', 'b']);
  assert.match(told(long, completion).remarks.join(), /argument records are missing/);
});

void test('its session and its twins are apart from it', () => {
  const { records } = fold(
    { seq: 3, event: 'session-open', session: 'S' },
    admission,
    { seq: 5, event: 'admission', id: 'T', for: 'X' },
    completion,
  );
  assert.equal(records.opened?.['seq'], 3);
  assert.deepEqual(
    records.twins.map(({ id }) => id),
    ['T'],
  );
});

void test('what was left open at a crash is for the requester to find out', () => {
  const left = { ...completion, outcome: 'unknown', error: 'stopped' };
  const next = 'next: the requester, who can look on the mail server whether it ran, and then send it again';
  assert.equal(told(admission, left).next, next);
});

void test('what an operator ended names the operator, as far as the record of it is there', () => {
  const killed = { ...completion, outcome: 'unknown', error: 'killed', status: '-TEMPFAIL' };
  const kill = { seq: 5, event: 'operator', action: 'kill', id: 'X', by: 'page:erin', outcome: 'ok' };
  const again = 'next: the requester, who can look on the mail server whether it ran, and then send it again';
  const unknown = `${again}, or ask an operator of dovegate, who ended it`;
  assert.equal(told(admission, kill, killed).next, `${again}, or ask the operator page:erin, who ended it`);
  assert.equal(told(admission, killed).next, unknown);
  for (const other of [
    { ...kill, id: 'Y' },
    { ...kill, outcome: 'failed' },
  ])
    assert.equal(told(admission, other, killed).next, unknown);
  assert.match(
    told(admission, kill, { ...killed, outcome: 'failed', sent: false }).next ?? '',
    /who can send it again, or ask the operator page:erin, /,
  );
  // It ended by itself before it could be ended.
  assert.equal(told(admission, kill, completion).next, undefined);
});

void test('what a drained backend did not take is sent again when it is back; who drained it, and why, is told', () => {
  const refusedThere = { ...unsent, outcome: 'failed', error: 'backend-drained', backend: 'mail1' };
  const drain = { event: 'operator', action: 'drain', backend: 'mail1', by: 'erin', reason: 'new disk' };
  const next = 'next: the requester, who can send it again when mail1 is back in service; it was drained by ';
  assert.equal(told(admission, refusedThere).next, `${next}an operator or the configuration`);
  assert.equal(told({ ...drain, outcome: 'ok' }, admission, refusedThere).next, `${next}erin (new disk)`);
});

void test('who acts next after a denial: who writes policies, or the requester where it can be said better or asked for', () => {
  const writer = 'the person who writes policies, if this should be allowed (no rule yet, policy support)';
  assert.equal(told(denied, refused).next, `next: ${writer}`);
  const offered = told(denied, { ...refused, error: 'on-request', text: 'x' }).next;
  assert.equal(offered, `next: the requester, who can ask for access with that command; or ${writer}`);
  assert.match(
    told({ ...denied, rule: 'd.yaml:9' }, refused).next ?? '',
    /\(rule d\.yaml:9, policy support\)/,
  );
  const misses = told(denied, { ...refused, denial: 'rule-misses' }).next ?? '';
  assert.match(misses, /\(no rule fits it, policy support\)/);
  for (const [denial, next] of [
    ['no-reason', 'say why: dovegate send --reason TEXT'],
    ['reason-short', 'say why, in words: dovegate send --reason TEXT'],
    ['too-many-matches', 'narrow the query'],
    ['grant-withheld', 'log in, or ask for access'],
  ])
    assert.equal(told(admission, { ...refused, denial }).next, `next: the requester: ${next}`);
  assert.match(
    told(admission, { ...refused, denial: 'of another release' }).next ?? '',
    /who writes policies/,
  );
  assert.equal(
    told(denied, { ...unsent, outcome: 'unparsable', error: 'abbreviated-option' }).next,
    'next: the requester: write it out',
  );
  const limited = {
    ...unsent,
    outcome: 'limited',
    error: 'over-limit',
    text: 'over the rate of policy p (1/hour)',
  };
  assert.equal(
    told(admission, { ...limited, until: '2026-11-21T11:00:00.000Z' }).next,
    'next: the requester, who can send it again after 2026-11-21T11:00:00.000Z; ' +
      'or the person who writes policies, if this should be allowed (rule d.yaml:7, policy support)',
  );
  assert.equal(told(admission, completion).next, undefined);
  const full = { ...completion, outcome: 'failed', status: '-NOQUOTA', backend: 'mail1' };
  const { answer, next } = told(admission, full);
  assert.match(answer, /^failed: the backend says: /);
  assert.equal(next, 'next: the mail server mail1');
  assert.match(told(denied, refused).answer, /^denied by policy support/);
  // The policy allows it: who locked or holds can lift that.
  for (const error of ['locked', 'held']) {
    const stopped = told(admission, { ...refused, error }).next;
    assert.match(stopped ?? '', /^next: an operator of dovegate: ask the operator that the sentence names; /);
  }
});

void test('a command that was refused before one was asked met no backend; one that could not be sent names it', () => {
  const backendIn = (change: object) =>
    told({ ...admission, backend: 'mail1' }, { ...unsent, backend: 'mail1', ...change }).what.find(
      ({ what }) => what === 'Backend',
    )?.value;
  assert.equal(backendIn({ outcome: 'denied' }), undefined);
  assert.equal(backendIn({ outcome: 'limited', error: 'over-limit' }), undefined);
  assert.equal(backendIn({ outcome: 'failed', error: 'dial-refused' }), 'mail1');
});
