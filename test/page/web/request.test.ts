// Goal: where a request or grant waits for a decision and none is offered, its reader is told why. What must not happen: a sentence beside
// an offer, or about what is over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import {
  afterWords,
  againLine,
  becameSentence,
  deadlineSentence,
  isLapsed,
  lossWords,
  mailsWords,
  momentsOf,
  othersOf,
  permitsWords,
  requestName,
  ruleWords,
  stateSentence,
  usedSentence,
  waitsForReview,
  whyNoDecision,
} from '../../../src/page/web/request.js';
import { accessItem } from '../../kit/gate/access-item.js';

const item = (more: Partial<AccessItem>): AccessItem => ({ ...accessItem, ...more });
const nothing = {
  users: [],
  except: [],
  limits: [],
  cells: [],
  allow: [],
  deny: [],
  approve: [],
  approvers: [],
};
const content = { commands: [], onRequest: [], mayAll: false };
const policyShown = { ...nothing, name: 'support', place: '/etc/d.yaml:30', isObserving: false, content };
const ruleShown = { effect: 'destroy', says: [] };
const waiting = item({ id: 'R1', policy: 'support', state: 'requested' });
const broken = item({ id: 'B1', policy: 'support', state: 'granted', break_glass: true, approvals: 0 });
const reader = { isApprover: true, listed: undefined, whyNone: undefined };

void test('an approver reads why it is not for them, in the words of the gate', () => {
  const own = { ...waiting, why_not: 'nobody approves a request of their own' };
  const listed = { ...reader, listed: own };
  assert.equal(whyNoDecision(own, listed), 'You may not approve it: nobody approves a request of their own.');
  const again = { ...broken, state: 'expired' as const, why_not: 'nobody reviews a request of their own' };
  const why = whyNoDecision(broken, { ...reader, listed: again }) ?? '';
  assert.match(why, /^You may not review it: nobody reviews/);
  const none = 'a group of OpenID Connect gives no approval';
  assert.equal(whyNoDecision(waiting, { ...reader, whyNone: none }), `You may not approve it: ${none}.`);
  assert.match(whyNoDecision(waiting, reader) ?? '', /^You may not approve it: the gate does not list it/);
});

void test('whoever only looks reads who decides', () => {
  const onlooker = { ...reader, isApprover: false };
  const own = whyNoDecision(waiting, onlooker) ?? '';
  assert.match(own, /^Your role only looks\. .*"support".*dovegate approve --socket PATH R1$/);
  assert.match(whyNoDecision(broken, onlooker) ?? '', /dovegate review --socket PATH B1$/);
});

void test('nothing is said where a decision is offered, or none is waited for', () => {
  assert.equal(whyNoDecision(waiting, { ...reader, listed: waiting }), undefined);
  const reviewed = { ...broken, reviewed_by: { principal: 'carol@leads', time: broken.asked } };
  const over = item({ state: 'refused' });
  const live = item({ state: 'granted' });
  for (const each of [reviewed, over, live]) {
    assert.equal(waitsForReview(each), false);
    assert.equal(whyNoDecision(each, { ...reader, isApprover: false }), undefined);
  }
  assert.equal(waitsForReview(broken), true);
});

void test('the line of its rule is that of then, and of today where that is known', () => {
  const asked = item({ policy: 'support', place: '/etc/d.yaml:40', command: 'mailbox delete Old' });
  const served = (...rules: readonly (readonly [command: string, line: number])[]) => [
    {
      ...policyShown,
      onRequest: rules.map(([command, line]) => ({ ...ruleShown, command, place: `/etc/d.yaml:${line}` })),
    },
  ];
  const words = (policies?: ReturnType<typeof served>): string => ruleWords(asked, policies);
  assert.equal(words(), 'policy support');
  assert.equal(words(served(['mailbox delete', 40])), '/etc/d.yaml:40, policy support');
  const then = '/etc/d.yaml:40 when asked, policy support;';
  const moved = words(served(['fetch', 40], ['mailbox delete', 41]));
  assert.equal(moved, `${then} today it is at /etc/d.yaml:41`);
  assert.equal(words(served(['mailbox del', 40])), `${then} no rule offers it today`);
  assert.equal(ruleWords({ ...asked, place: undefined }, []), 'policy support');
});

