// The policy that is put together from ticks: the rules that are ticked and no others; what may not be ticked never gets in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Suggested, SuggestedGroup } from '../../../src/page/answers/api.js';
import { byWords, composePolicy, fileNameOf, withEffect } from '../../../src/page/web/learn.js';

function group(command: string, more: Partial<SuggestedGroup> = {}): SuggestedGroup {
  return {
    kind: 'rule',
    command,
    yaml: ['# 3 times', `- ${command}`],
    effect: 'read',
    seen: 3,
    byWhom: ['carol@support'],
    byCount: 1,
    usersCount: 1,
    last: '2026-11-20T12:00:00.000Z',
    example: [command],
    ...more,
  };
}

const suggested: Suggested = {
  policy: 'support',
  place: 'd.yaml:7',
  looked: { records: 9, isAll: true, notes: [] },
  before: ['policies:', '  support:', '    mode: enforce', '    users: ["*@example.com"]'],
  after: ['    # Left out: 1'],
  groups: [
    group('quota get'),
    group('expunge', { effect: 'destroy' }),
    group('dsync', { kind: 'root' }),
    group('who', { kind: 'refused', yaml: [] }),
    group('mailbox list', { allowedBy: 'd.yaml:9' }),
  ],
};

void test('what is ticked, and what is allowed already', () => {
  assert.equal(composePolicy(suggested, new Set()), undefined);
  assert.equal(composePolicy(suggested, new Set([2, 3, 4, 17])), undefined);
  assert.equal(
    composePolicy(suggested, new Set([0, 2, 3])),
    `${suggested.before.join('\n')}
    allow:
      # 3 times
      - quota get
      # 3 times
      - mailbox list
    # Left out: 1
`,
  );
});

void test('groups of one effect, who it was, and a file name without tricks', () => {
  assert.deepEqual(withEffect(suggested, 'read'), [0]);
  assert.equal(byWords(group('x')), 'carol@support');
  assert.equal(byWords(group('x', { byCount: 1200 })), 'carol@support and 1,199 more');
  assert.equal(fileNameOf('../../etc/passwd'), '-etc-passwd.yaml');
  assert.equal(fileNameOf(''), 'policy.yaml');
});
