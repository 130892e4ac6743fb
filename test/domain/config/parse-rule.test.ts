// Goal: a rule says all that it can say, and one that could never match, or promises what does not hold, is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, sound, testMistakes } from './sound.js';

const with1 = (name: string, text: string, ...expected: string[]) =>
  [name, '[quota get]', `[{ ${text} }]`, ...expected] as const;

testMistakes([
  with1(
    'a rule for users of others',
    'command: quota get, users: ["*@example.org", eve@example.net]',
    '11:13: warning: policies.support.allow: never matches: the policy does not hold for these users',
  ),
  with1('a rule for some of its users', 'command: quota get, users: ["b*@example.com", eve@example.net]'),
  with1(
    'a rule for users of others, of a command that may name nobody',
    'command: stats dump, users: [x@y.z]',
  ),
  with1(
    'terms of every kind',
    'command: expunge, reason: required, limit: 20/hour, max_matches: 500, expires: 2030-01-31, emergency: true, where: { query: any }',
  ),
  with1(
    'root in disguise',
    'command: stop',
    '11:13: policies.support.allow[0]: "stop" amounts to root on the mail server: say root_equivalent: true if that is meant',
  ),
  with1(
    'root without disguise',
    'command: quota get, root_equivalent: true',
    '11:35: warning: policies.support.allow[0].root_equivalent: has no effect for this command',
  ),
  with1(
    'a rule that must name what the command always has',
    'command: import, root_equivalent: true',
    '11:13: policies.support.allow[0]: can never match: "import" cannot be given without source-location, so where must name it',
  ),
  with1(
    'matches of what does not search',
    'command: quota get, max_matches: 5',
    '11:35: policies.support.allow[0].max_matches: is for commands that take a search query',
  ),
  with1(
    'matches for all users',
    'command: search, max_matches: 5, all_users: true',
    '11:13: warning: policies.support.allow: all_users: true has no effect: the policy must hold for users: ["*"] and except nobody',
    '11:32: policies.support.allow[0].max_matches: cannot be combined with all_users: it counts the mails of one user',
  ),
  with1(
    'all users in a policy for some',
    'command: quota get, all_users: true',
    '11:13: warning: policies.support.allow: all_users: true has no effect: the policy must hold for users: ["*"] and except nobody',
  ),
  with1(
    'content of what shows none',
    'command: quota get, content: true',
    '11:35: warning: policies.support.allow[0].content: has no effect: the command neither searches nor shows mails',
  ),
  with1(
    'a rate that is none',
    'command: quota get, limit: 20 per hour',
    '11:35: policies.support.allow[0].limit: must be a rate: a number and second, minute, hour or day, as 20/hour',
  ),
  with1(
    'a day that is none',
    'command: quota get, expires: 2027-02-29',
    '11:35: policies.support.allow[0].expires: must be a day as 2027-01-31 (its end, in UTC), or a time as 2027-01-31T18:00:00Z',
  ),
  with1(
    'a reason that is not required',
    'command: quota get, reason: optional',
    '11:35: policies.support.allow[0].reason: must be one of: required',
  ),
  [
    'a rule behind one that allows all of it',
    '[quota get]',
    '[search, { command: search, where: { query: { mailbox: [x] } }, reason: required }]',
    '11:21: warning: policies.support.allow: is never reached: line 11 allows all of it, without its terms',
  ],
  [
    'a rule twice',
    '[quota get]',
    '[quota get, quota get]',
    '11:24: warning: policies.support.allow: is never reached: line 11 allows all of it',
  ],
  [
    'rules behind one that does not allow all of it',
    '[quota get]',
    '[{ command: search }, { command: search, content: true }, kick, { command: kick, where: { mask: ["*@example.com"] } }, expunge, { command: expunge, where: { delete-empty-mailbox: true } }]',
  ],
  [
    'a deny that another series would not know',
    '[quota get]',
    '[quota get]\n    deny: [{ command: auth cache flush, where: { user-mask: [x] } }]',
    '12:50: policies.support.deny[0].where.user-mask: has another name in another series of Dovecot, where this would deny nothing; deny the command, or name users in except',
  ],
  [
    'a deny with terms',
    '[quota get]',
    '[quota get]\n    deny: [{ command: search, expires: 2027-01-31, masks: true }]',
    '12:31: policies.support.deny[0].expires: has no meaning in a deny; take it out',
    '12:52: policies.support.deny[0].masks: has no meaning in a deny; take it out',
  ],
]);

void test('a rule as it comes out', () => {
  const text = sound.replace(
    '[quota get]',
    `
      - command: expunge
        expires: 2027-01-31
        limit: 20/hour
        reason: required
        where: { query: { savedbefore: { at_least: 30d }, mailbox: [Trash] } }`,
  );
  const [rule] = settingsOf(text).policies.get('support')?.allow ?? [];
  assert.ok(rule);
  assert.deepEqual(rule.place, { file: '/etc/dovegate/d.yaml', line: 12, column: 9 });
  assert.equal(rule.expiresMs, Date.UTC(2027, 1, 1));
  assert.deepEqual(rule.where, []);
  assert.deepEqual(rule.obligations, {
    reason: true,
    limit: { count: 20, windowMs: 3_600_000 },
    limitKey: rule.obligations.limitKey,
    emergency: false,
  });
  const other = settingsOf(
    text
      .replace('20/hour', '30/hour')
      .replace('2027-01-31', '2028-01-31')
      .replace('        reason: required\n', ''),
  );
  const [changed] = other.policies.get('support')?.allow ?? [];
  assert.equal(changed?.obligations.limitKey, rule.obligations.limitKey, 'its counter goes on');
  const narrower = settingsOf(text.replace('[Trash]', '[Junk]')).policies.get('support')?.allow[0];
  assert.notEqual(narrower?.obligations.limitKey, rule.obligations.limitKey, 'it is another rule');
});