void test('how often a grant was used, and what is left of it', () => {
  const live = item({ state: 'granted', granted: waiting.asked, uses: 3, used: 2 });
  assert.equal(usedSentence(live), `2 of 3, 1 left until {${live.until}}`);
  assert.equal(usedSentence({ ...live, used: 3 }), '3 of 3');
  assert.equal(usedSentence({ ...live, uses: undefined }), `2, as often as wanted until {${live.until}}`);
  assert.equal(usedSentence({ ...live, state: 'revoked' }), '2 of 3');
});

void test('what is over says how often it was used', () => {
  const over = item({ state: 'revoked', ended_by: 'carol@desk', granted: waiting.asked, used: 1 });
  // What somebody typed stands last, so that nothing else is taken for it.
  assert.equal(becameSentence(over), 'revoked by carol@desk, without a reason; used 1 of 1');
  const byPage = { ...over, used: 2, uses: undefined, why: 'done', ended_by: 'page:carol' };
  assert.equal(becameSentence(byPage), 'revoked by carol (page); used 2 times; the reason of the end: done');
  const broke = becameSentence({ ...over, used: 0, break_glass: true });
  assert.equal(broke, 'revoked by carol@desk, without a reason; never used (break-glass, not reviewed)');
  const live = item({ state: 'granted', granted: waiting.asked, uses: 3, used: 2 });
  const approved = { ...live, approved_by: [{ principal: 'carol@desk', time: waiting.asked }] };
  const granted = `granted until {${live.until}}; approved by carol@desk; used 2 of 3`;
  assert.equal(becameSentence(approved), granted);
  assert.equal(becameSentence(item({ state: 'refused', ended_by: 'carol@desk' })), 'refused by carol@desk');
});

void test('what is over says why, and how its requester asks again', () => {
  const [asked, until] = ['2026-11-26T10:00:00Z', '2026-11-26T10:00:30Z'];
  const late = item({ state: 'expired', asked, until });
  const given = 'within 30 s, the time that policy support gives';
  assert.equal(stateSentence(late), `expired: nobody decided ${given}`);
  const half = { ...late, approvals: 2, approved_by: [{ principal: 'carol', time: asked }] };
  assert.equal(stateSentence(half), `expired: 1 of 2 approved it ${given}`);
  assert.equal(stateSentence({ ...late, granted: asked }), 'expired: its time of 1 h is over');
  assert.equal(stateSentence(item({ state: 'used-up' })), 'used up');
  const broke = item({ state: 'used-up', break_glass: true, granted: asked });
  assert.equal(stateSentence(broke), 'used up (break-glass, not reviewed)');
  const again = againLine(item({ command: "search subject [secret] 'a b'" }));
  const words = `search subject "\${SECRET:?put the hidden word in here}" 'a b'`;
  assert.equal(again, `dovegate request --user bob@example.com --reason WHY -- ${words}`);
});

/** What is said of each use. */
const usesIn = (moments: ReturnType<typeof momentsOf>): string[] =>
  moments.flatMap(({ id, what }) => (id === undefined ? [] : [what]));

void test('each use has the words of its command, and its number where all uses are known', () => {
  const use = (id: string, args: string[]) => ({
    time: waiting.asked,
    id,
    command: 'fetch',
    args,
    user: 'bob',
    ...(id === 'C1' && { outcome: 'failed' }),
  });
  const live = item({ state: 'granted', granted: waiting.asked, uses: 3, used: 2 });
  const uses = [use('C1', ['hdr.subject', 'all']), use('C2', ['text', 'all'])];
  const told = (each: AccessItem) => usesIn(momentsOf(each, uses));
  assert.deepEqual(told(live), [
    'use 1 of 3: fetch hdr.subject all of bob: failed',
    'use 2 of 3: fetch text all of bob: no end is recorded',
  ]);
  // One of them did not reach a mail server, so none has a number.
  assert.deepEqual(told({ ...live, used: 1 })[0], 'used: fetch hdr.subject all of bob: failed');
});

void test('what was tried when it was over has no number of a use', () => {
  const use = { time: waiting.asked, event: 'admission', id: 'C1', command: 'fetch', user: 'bob' };
  const records = [
    { ...use, grant: 'G', outcome: 'ok' },
    { ...use, id: 'C2', request: 'G', outcome: 'denied' },
  ];
  const told = momentsOf(item({ state: 'used-up', granted: waiting.asked, uses: 1, used: 1 }), records);
  const expected = ['use 1 of 1: fetch of bob: ok', 'tried when it was over: fetch of bob: denied'];
  assert.deepEqual(usesIn(told), expected);
});

