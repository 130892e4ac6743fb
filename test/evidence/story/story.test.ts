// What became of a command, folded from its records: also of records that are cut, missing, or hold nothing. stories.txt has the whole of
// what is told of each, as a person approved it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldStory } from '../../../src/evidence/story/fold.js';
import { countedWords, outcomeOf, remarkOf, requesterOf } from '../../../src/evidence/story/row.js';
import { storyOfRow } from '../../../src/evidence/story/story.js';
import { causeWords, rightWords, tellStory, whyWords } from '../../../src/evidence/story/words.js';
import { classOfOutcome } from '../../../src/gate/outcome/class.js';
import { denialWords } from '../../../src/gate/outcome/next.js';
import { formatTime } from '../../../src/host/words/instants.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { approved, grantRecords, over } from '../../kit/plain/access-records.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { held } from '../../kit/plain/lock-records.js';

const fold = (...records: readonly object[]) => {
  const copies = records.map((record) => ({ ...record }));
  return foldStory(copies, 'X');
};
const told = (...records: readonly object[]) => tellStory(fold(...records));

const decided = { decision: 'allow', policy: 'support', rule: 'd.yaml:7' };
const sender = { principal: 'anna@support', peer: { uid: 1000, exe: '/usr/bin/doveadm' } };
const asks = { command: 'expunge', args: ['mailbox', { hmac: 'ab12' }, { more: 3 }] };
const opening = { seq: 4, time: '2026-11-21T10:00:00.105Z', event: 'admission', id: 'X', session: 'S' };
const admission = { ...opening, ...decided, ...sender, ...asks };
const closing = { seq: 6, time: '2026-11-21T10:00:00.200Z', event: 'completion', id: 'X' };
const times = { wait_ms: 20.5, first_byte_ms: 30, duration_ms: 100 };
const completion = { ...closing, outcome: 'ok', status: '+', sent: true, ...times };
const unsent = { ...completion, status: '-TEMPFAIL', sent: false };
const failed = { ...unsent, outcome: 'failed' };
const denied = { ...admission, decision: 'deny', rule: undefined, text: 'no rule allows "expunge"' };
const refused = { ...unsent, outcome: 'denied', status: '-NOPERM' };
const logged = { event: 'log', id: 'X', level: 'warn' };
const killed = { ...completion, outcome: 'unknown', error: 'killed', status: '-TEMPFAIL' };
const partKilled = { ...killed, text: 'an operator ended it; whether the command ran is not known' };
const kill = { seq: 5, event: 'operator', action: 'kill', id: 'X', by: 'page:erin', outcome: 'ok' };
const drains = { event: 'operator', action: 'drain', backend: 'mail1', by: 'erin' };
const drain = { ...drains, reason: 'new disk', outcome: 'ok' };
const overdue = { ...logged, text: 'no answer in time: the client got -TEMPFAIL; the command may still run' };
const ofBackend = { ...logged, upstream: 'mail1-1', text: 'no answer in time: the client got +; x' };
const onRequest = {
  ...refused,
  error: 'on-request',
  text: 'denied by policy support; available on request: y',
};
const saidWhy = { ...refused, text: 'denied by policy support (the client must say why)' };
const abbreviated = { ...unsent, outcome: 'unparsable', error: 'abbreviated-option' };
const noQuota = { ...completion, outcome: 'failed', status: '-NOQUOTA', backend: 'mail1' };
const endedBy = (error: string) => ({ event: 'completion', id: 'X', outcome: 'unknown', error });
const drained = { ...failed, error: 'backend-drained', backend: 'mail1' };
const stopped = { ...refused, error: 'held', lock: 'H1', text: 'a mailbox is held' };
const denial = { ...admission, decision: 'deny', text: 'no rule allows "expunge Secret"' };
const noRule = { ...completion, outcome: 'denied', denial: 'no-rule', sent: false, status: '-NOPERM' };
const offered = { ...noRule, error: 'on-request', text: 'denied by policy support; ask with X' };
const rate = 'over the rate of policy p (1/hour)';
const limited = { ...unsent, outcome: 'limited', error: 'over-limit', text: rate };
const read = (records: readonly AuditRecord[]) =>
  records.map((record) => ({ ...record, time: formatTime(record.time) }));
const under = { ...admission, grant: 'G' };
const atMail1 = { ...admission, backend: 'mail1' };

