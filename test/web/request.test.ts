// Goal: where a request or grant waits for a decision and none is offered, its reader is told why. What must not happen: a sentence beside
// an offer, or about what is over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessItem } from '../../src/domain/admin/page/access.js';
import { waitsForReview, whyNoDecision } from '../../src/web/request.js';
import { accessItem } from '../kit/access-item.js';

const item = (more: Partial<AccessItem>): AccessItem => ({ ...accessItem, ...more });
const waiting = item({ id: 'R1', policy: 'support', state: 'requested' });
const broken = item({ id: 'B1', policy: 'support', state: 'granted', break_glass: true, approvals: 0 });
const reader = { isApprover: true, listed: undefined, whyNone: undefined };

void test('an approver reads why it is not for them, in the words of the gate', () => {
  const own = { ...waiting, why_not: 'nobody approves a request of their own' };
  const listed = { ...reader, listed: own };
  assert.equal(whyNoDecision(own, listed), 'You may not approve it: nobody approves a request of their own.');
  const again = { ...broken, state: 'expired' as const, why_not: 'nobody reviews a request of their own' };
  assert.match(
    whyNoDecision(broken, { ...reader, listed: again }) ?? '',
    /^You may not review it: nobody reviews/,
  );
  const none = 'a group of OpenID Connect gives no approval';
  assert.equal(whyNoDecision(waiting, { ...reader, whyNone: none }), `You may not approve it: ${none}.`);
  assert.match(whyNoDecision(waiting, reader) ?? '', /^You may not approve it: the gate does not list it/);
});

void test('whoever only looks reads who decides', () => {
  const onlooker = { ...reader, isApprover: false };
  assert.match(
    whyNoDecision(waiting, onlooker) ?? '',
    /^Your role only looks\. .*"support".*dovegate approve R1$/,
  );
  assert.match(whyNoDecision(broken, onlooker) ?? '', /dovegate review B1$/);
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