void test('the other requests of the same person, earlier and later: three, the newest first', () => {
  const now = item({ id: 'N', asked: '2026-11-26T12:00:00Z' });
  assert.deepEqual(othersOf(now, [now, item({ id: 'X', to: 'eve' })]), { shown: [], more: 0 });
  const before = ['a', 'b', 'c'].map((id, at) => item({ id, asked: `2026-11-26T0${at}:00:00Z` }));
  const later = item({ id: 'L', asked: '2026-11-26T13:00:00Z' });
  const { shown, more } = othersOf(now, [now, ...before, later]);
  assert.deepEqual([shown.map(({ id }) => id), more], [['L', 'c', 'b'], 1]);
});

void test('two of the same requester have names of their own, and a forged text does not hide in one', () => {
  const [one, other] = ['G1', 'G2'].map((id) => requestName(item({ id, command: 'fetch \u202Egnp all' })));
  assert.equal(one, 'anna@support: fetch \\u{202e}gnp all of bob@example.com, G1');
  assert.notEqual(one, other);
});

void test('the history of access without an approval says so', () => {
  const granted = momentsOf({ ...broken, granted: broken.asked }, []).map(({ what }) => what);
  assert.ok(granted.includes('granted without an approval (break-glass) for 1 h, 1 use'), granted.join('\n'));
});

void test('only a request that nobody decided lapses', () => {
  assert.equal(isLapsed(item({ state: 'expired' })), true);
  assert.equal(isLapsed(item({ state: 'expired', granted: waiting.asked })), false);
});

void test('after a refusal its approver reads the whole line that asks again', () => {
  const words = afterWords(item({ state: 'refused', ended_by: 'page:carol', why: 'no' }));
  assert.match(words, /^Recorded: refused by carol \(page\): no\. anna@support has nothing of it, and can /);
  assert.match(words, / can ask again: dovegate request .* -- fetch /);
});

void test('a request says until when it waits, and nothing else does', () => {
  assert.equal(deadlineSentence(waiting), `by {${waiting.until}}, or it lapses`);
  for (const state of ['granted', 'expired', 'refused'] as const)
    assert.equal(deadlineSentence(item({ state })), undefined);
});

void test('what it permits is one command, or all of a rule, and how often', () => {
  assert.equal(permitsWords(item({ uses: 1 })), 'this command only, once');
  assert.equal(permitsWords(item({ uses: undefined })), 'this command only, as often as wanted');
  const rule = ['fetch', 'any mail and folder', 'also what mails say'];
  const every = 'every fetch of bob@example.com (any mail and folder, also what mails say)';
  const three = permitsWords(item({ scope: 'user', rule, uses: 3 }));
  assert.equal(three, `${every}, 3 times in all; one use is one command`);
  assert.match(permitsWords(item({ scope: 'user', uses: 1 })), /^all that its rule permits of bob@/);
});

void test('of mails: how many match, what bounds them, and that they are gone for good', () => {
  const destroys = item({ effect: 'destroy', matches: 4 });
  assert.equal(mailsWords(item({ matches: 1 })), '1 mail matches now');
  assert.equal(mailsWords(item({ matches: 0 })), '0 mails match now');
  assert.equal(mailsWords(item({ matches: 2, scope: 'user' })), '2 mails match the example now');
  assert.equal(mailsWords(item({ matches: 2, state: 'refused' })), '2 mails matched, as counted last');
  assert.equal(mailsWords(item({})), undefined);
  const more = 'if more match than an approver saw, the command is refused and deletes nothing';
  const gone = 'deleted mails do not come back';
  assert.equal(mailsWords(destroys), `4 mails match now; ${more}; ${gone}`);
  const uncounted = { ...destroys, matches: undefined };
  assert.equal(mailsWords(uncounted), gone);
  const words = lossWords(destroys);
  assert.match(words, /^Your approval deletes nothing yet: anna@support must still send /);
  assert.match(words, / What it deletes \(now 4 mails\) of bob@example\.com is gone/);
  assert.match(lossWords(uncounted), /What it deletes of bob@example\.com is gone/);
});