const stories: Readonly<Record<string, readonly object[]>> = {
  'it went well': [admission, completion],
  'denied by the rules': [denied, refused],
  'denied by a rule': [{ ...denied, rule: 'd.yaml:9' }, refused],
  'denied beside a candidate': [{ ...denied, shadow: 'served', shadow_why: 'x.yaml:3: y' }, refused],
  'denied after a rule allowed it': [admission, saidWhy],
  'no rule fits it': [denied, { ...refused, denial: 'rule-misses' }],
  'available on request': [denied, onRequest],
  'a denial for a reason of its own, whose words are for the client': [denial, noRule],
  'the same, and available on request': [denial, offered],
  ...Object.fromEntries(
    ['no-reason', 'reason-short', 'too-many-matches', 'grant-withheld', 'of another release'].map((code) => [
      `a rule allows it, and it is denied for ${code}`,
      [admission, { ...refused, denial: code, text: 'denied by policy support (so)' }],
    ]),
  ),
  'not understood': [
    { ...denied, text: 'no option "x"' },
    { ...abbreviated, error: 'unknown-option' },
  ],
  'an option that was not written out': [denied, abbreviated],
  'no connection': [admission, { ...failed, error: 'dial-refused', backend: 'mail1' }],
  'a look-up': [admission, { ...failed, error: 'lookup-reply-timeout' }],
  'a code of another release': [admission, { ...failed, error: 'constructor' }],
  'other codes of another release': [admission, { ...completion, error: 'soon', denial: 'toString' }],
  "the backend's answer": [admission, { ...completion, outcome: 'failed', status: '-NOTFOUND' }],
  'the user has no room': [admission, noQuota],
  'no end': [admission],
  overdue: [admission, overdue],
  'a line of the backend is no remark of dovegate': [admission, ofBackend],
  'killed with the process': [admission, endedBy('stopped')],
  'left open at a crash': [admission, { ...completion, outcome: 'unknown', error: 'stopped' }],
  'what has sent bytes to the client ran': [
    { ...admission, effect: 'read' },
    { ...partKilled, bytes_in: 4_103_700, bytes_out: 4_103_858 },
  ],
  'no more than a sentence of ours': [admission, { ...partKilled, bytes_out: 90 }],
  'no byte of the backend': [admission, { ...partKilled, bytes_out: 9000, bytes_in: 0 }],
  'an operator ended it': [admission, kill, killed],
  'an operator ended it before it was sent': [admission, kill, { ...killed, outcome: 'failed', sent: false }],
  'an operator ended it, whose record is not there': [admission, killed],
  'the record is of another command': [admission, { ...kill, id: 'Y' }, killed],
  'the operator failed to end it': [admission, { ...kill, outcome: 'failed' }, killed],
  'it ended by itself before it could be ended': [admission, kill, completion],
  'what a drained backend did not take': [admission, drained],
  'the same, and who drained it': [drain, admission, drained],
  'what a hold stopped': [admission, stopped],
  'what a hold stopped, and its record': [
    { ...held('H1', Date.UTC(2026, 10, 20)), time: '2026-11-20T00:00:00.000Z' },
    admission,
    stopped,
  ],
  'what a lock stopped': [admission, { ...refused, error: 'locked', text: 'anna is locked by root: stolen' }],
  'over a limit, until a time': [admission, { ...limited, until: '2026-11-21T11:00:00.000Z' }],
  'codes are words with their code behind, also of the end of its session': [
    admission,
    { ...limited, text: undefined, denial: 'no-reason' },
    { event: 'session-close', session: admission.session, reason: 'peer-ended' },
  ],
  'a policy only observes': [{ ...admission, rule: undefined, would: 'denied' }],
  'under a grant, among the records of another': [
    ...read([...grantRecords('G', 1), approved('other', 3, { principal: 'mallory@leads' })]),
    under,
    ...read([over('reviewed', 'G', 9)]),
  ],
  'under a grant that the records do not hold': [under],
  'no admission': [{ event: 'log', id: 'X' }],
  'an admission that says nothing': [{ event: 'admission', id: 'X' }],
  'records of other forms': [{ event: 'admission', id: 'X', args: 'x', peer: 'y' }],
  'unknown, and no time': [admission, { event: 'completion', id: 'X', outcome: 'unknown' }],
  'it did not wait': [admission, { ...refused, wait_ms: undefined }],
  'the clock was set back between the two': [{ ...admission, time: '2026-11-21T11:00:00.000Z' }, completion],
  'arguments are joined': [
    { ...admission, args: ['a', { more: 1 }], argument_records: 1 },
    { event: 'arguments', id: 'X', args: ['a', 'b'] },
    completion,
  ],
  'arguments are missing': [{ ...admission, args: ['a', { more: 1 }], argument_records: 1 }, completion],
  'its session and its twins are apart from it': [
    { seq: 3, event: 'session-open', session: 'S' },
    admission,
    { seq: 5, event: 'admission', id: 'T', for: 'X' },
    completion,
  ],
  // What was refused before a backend was asked met none; what could not be sent names it.
  'denied, where a backend is recorded': [atMail1, { ...refused, backend: 'mail1' }],
  'over a limit, where a backend is recorded': [atMail1, { ...limited, backend: 'mail1' }],
  'not reachable, where a backend is recorded': [
    atMail1,
    { ...failed, error: 'dial-refused', backend: 'mail1' },
  ],
};

/** One line for each part that has something to say. */
function tale(records: readonly object[]): string {
  const folded = fold(...records);
  const { who, what, why, life, remarks, asked, logs, ...parts } = tellStory(folded);
  const facts = (of: readonly { readonly what: string; readonly value?: string }[]) =>
    of.map((each) => `${each.what}: ${each.value}`).join('; ');
  const steps = life.map(({ what: step, ms, about }) => `${step} ${ms ?? '-'}${about ? ` (${about})` : ''}`);
  return Object.entries({
    cause: causeWords(folded.ended.cause),
    right: rightWords(folded.decided),
    sent: folded.sent,
    ...parts,
    who: facts(who),
    what: facts(what),
    why: facts(why),
    life: steps.join(', '),
    remarks: remarks.join(' / '),
    args: asked.args,
    twins: folded.records.twins.map(({ id }) => id).join(),
    logs: logs.length === 0 ? '' : logs,
  })
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('\n');
}

void test('stories', () =>
  compareAnswers(
    'test/evidence/story/stories.txt',
    Object.entries(stories).map(([what, records]): Asked => [what, () => tale(records)]),
  ));

void test('a row of a search has the same cause: its keys are those of both records', () => {
  for (const [what, records] of Object.entries(stories)) {
    const [first = {}, last = {}, ...more] = records.map(
      (record): Readonly<Record<string, unknown>> => ({ ...record }),
    );
    if (more.length > 0 || first['event'] !== 'admission' || last['event'] === 'log') continue;
    const text = first['text'] ?? last['text'];
    const fields = { ...first, ...last, ...(text !== undefined && { text }) };
    const said = typeof last['text'] === 'string' ? { said: last['text'] } : {};
    const row = { fields, ...said, ...(records.length > 1 && { completedSeq: 6 }) };
    assert.equal(causeWords(storyOfRow(row).ended.cause), causeWords(fold(...records).ended.cause), what);
  }
});

void test('an approver is no requester, and a count of dovegate is not of a client', () => {
  const step = { event: 'access', action: 'approved', principal: 'carol@leads', to: 'anna@support' };
  const row = { fields: step, completedSeq: 1 };
  const shown = [requesterOf(row), outcomeOf(row), remarkOf(row)];
  assert.deepEqual(shown, ['anna@support', 'approved', 'by carol@leads']);
  const asked = { event: 'access', action: 'requested', principal: 'anna@support' };
  const own = { fields: asked, completedSeq: 1 };
  assert.deepEqual([requesterOf(own), remarkOf(own)], ['anna@support', '']);
  for (const [of, words] of [
    [{ for: 'E' }, 'counted by dovegate for E'],
    [{ for: 'E', request: 'R' }, 'counted by dovegate for request R'],
    [{}, ''],
  ] as const)
    assert.equal(countedWords(fold({ ...admission, ...of }).asked), words);
  const classes = ['ok', 'limited', 'partly', 'aborted', 'open', ''].map(classOfOutcome);
  assert.equal(classes.join(' '), 'ok denied failed unknown unknown unknown');
});

void test('a denial has the same words in a row, on its page and in Now', () => {
  const row = { fields: { ...denial, ...noRule, event: undefined }, completedSeq: 6 };
  const place = '/etc/dovegate/d.yaml:7';
  const now = denialWords('no-rule', { policy: 'support', place, isOffered: false });
  assert.deepEqual([told(denial, noRule).answer, whyWords(row)], [now, now]);
  assert.equal(
    denialWords('grant-used-up', { policy: 'support', place, isOffered: true }),
    'denied by policy support (the access that was given for it is used up, d.yaml:7); available on request',
  );
});

void test('the most that a command can do is told as its badge has it', () => {
  const most = tellStory(fold({ ...admission, effect: 'read' }, completion), 'yes').what;
  assert.deepEqual(most[1], { what: 'The most it can do', value: 'content' });
});
